"""No accepted upload is lost: the record beside the file, the clean-up at the start, and a lost database."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from falcon.testing import Result, TestClient

from actors import wiring
from actors.delete_files import delete_files
from actors.disk import Sizes
from actors.flow import job_commands
from actors.machine import Machine
from actors.recovery import lost_found, upload_record
from api.app import create_app
from api.context import Context
from api.uploads import incomplete
from api.uploads.file import RECORD_INCOMING, UploadFile
from broker import SqliteBroker
from store import CommitUnclear, DatabaseReplaced, DatabaseUnavailable, jobs, tables
from store.idempotency_keys import StoredAnswer
from store.jobs import Job
from store.sqlite import SqliteStore
from tests.api.conftest import AUTH, VIDEO, serving
from tests.api.test_health import tick
from tests.store import rows
from tests.support.clock import Clock
from tests.support.machine_database import sqlite_path

ONE, TWO = "job_" + "1" * 32, "job_" + "2" * 32
SECRET = "https://hooks.example/x?token=hush"
END = b"\r\n--B--\r\n"


def form(**fields: str) -> bytes:
    given = "".join(
        f'--B\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n' for name, text in fields.items()
    )
    head = '--B\r\nContent-Disposition: form-data; name="file"; filename="C:\\\\films\\\\talk.mp4"\r\n\r\n'
    return (given + head).encode() + VIDEO + END


def post(client: TestClient, **fields: str) -> Result:
    headers = {"Content-Type": "multipart/form-data; boundary=B"}
    return client.simulate_post("/upload", body=form(**fields), headers=headers)


def uploads(context: Context) -> list[str]:
    root = context.settings.uploads_dir
    found = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
    return [path for path in found if not path.endswith("/accepted")]


def test_an_upload_whose_file_was_deleted_early_is_not_incomplete(client: TestClient, context: Context) -> None:
    job_id = post(client).json["job_id"]
    directory = context.settings.uploads_dir / job_id
    (directory / lost_found.ACCEPTED_MARK).unlink()
    with context.store.writing(scope="everything") as connection:
        connection.execute(tables.jobs.update().values(source_deleted_at=rows.NOON))
    delete_files.fn(job_id, "source")
    assert {path.name for path in directory.iterdir()} == {"upload.json", "source-deleted"}

    incomplete.delete_incomplete(context)

    assert {path.name for path in directory.iterdir()} == {"upload.json", "source-deleted"}
    assert client.simulate_get(f"/status/{job_id}").json["source_deleted_at"] == "2026-11-22T12:00:00.000Z"


def test_a_file_under_its_name_has_its_record_beside_it(client: TestClient, context: Context) -> None:
    answer = post(client, title="A talk", gaze_intensity="0.25", metadata='{"token": "hush"}')

    job_id = answer.json["job_id"]
    assert uploads(context) == [f"{job_id}/source", f"{job_id}/upload.json"]
    path = context.settings.uploads_dir / job_id / upload_record.NAME
    record = json.loads(path.read_text())
    assert (record["job_id"], record["name"], record["size_bytes"]) == (job_id, "talk.mp4", len(VIDEO))
    assert record["options"]["title"] == "A talk"
    assert record["options"]["gaze_intensity"] == 0.25
    assert (path.stat().st_mode & 0o777, "hush" in path.read_text()) == (0o600, False)
    assert (path.parent / lost_found.ACCEPTED_MARK).exists()  # its sender was told
    with context.store.reading() as connection:
        job = jobs.get(connection, job_id)
    defaults = upload_record.Defaults(0.5, 30.0, wiring.machine.now())
    restored = upload_record.restore_job(
        path.parent, job_id, Path("uploads") / job_id / "source", context.sealer, defaults
    )
    assert (restored.job, restored.missing) == (job, None)


def test_the_record_is_there_before_the_file_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    real = Path.rename

    def rename(path: Path, target: Path) -> Path:
        seen.append(sorted(found.name for found in path.parent.iterdir()))
        return real(path, target)

    monkeypatch.setattr(Path, "rename", rename)
    arriving = UploadFile(tmp_path / "job", limit_bytes=10**9)
    arriving.write(VIDEO)
    arriving.finalize(b"{}")
    assert seen == [[".incoming", RECORD_INCOMING], [".incoming", "upload.json"]]
    arriving.keep()


def _lay(context: Context, name: str, *files: str) -> Path:
    folder = context.settings.uploads_dir / name
    folder.mkdir(parents=True)
    for file in files:
        (folder / file).write_bytes(b"x")
    return folder


@pytest.mark.parametrize("name", ["job_unknown", TWO])
def test_the_start_moves_whole_files_without_a_record_and_leaves_what_a_job_owns(context: Context, name: str) -> None:
    _lay(context, "job_known", "source")
    _lay(context, name, "source", "upload.json")
    with context.store.writing(scope="everything") as connection:
        jobs.create(connection, rows.job("job_known"))

    assert incomplete.delete_incomplete(context) == 0
    assert incomplete.delete_incomplete(context) == 0

    assert uploads(context) == ["job_known/source"]
    [entry] = lost_found.entries(wiring.machine)
    assert sorted(path.name for path in entry.directory.iterdir()) == ["source", "upload.json"]


@pytest.mark.parametrize(
    "files",
    [(), (".incoming",), (".incoming", ".upload.json"), (".incoming", "upload.json")],
    ids=lambda files: " and ".join(files) or "nothing",
)
def test_the_start_deletes_what_was_cut_off_wherever_that_was(context: Context, files: tuple[str, ...]) -> None:
    folder = _lay(context, ONE, *files)
    assert incomplete.delete_incomplete(context) == 1
    assert not folder.exists()
    assert lost_found.entries(wiring.machine) == []


def test_the_start_leaves_what_another_process_receives(context: Context) -> None:
    """A second start by mistake, with another port: not its business."""
    folder = _lay(context, ONE, ".incoming")
    descriptor = os.open(folder / ".incoming", os.O_WRONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    assert incomplete.delete_incomplete(context) == 0
    os.close(descriptor)
    assert incomplete.delete_incomplete(context) == 1


def test_two_who_receive_do_not_sweep_each_other_s_beginnings(context: Context) -> None:
    """An upload is an empty directory for a moment: the second start removed it, and its sender got a 500."""
    with incomplete.lock_uploads(context):
        began = _lay(context, ONE)
        with incomplete.lock_uploads(context):
            assert began.is_dir()
    with incomplete.lock_uploads(context):
        assert not began.exists()


@pytest.mark.parametrize(("name", "file"), [("holiday", ".incoming"), ("job_x", "notes.txt"), ("job_y", ".incoming~")])
def test_the_start_does_not_touch_a_folder_of_somebody_s_own(context: Context, name: str, file: str) -> None:
    folder = _lay(context, name, file)
    incomplete.delete_incomplete(context)
    assert (folder / file).exists()


@pytest.mark.logs_errors
def test_a_start_is_not_kept_from_by_what_it_cannot_touch(context: Context) -> None:
    """Each start ended there with a traceback."""
    odd = _lay(context, ONE) / ".incoming"
    odd.mkdir()
    _lay(context, TWO, ".incoming")
    assert incomplete.delete_incomplete(context) == 1
    assert odd.is_dir()


def test_the_sweep_cannot_come_between_a_whole_file_and_its_record(
    client: TestClient, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The moment: the file has its name, the row is not committed."""
    real = job_commands.accept

    def accept(machine: Machine, job: Job, answer: StoredAnswer | None) -> StoredAnswer | None:
        assert lost_found.move_unrecorded(wiring.machine) == []
        assert incomplete.delete_incomplete(context) == 0
        return real(machine, job, answer)

    monkeypatch.setattr(job_commands, "accept", accept)
    answer = post(client)
    assert answer.status_code == 202
    assert lost_found.move_unrecorded(wiring.machine) == []
    assert len(uploads(context)) == 2


