"""A broker that is closed leaves no thread behind."""

import threading
from collections.abc import Callable

from broker import SqliteBroker
from tests.support.waiting import wait_for


def test_a_broker_that_was_used_and_closed_leaves_no_thread(make_broker: Callable[..., SqliteBroker]) -> None:
    before = set(threading.enumerate())
    broker = make_broker()
    broker.declare_queue("default")
    broker.close()
    wait_for(lambda: set(threading.enumerate()) <= before, "the broker's threads to end")
