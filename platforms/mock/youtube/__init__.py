"""The mock of YouTube and Google."""

from __future__ import annotations

from typing import Any

import falcon

from platforms.mock.state import MockState
from platforms.mock.youtube import app as _app
from platforms.mock.youtube import login as _login
from platforms.mock.youtube.app import posts, upload_target

__all__ = ["add_routes", "posts", "upload_target"]


def add_routes(app: falcon.App[Any, Any], state: MockState) -> None:  # Any: falcon's own request and response types
    """Add the paths of the platform and of its login."""
    _app.add_routes(app, state)
    _login.add_routes(app, state)
