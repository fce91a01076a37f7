"""One landmark engine and one portrait for all tests of the gaze."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import pytest

from media.gaze.face import model
from media.gaze.face.faces import Mode
from media.gaze.face.landmarks import Landmarker
from media.sample import film
from media.sample.portrait import Portrait
from tests.media import films


@pytest.fixture(scope="session")
def portrait() -> Portrait:
    return Portrait()


@pytest.fixture(scope="session")
def head() -> model.Head:
    return model.average_head(model.locate())


@pytest.fixture
def finder() -> Iterator[Landmarker]:
    with Landmarker() as engine:
        yield engine


@pytest.fixture(scope="session")
def sparse_finder() -> Iterator[Landmarker]:
    with Landmarker(mode=Mode.SPARSE) as engine:
        yield engine


@pytest.fixture(scope="session")
def reading(clip_dir: Path) -> Path:
    """Seven seconds of the sample clip at half size: half of them into the lens, half beside it."""
    target = clip_dir / "reading.mp4"
    film.film(argparse.Namespace(target=target, seconds=7.0, width=540), lambda _: None)
    return target


@pytest.fixture(scope="session")
def glance(reading: Path, clip_dir: Path) -> Path:
    """The first five seconds of it, for tests of the child in which only some frames have to be corrected."""
    target = clip_dir / "glance.mp4"
    films.ffmpeg("-i", reading, "-t", "5", "-c", "copy", target)
    return target
