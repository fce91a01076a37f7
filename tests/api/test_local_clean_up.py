"""Each of several machines cleans up its own disk, without the others, and takes no upload that goes on."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from falcon.testing import TestClient
from pydantic import SecretStr
from sqlalchemy import Connection

from actors import local_clean_up
from actors.disk import Disk, Sizes
from actors.flow import retention
from actors.local_clean_up import INTERVAL, LOCK_NAME, in_background, run_if_due
from actors.machine import Machine
from actors.recovery import lost_found, resumable
from actors.recovery.lost_found import INCOMING
from api.app import create_app
from api.context import Context
from api.tus import requests
from api.tus.receiving import Receptions
from api.uploads import acceptance
from api.uploads.reservations import Reservations
from files.local import LocalFiles
from store import DatabaseUnavailable, jobs
from store.owners import DEFAULT_OWNER
from store.states import JobStatus
from tests.api.conftest import AUTH, VIDEO, with_settings
from tests.api.test_tus import BYTES, TUS, Tus, file_of, job_of
from tests.store import rows
from tests.support.clock import Clock
from tests.support.waiting import wait_for

ONE, TWO = (f"job_{digit * 32}" for digit in "12")
SHARED = {"files_url": "s3://videos/own-disk", "database_url": SecretStr("postgresql+psycopg://u:p@host/vidprod")}
SMALL = Sizes(ballast_bytes=2**16)
DAY_AND_HOUR = timedelta(hours=25)
StartMachine = Callable[[str], Context]


@pytest.fixture
def start(context: Context, tmp_path: Path) -> StartMachine:
    """Return a function that starts one of several machines; a directory stands for the storage of all."""

    def start(name: str) -> Context:
        own = tmp_path / name
        own.mkdir()
        return replace(
            with_settings(context, **SHARED, data_dir=own),
            disk=Disk(own, SMALL),
            files=LocalFiles(tmp_path / "storage"),
            receptions=Receptions(),
            reservations=Reservations(),
        )

    return start


@pytest.fixture
def one(start: StartMachine) -> Context:
    return start("one")


@pytest.fixture
def tus(one: Context) -> Tus:
    received = replace(one, files=LocalFiles(one.settings.data_dir))  # a storage that stores nothing
    return Tus(TestClient(create_app(received), headers=AUTH))


def begun(tus: Tus, context: Context) -> str:
    """Return the path of an upload that has some bytes, by the test's clock."""
    path = tus.made()
    tus.patch(path, 0, VIDEO[:100])
    for file in file_of(context, path, INCOMING).parent.iterdir():
        touch(context, file)
    return path


def touch(machine: Machine, path: Path, age: timedelta = timedelta()) -> None:
    os.utime(path, ((machine.now() - age).timestamp(),) * 2)


def lay_down(machine: Machine, job_id: str) -> Path:
    """Return the directory of an upload whose file the storage has."""
    directory = machine.settings.uploads_dir / job_id
    directory.mkdir(parents=True)
    for name in (".tus.json", "accepted", "source-deleted", "upload.json"):
        (directory / name).write_text("{}")
    return directory


def test_an_upload_that_was_given_up_is_deleted_by_its_own_machine(
    tus: Tus, one: Context, start: StartMachine, clock: Clock
) -> None:
    path, two = begun(tus, one), start("two")
    clock.moment += DAY_AND_HOUR
    retention.clean_up(two)  # the periodic actor
    assert run_if_due(two)
    assert file_of(one, path, INCOMING).exists()
    assert run_if_due(one)
    assert not file_of(one, path, INCOMING).exists()
    assert tus.send("HEAD", path).status_code == 410
    clock.moment += resumable.LIFETIME + resumable.REMEMBERED
    assert run_if_due(one)
    assert not file_of(one, path, INCOMING).parent.exists()


def test_an_upload_that_goes_on_stays(tus: Tus, one: Context, clock: Clock) -> None:
    path = begun(tus, one)
    clock.moment += timedelta(hours=23)
    assert run_if_due(one)
    sent = {**TUS, **BYTES, "Upload-Offset": "100"}
    reception = requests.append(one, DEFAULT_OWNER, path.rpartition("/")[2], sent.get, len(VIDEO) - 100)
    clock.moment += timedelta(hours=2)  # no byte arrives, but the request goes on
    assert run_if_due(one)
    reception.feed(VIDEO[100:])
    reception.end()
    reception.discard()
    assert file_of(one, path, INCOMING).read_bytes() == VIDEO


