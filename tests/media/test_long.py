"""The longest and largest accepted videos stay within the memory limit, or are refused before they are rendered."""

import json
from pathlib import Path

import pytest

from media.process import runner
from media.reading.spans import Span
from tests.media import films

SMALL_MACHINE, WORKER = 235 << 20, 330 << 20  # what a child has on a machine of 512 MB, and what it may take elsewhere


def four_k(path: Path, *codec: str, rate: int = 4, pixels: str = "yuv420p") -> Path:
    films.ffmpeg("-f", "lavfi", "-i", f"testsrc2=s=2160x3840:r={rate}:d=3.5", "-pix_fmt", pixels, *codec, path)
    return path


def test_four_k_of_ten_bits_is_refused_on_a_small_machine_only(tmp_path: Path) -> None:
    source = four_k(
        tmp_path / "in.mp4", "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error",
        rate=1, pixels="yuv420p10le",
    )  # fmt: skip
    with pytest.raises(runner.Refused, match=r"2160 x 3840 as yuv420p10le take 29\d MB .* has 235 MB") as refusal:
        runner.run("plan", [str(source)], deadline_s=60, memory_bytes=SMALL_MACHINE)
    assert refusal.value.code == "too_big_for_this_machine"
    assert runner.run("plan", [str(source)], deadline_s=60, memory_bytes=WORKER)["facts"]["height"] == 3840


@pytest.mark.slow
def test_four_k_at_sixty_is_rendered_in_a_worker_s_memory(tmp_path: Path) -> None:
    source = four_k(tmp_path / "in.mp4", "-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", rate=60)
    result = runner.run("split", [str(source), str(tmp_path / "out")], deadline_s=120, memory_bytes=WORKER)
    assert [(part["frames"], part["width"], part["height"]) for part in result["parts"]] == [(210, 1080, 1920)]


@pytest.mark.slow
def test_three_hours_are_planned_on_a_small_machine(tmp_path: Path) -> None:
    minute, source = tmp_path / "minute.mp4", tmp_path / "in.mp4"
    films.ffmpeg(
        "-f", "lavfi", "-i", "color=gray:s=64x36:r=30:d=60", "-f", "lavfi", "-i",
        "sine=f=300:r=8000:d=60,volume='if(lt(mod(t,7),1),0,1)':eval=frame", "-c:v", "libx264",
        "-preset", "ultrafast", "-g", "60", "-bf", "0", "-c:a", "aac", minute,
    )  # fmt: skip
    films.ffmpeg("-stream_loop", "178", "-i", minute, "-c", "copy", source)
    plan = runner.run("plan", [str(source), "--intensity", "0.8"], deadline_s=120, memory_bytes=SMALL_MACHINE)
    spans = [Span.from_json(part["span"]) for part in plan["spans"]]
    assert [span.first + span.frames for span in spans] == [*(span.first for span in spans[1:]), spans[-1].total]
    assert spans[-1].total == pytest.approx(30 * 60 * 179, abs=179 * 5)  # a joint is as long as the longer track
    assert {part["cut_reason"] for part in plan["spans"]} == {"pause", "end"}
    last = runner.run(
        "gaze", [str(source), str(tmp_path / "last.mp4"), "--intensity", "0", f"--span={_json(spans[-1])}"],
        deadline_s=60, memory_bytes=SMALL_MACHINE,
    )  # fmt: skip
    assert last["frames"] == spans[-1].frames


def _json(span: Span) -> str:
    return json.dumps(span.to_json())
