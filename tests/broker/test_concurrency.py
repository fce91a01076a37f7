"""At most n messages of a key are processed at once, in all processes and queues, and none stays blocked."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import Counter
from typing import Any

import dramatiq
import pytest

from broker import SqliteBroker
from broker.storage.schema import MESSAGE_SCHEMA
from tests.broker.conftest import MakeBroker, working
from tests.support.waiting import wait_for

ON_EVERY_ENGINE = True


class Gauge:
    """How many are inside at once, and the most there ever were."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.inside: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.seen: list[str] = []

    def stay(self, name: str, seconds: float) -> None:
        with self._lock:
            self.inside[name] += 1
            self.most[name] = max(self.most[name], self.inside[name])
            self.seen.append(name)
        time.sleep(seconds)
        with self._lock:
            self.inside[name] -= 1


def test_messages_of_a_key_run_n_at_once_while_others_overtake_them(
    broker: SqliteBroker, make_broker: MakeBroker
) -> None:
    """Two brokers stand for two processes: what they know of each other is in the tables."""
    gauge = Gauge()
    other = make_broker()

    @dramatiq.actor
    def stay(name: str) -> None:
        gauge.stay(name, 0.05)

    @dramatiq.actor(broker=other, actor_name="stay")
    def stay_there(name: str) -> None:
        gauge.stay(name, 0.05)

    for _ in range(6):
        stay.send_with_options(args=("two",), concurrency_key="two", concurrency_limit=2)
        stay.send_with_options(args=("one",), concurrency_key="one")
    for _ in range(8):
        stay.send("free")
    with working(broker), working(other):
        broker.join("default", timeout=10_000)
    assert Counter(gauge.seen) == {"one": 6, "two": 6, "free": 8}
    assert gauge.most["one"] == 1
    assert gauge.most["two"] == 2
    assert set(gauge.seen[:6]) == {"one", "two", "free"}  # nobody waited behind a key that is taken
    other.close()


def test_an_actor_may_limit_itself(broker: SqliteBroker) -> None:
    gauge = Gauge()

    @dramatiq.actor(concurrency_limit=1)
    def stay() -> None:
        gauge.stay("stay", 0.01)

    broker.enqueue_many([stay.message() for _ in range(10)])
    with working(broker):
        broker.join("default", timeout=10_000)
    assert gauge.most["stay"] == 1
    assert len(gauge.seen) == 10


@pytest.mark.logs_errors("dramatiq")
@pytest.mark.parametrize("ending", ["success", "retry", "death", "cancelling", "flush", "other queue"])
def test_however_one_of_a_key_ends_the_next_is_let_in(broker: SqliteBroker, ending: str) -> None:
    seen: list[str] = []

    @dramatiq.actor(max_retries=1 if ending == "retry" else 0, min_backoff=1, max_backoff=1)
    def first() -> None:
        seen.append("first")
        if ending in {"retry", "death"}:
            raise ValueError("on purpose")

    @dramatiq.actor(queue_name="later")
    def second() -> None:
        seen.append("second")

    options: dict[str, Any] = {"concurrency_key": "key"}  # Any: message options hold what users put there
    before = first.send_with_options(**options)
    for _ in range(2):
        first.send_with_options(**options)
    second.send_with_options(concurrency_key="key")
    if ending == "cancelling":
        assert broker.admin.cancel(before.message_id)
    elif ending == "flush":
        broker.flush("default")
    with working(broker):
        for queue in ("default", "later"):
            broker.join(queue, timeout=10_000)
    firsts = {"retry": 6, "cancelling": 2, "flush": 0}.get(ending, 3)
    assert Counter(seen) == Counter({"first": firsts, "second": 1})


def test_the_most_urgent_of_a_key_is_next_even_if_it_comes_last(broker: SqliteBroker) -> None:
    seen: list[int] = []
    begun, go_on = threading.Event(), threading.Event()

    @dramatiq.actor
    def note(urgency: int) -> None:
        seen.append(urgency)
        begun.set()
        assert go_on.wait(10)

    def send(urgency: int) -> None:
        note.send_with_options(args=(urgency,), concurrency_key="key", broker_priority=urgency)

    with working(broker):
        send(0)
        assert begun.wait(10)
        for urgency in (1, 3, 2):
            send(urgency)
        assert broker.admin.queue_stats()[0].blocked == 3
        assert [message.blocked for message in broker.admin.peek("default")] == [True] * 3
        go_on.set()
        broker.join("default", timeout=10_000)
    assert seen == [0, 3, 2, 1]


def test_a_flood_of_one_key_does_not_stop_the_queue(broker: SqliteBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    """More of them are looked at than one transaction may move, and a message behind them is still found at once."""
    monkeypatch.setattr("broker.storage.queue.MOVED_PER_TRANSACTION", 100)  # a tenth, to work off a tenth as many
    gauge = Gauge()

    @dramatiq.actor
    def stay(name: str) -> None:
        gauge.stay(name, 0.001)

    flood = [stay.message_with_options(args=("key",), concurrency_key="key") for _ in range(150)]
    broker.enqueue_many(flood, delay=0)  # due at once: they become ready all together, and are blocked by the claim
    stay.send("behind")
    with working(broker, threads=2):
        wait_for(lambda: "behind" in gauge.seen)
        assert len(gauge.seen) < 100
        broker.join("default", timeout=30_000)
    assert gauge.most["key"] == 1
    assert len(gauge.seen) == 151


@pytest.mark.logs_errors("dramatiq")
def test_a_dead_letter_sent_again_keeps_its_key(broker: SqliteBroker) -> None:
    gauge = Gauge()
    fails = True

    @dramatiq.actor(max_retries=0, concurrency_limit=1)
    def stay() -> None:
        if fails:
            raise ValueError("on purpose")
        gauge.stay("stay", 0.01)

    for _ in range(3):
        stay.send()
    with working(broker):
        broker.join("default", timeout=10_000)
        fails = False
        assert broker.admin.retry_dead_letters() == 3
        broker.join("default", timeout=10_000)
    assert gauge.most["stay"] == 1
    assert len(gauge.seen) == 3


def test_a_limit_below_one_is_refused(broker: SqliteBroker) -> None:
    @dramatiq.actor
    def note() -> None:
        pass

    with pytest.raises(ValueError, match="concurrency_limit"):
        note.send_with_options(concurrency_limit=0)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT count(*) FROM (SELECT 1 FROM broker_messages WHERE concurrency_key = ? AND state = 2 LIMIT 1)",
        "SELECT min(queue) FROM broker_messages WHERE concurrency_key = ? AND state = 3 AND queue > 'a'",
    ],
)
def test_what_is_asked_of_a_key_is_answered_by_its_index(query: str) -> None:
    connection = sqlite3.connect(":memory:")
    MESSAGE_SCHEMA.migrate(connection)
    plan = connection.execute(f"EXPLAIN QUERY PLAN {query}", ("key",)).fetchall()
    assert any("broker_keyed" in step[3] for step in plan)
    connection.close()
