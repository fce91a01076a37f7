"""The image's commands run as its user on a read-only root, and stop in time without losing work."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest
import requests

from scripts.local.client import Client
from tests.deployment import dockerfile
from tests.deployment.conftest import StartContainer
from tests.deployment.container import Container
from tests.flows.machine import OVER
from tests.support.waiting import wait_for

pytestmark = pytest.mark.slow

HEADERS = {"Authorization": "Bearer test-key-of-tests", "Tus-Resumable": "1.0.0"}
BYTES = {"Content-Type": "application/offset+octet-stream"}
TITLE = {"Upload-Metadata": "title QSB0YWxr"}
STOP_WITHIN_S = 25.0  # less than any of the deployments allows: see test_stopping_time
BOUND = 90.0  # of a busy machine


def wait_until_healthy(container: Container) -> None:
    wait_for(container.is_healthy, "the health check to succeed", BOUND, interval_s=0.5)


def client_of(container: Container) -> Client:
    return Client(f"http://127.0.0.1:{container.environ['PORT']}", "test-key-of-tests")


def state(client: Client, job_id: str) -> Any:  # Any: a status document
    return client.call_with_retries("GET", f"/status/{job_id}")


def wait_until_rendering(client: Client, job_id: str) -> None:
    wait_for(lambda: any(part["status"] == "rendering" for part in state(client, job_id)["segments"]), "a part", BOUND)


def finished(client: Client, job_id: str) -> Any:  # Any: a status document
    wait_for(lambda: state(client, job_id)["status"] in OVER, "the job to end", BOUND, interval_s=0.2)
    return state(client, job_id)


def test_the_container_processes_a_video_with_nothing_writable_but_the_data_directory(
    start_container: StartContainer, talk: Path
) -> None:
    container = start_container(SEGMENT_SECONDS="6")
    wait_until_healthy(container)
    for path in ("/app/file", "/tmp/file", "/file"):
        assert "Read-only file system" in container.run("touch", path).stderr
    client = client_of(container)
    job = finished(client, client.upload(talk, {"title": "A talk"}, lambda _: None))
    assert (job["status"], [part["attempts"] for part in job["segments"]]) == ("completed", [[]] * 3)
    owners = {(path.lstat().st_uid, path.lstat().st_gid) for path in container.data_dir.rglob("*")}
    assert owners == {dockerfile.stages()[-1].user}


def test_commands_of_the_readme_run_in_the_container(start_container: StartContainer) -> None:
    container = start_container()
    wait_until_healthy(container)
    stats = container.run("python", "-m", "broker", "/data/vidprod.sqlite3", "stats")
    assert "serves network" in stats.stdout, stats.stderr
    for command in ("doctor", "retry", "adopt", "advisories", "backup", "restore", "keys"):
        assert container.run(f"scripts/{command}", "--help").returncode == 0, command
    assert container.run("scripts/backup", "/data/copy.sqlite3").returncode == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "::", "*"])
def test_the_health_check_uses_no_proxy_and_finds_each_address(start_container: StartContainer, host: str) -> None:
    container = start_container(HOST=host, http_proxy="http://192.0.2.1:9", HTTP_PROXY="http://192.0.2.1:9")
    wait_until_healthy(container)


def test_a_stop_during_the_start_is_not_ignored(start_container: StartContainer) -> None:
    """The first process of a container gets no signals that it has no handler for."""
    container = start_container()
    wait_for((container.data_dir / "machine.lock").exists, "the migration to begin", BOUND)
    assert container.stop(STOP_WITHIN_S) == 0


def test_ended_processes_of_a_killed_worker_do_not_remain(start_container: StartContainer, talk: Path) -> None:
    """The first process of a container inherits them."""
    container = start_container(SEGMENT_SECONDS="6", MEDIA_RETRY_SECONDS="0")
    wait_until_healthy(container)
    client = client_of(container)
    job_id = client.upload(talk, {"title": "A talk"}, lambda _: None)
    wait_until_rendering(client, job_id)
    pids: dict[str, int] = {}

    def are_running() -> bool:  # a part is also being rendered shortly before and after its child
        for pid, (_, line) in container.processes().items():
            pids.update({name: pid for name in ("media_worker", "-m media.") if name in line})
        return len(pids) == 2

    wait_for(are_running, "the worker and a child of it")
    worker, media_child = pids["media_worker"], pids["-m media."]
    os.kill(worker, signal.SIGKILL)
    assert finished(client, job_id)["status"] == "completed"
    wait_for(lambda: not {worker, media_child} & set(container.processes()), "both to be removed")


def test_a_stop_during_a_part_and_an_upload_is_in_time_and_loses_nothing(
    start_container: StartContainer, talk: Path
) -> None:
    container = start_container(SEGMENT_SECONDS="6")
    wait_until_healthy(container)
    client = client_of(container)
    files = f"{client.root_url}/files"
    video = talk.read_bytes()
    half = len(video) // 2
    length = {"Upload-Length": str(len(video))}
    created = requests.post(files, headers={**HEADERS, **TITLE, **length}, timeout=30).headers["Location"]
    path = created.removeprefix(client.root_url)
    first = client.upload(talk, {"title": "Another talk"}, lambda _: None)
    wait_until_rendering(client, first)
    with begun_append(container, path, video[:half], len(video)):
        wait_for(lambda: any(one.stat().st_size == half for one in uploaded(container)), "the bytes", BOUND)
        assert container.stop(STOP_WITHIN_S) == 0
    assert "killed" not in container.log()

    container.start()
    wait_until_healthy(container)
    head = requests.head(client.root_url + path, headers=HEADERS, timeout=30)
    assert head.headers["Upload-Offset"] == str(half)
    rest = {**HEADERS, **BYTES, "Upload-Offset": str(half)}
    second = requests.patch(client.root_url + path, video[half:], headers=rest, timeout=30).headers["X-Job-Id"]
    for job_id in (first, second):
        job = finished(client, job_id)
        assert (job["status"], [part["attempts"] for part in job["segments"]]) == ("completed", [[]] * 3)


def uploaded(container: Container) -> list[Path]:
    return [path for path in (container.data_dir / "uploads").rglob("*") if path.is_file()]


def begun_append(container: Container, path: str, piece: bytes, length: int) -> socket.socket:
    """Send the head of a request that appends everything, and a piece of its body."""
    headers = {**HEADERS, **BYTES, "Host": "localhost", "Upload-Offset": "0", "Content-Length": str(length)}
    lines = [f"PATCH {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    connection = socket.create_connection(("127.0.0.1", int(container.environ["PORT"])))
    connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + piece)
    return connection