@pytest.mark.parametrize("committed", [True, False])
def test_an_error_that_hides_whether_it_was_committed_deletes_no_file_of_a_job(
    client: TestClient, context: Context, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    real = job_commands.accept

    def accept(machine: Machine, job: Job, answer: StoredAnswer | None) -> StoredAnswer | None:
        if committed:
            real(machine, job, answer)
        raise DatabaseUnavailable("disk_error", "the disk reports an error")

    monkeypatch.setattr(job_commands, "accept", accept)
    answer = post(client)
    assert (answer.status_code, answer.json["code"], answer.json["reason"]) == (
        503, "database_unavailable", "disk_error",
    )  # fmt: skip
    assert len(uploads(context)) == (2 if committed else 0)


def test_an_upload_whose_commit_is_unclear_is_kept_and_makes_one_job(
    client: TestClient, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transaction was committed, but the answer to its COMMIT was lost: with the same key, the client repeats."""
    real = job_commands.accept

    def accept(machine: Machine, job: Job, answer: StoredAnswer | None) -> StoredAnswer | None:
        real(machine, job, answer)
        raise CommitUnclear("751")

    monkeypatch.setattr(job_commands, "accept", accept)
    headers = {"Content-Type": "multipart/form-data; boundary=B", "Idempotency-Key": "of-the-upload"}
    first = client.simulate_post("/upload", body=form(), headers=headers)
    assert (first.status_code, first.json["reason"]) == (503, "commit_unclear")
    assert (int(first.headers["Retry-After"]), "nothing was changed" in first.json["detail"]) == (60, False)
    assert len(uploads(context)) == 2
    monkeypatch.setattr(job_commands, "accept", real)
    second = client.simulate_post("/upload", body=form(), headers=headers)
    assert (second.status_code, second.headers["Idempotent-Replayed"]) == (202, "true")
    with context.store.reading() as connection:
        assert sum(jobs.count_by_status(connection).values()) == 1


@pytest.mark.logs_errors
@pytest.mark.parametrize("error", [DatabaseUnavailable("disk_error", "x"), RuntimeError("x"), OSError(24, "x")])
def test_a_file_stays_when_nobody_can_tell_whether_it_was_accepted(
    client: TestClient, context: Context, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Whatever the error: too many open files, or one of the driver that nobody has met."""
    real = job_commands.accept

    def accept(machine: Machine, job: Job, answer: StoredAnswer | None) -> StoredAnswer | None:
        real(machine, job, answer)
        monkeypatch.setattr(jobs, "get", fail)
        raise error

    def fail(*_: object) -> Job:
        raise error

    monkeypatch.setattr(job_commands, "accept", accept)
    assert post(client).status_code in {500, 503}
    assert len(uploads(context)) == 2


@pytest.fixture
def own(context: Context, tmp_path: Path, clock: Clock) -> Iterator[Context]:
    """Give a context with a database of its own, which may be lost."""
    path = tmp_path / "data" / "own.sqlite3"
    broker = SqliteBroker(path, if_replaced="refuse")
    for queue in wiring.machine.broker.queues:
        broker.declare_queue(queue)
    store = SqliteStore(path, write_lock=broker.write_lock, joining=broker.joining)
    store.migrate()
    settings = context.settings.model_copy(update={"data_dir": path.parent})
    made = replace(context, store=store, broker=broker, settings=settings)
    tick(made, clock)
    yield made
    broker.close()
    store.close()


def _delete(path: Path) -> None:
    path.unlink()


def _replace(path: Path) -> None:
    path.with_name("copy").write_bytes(path.read_bytes())
    path.with_name("copy").replace(path)


def _delete_wal(path: Path) -> None:
    path.with_name(path.name + "-wal").unlink()


@pytest.mark.parametrize("lose", [_delete, _replace, _delete_wal], ids=lambda lose: lose.__name__.strip("_"))
def test_a_replaced_database_turns_health_red_and_every_call_is_refused(
    own: Context, lose: Callable[[Path], None]
) -> None:
    client = TestClient(create_app(own), headers=AUTH)
    assert client.simulate_get("/health").json["status"] == "ok"
    lose(sqlite_path(own.store))

    health = client.simulate_get("/health")
    assert (health.status_code, health.json["status"]) == (503, "failing")
    assert health.json["checks"]["database"]["reason"] == "replaced"
    assert "restart the machine" in health.json["checks"]["database"]["detail"]
    assert own.store.name not in health.text  # anybody may read this
    for method, path in (
        ("GET", "/jobs"),
        ("GET", "/status/x"),
        ("GET", "/accounts"),
        ("GET", "/dead-letters"),
        ("POST", "/dead-letters/1/retry"),
        ("DELETE", "/webhooks/x"),
    ):
        answer = client.simulate_request(method, path)
        assert (answer.status_code, answer.json["code"]) == (503, "database_unavailable"), path
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["retry-after"] == "60"
    assert post(client).json["reason"] == "replaced"
    assert client.simulate_get("/metrics").status_code == 200
    assert 'vidprod_health{check="database"} 0.0' in client.simulate_get("/metrics").text


def test_an_upload_is_refused_before_its_body_where_nothing_would_remember_it(own: Context) -> None:
    with serving(own) as root:
        own.store.check()
        _delete(sqlite_path(own.store))
        headers = {"Content-Type": "multipart/form-data; boundary=B", **AUTH}
        answer = requests.post(f"{root}/upload", data=form(), headers=headers, timeout=30)
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert not own.settings.uploads_dir.exists()


def test_an_upload_that_went_into_a_dead_file_is_refused_and_its_file_stays(
    client: TestClient, context: Context, own: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database is replaced between the first and the last instruction of the commit."""
    real = jobs.create

    def create(connection: object, job: Job) -> None:
        real(connection, job)  # type: ignore[arg-type]  # as it comes
        _replace(sqlite_path(own.store))

    monkeypatch.setattr(jobs, "create", create)
    changed = replace(context, store=own.store)
    client = TestClient(create_app(changed), headers=AUTH)
    answer = post(client)
    assert (answer.status_code, answer.json["reason"]) == (503, "replaced")
    assert len(uploads(context)) == 2
    with pytest.raises(DatabaseReplaced):
        own.store.check()


def _garbage(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(os.urandom(200))


def _garbage_within(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        for at in range(8192, size - 4096, 4096):
            file.seek(at)
            file.write(os.urandom(512))


def _truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _emptied(path: Path) -> None:
    os.truncate(path, 0)


@pytest.mark.logs_errors
@pytest.mark.parametrize(
    "damage", [_garbage, _garbage_within, _truncated, _emptied], ids=lambda damage: damage.__name__.strip("_")
)
@pytest.mark.parametrize("warm", [True, False])
def test_a_damaged_database_turns_health_red_and_names_the_check(
    own: Context, damage: Callable[[Path], None], warm: bool
) -> None:
    """Also with connections open, whose caches are still right."""
    client = TestClient(create_app(own), headers=AUTH)
    with own.store.writing(scope="everything") as connection:
        for number in range(30):
            jobs.create(connection, rows.job(f"{number}"))
        connection.connection.driver_connection  # noqa: B018 (it is open)
    with own.store.reading() as connection:
        connection.exec_driver_sql("ROLLBACK")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    if warm:
        assert client.simulate_get("/health").status_code == 200
    damage(sqlite_path(own.store))

    health = client.simulate_get("/health")

    assert (health.status_code, health.json["checks"]["database"]["ok"]) == (503, False)
    assert health.json["checks"]["database"]["detail"]
    answer = client.simulate_get("/jobs")
    assert answer.status_code in {200, 503}  # what is cached may still be read


def test_health_shows_what_is_lost_and_stays_well(client: TestClient, context: Context, clock: Clock) -> None:
    tick(context, clock)
    assert client.simulate_get("/health").json["checks"]["lost_found"] == {"ok": True, "count": 0, "bytes": 0}
    _lay(context, ONE, "source")
    lost_found.move_unrecorded(wiring.machine)

    health = client.simulate_get("/health")

    assert health.status_code == 200
    found = health.json["checks"]["lost_found"]
    assert (found["count"], found["bytes"]) == (1, 1)
    assert "scripts/adopt" in found["detail"]
    assert ONE not in health.text  # anybody may read this


def test_a_full_disk_names_what_lost_found_takes(
    client: TestClient, context: Context, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    tick(context, clock)
    _lay(context, ONE, "source")
    lost_found.move_unrecorded(wiring.machine)
    monkeypatch.setattr(context.disk, "sizes", Sizes(headroom_bytes=2**60))
    disk = client.simulate_get("/health").json["checks"]["disk"]
    assert (disk["ok"], "lost+found takes 1 bytes" in disk["detail"]) == (False, True)
