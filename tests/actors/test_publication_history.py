"""The history of a publication: evidence before success, requests before they are sent, bounded, without secrets."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from actors import wiring
from actors.flow import publication_commands, publishing, retention
from actors.flow.publication_history import StepRecord
from platforms import errors, registry
from platforms.contract import Handle
from platforms.http.recording import Exchange
from store import Store, history, publications
from store.history import KEPT_FIRST, KEPT_NEWEST, History, HistoryEntry
from store.states import HistoryKind, PublicationStatus
from store.tables import metadata
from tests.actors.one_publication import NAME, Killed, Remote, create_job, drive, killed_at, stored
from tests.actors.queues import move_clock

MAX_STATEMENTS = 200
PROOF = {HistoryKind.EVIDENCE, HistoryKind.PERSON}


def found() -> History:
    with wiring.machine.store.reading() as connection:
        return history.of_publication(connection, NAME)


def kinds() -> list[str]:
    return [entry.kind for entry in found().entries]


def entry(text: str = "asked", kind: HistoryKind = HistoryKind.ANSWER) -> HistoryEntry:
    return HistoryEntry(at=wiring.machine.now(), kind=kind, text=text)


def test_evidence_stands_before_success_and_the_request_before_both(publishing_job: Callable[[Remote], None]) -> None:
    publishing_job(Remote())
    drive()
    assert kinds() == ["request", "evidence", "state"]
    request, evidence, state = found().entries
    assert "about to be sent" in request.text
    assert evidence.ids == {"remote_id": "remote-1", "link": "https://example.test/1"}
    assert "recorded as published" in state.text


@pytest.mark.parametrize(("fault", "words"), [("killed after", "was interrupted"), ("answer lost", "is missing")])
def test_a_repeated_run_says_why_it_asks_first(
    publishing_job: Callable[[Remote], None], fault: str, words: str
) -> None:
    publishing_job(Remote(faults=["", fault]))
    drive()
    requests = [one.text for one in found().entries if one.kind is HistoryKind.REQUEST]
    assert [words in text for text in requests] == [False, True]


def test_a_kill_before_any_statement_leaves_no_success_without_evidence(
    store: Store, publishing_job: Callable[[Remote], None]
) -> None:
    """And the history of a publication that was killed anywhere ends like that of one that was not."""
    for number in range(1, MAX_STATEMENTS):
        with store.writing(scope="everything") as connection:
            for table in reversed(metadata.sorted_tables):
                connection.execute(table.delete())
            create_job(connection)
        publishing_job(Remote())
        was_killed = False
        with killed_at(number):
            try:
                _publish()
            except Killed:
                was_killed = True
        if stored().status is PublicationStatus.PUBLISHED:
            assert HistoryKind.EVIDENCE in kinds(), f"killed at {number}"
        assert drive().status is PublicationStatus.PUBLISHED
        assert kinds()[-2:] == ["evidence", "state"], f"killed at {number}"
        if not was_killed:
            assert number > 20
            return
    raise AssertionError("the publication executes ever more statements")


def _publish() -> None:
    for number in range(10):
        if stored().status is not PublicationStatus.PUBLISHING:
            return
        publishing.run_step(wiring.machine, NAME, f"message-{number}")


def test_a_refusal_has_the_words_of_the_platform(publishing_job: Callable[[Remote], None]) -> None:
    publishing_job(Remote(faults=["later"]))
    drive()
    first = found().entries[0]
    assert (first.kind, first.text, first.step) == ("state", "try later", "reserve")


def test_each_request_is_an_entry_and_the_verdict_of_the_platform_is_evidence(
    publishing_job: Callable[[Remote], None], store: Store
) -> None:
    publishing_job(Remote())
    handle = Handle("poll", {"publish_id": "v_pub_1", "upload_url": "https://up.test/secret-secret"})
    record = StepRecord(wiring.machine, stored(), handle, [_exchange(200), _exchange(None, "deadline passed")])
    with store.writing(scope="everything") as connection:
        record.append_error(connection, errors.PostFailed("spam", "TikTok took it for spam", log_id="log-7"))
    answer, evidence = found().entries
    assert (answer.kind, answer.http_status, answer.path) == ("answer", 200, "/v2/status/")
    assert (evidence.kind, evidence.http_status, evidence.text) == ("evidence", None, "TikTok took it for spam")
    assert evidence.ids == {"publish_id": "v_pub_1", "log_id": "log-7"}
    assert "secret" not in repr(found())


def _exchange(status: int | None, failure: str | None = None) -> Exchange:
    return Exchange(
        at=wiring.machine.now(),
        method="POST",
        host="open.tiktokapis.com",
        path="/v2/status/",
        http_status=status,
        duration_ms=12,
        failure=failure,
    )


@pytest.mark.usefixtures("publishing_job")
def test_a_day_of_polling_is_one_entry(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(300):
        with store.writing(scope="everything") as connection:
            record = StepRecord(wiring.machine, stored(), Handle("poll", {"publish_id": "v_pub_1"}), [_exchange(200)])
            record.append_answers(connection)
        move_clock(monkeypatch, timedelta(minutes=5))
    (polled,) = found().entries
    assert polled.until is not None
    assert (polled.times, polled.until - polled.at >= 299 * timedelta(minutes=5)) == (300, True)


@pytest.mark.usefixtures("publishing_job")
def test_a_history_is_bounded_and_keeps_its_beginning_its_end_and_all_evidence(store: Store) -> None:
    with store.writing(scope="everything") as connection:
        given = [entry(f"{number}") for number in range(1000)]
        given[100] = entry("100", HistoryKind.EVIDENCE)
        history.append(connection, NAME, given)
    kept = [one.text for one in found().entries]
    newest = [f"{number}" for number in range(1000 - KEPT_NEWEST, 1000)]
    assert kept == [*(f"{number}" for number in range(KEPT_FIRST)), "100", *newest]
    assert found().truncated


@pytest.mark.usefixtures("publishing_job")
def test_a_history_is_deleted_after_its_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("old", "new"):
        with store.writing(scope="everything") as connection:
            history.append(connection, NAME, [entry(text)])
        move_clock(monkeypatch, timedelta(days=50))
    retention.clean_up(wiring.machine)
    assert [one.text for one in found().entries if one.kind is HistoryKind.ANSWER] == ["new"]
    assert found().truncated


@pytest.mark.usefixtures("publishing_job")
def test_a_history_that_nobody_added_to_is_deleted_as_a_whole(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with store.writing(scope="everything") as connection:
        history.append(connection, NAME, [entry()])
        move_clock(monkeypatch, timedelta(days=91))
        assert history.purge(connection, wiring.machine.now() - retention.HISTORY_KEPT_FOR) == 1
        assert history.purge(connection, wiring.machine.now()) == 0


def test_the_acts_of_a_person_are_entries(store: Store, publishing_job: Callable[[Remote], None]) -> None:
    publishing_job(Remote())
    with store.writing(scope="everything") as connection:
        publications.make_unknown(connection, code="x", reason="unknown", now=wiring.machine.now())
    assert publication_commands.resolve(wiring.machine, NAME, published=False, link=None)
    publication_commands.retry_publication(wiring.machine, NAME)
    acts = [one.text for one in found().entries if one.kind is HistoryKind.PERSON]
    assert acts == ["A person says that the post is not online", "A person retries the post"]


@pytest.mark.usefixtures("publishing_job")
def test_a_persons_link_is_the_proof_of_a_post_whose_outcome_was_unknown(store: Store) -> None:
    with store.writing(scope="everything") as connection:
        publications.make_unknown(connection, code="x", reason="unknown", now=wiring.machine.now())
    assert publication_commands.resolve(wiring.machine, NAME, published=True, link="https://example.test/7")
    assert [one.text for one in found().entries if one.kind in PROOF] == [
        "A person says that the post is online: https://example.test/7"
    ]


def test_each_step_of_each_publisher_has_words() -> None:
    for name in registry.NAMES:
        steps = vars(registry.publisher(name, {}))["_steps"]
        assert set(registry.PLATFORMS[name].step_texts.steps) == set(steps), name
