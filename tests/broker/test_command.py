"""`python -m broker`: what an operator sees and can do."""

from __future__ import annotations

from pathlib import Path

import dramatiq
import pytest

from broker import SqliteBroker
from broker.__main__ import main
from tests.broker.conftest import working


@pytest.fixture
def buried(broker: SqliteBroker) -> int:
    @dramatiq.actor(max_retries=0)
    def fail() -> None:
        raise ValueError("on purpose")

    with working(broker):
        fail.send()
        broker.join("default", timeout=10_000)
    return broker.dead_letters()[0].id


def test_stats_show_queues_and_processes(
    broker: SqliteBroker, path: Path, buried: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with working(broker):
        assert main([str(path), "stats"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[1].split() == ["default", "0", "0", "0", "1", "-"]
    assert "serves default" in out


def test_dead_letters_are_listed_with_their_errors(
    broker: SqliteBroker, path: Path, buried: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(path), "dead", "--traceback"]) == 0
    out = capsys.readouterr().out
    assert "ValueError: on purpose" in out
    assert "Traceback" in out


def test_a_dead_letter_is_sent_again_with_a_new_allowance(
    broker: SqliteBroker, path: Path, buried: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(path), "retry", str(buried)]) == 0
    assert main([str(path), "retry", str(buried)]) == 1
    assert broker.get_queue_message_counts("default") == (1, 0, 0)
    consumer = broker.consume("default", timeout=5000)
    message = next(consumer)
    assert message is not None
    assert "retries" not in message.options


def test_purge_deletes_by_age(
    broker: SqliteBroker, path: Path, buried: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(path), "purge", "--older-than-s", "3600"]) == 0
    assert len(broker.dead_letters()) == 1
    assert main([str(path), "purge"]) == 0
    assert broker.dead_letters() == []
    assert capsys.readouterr().out == "0 deleted\n1 deleted\n"


def test_a_missing_file_is_not_created(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none"), "stats"]) == 2
    assert list(tmp_path.iterdir()) == []


def test_pages_of_dead_letters_follow_each_other(broker: SqliteBroker) -> None:
    broker.declare_queue("some")
    with working(broker):
        for _ in range(5):
            broker.enqueue(dramatiq.Message("some", "nobody", (), {}, {}))
        broker.join("some", timeout=10_000)
    first = broker.dead_letters("some", limit=3)
    second = broker.dead_letters("some", limit=3, before_id=first[-1].id)
    assert [len(first), len(second)] == [3, 2]
    assert broker.dead_letters("other") == []
