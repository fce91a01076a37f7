"""No process claims from a paused queue; a resumed queue continues at once."""

from __future__ import annotations

import time
from pathlib import Path

import dramatiq
import pytest

from broker import SqliteBroker
from broker.__main__ import main as command
from tests.broker.conftest import MakeBroker, wait_until_idle, working
from tests.support.waiting import wait_for

ON_EVERY_ENGINE = True


def test_a_queue_that_another_process_pauses_rests_until_it_is_resumed(
    broker: SqliteBroker, make_broker: MakeBroker
) -> None:
    seen: list[float] = []

    @dramatiq.actor
    def note() -> None:
        seen.append(time.monotonic())

    operator = make_broker()
    with working(broker):
        operator.admin.pause_queue("default")
        note.send()
        note.send_with_options(delay=50)
        wait_for(lambda: [(s.ready, s.paused) for s in operator.admin.queue_stats()] == [(2, True)])
        wait_until_idle(broker, "default")  # it has read the tables and claims nothing
        assert [s.ready for s in operator.admin.queue_stats()] == [2]
        assert seen == []
        resumed = time.monotonic()
        assert operator.admin.resume_queue("default")
        broker.join("default", timeout=5000)
    assert len(seen) == 2
    assert seen[0] - resumed < 1  # measured: a few ms; without the notification it would be 30 s
    assert not operator.admin.resume_queue("default")
    assert operator.admin.queue_stats() == []
    operator.close()


def test_other_queues_go_on(broker: SqliteBroker) -> None:
    seen: list[str] = []

    @dramatiq.actor(queue_name="open")
    def note() -> None:
        seen.append("open")

    broker.declare_queue("shut")
    broker.admin.pause_queue("shut")
    with working(broker):
        note.send()
        broker.join("open", timeout=5000)
    assert seen == ["open"]


def test_a_worker_of_a_paused_queue_sleeps(broker: SqliteBroker) -> None:
    """Neither what is ready nor what falls due may keep the writer busy."""

    @dramatiq.actor
    def note() -> None:
        pass

    used_s: list[float] = []

    @dramatiq.actor(queue_name="open")
    def measure() -> None:
        used_s.append(time.process_time())

    broker.admin.pause_queue("default")
    with working(broker, timeout_ms=1000):
        note.send()
        note.send_with_options(delay=20)
        for delay_ms in (300, 1300):
            measure.send_with_options(delay=delay_ms)
        broker.join("open", timeout=10_000)
    assert used_s[1] - used_s[0] < 0.1  # measured: 0.01 s; of a writer that never sleeps 0.23 s


def test_the_command_pauses_and_resumes(broker: SqliteBroker, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command([str(path), "stats"]) == 2
    broker.admin.queue_stats()
    assert command([str(path), "pause", "media"]) == 0
    assert command([str(path), "stats"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].split() == ["media", "0", "0", "0", "0", "0", "-", "paused"]
    assert command([str(path), "resume", "media"]) == 0
    assert command([str(path), "resume", "media"]) == 1
