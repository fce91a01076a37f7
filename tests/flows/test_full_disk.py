"""A whole machine on a real disk that another program fills: nothing ends, and jobs can be deleted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from scripts.fault_injection.small_disk import SmallDisk
from scripts.local.ports import free_ports
from tests.flows.machine import TestMachine
from tests.support.small_disk import small_disk
from tests.support.waiting import wait_for

pytestmark = pytest.mark.slow

DISK_BYTES = 220 * 2**20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path, DISK_BYTES) as made:
        yield made


@pytest.fixture
def machine(disk: SmallDisk) -> Iterator[TestMachine]:
    api_port, mock_port = free_ports(2)
    running = TestMachine(disk.path / "data", api_port, mock_port, {"UPLOAD_RATE_LIMIT": "1000"})
    try:
        running.wait_until_it_answers()
        yield running
    finally:
        disk.clear()
        running.stop()


def test_a_full_disk_stops_neither_the_machine_nor_a_deletion(
    machine: TestMachine, disk: SmallDisk, talk: Path
) -> None:
    root, headers = machine.client.root_url, {"Authorization": "Bearer test-key-of-tests"}
    waiting = machine.upload(talk, title="It waits")
    uploaded = disk.path / "data" / "uploads" / waiting
    disk.fill()

    def waits() -> bool:
        parts = machine.status(waiting)["segments"]
        return bool(parts) and all("disk of the server is full" in str(part["reason"]) for part in parts)

    wait_for(waits, "the parts to wait for room")
    with talk.open("rb") as video:
        refused = requests.post(f"{root}/upload", headers=headers, files={"file": ("a.mp4", video)}, timeout=30)
    assert (refused.status_code, refused.json()["code"]) == (503, "disk_full")
    assert requests.delete(f"{root}/jobs/{waiting}", headers=headers, timeout=30).status_code == 204
    wait_for(lambda: not uploaded.exists(), "the files to be deleted")

    disk.clear()
    job = machine.finished(machine.upload(talk, title="Afterwards"))
    assert job["status"] == "completed"
