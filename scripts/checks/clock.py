"""Checks of the clocks: the wall clock, its synchronisation, and jumps since the machine last ran."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from actors import kernel_clock
from actors.clock_check import EARLIEST
from scripts.checks.finding import Examined, Finding, error, ok, warning
from store import heartbeats
from store.boot_clock import BootTime, boot_time

MAX_OFFSET_S = 1.0
MAX_JUMP = timedelta(minutes=1)
TOPIC = "clock"


def check(examined: Examined) -> Iterator[Finding]:
    """Check the wall clock and its synchronisation."""
    del examined
    yield plausible(datetime.now(UTC))
    yield synchronised()


def plausible(now: datetime) -> Finding:
    """Check that the wall clock is not before this program was written."""
    if now < EARLIEST:
        fix = "set it (timedatectl set-ntp true): logins, webhook signatures and dates of posts need the right time"
        return error(TOPIC, f"it says {now:%Y-%m-%d}", fix)
    return ok(TOPIC, f"{now:%Y-%m-%d %H:%M:%S} UTC")


def synchronised(read: Callable[[], tuple[int, float] | None] | None = None) -> Finding:
    """Check the kernel's report about its synchronisation by NTP.

    Args:
        read: returns the status and the offset in seconds; by default adjtimex(2).
    """
    found = (read or kernel_clock.read)()
    if found is None:
        return ok(TOPIC, "the kernel tells nothing about its synchronisation")
    status, offset_s = found
    if status & kernel_clock.UNSYNCHRONISED:
        fix = "run an NTP client (timedatectl set-ntp true), unless the host of this virtual machine sets the clock"
        return warning(TOPIC, "it is not synchronised by NTP, as far as the kernel knows", fix)
    if abs(offset_s) > MAX_OFFSET_S:
        return warning(TOPIC, f"it is off by {offset_s:.1f} s", "wait for the NTP client, or look at its log")
    return ok(TOPIC, f"synchronised by NTP, off by {1000 * offset_s:.1f} ms")


def jump(last: heartbeats.Heartbeat | None, now: datetime, since_boot: BootTime | None = None) -> Finding:
    """Compare the wall clock with the clock that is never set, since the last tick."""
    if last is None:
        return ok(TOPIC, "the machine has not run yet")
    since_boot = since_boot or boot_time()
    if last.boot == since_boot.boot:
        set_by = (now - last.at) - timedelta(seconds=since_boot.seconds - last.boot_s)
        if abs(set_by) > MAX_JUMP:
            fix = "look who sets it; what was to happen meanwhile may be late or early"
            ahead = "ahead" if set_by > timedelta(0) else "back"
            return warning(TOPIC, f"it was set {ahead} by {abs(set_by.total_seconds()):.0f} s since the last tick", fix)
    elif last.at > now + MAX_JUMP:
        fix = "set the clock: what is planned waits until that time"
        return warning(TOPIC, f"the machine last ran at {last.at:%Y-%m-%d %H:%M} UTC, which is in the future", fix)
    return ok(TOPIC, f"no jump since the last tick, {last.at:%Y-%m-%d %H:%M:%S} UTC")
