"""The files of an installation are for its user only: they are repaired at the start, or the start is refused."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from loguru import logger

import settings
from scripts.machine import private_files
from scripts.machine.private_files import NotPrivate, make_private

ROOT = Path(__file__).resolve().parents[2]
SOMEBODY = 65533  # neither root nor this process's user
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user, and become one")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a data directory as a start with the usual umask (022) would have made it."""
    directory = tmp_path / "data"
    database = [f"vidprod.sqlite3{end}" for end in ("", "-wal", "-shm", "-gate")]
    for name in (*database, "machine.lock", "secret.key", "api.key", "uploads/job_1/source.mp4", "jobs/job_1/1.mp4"):
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("a secret")
        path.chmod(0o664)
    for folder in (directory, *(path for path in directory.rglob("*") if path.is_dir())):
        folder.chmod(0o755)
    return directory


def protect(data: Path, database: Path | None = None) -> None:
    make_private(data, database or data / "vidprod.sqlite3")


def open_to_others(directory: Path) -> list[Path]:
    found = (directory, *directory.rglob("*"))
    return [path for path in found if not path.is_symlink() and stat.S_IMODE(path.stat().st_mode) & 0o077]


@pytest.fixture
def logged() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(str(line)), level="WARNING", format="{message}")
    yield lines
    logger.remove(sink)


def test_files_that_others_could_read_are_repaired_and_logged(data: Path, logged: list[str]) -> None:
    protect(data)
    assert open_to_others(data) == []
    said = "".join(logged)
    assert f"other users could access {data}" in said
    assert f"{data / 'secret.key'} could be read by other users" in said
    logged.clear()
    protect(data)
    assert logged == []


def test_a_missing_data_directory_is_created_for_its_owner_only(tmp_path: Path) -> None:
    protect(tmp_path / "new" / "data")
    assert stat.S_IMODE((tmp_path / "new" / "data").stat().st_mode) == 0o700


def test_a_directory_that_everybody_can_write_is_repaired_before_its_files(data: Path) -> None:
    data.chmod(0o777)
    protect(data)
    assert open_to_others(data) == []


@pytest.mark.parametrize("mode", [0o777, 0o775])
def test_a_parent_that_others_can_write_is_refused(data: Path, mode: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """They could rename the data directory, and put their own in its place."""
    monkeypatch.setattr(private_files, "_has_other_members", lambda _gid: True)
    data.parent.chmod(mode)
    with pytest.raises(NotPrivate, match=f"chmod go-w {data.parent}"):
        protect(data)


def test_a_parent_that_only_the_owners_own_group_can_write_is_accepted(data: Path) -> None:
    """Many systems give each user a group of their own, and a umask of 002."""
    data.parent.chmod(0o775)
    assert not private_files._has_other_members(os.getegid())
    protect(data)


def test_a_parent_like_tmp_is_accepted(data: Path) -> None:
    data.parent.chmod(0o1777)
    protect(data)
    assert open_to_others(data) == []


def test_a_database_among_files_of_others_is_refused(data: Path, tmp_path: Path) -> None:
    """In /tmp, another user could have made the lock file beside it first."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    with pytest.raises(NotPrivate, match="directory of its own"):
        protect(data, shared / "vidprod.sqlite3")


def test_a_database_elsewhere_is_repaired_with_its_side_files(data: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "queue.db-broker").mkdir(parents=True)
    elsewhere.chmod(0o755)
    for name in ("queue.db", "queue.db-wal", "queue.db-gate", "of somebody else"):
        (elsewhere / name).touch()
        (elsewhere / name).chmod(0o644)
    protect(data, elsewhere / "queue.db")
    assert sorted(path.name for path in open_to_others(elsewhere)) == ["elsewhere", "of somebody else"]


def test_a_link_of_the_operator_to_another_disk_is_followed(data: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    (disk / "job_2").mkdir(parents=True)
    (disk / "job_2" / "source.mp4").touch()
    (data / "more").symlink_to(disk)
    (data / "loop").symlink_to(data / "loop")
    protect(data)
    assert open_to_others(disk) == []


def test_a_link_in_the_place_of_a_secret_is_refused(data: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.key").write_text("a secret")
    (data / "secret.key").unlink()
    (data / "secret.key").symlink_to(tmp_path / "elsewhere.key")
    with pytest.raises(NotPrivate, match=r"secret\.key is a symbolic link"):
        protect(data)


def give_away_directory(data: Path) -> None:
    os.chown(data, SOMEBODY, SOMEBODY)


def give_away_parent(data: Path) -> None:
    os.chown(data.parent, SOMEBODY, SOMEBODY)


def give_away_database(data: Path) -> None:
    os.chown(data / "vidprod.sqlite3", SOMEBODY, SOMEBODY)


def give_away_lock(data: Path) -> None:
    os.chown(data / "vidprod.sqlite3-gate", SOMEBODY, SOMEBODY)


def link_to_a_foreign_directory(data: Path) -> None:
    foreign = data.parent / "foreign"
    foreign.mkdir()
    os.chown(foreign, SOMEBODY, SOMEBODY)
    (data / "uploads").rename(data / "old")
    (data / "uploads").symlink_to(foreign)


def reach_it_by_a_link_of_somebody_else(data: Path) -> None:
    data.rename(data.parent / "real")
    data.symlink_to(data.parent / "real")
    os.chown(data, SOMEBODY, SOMEBODY, follow_symlinks=False)


@as_root
@pytest.mark.parametrize(
    "attack",
    [
        give_away_directory,
        give_away_parent,
        give_away_database,
        give_away_lock,
        link_to_a_foreign_directory,
        reach_it_by_a_link_of_somebody_else,
    ],
)
def test_a_file_that_belongs_to_another_user_is_refused_and_named(data: Path, attack: Callable[[Path], None]) -> None:
    attack(data)
    with pytest.raises(NotPrivate, match=f"user {SOMEBODY}"):
        protect(data)


# As another user, tries what the first argument says.
ATTACK = """
import fcntl, os, sys
os.setgroups([]); os.setgid({uid}); os.setuid({uid})
for name in sys.argv[1:]:
    for flags in (os.O_RDONLY, os.O_RDWR, os.O_WRONLY | os.O_APPEND, os.O_PATH):
        try:
            fcntl.flock(os.open(name, flags), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue
        print(name, flags)
try:
    print(os.listdir(os.path.dirname(sys.argv[1])))
except OSError:
    pass
"""


@pytest.fixture
def reachable(data: Path) -> Iterator[Path]:
    """Return the data directory below directories that everybody may enter, as below /var/lib."""
    modes = {directory: directory.stat().st_mode for directory in data.parents}
    above = {directory: mode for directory, mode in modes.items() if not mode & stat.S_IXOTH}
    for directory in above:
        directory.chmod(0o755)
    yield data
    for directory, mode in above.items():
        directory.chmod(stat.S_IMODE(mode))


@as_root
def test_another_user_can_neither_read_a_file_nor_take_a_lock(reachable: Path) -> None:
    files = [str(path) for path in reachable.rglob("*") if path.is_file()]
    attack = [sys.executable, "-c", ATTACK.format(uid=SOMEBODY), *files]
    before = subprocess.run(attack, capture_output=True, text=True, check=True).stdout
    assert "vidprod.sqlite3-gate" in before  # the attack works on what is not protected
    protect(reachable)
    assert subprocess.run(attack, capture_output=True, text=True, check=True).stdout == ""


def test_a_generated_secret_is_for_its_owner_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        settings.kept_secret(tmp_path / "secret.key")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "secret.key").stat().st_mode) == 0o600
