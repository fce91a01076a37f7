"""Rate limiters and barriers in the database: bounds, expiry, events, other processes, interruptions."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from pathlib import Path

import dramatiq
import pytest
from dramatiq import group
from dramatiq.middleware import GroupCallbacks
from dramatiq.rate_limits import Barrier, ConcurrentRateLimiter, WindowRateLimiter
from dramatiq.rate_limits.backend import RateLimiterBackend

from broker import SqliteBroker
from broker.debug import awaits_notification
from broker.rate_limits import PURGED_PER_WRITE, DatabaseRateLimiterBackend
from tests.broker.conftest import TableClock, open_database, working
from tests.broker.other_process import interrupted, other_process
from tests.support.waiting import wait_for

MINUTE_MS = 60_000
ON_EVERY_ENGINE = True
WOKEN_S = 10.0  # measured: 1 ms; without a notification it would be 30 s
TOGETHER_S = 0.1  # measured: 1 ms; dramatiq's own tests ask for 10 ms, which a busy machine may miss


def mutex(limits: RateLimiterBackend, ttl: int = MINUTE_MS) -> ConcurrentRateLimiter:
    return ConcurrentRateLimiter(limits, "mutex", limit=1, ttl=ttl)  # type: ignore[no-untyped-call]  # dramatiq's


def is_free(limits: RateLimiterBackend) -> bool:
    with mutex(limits).acquire(raise_on_failure=False) as acquired:
        return bool(acquired)


def test_a_counter_that_expired_starts_again(limits: DatabaseRateLimiterBackend, clock: TableClock) -> None:
    assert limits.add("key", 5, MINUTE_MS)
    assert not limits.add("key", 1, MINUTE_MS)
    assert not limits.incr("key", 1, 5, MINUTE_MS)
    clock.advance(60)
    assert limits.incr("key", 1, 1, MINUTE_MS)
    assert not limits.add("key", 1, MINUTE_MS)


def test_changing_a_counter_lets_it_live_anew(limits: DatabaseRateLimiterBackend, clock: TableClock) -> None:
    limits.add("key", 1, MINUTE_MS)
    for _ in range(4):
        clock.advance(40)
        assert limits.incr("key", 1, 100, MINUTE_MS)
    assert not limits.incr("key", 1, 5, MINUTE_MS)  # it counts 5; expired, it would have begun again


def test_what_expired_does_not_pile_up(limits: DatabaseRateLimiterBackend, place: str, clock: TableClock) -> None:
    for number in range(100):
        limits.add(str(number), 1, 1000)
    clock.advance(1)
    limits.add("last", 1, MINUTE_MS)
    with open_database(place) as connection:
        [(left,)] = connection.execute("SELECT count(*) FROM broker_counters").fetchall()
    assert left == 101 - PURGED_PER_WRITE
    assert limits.purge() == 100 - PURGED_PER_WRITE


def test_a_window_may_have_more_keys_than_sql_has_parameters(limits: DatabaseRateLimiterBackend) -> None:
    day = WindowRateLimiter(limits, "day", limit=2, window=86_400)  # type: ignore[no-untyped-call]  # dramatiq's
    taken = []
    for _ in range(3):
        with day.acquire(raise_on_failure=False) as acquired:
            taken.append(acquired)
    assert taken == [True, True, False]


def test_an_error_in_finding_the_keys_changes_nothing(limits: DatabaseRateLimiterBackend) -> None:
    def keys() -> list[str]:
        raise LookupError("no keys")

    with pytest.raises(LookupError):
        limits.incr_and_sum("key", keys, 1, 10, MINUTE_MS)
    assert limits.add("key", 1, MINUTE_MS)


def test_an_event_is_seen_before_and_after_and_until_it_expires(
    limits: DatabaseRateLimiterBackend, clock: TableClock
) -> None:
    assert not limits.wait("event", 50)
    thread = threading.Thread(target=limits.wait, args=("event", None))
    thread.start()
    wait_for(lambda: awaits_notification(thread), "a thread that waits for the event")
    limits.wait_notify("event", 1)
    thread.join(WOKEN_S)
    assert not thread.is_alive()
    assert limits.wait("event", 0)
    assert limits.wait("event", MINUTE_MS)
    clock.advance(1)
    assert not limits.wait("event", 10)


def test_parties_in_two_processes_pass_a_barrier_together(limits: DatabaseRateLimiterBackend, place: str) -> None:
    barrier = Barrier(limits, "barrier", ttl=MINUTE_MS)  # type: ignore[no-untyped-call]  # dramatiq's
    barrier.create(parties=3)  # type: ignore[no-untyped-call]  # dramatiq's
    program = """
        from dramatiq.rate_limits import Barrier
        barrier = Barrier(RateLimiterBackend(place), "barrier", ttl=60_000)
        print(announced(lambda: barrier.wait(timeout=20_000)), time.monotonic())
    """
    with other_process(program, place) as first, other_process(program, place) as second:
        assert (first.line(), second.line()) == ("waiting", "waiting")
        assert barrier.wait(timeout=20_000)  # type: ignore[no-untyped-call]  # dramatiq's
        passed_s = time.monotonic()
        for other in (first, second):
            passed, at_s = other.line().split()
            assert passed == "True"
            assert abs(float(at_s) - passed_s) < TOGETHER_S


def test_a_mutex_holds_between_processes(limits: DatabaseRateLimiterBackend, place: str, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    program = f"""
        from dramatiq.rate_limits import ConcurrentRateLimiter
        mutex = ConcurrentRateLimiter(RateLimiterBackend(place), "mutex", limit=1, ttl=60_000)
        journal = open({str(journal)!r}, "a", buffering=1)
        taken = 0
        while taken < 30:
            with mutex.acquire(raise_on_failure=False) as acquired:
                if acquired:
                    taken += 1
                    journal.write("in\\n")
                    journal.write("out\\n")
        print("done")
    """
    with other_process(program, place) as first, other_process(program, place) as second:
        assert (first.line(), second.line()) == ("done", "done")
    lines = journal.read_text().split()
    assert lines == ["in", "out"] * 60
    assert is_free(limits)


def test_a_slot_of_a_killed_process_is_free_when_its_time_is_over(
    limits: DatabaseRateLimiterBackend, place: str, clock: TableClock
) -> None:
    program = """
        from dramatiq.rate_limits import ConcurrentRateLimiter
        with ConcurrentRateLimiter(RateLimiterBackend(place), "mutex", limit=1, ttl=60_000).acquire():
            print("taken")
            sys.stdin.readline()
    """
    with other_process(program, place) as other:
        assert other.line() == "taken"
        other.popen.kill()
        other.popen.wait(10)
    assert not is_free(limits)
    clock.advance(120)  # the other process's clock has gone on meanwhile
    assert is_free(limits)


def test_a_forked_child_counts_with_its_parent(limits: DatabaseRateLimiterBackend) -> None:
    limits.incr("key", 1, 3, MINUTE_MS)
    child = os.fork()
    if child == 0:
        counted = limits.incr("key", 1, 3, MINUTE_MS)
        limits.wait_notify("counted", MINUTE_MS)
        limits.close()
        os._exit(0 if counted else 1)
    assert limits.wait("counted", 20_000)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert [limits.incr("key", 1, 3, MINUTE_MS) for _ in range(2)] == [True, False]


def test_interrupted_while_taking_a_slot_one_does_not_hold_it(limits: DatabaseRateLimiterBackend, place: str) -> None:
    assert is_free(limits)
    assert interrupted(place, lambda: limits.add("other", 1, MINUTE_MS))
    assert limits.add("other", 1, MINUTE_MS)
    assert interrupted(place, lambda: limits.incr("mutex", 1, 1, MINUTE_MS))
    assert is_free(limits)
    assert interrupted(place, lambda: limits.incr_and_sum("window", lambda: ["window"], 1, 1, MINUTE_MS))
    assert limits.incr_and_sum("window", lambda: ["window"], 1, 1, MINUTE_MS)


def test_interrupted_while_giving_a_slot_back_one_does_not_keep_it(
    limits: DatabaseRateLimiterBackend, place: str
) -> None:
    limits.add("mutex", 1, MINUTE_MS)
    assert interrupted(place, lambda: limits.decr("mutex", 1, 0, MINUTE_MS))
    assert is_free(limits)


def test_an_interrupted_party_has_not_come_to_the_barrier(limits: DatabaseRateLimiterBackend, place: str) -> None:
    """Its message will run again; counted twice, it would open the barrier too early."""
    barrier = Barrier(limits, "barrier", ttl=MINUTE_MS)  # type: ignore[no-untyped-call]  # dramatiq's
    barrier.create(parties=2)  # type: ignore[no-untyped-call]  # dramatiq's
    assert interrupted(place, lambda: barrier.wait(block=False))  # type: ignore[no-untyped-call]  # dramatiq's
    assert not barrier.wait(block=False)  # type: ignore[no-untyped-call]  # dramatiq's
    assert barrier.wait(block=False)  # type: ignore[no-untyped-call]  # dramatiq's


def test_a_group_calls_back_once_when_all_are_done(broker: SqliteBroker, limits: DatabaseRateLimiterBackend) -> None:
    broker.add_middleware(GroupCallbacks(limits))
    seen: Counter[str] = Counter()

    @dramatiq.actor
    def work() -> None:
        seen["work"] += 1

    @dramatiq.actor
    def finish() -> None:
        seen["finish, work"] += seen["work"]

    crowd = group([work.message() for _ in range(8)])  # type: ignore[no-untyped-call]  # dramatiq's
    crowd.add_completion_callback(finish.message())  # type: ignore[no-untyped-call]  # dramatiq's
    with working(broker):
        crowd.run()  # type: ignore[no-untyped-call]  # dramatiq's
        broker.join("default", timeout=20_000)
    assert seen == {"work": 8, "finish, work": 8}


@pytest.mark.slow
def test_exceptions_raining_on_threads_leave_nothing_locked(limits: DatabaseRateLimiterBackend, place: str) -> None:
    """They strike at any bytecode, also of our own; a slot may be lost outside of the backend, but no thread hangs."""
    program = """
        import random, threading
        from tests.support.waiting import wait_for
        from dramatiq import Message
        from dramatiq.threading import Interrupt, raise_thread_exception
        limits, results = RateLimiterBackend(place), ResultBackend(place)
        rounds = [0] * 8
        over = threading.Event()
        def work(mine):
            while not over.is_set():
                try:
                    while not over.is_set():
                        limits.incr(f"key-{mine}", 1, 10**9, 60_000)
                        limits.wait("never", 2)
                        done = Message("default", "work", (), {}, {})
                        results.store_result(done, mine, 60_000)
                        assert results.get_result(done, block=True) == mine
                        rounds[mine] += 1
                except Interrupt:
                    pass
        threads = [threading.Thread(target=work, args=(mine,), daemon=True) for mine in range(8)]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 4
        while time.monotonic() < deadline:
            time.sleep(random.uniform(0.0005, 0.005))
            raise_thread_exception(random.choice(threads).ident, Interrupt)
        before = list(rounds)
        wait_for(lambda: all(later > sooner for later, sooner in zip(rounds, before)), "all threads")
        over.set()
        print("went on")
    """
    with other_process(program, place) as other:
        assert other.line() == "went on"
    assert limits.add("afterwards", 1, MINUTE_MS)
