"""A video's whole way on a PostgreSQL server whose workers are woken through Redis; its memory is lost on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.flows.machine import POLL_S, TestMachine
from tests.flows.test_whole_way import each_once_in_order, parts_by_platform
from tests.postgresql_server import running_server
from tests.support.postgresql_machine import SECRETS, database_url
from tests.support.waiting import wait_for
from tests.transport_servers import RedisServer, running_transport

pytestmark = pytest.mark.slow


@pytest.fixture
def url() -> Iterator[str]:
    with running_server() as server:
        yield database_url(server, server.create_database())


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    with running_transport("redis") as server:
        assert isinstance(server, RedisServer)
        yield server


def test_a_video_goes_its_whole_way_although_redis_loses_its_memory(
    redis_server: RedisServer, url: str, machine: Callable[..., TestMachine], talk: Path
) -> None:
    running = machine(
        DATABASE_URL=url, BROKER_URL=redis_server.url, SEGMENT_SECONDS="6", MEDIA_RETRY_SECONDS="1", **SECRETS
    )
    job_id = running.upload(talk, title="Whole way")
    wait_for(lambda: _segments(running, job_id, "rendering"), "a part to be rendered", interval_s=POLL_S)
    assert redis_server.tokens_put() > 0
    redis_server.clear()
    job = running.finished(job_id)
    assert job["status"] == "completed"
    assert parts_by_platform(running, "Whole way") == each_once_in_order(job)
    workers = running.client.call("GET", "/health")["checks"]["workers"]
    assert workers["ok"], workers


def _segments(running: TestMachine, job_id: str, status: str) -> bool:
    return any(part["status"] == status for part in running.status(job_id)["segments"])
