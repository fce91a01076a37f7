"""The page of the real API, for tests that show that both agree."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from api.context import Context
from tests.api.conftest import KEY, serving
from tests.frontend.browser import Browser


@contextmanager
def signed_in(window: Browser, context: Context, path: str = "", shows: str = "#view-new") -> Iterator[Browser]:
    """Serve the API, sign in at one of its pages, and wait for what it shows."""
    window.reset()
    with serving(context) as root:
        window.open(f"{root}/{path}")
        window.fill("#key", KEY)
        window.click("#sign-in button")
        window.find(shows)
        yield window
        window.leave()
