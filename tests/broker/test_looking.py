"""Looking inside: what waits in which order, who holds what, and moving it elsewhere."""

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


def send(broker: SqliteBroker, number: int, *, delay: int | None = None, **options: object) -> None:
    broker.declare_queue("slow")
    broker.enqueue(dramatiq.Message("slow", "note", (number,), {}, dict(options)), delay=delay)


def test_peek_shows_what_waits_in_its_order(broker: SqliteBroker) -> None:
    send(broker, 1, expires_in=60_000)
    send(broker, 2, broker_priority=1)
    send(broker, 4, delay=60_000)
    send(broker, 3, delay=30_000)
    waiting = broker.peek("slow")
    assert [(*message.args, message.delayed) for message in waiting] == [(2, False), (1, False), (3, True), (4, True)]
    assert [message.expires_at is None for message in waiting] == [True, False, True, True]
    assert len(broker.peek("slow", limit=1)) == 1
    assert len(broker.peek("slow", limit=3)) == 3
    assert broker.queue_stats()[0].ready == 2


def test_who_holds_what_is_seen_while_it_is_held(
    broker: SqliteBroker, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun, go = threading.Event(), threading.Event()

    @dramatiq.actor
    def hold() -> None:
        begun.set()
        go.wait(10)

    with working(broker):
        message = hold.send()
        assert begun.wait(5)
        [held] = broker.held_messages()
        assert command([str(path), "who"]) == 0
        go.set()
        broker.join("default", timeout=5000)
    assert (held.message_id, held.actor, held.pid, held.attempts) == (message.message_id, "hold", os.getpid(), 1)
    assert held.since is not None
    assert abs(held.since.timestamp() - time.time()) < 10
    assert message.message_id in capsys.readouterr().out
    assert broker.held_messages() == []


def test_a_moved_queue_is_worked_off_in_its_old_order(broker: SqliteBroker, path: Path) -> None:
    seen: list[int] = []

    @dramatiq.actor(queue_name="quick")
    def note(number: int) -> None:
        seen.append(number)

    operator = SqliteBroker(path)
    for number in (1, 2, 3):
        send(operator, number)
    send(operator, 4, delay=300)
    with working(broker, threads=1):
        assert operator.move("slow", "quick") == 4
        broker.join("quick", timeout=5000)
    assert seen == [1, 2, 3, 4]
    operator.close()


def test_more_than_are_moved_at_once_are_all_moved(broker: SqliteBroker) -> None:
    broker.declare_queue("slow")
    broker.enqueue_many([dramatiq.Message("slow", "note", (), {}, {}) for _ in range(2500)])
    assert broker.move("slow", "quick") == 2500
    assert [(stats.queue, stats.ready) for stats in broker.queue_stats()] == [("quick", 2500), ("slow", 0)]
    with pytest.raises(ValueError, match="itself"):
        broker.move("slow", "slow.DQ")


def test_the_command_peeks_and_moves(broker: SqliteBroker, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    send(broker, 41)
    assert command([str(path), "peek", "slow"]) == 0
    assert "note(41)" in capsys.readouterr().out
    assert command([str(path), "move", "slow", "quick"]) == 0
    assert capsys.readouterr().out == "1 moved\n"
    assert command([str(path), "move", "slow", "slow"]) == 2
