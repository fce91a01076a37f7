"""Inspection: the waiting messages in their order, and the claimed ones by process."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import dramatiq
import pytest

from broker import SqliteBroker
from broker.__main__ import main as command
from tests.broker.conftest import working
from tests.support.waiting import TIMEOUT_S

ON_EVERY_ENGINE = True


def send(broker: SqliteBroker, number: int, *, delay: int | None = None, **options: object) -> None:
    broker.declare_queue("slow")
    broker.enqueue(dramatiq.Message("slow", "note", (number,), {}, dict(options)), delay=delay)


def test_peek_shows_what_waits_in_its_order(broker: SqliteBroker) -> None:
    send(broker, 1)
    send(broker, 2, broker_priority=1)
    send(broker, 4, delay=60_000)
    send(broker, 3, delay=30_000)
    waiting = broker.admin.peek("slow")
    assert [(*message.args, message.delayed) for message in waiting] == [(2, False), (1, False), (3, True), (4, True)]
    assert len(broker.admin.peek("slow", limit=1)) == 1
    assert len(broker.admin.peek("slow", limit=3)) == 3
    assert broker.admin.queue_stats()[0].ready == 2


def test_who_holds_what_is_seen_while_it_is_held(
    broker: SqliteBroker, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun, go = threading.Event(), threading.Event()

    @dramatiq.actor
    def hold() -> None:
        begun.set()
        go.wait(TIMEOUT_S)

    with working(broker):
        message = hold.send()
        assert begun.wait(TIMEOUT_S)
        [held] = broker.admin.held_messages()
        assert command([str(path), "who"]) == 0
        go.set()
        broker.join("default", timeout=5000)
    assert (held.message_id, held.actor, held.pid, held.attempts) == (message.message_id, "hold", os.getpid(), 1)
    assert held.since is not None
    assert abs(held.since.timestamp() - time.time()) < 10
    assert message.message_id in capsys.readouterr().out
    assert broker.admin.held_messages() == []


def test_the_command_peeks(broker: SqliteBroker, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    send(broker, 41)
    assert command([str(path), "peek", "slow"]) == 0
    assert "note(41)" in capsys.readouterr().out
