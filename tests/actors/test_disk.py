"""The ballast file, on a real disk that is full."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from actors import wiring
from actors.disk import Disk
from actors.flow import job_commands
from actors.machine import Machine
from scripts.fault_injection.small_disk import SmallDisk
from store import DatabaseUnavailable, jobs
from store.sqlite import SqliteStore
from store.states import JobStatus
from tests.store import rows
from tests.support.machine_database import sqlite_path
from tests.support.small_disk import DISK_BYTES, SIZES, machine_on, small_disk


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path, DISK_BYTES) as disk:
        yield disk


@pytest.fixture
def machine(full_disk: SmallDisk) -> Iterator[Machine]:
    with machine_on(full_disk) as built:
        yield built


def without_ballast(machine: Machine) -> Machine:
    """Return the machine with a store that does not know of the ballast."""
    assert machine.broker.write_lock is not None
    store = SqliteStore(
        sqlite_path(machine.store), write_lock=machine.broker.write_lock, joining=machine.broker.joining
    )
    return replace(machine, store=store)


def test_the_ballast_occupies_its_blocks(full_disk: SmallDisk) -> None:
    """A sparse file would free nothing."""
    disk, before = Disk(full_disk.path, SIZES), full_disk.free_bytes

    assert disk.make_ballast()
    assert before - full_disk.free_bytes >= SIZES.ballast_bytes
    assert disk.make_ballast()

    (full_disk.path / "ballast").unlink()
    with (full_disk.path / "ballast").open("wb") as sparse:
        sparse.truncate(SIZES.ballast_bytes)
    assert not disk.has_ballast()
    assert disk.make_ballast()
    assert before - full_disk.free_bytes >= SIZES.ballast_bytes


def test_the_ballast_is_released_only_when_the_disk_is_full_and_made_again_when_there_is_room(
    full_disk: SmallDisk,
) -> None:
    disk = Disk(full_disk.path, SIZES)
    disk.make_ballast()
    full_disk.fill(leave_bytes=SIZES.release_bytes + 2**20)
    disk.release_ballast_if_full()
    assert disk.has_ballast()

    full_disk.fill()
    disk.release_ballast_if_full()
    assert not disk.has_ballast()
    assert full_disk.free_bytes >= SIZES.ballast_bytes - 2**20
    assert not disk.has_room(), "the room of the ballast is not for uploads and renderings"
    assert not disk.make_ballast()
    assert [path.name for path in full_disk.path.iterdir()] == ["filler"], "no draft is left"

    full_disk.clear()
    assert disk.make_ballast()
    assert disk.has_room()


def test_a_disk_that_fills_while_the_ballast_is_made_keeps_no_part_of_it(
    full_disk: SmallDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    full_disk.fill(leave_bytes=SIZES.ballast_bytes // 2)
    disk = Disk(full_disk.path, SIZES)
    monkeypatch.setattr(Disk, "free_bytes", 2**40)  # as measured before the other program wrote

    assert not disk.make_ballast()
    monkeypatch.undo()

    assert full_disk.free_bytes == SIZES.ballast_bytes // 2


def test_a_job_can_be_cancelled_and_deleted_on_a_full_disk(full_disk: SmallDisk, machine: Machine) -> None:
    """Every writer releases the ballast before its transaction: the log of the database can grow."""
    with machine.store.writing(scope="everything") as connection:
        jobs.create(connection, rows.job())
    machine.disk.make_ballast()
    assert machine.disk.has_ballast()
    full_disk.fill()
    assert full_disk.free_bytes == 0

    with pytest.raises(DatabaseUnavailable) as refused:  # what happens without it
        job_commands.cancel(without_ballast(machine), "job")
    assert refused.value.reason == "disk_full"
    assert machine.disk.has_ballast()

    assert job_commands.cancel(machine, "job")
    assert job_commands.delete(machine, "job")

    with machine.store.reading() as connection:
        job = jobs.get(connection, "job")
    assert job is not None
    assert job.status is JobStatus.CANCELLED


def test_a_machine_starts_on_a_full_disk(full_disk: SmallDisk, machine: Machine) -> None:
    """To open the database takes room, and so did the secret's file."""
    machine.disk.make_ballast()
    close(machine)
    full_disk.fill()
    assert full_disk.free_bytes == 0

    with started(full_disk) as again:
        again.store.require_usable()
    assert not (full_disk.path / "ballast").exists()
    assert [path.name for path in full_disk.path.glob("secret.key*")] == ["secret.key"]


def test_a_start_without_any_room_says_that_the_disk_is_full(full_disk: SmallDisk, machine: Machine) -> None:
    close(machine)
    full_disk.fill()

    for _ in range(3):
        with started(full_disk) as again, pytest.raises(DatabaseUnavailable) as refused:
            again.store.require_usable()
        assert refused.value.reason == "disk_full"
    assert [path.name for path in full_disk.path.glob("secret.key*")] == ["secret.key"]


def close(machine: Machine) -> None:
    """Close the database, whose side files are then deleted."""
    machine.broker.close()
    machine.store.close()


@contextmanager
def started(disk: SmallDisk) -> Iterator[Machine]:
    built = wiring.build(os.environ | {"DATA_DIR": str(disk.path), "DATABASE_URL": ""})
    try:
        yield built
    finally:
        close(built)
