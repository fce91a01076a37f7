"""Files of the kinds that people send: the right pictures and the right sound in every part cut from them."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from media.inspection import inspect
from media.sound import Soundtrack
from media.source import Reel
from tests.media import films

RATE = 30
BITS, CELL, FIRST_X, MIDDLE_Y = 12, 25, 37, 332  # the white squares that say a picture's number, the lowest first
WHOLE = range(420)


def number_in(luma: NDArray[np.uint8]) -> int:
    row = luma[MIDDLE_Y - 3 : MIDDLE_Y + 3]
    cells = (row[:, FIRST_X + CELL * bit - 3 : FIRST_X + CELL * bit + 3].mean() for bit in range(BITS))
    return sum((cell > 125) << bit for bit, cell in enumerate(cells))


def numbers_of(path: Path, parts: int) -> list[int]:
    whole = inspect(path).timeline
    grid = whole.grid()
    cuts = [grid.total * part // parts for part in range(parts + 1)]
    spans = [whole.span(grid, first, end - first) for first, end in pairwise(cuts)]
    return [number_in(planes.y) for span in spans for planes in Reel(path, span)]


def sound_of(path: Path, first_s: float) -> NDArray[np.float32]:
    """Return three seconds of the first channel, from a time on the film's own clock."""
    whole = inspect(path).timeline
    span = whole.span(whole.grid(), round(first_s * RATE), 3 * RATE)
    return np.concatenate([block[0] for block in Soundtrack(path, span)])


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("trim_a.mp4", range(225, 420)),
        ("trailer.mp4", WHOLE),
        ("crlf.mp4", WHOLE),
        ("mdat_long.mp4", WHOLE),
        ("styp_first.mp4", WHOLE),
        ("elst0.mp4", WHOLE),
        ("offset50h.webm", range(210)),
    ],
)
def test_every_part_shows_its_pictures(name: str, shown: range, recorded: Path) -> None:
    assert list(shown) == numbers_of(recorded / name, 3)


@pytest.mark.parametrize(("name", "later_s"), [("trim_a.mp4", 7.5), ("elst0.mp4", 0), ("trailer.mp4", 0)])
@pytest.mark.parametrize("first_s", [0, 3])
def test_the_sound_is_where_the_pictures_are(name: str, later_s: float, first_s: float, recorded: Path) -> None:
    """The same talk as in a file without edits; what is trimmed away is not heard."""
    heard, original = sound_of(recorded / name, first_s), sound_of(recorded / "crlf.mp4", first_s + later_s)
    assert abs(films.lag_of(heard, original)) < 100


@pytest.mark.parametrize(("name", "seconds", "codec"), [("mvhevc.mov", 4.0, "hevc"), ("p3.mp4", 3.5, "hevc")])
def test_other_kinds_are_taken(name: str, seconds: float, codec: str, recorded: Path) -> None:
    found = inspect(recorded / name).facts
    assert (found.duration_s, found.video_codec, found.rotation) == (seconds, codec, 0)
