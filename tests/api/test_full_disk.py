"""Uploads, cancelling and deleting on a real disk that is full, or becomes so."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests

from actors.flow import retention
from actors.recovery.lost_found import INCOMING
from api.__main__ import PAGES
from api.context import Context
from api.http.problems import Problem
from api.uploads.incomplete import delete_incomplete
from scripts.fault_injection.small_disk import SmallDisk
from store import jobs
from store.states import JobStatus
from tests.api.conftest import AUTH, VIDEO, api_keys, serving
from tests.api.test_server import END, FORM, connection, head, whole_answer
from tests.store import rows
from tests.support.small_disk import DISK_BYTES, SIZES, machine_on, small_disk
from tests.support.waiting import wait_for

MB = 2**20
HALF_BYTES = 3 * MB  # with its parts 10 MB: two of them fit on the disk of 40 MB, less 16 MB for ballast and headroom


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path, DISK_BYTES) as made:
        yield made


@pytest.fixture
def small(disk: SmallDisk) -> Iterator[Context]:
    """Return the context of an API whose data directory is a small disk with a ballast file."""
    with machine_on(disk) as machine:
        assert machine.disk.make_ballast()
        yield new_context(machine)


def new_context(machine: Any) -> Context:  # Any: `Machine` or `Context`
    """Return the context of an API that has just started."""
    known = {name: getattr(machine, name) for name in Context.__dataclass_fields__ if hasattr(machine, name)}
    fresh = {name: value for name, value in known.items() if name not in {"in_progress", "reservations"}}
    fresh |= {"keys": api_keys(machine), "behind_fly": False, "pages": PAGES}
    return Context(**(fresh | {"started_s": 0.0}))


@pytest.fixture
def serve(small: Context) -> Iterator[Callable[[], str]]:
    with ExitStack() as stack:
        yield lambda: stack.enter_context(serving(small))


def post(root: str, size: int = HALF_BYTES, **more: Any) -> requests.Response:  # Any: of requests
    body = FORM + VIDEO + bytes(size - len(VIDEO) - len(FORM) - len(END)) + END
    headers = AUTH | {"Content-Type": "multipart/form-data; boundary=B"}
    return requests.post(f"{root}/upload", data=body, headers=headers, timeout=30, **more)


def uploads_left(context: Context) -> list[str]:
    return [path.name for path in context.settings.uploads_dir.glob("job_*")]


def begin(sock: socket.socket, length: int = HALF_BYTES) -> bytes:
    """Send the head of an upload and the beginning of its body; return the answer to the head."""
    sock.sendall(head(length, more="Expect: 100-continue\r\n"))
    answer = sock.recv(65_536)
    if answer.startswith(b"HTTP/1.1 100"):
        sock.sendall(FORM + VIDEO)
    return answer


def test_parallel_uploads_add_up_and_a_lost_connection_gives_its_share_back(
    serve: Callable[[], str], small: Context
) -> None:
    """Also for a client that announces bytes and sends none."""
    root = serve()
    with connection(root) as one, connection(root) as two:
        assert begin(one).startswith(b"HTTP/1.1 100")
        assert begin(two).startswith(b"HTTP/1.1 100")

        refused = post(root)

        assert (refused.status_code, refused.json()["code"]) == (503, "disk_full")
        facts = refused.json()
        assert facts["needed_bytes"] == 2 * HALF_BYTES + 4 * MB
        assert facts["reserved_bytes"] > facts["needed_bytes"]
        assert facts["needed_bytes"] > facts["free_bytes"] - facts["reserved_bytes"]
        assert "it needs 10.5 MB" in facts["detail"]
        assert int(refused.headers["Retry-After"]) > 0
    wait_for(lambda: small.reservations.total_bytes == 0, "the reservations to end")
    assert uploads_left(small) == []

    assert post(root).status_code == 202


def test_a_chunked_upload_reserves_the_maximum(serve: Callable[[], str], small: Context) -> None:
    """It is refused where the maximum does not fit, since nobody knows how much comes."""
    root = serve()

    def pieces() -> Iterator[bytes]:
        yield FORM + VIDEO + END

    headers = AUTH | {"Content-Type": "multipart/form-data; boundary=B"}
    refused = requests.post(f"{root}/upload", data=pieces(), headers=headers, timeout=30)

    assert (refused.status_code, refused.json()["code"]) == (411, "length_required")
    assert "Content-Length" in refused.json()["detail"]
    assert small.reservations.total_bytes == 0


def test_what_can_never_fit_is_a_413_with_the_numbers(serve: Callable[[], str]) -> None:
    with connection(serve()) as sock:
        sock.sendall(head(DISK_BYTES))
        answer = whole_answer(sock)

    assert answer.startswith(b"HTTP/1.1 413")
    assert b'"code":"disk_too_small"' in answer.replace(b" ", b"")
    assert b"needed_bytes" in answer
    assert b"Retry-After" not in answer


def test_accepted_jobs_keep_their_share_over_a_restart_until_they_are_deleted(small: Context) -> None:
    """The sum is in the store; a new process knows nothing else."""
    with serving(small) as root:
        job_ids = [post(root).json()["job_id"] for _ in range(2)]
    restarted = new_context(small)
    with serving(restarted) as root:
        refused = post(root)
        assert (refused.status_code, refused.json()["code"]) == (503, "disk_full")
        assert refused.json()["reserved_bytes"] == 2 * (HALF_BYTES + 4 * MB) - 2 * ignored_bytes()

        assert requests.delete(f"{root}/jobs/{job_ids[0]}", headers=AUTH, timeout=30).status_code == 204
        retention.delete_files(restarted, job_ids[0], "now")

        assert post(root).status_code == 202


def ignored_bytes() -> int:
    """Return the bytes of a form around its file."""
    return len(FORM) + len(END)


def test_an_upload_that_was_cut_off_by_a_restart_holds_nothing(small: Context, disk: SmallDisk) -> None:
    before = disk.free_bytes
    directory = small.settings.uploads_dir / "job_cut"
    directory.mkdir(parents=True)
    (directory / INCOMING).write_bytes(bytes(HALF_BYTES))

    restarted = new_context(small)

    assert delete_incomplete(restarted) == 1
    assert restarted.reservations.total_bytes == 0
    assert before - disk.free_bytes < MB


def test_a_disk_that_becomes_full_during_an_upload_leaves_nothing(
    serve: Callable[[], str], small: Context, disk: SmallDisk
) -> None:
    root = serve()
    with connection(root) as sock:
        begin(sock)
        wait_for(lambda: uploads_left(small), "the upload to begin")
        disk.fill()  # another program, which knows of no reservation
        sock.sendall(bytes(2 * MB))
        answer = whole_answer(sock)

    assert answer.startswith(b"HTTP/1.1 503")
    assert b"disk_full" in answer
    assert b"Retry-After" in answer
    wait_for(lambda: small.reservations.total_bytes == 0, "the reservation to end")
    assert uploads_left(small) == []
    assert requests.get(f"{root}/jobs", headers=AUTH, timeout=30).status_code == 200

    disk.clear()
    assert post(root).status_code == 202


def test_cancel_and_delete_work_on_a_full_disk_and_free_room(
    serve: Callable[[], str], small: Context, disk: SmallDisk
) -> None:
    """Without the ballast they were refused: their commits need room."""
    root = serve()
    job_id = post(root).json()["job_id"]
    disk.fill()
    assert disk.free_bytes == 0
    assert requests.get(f"{root}/health", timeout=30).json()["checks"]["disk"]["ballast"] == "present"

    assert requests.post(f"{root}/jobs/{job_id}/cancel", headers=AUTH, timeout=30).status_code == 200
    health = requests.get(f"{root}/health", timeout=30).json()["checks"]["disk"]
    assert (health["ok"], health["ballast"]) == (False, "missing")
    assert "ballast" in health["detail"]
    assert requests.delete(f"{root}/jobs/{job_id}", headers=AUTH, timeout=30).status_code == 204
    before = disk.free_bytes
    retention.delete_files(small, job_id, "now")
    assert disk.free_bytes - before >= HALF_BYTES // 2
    assert uploads_left(small) == []

    disk.clear()
    retention.clean_up(small)
    assert small.disk.make_ballast()


def test_a_full_disk_without_ballast_is_a_503_and_not_a_500(
    serve: Callable[[], str], small: Context, disk: SmallDisk
) -> None:
    """The room that it gave may be used up, too. Reading goes on, and so does everything once there is room."""
    with small.store.writing(scope="everything") as opened:
        jobs.create(opened, rows.job())
    root = serve()
    (disk.path / "ballast").unlink()
    disk.fill()
    statuses = []
    for _ in range(3):
        answer = requests.post(f"{root}/jobs/job/cancel", headers=AUTH, timeout=30)
        statuses.append(answer.status_code)
        assert answer.status_code == 200 or (answer.json()["reason"], "Retry-After" in answer.headers) == (
            "disk_full",
            True,
        )
    assert 503 in statuses
    assert requests.get(f"{root}/status/job", headers=AUTH, timeout=30).status_code == 200

    disk.clear()
    assert requests.post(f"{root}/jobs/job/cancel", headers=AUTH, timeout=30).status_code in {200, 409}
    with small.store.reading() as opened:
        job = jobs.get(opened, "job")
    assert job is not None
    assert job.status is JobStatus.CANCELLED


def test_a_video_of_zeros_takes_the_room_that_it_reserved(
    serve: Callable[[], str], small: Context, disk: SmallDisk
) -> None:
    """Nothing makes holes of them, which a later write would have to fill."""
    before = disk.free_bytes

    assert post(serve()).status_code == 202

    [name] = uploads_left(small)
    assert (small.settings.uploads_dir / name / "source").stat().st_blocks * 512 >= HALF_BYTES - MB
    assert before - disk.free_bytes >= HALF_BYTES - MB


def test_a_reservation_shrinks_by_what_is_written(small: Context) -> None:
    """Bytes on the disk are no longer free: counted twice, they would refuse uploads that fit."""
    held = small.reservations.reserve(small, HALF_BYTES)
    assert held.remaining_bytes == 2 * HALF_BYTES + 4 * MB
    held.add_written(HALF_BYTES)
    assert small.reservations.total_bytes == HALF_BYTES + 4 * MB
    held.add_written(HALF_BYTES)  # more than was announced
    assert small.reservations.total_bytes == HALF_BYTES + 4 * MB
    held.release()
    held.release()
    assert small.reservations.total_bytes == 0


def test_a_dropped_reservation_ends_with_its_upload(small: Context) -> None:
    held: Any = small.reservations.reserve(small, HALF_BYTES)  # Any: deleted below
    assert small.reservations.total_bytes == held.remaining_bytes
    del held
    assert small.reservations.total_bytes == 0


def test_a_resumed_upload_reserves_only_its_rest(small: Context) -> None:
    held = small.reservations.reserve(small, HALF_BYTES, written_bytes=2 * MB)
    assert held.remaining_bytes == HALF_BYTES - 2 * MB + HALF_BYTES + 4 * MB


def test_the_margins_are_kept(small: Context, disk: SmallDisk) -> None:
    """An upload that just fits leaves the headroom and the ballast."""
    largest = (small.disk.room_bytes - 4 * MB) // 2
    held = small.reservations.reserve(small, largest)
    assert disk.free_bytes - held.remaining_bytes >= SIZES.headroom_bytes
    held.release()
    with pytest.raises(Problem):
        small.reservations.reserve(small, largest + MB)
