"""Fork safety: open database files and other state must not be used in a forked child.

SQLite forbids using or even closing a connection inherited over a fork (sqlite.org/howtocorrupt.html, 2.6). Leaving it
alone is not enough: a child finds the file in SQLite's memory, takes the parent's locks for its own, and so holds none
(we saw its messages vanish with the WAL that the parent took away) or waits for one that was taken at that moment. So
files are closed before a fork; both sides open them anew when they need them.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import Protocol
from weakref import WeakSet

__all__ = ["Closable", "Forgetful", "close_before_forks", "forget_in_children"]


class Forgetful(Protocol):
    """Something that belongs to the process that made it."""

    def forget(self) -> None:
        """Drop what belongs to the parent without closing or releasing it; be as new. Runs in the child only."""


class Closable(Protocol):
    """Something that must not be open during a fork."""

    def close_for_fork(self, until_forked: ExitStack) -> None:
        """Close, and keep all threads from opening it again until `until_forked` is closed, in the parent."""


_owners: WeakSet[Forgetful] = WeakSet()
_closables: WeakSet[Closable] = WeakSet()
_until_forked = ExitStack()


def forget_in_children(owner: Forgetful) -> None:
    """Have `owner.forget()` called in every child that this process forks from now on."""
    _owners.add(owner)


def close_before_forks(closable: Closable) -> None:
    """Have it closed before every fork of this process from now on."""
    _closables.add(closable)


def _before_fork() -> None:
    for closable in list(_closables):
        closable.close_for_fork(_until_forked)


def _after_fork_in_parent() -> None:
    _until_forked.close()


def _after_fork_in_child() -> None:
    _until_forked.pop_all()  # the locks in it are the parent's; here they are made anew
    for owner in list(_owners):
        owner.forget()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
