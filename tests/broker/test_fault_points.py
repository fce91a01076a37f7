"""kill -9 before every statement of a process that sends, claims, acknowledges, rejects and gives back.

A child is forked for each point; what it was told (and so could rely on) comes back through a pipe, line by line.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from dramatiq import Message
from dramatiq.broker import MessageProxy

from broker import SqliteBroker
from broker.debug import BrokerDebug, each_connection
from broker.engine.message import SqliteMessage

POINTS_AT_MOST = 500


class Fuse:
    """Kills this process before its n-th statement, on whatever connection and thread that is."""

    def __init__(self, statements: int) -> None:
        self._left = statements

    def burn(self, _: str) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def lay(self, connection: sqlite3.Connection) -> None:
        connection.set_trace_callback(self.burn)


def message(number: int) -> Message[None]:
    return Message("default", "nobody", (number,), {}, {}, message_id=f"m{number}")


def live(path: Path, pipe: int) -> None:
    """Send 1, then 2 to 5 at once; acknowledge 1 and 2, reject 3, give 4 back, keep 5; leave."""

    def tell(*words: object) -> None:
        os.write(pipe, (" ".join(map(str, words)) + "\n").encode())

    broker = SqliteBroker(path)
    broker.declare_queue("default")
    broker.enqueue(message(1))
    tell("sent", 1)
    broker.enqueue_many([message(number) for number in (2, 3, 4, 5)])
    for number in (2, 3, 4, 5):
        tell("sent", number)
    consumer = broker.consume("default", prefetch=4, timeout=5000)
    kept: list[MessageProxy] = []
    for number in (1, 2, 3, 4, 5):
        got = next(consumer)
        assert got is not None
        assert got.args == (number,)
        if number <= 2:
            consumer.ack(got)
            tell("acked", number)
        elif number == 3:
            consumer.nack(got)
            tell("dead-lettered", number)
        else:
            kept.append(got)
    consumer.requeue(kept[:1])
    broker.close()
    tell("left")


def pass_on(path: Path, pipe: int) -> None:
    """Send 1; what works on it sends 2, what works on that sends 3; leave."""
    broker = SqliteBroker(path)
    broker.declare_queue("default")
    broker.enqueue(message(1))
    os.write(pipe, b"sent 1\n")
    consumer = broker.consume("default", timeout=5000)
    for number in (1, 2):
        got = next(consumer)
        assert isinstance(got, SqliteMessage)
        with BrokerDebug(broker).collect(got, failed=False):
            broker.enqueue(message(number + 1))
        consumer.ack(got)
        os.write(pipe, f"acked {number}\n".encode())
    broker.close()
    os.write(pipe, b"left\n")


def lived(path: Path, statements: int, life: Callable[[Path, int], None] = live) -> set[tuple[str, ...]]:
    """Let a child live until its n-th statement; return what it was told."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with each_connection(Fuse(statements).lay):
                life(path, writing)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        lines = {tuple(line.split()) for line in told}
    os.waitpid(child, 0)
    return lines


def numbers(told: set[tuple[str, ...]], what: str) -> set[int]:
    return {int(line[1]) for line in told if line[0] == what}


def found(path: Path) -> tuple[list[int], list[int]]:
    """Return what the next process gets to work on, and what lies in the dead letters."""
    with closing(sqlite3.connect(path)) as connection:
        waiting = connection.execute("SELECT count(*) FROM broker_messages").fetchone()[0]
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    broker = SqliteBroker(path)
    broker.declare_queue("default")
    consumer = broker.consume("default", prefetch=10, timeout=5000)
    got = [message for message in (next(consumer) for _ in range(waiting)) if message is not None]
    dead = [letter.args[0] for letter in broker.admin.dead_letters()]
    again = [message.args[0] for message in got]
    assert len(again) == waiting, "a message was stuck"
    for settled in got:
        consumer.ack(settled)
    assert sum(stats.ready + stats.leased for stats in broker.admin.queue_stats()) == 0
    broker.close()
    return again, dead


def test_death_before_any_statement_loses_nothing_and_repeats_nothing_acknowledged(path: Path, tmp_path: Path) -> None:
    with closing(SqliteBroker(path)) as broker:
        broker.admin.queue_stats()
    for point in range(1, POINTS_AT_MOST):
        copy = tmp_path / str(point) / "queue.sqlite3"
        copy.parent.mkdir()
        shutil.copy(path, copy)
        told = lived(copy, point)
        again, dead = found(copy)
        there = set(again) | set(dead)
        where = f"killed before statement {point}, told {sorted(told)}"
        assert len(there) == len(again) + len(dead), where
        assert not numbers(told, "acked") & there, where
        assert numbers(told, "dead-lettered") <= set(dead), where
        in_hand = {1, 2} & numbers(told, "sent")  # its acknowledgement may have been committed without an answer
        assert numbers(told, "sent") - in_hand <= there, where
        assert len(in_hand - there - numbers(told, "acked")) <= 1, where
        assert len({3, 4, 5} & there) in {0, 3}, where  # one commit
        shutil.rmtree(copy.parent)
        if ("left",) in told:
            break
    assert ("left",) in told
    assert point > 40  # the fuse was laid where the statements are


def test_death_before_any_statement_leaves_a_message_or_what_follows_from_it(path: Path, tmp_path: Path) -> None:
    with closing(SqliteBroker(path)) as broker:
        broker.admin.queue_stats()
    for point in range(1, POINTS_AT_MOST):
        copy = tmp_path / str(point) / "queue.sqlite3"
        copy.parent.mkdir()
        shutil.copy(path, copy)
        told = lived(copy, point, pass_on)
        again, dead = found(copy)
        where = f"killed before statement {point}, told {sorted(told)}"
        assert dead == [], where
        assert len(again) == 1 or not numbers(told, "sent"), where
        assert not numbers(told, "acked") & set(again), where
        shutil.rmtree(copy.parent)
        if ("left",) in told:
            break
    assert ("left",) in told
    assert point > 20


def test_death_before_any_statement_of_making_the_file_leaves_one_that_serves(tmp_path: Path) -> None:
    for point in range(1, POINTS_AT_MOST):
        path = tmp_path / str(point) / "queue.sqlite3"
        told = lived(path, point)
        if numbers(told, "sent"):
            break
        broker = SqliteBroker(path)
        broker.declare_queue("default")
        broker.enqueue(message(9))
        assert broker.get_queue_message_counts("default")[0] in {1, 2}
        broker.close()
    assert point > 20
