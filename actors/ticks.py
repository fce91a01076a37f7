"""The periodic actors, which periodiq sends and the scheduler process carries out. They send the slow work on."""

from __future__ import annotations

import dramatiq
from periodiq import PeriodiqMiddleware, cron

from actors import wiring
from actors.flow import retention, scheduling, tokens
from actors.recovery import backups, stuck_work

# Here and not where the broker is made: the API imports neither this module nor periodiq, which takes 2 MB.
wiring.machine.broker.add_middleware(PeriodiqMiddleware(skip_delay=30))


@dramatiq.actor(queue_name="ticks", periodic=cron("* * * * *"), max_retries=0)
def open_windows() -> None:
    """Record the scheduler's heartbeat, and start the publications that are due."""
    scheduling.tick(wiring.machine)


@dramatiq.actor(queue_name="ticks", periodic=cron("* * * * *"), max_retries=0)
def reap() -> None:
    """Recover the work in progress that is past its deadline."""
    stuck_work.recover(wiring.machine)


@dramatiq.actor(queue_name="ticks", periodic=cron("*/5 * * * *"), max_retries=0)
def cleanup() -> None:
    """Delete expired files and records; also those that an earlier run has missed."""
    retention.clean_up(wiring.machine)


@dramatiq.actor(queue_name="ticks", periodic=cron("*/10 * * * *"), max_retries=0)
def refresh_tokens() -> None:
    """Send a message for every account whose tokens are to be refreshed."""
    tokens.send_due_refreshes(wiring.machine)


@dramatiq.actor(queue_name="ticks", periodic=cron("*/5 * * * *"), max_retries=0)
def schedule_backup() -> None:
    """Send a message for a backup if one is due."""
    backups.send_if_due(wiring.machine)
