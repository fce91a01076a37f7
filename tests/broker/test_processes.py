"""Real processes: killed, frozen, forked, racing, under the dramatiq and periodiq commands."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from dramatiq import Message

from broker import SqliteBroker
from broker.debug import BrokerDebug
from tests.broker.conftest import take_from_frozen
from tests.support.waiting import wait_for

ROOT = Path(__file__).parents[2]
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(path: Path) -> Iterator[Start]:
    """Start Python with arguments on the test's file; whatever is left is killed in the end."""
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: str, lease_s: float = 60.0) -> subprocess.Popen[str]:
        environment = os.environ | {"BROKER_TEST_FILE": str(path), "BROKER_TEST_LEASE_S": str(lease_s)}
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.terminate()
    for process in started:
        with process:  # closes its pipes
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                # A master of dramatiq's waits for ever, deaf to signals, if its worker is killed while it reports.
                process.kill()


def message(number: int, seconds: float = 0.0) -> Message[None]:
    return Message(queue_name="default", actor_name="work", args=(number, seconds), kwargs={}, options={})


def journal(path: Path) -> list[tuple[str, int, int]]:
    file = path.with_suffix(".journal")
    lines = file.read_text().splitlines() if file.exists() else []
    return [(what, int(number), int(pid)) for what, number, pid in (line.split() for line in lines)]


def in_hand(path: Path, pid: int) -> set[int]:
    """Return the messages that a process has begun and not ended."""
    lines = journal(path)
    return {number for what, number, of in lines if of == pid and what == "begin"} - {
        number for what, number, of in lines if of == pid and what == "end"
    }


def test_the_dramatiq_command_works_off_what_another_process_sends(
    broker: SqliteBroker, path: Path, start: Start
) -> None:
    broker.declare_queue("default")
    command = start("-m", "dramatiq", "tests.broker.app", "-p", "2", "-t", "2")
    wait_for(lambda: len(broker.admin.consumers()) == 2)
    broker.enqueue_many([message(number) for number in range(50)])
    broker.join("default", timeout=20_000)
    command.terminate()
    assert command.wait(20) == 0
    assert Counter(number for what, number, _ in journal(path) if what == "end") == Counter(range(50))
    assert broker.admin.consumers() == []


def test_a_killed_worker_loses_nothing_and_repeats_nothing_settled(
    broker: SqliteBroker, path: Path, start: Start
) -> None:
    broker.declare_queue("default")
    for _ in range(2):
        start("-m", "dramatiq", "tests.broker.app", "-p", "1", "-t", "4")
    wait_for(lambda: len(broker.admin.consumers()) == 2)
    broker.enqueue_many([message(number, 0.01) for number in range(400)])
    wait_for(lambda: len(journal(path)) > 150)
    victim = broker.admin.consumers()[0].pid
    while not in_hand(path, victim):  # frozen, so that it is killed with a message in hand
        os.kill(victim, signal.SIGCONT)
        wait_for(lambda: in_hand(path, victim), "a message in hand", interval_s=0.001)
        os.kill(victim, signal.SIGSTOP)
    held = [held.message_id for held in broker.admin.held_messages() if held.pid == victim]
    os.kill(victim, signal.SIGKILL)
    # Before the others would read the tables without having noticed (30 s), and before the lease expires (60 s).
    broker.join("default", timeout=15_000)
    assert [process.pid for process in broker.admin.consumers() if process.pid == victim] == []
    begun, ended = (Counter(n for what, n, _ in journal(path) if what == kind) for kind in ("begin", "end"))
    repeated = {number for number, times in begun.items() if times > 1}
    assert set(ended) == set(range(400))
    assert in_hand(path, victim) <= repeated <= {number for _, number, pid in journal(path) if pid == victim}
    assert len(repeated) <= len(held) <= 4  # only what the four threads had in hand, not what they had acknowledged
    assert max(begun.values()) == 2


def test_a_frozen_worker_cannot_settle_what_was_given_to_another(path: Path, start: Start) -> None:
    """The lease runs out; the message is claimed anew under another token; the late acknowledgement hits nothing."""
    program = """
        import sys
        from broker import SqliteBroker
        import os
        broker = SqliteBroker(os.environ["BROKER_TEST_FILE"], lease_s=0.6)
        broker.declare_queue("default")
        consumer = broker.consume("default", timeout=10_000)
        message = next(consumer)
        print("got", flush=True)
        sys.stdin.readline()
        consumer.ack(message)
        print("acknowledged", flush=True)
        sys.stdin.readline()
    """
    frozen = start("-c", textwrap.dedent(program))
    broker = SqliteBroker(path, lease_s=0.6)
    broker.declare_queue("default")
    broker.enqueue(message(1))
    take_from_frozen(broker, frozen, 1500)


