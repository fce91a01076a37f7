"""Small pictures outlive the video for some days, and go with everything else that a person deletes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from actors import wiring
from actors.flow import job_commands, retention
from actors.recovery import lost_found
from store import Store, jobs, segments
from store.states import JobStatus, SegmentStatus
from tests.actors.queues import change_settings, move_clock
from tests.store.rows import job, segment

ID = "job_" + "0" * 32
SMALL = ["part-001.cover.small.jpg", "part-001.preview.small.jpg"]


@pytest.fixture
def ended(store: Store) -> None:
    """A job that has just ended, with all files of its part."""
    machine = wiring.machine
    for directory, names in {
        machine.settings.uploads_dir / ID: ["source", "upload.json"],
        machine.settings.jobs_dir / ID: ["part-001.mp4", "part-001.cover.jpg", "part-001.preview.jpg", *SMALL],
    }.items():
        directory.mkdir(parents=True)
        for name in names:
            (directory / name).write_bytes(b"x")
    with store.writing(scope="everything") as connection:
        ended_job = replace(job(ID, status=JobStatus.COMPLETED, parts=1), completed_at=machine.now())
        jobs.create(connection, ended_job)
        segments.create(connection, [segment(1, job_id=ID, status=SegmentStatus.DONE)])


def _left() -> list[str]:
    roots = (wiring.machine.settings.uploads_dir / ID, wiring.machine.settings.jobs_dir / ID)
    return sorted(path.name for root in roots if root.exists() for path in root.iterdir())


def _delete(monkeypatch: pytest.MonkeyPatch, when: str = "due") -> None:
    move_clock(monkeypatch, timedelta(days=2))
    retention.delete_files(wiring.machine, ID, when)


@pytest.mark.usefixtures("ended")
def test_the_small_pictures_stay_for_their_days(monkeypatch: pytest.MonkeyPatch) -> None:
    """No byte of the video is left; the periodic clean-up neither deletes the pictures early nor leaves them."""
    _delete(monkeypatch)
    assert _left() == SMALL
    retention.clean_up(wiring.machine)
    assert _left() == SMALL
    assert lost_found.entries(wiring.machine) == []
    move_clock(monkeypatch, timedelta(days=31))
    retention.clean_up(wiring.machine)
    assert _left() == []
    assert not (wiring.machine.settings.jobs_dir / ID).exists()


@pytest.mark.usefixtures("ended")
def test_an_interrupted_deletion_is_finished_by_the_clean_up(store: Store) -> None:
    now = wiring.machine.now()
    with store.writing(scope="everything") as connection:
        assert jobs.mark_files_deleted(connection, ID, now, pictures_until=now + timedelta(days=1))
    retention.clean_up(wiring.machine)
    assert _left() == SMALL


@pytest.mark.usefixtures("ended")
@pytest.mark.parametrize("before", [[], ["due"]])
def test_what_a_person_deletes_has_no_pictures_left(monkeypatch: pytest.MonkeyPatch, before: list[str]) -> None:
    """Also if the videos were deleted before, and also if the deletion is interrupted after its record."""
    for when in before:
        _delete(monkeypatch, when)
    assert job_commands.delete(wiring.machine, ID)
    _delete(monkeypatch, "now")
    assert _left() == []


@pytest.mark.usefixtures("ended")
def test_without_days_none_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    change_settings(monkeypatch, keep_pictures_days=0.0)
    _delete(monkeypatch)
    assert _left() == []
