"""A state machine for Hypothesis: two processes on one file and the model, their operations and invariants."""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dramatiq
import pytest
from dramatiq import Message
from dramatiq.broker import Consumer, MessageProxy
from hypothesis.stateful import RuleBasedStateMachine, invariant

from broker import SqliteBroker
from broker.debug import BrokerDebug
from broker.engine.message import SqliteMessage
from tests.broker.model import MAX_DELIVERIES, Buffer, Item, Model
from tests.support.waiting import wait_for

__all__ = ["ACTORS", "NEVER_MS", "QUEUES", "BrokerMachine", "Held", "Process", "until"]

QUEUES = ("a", "b")
ACTORS = {"calm": 0, "urgent": -1}  # name → priority
AT_ONCE_S = 10.0  # how long what must happen may take on a busy machine
NEVER_MS = 5  # how long is waited for what must not


class Process:
    """The state of one process: a broker, its buffers, and the messages that its actors process."""

    def __init__(self, number: int, path: Path) -> None:
        self.number = number
        self.broker = SqliteBroker(path, synchronous="OFF", max_deliveries=MAX_DELIVERIES)
        self.debug = BrokerDebug(self.broker)
        for queue in QUEUES:
            self.broker.declare_queue(queue)
        for name, priority in ACTORS.items():
            dramatiq.actor(actor_name=name, priority=priority, broker=self.broker, queue_name="a")(_nothing)
        self.begin()

    def begin(self) -> None:
        self.buffers: dict[str, Buffer] = {}
        self.consumers: dict[str, list[Consumer]] = {}  # open ones, by queue; the last one fetches

    @property
    def consumes(self) -> bool:
        return bool(self.buffers)

    def fetch(self, queue: str, *, expected: bool) -> MessageProxy | None:
        """Return the next message of a queue; None if there is none, without a long wait if none is expected."""
        deadline_s = time.monotonic() + AT_ONCE_S
        while True:
            got = next(self.consumers[queue][-1])
            if got is not None or not expected or time.monotonic() > deadline_s:
                return got

    def let_go(self) -> None:
        """Wait until the writer has done its pending work."""
        for _ in range(2):  # the first ends the turn under way, the second its rounds
            self.debug.write(lambda batch: None)

    def hurry(self) -> None:
        """Run the writer's maintenance, as when a process ends or a timer expires."""
        self.debug.run_maintenance_soon()

    def freeze(self) -> None:
        """Expire this process's lease for the other process; this one is not told."""
        lease = self.debug.lease
        known_s = lease.expires_s
        lease.extend(1.0)
        lease.expires_s = known_s


class Held:
    """A message that an actor processes."""

    def __init__(self, process: Process, queue: str, message: SqliteMessage, item: Item) -> None:
        self.buffer = process.buffers[queue]
        self.consumer = process.consumers[queue][-1]
        self.process = process
        self.message = message
        self.item: Item | None = item  # None: it has been given to others

    def settle(self, end: str) -> None:
        if end == "requeue":
            self.consumer.requeue([self.message])
        else:
            getattr(self.consumer, end)(self.message)

    @property
    def ours(self) -> Item | None:
        return self.item if self.item is not None and self.item.holder == self.process.number else None


