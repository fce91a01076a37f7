"""The checks of scripts/doctor whose faults need another computer: they judge what a computer would report."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

import settings
from scripts.checks import clock, database, disk, kernel, libraries, memory, online, services
from scripts.checks.disk import FileSystem
from scripts.checks.finding import Examined, Finding, Level
from store.boot_clock import BootTime
from store.heartbeats import Heartbeat

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
BOOT = BootTime("this boot", 10_000.0)
MIB = 2**20

MOUNTINFO = r"""
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
22 21 0:20 / /proc rw - proc proc rw
30 21 0:50 / /srv rw,relatime - nfs4 server:/export rw
31 30 8:2 / /srv/local\040disk rw,relatime - xfs /dev/sdb1 rw
32 21 0:60 / /srv-other rw - fuse.sshfs host:/ rw
"""


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/data", FileSystem("ext4", "/")),
        ("/srv/data", FileSystem("nfs4", "/srv")),
        ("/srv/local disk/data", FileSystem("xfs", "/srv/local disk")),
        ("/srv-other", FileSystem("fuse.sshfs", "/srv-other")),
        ("/srvdata", FileSystem("ext4", "/")),
    ],
)
def test_the_file_system_is_that_of_the_nearest_mount(tmp_path: Path, path: str, found: FileSystem) -> None:
    (tmp_path / "mountinfo").write_text(MOUNTINFO.lstrip())
    assert disk.file_system(Path(path), tmp_path / "mountinfo") == found


@pytest.mark.parametrize(
    ("kind", "level"),
    [
        ("ext4", Level.OK), ("xfs", Level.OK), ("btrfs", Level.OK), ("nfs4", Level.WARNING), ("cifs", Level.WARNING),
        ("fuse.sshfs", Level.WARNING), ("9p", Level.WARNING), ("tmpfs", Level.WARNING), ("overlay", Level.WARNING),
    ],
)  # fmt: skip
def test_disks_of_networks_and_containers_are_warned_of(kind: str, level: Level) -> None:
    assert disk.kind(FileSystem(kind, "/data")).level is level


def test_a_slow_disk_is_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now_s[0])
    monkeypatch.setattr(os, "fsync", lambda _: now_s.__setitem__(0, now_s[0] + 0.5))
    found = list(disk._features(tmp_path))
    assert (found[0].level, "a sync takes 500.0 ms" in found[0].text) == (Level.WARNING, True)


@pytest.mark.parametrize(
    ("told", "level", "text"),
    [
        ((0x2000 | 0x0001, 0.0002), Level.OK, "off by 0.2 ms"),
        ((0x2000 | 0x0001, 2.5), Level.WARNING, "off by 2.5 s"),
        ((0x0040, 0.0), Level.WARNING, "not synchronised"),
        (None, Level.OK, "tells nothing"),
    ],
)
def test_a_clock_without_ntp_is_warned_of(told: tuple[int, float] | None, level: Level, text: str) -> None:
    found = clock.synchronised(lambda: told)
    assert (found.level, text in found.text) == (level, True)


def test_the_kernel_answers_the_question_about_its_clock() -> None:
    assert clock.synchronised().level in {Level.OK, Level.WARNING}


def test_a_clock_that_starts_in_the_past_is_an_error() -> None:
    assert clock.plausible(datetime(1970, 1, 1, tzinfo=UTC)).level is Level.ERROR
    assert clock.plausible(NOON).level is Level.OK


@pytest.mark.parametrize(
    ("last", "text"),
    [
        (None, "has not run yet"),
        (Heartbeat(NOON - timedelta(seconds=50), BOOT.boot, BOOT.seconds - 50), "no jump"),
        (Heartbeat(NOON - timedelta(hours=2), BOOT.boot, BOOT.seconds - 50), "set ahead by 7150 s"),
        (Heartbeat(NOON + timedelta(hours=2), BOOT.boot, BOOT.seconds - 50), "set back by 7250 s"),
        (Heartbeat(NOON - timedelta(days=9), "before", 5.0), "no jump"),  # it was off meanwhile
        (Heartbeat(NOON + timedelta(days=9), "before", 5.0), "in the future"),
    ],
)
def test_a_jump_of_the_clock_is_told_from_a_machine_that_was_off(last: Heartbeat | None, text: str) -> None:
    found = clock.jump(last, NOON, BOOT)
    assert text in found.text
    assert (found.level is Level.OK) is (text in {"has not run yet", "no jump"})


def test_a_kernel_without_the_filter_is_an_error_and_without_landlock_a_warning() -> None:
    assert kernel.sandbox({"ok": False, "landlock": None, "detail": "no video"}).level is Level.ERROR
    assert kernel.sandbox({"ok": True, "landlock": None, "detail": "no Landlock"}).level is Level.WARNING
    assert kernel.sandbox({"ok": True, "landlock": 4}).level is Level.OK


def test_the_memory_limit_of_either_version_of_control_groups_is_seen(tmp_path: Path) -> None:
    assert kernel.control_groups(tmp_path).text == kernel.NO_GROUPS
    (tmp_path / "memory").mkdir()
    older = kernel.control_groups(tmp_path)
    (tmp_path / "cgroup.controllers").touch()
    newer = kernel.control_groups(tmp_path)
    assert [(one.level, one.text[-1]) for one in (older, newer)] == [(Level.OK, "1"), (Level.OK, "2")]


def test_too_little_memory_is_an_error() -> None:
    assert memory.limit(256 * MIB, None).level is Level.ERROR
    assert memory.limit(512 * MIB, None).level is Level.OK
    assert memory.limit(512 * MIB, 400).level is Level.WARNING
    assert memory.limit(2048 * MIB, 400).level is Level.OK


def test_missing_libraries_are_named_with_their_packages() -> None:
    found = list(libraries.media({"missing": ["libEGL.so.1"], "codecs": [], "errors": ["PyAV: X"], "raqm": False}))
    assert [one.level for one in found] == [Level.ERROR, Level.ERROR, Level.WARNING]
    assert [one.fix for one in found][::2] == ["sudo apt-get install libegl1", "sudo apt-get install libfribidi0"]


def test_other_versions_than_the_locked_ones_are_named(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.txt"
    lock.write_text(
        f"falcon=={libraries._version('falcon')} \\\n    --hash=sha256:0\n"
        "pytest==0.1 ; python_full_version < '3' \\\n"
        f"pytest=={libraries._version('pytest')} ; python_full_version >= '3'\n"
        "colorama==0.4.6 ; sys_platform == 'win32'\n"
    )
    assert libraries.locked(lock) == Finding("libraries", Level.OK, "2 packages have their locked versions")
    lock.write_text("falcon==0.1\nnot-installed-at-all==1\n")
    found = libraries.locked(lock)
    assert found.level is Level.WARNING
    assert "instead of 0.1, not-installed-at-all none instead of 1" in found.text


def rendering_machine(data_dir: Path) -> Examined:
    """Return a running machine that only renders, beside others."""
    environ = {
        "DATA_DIR": str(data_dir), "SERVICES": "media", "PORT": "1", "SECRET_KEY": "s" * 16, "API_KEYS": "k" * 16,
        "DATABASE_URL": "postgresql://host/name", "FILES_URL": "s3://bucket", "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }  # fmt: skip
    return Examined(environ, settings.read(environ), is_valid=True, is_running=True)


def test_a_machine_without_the_api_is_not_asked_for_its_health(tmp_path: Path) -> None:
    [found] = services.check(rendering_machine(tmp_path))
    assert (found.level, "running media" in found.text) == (Level.OK, True)


def test_a_machine_without_the_api_needs_no_room_for_uploads_and_no_backups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the API makes the ballast file at its start, and BACKUP_DIR is refused with a server."""
    tmp_path.chmod(0o700)
    real = os.statvfs(tmp_path)
    free = os.statvfs_result((real.f_bsize, real.f_frsize, 1000, 500, 2**28 // real.f_frsize, *tuple(real)[5:]))
    monkeypatch.setattr(os, "statvfs", lambda _: free)
    found = list(disk.check(rendering_machine(tmp_path)))
    said = [one.text for one in found if one.level is not Level.OK]
    assert [text for text in said if "upload" in text or "ballast" in text or "scheduled" in text] == []


def test_failing_checks_of_the_running_machine_are_errors() -> None:
    failing = {"checks": {"disk": {"ok": False, "free_bytes": 3}, "scheduler": {"ok": True}}}
    assert [(one.level, one.text) for one in services.report(failing)] == [
        (Level.ERROR, "/health: disk: free_bytes: 3")
    ]
    assert next(services.report({"checks": {"disk": {"ok": True}}})).level is Level.OK


LOCK_LINES = """
1: FLOCK  ADVISORY  WRITE 100 08:01:{inode} 0 EOF
2: POSIX  ADVISORY  READ 101 08:01:{inode} 123 123
3: POSIX  ADVISORY  WRITE {pid} 08:01:{inode} 120 120
3: -> POSIX  ADVISORY  WRITE 103 08:01:{inode} 120 120
"""


def test_the_writer_is_found_in_the_list_of_locks(tmp_path: Path) -> None:
    (tmp_path / "x.sqlite3-shm").write_bytes(b"")
    inode = (tmp_path / "x.sqlite3-shm").stat().st_ino
    locks = tmp_path / "locks"
    locks.write_text(LOCK_LINES.format(inode=inode, pid=4711).lstrip())
    assert database.sqlite_writer(tmp_path / "x.sqlite3", locks) == 4711
    locks.write_text(LOCK_LINES.format(inode=inode + 1, pid=4711).lstrip())
    assert database.sqlite_writer(tmp_path / "x.sqlite3", locks) is None


@contextmanager
def answering(date: datetime) -> Iterator[str]:
    """Serve answers of another time, on loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response_only(404)
            self.send_header("Date", format_datetime(date, usegmt=True))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_platform_that_answers_tells_the_time(tmp_path: Path) -> None:
    with answering(datetime.now(UTC)) as url:
        assert [one.level for one in online.reach("tiktok", url)] == [Level.OK]
    with answering(datetime.now(UTC) - timedelta(hours=1)) as url:
        _, wrong = online.reach("tiktok", url)
        assert (wrong.topic, wrong.level) == ("clock", Level.WARNING)
        assert re.search(r"differs by 36\d\d s", wrong.text)  # a busy machine answers some seconds later
    [gone] = online.reach("tiktok", url)  # nothing listens there any more
    assert (gone.level, "cannot be reached" in gone.text) == (Level.ERROR, True)
