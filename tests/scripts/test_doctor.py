"""scripts/doctor names what is wrong, with what to do, on any machine; each test provokes one fault."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from dramatiq import Message

from broker import SqliteBroker
from scripts.machine import doctor as doctor_command
from scripts.machine.installation import Installation
from store import Sealer, Store, accounts, heartbeats, webhooks
from store.boot_clock import boot_time
from store.owners import DEFAULT_OWNER
from store.sqlite import SqliteStore
from store.states import AccountStatus, EndpointState
from store.webhooks import Endpoint
from tests.store.rows import NOON, account
from tests.support.lock_holder import holding_lock
from tests.support.object_store import ObjectStore
from tests.support.small_disk import DISK_BYTES, small_disk

ROOT = Path(__file__).resolve().parents[2]
KEY = "the-secret-key-of-the-tests"
SECRETS = (KEY, "the-secret-of-the-app", "the-api-key-of-tests")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user, or mount")
RECONNECT = AccountStatus.RECONNECT
Json = dict[str, Any]  # Any: JSON


class Report:
    """The report of one run."""

    def __init__(self, ran: subprocess.CompletedProcess[str]) -> None:
        assert ran.stderr == ""
        assert not any(secret in ran.stdout for secret in SECRETS)
        document = json.loads(ran.stdout)
        self.findings: list[Json] = document["findings"]
        self.code = ran.returncode
        assert document["ok"] is (self.code == 0)
        assert (self.code == 1) is any(finding["level"] == "error" for finding in self.findings)

    def texts(self, level: str) -> list[str]:
        return [f"{found['topic']}: {found['text']}" for found in self.findings if found["level"] == level]

    def has(self, level: str, text: str) -> bool:
        """Return whether a finding of the level contains a text, and says what to do."""
        found = [one for one in self.findings if one["level"] == level and text in f"{one['topic']}: {one['text']}"]
        assert all(one["fix"] for one in found if level != "ok")
        return bool(found)


def doctor(data: Path, *arguments: str, **environ: str) -> Report:
    known = {"PATH": os.environ["PATH"], "DATA_DIR": str(data), "SECRET_KEY": KEY}
    ran = subprocess.run(
        [sys.executable, "-m", "scripts.machine.doctor", "--json", *arguments],
        cwd=ROOT, env=known | environ, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    return Report(ran)


@contextmanager
def opened(data: Path) -> Iterator[tuple[Store, SqliteBroker]]:
    broker = SqliteBroker(data / "vidprod.sqlite3")
    store = SqliteStore(data / "vidprod.sqlite3", write_lock=broker.write_lock, joining=broker.joining)
    try:
        yield store, broker
    finally:
        broker.close()
        store.close()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return the data directory of a stopped machine in which all is well."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    with opened(data) as (store, _):
        store.migrate()
        with store.writing(scope="everything") as connection:
            tokens = Sealer(KEY).seal({"access_token": "token"})
            accounts.connect(connection, replace(account("youtube-1", "youtube"), variant="google", tokens=tokens))
    return data


APP = {"GOOGLE_CLIENT_ID": "app", "GOOGLE_CLIENT_SECRET": "the-secret-of-the-app"}


def test_a_machine_in_order_has_no_error_and_stays_as_it_is(data: Path) -> None:
    before = sorted(path.name for path in data.rglob("*"))
    report = doctor(data, **APP, API_KEYS="the-api-key-of-tests")
    assert report.texts("error") == []
    assert report.has("ok", "is whole")
    assert report.has("ok", "youtube account: '@youtube-1' is connected")
    assert report.has("ok", "opens everything in the database")
    assert report.has("ok", "redirect address http://127.0.0.1:8000/connect/youtube/callback")
    assert report.has("warning", "machine: it is stopped")
    assert report.has("warning", "backup: none was made yet")
    assert sorted(path.name for path in data.rglob("*")) == before


def test_a_new_computer_is_examined_before_the_first_start(tmp_path: Path) -> None:
    report = doctor(tmp_path / "none", SECRET_KEY="")
    assert report.texts("error") == []
    assert report.has("ok", "does not exist yet")
    assert not (tmp_path / "none").exists()


def test_the_lines_are_for_people(data: Path) -> None:
    ran = subprocess.run(
        [ROOT / "scripts" / "doctor"], env={"PATH": os.environ["PATH"], "DATA_DIR": str(data), "PORT": "abc"},
        capture_output=True, text=True, check=False, timeout=120, cwd="/",
    )  # fmt: skip
    assert ran.returncode == 1
    first, *others = ran.stdout.splitlines()
    assert first == ("error    settings: PORT: must be a valid integer -> correct the variable; nothing starts before")
    assert all(line[:7].strip() in {"ok", "warning", "error"} for line in others)


def test_with_wrong_settings_all_are_named_and_the_data_is_examined_all_the_same(data: Path) -> None:
    report = doctor(data, PORT="abc", ENVIRONMENT="production", GAZE_INTENSITY="7", SECRET_KEY="")
    wrong = [text for text in report.texts("error") if text.startswith("settings: ")]
    assert [text.split()[1].rstrip(":") for text in wrong] == ["PORT", "GAZE_INTENSITY", "SECRET_KEY", "PUBLIC_URL"]
    assert report.has("ok", "is whole")
    assert not (data / "secret.key").exists()  # none is generated


def test_a_misspelt_setting_is_found(data: Path) -> None:
    report = doctor(data, RETENTION_HOUR="1", TIKTOK_CLIENT_SECRET_FIL="x", HOSTNAME="here")
    assert report.has("warning", "RETENTION_HOUR is no setting")
    assert report.has("warning", "TIKTOK_CLIENT_SECRET_FIL is no setting")
    assert not report.has("warning", "HOSTNAME")


def test_a_platform_that_needs_https_or_the_internet_is_named(data: Path) -> None:
    apps = {f"{name}_{end}": "the-secret-of-the-app" for name in ("TIKTOK", "INSTAGRAM")
            for end in ("CLIENT_KEY" if name == "TIKTOK" else "CLIENT_ID", "CLIENT_SECRET")}  # fmt: skip
    local = doctor(data, **apps)
    assert local.has("error", "TIKTOK_CLIENT_KEY: the redirect address http://127.0.0.1:8000")
    assert local.has("error", "Instagram cannot fetch parts from 127.0.0.1")
    public = doctor(data, **apps, PUBLIC_URL="https://video.example.com")
    assert public.has("ok", "redirect address https://video.example.com/connect/tiktok/callback")
    assert public.has("ok", "public address: https://video.example.com")
    for url in ("https://video.example.com/path", "https://user:the-secret-of-the-app@video.example.com"):
        assert doctor(data, PUBLIC_URL=url).has("error", "is more than scheme and host")
    assert doctor(data, PUBLIC_URL="http://video.example.com").has("warning", "is not encrypted")


def test_another_secret_key_is_found(data: Path) -> None:
    report = doctor(data, **APP, SECRET_KEY="another-secret-key")
    assert report.has("error", "SECRET_KEY is not the key of the data")
    assert report.has("error", "youtube '@youtube-1'")


def test_accounts_that_cannot_be_used_are_named(data: Path) -> None:
    with opened(data) as (store, _), store.writing(scope="everything") as connection:
        base = account()
        soon = replace(base, refresh_expires_at=datetime.now(UTC) + timedelta(days=1))
        accounts.connect(connection, replace(base, id="a", remote_id="a", name="@ended", status=RECONNECT))
        accounts.connect(connection, replace(base, id="b", remote_id="b", name="@out", status=AccountStatus.REFUSED))
        accounts.connect(connection, replace(soon, id="c", remote_id="c", name="@soon"))
        accounts.connect(connection, replace(base, id="d", remote_id="d", name="@old", expires_at=NOON))
    apps = {"TIKTOK_CLIENT_KEY": "k", "TIKTOK_CLIENT_SECRET": "the-secret-of-the-app"}
    report = doctor(data, **apps, PUBLIC_URL="https://video.example.com")
    assert report.has("error", "tiktok account: '@ended': its login has ended")
    assert report.has("error", "tiktok account: '@out': the platform refuses it")
    assert report.has("warning", "tiktok account: '@soon': its login ends")
    assert report.has("error", "tiktok account: '@old': its token has expired")
    assert report.has("error", "youtube account: '@youtube-1': its app is not configured")


def test_disabled_endpoints_and_dead_letters_are_counted(data: Path) -> None:
    with opened(data) as (store, broker):
        with store.writing(scope="everything") as connection:
            endpoint = Endpoint(
                owner_id=DEFAULT_OWNER,
                id="ep_1", url="https://hooks.example/secret-path", scope="all", events=[], secret=Sealer(KEY).seal(1),
                created_at=NOON, state=EndpointState.DISABLED,
            )  # fmt: skip
            webhooks.add_endpoint(connection, endpoint)
        die(broker)
    report = doctor(data)
    assert report.has("warning", "webhooks: 1 disabled")
    assert report.has("warning", "dead letters: 1 to be retried")


def die(broker: SqliteBroker) -> None:
    """Dead-letter a message, as a worker does after its last attempt."""
    broker.declare_queue("network")
    consumer = broker.consume("network", prefetch=1, timeout=5000)
    try:
        broker.enqueue(Message[object](queue_name="network", actor_name="x", args=(), kwargs={}, options={}))
        received = next(one for one in consumer if one is not None)
        received.stuff_exception(RuntimeError("given up"))
        consumer.nack(received)
    finally:
        consumer.close()


def damage(data: Path) -> None:
    with (data / "vidprod.sqlite3").open("r+b") as file:
        file.seek(4096 * 3)
        file.write(os.urandom(4096 * 20))


def cut(data: Path) -> None:
    os.truncate(data / "vidprod.sqlite3", 5000)


def no_database(data: Path) -> None:
    (data / "vidprod.sqlite3").write_text("hello" * 1000)


def newer(data: Path) -> None:
    change_version(data, "9999")


def change_version(data: Path, version: str) -> None:
    connection = sqlite3.connect(data / "vidprod.sqlite3")
    with connection:
        connection.execute("UPDATE store_version SET version_num = ?", (version,))
    connection.close()


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "damaged": (damage, "is damaged"),
    "cut off": (cut, "is damaged"),
    "no database": (no_database, "is damaged"),
    "newer": (newer, "newer than this program"),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_database_that_cannot_be_used_is_an_error(data: Path, kind: str) -> None:
    spoil, text = DAMAGES[kind]
    spoil(data)
    assert doctor(data).has("error", text)


def test_an_older_database_is_only_a_warning(data: Path) -> None:
    change_version(data, "0001")
    report = doctor(data)
    assert report.has("warning", "its tables have version 0001")
    assert report.texts("error") == []


def test_a_process_that_keeps_the_write_lock_is_named(data: Path) -> None:
    with holding_lock(data / "vidprod.sqlite3") as pid:
        report = doctor(data)
    assert report.has("error", "it is kept locked by")
    assert report.has("error", f"(process {pid})")


FOREIGN = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


def test_another_program_that_keeps_the_database_locked_is_named(data: Path) -> None:
    """Such as a browser for SQLite with an open change: it does not take VidProd's own lock."""
    with subprocess.Popen(
        [sys.executable, "-c", FOREIGN, str(data / "vidprod.sqlite3")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as program:  # fmt: skip
        assert program.stdout is not None
        assert program.stdout.readline() == "held\n"
        report = doctor(data)
        assert report.has("error", f"it is kept locked by process {program.pid} (python")
        program.kill()


def test_a_log_that_grows_behind_an_old_reader_is_found(data: Path) -> None:
    reader = sqlite3.connect(data / "vidprod.sqlite3", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM jobs").fetchone()
    writer = sqlite3.connect(data / "vidprod.sqlite3")
    with writer:
        writer.execute("CREATE TABLE large (content)")
        writer.execute("INSERT INTO large VALUES (zeroblob(70000000))")
    log_bytes = (data / "vidprod.sqlite3-wal").stat().st_size
    report = doctor(data)
    reader.close()
    writer.close()
    assert log_bytes > 70_000_000
    assert report.has("warning", f"its log has grown to {log_bytes / 1e6:.0f} MB")


def test_a_clock_that_was_set_is_found(data: Path) -> None:
    with opened(data) as (store, _), store.writing(scope="everything") as connection:
        heartbeats.record(connection, "scheduler", datetime.now(UTC) - timedelta(hours=3), boot_time())
    report = doctor(data)
    found = [text for text in report.texts("warning") if "it was set ahead by" in text]
    assert len(found) == 1
    seconds = int(found[0].split(" s since")[0].rpartition(" ")[2])
    assert abs(seconds - 3 * 3600) < 60


def test_a_running_machine_that_does_not_answer_is_an_error(data: Path) -> None:
    running = Installation(data, data / "vidprod.sqlite3")
    try:
        report = doctor(data, PORT="1")
    finally:
        running.release()
    assert report.has("error", "machine: it is running, but http://127.0.0.1:1/health does not answer")


def test_the_database_of_another_machine_is_an_error(data: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir(mode=0o700)
    running = Installation(data, data / "vidprod.sqlite3")
    try:
        report = doctor(own, DATABASE_URL=f"sqlite:///{data / 'vidprod.sqlite3'}")
    finally:
        running.release()
    assert report.has("error", "another VidProd is running with")


def test_a_directory_that_others_can_read_is_a_warning(data: Path) -> None:
    data.chmod(0o755)
    assert doctor(data).has("warning", "can be opened by other users (755)")


def test_a_full_disk_is_an_error(tmp_path: Path) -> None:
    with small_disk(tmp_path, DISK_BYTES) as disk:
        report = doctor(disk.path)
        assert report.has("error", "disk: full: ")
        assert report.has("warning", "is memory (tmpfs)")


@as_root
@pytest.mark.parametrize(("options", "text"), [("ro", "mounted read-only"), ("nr_inodes=200", "more files")])
def test_a_disk_that_takes_no_files_is_an_error(data: Path, tmp_path: Path, options: str, text: str) -> None:
    mount = tmp_path / "mount"
    mount.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size=2g,mode=700,{options}", "none", str(mount)], check=False
    )
    if made.returncode != 0:
        pytest.skip("no right to mount a tmpfs")
    try:
        assert doctor(mount).has("error", text)
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=True)


def as_user(uid: int, call: Callable[[], str]) -> str:
    """Call a function as another user, in a child process."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
        os.write(writing, call().encode())
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:  # noqa: PTH123 (a descriptor)
        told = pipe.read().decode()
    os.waitpid(child, 0)
    return told


@as_root
def test_root_examines_as_the_owner_and_another_user_is_told_whom_to_be(data: Path) -> None:
    somebody = 12345
    for path in (data, *data.rglob("*")):
        os.chown(path, somebody, somebody)
    above = {path: path.stat().st_mode & 0o7777 for path in data.parents if not path.stat().st_mode & 0o001}
    assert above
    assert "cannot be reached" in as_user(os.geteuid(), lambda: str(doctor_command._enter(data)))
    for path in above:
        path.chmod(0o755)
    try:
        entered = as_user(os.geteuid(), lambda: f"{doctor_command._enter(data)} {os.geteuid()}")
        told = as_user(12346, lambda: str(doctor_command._refusal(data)))
    finally:
        for path, mode in above.items():
            path.chmod(mode)
    assert entered == f"(True, None) {somebody}"
    assert f"belongs to user #{somebody}; its disk and database were not checked" in told
    assert f"sudo -u #{somebody} scripts/doctor" in told


def test_a_storage_is_examined(data: Path, server: ObjectStore) -> None:
    environ = server.environ("doctor")
    assert doctor(data, **environ).has("ok", "s3://videos/doctor can be listed, written, read and deleted from")
    wrong = environ | {"FILES_URL": "s3://another-bucket/doctor"}
    assert doctor(data, **wrong).has("error", "NoSuchBucket")
    down = environ | {"S3_ENDPOINT_URL": "http://127.0.0.1:1"}
    assert doctor(data, **down).has("error", "does not answer")
