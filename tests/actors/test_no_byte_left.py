"""Endings that take days: when their time has come, no byte of the video is left in the data directory."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from actors import wiring
from actors.delete_files import delete_files
from actors.flow.completion import after_publication, fail_part
from actors.flow.retention import HEARTBEAT
from actors.ticks import cleanup
from store import Store, accounts, heartbeats, jobs, publications, segments
from store.states import JobStatus, PublicationStatus, SegmentStatus
from store.tables import publications as publications_table
from tests.actors.queues import change_settings, move_clock, waiting
from tests.store.rows import account, job, publication, segment
from tests.support.file_search import files_with

ID = "job_" + "0" * 32
MARKER = b"A-RECOGNISABLE-MARKER-OF-A-VIDEO"
FILES = (
    f"uploads/{ID}/source",
    f"jobs/{ID}/part-001.mp4",
    f"jobs/{ID}/part-001.cover.jpg",
    f"jobs/{ID}/part-001.preview.jpg",
    f"jobs/{ID}/.part-002.mp4.1a2b3c4d/0.mp4",  # of a child that was killed
)


def lay_down(names: tuple[str, ...] = FILES) -> None:
    for name in names:
        path = wiring.machine.settings.data_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(MARKER * 100)


def left() -> list[str]:
    """Return the files with bytes of the video: any file, also the database and its log."""
    return files_with(wiring.machine.settings.data_dir, MARKER.decode())


def pass_time(monkeypatch: pytest.MonkeyPatch, store: Store, by: timedelta) -> None:
    """Let time pass in which the machine runs, then clean up and delete what the messages ask for."""
    moment = move_clock(monkeypatch, by)
    with store.writing(scope="everything") as connection:
        heartbeats.record(connection, HEARTBEAT, moment, wiring.machine.boot_time())
    cleanup.fn()
    for name, args in waiting():
        if name == "delete_files":
            delete_files.fn(*args)


def add_job(store: Store, status: JobStatus = JobStatus.PUBLISHING) -> None:
    with store.writing(scope="everything") as connection:
        jobs.create(connection, job(ID, status=status, parts=1))
        accounts.connect(connection, account())
        part = segment(1, job_id=ID, status=SegmentStatus.READY)
        segments.create(connection, [part])
        publications.create(connection, [publication(part, account())])


def publish(store: Store) -> None:
    add_job(store)
    with store.writing(scope="everything") as connection:
        change = publications_table.update().values(status=PublicationStatus.PUBLISHED, ended_at=wiring.machine.now())
        connection.execute(change)
        after_publication(wiring.machine, connection, f"{ID}-1-tiktok-1", "publication.published")


def give_up(store: Store) -> None:
    add_job(store, JobStatus.PROCESSING)
    with store.writing(scope="everything") as connection:
        connection.exec_driver_sql("UPDATE job_segments SET status = 'rendering'")
        fail_part(wiring.machine, connection, f"{ID}-1", reason="four attempts")


ENDINGS: dict[str, tuple[Callable[[Store], None], timedelta]] = {
    "published, kept for two hours": (publish, timedelta(hours=2)),
    "failed after four attempts, kept for a day": (give_up, timedelta(hours=24)),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_files_are_kept_until_their_time_and_no_byte_after_it(
    store: Store, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    end, kept = ENDINGS[ending]
    change_settings(monkeypatch, retention_hours=2.0)
    lay_down()
    end(store)
    pass_time(monkeypatch, store, kept - timedelta(minutes=5))
    assert f"jobs/{ID}/part-001.mp4" in left()
    pass_time(monkeypatch, store, timedelta(minutes=10))
    assert left() == []


def test_a_video_that_is_never_published_goes_after_its_hard_maximum(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_down()
    add_job(store)
    with store.writing(scope="everything") as connection:
        connection.execute(publications_table.update().values(created_at=wiring.machine.now()))
    pass_time(monkeypatch, store, timedelta(days=59))
    assert f"jobs/{ID}/part-001.mp4" in left()
    pass_time(monkeypatch, store, timedelta(days=2))  # it expires, and is kept for a day, as all that failed
    pass_time(monkeypatch, store, timedelta(days=1, minutes=10))
    assert left() == []


def test_an_upload_that_is_never_finished_goes_after_a_day(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    lay_down((f"uploads/{ID}/.incoming",))
    record = wiring.machine.settings.uploads_dir / ID / ".tus.json"
    record.write_text('{"length": 10000, "metadata": null, "concat": null, "maximum": null}')
    pass_time(monkeypatch, store, timedelta(hours=23))
    assert left() == [f"uploads/{ID}/.incoming"]
    pass_time(monkeypatch, store, timedelta(hours=2))
    assert left() == []


def test_a_lost_video_goes_after_its_days(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    lay_down((f"uploads/{ID}/source", f"jobs/{ID}/part-001.mp4"))
    pass_time(monkeypatch, store, timedelta(0))
    assert [name.partition("/")[2] for name in left()] == [f"{ID}/parts/part-001.mp4", f"{ID}/source"]
    pass_time(monkeypatch, store, timedelta(days=13))
    assert len(left()) == 2
    pass_time(monkeypatch, store, timedelta(days=1, minutes=10))
    assert left() == []