def test_an_upload_that_becomes_a_job_at_this_moment_stays(
    tus: Tus, one: Context, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file has its final name, and its job is not committed yet."""
    path, commit = begun(tus, one), acceptance._commit_job
    found = []

    def clean_up_before(*args: Any) -> Any:  # Any: whatever it takes and gives
        source = file_of(one, path)
        os.utime(source, (0, 0))
        found.append((run_if_due(one), source.exists()))
        return commit(*args)

    monkeypatch.setattr(acceptance, "_commit_job", clean_up_before)
    assert tus.patch(path, 100, VIDEO[100:]).headers["X-Job-Id"]
    assert found == [(True, True)]
    assert job_of(one, path) is not None
    clock.moment += INTERVAL
    assert run_if_due(one)
    assert file_of(one, path).read_bytes() == VIDEO
    assert lost_found.entries(one) == []


def test_it_runs_once_in_an_interval_whichever_process_asks(one: Context, clock: Clock) -> None:
    other_process = replace(one)
    assert run_if_due(one)
    clock.moment += INTERVAL - timedelta(seconds=1)
    assert not run_if_due(other_process)
    clock.moment += timedelta(seconds=1)
    with (one.settings.data_dir / LOCK_NAME).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert not run_if_due(one)
    assert run_if_due(other_process)
    assert not run_if_due(one)


def test_a_clock_that_is_set_back_does_not_stop_it(one: Context, clock: Clock) -> None:
    assert run_if_due(one)
    clock.correct(days=-400)
    assert run_if_due(one)
    assert not run_if_due(one)


@pytest.mark.parametrize("content", [b"", b"2026-11-22T1", b"2026-11-22T12:00:00", b"\xff"])
def test_a_time_that_a_power_cut_has_lost_is_none(one: Context, content: bytes) -> None:
    (one.settings.data_dir / LOCK_NAME).write_bytes(content)
    assert run_if_due(one)
    assert not run_if_due(one)


def test_what_is_left_of_a_job_goes_with_its_files(one: Context) -> None:
    with one.store.writing(scope="everything") as connection:
        for job_id in (ONE, TWO):
            jobs.create(connection, rows.job(job_id, status=JobStatus.COMPLETED))
        assert jobs.mark_files_deleted(connection, ONE, one.now())
    gone, kept = lay_down(one, ONE), lay_down(one, TWO)
    assert run_if_due(one)
    assert (gone.exists(), kept.exists()) == (False, True)


def test_lost_files_are_kept_for_the_days_on_which_this_machine_runs(one: Context, clock: Clock) -> None:
    """The storage's part of them is left to the clean-up that asks the fence."""
    lay_down(one, ONE)
    stored = LocalFiles(one.settings.data_dir.parent / "storage").path(f"uploads/{ONE}/source")
    stored.parent.mkdir(parents=True)
    stored.write_bytes(VIDEO)
    assert run_if_due(one)
    [entry] = lost_found.entries(one)
    touch(one, entry.directory, timedelta(days=one.settings.lost_found_days - 1))
    clock.move(days=30)  # it was off
    for _ in range(24):
        assert run_if_due(one)
        assert [found.job_id for found in lost_found.entries(one)] == [ONE]
        clock.move(minutes=59)
    assert run_if_due(one)
    clock.move(minutes=59)
    assert run_if_due(one)
    assert lost_found.entries(one) == []
    assert stored.exists()


def test_the_ballast_is_made_again(one: Context) -> None:
    assert not one.disk.has_ballast()
    assert run_if_due(one)
    assert one.disk.has_ballast()


def test_a_machine_alone_leaves_it_to_the_actor(context: Context) -> None:
    with in_background(context):
        assert "local-clean-up" not in {thread.name for thread in threading.enumerate()}
    assert not (context.settings.data_dir / LOCK_NAME).exists()


def test_it_goes_on_after_the_database_was_unavailable(
    one: Context, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    get = jobs.get

    def unavailable_once(connection: Connection, job_id: str) -> jobs.Job | None:
        asked.append(job_id)
        if len(asked) == 1:
            raise DatabaseUnavailable("unavailable", "The database is unavailable.")
        return get(connection, job_id)

    directory = lay_down(one, ONE)
    monkeypatch.setattr(local_clean_up, "CHECK_INTERVAL_S", 0.01)
    monkeypatch.setattr(jobs, "get", unavailable_once)
    with in_background(one):
        wait_for(lambda: asked, "the first run")
        clock.moment += INTERVAL
        wait_for(lambda: not directory.exists(), "the second run")
    assert "local-clean-up" not in {thread.name for thread in threading.enumerate()}
    assert [entry.job_id for entry in lost_found.entries(one)] == [ONE]
