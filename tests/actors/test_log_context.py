"""Each log line that is written while an actor handles a message has the message's ids and those of its job."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dramatiq
import pytest
from dramatiq.middleware import CurrentMessage
from loguru import logger

from actors import log_context, wiring
from actors.locked_database import RetriesUnlessLocked
from actors.log_context import LogContext
from actors.logging_setup import _LoguruHandler
from broker import SqliteBroker
from store import Store, accounts, jobs, publications, segments
from store.sqlite import SqliteStore
from tests.broker.conftest import working
from tests.store.rows import account, job, publication, segment
from tests.support.waiting import wait_for

Line = dict[str, Any]  # Any: an id, or the message


@pytest.fixture
def lines() -> Iterator[list[Line]]:
    """Return the ids and messages of the lines that are logged, also through the standard library."""
    found: list[Line] = []
    logger.configure(patcher=log_context.add_ids)
    sink = logger.add(lambda message: found.append({**message.record["extra"], "text": message.record["message"]}))
    handler = _LoguruHandler()
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield found
    root.removeHandler(handler)
    root.setLevel(level)
    logger.remove(sink)
    logger.configure(patcher=lambda record: None)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[SqliteBroker]:
    made = SqliteBroker(tmp_path / "store.sqlite3", middleware=[RetriesUnlessLocked(max_retries=0), CurrentMessage()])
    yield made
    made.close()


@pytest.fixture
def store(broker: SqliteBroker, tmp_path: Path) -> Store:
    made = SqliteStore(tmp_path / "store.sqlite3", write_lock=broker.write_lock, joining=broker.joining)
    made.migrate()
    broker.add_middleware(LogContext(made), before=RetriesUnlessLocked)
    part, owner = segment(2), account()
    with made.writing(scope="everything") as connection:
        jobs.create(connection, job())
        segments.create(connection, [part])
        accounts.connect(connection, owner)
        publications.create(connection, [publication(part, owner)])
    return made


@pytest.mark.logs_errors
def test_every_line_of_a_message_has_its_ids_and_no_other_line_has(
    broker: SqliteBroker, store: Store, lines: list[Line]
) -> None:
    """Also those that dramatiq writes about its failure, through the standard library."""
    del store

    @dramatiq.actor(broker=broker, max_retries=0)
    def publish(publication_id: str, token: str = "") -> None:
        logger.info("own line")
        raise RuntimeError(publication_id + token)

    sent = publish.send("job-2-tiktok-1", token="t")
    with working(broker):
        wait_for(broker.admin.dead_letters, "the dead letter")
    ids = {
        "message_id": sent.message_id, "actor": "publish", "publication_id": "job-2-tiktok-1", "job_id": "job",
        "part": 2, "platform": "tiktok", "account_id": "tiktok-1",
    }  # fmt: skip
    mine = [line for line in lines if "own line" in line["text"] or "publish" in line["text"]]
    assert {line["text"].split(":")[0] for line in mine} >= {"own line", "dramatiq.worker.WorkerThread"}
    assert [line for line in mine if not ids.items() <= line.items()] == []
    logger.info("after")
    assert lines[-1] == {"text": "after"}


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("segment_id", "job-2", {"job_id": "job", "part": 2}),
        ("job_id", "job", {}),
        ("account_id", "tiktok-1", {"platform": "tiktok"}),
        ("publication_id", "unknown", {}),
    ],
)
def test_the_ids_follow_from_the_parameters_of_the_actor(
    broker: SqliteBroker, store: Store, lines: list[Line], name: str, given: str, expected: Line
) -> None:
    def of_segment(segment_id: str) -> None: ...
    def of_job(job_id: str) -> None: ...
    def of_account(account_id: str) -> None: ...
    def of_publication(publication_id: str) -> None: ...

    functions = {"segment_id": of_segment, "job_id": of_job, "account_id": of_account, "publication_id": of_publication}
    actor = dramatiq.actor(broker=broker)(functions[name])
    message = actor.message(given)
    context = LogContext(store)
    context.before_process_message(broker, message)
    logger.info("line")
    assert lines[-1] == {
        "text": "line", "message_id": message.message_id, "actor": message.actor_name, name: given, **expected,
    }  # fmt: skip
    context.after_process_message(broker, message)


def test_a_database_that_cannot_be_read_leaves_the_ids_of_the_message(
    broker: SqliteBroker, tmp_path: Path, lines: list[Line]
) -> None:
    @dramatiq.actor(broker=broker)
    def render(segment_id: str) -> None: ...

    (tmp_path / "no.sqlite3").write_bytes(b"no database" * 1000)
    context = LogContext(SqliteStore(tmp_path / "no.sqlite3", write_lock=broker.write_lock, joining=broker.joining))
    context.before_process_message(broker, render.message("job-2"))
    logger.info("line")
    assert (lines[-1]["segment_id"], "job_id" in lines[-1]) == ("job-2", False)
    context.after_skip_message(broker, render.message("job-2"))


def test_the_actors_of_this_machine_have_the_context() -> None:
    """First, or the lines of the other middleware would lack it."""
    assert isinstance(wiring.machine.broker.middleware[0], LogContext)
