"""SceneChanges of scene are found where they are, and quick motion is not taken for one."""

from fractions import Fraction
from pathlib import Path

import pytest

from media.cutting.cuts import Cut, Pause, choose
from media.cutting.scenes import SceneChanges
from media.reading.inspection import inspect
from media.stages.plan import partition
from tests.media import films

RATE_30 = Fraction(30)
RATE, SCENES = 25, (0, 83, 190, 260)  # the last one ends at 325


@pytest.fixture(scope="module")
def scenes(clip_dir: Path) -> Path:
    """Return thirteen seconds of four moving scenes, as an editor exports them: regular key frames and no more."""
    path = clip_dir / "scenes.mp4"
    lengths = [(after - first) / RATE for first, after in zip(SCENES, (*SCENES[1:], 325), strict=True)]
    kinds = ["testsrc2=", "mandelbrot=start_scale=0.2:", "testsrc=decimals=2:", "cellauto="]
    sources = [
        word
        for kind, length in zip(kinds, lengths, strict=True)
        for word in ("-f", "lavfi", "-t", f"{length}", "-i", f"{kind}s=320x180:r={RATE}")
    ]
    joined = "".join(f"[{n}:v]format=yuv420p,setsar=1[v{n}];" for n in range(4)) + "[v0][v1][v2][v3]concat=n=4:v=1"
    films.ffmpeg(
        *sources, "-filter_complex", joined, "-preset", "ultrafast", "-g", "50", "-sc_threshold", "0", "-bf", "2", path
    )
    return path


def test_every_change_is_found_to_the_frame(scenes: Path) -> None:
    changes = SceneChanges(scenes, inspect(scenes).timeline)
    assert [*SCENES[1:]] == changes.between(0, 324)
    assert changes.between(100, 189) == []


def test_an_encoder_that_sees_the_changes_itself_hides_none(scenes: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.mp4"
    films.ffmpeg("-i", scenes, "-preset", "ultrafast", "-g", "250", "-bf", "0", again)
    assert [*SCENES[1:]] == SceneChanges(again, inspect(again).timeline).between(0, 324)


def test_a_talk_filmed_in_one_go_has_none(clips: Path) -> None:
    clip = clips / "12_man_standing_1080x1920.mp4"
    changes = SceneChanges(clip, inspect(clip).timeline)
    assert changes.between(0, 10_000) == []


def test_a_film_without_sound_is_cut_where_the_scene_changes(scenes: Path) -> None:
    parts = partition(scenes, inspect(scenes), 9, exact=False, progress=lambda share: None)
    assert [(part.span.frames, part.cut_reason) for part in parts] == [(190, "scene"), (135, "end")]


def test_a_change_within_a_pause_is_the_best_cut() -> None:
    def scenes(first: int, last: int) -> list[int]:
        return [tick for tick in (1400, 1660) if first <= tick <= last]

    longer, with_change = Pause(50, 50.8), Pause(55.2, 55.6)
    cuts = choose(90 * 30, RATE_30, 60, [longer, with_change], scenes=scenes)
    assert cuts[0] == Cut(0, 1660, "scene")


def test_a_change_in_the_middle_of_speech_gives_way_to_a_pause() -> None:
    cuts = choose(90 * 30, RATE_30, 60, [Pause(20, 21)], scenes=lambda first, last: [t for t in (1700,) if t <= last])
    assert cuts[0] == Cut(0, 615, "pause")