def test_a_program_started_by_a_worker_does_not_keep_its_lease(broker: SqliteBroker, start: Start) -> None:
    program = """
        import os, signal, subprocess, sys
        from broker import SqliteBroker
        broker = SqliteBroker(os.environ["BROKER_TEST_FILE"])
        broker.declare_queue("default")
        consumer = broker.consume("default")
        nothing = subprocess.DEVNULL
        sleeper = subprocess.Popen(["sleep", "600"], close_fds=False, stdout=nothing, stderr=nothing)
        reading, writing = os.pipe()
        forked = os.fork()
        if forked == 0:
            os.close(1), os.close(2)
            os.write(writing, b"closed the parent's")
            signal.pause()
        os.read(reading, 1)
        print(sleeper.pid, forked, flush=True)
        sys.stdin.readline()
    """
    process = start("-c", textwrap.dedent(program))
    assert process.stdout is not None
    offspring = [int(pid) for pid in process.stdout.readline().split()]
    assert [consumer.pid for consumer in broker.admin.consumers()] == [process.pid]
    process.kill()
    process.wait(10)
    try:
        assert broker.admin.consumers() == []
    finally:
        for pid in offspring:
            os.kill(pid, signal.SIGKILL)


def _send_one(path: Path) -> None:
    broker = SqliteBroker(path)
    broker.declare_queue("default")
    broker.enqueue(message(os.getpid()))
    broker.close()


def test_many_processes_may_open_a_new_file_at_the_same_time(broker: SqliteBroker, path: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_send_one, args=(path,)) for _ in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
    assert [process.exitcode for process in processes] == [0] * 8
    assert broker.get_queue_message_counts("default") == (8, 0, 0)


