"""The whole way of a video on two machines with one PostgreSQL server and one bucket; one of them is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts.fault_injection.processes import ProcessTree
from scripts.local.run import development
from tests.flows.machine import POLL_S, ROOT, TestMachine
from tests.flows.test_whole_way import each_once_in_order, parts_by_platform
from tests.postgresql_server import PostgresqlServer, running_server
from tests.support.object_store import ObjectStore
from tests.support.postgresql_machine import SECRETS, database_url
from tests.support.waiting import wait_for

pytestmark = pytest.mark.slow


@pytest.fixture
def postgresql() -> Iterator[PostgresqlServer]:
    with running_server() as server:
        yield server


class OtherMachine:
    """A machine that serves no requests, with a data directory of its own."""

    def __init__(self, data_dir: Path, environ: dict[str, str]) -> None:
        data_dir.mkdir()
        own = {"DATA_DIR": str(data_dir), "SERVICES": "network,media"}
        with (data_dir / "serve.log").open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "scripts.machine.serve"],
                cwd=ROOT,
                env=development(environ) | own,
                stdout=output,
                stderr=output,
            )
        self._tree = ProcessTree(self._process.pid, str(data_dir))

    def has(self, name: str) -> bool:
        """Return whether a process has this text in its command line."""
        return any(name in line for line in self._tree.processes().values())

    def is_ready(self) -> bool:
        """Return whether its worker for the network runs."""
        return len(self._tree.processes()) > 2

    def kill(self) -> None:
        """Kill all its processes at once, as a power cut would."""
        for pid in self._tree.processes():
            os.kill(pid, signal.SIGKILL)
        self._process.wait()


def test_each_part_is_published_once_although_a_machine_is_lost(
    postgresql: PostgresqlServer, machine: Callable[..., TestMachine], server: ObjectStore, talk: Path, tmp_path: Path
) -> None:
    """The other machine is lost while it renders; a third takes its place, and the first one's workers are killed.

    The server is a fixture before the machine, so that it ends after it: without it, the machine waits at its stop.
    """
    environ = {
        **SECRETS,
        **server.environ("several-machines"),
        "DATABASE_URL": database_url(postgresql, postgresql.create_database()),
        "API_KEYS": "test-key-of-tests",
        "LEASE_SECONDS": "10",
        "MEDIA_RETRY_SECONDS": "1",
    }
    running = machine(**environ)
    other = OtherMachine(tmp_path / "other", running.environ)
    wait_for(other.is_ready, "the other machine", 60)
    running.kill_9("scripts.machine.media_worker")
    jobs = [running.upload(talk, title=f"Talk {number}") for number in range(2)]
    wait_for(lambda: other.has("-m media.gaze"), "the other machine to render", 60, interval_s=POLL_S)
    other.kill()

    third = OtherMachine(tmp_path / "third", running.environ)
    wait_for(running.posts, "the first post", 90, interval_s=POLL_S)
    running.kill_9("scripts.machine.network_worker")
    try:
        for number, job_id in enumerate(jobs):
            job = running.finished(job_id, within_s=180)
            assert job["status"] == "completed"
            assert parts_by_platform(running, f"Talk {number}") == each_once_in_order(job)
    finally:
        third.kill()
