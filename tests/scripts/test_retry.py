"""`scripts/retry` on a machine's database: lists the dead letters, and retries them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from dramatiq import Message

from actors import wiring
from scripts.machine import command, retry
from store import Store, accounts, jobs, publications, segments
from store.states import JobStatus, PublicationStatus, SegmentStatus
from tests.actors.conftest import engine, store
from tests.actors.queues import waiting
from tests.store import rows

__all__ = ["engine", "store"]

PUBLICATION = "job-1-tiktok-1"


@pytest.fixture
def failed(store: Store, monkeypatch: pytest.MonkeyPatch) -> int:
    """Return the id of the dead letter of a publication that has failed."""
    monkeypatch.setattr(command, "run", lambda action: action(wiring.machine))
    part, owner = rows.segment(1, status=SegmentStatus.READY), rows.account()
    with store.writing(scope="everything") as connection:
        jobs.create(connection, rows.job(status=JobStatus.PUBLISHING, parts=1))
        segments.create(connection, [part])
        accounts.connect(connection, owner)
        refused = replace(rows.publication(part, owner), status=PublicationStatus.FAILED, code="refused", reason="no")
        publications.create(connection, [refused])
    message = Message[object](
        queue_name="network", actor_name="publish_tiktok", args=(PUBLICATION,), kwargs={}, options={"traceback": "x"}
    )
    return _dead_letter(message)


def _dead_letter(message: Message[object]) -> int:
    admin = wiring.machine.broker.admin
    for letter in admin.dead_letters(limit=1000):
        admin.delete_dead_letter(letter.id)
    consumer = wiring.machine.broker.consume("network", prefetch=1, timeout=5000)
    try:
        wiring.machine.broker.enqueue(message)
        received = next(one for one in consumer if one is not None)
        received.stuff_exception(RuntimeError("given up"))
        consumer.nack(received)
    finally:
        consumer.close()
        wiring.machine.broker.close()
    (letter,) = admin.dead_letters(limit=10)
    return letter.id


def test_the_list_names_the_actor_and_the_error(failed: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert retry.main([]) == 0
    shown = capsys.readouterr().out
    assert f"{failed}  " in shown
    assert f"publish_tiktok {PUBLICATION}" in shown


@pytest.mark.parametrize("chosen", ["one", "all", "actor"])
def test_a_retry_lets_the_publication_wait_again(failed: int, chosen: str) -> None:
    arguments = {"one": [str(failed)], "all": ["--all"], "actor": ["--all", "--actor", "publish_tiktok"]}
    assert retry.main(arguments[chosen]) == 0
    with wiring.machine.store.reading() as connection:
        found = publications.get(connection, PUBLICATION)
    assert found is not None
    assert found.status in {PublicationStatus.WAITING, PublicationStatus.PUBLISHING}
    assert ("publish_tiktok", (PUBLICATION,)) in waiting()
    assert wiring.machine.broker.admin.dead_letters(limit=10) == []


def test_an_unknown_number_is_an_error(failed: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert retry.main([str(failed + 1)]) == 1
    assert f"{failed + 1}: there is no such dead letter" in capsys.readouterr().err
