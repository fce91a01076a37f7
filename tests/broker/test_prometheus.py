"""A scrape shows the queues and the counts of the workers."""

from __future__ import annotations

import threading

import dramatiq
import pytest
from prometheus_client import CollectorRegistry

from broker import SqliteBroker
from broker.prometheus import QueueCollector
from tests.broker.conftest import working
from tests.support.waiting import wait_for


@pytest.mark.logs_errors("dramatiq")
def test_a_scrape_shows_depths_workers_and_what_they_have_done(broker: SqliteBroker) -> None:
    registry = CollectorRegistry()
    registry.register(QueueCollector(broker.admin, "app"))
    go_on = threading.Event()

    @dramatiq.actor(max_retries=0)
    def note(fails: bool) -> None:
        assert not fails

    @dramatiq.actor(queue_name="slow", concurrency_limit=1)
    def stay() -> None:
        assert go_on.wait(10)

    for fails in (False, True, False):
        note.send(fails)
    stay.send()
    stay.send()
    note.send_with_options(args=(False,), delay=60_000)

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, labels)

    def done() -> float:
        return sum(
            sample.value
            for metric in registry.collect()
            for sample in metric.samples
            if sample.name == "app_messages_done_total" and sample.labels["queue"] == "default"
        )

    with working(broker):
        wait_for(lambda: done() == 2 and value("app_queue_messages", queue="slow", state="leased"))
        wait_for(lambda: value("app_queue_messages", queue="default", state="dead"))
        assert value("app_queue_messages", queue="default", state="dead") == 1
        assert value("app_queue_messages", queue="default", state="delayed") == 1
        assert value("app_queue_messages", queue="slow", state="leased") == 1
        assert value("app_queue_messages", queue="slow", state="blocked") == 1
        assert value("app_workers", queue="slow") == 1
        assert value("app_queue_paused", queue="slow") == 0
        go_on.set()
