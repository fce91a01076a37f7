"""A video's whole way with store and broker on a PostgreSQL server that crashes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.flows.machine import POLL_S, TestMachine
from tests.flows.test_whole_way import each_once_in_order, parts_by_platform
from tests.postgresql_server import PostgresqlServer, running_server
from tests.support.postgresql_machine import database_url
from tests.support.waiting import wait_for

pytestmark = pytest.mark.slow

SECRETS = {"SECRET_KEY": "secret-of-the-tests-machines", "API_KEYS": "test-key-of-tests"}
COMMON = {"MEDIA_RETRY_SECONDS": "1", "LEASE_SECONDS": "10", "SEGMENT_SECONDS": "6", **SECRETS}


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgresqlServer]:
    with running_server() as server:
        yield server


@pytest.fixture
def url(postgresql: PostgresqlServer) -> str:
    return database_url(postgresql, postgresql.create_database())


def test_a_video_goes_its_whole_way_although_the_server_crashes(
    machine: Callable[..., TestMachine], postgresql: PostgresqlServer, url: str, talk: Path
) -> None:
    """Uploaded, cut, rendered, approved, published, reported, deleted; the server is stopped as by a power cut."""
    running = machine(DATABASE_URL=url, RETENTION_HOURS="1", **COMMON)
    assert not list(running.data_dir.glob("*.sqlite3*"))
    job_id = running.upload(talk, title="Whole way", review="true")
    wait_for(lambda: _has_part(running, job_id, "rendering"), "a part to be rendered", interval_s=POLL_S)
    postgresql.stop("immediate")
    postgresql.start()
    wait_for(lambda: running.status(job_id)["status"] == "review", "the parts to be rendered", 120, interval_s=POLL_S)
    running.client.call_with_retries("POST", f"/jobs/{job_id}/approve")
    wait_for(running.posts, "the first post", interval_s=POLL_S)
    postgresql.stop("immediate")
    postgresql.start()
    job = running.finished(job_id)
    assert job["status"] == "completed"
    assert parts_by_platform(running, "Whole way") == each_once_in_order(job)
    wait_for(lambda: "job.completed" in _events(running), "the last webhook")
    assert all(hook["verified"] for hook in running.webhooks())
    running.client.call("DELETE", f"/jobs/{job_id}")
    upload = running.data_dir / "uploads" / job_id
    wait_for(lambda: not upload.exists(), "the upload to be deleted", interval_s=POLL_S)


def _has_part(running: TestMachine, job_id: str, status: str) -> bool:
    return any(part["status"] == status for part in running.status(job_id)["segments"])


def _events(running: TestMachine) -> set[str]:
    return {hook["event"]["type"] for hook in running.webhooks()}
