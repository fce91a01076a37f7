"""Publications start at their time, by a delayed message; the tick of each minute is for lost messages."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from dramatiq import Worker
from sqlalchemy import text

from actors import wiring
from actors.flow import scheduling
from actors.start_publications import start_publications
from actors.ticks import open_windows
from store import Store, accounts, jobs, platform_states, publications, schedules, segments
from store.owners import DEFAULT_OWNER
from store.platform_states import PlatformState
from store.publications import Publication
from store.schedules import Schedule
from store.states import JobStatus, PublicationStatus, SegmentStatus
from tests.actors.queues import move_clock, start_due, waiting
from tests.store.rows import account, job, publication, segment
from tests.support.machine_database import machine_environment
from tests.support.waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]
MAX_LATE = timedelta(seconds=2)


def _add_job(store: Store, name: str, *, publish_after: datetime | None = None, account_id: str = "tiktok-1") -> None:
    with store.writing(scope="everything") as connection:
        owner = account(account_id)
        accounts.connect(connection, owner)
        jobs.create(connection, replace(job(name, status=JobStatus.PUBLISHING, parts=1), publish_after=publish_after))
        part = segment(1, job_id=name, status=SegmentStatus.READY)
        segments.create(connection, [part])
        publications.create(connection, [publication(part, owner)])
        rules = Schedule(platform="tiktok", time_zone="UTC", windows=[], max_per_day=99, min_gap_s=0.0)
        schedules.put(connection, DEFAULT_OWNER, rules)


def _post(store: Store, name: str, account_id: str = "tiktok-1") -> Publication:
    with store.reading() as connection:
        found = publications.get(connection, f"{name}-1-{account_id}")
    assert found is not None
    return found


def _tick() -> None:
    open_windows.fn()
    start_due()


def _starts() -> list[str]:
    return [args[0] for name, args in waiting() if name == "start_publications"]


def test_a_publication_starts_at_its_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its message waits in the broker, and no tick comes."""
    now = move_clock(monkeypatch, timedelta(days=365))
    due = now + timedelta(seconds=5)  # after the tick, which takes a second on a server of a busy machine
    _add_job(store, "job", publish_after=due)
    _tick()
    assert (_post(store, "job").due_at, _starts()) == (due, ["tiktok-1"])

    worker = Worker(wiring.machine.broker, queues={"ticks"}, worker_threads=1)
    worker.start()
    try:
        wait_for(lambda: _post(store, "job").status is PublicationStatus.PUBLISHING, "the publication to start")
    finally:
        worker.stop()

    started_at = _post(store, "job").started_at
    assert started_at is not None
    assert due <= started_at < due + MAX_LATE


def test_the_scheduler_process_starts_a_publication_at_its_time(store: Store) -> None:
    """The real process, in the middle of a minute, so that no periodic tick starts it."""
    wiring.machine.send("start_publications", "unknown")
    command = [sys.executable, "-m", "scripts.machine.network_worker"]
    with subprocess.Popen(command, cwd=ROOT, env=machine_environment()) as scheduler:
        try:
            wait_for(lambda: not _starts(), "the process to take messages")
            due = wiring.machine.now() + timedelta(seconds=3)
            due += timedelta(seconds=10 if due.second < 5 or due.second > 57 else 0)
            _add_job(store, "job", publish_after=due)
            with store.writing(scope="everything") as connection:
                scheduling.start_due(wiring.machine, connection)
            wait_for(lambda: _post(store, "job").status is not PublicationStatus.WAITING, "the publication to start")
        finally:
            scheduler.terminate()

    started_at = _post(store, "job").started_at
    assert started_at is not None
    assert due <= started_at < due + MAX_LATE


def test_a_time_that_is_known_sends_no_second_message(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    now = move_clock(monkeypatch, timedelta())
    _add_job(store, "job", publish_after=now + timedelta(hours=1))
    for _ in range(3):
        _tick()
    assert _starts() == ["tiktok-1"]

    with store.writing(scope="everything") as connection:
        accounts.pause(connection, "tiktok-1", now + timedelta(hours=2), "the platform asked for it")
    for _ in range(3):
        _tick()
    assert _starts() == ["tiktok-1", "tiktok-1"]
    assert _post(store, "job").due_at == now + timedelta(hours=2)


def test_a_message_that_comes_too_early_or_for_nothing_starts_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = move_clock(monkeypatch, timedelta())
    _add_job(store, "job", publish_after=now + timedelta(hours=1))
    _add_job(store, "other", account_id="tiktok-2")
    start_publications.fn("tiktok-1")
    start_publications.fn("unknown")
    assert _post(store, "job").status is PublicationStatus.WAITING
    assert _post(store, "other", "tiktok-2").status is PublicationStatus.WAITING  # on another account
    move_clock(monkeypatch, timedelta(hours=2))
    start_publications.fn("tiktok-1")
    start_publications.fn("tiktok-1")
    assert _post(store, "job").status is PublicationStatus.PUBLISHING
    assert [name for name, _ in waiting() if name == "publish_tiktok"] == ["publish_tiktok"]


def test_only_the_next_publication_gets_a_time_and_those_with_a_time_of_their_own(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = move_clock(monkeypatch, timedelta())
    later, pause = now + timedelta(days=3), now + timedelta(hours=1)
    _add_job(store, "a", publish_after=later)
    for name in ("b", "c", "d"):
        _add_job(store, name)
    with store.writing(scope="everything") as connection:
        accounts.pause(connection, "tiktok-1", pause, "the platform asked for it")
    _tick()
    assert [_post(store, name).due_at for name in "abcd"] == [later, pause, None, None]

    move_clock(monkeypatch, timedelta(hours=1, seconds=1))
    _tick()
    assert [_post(store, name).status for name in "abcd"] == ["waiting", "publishing", "waiting", "waiting"]


def test_nothing_starts_during_an_outage_of_the_platform(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    now = move_clock(monkeypatch, timedelta())
    _add_job(store, "job")
    until = now + timedelta(minutes=2)
    with store.writing(scope="everything") as connection:
        platform_states.put(connection, PlatformState(platform="tiktok", failures_in_a_row=3, paused_until=until))
    _tick()
    assert (_post(store, "job").status, _post(store, "job").due_at) == (PublicationStatus.WAITING, until)


def test_the_message_comes_after_its_time_not_before(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker counts in milliseconds; the time has microseconds."""
    now = move_clock(monkeypatch, timedelta())
    due = now.replace(microsecond=999) + timedelta(seconds=60)
    _add_job(store, "job", publish_after=due)
    with store.writing(scope="everything") as connection:
        scheduling.start_due(wiring.machine, connection)
    query = text("SELECT eta_ms FROM broker_messages WHERE actor = 'start_publications'")
    with store.reading() as connection:
        eta_ms = connection.execute(query).scalar_one()
    assert due.timestamp() * 1000 < eta_ms < due.timestamp() * 1000 + 1000


def test_a_transaction_sends_a_message_for_an_account_that_it_has_not_locked(store: Store) -> None:
    """As on an engine with concurrent writers: two of them would start two posts of one account."""
    _add_job(store, "job")
    for _ in range(2):
        with store.writing(job="other") as connection:
            connection.info["accounts"] = frozenset({"tiktok-2"})
            scheduling.start_due(wiring.machine, connection)
    assert _post(store, "job").status is PublicationStatus.WAITING
    assert _starts() == ["tiktok-1", "tiktok-1"]
    start_publications.fn("tiktok-1")
    assert _post(store, "job").status is PublicationStatus.PUBLISHING
