"""Rendering and message processing on a real disk that is full, or becomes so."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import dramatiq
import imageio_ffmpeg
import pytest
from dramatiq import Worker
from dramatiq.errors import Retry

from actors.flow import disk_demand, media_child, rendering, retrying
from actors.machine import Machine
from actors.recovery import stuck_work
from broker import DatabaseUnavailable as BrokerUnavailable
from broker import SqliteBroker
from media.process import runner
from scripts.fault_injection.small_disk import SmallDisk
from store import DatabaseUnavailable, accounts, jobs, publications, segments
from store.attempts import MediaOutcome
from store.states import SegmentStatus
from store.tables import events
from tests.actors.test_rendering import RENDERED
from tests.store import rows
from tests.support.clock import Clock
from tests.support.small_disk import DISK_BYTES, machine_on, small_disk
from tests.support.waiting import wait_for

MB = 2**20
NEEDED_BYTES = disk_demand.part_bytes(rows.segment(1).duration or 0.0)  # 23 MB
Child = Callable[..., dict[str, Any]]  # Any: JSON


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path, 2 * DISK_BYTES) as made:
        yield made


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def machine(disk: SmallDisk, clock: Clock) -> Iterator[Machine]:
    """Return a machine on the small disk, with one part that is to be rendered."""
    with machine_on(disk) as built:
        built.disk.make_ballast()
        with built.store.writing(scope="everything") as connection:
            jobs.create(connection, rows.job(parts=1))
            accounts.connect(connection, rows.account())
            segments.create(connection, [rows.segment(1)])
            publications.create(connection, [rows.publication(rows.segment(1), rows.account())])
        yield replace(built, now=clock, boot_time=clock.boot_time)


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch) -> Callable[[Child], None]:
    """Return a function that replaces the media child."""
    return lambda run: monkeypatch.setattr(media_child, "run", run)


def never(*_: object, **__: object) -> dict[str, Any]:  # Any: JSON
    raise AssertionError("no child is started on a full disk")


def part(machine: Machine) -> segments.Segment:
    with machine.store.reading() as connection:
        found = segments.get(connection, "job-1")
    assert found is not None
    return found


def told(machine: Machine) -> list[dict[str, Any]]:  # Any: JSON
    """Return the recorded events, oldest first."""
    with machine.store.reading() as connection:
        return [json.loads(row.body) for row in connection.execute(events.select())]


def test_a_part_without_room_waits_and_goes_on_by_itself(
    machine: Machine, disk: SmallDisk, clock: Clock, child: Callable[[Child], None]
) -> None:
    """It uses up no attempt, changes no settings, and tells once that it waits."""
    child(never)
    disk.fill(leave_bytes=NEEDED_BYTES)
    for _ in range(6):
        with pytest.raises(Retry) as again:
            rendering.render_part(machine, "job-1")
        assert again.value.delay == 60_000
        clock.move(minutes=1)
    waiting = part(machine)
    assert waiting.status is SegmentStatus.PENDING
    assert waiting.reason == rendering.WAITS_FOR_DISK
    assert waiting.retry_at is not None
    assert [attempt["outcome"] for attempt in waiting.attempts or []] == ["disk_full"]
    told_waiting = [event["data"] for event in told(machine) if event["type"] == "segment.waiting"]
    assert [(data["code"], data["part"]) for data in told_waiting] == [("disk_full", 1)]

    seen: list[str] = []

    def rendered(machine: Machine, stage: str, arguments: list[str], **_: object) -> dict[str, Any]:  # Any: JSON
        del machine, stage
        seen.extend(arguments)
        return RENDERED

    child(rendered)
    disk.clear()
    rendering.render_part(machine, "job-1")

    assert part(machine).status is SegmentStatus.READY
    assert part(machine).reason is None
    assert seen[seen.index("--memory") + 1] == "full"
    assert seen[seen.index("--intensity") + 1] == "0.8"


@pytest.mark.logs_errors
def test_the_wait_ends_after_a_day_with_its_reason(
    machine: Machine, disk: SmallDisk, clock: Clock, child: Callable[[Child], None]
) -> None:
    child(never)
    disk.fill(leave_bytes=NEEDED_BYTES)
    with pytest.raises(Retry):
        rendering.render_part(machine, "job-1")
    clock.move(hours=23, minutes=59)
    with pytest.raises(Retry):
        rendering.render_part(machine, "job-1")
    clock.move(minutes=2)
    with pytest.raises(retrying.GivenUp):
        rendering.render_part(machine, "job-1")

    assert (part(machine).status, part(machine).reason) == (SegmentStatus.FAILED, rendering.NEVER_ROOM)
    assert "24 hours" in rendering.NEVER_ROOM
    with machine.store.reading() as connection:
        assert disk_demand.unrendered_bytes(connection) == disk_demand.video_parts_bytes(0, 0)


def test_another_program_that_fills_the_disk_ends_the_rendering_and_it_waits(
    machine: Machine, disk: SmallDisk, child: Callable[[Child], None]
) -> None:
    def filled(*_: object, stop: Callable[[], bool], **__: object) -> dict[str, Any]:  # Any: JSON
        assert not stop()
        disk.fill(leave_bytes=MB)
        assert stop()
        raise runner.Stopped("the caller stopped the work")

    child(filled)
    with pytest.raises(Retry):
        rendering.render_part(machine, "job-1")
    assert [attempt["outcome"] for attempt in part(machine).attempts or []] == ["disk_full"]


def test_a_child_that_fails_while_there_is_room_is_not_believed(
    machine: Machine, child: Callable[[Child], None]
) -> None:
    """A hostile video would otherwise be attempted for a day."""

    def failed(*_: object, **__: object) -> dict[str, Any]:  # Any: JSON
        raise runner.InternalError("OSError: [Errno 28] No space left on device", exit_code=70)

    child(failed)
    with pytest.raises(Retry):
        rendering.render_part(machine, "job-1")
    assert [attempt["outcome"] for attempt in part(machine).attempts or []] == ["internal_error"]


@pytest.mark.parametrize("leave_bytes", [MB // 64, MB // 4, MB])
def test_a_real_child_on_a_full_disk_leaves_no_part(machine: Machine, disk: SmallDisk, leave_bytes: int) -> None:
    """Whatever libav says of it, nothing is published, and the job is not refused as if its file were broken."""
    source = machine.in_data(rows.job().video_path)
    source.parent.mkdir(parents=True)
    noisy_video(source)
    folder = machine.settings.jobs_dir / "job"
    folder.mkdir(parents=True)
    disk.fill(leave_bytes=leave_bytes)
    target = folder / "part-001.mp4"
    arguments = [str(source), str(target), "--intensity", "0"]

    with pytest.raises(runner.ChildFailed):
        runner.run("gaze", arguments, outputs=[target], deadline_s=120)

    assert list(folder.iterdir()) == []
    # The kernel gives the room back some milliseconds after the child: Landlock's rules still refer to the files.
    wait_for(lambda: disk.free_bytes >= leave_bytes - MB // 64, "the room of the attempt")


def noisy_video(path: Path) -> None:
    """Make five seconds of what compresses worst: several megabytes when encoded."""
    noise = "nullsrc=s=360x640:d=5:r=25,format=gray,geq=random(1)*255"
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-f", "lavfi", "-i", noise, "-c:v", "libx264",
        "-preset", "ultrafast", "-qp", "20", "-pix_fmt", "yuv420p", "-f", "matroska", str(path),
    ]  # fmt: skip
    subprocess.run(command, check=True)


@pytest.mark.parametrize("error", [DatabaseUnavailable("disk_full", "full"), BrokerUnavailable("full")], ids=str)
def test_work_that_cannot_be_recorded_is_retried_for_a_day(error: Exception) -> None:
    delays_s = [min(600, 5 * 2**retries) for retries in range(200) if retrying.should_retry(retries, error)]

    assert timedelta(hours=23) < timedelta(seconds=sum(delays_s)) < timedelta(hours=26)
    assert not retrying.should_retry(3, OSError("another"))


@pytest.mark.logs_errors
def test_a_worker_survives_a_full_disk_without_ballast(disk: SmallDisk) -> None:
    """It can neither claim nor acknowledge meanwhile; afterwards every message is processed."""
    broker = SqliteBroker(disk.path / "queue.sqlite3")
    done: set[int] = set()

    @dramatiq.actor(broker=broker, max_retries=100, min_backoff=10, max_backoff=100)
    def work(number: int) -> None:
        done.add(number)

    def is_refused() -> bool:
        disk.fill()  # again and again: a checkpoint gives room back
        try:
            work.send(-1)
        except BrokerUnavailable:
            return True
        return False

    def is_empty() -> bool:
        return not any(queue.ready or queue.leased or queue.delayed for queue in broker.admin.queue_stats())

    worker = Worker(broker, worker_threads=2, worker_timeout=100)
    worker.start()
    try:
        for number in range(20):
            work.send(number)
        wait_for(is_refused, "the database to be full")
        disk.clear()
        work.send(1000)
        wait_for(lambda: {*range(20), 1000} <= done, "all messages to be processed")
        wait_for(is_empty, "the acknowledgements")
    finally:
        disk.clear()
        worker.stop()
        broker.close()


def test_the_minute_tick_makes_the_ballast_again(machine: Machine, disk: SmallDisk) -> None:
    disk.fill()
    machine.disk.release_ballast_if_full()
    assert not machine.disk.has_ballast()
    disk.clear()

    stuck_work.recover(machine)

    assert machine.disk.has_ballast()


def test_the_outcome_has_words() -> None:
    assert retrying.OUTCOME_PHRASES.keys() == set(MediaOutcome)
