"""The whole stage in its child process, from file to file."""

import argparse
import json
from pathlib import Path

import av
import cv2
import pytest

from media import runner
from media.errors import Refused
from media.gaze import part
from media.gaze.__main__ import parser
from media.sample import film
from tests.media.gaze.sitting import CLIPS


@pytest.fixture(scope="session")
def reading(shelf: Path) -> Path:
    """Seven seconds of the sample clip at half size: half of them into the lens, half beside it."""
    target = shelf / "reading.mp4"
    film.film(argparse.Namespace(target=target, seconds=7.0, width=540), lambda _: None)
    return target


def frames_of(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def test_a_part_is_corrected_and_everything_asked_for_is_written(reading: Path, tmp_path: Path) -> None:
    out, report, preview, cover = (tmp_path / name for name in ("o.mp4", "r.json", "p.jpg", "c.jpg"))
    told: list[float] = []
    asked = ["--report", str(report), "--preview", str(preview), "--cover", str(cover), "--title", "A title"]
    result = runner.run(
        "gaze", [str(reading), str(out), "--intensity", "1", *asked], deadline_s=120, on_progress=told.append
    )
    assert 210 == result["frames"] == frames_of(out)
    gaze = result["gaze"]
    assert (gaze["corrected"], gaze["reason"]) == (True, None)
    assert 0.3 < gaze["share"] < 0.6
    assert gaze["median_before_deg"] > 7
    assert 0 < gaze["median_after_deg"] < 4  # measured again in the drawn picture
    assert (1, 1.0) == (gaze["faces"], gaze["looked_at"])
    assert {"decode", "encode", "gaze_landmarks", "gaze_redraw"} <= result["stages_s"].keys()
    assert told == sorted(told)
    rows = json.loads(report.read_text())
    assert len(rows["frames"]) == 210
    assert rows["gaze"] == gaze
    for picture in (preview, cover):
        assert cv2.imread(str(picture)) is not None


def test_intensity_zero_is_the_render_without_a_stage(reading: Path, tmp_path: Path) -> None:
    options = parser().parse_args([str(reading), str(tmp_path / "o.mp4"), "--intensity", "0"])
    result = part.correct(options, lambda _: None)
    assert tuple(result["gaze"][key] for key in ("corrected", "share", "reason")) == (False, 0.0, "turned_off")


@pytest.mark.logs_errors
def test_an_engine_that_does_not_start_still_gives_a_part(reading: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.task"
    broken.write_bytes(b"no model")
    options = parser().parse_args([str(reading), str(tmp_path / "o.mp4"), "--model", str(broken)])
    result = part.correct(options, lambda _: None)
    assert tuple(result["gaze"][key] for key in ("corrected", "reason")) == (False, "detector_failed")
    assert frames_of(tmp_path / "o.mp4") == 210


@pytest.mark.parametrize(("option", "code"), [("--span", "bad_span"), ("--zero", "bad_zero")])
def test_what_the_plan_never_gave_is_refused(option: str, code: str, reading: Path, tmp_path: Path) -> None:
    options = parser().parse_args([str(reading), str(tmp_path / "o.mp4"), option, '{"first": "x"}'])
    with pytest.raises(Refused) as refusal:
        part.correct(options, lambda _: None)
    assert code == refusal.value.code
    assert list(tmp_path.iterdir()) == []


def test_captions_say_what_was_done() -> None:
    done = {"corrected": True, "share": 0.914, "median_before_deg": 11.2, "median_after_deg": 2.3}
    assert part.caption(done) == "91% of the frames corrected, 11° off the lens before, 2° after"
    assert part.caption({"corrected": False, "reason": "no_face"}) == "not corrected: no face"


@pytest.mark.slow
@pytest.mark.skipif(not CLIPS.is_dir(), reason="the real recordings are not at hand")
@pytest.mark.parametrize(
    ("clip", "least", "most"),
    [
        ("01_webcam_reading_woman", 0.5, 1.0),
        ("02_phone_selfie_man_glasses_9x16", 0.7, 1.0),
        ("08_man_glasses_into_lens", 0.0, 0.08),
        ("12_man_standing_1080x1920", 0.0, 0.05),
        ("29_derived_no_face", 0.0, 0.0),
    ],
)
def test_real_recordings_are_corrected_or_left_alone(clip: str, least: float, most: float, tmp_path: Path) -> None:
    result = runner.run("gaze", [str(CLIPS / f"{clip}.mp4"), str(tmp_path / "o.mp4")], deadline_s=300)
    assert least <= result["gaze"]["share"] <= most