def test_a_forked_child_sends_and_the_parent_goes_on(broker: SqliteBroker) -> None:
    broker.declare_queue("default")
    consumer = broker.consume("default", timeout=5000)
    broker.enqueue(message(0))
    first = next(consumer)
    child = os.fork()
    if child == 0:
        broker.enqueue(message(1))
        broker.close()
        os._exit(0 if len(broker.admin.consumers()) == 1 else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert first is not None
    consumer.ack(first)
    second = next(consumer)
    assert second is not None
    assert second.args == (1, 0.0)


@pytest.mark.slow
def test_exceptions_raining_on_worker_threads_lose_nothing(start: Start) -> None:
    """Time limits and shutdowns strike at any bytecode, also inside an acknowledgement."""
    program = """
        import logging, os, random, threading, time
        import dramatiq
        from dramatiq.threading import Interrupt, raise_thread_exception
        from broker import SqliteBroker
        from broker.debug import BrokerDebug
        logging.disable(logging.CRITICAL)
        threading.excepthook = lambda arguments: None
        broker = SqliteBroker(os.environ["BROKER_TEST_FILE"])
        dramatiq.set_broker(broker)
        over = set()
        @dramatiq.actor(max_retries=None, min_backoff=1, max_backoff=5)
        def work(number):
            over.add(number)
        broker.enqueue_many([work.message(number) for number in range(3000)])
        worker = dramatiq.Worker(broker, worker_threads=8, worker_timeout=50)
        worker.start()
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            time.sleep(random.uniform(0.001, 0.01))
            alive = [thread for thread in worker.workers if thread.is_alive()]
            if len(alive) > 1:
                raise_thread_exception(random.choice(alive).ident, Interrupt)
        broker.join("default", timeout=60_000)
        print(len(over), len(broker.admin.dead_letters()), BrokerDebug(broker).claims)
    """
    process = start("-c", textwrap.dedent(program))
    out, _ = process.communicate(timeout=120)
    assert out == "3000 0 set()\n"


@pytest.mark.slow
def test_periodiq_ticks(broker: SqliteBroker, path: Path, start: Start) -> None:
    """The scheduler waits for the full minute; its tick must arrive well within the 30 s after which it is dropped."""
    start("-m", "dramatiq", "tests.broker.app", "-p", "1", "-t", "1")
    scheduler = start("-c", "import periodiq; periodiq.entrypoint()", "tests.broker.app")
    wait_for(lambda: ("tick", 0, 0) in journal(path), "a tick", 75)
    scheduler.terminate()
    scheduler.wait(10)
    assert len(journal(path)) == 1


@pytest.mark.slow
def test_two_processes_share_thousands_of_messages_each_exactly_once(
    broker: SqliteBroker, path: Path, start: Start
) -> None:
    broker.declare_queue("default")
    commands = [start("-m", "dramatiq", "tests.broker.app", "-p", "1", "-t", "8") for _ in range(2)]
    wait_for(lambda: len(broker.admin.consumers()) == 2)
    broker.enqueue_many([message(number) for number in range(8_000)])
    broker.join("default", timeout=60_000)
    for command in commands:
        command.terminate()
        assert command.wait(20) == 0
    for what in ("begin", "end"):
        assert Counter(number for line, number, _ in journal(path) if line == what) == Counter(range(8_000))
    shares = Counter(pid for what, _, pid in journal(path) if what == "end")
    assert len(shares) == 2  # both had a part in it
    for table in ("broker_messages", "broker_dead", "broker_workers", "broker_unique"):
        assert BrokerDebug(broker).database.read(f"SELECT count(*) FROM {table}") == [(0,)]  # noqa: S608


@pytest.mark.slow
def test_a_storm_of_kills_loses_nothing(path: Path, start: Start) -> None:
    """Workers die at random moments, senders too; in the end every message that was accepted has been run."""
    sender = """
        import os
        from broker import SqliteBroker
        from dramatiq import Message
        broker = SqliteBroker(os.environ["BROKER_TEST_FILE"])
        broker.declare_queue("default")
        number = 0
        while True:
            name = number + 1_000_000 * os.getpid()
            broker.enqueue(Message("default", "work", (name,), {}, {}), delay=number % 3 * 20)
            print(name, flush=True)
            number += 1
    """
    broker = SqliteBroker(path, max_deliveries=1000)
    broker.declare_queue("default")
    dice = random.Random(1)
    accepted: set[int] = set()
    for _ in range(2):
        start("-m", "dramatiq", "tests.broker.app", "-p", "1", "-t", "4")
    for _ in range(6):
        process = start("-c", textwrap.dedent(sender))
        assert process.stdout is not None
        accepted |= {int(process.stdout.readline()) for _ in range(dice.randint(1, 300))}
        process.kill()
        # The last line may have been cut off; a message is accepted when its whole line is out.
        accepted |= {int(line) for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n")}
        for worker in broker.admin.consumers()[:1]:
            os.kill(worker.pid, signal.SIGKILL)  # the command it belongs to ends by itself
        start("-m", "dramatiq", "tests.broker.app", "-p", "1", "-t", "4")
    wait_for(broker.admin.consumers)
    broker.join("default", timeout=120_000)
    ended = Counter(number for what, number, _ in journal(path) if what == "end")
    assert accepted - set(ended) == set()
    [stats] = broker.admin.queue_stats()
    assert stats.dead == 0
    [(verdict,)] = BrokerDebug(broker).database.read("PRAGMA integrity_check")
    assert verdict == "ok"
    broker.close()


def test_children_forked_amid_the_work_of_other_threads_send_too(broker: SqliteBroker) -> None:
    """SQLite keeps its locks in memory that a child inherits: one taken at that moment would stay taken for ever."""
    broker.declare_queue("default")
    broker.admin.queue_stats()
    stop = threading.Event()
    sent = [0]

    def send() -> None:
        while not stop.is_set():
            broker.enqueue(Message("default", "nobody", ("parent",), {}, {}))
            broker.admin.queue_stats()
            sent[0] += 1

    sender = threading.Thread(target=send)
    sender.start()
    children = []
    for number in range(20):
        child = os.fork()
        if child == 0:
            try:
                signal.alarm(20)  # a child that waits for ever is the failure
                broker.enqueue(Message("default", "nobody", (number,), {}, {}))
                broker.close()
                os._exit(0)
            finally:
                os._exit(1)
        children.append(child)
        before = sent[0]
        wait_for(lambda: sent[0] > before, "a message of the other thread", interval_s=0.001)  # noqa: B023
    stop.set()
    sender.join()
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 20
    assert broker.get_queue_message_counts("default") == (sent[0] + 20, 0, 0)


def test_what_a_child_sends_after_its_parent_has_left_is_there(path: Path, start: Start) -> None:
    """The last to close a file takes its WAL away: a child counts, although the file was open when it was forked."""
    program = """
        import os, sys
        from dramatiq import Message
        from broker import SqliteBroker
        from tests.support.waiting import wait_for
        broker = SqliteBroker(os.environ["BROKER_TEST_FILE"])
        broker.declare_queue("default")
        broker.enqueue(Message("default", "nobody", (0,), {}, {}))
        broker.admin.queue_stats()
        parent = os.getpid()
        reading, writing = os.pipe()
        if os.fork() == 0:
            broker.enqueue(Message("default", "nobody", (1,), {}, {}))
            os.write(writing, b"x")
            wait_for(lambda: os.getppid() != parent, "the exit of the parent")
            broker.enqueue(Message("default", "nobody", (2,), {}, {}))
            print("sent", flush=True)
            sys.stdin.readline()  # with the file open
            os._exit(0)
        os.read(reading, 1)
        broker.close()
        os._exit(0)
    """
    process = start("-c", textwrap.dedent(program))
    assert process.stdout is not None
    assert process.stdout.readline() == "sent\n"
    with closing(SqliteBroker(path)) as another:
        assert another.get_queue_message_counts("default") == (3, 0, 0)
