"""Metrics of what runs out or piles up: logins and posts of accounts, deliveries, memory, the write lock."""

from __future__ import annotations

import math
from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric
from sqlalchemy import Connection

from actors import machine_memory
from actors.flow import account_schedules, turns
from actors.flow.upload_windows import known_zone, local_day
from api.context import Context
from broker import LockWaits
from store import accounts, notices, publication_queue, webhooks
from store.states import AccountStatus


def of_accounts(context: Context, connection: Connection) -> Iterable[Metric]:
    """Return how long the login of each account lasts, and how many posts its schedule still allows."""
    login = GaugeMetricFamily(
        "vidprod_account_login_remaining_seconds",
        "Seconds until the login of an account expires and its owner must connect it again",
        labels=["platform", "account"],
    )
    left = GaugeMetricFamily(
        "vidprod_account_posts_remaining",
        "Posts that the schedule still allows today, by the calendar of its time zone",
        labels=["platform", "account"],
    )
    now = context.now()
    known = account_schedules.read(connection)
    for account in accounts.list_all(connection):
        labels = [account.platform, account.id]
        if account.status is AccountStatus.CONNECTED:
            schedule = known.of(account)
            today = local_day(now, known_zone(schedule.time_zone))
            starts = publication_queue.recent_starts(connection, account.id, turns.counted_since(schedule, now))
            left.add_metric(labels, max(0, schedule.max_per_day - today.count(turns.past_starts(starts, now))))
            if account.refresh_expires_at is not None:
                login.add_metric(labels, (account.refresh_expires_at - now).total_seconds())
    yield from (login, left)


def of_deliveries(context: Context, connection: Connection) -> Iterable[Metric]:
    """Return since when the oldest delivery of webhooks and of notices is due; 0 if none is."""
    for name, due_at in (
        ("delivery", webhooks.oldest_due_at(connection)),
        ("notice_delivery", notices.oldest_due_at(connection)),
    ):
        text = f"Seconds since the next attempt at a waiting {name.replace('_', ' ')} was due"
        overdue_s = 0.0 if due_at is None else max(0.0, (context.now() - due_at).total_seconds())
        family = GaugeMetricFamily(f"vidprod_{name}_overdue_seconds", text)
        family.add_metric([], overdue_s)
        yield family


def of_machine(context: Context) -> Iterable[Metric]:
    """Return the memory of the control group, how long the write lock has been held, and the waits for it."""
    yield _gauge("memory_limit_bytes", "Memory of the machine or of its control group", machine_memory.limit_bytes())
    free_text = "Memory that processes may still take, without file pages"
    yield _gauge("memory_free_bytes", free_text, machine_memory.free_bytes())
    lock = context.broker.write_lock
    if lock is not None:
        yield _gauge("write_lock_held_seconds", "Time for which a process has held the write lock", lock.held_s())
        yield _lock_waits(lock.waits())


def _gauge(name: str, text: str, value: float) -> Metric:
    family = GaugeMetricFamily(f"vidprod_{name}", text)
    family.add_metric([], value)
    return family


def _lock_waits(waits: LockWaits) -> Metric:
    text = "Waits of all processes for the write lock where it was not free at once"
    family = HistogramMetricFamily("vidprod_write_lock_wait_seconds", text)
    bounds = (("+Inf" if math.isinf(bound_s) else str(bound_s), count) for bound_s, count in waits.cumulative())
    family.add_metric([], [(bound, float(count)) for bound, count in bounds], waits.sum_s)
    return family
