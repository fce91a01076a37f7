"""The statements about messages, run at random against a model of the queue in a few lines of Python."""

from __future__ import annotations

import sqlite3
from collections import Counter
from dataclasses import dataclass, replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from broker.engine.batch import WriteBatch
from broker.storage import queue as messages
from broker.storage.concurrency import Concurrency
from broker.storage.queue import Claim, Entry, Failure
from broker.storage.schema import MESSAGE_SCHEMA

ON_EVERY_ENGINE = True
MAX_DELIVERIES = 3
QUEUES = st.sampled_from(["a", "b"])
HOLDERS = st.integers(1, 3)
KEYS = st.none() | st.sampled_from([Concurrency("one", 1), Concurrency("two", 2)])


@dataclass(frozen=True)
class Row:
    """A message in the model."""

    name: str
    queue: str
    rank: tuple[int, int]  # smaller runs first
    place: int  # when it became ready, counted
    eta_ms: int
    key: Concurrency | None
    deliveries: int = 0
    token: tuple[int, int] | None = None


class QueueMachine(RuleBasedStateMachine):
    """Clients that store, claim, settle, freeze and die, in any order."""

    claims = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        MESSAGE_SCHEMA.migrate(self.connection)
        self.now_ms = 1000
        self.number = 0
        self.places = 0
        self.ready: dict[str, Row] = {}  # blocked ones, too: which they are follows from what is claimed
        self.delayed: dict[str, Row] = {}
        self.leased: dict[str, Row] = {}
        self.dead: set[str] = set()

    def place(self) -> int:
        self.places += 1
        return self.places

    @rule(
        queue=QUEUES,
        urgency=st.integers(0, 2),
        priority=st.integers(0, 2),
        delay=st.none() | st.integers(0, 50),
        key=KEYS,
    )
    def store(self, queue: str, urgency: int, priority: int, delay: int | None, key: Concurrency | None) -> None:
        place = self.place()
        name = str(place)
        eta_ms = None if delay is None else self.now_ms + delay
        entry = Entry(
            queue,
            name,
            "actor",
            name.encode(),
            urgency,
            priority,
            self.now_ms,
            eta_ms,
            concurrency=key,
        )
        messages.store(self.connection, entry, self.now_ms)
        row = Row(
            name,
            queue,
            (-urgency, priority),
            place,
            eta_ms or self.now_ms,
            key,
        )
        (self.delayed if delay else self.ready)[name] = row

    @rule(by=st.integers(1, 40))
    def time_passes(self, by: int) -> None:
        self.now_ms += by

    @rule(target=claims, queue=QUEUES, holder=HOLDERS, limit=st.integers(1, 4))
    def claim(self, queue: str, holder: int, limit: int) -> object:
        messages.promote(self.connection, queue, self.now_ms)
        due = [row for row in self.delayed.values() if row.queue == queue and row.eta_ms <= self.now_ms]
        for row in sorted(due, key=lambda row: (row.eta_ms, row.place)):
            self.ready[row.name] = replace(self.delayed.pop(row.name), place=self.place())
        self.number += 1
        claimed, more = messages.claim(
            self.connection, queue, limit, holder=holder, number=self.number, now_ms=self.now_ms
        )
        expected = self.claimable(queue)
        assert [claim.body.decode() for claim in claimed] == [row.name for row in expected[:limit]]
        assert more or len(expected) <= limit
        for row in expected[:limit]:
            del self.ready[row.name]
            self.leased[row.name] = replace(row, deliveries=row.deliveries + 1, token=(holder, self.number))
        return multiple(*claimed)

    def claimable(self, queue: str) -> list[Row]:
        """Return the claimable messages of a queue, most urgent first, of each key at most its limit."""
        taken = Counter(row.key for row in self.leased.values())
        rows: list[Row] = []
        waiting = [row for row in self.ready.values() if row.queue == queue]
        for row in sorted(waiting, key=lambda row: (row.rank, row.place)):
            if row.key is None or taken[row.key] < row.key.limit:
                taken[row.key] += 1
                rows.append(row)
        return rows

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        rows = self.connection.execute("SELECT id, message_id, state FROM broker_messages").fetchall()
        if not rows:
            return
        row_id, name, state = data.draw(st.sampled_from(rows))
        outcome = messages.cancel(self.connection, row_id, name, abort=False)
        assert (outcome.queue is None) == (state == messages.State.LEASED)
        for where in (self.ready, self.delayed):
            where.pop(name, None)

    def batch(self) -> WriteBatch:
        return WriteBatch(self.connection, self.now_ms)

    def holds(self, claim: Claim) -> bool:
        row = self.leased.get(claim.body.decode())
        return row is not None and row.token == (claim.holder, claim.number)

    @rule(claim=claims)
    def acknowledge(self, claim: Claim) -> None:
        ours = self.holds(claim)
        assert self.batch().ack(claim) == ours
        if ours:
            del self.leased[claim.body.decode()]

    @rule(claim=claims)
    def dead_letter(self, claim: Claim) -> None:
        ours = self.holds(claim)
        assert self.batch().dead_letter(claim, Failure("error", None)) == ours
        if ours:
            del self.leased[claim.body.decode()]
            self.dead.add(claim.body.decode())

    @rule(claim=consumes(claims))
    def give_back(self, claim: Claim) -> None:
        ours = self.holds(claim)
        self.batch().release([claim])
        if ours:
            row = self.leased.pop(claim.body.decode())
            self.ready[row.name] = replace(row, deliveries=row.deliveries - 1, token=None)

    @rule(holder=HOLDERS)
    def die(self, holder: int) -> None:
        self.batch().reclaim(holder, MAX_DELIVERIES)
        for row in [row for row in self.leased.values() if row.token is not None and row.token[0] == holder]:
            del self.leased[row.name]
            if row.deliveries >= MAX_DELIVERIES:
                self.dead.add(row.name)
            else:
                self.ready[row.name] = replace(row, token=None)

    @invariant()
    def every_message_is_where_the_model_has_it(self) -> None:
        rows = self.connection.execute("SELECT message_id, state % 3, deliveries FROM broker_messages").fetchall()
        expected = [
            (row.name, state, row.deliveries)
            for state, where in enumerate([self.ready, self.delayed, self.leased])
            for row in where.values()
        ]
        assert sorted(rows) == sorted(expected)
        dead = {name for (name,) in self.connection.execute("SELECT message_id FROM broker_dead")}
        assert dead == self.dead

    def teardown(self) -> None:
        self.connection.close()


@pytest.mark.parametrize("lives", [100, pytest.param(400, marks=pytest.mark.slow)])
def test_messages_go_where_the_model_sends_them(lives: int) -> None:
    steps = settings(max_examples=lives, stateful_step_count=30, deadline=None)
    run_state_machine_as_test(QueueMachine, settings=steps)
