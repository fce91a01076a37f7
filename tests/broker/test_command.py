"""The commands of `python -m broker`."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import dramatiq
import pytest

from broker import SqliteBroker
from broker.__main__ import main
from tests.broker.conftest import working


@pytest.fixture
def dead_lettered(broker: SqliteBroker) -> int:
    @dramatiq.actor(max_retries=0)
    def fail() -> None:
        raise ValueError("on purpose")

    with working(broker):
        fail.send()
        broker.join("default", timeout=10_000)
    return broker.admin.dead_letters()[0].id


@pytest.mark.logs_errors("dramatiq")
def test_stats_show_queues_and_processes(
    broker: SqliteBroker, path: Path, dead_lettered: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with working(broker):
        assert main([str(path), "stats"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[1].split() == ["default", "0", "0", "0", "0", "1", "-"]
    assert "has done 0 and dead-lettered 1 since" in out
    assert "serves default" in out


@pytest.mark.logs_errors("dramatiq")
def test_rates_tell_what_processes_do_meanwhile(
    broker: SqliteBroker, path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
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
        assert main([str(path), "rates", "--seconds", "1"]) == 0
    [default] = capsys.readouterr().out.splitlines()
    came, done, dead_lettered = (float(rate) for rate in re.findall(r"([\d.]+)/s", default))
    assert came == 0
    assert done == pytest.approx(2, rel=0.3)
    assert dead_lettered == pytest.approx(1, rel=0.3)


@pytest.mark.logs_errors("dramatiq")
def test_dead_letters_that_fit_a_filter_are_sent_again(
    broker: SqliteBroker, path: Path, capsys: pytest.CaptureFixture[str]
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
    assert main([str(path), "retry"]) == 2
    for arguments in (["--error", "disk"], ["--actor", "stumble", "--queue", "default"], ["--queue", "other"]):
        assert main([str(path), "retry", *arguments]) == 0
    assert capsys.readouterr().out.splitlines() == ["2 sent again", "0 sent again", "1 sent again"]
    assert [letter.error for letter in broker.admin.dead_letters()] == ["ValueError: no such user"]
    assert main([str(path), "retry", "--all"]) == 0
    assert broker.get_queue_message_counts("default") == (3, 0, 0)


@pytest.mark.logs_errors("dramatiq")
def test_dead_letters_are_listed_with_their_errors(
    broker: SqliteBroker, path: Path, dead_lettered: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(path), "dead", "--traceback"]) == 0
    out = capsys.readouterr().out
    assert "ValueError: on purpose" in out
    assert "Traceback" in out


@pytest.mark.logs_errors("dramatiq")
def test_a_dead_letter_is_sent_again_with_a_new_allowance(
    broker: SqliteBroker, path: Path, dead_lettered: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(path), "retry", str(dead_lettered)]) == 0
    assert main([str(path), "retry", str(dead_lettered)]) == 1
    assert broker.get_queue_message_counts("default") == (1, 0, 0)
    consumer = broker.consume("default", timeout=5000)
    message = next(consumer)
    assert message is not None
    assert "retries" not in message.options


@pytest.mark.logs_errors("dramatiq")
def test_purge_deletes_by_age(
    broker: SqliteBroker, path: Path, dead_lettered: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(path), "purge", "--older-than-s", "3600"]) == 0
    assert len(broker.admin.dead_letters()) == 1
    assert main([str(path), "purge"]) == 0
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
