"""Real kinds of files whose sound was once handled wrongly; they lie beside a developer's checkout."""

from pathlib import Path

import numpy as np
import pytest

from media import pauses
from media.facts import MediaWarning
from media.inspection import inspect
from media.planning import partition
from media.sound import Soundtrack

SILENCES = [(4.0, 4.6), (9.2, 9.8)]


@pytest.fixture
def real() -> Path:
    """Return the folder of real kinds of files, or skip."""
    folder = Path(__file__).resolve().parents[3] / "shared" / "failing" / "media"
    if not folder.is_dir():
        pytest.skip("the real kinds of files lie beside a developer's checkout only")
    return folder


@pytest.mark.parametrize("name", ["tmcd.mp4", "iphone.mov", "rec_vp8.webm"])
def test_they_are_cut_in_their_silences(name: str, real: Path) -> None:
    found = inspect(real / name)
    parts = partition(real / name, found, 6, exact=False, progress=lambda share: None)
    assert [part.cut_reason for part in parts] == ["pause", "pause", "end"]
    for part, (start_s, end_s) in zip(parts[1:], SILENCES, strict=True):
        assert start_s <= part.span.start_s <= end_s


def test_a_hole_in_the_time_stamps_stays_where_it_is(real: Path) -> None:
    path = real / "gap2.mp4"
    found = pauses.find(path, inspect(path).timeline.grid(), lambda share: None)
    starts = [pause.start_s for pause in found if pause.start_s > 2]
    assert starts == pytest.approx([3.0, 8.7, 10.6, 12.2, 14.0, 15.6], abs=0.06)
    assert found[1].end_s == pytest.approx(8.0, abs=0.06)


@pytest.mark.parametrize(
    ("name", "channels"), [("layout_FC_FC.mov", 2), ("layout_FR_FL.mov", 2), ("ambi.mkv", 1), ("mulaw.mov", 1)]
)
def test_every_channel_is_heard(name: str, channels: int, real: Path) -> None:
    found = inspect(real / name)
    sound = np.concatenate(list(Soundtrack(real / name, found.timeline.grid())), axis=1)
    assert found.facts.warnings == ()
    assert len(sound) == channels
    assert all(np.std(channel) > 0.01 for channel in sound)


def test_sound_in_a_codec_that_nobody_reads_is_said(real: Path) -> None:
    facts = inspect(real / "apac_only.mov").facts
    assert (facts.audio, facts.warnings) == (None, (MediaWarning.SOUND_UNREADABLE,))
