"""What a forked child must forget: connections, threads, locks and file descriptors of its parent.

SQLite forbids using or even closing a connection inherited over a fork (sqlite.org/howtocorrupt.html, 2.6), and a
child that kept the parent's lease would keep a dead parent alive. Objects that own such things register here.
"""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet

__all__ = ["Forgetful", "forget_in_children"]


class Forgetful(Protocol):
    """Something that belongs to the process that made it."""

    def forget(self) -> None:
        """Drop what belongs to the parent without closing or releasing it; be as new. Runs in the child only."""


_owners: WeakSet[Forgetful] = WeakSet()


def forget_in_children(owner: Forgetful) -> None:
    """Have `owner.forget()` called in every child that this process forks from now on."""
    _owners.add(owner)


def _after_fork_in_child() -> None:
    for owner in list(_owners):
        owner.forget()


os.register_at_fork(after_in_child=_after_fork_in_child)
