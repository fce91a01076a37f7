"""Small films that several tests of the workshop look at; made once a session, in seconds."""

from pathlib import Path

import pytest

from tests.media import films


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the session's films."""
    return tmp_path_factory.mktemp("films")


@pytest.fixture(scope="session")
def talk(shelf: Path) -> Path:
    """Return twenty seconds at 30 frames a second with B-frames, sound and an edit list, as most cameras write."""
    return films.write(shelf / "talk.mp4", films.at_rate(30, 600), sound=films.noise(20))


@pytest.fixture(scope="session")
def mute(shelf: Path) -> Path:
    """Return eight seconds without sound."""
    return films.write(shelf / "mute.mp4", films.at_rate(25, 200))
