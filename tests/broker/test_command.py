"""The commands of `python -m broker`."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import dramatiq
import pytest

from broker import Counts, SqliteBroker
from broker.__main__ import main
from broker.broker import DatabaseBroker
from broker.postgresql import PostgresqlBroker
from tests.broker.conftest import noting, working
from tests.postgresql_server import PostgresqlServer
from tests.support.waiting import wait_for

ON_EVERY_ENGINE = True


@pytest.fixture
def dead_lettered(broker: SqliteBroker) -> int:
    @dramatiq.actor(max_retries=0)
    def fail() -> None:
        raise ValueError("on purpose")

    with working(broker):
        fail.send()
        broker.join("default", timeout=10_000)
    return broker.admin.dead_letters()[0].id


def counts(broker: DatabaseBroker) -> list[Counts]:
    """Return what the processes of the default queue have published."""
    return [process.counts["default"] for process in broker.admin.consumers() if "default" in process.counts]


@pytest.mark.logs_errors("dramatiq")
def test_stats_show_queues_and_processes(
    broker: SqliteBroker, place: str, dead_lettered: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with working(broker):
        wait_for(lambda: counts(broker), "counts that are published")
        assert main([place, "stats"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[1].split() == ["default", "0", "0", "0", "0", "1", "-"]
    assert "has done 0 and dead-lettered 1 since" in out
    assert "serves default" in out


@pytest.mark.sqlite_only("PostgreSQL has counts of the last second")
@pytest.mark.logs_errors("dramatiq")
def test_rates_tell_what_processes_do_meanwhile(
    broker: SqliteBroker, place: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def sleep(seconds: float) -> None:
        go_on.set()  # the first count is over
        time.sleep(seconds)

    monkeypatch.setattr("broker.__main__.time", SimpleNamespace(monotonic=time.monotonic, sleep=sleep))

    @dramatiq.actor(max_retries=0)
    def note(fails: bool) -> None:
        begun.set()
        assert go_on.wait(10)
        assert not fails

    with working(broker, threads=1):
        for fails in (True, False, False):
            note.send(fails)
        assert begun.wait(10)
        assert main([place, "rates", "--seconds", "1"]) == 0
    [default] = capsys.readouterr().out.splitlines()
    came, done, dead_lettered = (float(rate) for rate in re.findall(r"([\d.]+)/s", default))
    assert came == 0
    assert done == pytest.approx(2, rel=0.3)
    assert dead_lettered == pytest.approx(1, rel=0.3)


@pytest.mark.logs_errors("dramatiq")
def test_dead_letters_that_fit_a_filter_are_sent_again(
    broker: SqliteBroker, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    @dramatiq.actor(max_retries=0)
    def fail(error: str) -> None:
        raise ValueError(error)

    @dramatiq.actor(max_retries=0, queue_name="other")
    def stumble() -> None:
        raise KeyError

    with working(broker):
        for error in ("disk full", "no such user", "disk full"):
            fail.send(error)
        stumble.send()
        for queue in ("default", "other"):
            broker.join(queue, timeout=10_000)
    assert main([place, "retry"]) == 2
    for arguments in (["--error", "disk"], ["--actor", "stumble", "--queue", "default"], ["--queue", "other"]):
        assert main([place, "retry", *arguments]) == 0
    assert capsys.readouterr().out.splitlines() == ["2 sent again", "0 sent again", "1 sent again"]
    assert [letter.error for letter in broker.admin.dead_letters()] == ["ValueError: no such user"]
    assert main([place, "retry", "--all"]) == 0
    assert broker.get_queue_message_counts("default") == (3, 0, 0)


@pytest.mark.logs_errors("dramatiq")
def test_dead_letters_are_listed_with_their_errors(
    broker: SqliteBroker, place: str, dead_lettered: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([place, "dead", "--traceback"]) == 0
    out = capsys.readouterr().out
    assert "ValueError: on purpose" in out
    assert "Traceback" in out


@pytest.mark.logs_errors("dramatiq")
def test_a_dead_letter_is_sent_again_with_a_new_allowance(
    broker: SqliteBroker, place: str, dead_lettered: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([place, "retry", str(dead_lettered)]) == 0
    assert main([place, "retry", str(dead_lettered)]) == 1
    assert broker.get_queue_message_counts("default") == (1, 0, 0)
    consumer = broker.consume("default", timeout=5000)
    message = next(consumer)
    assert message is not None
    assert "retries" not in message.options


@pytest.mark.logs_errors("dramatiq")
def test_purge_deletes_by_age(
    broker: SqliteBroker, place: str, dead_lettered: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([place, "purge", "--older-than-s", "3600"]) == 0
    assert len(broker.admin.dead_letters()) == 1
    assert main([place, "purge"]) == 0
    assert broker.admin.dead_letters() == []
    assert capsys.readouterr().out == "0 deleted\n1 deleted\n"


def test_a_missing_file_is_not_created(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none"), "stats"]) == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.logs_errors("dramatiq")
def test_pages_of_dead_letters_follow_each_other(broker: SqliteBroker) -> None:
    broker.declare_queue("some")
    with working(broker):
        for _ in range(5):
            broker.enqueue(dramatiq.Message("some", "nobody", (), {}, {}))
        broker.join("some", timeout=10_000)
    first = broker.admin.dead_letters("some", limit=3)
    second = broker.admin.dead_letters("some", limit=3, before_id=first[-1].id)
    assert [len(first), len(second)] == [3, 2]
    assert broker.admin.dead_letters("other") == []


def test_a_file_that_is_no_database_is_one_sentence(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.write_bytes(b"no database" * 100)
    assert main([str(path), "stats"]) == 2
    assert capsys.readouterr().err == f"{path}: file is not a database (SQLITE_NOTADB)\n"


# PostgreSQL.


def test_a_database_without_tables_is_left_as_it_is(
    postgresql_server: PostgresqlServer, capsys: pytest.CaptureFixture[str]
) -> None:
    url = postgresql_server.url(postgresql_server.create_database())
    assert main([url, "stats"]) == 2
    assert main([url, "pause", "default"]) == 2
    name = f"postgresql://127.0.0.1:{postgresql_server.port}/{url.rpartition('/')[2]}"
    assert capsys.readouterr().err.splitlines() == [f"{name} has no tables of a broker"] * 2


def test_a_server_that_is_not_there_is_one_message_without_the_password(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["postgresql://user:secret@127.0.0.1:1/none", "stats"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("postgresql://127.0.0.1:1/none: connection failed")
    assert "secret" not in error


def test_a_url_that_cannot_be_read_is_one_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["postgresql://user:secret@host:port/none", "stats"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "secret" not in error


def test_counts_are_not_older_than_some_seconds(database_url: str) -> None:
    broker = PostgresqlBroker(database_url, lease_s=600)  # a heartbeat every 100 s
    broker.emit_after("process_boot")
    dramatiq.set_broker(broker)
    _, note = noting()
    with working(broker):
        for number in range(2):
            note.send(number)
            wait_for(lambda: [c.done for c in counts(broker)] == [number + 1], "counts", 10)  # noqa: B023  # called at once
    broker.close()
