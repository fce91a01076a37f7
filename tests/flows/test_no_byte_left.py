"""However a video ends, none of its bytes is left in the data directory: in no file, in neither database nor log."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Iterable
from pathlib import Path
from urllib.parse import urljoin

import pytest
import requests

from tests.flows.machine import POLL_S, TestMachine
from tests.flows.test_kill import MOMENTS, paused
from tests.support.waiting import wait_for

pytestmark = pytest.mark.slow

ENVIRON = {"RETENTION_HOURS": "0", "MEDIA_RETRY_SECONDS": "0.1"}
MARKER = b"A-RECOGNISABLE-MARKER-OF-A-VIDEO"
HEADERS = {"Authorization": "Bearer test-key-of-tests"}
TUS = HEADERS | {"Tus-Resumable": "1.0.0"}
SLICES, SLICE_BYTES = 60, 48
OF_MOCKS = "mock"  # the mock platforms keep what was published


def marked(video: Path, target: Path) -> Path:
    """Write a copy with the marker at its end, in a box that players skip."""
    text = MARKER * 2000
    target.write_bytes(video.read_bytes() + (len(text) + 8).to_bytes(4, "big") + b"free" + text)
    return target


def slices(content: bytes) -> list[bytes]:
    """Return pieces of a file that occur nowhere else: those of many different bytes."""
    chosen = random.Random(len(content))
    found: list[bytes] = []
    while len(found) < SLICES:
        start = chosen.randrange(len(content) - SLICE_BYTES)
        piece = content[start : start + SLICE_BYTES]
        if len(set(piece)) > SLICE_BYTES // 2:
            found.append(piece)
    return found


def left(data_dir: Path, pieces: Iterable[bytes]) -> list[str]:
    """Return the files of the data directory that contain one of the pieces, or look like a video or a piece of one."""
    found = []
    # Not `rglob`, which fails when a directory is deleted at this moment.
    for path in (Path(directory, file) for directory, _, files in os.walk(data_dir) for file in files):
        name = str(path.relative_to(data_dir))
        if name.startswith(OF_MOCKS) or not path.is_file():
            continue
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            continue  # deleted at this moment
        if (
            path.suffix in {".mp4", ".part"}
            or path.name in {".incoming", "source"}
            or any(piece in content for piece in pieces)
        ):
            found.append(name)
    return found


def publish(machine: TestMachine, job_id: str) -> None:
    machine.finished(job_id)


def cancel_at(moment: str) -> Callable[[TestMachine, str], None]:
    def end(machine: TestMachine, job_id: str) -> None:
        wait_for(lambda: MOMENTS[moment](machine.status(job_id)), f"the job to be {moment}", 60)
        machine.client.call("POST", f"/jobs/{job_id}/cancel")

    return end


def delete_at(moment: str) -> Callable[[TestMachine, str], None]:
    def end(machine: TestMachine, job_id: str) -> None:
        wait_for(lambda: MOMENTS[moment](machine.status(job_id)), f"the job to be {moment}", 60)
        machine.client.call("DELETE", f"/jobs/{job_id}")

    return end


def kill_the_renderer(machine: TestMachine, job_id: str) -> None:
    wait_for(lambda: MOMENTS["rendering"](machine.status(job_id)), "the job to be rendering", 60)
    machine.kill_9("scripts.machine.media_worker")
    machine.finished(job_id)


def kill_the_renderer_and_cancel(machine: TestMachine, job_id: str) -> None:
    wait_for(lambda: MOMENTS["rendering"](machine.status(job_id)), "the job to be rendering", 60)
    machine.kill_9("scripts.machine.media_worker")
    machine.client.call("POST", f"/jobs/{job_id}/cancel")


def give_up_and_delete(machine: TestMachine, job_id: str) -> None:
    """Kill each child of a part; what failed is kept for a day, to be tried again, unless it is deleted."""

    def has_failed() -> bool:
        machine.kill_9(".part-001.", may_miss=True)
        found = machine.status(job_id)["segments"]
        return bool(found) and found[0]["status"] == "failed"

    wait_for(has_failed, "the first part to be given up", 120, interval_s=POLL_S)
    machine.client.call("DELETE", f"/jobs/{job_id}")


ENDINGS = {
    "published": publish,
    "cancelled while it is examined": cancel_at("planning"),
    "cancelled while it is rendered": cancel_at("rendering"),
    "cancelled while it is published": cancel_at("publishing"),
    "deleted while it is rendered": delete_at("rendering"),
    "published after a killed renderer": kill_the_renderer,
    "cancelled after a killed renderer": kill_the_renderer_and_cancel,
    "failed after four attempts and deleted": give_up_and_delete,
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_accepted_video_leaves_nothing(shared_machine: TestMachine, talk: Path, tmp_path: Path, ending: str) -> None:
    video = marked(talk, tmp_path / "marked.mp4")
    pieces = [MARKER, *slices(video.read_bytes())]
    with paused(shared_machine, "media"):
        job_id = shared_machine.upload(video, title=ending)
        assert left(shared_machine.data_dir, pieces) == [f"uploads/{job_id}/source"]  # the search finds what is there
    ENDINGS[ending](shared_machine, job_id)
    wait_for(lambda: left(shared_machine.data_dir, pieces) == [], "every byte to be gone", 60)


def test_what_is_no_video_inside_leaves_nothing(shared_machine: TestMachine, talk: Path, tmp_path: Path) -> None:
    """Its first bytes are those of a video, so it is accepted, and refused when it is examined."""
    video = tmp_path / "broken.mp4"
    video.write_bytes(talk.read_bytes()[:200] + MARKER * 3000)
    job_id = shared_machine.upload(video, title="Broken")
    assert shared_machine.finished(job_id)["status"] == "failed"
    wait_for(lambda: left(shared_machine.data_dir, [MARKER]) == [], "every byte to be gone", 60)


def test_a_resumable_upload_that_is_terminated_leaves_nothing(shared_machine: TestMachine, talk: Path) -> None:
    content = talk.read_bytes()
    assert left(shared_machine.data_dir, [MARKER]) == []
    upload = begin_resumable(shared_machine, content)
    half = len(content) // 2
    requests.patch(
        upload, data=content[:half] + MARKER, timeout=10,
        headers=TUS | {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"},
    ).raise_for_status()  # fmt: skip
    assert len(left(shared_machine.data_dir, [MARKER])) == 1
    requests.delete(upload, headers=TUS, timeout=10).raise_for_status()
    assert left(shared_machine.data_dir, [MARKER]) == []


def begin_resumable(machine: TestMachine, content: bytes) -> str:
    answer = requests.post(
        f"{machine.client.root_url}/files", headers=TUS | {"Upload-Length": str(len(content) + 10_000)}, timeout=10
    )
    answer.raise_for_status()
    return urljoin(machine.client.root_url, answer.headers["Location"])


def test_an_upload_whose_server_is_killed_leaves_nothing(shared_machine: TestMachine, talk: Path) -> None:
    """A form cannot be continued: the next server deletes what has arrived of it."""
    content = talk.read_bytes()

    def body() -> Iterable[bytes]:
        yield b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n' + content
        yield MARKER * 10_000
        wait_for(lambda: left(shared_machine.data_dir, [MARKER]) != [], "the bytes to arrive", interval_s=POLL_S)
        [api] = [pid for pid, line in shared_machine.processes().items() if line.rstrip().endswith(" api")]
        os.kill(api, signal.SIGKILL)
        yield MARKER * 10

    headers = HEADERS | {"Content-Type": "multipart/form-data; boundary=B"}
    with pytest.raises(requests.RequestException):
        requests.post(f"{shared_machine.client.root_url}/upload", data=body(), headers=headers, timeout=30)
    wait_for(lambda: left(shared_machine.data_dir, [MARKER]) == [], "the next server to delete it", 60)


def test_a_machine_that_dies_and_starts_again_leaves_nothing(
    machine: Callable[..., TestMachine], talk: Path, tmp_path: Path
) -> None:
    """It dies while a part is rendered, is started, and then the video is cancelled."""
    video = marked(talk, tmp_path / "marked.mp4")
    pieces = [MARKER, *slices(video.read_bytes())]
    running = machine(**ENVIRON)
    job_id = running.upload(video)
    wait_for(lambda: MOMENTS["rendering"](running.status(job_id)), "the job to be rendering", 60)
    running.die()
    wait_for(lambda: running.processes() == {}, "every process to follow the supervisor", 10)
    assert left(running.data_dir, pieces) != []
    again = machine(**ENVIRON)
    again.client.call_with_retries("POST", f"/jobs/{job_id}/cancel")
    wait_for(lambda: left(again.data_dir, pieces) == [], "every byte to be gone", 60)
