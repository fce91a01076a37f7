"""The scheduler sends its ticks each minute, whatever happens to the clock, and goes on while none can be written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dramatiq
import pytest
from periodiq import PeriodiqMiddleware, cron

from broker import DatabaseReplaced, SqliteBroker
from scripts.machine.scheduler import STUCK_S, TickScheduler
from tests.support.lock_holder import holding_lock

MIDNIGHT = datetime(2026, 1, 1, tzinfo=UTC)


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


class Clocks:
    """The clocks of a scheduler."""

    def __init__(self) -> None:
        self.now, self.monotonic_s = MIDNIGHT, 100.0


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def scheduler(broker: SqliteBroker, clocks: Clocks) -> TickScheduler:
    """Return one with an actor of each minute and one of each fifth."""

    def nothing() -> None:
        pass

    actors: list[dramatiq.Actor[..., object]] = [
        dramatiq.actor(broker=broker, actor_name=name, periodic=cron(when))(nothing)
        for name, when in (("minutely", "* * * * *"), ("fifth", "*/5 * * * *"))
    ]
    return TickScheduler(actors, now=lambda: clocks.now, monotonic=lambda: clocks.monotonic_s)


@pytest.fixture
def sent(broker: SqliteBroker) -> Callable[[], int]:
    """Return a function that returns the number of ticks since the start."""
    return lambda: broker.get_queue_message_counts("default")[0]


def test_each_minute_has_its_ticks_once(scheduler: TickScheduler, clocks: Clocks, sent: Callable[[], int]) -> None:
    for second in range(601):
        clocks.now = MIDNIGHT + timedelta(seconds=second, microseconds=second)
        scheduler.turn()
    assert sent() == 11 + 3


@pytest.mark.parametrize("jump", [timedelta(days=-400), timedelta(days=400), timedelta(minutes=-1)])
def test_a_clock_that_is_set_stops_no_tick(
    scheduler: TickScheduler, clocks: Clocks, sent: Callable[[], int], jump: timedelta
) -> None:
    clocks.now = MIDNIGHT + timedelta(minutes=2)
    scheduler.turn()
    clocks.now += jump
    scheduler.turn()
    clocks.now += timedelta(minutes=1)
    scheduler.turn()
    assert sent() >= 2 + (jump != timedelta(minutes=-1))  # a minute that comes again has its ticks already


def test_ticks_are_left_out_while_the_lock_is_held_and_follow_afterwards(
    scheduler: TickScheduler, clocks: Clocks, sent: Callable[[], int], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scheduler.turn()
    assert sent() == 2
    with holding_lock(tmp_path / "queue.sqlite3"):
        clocks.now += timedelta(minutes=5)
        scheduler.turn()
    clocks.now += timedelta(minutes=5)
    scheduler.turn()
    assert sent() == 4
    assert len([record for record in caplog.records if "left out" in record.getMessage()]) == 1


def test_a_replaced_database_ends_the_scheduler(scheduler: TickScheduler, clocks: Clocks, tmp_path: Path) -> None:
    scheduler.turn()
    for file in tmp_path.glob("queue.sqlite3*"):
        if file.is_file():
            file.unlink()
    clocks.now += timedelta(minutes=1)
    with pytest.raises(DatabaseReplaced):
        scheduler.turn()


def test_a_loop_that_stands_still_is_told_to_the_supervisor(scheduler: TickScheduler, clocks: Clocks) -> None:
    scheduler.turn()
    clocks.monotonic_s += STUCK_S
    assert scheduler.stuck() is None
    clocks.monotonic_s += 1
    assert "stood still for 121 s" in str(scheduler.stuck())
    scheduler.turn()
    assert scheduler.stuck() is None
