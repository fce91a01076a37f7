"""The mocks of the platforms, one package each, by the names of `platforms.registry`."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Protocol, cast

import falcon

from platforms import registry
from platforms.mock.state import MockState
from platforms.mock.storage import Record
from platforms.mock.upload_stream import UploadRequest, UploadTarget


class MockPlatform(Protocol):
    """The functions that the package of each mock platform has."""

    def add_routes(self, app: falcon.App[Any, Any], state: MockState) -> None:  # Any: falcon's request and response
        """Add the paths of the platform and of its logins."""

    def upload_target(self, state: MockState, request: UploadRequest) -> UploadTarget | None:
        """Return where the body of a request is stored; None when it is no upload to this platform.

        Raises:
            MockErrorResponse: the upload is not acceptable.
        """

    def posts(self, state: MockState) -> list[Record]:
        """Return all posts of the platform."""


MOCKS: Mapping[str, MockPlatform] = {
    name: cast(MockPlatform, import_module(f"platforms.mock.{name}")) for name in registry.NAMES
}
