"""One chromedriver for all tests of the pages, one fresh browser and one stand-in API for each."""

from collections.abc import Iterator

import pytest

from tests.frontend.browser import DESKTOP, Browser, browser, chromedriver, require_chromedriver
from tests.frontend.stand_in import StandIn, serving


@pytest.fixture(scope="session")
def driver_url() -> Iterator[str]:
    require_chromedriver()
    with chromedriver() as url:
        yield url


@pytest.fixture
def page(driver_url: str) -> Iterator[Browser]:
    """A desktop browser; at the end of the test it must have nothing to complain about."""
    with browser(driver_url) as window:
        window.show_on(DESKTOP)
        yield window
        assert window.complaints() == []


@pytest.fixture
def api() -> Iterator[StandIn]:
    with serving(StandIn()) as state:
        yield state
