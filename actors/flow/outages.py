"""Outages of platforms: after three failures in a row, no step of the platform is run for a while.

The failures of all publications of a platform count together: of the server (5xx, no usable response) and of the
network. The first step that succeeds ends the outage.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from loguru import logger
from sqlalchemy import Connection

from actors.flow import publishing_retries
from actors.flow.events import emit
from actors.flow.scheduling import start_due
from actors.machine import Machine
from platforms import errors
from store import platform_states, steps
from store.platform_states import PlatformState

FAILURES_BEFORE_PAUSE = 3
FIRST_PAUSE = timedelta(minutes=2)  # doubles with each further failure
MAX_PAUSE = timedelta(hours=1)


def record_failure(
    machine: Machine, connection: Connection, platform: str, error: errors.PlatformError
) -> PlatformState:
    """Count a failure of the server or the network, and pause the platform from the third one in a row on.

    A failure during a pause is that of a call that had begun before; it does not count.

    Args:
        machine: for its clock.
        connection: inside `store.writing()`.
        platform: its name.
        error: with the cause "platform" or "network".

    Returns:
        The state of the platform afterwards.
    """
    now = machine.now()
    before = platform_states.get_locked(connection, platform)
    if before.is_paused(now):
        return before
    count = before.failures_in_a_row + 1
    since = before.since or now
    state = replace(before, failures_in_a_row=count, since=since, code=error.code, reason=error.reason)
    if count >= FAILURES_BEFORE_PAUSE:
        doubled = FIRST_PAUSE * 2 ** min(count - FAILURES_BEFORE_PAUSE, 10)
        pause = min(MAX_PAUSE, doubled) * machine.settings.publish_pace * publishing_retries.jitter()
        state = replace(state, paused_until=now + pause)
    _store(machine, connection, before, state)
    return state


def pause_for_operator(machine: Machine, connection: Connection, platform: str, error: errors.OperatorNeeded) -> None:
    """Pause a platform whose registration the operator must correct; nothing counts as a failure."""
    now = machine.now()
    before = platform_states.get_locked(connection, platform)
    until = now + timedelta(seconds=error.retry_after_s)
    since = before.since or now
    after = replace(before, since=since, paused_until=until, code=error.code, reason=error.reason)
    _store(machine, connection, before, after)


def end(machine: Machine, connection: Connection, platform: str) -> None:
    """Delete the failures of a platform after a successful step, and continue the publications that waited."""
    before = platform_states.clear(connection, platform)
    if before.paused_until is None:
        return
    logger.info("Platform {}: works again", platform)
    for publication in steps.waiting_until(connection, platform, before.paused_until):
        steps.schedule(connection, publication.id, machine.now())
        machine.send(f"publish_{platform}", publication.id)
    start_due(machine, connection)


def _store(machine: Machine, connection: Connection, before: PlatformState, after: PlatformState) -> None:
    platform_states.put(connection, after)
    if after.paused_until is None or (before.is_out and before.code == after.code):
        return
    logger.warning("Platform {}: paused until {}: {}", after.platform, after.paused_until, after.reason)
    if not before.is_out:
        emit(
            machine,
            connection,
            "platform.paused",
            platform=after.platform,
            code=after.code,
            reason=after.reason,
            until=after.paused_until,
        )
