"""A worker that has lost the database server ends its media children: others may render the part by now."""

from __future__ import annotations

import threading
from typing import Any

import dramatiq
import pytest
from dramatiq import Worker

from actors import wiring
from actors.flow import media_child
from broker import LeaseLost
from media.process import runner
from store import Store
from tests.postgresql_server import PostgresqlServer

ON_POSTGRESQL = True


@pytest.mark.logs_errors("dramatiq", "broker")
def test_a_child_ends_when_the_lease_of_its_worker_is_lost(
    store: Store, postgresql_server: PostgresqlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    del store
    running, asked = threading.Event(), threading.Event()
    stopped: list[bool] = []

    def run_child(*_: object, stop: Any, **__: object) -> dict[str, Any]:  # Any: as of the runner
        if asked.is_set():  # the message is delivered again when the server is there
            raise runner.Stopped("asked to")
        assert not stop()
        running.set()
        try:
            while True:  # the question may be answered with yes before the exception comes, once
                stop()
                asked.wait(0.01)
        except LeaseLost:
            stopped.append(stop())
            asked.set()
        raise runner.Stopped("asked to")

    def work() -> None:
        media_child.run(wiring.machine, "media.probe", [], deadline_s=60)

    monkeypatch.setattr(runner, "run", run_child)
    broker = wiring.machine.broker
    actor = dramatiq.Actor(work, broker=broker, actor_name="work", queue_name="leases", priority=0, options={})
    worker = Worker(broker, queues={"leases"}, worker_threads=1)
    actor.send()
    worker.start()
    try:
        assert running.wait(30)
        postgresql_server.stop("immediate")
        assert asked.wait(60)
    finally:
        postgresql_server.start()
        worker.stop()
    assert stopped == [True]
