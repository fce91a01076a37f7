"""open_windows: the tick each minute that lets publications go as time passes; it carries nothing."""

from __future__ import annotations

import dramatiq
from periodiq import cron

from actors import wiring
from actors.flow.scheduling import release
from store import schedules


@dramatiq.actor(queue_name="ticks", periodic=cron("* * * * *"), max_retries=0)
def open_windows() -> None:
    """Leave the scheduler's sign of life and let go what may go now."""
    with wiring.machine.store.writing() as connection:
        schedules.mark(connection, "scheduler", wiring.machine.now())
        release(wiring.machine, connection)
