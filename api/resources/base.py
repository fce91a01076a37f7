"""Base class of the Falcon resources."""

from __future__ import annotations

from api.context import Context


class Resource:
    """A Falcon resource with the application's context.

    A subclass with `public = True` needs no authentication, one with `operator_only = True` a key of the default owner
    (`api.http.auth`).
    """

    def __init__(self, context: Context) -> None:
        self._context = context
