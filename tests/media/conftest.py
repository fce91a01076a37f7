"""Small videos that several media tests share; generated once a session."""

from pathlib import Path

import pytest

from tests.media import films


@pytest.fixture(scope="session")
def clip_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the session's videos."""
    return tmp_path_factory.mktemp("films")


@pytest.fixture(scope="session")
def talk(clip_dir: Path) -> Path:
    """Return twenty seconds at 30 frames a second with B-frames, sound and an edit list, as most cameras write."""
    return films.write(clip_dir / "talk.mp4", films.at_rate(30, 600), sound=films.noise(20))


@pytest.fixture(scope="session")
def mute(clip_dir: Path) -> Path:
    """Return eight seconds without sound."""
    return films.write(clip_dir / "mute.mp4", films.at_rate(25, 200))
