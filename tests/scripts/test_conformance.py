"""`scripts/conformance` with a small suite that uses the same fixtures and modules as Dramatiq's."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import dramatiq
import pytest

from tests.postgresql_server import postgresql_programs

ROOT = Path(__file__).parents[2]
SUITE = """
import pika.exceptions
import pytest
import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.brokers.stub import StubBroker

broker = RedisBroker()


@dramatiq.actor(broker=broker)
def write(filename):
    with open(filename, "w") as file:
        file.write("done")


def test_an_actor_runs(stub_broker, stub_worker):
    seen = []

    @dramatiq.actor
    def note(number):
        seen.append(number)

    note.send(1)
    stub_broker.join("default")
    assert seen == [1]


def test_a_rejected_message_raises_in_join(stub_broker, stub_worker):
    @dramatiq.actor(max_retries=0)
    def fail():
        raise KeyError("once")

    fail.send()
    with pytest.raises(KeyError):
        stub_broker.join("default")
    assert len(stub_broker.dead_letters) == 1


def test_the_command_uses_our_broker(start_cli, tmp_path):
    start_cli("tests.test_worker:broker", extra_args=["--processes", "1", "--threads", "1"])
    write.send(str(tmp_path / "name"))
    broker.join("default", timeout=20_000)
    assert (tmp_path / "name").exists()


def test_results_and_limits_are_ours(result_backend, rate_limiter_backend):
    assert type(result_backend).__name__ + type(rate_limiter_backend).__name__ == (
        "ENGINEResultBackendENGINERateLimiterBackend"
    )


def test_that_fails():
    raise pika.exceptions.AMQPConnectionError


def test_queue_item_order():
    raise AssertionError("says nothing about a broker")
"""


def conformance(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.conformance", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    shutil.copytree(Path(dramatiq.__file__).parent, tmp_path / "checkout" / "dramatiq")
    tests = tmp_path / "checkout" / "tests"
    tests.mkdir()
    (tests / "__init__.py").touch()
    (tests / "test_worker.py").write_text(SUITE)
    return tmp_path / "checkout"


@pytest.mark.parametrize(
    ("broker", "engine", "options"),
    [("Sqlite", "Sqlite", []), ("Postgresql", "Postgresql", ["--postgresql"]), ("Relayed", "Postgresql", ["--redis"])],
    ids=["sqlite", "postgresql", "redis"],
)
def test_a_suite_runs_on_our_broker_and_is_counted(
    checkout: Path, broker: str, engine: str, options: list[str]
) -> None:
    if engine == "Postgresql" and postgresql_programs() is None:
        pytest.skip("PostgreSQL's programs are missing")
    if "--redis" in options and shutil.which("redis-server") is None:
        pytest.skip("Redis is missing")
    suite = checkout / "tests" / "test_worker.py"
    suite.write_text(suite.read_text().replace("ENGINE", engine))
    done = conformance(str(checkout), *options)
    assert f"4 of 5 tests that say something about any broker pass on {broker}Broker" in done.stdout, (
        done.stdout + done.stderr
    )
    assert "failed: test_that_fails: NOT EXPECTED" in done.stdout
    assert "Left out: 1 tests that depend on no broker, 0 about the inside of a peer" in done.stdout
    assert done.returncode == 1


def test_a_directory_without_the_suite_is_refused(tmp_path: Path) -> None:
    assert conformance(str(tmp_path)).returncode == 2
