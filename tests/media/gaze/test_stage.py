"""The whole stage in its child process, from file to file."""

import json
from itertools import islice
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from media.errors import OutOfMemory, Refused
from media.frames import Planes
from media.gaze import calibration
from media.gaze.__main__ import parser
from media.gaze.calibration import Calibration
from media.gaze.corrector import Corrector
from media.gaze.estimate.measure import estimate, eye_of
from media.gaze.face.landmarks import Landmarker
from media.gaze.face.model import Head
from media.gaze.policy import Policy
from media.gaze.report import FrameResult, Report
from media.process import memory, runner
from media.reading.frame_reader import FrameReader
from media.reading.inspection import inspect
from media.stages import gaze as part
from media.writing.small_picture import MAX_BYTES
from tests.media import films
from tests.media.gaze.synthetic import CLIPS, copied, corrected, same


def frames_of(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def test_a_part_is_corrected_and_everything_asked_for_is_written(reading: Path, tmp_path: Path) -> None:
    out, report, curve, preview, cover = (tmp_path / name for name in ("o.mp4", "r.json", "g.json", "p.jpg", "c.jpg"))
    told: list[float] = []
    small = [tmp_path / "p.small.jpg", tmp_path / "c.small.jpg"]
    asked = ["--report", str(report), "--preview", str(preview), "--cover", str(cover), "--title", "A title"]
    asked += ["--curve", str(curve), "--small-preview", str(small[0]), "--small-cover", str(small[1])]
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
    points = json.loads(curve.read_text())
    assert {len(points[name]) for name in ("angle_before_deg", "angle_after_deg", "strength")} == {70}
    assert points["per_s"] == 10.0
    assert max(points["strength"]) == 1.0
    assert {span["code"] for span in points["reasons"]} <= gaze["reasons"].keys()
    for picture in (preview, cover, *small):
        assert cv2.imread(str(picture)) is not None
    assert all(picture.stat().st_size <= MAX_BYTES for picture in small)


def test_intensity_zero_is_the_render_without_a_stage(glance: Path, tmp_path: Path) -> None:
    options = parser().parse_args([str(glance), str(tmp_path / "o.mp4"), "--intensity", "0"])
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


def test_without_a_face_a_part_stays_as_filmed(mute: Path, tmp_path: Path) -> None:
    options = parser().parse_args([str(mute), str(tmp_path / "o.mp4"), "--preview", str(tmp_path / "p.jpg")])
    gaze = part.correct(options, lambda _: None)["gaze"]
    assert (False, "no_face", {"no_face": 200}) == (gaze["corrected"], gaze["reason"], gaze["reasons"])
    assert [tmp_path / "o.mp4"] == list(tmp_path.iterdir()), "there is nothing to compare"


def test_short_of_memory_a_part_is_made_smaller_and_at_last_finished_as_filmed(
    reading: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = 150 << 20  # enough for the pictures; this process holds more
    ballast = np.ones(allowed, np.uint8)
    monkeypatch.setattr(memory, "limit_bytes", lambda: len(ballast))
    options = [str(reading), str(tmp_path / "o.mp4")]
    with pytest.raises(OutOfMemory):  # it is rendered again in a smaller size, with correction
        part.correct(parser().parse_args(options), lambda _: None)
    assert list(tmp_path.iterdir()) == []
    result = part.correct(parser().parse_args([*options, "--memory", "less"]), lambda _: None)
    assert (False, "memory_short") == (result["gaze"]["corrected"], result["gaze"]["reason"])
    assert 210 == frames_of(tmp_path / "o.mp4")


def test_near_its_deadline_a_part_is_finished_as_filmed(reading: Path, tmp_path: Path) -> None:
    """A second is enough for a quarter of the frames at most."""
    options = parser().parse_args([str(reading), str(tmp_path / "o.mp4"), "--deadline", "1"])
    result = part.correct(options, lambda _: None)
    assert result["gaze"]["reasons"]["time_short"] > 100
    assert result["gaze"]["looked_at"] < 0.6
    assert 210 == frames_of(tmp_path / "o.mp4")


@pytest.mark.slow
def test_the_same_part_twice_is_the_same_to_the_last_bit(glance: Path, tmp_path: Path) -> None:
    told = []
    for name in ("one", "two"):
        files = [str(tmp_path / f"{name}{kind}") for kind in (".mp4", ".json", ".jpg")]
        result = runner.run(
            "gaze", [str(glance), files[0], "--report", files[1], "--preview", files[2]], deadline_s=120
        )
        report = json.loads(Path(files[1]).read_text())
        del report["gaze"]["ms_per_frame"]
        told.append((result["sha256"], report, Path(files[2]).read_bytes()))
    assert told[0][1]["gaze"]["share"] > 0.2
    assert told[0] == told[1]


@pytest.mark.parametrize(("option", "code"), [("--span", "bad_span"), ("--zero", "bad_zero")])
def test_what_the_plan_never_gave_is_refused(option: str, code: str, reading: Path, tmp_path: Path) -> None:
    options = parser().parse_args([str(reading), str(tmp_path / "o.mp4"), option, '{"first": "x"}'])
    with pytest.raises(Refused) as refusal:
        part.correct(options, lambda _: None)
    assert code == refusal.value.code
    assert list(tmp_path.iterdir()) == []


def test_a_caption_tells_only_what_was_measured() -> None:
    """Eyes are measured again in one frame of thirty: a correction shorter than that may have none."""
    report = Report(0.8)
    report.add(FrameResult(1, 0.03, 0, (9.0, 0.0), (0.0, 0.0), 0.8, None))
    assert part.caption(report.summary()) == "100% of the frames corrected, 9° off the lens before"


def test_captions_say_what_was_done() -> None:
    done = {"corrected": True, "share": 0.914, "median_before_deg": 11.2, "median_after_deg": 2.3}
    assert part.caption(done) == "91% of the frames corrected, 11° off the lens before, 2° after"
    assert part.caption({"corrected": False, "reason": "no_face"}) == "not corrected: no face"


def calibrated(finder: Landmarker, head: Head, found: Calibration, **more: Any) -> Corrector:  # Any: as it takes them
    """Make a corrector for the speaker of a recording."""
    return Corrector(
        finder,
        head,
        intensity=1.0,
        zero=found.zero_deg,
        policy=Policy(dead_zone_deg=found.dead_zone_deg),
        usual_opening=found.usual_opening,
        usual=found.usual,
        **more,
    )


@pytest.mark.slow
@pytest.mark.skipif(not CLIPS.is_dir(), reason="the real recordings are not at hand")
@pytest.mark.parametrize("clip", ["08_man_glasses_into_lens", "12_man_standing_1080x1920"])
def test_eyes_that_are_in_the_lens_are_not_moved(clip: str, head: Head) -> None:
    """Before encoding: most frames stay bit for bit, and nine of ten move what is measured by 2.5° at most.

    Measured 2026-11-29 on clip 08: 2.3°; 1.7° while its BT.601 colours were converted with an error. The frames that
    are changed are the same 16 of 150 (115 to 130); he looks down in them after a blink.
    """
    path = CLIPS / f"{clip}.mp4"
    found = calibration.calibrate(path)
    assert found is not None
    frames = [copied(frame) for frame in islice(FrameReader(path, inspect(path).timeline.grid()), 150)]
    with Landmarker() as finder, Landmarker() as judge:
        stage = Corrector(
            finder,
            head,
            zero=found.zero_deg,
            policy=Policy(dead_zone_deg=found.dead_zone_deg),
            usual_opening=found.usual_opening,
        )
        out = corrected(stage, map(copied, frames))
        moved = [_moved_deg(judge, head, before, after) for before, after in zip(frames, out, strict=True)]
    untouched = [same(before, after) for before, after in zip(frames, out, strict=True)]
    assert np.percentile(moved, 90) <= 2.5
    assert np.mean(untouched) > 0.7


def _moved_deg(judge: Landmarker, head: Head, before: Planes, after: Planes) -> float:
    faces = judge.find(before)
    again = judge.redetect(after, faces[0]) if faces else None
    first = judge.redetect(before, faces[0]) if faces else None
    if again is None or first is None:
        return 0.0
    looks = (estimate(first, head, before.y), estimate(again, head, after.y))
    assert looks[0] is not None
    assert looks[1] is not None
    return float(np.hypot(*np.subtract(looks[0].gaze_deg, looks[1].gaze_deg)))


@pytest.mark.slow
@pytest.mark.skipif(not CLIPS.is_dir(), reason="the real recordings are not at hand")
@pytest.mark.parametrize(
    ("clip", "first", "last"), [("05_woman_head_turns_blinks", 258, 273), ("07_woman_side_glances", 114, 122)]
)
def test_eyes_that_frown_or_squint_are_not_opened(clip: str, first: int, last: int, head: Head) -> None:
    """One frowns while her head is turned aside, the other narrows her eyes."""
    path = CLIPS / f"{clip}.mp4"
    found = calibration.calibrate(path)
    assert found is not None
    shown = islice(FrameReader(path, inspect(path).timeline.grid()), max(0, first - 60), last + 20)
    frames = {frame.index: copied(frame) for frame in shown}
    with Landmarker() as finder, Landmarker() as judge:
        stage = calibrated(finder, head, found)
        out = {frame.index: frame for frame in corrected(stage, map(copied, frames.values()))}
        opened = [_opening(judge, out[at]) - _opening(judge, frames[at]) for at in range(first, last + 1)]
    assert max(opened) < 0.08 * found.usual_opening


@pytest.mark.slow
@pytest.mark.skipif(not CLIPS.is_dir(), reason="the real recordings are not at hand")
def test_frames_in_which_a_ring_light_is_not_seen_are_measured_as_those_around_them(head: Head) -> None:
    """She looks into a ring light, which is not found in single frames after a look aside: they were lifted by 19°."""
    path = CLIPS / "06_woman_expressive_gaze_shifts.mp4"
    found = calibration.calibrate(path)
    assert found is not None
    frames = list(islice(FrameReader(path, inspect(path).timeline.grid()), 270, 340))
    results: list[FrameResult] = []
    with Landmarker() as finder:
        stage = calibrated(finder, head, found, on_result=results.append)
        corrected(stage, frames)
    assert len(results) == 70
    assert max(one.applied * float(np.hypot(*(one.off_deg or (0.0, 0.0)))) for one in results) < 10.0


def _opening(judge: Landmarker, frame: Planes) -> float:
    face = judge.find(frame)[0]
    return max(eye_of(face.points, side).opening for side in (0, 1))


@pytest.mark.slow
@pytest.mark.skipif(not CLIPS.is_dir(), reason="the real recordings are not at hand")
@pytest.mark.parametrize(
    ("clip", "least", "most"),
    [
        ("01_webcam_reading_woman", 0.5, 1.0),
        ("02_phone_selfie_man_glasses_9x16", 0.0, 0.05),  # in the lens, measured 4° beside it through glasses
        ("08_man_glasses_into_lens", 0.0, 0.08),
        ("12_man_standing_1080x1920", 0.0, 0.05),
        ("29_derived_no_face", 0.0, 0.0),
    ],
)
def test_real_recordings_are_corrected_or_left_alone(clip: str, least: float, most: float, tmp_path: Path) -> None:
    source = tmp_path / "in.mp4"
    films.ffmpeg("-i", CLIPS / f"{clip}.mp4", "-t", "9", "-c", "copy", source)  # one has 20 s
    result = runner.run("gaze", [str(source), str(tmp_path / "o.mp4")], deadline_s=300)
    assert least <= result["gaze"]["share"] <= most
