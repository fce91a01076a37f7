"""The pytest plugin of a conformance run: fixtures with this project's broker and backends, and a summary.

It replaces the suite's conftest. Tests that are parametrized over several backends run once.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import dramatiq
import pytest
from dramatiq import Worker

from .databases import RateLimiterBackend, ResultBackend, TestedBroker, new_database, relaying, shared_database
from .selection import DEPENDS_ON_NO_BROKER, DOES_NOT_PASS, INSIDE_A_PEER
from .stand_ins import RabbitmqBroker, RedisBroker, StubBroker

LIMIT_S = 120  # the longest test takes about 20 s

B = TypeVar("B", StubBroker, RedisBroker, RabbitmqBroker)
Outcomes = dict[str, str]
_outcomes = pytest.StashKey[Outcomes]()
_left_out = pytest.StashKey[list[int]]()


def pytest_configure(config: pytest.Config) -> None:
    """Create the counter of outcomes."""
    config.stash[_outcomes] = {}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the excluded tests."""
    config.stash[_left_out] = []
    for names in (DEPENDS_ON_NO_BROKER, INSIDE_A_PEER):
        left_out = [item for item in items if _test_name(item.nodeid) in names]
        config.hook.pytest_deselected(items=left_out)
        config.stash[_left_out].append(len(left_out))
        items[:] = [item for item in items if item not in left_out]
    if _watchdog_version() != "6":
        for item in items:
            if _test_name(item.nodeid) == "test_cli_can_watch_for_source_code_changes":
                item.add_marker(pytest.mark.skip("needs watchdog 6; version 7 does not call dramatiq's handler"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Interrupt a test that exceeds the time limit."""

    def give_up(_signal: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"{item.name} is stuck: not over after {LIMIT_S} s")

    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(LIMIT_S)
    try:
        return (yield)
    finally:
        signal.alarm(0)


class _Counting:
    """Counts outcomes; a class of its own, because the hook has no `config`."""

    def __init__(self, outcomes: Outcomes) -> None:
        self._outcomes = outcomes

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Record the outcome of a test; errors in set-up and tear-down are failures."""
        if report.when == "call" or report.outcome != "passed":
            self._outcomes[report.nodeid] = report.outcome


def pytest_sessionstart(session: pytest.Session) -> None:
    """Register the counter."""
    session.config.pluginmanager.register(_Counting(session.config.stash[_outcomes]))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Make the run successful if only known failures occurred."""
    failed = {_test_name(test) for test, outcome in session.config.stash[_outcomes].items() if outcome == "failed"}
    if failed and failed <= DOES_NOT_PASS.keys():
        session.exitstatus = pytest.ExitCode.OK


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:  # Any: not public in pytest
    """Print the number of passed tests, and the reasons for the others."""
    outcomes = config.stash[_outcomes]
    passed = sum(outcome == "passed" for outcome in outcomes.values())
    write = terminalreporter.write_line
    write("")
    write(f"{passed} of {len(outcomes)} tests that say something about any broker pass on {TestedBroker.__name__}.")
    for test, outcome in outcomes.items():
        if outcome != "passed":
            reason = DOES_NOT_PASS.get(_test_name(test), "NOT EXPECTED" if outcome == "failed" else "see above")
            write(f"  {outcome}: {_test_name(test)}: {reason}")
    independent, inside = config.stash.get(_left_out, [0, 0])
    write(f"Left out: {independent} tests that depend on no broker, {inside} about the inside of a peer")
    write("  (tests/conformance/selection.py names them, with the reasons).")


def _watchdog_version() -> str | None:
    try:
        return version("watchdog").partition(".")[0]
    except PackageNotFoundError:
        return None


def _test_name(nodeid: str) -> str:
    return nodeid.partition("[")[0].rpartition("::")[2]


# Fixtures by the names that the suite uses.


@pytest.fixture(scope="session", autouse=True)
def shared_relay() -> Iterator[None]:
    """Run the relay of the database that all processes share, if there is one."""
    with relaying(shared_database()):
        yield


@pytest.fixture
def place(tmp_path: Path) -> Iterator[str]:
    """The database of one test."""
    with new_database(tmp_path) as made:
        yield made


@pytest.fixture
def stub_broker(place: str) -> Iterator[StubBroker]:
    """This project's broker in place of the stub broker."""
    yield from _in_use(StubBroker(place))


@pytest.fixture
def rabbitmq_broker(place: str) -> Iterator[RabbitmqBroker]:
    """This project's broker in place of RabbitMQ."""
    yield from _in_use(RabbitmqBroker(place))


@pytest.fixture
def redis_broker(place: str) -> Iterator[RedisBroker]:
    """This project's broker in place of Redis."""
    yield from _in_use(RedisBroker(place))


def _in_use(broker: B) -> Iterator[B]:
    broker.emit_after("process_boot")
    dramatiq.set_broker(broker)
    yield broker
    broker.flush_all()
    broker.close()


@pytest.fixture
def stub_worker(stub_broker: StubBroker) -> Iterator[Worker]:
    """A worker with 32 threads and a short timeout."""
    yield from _at_work(Worker(stub_broker, worker_timeout=100, worker_threads=32))


@pytest.fixture
def rabbitmq_worker(rabbitmq_broker: RabbitmqBroker) -> Iterator[Worker]:
    """A worker with 32 threads."""
    yield from _at_work(Worker(rabbitmq_broker, worker_threads=32))


@pytest.fixture
def redis_worker(redis_broker: RedisBroker) -> Iterator[Worker]:
    """A worker with 32 threads."""
    yield from _at_work(Worker(redis_broker, worker_threads=32))


def _at_work(worker: Worker) -> Iterator[Worker]:
    worker.start()
    yield worker
    worker.stop()


@pytest.fixture
def result_backend(place: str) -> Iterator[Any]:  # Any: of either engine
    """This project's result backend, in the broker's database."""
    backend = ResultBackend(place)
    yield backend
    backend.close()


redis_result_backend = result_backend


@pytest.fixture
def rate_limiter_backend(place: str) -> Iterator[Any]:  # Any: of either engine
    """This project's rate limiter backend, in the broker's database."""
    backend = RateLimiterBackend(place)
    yield backend
    backend.close()


@pytest.fixture
def start_cli() -> Iterator[Callable[..., subprocess.Popen[Any]]]:
    """Start dramatiq's command with this project's broker; stopped after the test."""
    running: list[subprocess.Popen[Any]] = []

    def start(
        broker: str, *, extra_args: list[str] | None = None, **popen_options: Any
    ) -> subprocess.Popen[Any]:  # Any: bytes or text, as these options say
        command = [sys.executable, "-m", "dramatiq", broker, *(extra_args or [])]
        running.append(subprocess.Popen(command, **{"bufsize": 0} | popen_options))
        return running[-1]

    yield start
    for process in running:
        process.terminate()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
