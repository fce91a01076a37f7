"""One browser for all tests of the pages, reset between them, and a new stand-in API for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.frontend.browser import DESKTOP, Browser, browser, chromedriver, require_chromedriver
from tests.frontend.stand_in import StandIn, serving


@pytest.fixture(scope="session")
def window() -> Iterator[Browser]:
    require_chromedriver()
    with chromedriver() as driver_url, browser(driver_url) as opened:
        yield opened


@pytest.fixture
def page(window: Browser, api: StandIn) -> Iterator[Browser]:
    """A desktop browser without memory; at the end of the test its console must hold no error and no warning.

    It leaves the page before the stand-in ends, so that nothing is cut off in mid-request.
    """
    window.reset().show_on(DESKTOP)
    yield window
    complaints = window.complaints()
    window.leave()
    assert complaints == []


@pytest.fixture
def api() -> Iterator[StandIn]:
    with serving(StandIn()) as state:
        yield state


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A file with the name of a video. Its content does not matter to the page."""
    path = tmp_path / "talk.mp4"
    path.write_bytes(bytes(300_000))
    return path