class BrokerMachine(RuleBasedStateMachine):
    """The broker and the model, with the rules that act on both."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Model(now_ms=1_800_000_000_000)
        self.patch = pytest.MonkeyPatch()
        clock = SimpleNamespace(
            time_ns=lambda: self.model.now_ms * 1_000_000, monotonic=time.monotonic, sleep=time.sleep
        )
        self.patch.setattr("broker.storage.database.time", clock)
        self.patch.setattr("broker.storage.encoding.boot_ms", lambda: self.model.now_ms)
        self.directory = tempfile.TemporaryDirectory()
        self.path = Path(self.directory.name) / "queue.sqlite3"
        self.path.write_bytes(_new_file())
        self.processes = [Process(number, self.path) for number in (0, 1)]
        self.application = sqlite3.connect(self.path, isolation_level=None)
        self.held: list[Held] = []
        self.settled: list[Held] = []
        self.sent = 0
        self.noted = 0

    def teardown(self) -> None:
        self.application.close()
        for process in self.processes:
            process.broker.close()
        self.patch.undo()
        self.directory.cleanup()

    # What always holds.

    @invariant()
    def everything_is_where_it_belongs(self) -> None:
        self.fall_due()
        broker = self.processes[0].broker
        for queue in QUEUES:
            expected = [(item.name, item.attempts, False) for item in self.model.ready(queue)]
            expected += [(item.name, item.attempts, True) for item in self.model.delayed(queue)]
            assert [(one.message_id, one.attempts, one.delayed) for one in broker.admin.peek(queue, 1000)] == expected
        leased = Counter((item.name, item.attempts) for item in self.model.items if item.holder is not None)
        assert Counter((one.message_id, one.attempts) for one in broker.admin.held_messages()) == leased
        dead = Counter((letter.item.name, letter.item.queue) for letter in self.model.dead)
        assert Counter((letter.message_id, letter.queue) for letter in broker.admin.dead_letters(limit=1000)) == dead
        assert self.rows("SELECT count(*) FROM notes") == [(self.noted,)]
        assert {stats.queue for stats in broker.admin.queue_stats() if stats.paused} == self.model.paused

    def fall_due(self) -> None:
        """Wait until due messages are ready, in queues with a consumer."""
        for queue in QUEUES:
            consuming = [
                process for process in self.processes if queue in process.buffers and process.buffers[queue].open
            ]
            if consuming:
                query = "SELECT 1 FROM broker_messages WHERE state = 1 AND queue = ? AND eta_ms <= ?"
                until(lambda: not self.rows(query, queue, self.model.now_ms), consuming[0].hurry)  # noqa: B023
                self.model.promote(queue)

    # Means of the rules.

    def message(self, queue: str, actor: str = "calm", options: dict[str, Any] | None = None) -> Message[None]:
        self.sent += 1
        return Message(queue, actor, (), {}, options or {}, message_id=f"m{self.sent}")

    def at_no_other_time(self, delay: int | None) -> int | None:
        return delay and delay + self.sent  # everything else happens at multiples of 500 ms

    def note(self, message: Message[None] | MessageProxy, delay: int | None, attempts: int = 0) -> None:
        now_ms, options = self.model.now_ms, message.options
        due_ms = now_ms + (delay or 0)
        self.model.send(
            Item(
                message.message_id,
                message.queue_name,
                broker_priority=options.get("broker_priority", 0),
                actor_priority=ACTORS[message.actor_name],
                eta_ms=None if delay is None else due_ms,
                unique_key=options.get("unique_key") and f"{message.actor_name} {options['unique_key']}",
                unique_until_ms=now_ms + 3000,
                attempts=attempts,
            )
        )

    def rows(self, sql: str, *parameters: object) -> list[Any]:
        return self.application.execute(sql, parameters).fetchall()

    def leave(self, process: Process) -> None:
        for held in self.held:
            if held.process is process:
                held.item = None
        process.begin()

    def reclaim(self) -> None:
        """Wait until the claims of a dead process are released, if a process is there to do so."""
        for process in self.processes:
            if process.consumes:
                own = process.debug.process_id
                until(lambda: not self.dead_rows(own), process.hurry)  # noqa: B023  # called at once
                self.model.lose(-1, limited=True)

    def dead_rows(self, own: int | None) -> list[Any]:
        living = {process.debug.process_id for process in self.processes} | {own}
        return [row for (row,) in self.rows("SELECT id FROM broker_workers") if row not in living]


def until(condition: Callable[[], bool], urge: Callable[[], None]) -> None:
    wait_for(condition, timeout_s=AT_ONCE_S, interval_s=0.001, meanwhile=urge)


def _nothing() -> None:
    pass


@cache
def _new_file() -> bytes:
    """Return a database with all tables, so that a run need not create them."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "queue.sqlite3"
        with closing(SqliteBroker(path)) as broker:
            broker.admin.queue_stats()
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE notes (number)")
        return path.read_bytes()
