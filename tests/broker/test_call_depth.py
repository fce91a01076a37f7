"""The number and the depth of Python function calls of one `enqueue` and one `ack`, so that they stay small.

Counted by a profile function: calls of functions in `broker/`, and calls of all Python functions (dramatiq's and the
standard library's below ours, generated `__init__`, generators). Calls of C functions are not counted.
"""

from __future__ import annotations

import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import pytest

import broker as package
from broker import SqliteBroker
from tests.broker.conftest import message_to

OURS = str(Path(package.__file__).parent)


@dataclass
class Calls:
    """The calls of one thread."""

    count: int = 0
    deepest: int = 0
    depth: int = 0

    def begin(self) -> None:
        self.count += 1
        self.depth += 1
        self.deepest = max(self.deepest, self.depth)

    def end(self) -> None:
        self.depth = max(0, self.depth - 1)


class Profile:
    """Counts the calls of all threads that it is set for, while it is on for them."""

    def __init__(self) -> None:
        self._on: dict[int, bool] = {}  # by thread
        self._writer_too = False
        self.ours: dict[int, Calls] = defaultdict(Calls)  # by thread
        self.all: dict[int, Calls] = defaultdict(Calls)

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        thread = threading.get_ident()
        if event == "call" and self._writer_too and frame.f_code.co_qualname == "Writer._commit_group":
            self._writer_too, self._on[thread] = False, True
            self.ours[thread].depth = self.all[thread].depth = 1  # below `_run`
        if not self._on.get(thread) or event not in {"call", "return"}:
            return
        counted = [self.all[thread]]
        if frame.f_code.co_filename.startswith(OURS):
            counted.append(self.ours[thread])
        for calls in counted:
            calls.begin() if event == "call" else calls.end()
        if event == "return" and frame.f_code.co_qualname == "WriteRequest.set_result":
            self._on[thread] = False  # what the writer does afterwards belongs to no request

    def of(self, work: Callable[[], object]) -> None:
        """Count while this thread does the work, and on the writer's thread the next commit of a group."""
        self._writer_too = True
        self._on[threading.get_ident()] = True
        sys.setprofile(self)
        try:
            work()
        finally:
            sys.setprofile(None)
            self._on[threading.get_ident()] = False


@pytest.fixture
def profile() -> Iterator[Profile]:
    """Set for all threads that start in the test."""
    profile = Profile()
    threading.setprofile(profile)
    yield profile
    threading.setprofile(None)
    sys.setprofile(None)


@contextmanager
def opened(path: Path) -> Iterator[SqliteBroker]:
    broker = SqliteBroker(path, middleware=[])
    broker.declare_queue("default")
    broker.enqueue(message_to("default"))
    yield broker
    broker.close()


def test_enqueue_on_an_open_broker_is_short_and_shallow(path: Path, profile: Profile) -> None:
    """24 calls of ours, 6 deep; 37 of all, 9 deep, of which JSON is the deepest."""
    with opened(path) as broker:
        message = message_to("default")
        profile.of(lambda: broker.enqueue(message))
    ours, every = profile.ours[threading.get_ident()], profile.all[threading.get_ident()]
    assert 0 < ours.count <= 25
    assert ours.deepest <= 6
    assert every.count <= 40
    assert every.deepest <= 10


def test_ack_is_short_and_shallow_on_both_threads(path: Path, profile: Profile) -> None:
    """The thread that acknowledges submits a request and waits; the writer's thread commits it."""
    with opened(path) as broker:
        consumer = broker.consume("default", timeout=5000)
        message = next(consumer)
        assert message is not None
        profile.of(lambda: consumer.ack(message))
        consumer.close()
    me = threading.get_ident()
    [writer] = set(profile.ours) - {me}
    assert 0 < profile.ours[me].count <= 12
    assert profile.ours[me].deepest <= 7
    assert 0 < profile.ours[writer].count <= 40
    assert profile.ours[writer].deepest <= 7
