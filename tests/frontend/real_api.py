"""The page of the real API, for tests that show that both agree."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from api.context import Context
from tests.api.conftest import KEY, connect, serving
from tests.frontend.browser import Browser
from tests.support.clock import Clock


@contextmanager
def signed_in(
    window: Browser, context: Context, path: str = "", shows: str = "#view-new", key: str = KEY
) -> Iterator[Browser]:
    """Serve the API, sign in at one of its pages, and wait for what it shows."""
    window.reset()
    with serving(context) as root:
        window.open(f"{root}/{path}")
        window.fill("#key", key)
        window.click("#sign-in button")
        window.find(shows)
        yield window
        window.leave()


@pytest.fixture
def real(window: Browser, context: Context, clock: Clock) -> Iterator[Browser]:
    """The page of the real API with a YouTube account, signed in."""
    clock.moment = datetime.now(UTC)
    connect(context, "youtube")
    with signed_in(window, context) as opened:
        yield opened
