"""The queues as Prometheus sees them: read from the tables and the lease files at each scrape.

Needs prometheus-client. Register one collector, in one process: every process would report the same.
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from broker.contract import QueueAdministration
from broker.storage.inspection import QueueStats, WorkerProcess

__all__ = ["QueueCollector"]

_STATES = ("ready", "blocked", "delayed", "leased", "dead")


class QueueCollector(Collector):
    """Depths, ages, workers and what they have done, by queue.

    Args:
        admin: of any broker of the file; it needs no actors.
        prefix: what the names of the metrics begin with.
    """

    def __init__(self, admin: QueueAdministration, prefix: str = "broker") -> None:
        self._admin = admin
        self._prefix = prefix

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that registration does not read the database."""
        return []

    def collect(self) -> Iterable[Metric]:
        """Read the tables once.

        Raises:
            DatabaseUnavailable: the file cannot be read.
        """
        workers = self._admin.consumers()
        yield from self._depths(self._admin.queue_stats(), workers)
        yield from self._work(workers)

    def _depths(self, queues: list[QueueStats], workers: list[WorkerProcess]) -> Iterable[Metric]:
        messages = self._gauge("queue_messages", "Messages in a queue", "queue", "state")
        oldest = self._gauge("queue_oldest_ready_seconds", "How long the oldest ready message has waited", "queue")
        paused = self._gauge("queue_paused", "1 while nothing is claimed from the queue", "queue")
        alive = self._gauge("workers", "Living worker processes of a queue", "queue")
        for queue in queues:
            for state in _STATES:
                messages.add_metric([queue.queue, state], getattr(queue, state))
            oldest.add_metric([queue.queue], queue.oldest_ready_age_s or 0.0)
            paused.add_metric([queue.queue], queue.paused)
            alive.add_metric([queue.queue], sum(queue.queue in worker.queues for worker in workers))
        yield from (messages, oldest, paused, alive)

    def _work(self, workers: list[WorkerProcess]) -> Iterable[Metric]:
        # By process, because a process that dies takes its counts along: each of these only ever rises.
        done = self._counter("messages_done", "Messages processed")
        died = self._counter("messages_died", "Messages that went to the dead letters after their work")
        for worker in workers:
            for queue, counts in sorted(worker.counts.items()):
                done.add_metric([queue, str(worker.id)], counts.done)
                died.add_metric([queue, str(worker.id)], counts.died)
        yield from (done, died)

    def _gauge(self, name: str, text: str, *labels: str) -> GaugeMetricFamily:
        return GaugeMetricFamily(f"{self._prefix}_{name}", text, labels=labels)

    def _counter(self, name: str, text: str) -> CounterMetricFamily:
        return CounterMetricFamily(f"{self._prefix}_{name}", text, labels=["queue", "worker"])
