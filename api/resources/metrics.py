"""GET /metrics: Prometheus metrics, read from the store and the queue at each scrape.

Numbers of jobs, parts and publications by status are gauges, because they change their status.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import falcon
from loguru import logger
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from actors.database_check import DATABASE_ERRORS
from actors.recovery import backups
from api.context import Context
from api.resources import limit_metrics
from api.resources.health import HealthChecks
from broker.prometheus import QueueCollector
from store import (
    accounts,
    heartbeats,
    jobs,
    notices,
    platform_states,
    publications,
    segments,
    stage_durations,
    webhooks,
)
from store.stage_durations import Histogram


class MetricsResource:
    """GET /metrics; without authentication on the private port."""

    operator_only = True

    def __init__(self, context: Context, *, public: bool = False) -> None:
        self.public = public
        self._registry = CollectorRegistry()
        self._registry.register(_MachineCollector(context))
        ProcessCollector(registry=self._registry)

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Write all metrics."""
        del request
        response.content_type = CONTENT_TYPE_LATEST
        response.cache_control = ["no-store"]
        response.data = generate_latest(self._registry)


class _MachineCollector(Collector):
    """Collector of all metrics but those of the process."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._health = HealthChecks(context)
        self._queues = QueueCollector(context.broker.admin, "vidprod")

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that registration does not read the database."""
        return []

    def collect(self) -> Iterable[Metric]:
        """Read the store, the queue, the disk and the health checks."""
        for collect in (self._stored, self._queues.collect):
            try:
                yield from list(collect())
            except DATABASE_ERRORS as exc:  # shows as vidprod_health 0 below
                logger.warning("metrics: the database cannot be read: {}", exc)
        free = GaugeMetricFamily("vidprod_disk_free_bytes", "Free bytes on the volume of the data directory")
        free.add_metric([], self._context.disk.free_bytes)
        yield free
        failed = CounterMetricFamily(
            "vidprod_authentication_failures", "Number of requests with a wrong API key since the start of the API"
        )
        failed.add_metric([], self._context.keys.failed.total)
        yield failed
        well = GaugeMetricFamily("vidprod_health", "1 if the check of /health succeeds", labels=["check"])
        for name, check in self._health.run().items():
            well.add_metric([name], float(check["ok"]))
        yield well
        yield from limit_metrics.of_machine(self._context)
        yield from self._connections()

    def _connections(self) -> Iterable[Metric]:
        counters = self._context.connection_counters
        opened = GaugeMetricFamily("vidprod_connections", "Open connections of the API")
        opened.add_metric([], counters.open_connections)
        yield opened
        held = GaugeMetricFamily(
            "vidprod_connection_held_bytes", "Memory of incomplete requests and unread responses of the API"
        )
        held.add_metric([], counters.held_bytes)
        yield held
        refused = CounterMetricFamily(
            "vidprod_connections_refused", "Requests refused and connections closed by the server", labels=["reason"]
        )
        for reason, count in counters.totals().items():
            refused.add_metric([reason], count)
        yield refused

    def _stored(self) -> Iterable[Metric]:
        with self._context.store.reading() as connection:
            counts = {
                "jobs": jobs.count_by_status(connection),
                "segments": segments.count_by_status(connection),
                "deliveries": webhooks.count_by_status(connection),
                "notice_deliveries": notices.count_by_status(connection),
            }
            posts = publications.count_by_status(connection)
            known = accounts.list_all(connection)
            limits = [
                *limit_metrics.of_accounts(self._context, connection),
                *limit_metrics.of_deliveries(self._context, connection),
            ]
            durations = stage_durations.histograms(connection)
            outages = platform_states.list_out(connection)
            tick_age_s = heartbeats.age_s(connection, "scheduler", self._context.now(), self._context.boot_time())
        for name, by_status in counts.items():
            family = GaugeMetricFamily(f"vidprod_{name}", f"Number of {name} by status", labels=["status"])
            for status, count in sorted(by_status.items()):
                family.add_metric([status], count)
            yield family
        family = GaugeMetricFamily(
            "vidprod_publications", "Number of publications by platform and status", labels=["platform", "status"]
        )
        for (platform, status), count in sorted(posts.items()):
            family.add_metric([platform, status], count)
        yield family
        yield from limits
        yield _stage_histogram(durations)
        family = GaugeMetricFamily(
            "vidprod_accounts", "Number of accounts by platform and status", labels=["platform", "status"]
        )
        pairs = [(account.platform, str(account.status)) for account in known]
        for pair in sorted(set(pairs)):
            family.add_metric(list(pair), pairs.count(pair))
        yield family
        family = GaugeMetricFamily(
            "vidprod_platform_paused", "1 while a platform has an outage and is paused", labels=["platform"]
        )
        for state in outages:
            family.add_metric([state.platform], 1)
        yield family
        backup_age_s = backups.age_s(self._context)
        if backup_age_s is not None:
            family = GaugeMetricFamily("vidprod_backup_age_seconds", "Seconds since the last backup of the database")
            family.add_metric([], backup_age_s)
            yield family
        if tick_age_s is not None:
            family = GaugeMetricFamily(
                "vidprod_scheduler_tick_age_seconds", "Seconds since the last tick of the scheduler"
            )
            family.add_metric([], tick_age_s)
            yield family


def _stage_histogram(durations: Mapping[str, Histogram]) -> Metric:
    family = HistogramMetricFamily(
        "vidprod_stage_duration_seconds", "Wall time of stages from start to success, with retries", labels=["stage"]
    )
    for stage, histogram in durations.items():
        bounds = ("+Inf" if math.isinf(bound_s) else str(bound_s) for bound_s in histogram.buckets)
        buckets = list(zip(bounds, histogram.buckets.values(), strict=True))
        family.add_metric([stage], buckets, histogram.sum_s)
    return family
