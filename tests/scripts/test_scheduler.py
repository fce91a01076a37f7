"""The scheduler goes on while ticks cannot be written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dramatiq
import pytest
from periodiq import PeriodiqMiddleware, cron

from broker import DatabaseReplaced, SqliteBroker
from scripts.machine.scheduler import TickScheduler
from tests.support.lock_holder import holding_lock

Tick = dramatiq.Actor[..., object]
MINUTE = "2026-01-01T00:{:02}:00+00:00"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[SqliteBroker]:
    earlier = SqliteBroker(tmp_path / "queue.sqlite3")  # creates the tables
    earlier.declare_queue("default")
    earlier.get_queue_message_counts("default")
    earlier.close()
    made = SqliteBroker(tmp_path / "queue.sqlite3", if_replaced="refuse")
    made.write_lock.timeout_s = 0.2
    made.add_middleware(PeriodiqMiddleware())
    yield made
    made.close()


@pytest.fixture
def ticks(broker: SqliteBroker) -> list[Tick]:
    """Return two periodic actors."""

    def nothing() -> None:
        pass

    return [
        dramatiq.actor(broker=broker, actor_name=name, periodic=cron("* * * * *"))(nothing)
        for name in ("first", "second")
    ]


def test_ticks_are_left_out_while_the_lock_is_held_and_follow_afterwards(
    broker: SqliteBroker, ticks: list[Tick], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scheduler = TickScheduler(ticks)
    scheduler.send_actors(ticks, MINUTE.format(0))
    with holding_lock(tmp_path / "queue.sqlite3"):
        scheduler.send_actors(ticks, MINUTE.format(1))
    scheduler.send_actors(ticks, MINUTE.format(2))
    assert broker.get_queue_message_counts("default")[0] == 4
    assert len([record for record in caplog.records if "left out" in record.getMessage()]) == 1


def test_a_replaced_database_ends_the_scheduler(broker: SqliteBroker, ticks: list[Tick], tmp_path: Path) -> None:
    scheduler = TickScheduler(ticks)
    scheduler.send_actors(ticks, MINUTE.format(0))
    for file in tmp_path.glob("queue.sqlite3*"):
        if file.is_file():
            file.unlink()
    with pytest.raises(DatabaseReplaced):
        scheduler.send_actors(ticks, MINUTE.format(1))
    assert broker.get_declared_queues() >= {"default"}
