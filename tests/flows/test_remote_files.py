"""The whole way of a video whose files are in an S3-compatible storage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import requests

from tests.files.conftest import machine_files
from tests.flows.machine import POLL_S, TestMachine
from tests.flows.test_whole_way import each_once_in_order, parts_by_platform
from tests.support.object_store import ObjectStore
from tests.support.waiting import wait_for

AUTH = {"Authorization": "Bearer test-key-of-tests"}


def test_each_part_is_published_once_and_nothing_is_left(
    machine: Callable[..., TestMachine], server: ObjectStore, talk: Path, tmp_path: Path
) -> None:
    """The media worker is killed in the middle; the parts are read by range; at the end the bucket is empty."""
    files = machine_files(server.options("whole-way"), tmp_path / "other")
    running = machine(**server.environ("whole-way"), RETENTION_HOURS="0.01", KEEP_PICTURES_DAYS="0")
    job_id = running.upload(talk)
    wait_for(lambda: files.stat(f"uploads/{job_id}/source"), "the upload in the storage")
    wait_for(lambda: not (running.data_dir / "uploads" / job_id / "source").exists(), "the received file to go")
    wait_for(lambda: files.list_files(f"jobs/{job_id}/"), "the first part in the storage")
    running.kill_9("scripts.machine.media_worker")
    job = running.finished(job_id)
    assert job["status"] == "completed"
    assert parts_by_platform(running) == each_once_in_order(job)
    assert not (running.data_dir / "jobs").exists()

    links = job["segments"][0]["links"]
    assert {"video", "cover", "gaze"} <= links.keys()
    whole = requests.get(f"{running.client.root_url}{links['video']}", headers=AUTH, timeout=10)
    some = requests.get(
        f"{running.client.root_url}{links['video']}", headers={**AUTH, "Range": "bytes=7-99"}, timeout=10
    )
    assert (whole.status_code, some.status_code) == (200, 206)
    assert some.content == whole.content[7:100]
    assert requests.get(f"{running.client.root_url}/jobs/{job_id}/videos.zip", headers=AUTH, timeout=10).ok

    running.client.call("DELETE", f"/jobs/{job_id}")
    wait_for(lambda: not files.list_files("uploads/") + files.list_files("jobs/"), "all files to be deleted")
    wait_for(lambda: not (running.data_dir / "uploads" / job_id).exists(), "the received upload to be deleted",
             interval_s=POLL_S)  # fmt: skip
