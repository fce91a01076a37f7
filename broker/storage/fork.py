"""Fork safety: open database files and other state must not be used in a forked child.

SQLite forbids using or even closing a connection inherited over a fork (sqlite.org/howtocorrupt.html, 2.6). Leaving it
alone is not enough: a child finds the file in SQLite's memory, takes the parent's locks for its own, and so holds none
(we saw its messages vanish with the WAL that the parent took away) or waits for one that was taken at that moment. So
files are closed before a fork; both sides open them anew when they need them.

A child drops what the parent has made as a whole (the engine with its writer, claims and lease) and closes its copies
of the descriptors in one list. An open copy would keep a dead parent's lease locked.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from typing import Protocol
from weakref import WeakSet

__all__ = [
    "Closable",
    "Resettable",
    "close_before_forks",
    "close_descriptor",
    "close_in_children",
    "keep_in_children",
    "reset_in_children",
]


class Resettable(Protocol):
    """An object that is used in the parent and in the child of a fork."""

    def reset_after_fork(self) -> None:
        """Drop the parent's state without closing or releasing it. Runs in the child only."""


class Closable(Protocol):
    """An object that must not have open files during a fork."""

    def close_for_fork(self, until_forked: ExitStack) -> None:
        """Close the files, and block threads that open them until `until_forked` is closed, in the parent."""


_resettables: WeakSet[Resettable] = WeakSet()
_closables: WeakSet[Closable] = WeakSet()
_descriptors: set[int] = set()  # changed by single operations only, which need no lock
_until_forked = ExitStack()


def reset_in_children(resettable: Resettable) -> None:
    """Have an object reset in every child that this process forks from now on."""
    _resettables.add(resettable)


def close_before_forks(closable: Closable) -> None:
    """Have an object closed before every fork of this process from now on."""
    _closables.add(closable)


def close_in_children(fd: int) -> int:
    """Have a child close its copy of a descriptor; returns the descriptor. Close it with `close_descriptor`."""
    _descriptors.add(fd)
    return fd


def close_descriptor(fd: int) -> None:
    """Close a descriptor of `close_in_children`. Its number may be used again from then on."""
    _descriptors.discard(fd)
    os.close(fd)


def keep_in_children(fd: int) -> None:
    """Undo `close_in_children` for a descriptor that its owner closes otherwise."""
    _descriptors.discard(fd)


def _before_fork() -> None:
    for closable in list(_closables):
        closable.close_for_fork(_until_forked)


def _after_fork_in_parent() -> None:
    _until_forked.close()


def _after_fork_in_child() -> None:
    _until_forked.pop_all()  # its locks belong to objects that are dropped or reset here
    for fd in _descriptors:
        with suppress(OSError):
            os.close(fd)
    _descriptors.clear()
    for resettable in list(_resettables):
        resettable.reset_after_fork()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
