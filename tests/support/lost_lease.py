"""A thread whose worker has lost its lease, so that its requests end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from platforms.http import fencing
from platforms.http.fencing import Fence

__all__ = ["Fenced", "lease_lost"]


class Fenced(BaseException):
    """Raised by a fence; as the exception of the broker, it is no error that anything catches."""


@contextmanager
def lease_lost() -> Iterator[None]:
    """Let the fence of this thread refuse everything in a block."""
    before = fencing.current()
    fencing.use(Fence(_refuse))
    try:
        yield
    finally:
        fencing.use(before)


def _refuse() -> None:
    raise Fenced
