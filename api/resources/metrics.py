"""GET /metrics: what Prometheus reads, made at each scrape from the store and the queue; nothing is counted on the way.

Counts of things in a state are gauges: jobs leave the states that they were in.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable

import falcon
from loguru import logger
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from actors.database_check import DATABASE_ERRORS
from api.context import Context
from api.resources.health import Health
from broker.prometheus import QueueCollector
from store import accounts, heartbeats, jobs, publications, segments, webhooks


class Metrics:
    """Answers a scrape; on the private port without a key."""

    def __init__(self, context: Context, *, public: bool = False) -> None:
        self.public = public
        self._registry = CollectorRegistry()
        self._registry.register(_Machine(context))
        ProcessCollector(registry=self._registry)

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Write all metrics."""
        del request
        response.content_type = CONTENT_TYPE_LATEST
        response.cache_control = ["no-store"]
        response.data = generate_latest(self._registry)


class _Machine(Collector):
    """What the machine looks like at this moment."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._health = Health(context)
        self._queues = QueueCollector(context.broker.admin, "vidprod")

    def describe(self) -> Iterable[Metric]:
        """Say nothing beforehand: registering must not touch the database."""
        return []

    def collect(self) -> Iterable[Metric]:
        """Read store, queue and disk once."""
        for collect in (self._stored, self._queues.collect):
            try:
                yield from list(collect())
            except DATABASE_ERRORS as exc:  # shown by the health metric below
                logger.warning("metrics: the database cannot be read: {}", exc)
        free = GaugeMetricFamily("vidprod_disk_free_bytes", "Room left on the volume of the data directory")
        free.add_metric([], shutil.disk_usage(self._context.settings.data_dir).free)
        yield free
        well = GaugeMetricFamily("vidprod_health", "1 where /health finds all well, by check", labels=["check"])
        for name, check in self._health.look().items():
            well.add_metric([name], float(check["ok"]))
        yield well

    def _stored(self) -> Iterable[Metric]:
        with self._context.store.reading() as connection:
            counts = {
                "jobs": jobs.count_by_status(connection),
                "segments": segments.count_by_status(connection),
                "deliveries": webhooks.count_by_status(connection),
            }
            posts = publications.count_by_status(connection)
            known = accounts.list_all(connection)
            ticked = heartbeats.last(connection, "scheduler")
        for name, by_status in counts.items():
            family = GaugeMetricFamily(f"vidprod_{name}", f"How many {name} there are, by status", labels=["status"])
            for status, count in sorted(by_status.items()):
                family.add_metric([status], count)
            yield family
        family = GaugeMetricFamily(
            "vidprod_publications", "How many publications there are", labels=["platform", "status"]
        )
        for (platform, status), count in sorted(posts.items()):
            family.add_metric([platform, status], count)
        yield family
        family = GaugeMetricFamily("vidprod_accounts", "How many accounts there are", labels=["platform", "status"])
        pairs = [(account.platform, str(account.status)) for account in known]
        for pair in sorted(set(pairs)):
            family.add_metric(list(pair), pairs.count(pair))
        yield family
        if ticked is not None:
            family = GaugeMetricFamily("vidprod_scheduler_tick_age_seconds", "How long ago the scheduler ticked")
            family.add_metric([], (self._context.now() - ticked).total_seconds())
            yield family
