"""The age of a heartbeat, on one machine that boots again and on several that share a server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from store import Store, heartbeats
from store.boot_clock import BootTime

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SINCE_BOOT_S = 86_400.0


@pytest.mark.parametrize(
    ("later_s", "age_s"), [(30.0, 30.0), (-2.0, 0.0)], ids=["same time", "clock of the other is ahead"]
)
def test_a_heartbeat_of_another_machine_is_as_old_as_the_wall_clock_says(
    postgresql: Store, later_s: float, age_s: float
) -> None:
    """A machine that has run for a day asks for the tick of one that booted at another time."""
    with postgresql.writing(scope="rows") as connection:
        heartbeats.record(connection, "scheduler", NOON, BootTime("of the other machine", 500.0))
    with postgresql.reading() as connection:
        found = heartbeats.age_s(
            connection, "scheduler", NOON + timedelta(seconds=later_s), BootTime("of this machine", SINCE_BOOT_S)
        )
    assert found == age_s


def test_a_heartbeat_before_the_boot_of_the_only_machine_is_as_old_as_the_boot_at_least(sqlite: Store) -> None:
    """Its wall clock may have been set back meanwhile."""
    with sqlite.writing(scope="rows") as connection:
        heartbeats.record(connection, "scheduler", NOON, BootTime("before", 500.0))
    with sqlite.reading() as connection:
        found = heartbeats.age_s(connection, "scheduler", NOON - timedelta(minutes=30), BootTime("after", 20.0))
    assert found == 20.0


def test_the_wall_clock_does_not_count_within_a_boot(engine: Store) -> None:
    with engine.writing(scope="rows") as connection:
        heartbeats.record(connection, "scheduler", NOON, BootTime("boot", 500.0))
    with engine.reading() as connection:
        found = heartbeats.age_s(connection, "scheduler", NOON + timedelta(hours=1), BootTime("boot", 510.0))
    assert found == 10.0
