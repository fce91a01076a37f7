"""Notices: one for many failures, sent with the change they report, to browsers and addresses, and never lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from actors import wiring
from actors.flow import completion, events, notice_delivery, notices, publication_commands, retention, tokens
from actors.flow.notice_delivery import MAX_REJECTIONS, RETRY_DELAYS_S
from actors.recovery import stuck_work
from actors.send_notices import deliver_notice, send_notice
from store import Sealer, Store, jobs, publications, push_subscriptions, reviews
from store import accounts as store_accounts
from store.owners import DEFAULT_OWNER
from store.states import DeliveryStatus, JobStatus, NoticeKind, NoticeStatus, PublicationStatus, ReviewReason
from store.tables import metadata
from tests.actors.notice_run import NoticeRun
from tests.actors.one_publication import Killed, killed_at
from tests.actors.queues import change_machine, waiting
from tests.store.rows import account, job
from tests.support.file_search import files_with
from tests.support.lost_lease import Fenced, lease_lost
from tests.support.push_service import PushService, TestBrowser, push_service
from tests.support.receiver import receiving

DELIVERED, FAILED, WAITING = DeliveryStatus.DELIVERED, DeliveryStatus.FAILED, DeliveryStatus.WAITING


@pytest.fixture
def service() -> Iterator[PushService]:
    with push_service() as made:
        yield made


@pytest.fixture
def run(store: Store, service: PushService, monkeypatch: pytest.MonkeyPatch) -> NoticeRun:
    return NoticeRun(store, service, monkeypatch)


def _titles(browser: TestBrowser) -> list[str]:
    return [message["notification"]["title"] for message in browser.received]


def _fail_posts(run: NoticeRun) -> None:
    """End every waiting publication as failed, each with its event."""
    with run.writing() as connection:
        ended = [post for post in publications.of_job(connection, "job") if post.status is PublicationStatus.WAITING]
        for post in ended:
            publications.end_waiting_of_segment(
                connection, post.segment_id, PublicationStatus.FAILED, code="x", reason="refused", now=run.clock()
            )
        for post in ended:
            completion.after_publication(wiring.machine, connection, post.id, "publication.failed")


def test_forty_failed_posts_are_one_notice(run: NoticeRun) -> None:
    browser = run.browser()
    run.add_job(*[PublicationStatus.WAITING] * 40, PublicationStatus.OUTCOME_UNKNOWN)
    _fail_posts(run)
    assert [name for name, _ in waiting() if name == "send_notice"] == ["send_notice"]
    run.send()
    [message] = browser.received
    assert message["web_push"] == 8030
    assert message["notification"] == {
        "title": "41 posts need you",
        "body": "“A talk”: 40 were not published and 1 may or may not be published",
        "lang": "en", "dir": "auto", "tag": run.service.requests[0]["topic"],
        "navigate": "https://video.example.com/videos/job",
        "data": {"notice": run.notices()[0].id, "job": "job"},
    }  # fmt: skip


def test_a_notice_commits_with_the_change_that_it_reports(run: NoticeRun) -> None:
    run.browser()
    run.add_job(PublicationStatus.ACTION_NEEDED)
    with pytest.raises(RuntimeError), run.writing() as connection:
        events.emit(wiring.machine, connection, "job.review_needed", job(), code="x", reasons=["x"])
        raise RuntimeError("the process ends here")
    assert (run.notices(), [name for name, _ in waiting() if "notice" in name]) == ([], [])


def test_a_requested_review_is_a_notice(run: NoticeRun) -> None:
    browser = run.browser()
    run.add_job(PublicationStatus.WAITING, status=JobStatus.PROCESSING)
    with run.writing() as connection:
        reviews.require(connection, "job", ReviewReason.REQUESTED)
        completion.close_finished(wiring.machine, connection, "job")
    run.send()
    assert _titles(browser) == ["“A talk” waits for you"]


def test_without_receivers_nothing_is_recorded(run: NoticeRun) -> None:
    run.add_job(PublicationStatus.WAITING)
    _fail_posts(run)
    assert run.notices() == []


def test_a_job_has_one_notice_of_a_kind_in_ten_minutes(run: NoticeRun) -> None:
    browser = run.browser()
    run.add_job(PublicationStatus.ACTION_NEEDED)
    with run.writing() as connection:
        notices.record(wiring.machine, connection, DEFAULT_OWNER, "job:job", NoticeKind.NEEDS_YOU)
    run.send()
    run.clock.move(minutes=1)
    for _ in range(2):
        with run.writing() as connection:
            notices.record(wiring.machine, connection, DEFAULT_OWNER, "job:job", NoticeKind.NEEDS_YOU)
    first, second = run.notices()
    assert first.sent_at is not None
    assert second.due_at == first.sent_at + timedelta(minutes=10)
    run.send()
    assert _titles(browser) == ["1 post needs you"] * 2
    assert len({request["topic"] for request in run.service.requests}) == 1  # the second replaces the first


def test_what_was_solved_meanwhile_needs_no_notice(run: NoticeRun) -> None:
    browser = run.browser()
    run.add_job(PublicationStatus.PUBLISHED)
    with run.writing() as connection:
        notices.record(wiring.machine, connection, DEFAULT_OWNER, "job:job", NoticeKind.NEEDS_YOU)
    run.send()
    assert (browser.received, run.notices()[0].status) == ([], NoticeStatus.DROPPED)


def test_the_end_of_a_job_says_all_in_one_notice(run: NoticeRun) -> None:
    """Not two: one of the failed post, one of the end."""
    browser = run.browser()
    run.add_job(PublicationStatus.PUBLISHED, PublicationStatus.WAITING)
    _fail_posts(run)
    run.send()
    [message] = browser.received
    assert message["notification"]["title"] == "“A talk” is finished, but needs you"
    assert message["notification"]["body"] == "1 post is out on TikTok. 1 was not published."
    assert run.service.requests[0]["urgency"] == "normal"


def test_a_job_that_went_well_is_out(run: NoticeRun) -> None:
    browser = run.browser()
    run.add_job(PublicationStatus.PUBLISHED, PublicationStatus.PUBLISHED)
    with run.writing() as connection:
        completion.close_finished(wiring.machine, connection, "job")
    run.send()
    assert [message["notification"]["body"] for message in browser.received] == ["2 posts are out on TikTok."]
    assert _titles(browser) == ["“A talk” is out"]


@pytest.mark.parametrize(
    ("statuses", "status", "title"),
    [
        ([PublicationStatus.ACTION_NEEDED], JobStatus.PUBLISHING, "1 post needs you"),
        ([PublicationStatus.WAITING], JobStatus.REVIEW, "“A talk” waits for you"),
        ([PublicationStatus.FAILED], JobStatus.FAILED, "“A talk” was not published"),
        ([], JobStatus.FAILED, "“A talk” was not published"),
    ],
)
def test_each_reason_has_its_words(
    run: NoticeRun, statuses: list[PublicationStatus], status: JobStatus, title: str
) -> None:
    browser = run.browser()
    run.add_job(*statuses, status=status)
    with run.writing() as connection:
        notices.record(wiring.machine, connection, DEFAULT_OWNER, "job:job", NoticeKind.NEEDS_YOU)
    run.send()
    assert _titles(browser) == [title]
    assert run.service.requests[0]["urgency"] == "high"


def test_a_video_that_fails_is_reported_and_a_cancelled_one_is_not(run: NoticeRun) -> None:
    browser = run.browser()
    with run.writing() as connection:
        jobs.create(connection, job(parts=None))
        completion.fail_job(
            wiring.machine, connection, "job", code="no_video", error="The file has no picture.", retryable=False
        )
    run.send()
    assert [message["notification"]["body"] for message in browser.received] == ["The file has no picture."]
    with run.writing() as connection:
        jobs.create(connection, job("other", status=JobStatus.CANCELLED))
        events.emit(wiring.machine, connection, "job.failed", job("other"), code="cancelled", reason="cancelled")
    run.send()
    assert len(browser.received) == 1


def test_a_part_that_fails_is_reported_before_the_job_ends(run: NoticeRun) -> None:
    browser = run.browser()
    run.add_job(PublicationStatus.WAITING, PublicationStatus.WAITING, status=JobStatus.PROCESSING)
    with run.writing() as connection:
        connection.exec_driver_sql("UPDATE job_segments SET status = 'rendering'")
        completion.fail_part(wiring.machine, connection, "job-1", reason="it crashed")
    run.send()
    assert _titles(browser) == ["1 post needs you"]


def test_a_revoked_account_is_reported_once(run: NoticeRun) -> None:
    browser = run.browser()
    with run.writing() as connection:
        store_accounts.connect(connection, account())
        for _ in range(2):
            tokens.mark_unusable(wiring.machine, connection, "tiktok-1", "revoked", b"sealed")
    run.send()
    [message] = browser.received
    assert message["notification"]["title"] == "Connect TikTok again"
    assert message["notification"]["body"] == "VidProd can no longer post as @tiktok-1. Its posts wait."
    assert message["notification"]["navigate"] == "https://video.example.com/"


def _notify(run: NoticeRun) -> None:
    with run.writing() as connection:
        assert notices.record_test(wiring.machine, connection, DEFAULT_OWNER)


def test_every_receiver_gets_it_and_one_that_fails_stops_no_other(run: NoticeRun) -> None:
    first, second = run.browser(), run.browser()
    del run.service.browsers[first.endpoint.removeprefix(run.service.origin)]
    with receiving() as receiver:
        run.set_urls(receiver.url.replace("http://", "json://"))
        _notify(run)
        run.send()
    assert _titles(second) == ["VidProd can reach you"]
    assert json.loads(receiver.got[0][1])["title"] == "VidProd can reach you"
    assert sorted(delivery.status for delivery in run.deliveries()) == [DELIVERED, DELIVERED, FAILED]


@pytest.mark.parametrize("status", [404, 410])
def test_a_subscription_that_is_gone_is_deleted(run: NoticeRun, status: int) -> None:
    browser = run.browser()
    run.service.status = status
    _notify(run)
    run.send()
    assert run.subscription(browser) is None
    assert [delivery.status for delivery in run.deliveries()] == [FAILED]
    with run.writing() as connection:
        assert not notices.record_test(wiring.machine, connection, DEFAULT_OWNER)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_push_service_in_trouble_is_tried_three_times_more(run: NoticeRun, status: int) -> None:
    browser = run.browser()
    run.service.status = status
    _notify(run)
    run.run_messages(10)
    assert len(run.service.requests) == 1 + len(RETRY_DELAYS_S)
    assert [delivery.status for delivery in run.deliveries()] == [FAILED]
    found = run.subscription(browser)
    assert found is not None
    assert (found.failures, found.last_error, found.disabled_at) == (1, f"HTTP {status}", None)


def test_a_second_attempt_arrives(run: NoticeRun) -> None:
    browser = run.browser()
    run.service.status, run.service.headers = 429, {"Retry-After": "900"}
    _notify(run)
    run.send()
    [delivery] = run.deliveries()
    assert delivery.next_at == run.clock() + timedelta(seconds=900)
    run.service.status = 201
    run.run_messages()
    assert (_titles(browser), [one.status for one in run.deliveries()]) == (["VidProd can reach you"], [DELIVERED])


def test_no_wait_is_longer_than_an_hour(run: NoticeRun) -> None:
    run.browser()
    run.service.status, run.service.headers = 429, {"Retry-After": "86400"}
    _notify(run)
    run.send()
    assert run.deliveries()[0].next_at == run.clock() + timedelta(hours=1)


@pytest.mark.parametrize("status", [400, 401, 403, 413])
def test_a_subscription_that_refuses_repeatedly_is_disabled(run: NoticeRun, status: int) -> None:
    """A key that was replaced is answered 400 or 403 for ever, and never 410."""
    browser = run.browser()
    run.service.status = status
    for _ in range(MAX_REJECTIONS):
        _notify(run)
        run.send()
    assert len(run.service.requests) == MAX_REJECTIONS
    found = run.subscription(browser)
    assert found is not None
    assert found.disabled_at is not None
    with run.writing() as connection:
        assert not notices.record_test(wiring.machine, connection, DEFAULT_OWNER)
    run.service.status = 201
    with run.writing() as connection:  # the page enables it when it is opened
        push_subscriptions.put(connection, replace(found, disabled_at=None, failures=0))
    _notify(run)
    run.send()
    assert len(browser.received) == 1


def test_a_success_ends_the_count_of_failures(run: NoticeRun) -> None:
    browser = run.browser()
    for status in (403, 403, 201, 403):
        run.service.status = status
        _notify(run)
        run.send()
    found = run.subscription(browser)
    assert found is not None
    assert found.failures == 1
    assert found.succeeded_at == run.clock()


def test_a_message_that_comes_twice_sends_nothing_twice(run: NoticeRun) -> None:
    browser = run.browser()
    _notify(run)
    [(_, (notice_id,))] = [found for found in waiting() if found[0] == "send_notice"]
    for _ in range(2):
        send_notice.fn(notice_id)
    deliveries = [arguments for name, arguments in waiting() if name == "deliver_notice"]
    assert len(deliveries) == 1
    for _ in range(2):
        deliver_notice.fn(*deliveries[0])
    assert len(browser.received) == 1


def test_a_run_that_was_killed_after_the_push_replaces_it_instead_of_doubling_it(
    run: NoticeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the answer was recorded, so it is sent again: with the same topic and tag."""
    browser = run.browser()
    _notify(run)
    run.run_messages()

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(notice_delivery, "_record", die)
        with pytest.raises(KeyboardInterrupt):
            run.run_messages()
    assert waiting() == []
    run.clock.move(minutes=8)
    stuck_work.recover(wiring.machine)
    run.run_messages()
    first, second = (message["notification"] for message in browser.received)
    assert (first["tag"], first["data"]) == (second["tag"], second["data"])
    assert len({request["topic"] for request in run.service.requests}) == 1
    assert [delivery.status for delivery in run.deliveries()] == [DELIVERED]


def test_a_worker_that_lost_its_lease_during_an_attempt_sends_nothing_more(run: NoticeRun) -> None:
    """It was frozen after the attempt was recorded; another one makes the next attempt."""
    with receiving() as receiver:
        run.set_urls(receiver.url.replace("http://", "json://"))
        browser = run.browser()
        _notify(run)
        run.run_messages()
        attempts = [arguments for name, arguments in waiting() if name == "deliver_notice"]
        wiring.machine.broker.flush_all()
        for attempt in attempts:
            with lease_lost(), pytest.raises(Fenced):
                deliver_notice.fn(*attempt)
        assert (receiver.got, browser.received) == ([], [])
        run.clock.move(minutes=8)
        stuck_work.recover(wiring.machine)
        run.run_messages()
        assert (len(receiver.got), len(browser.received)) == (1, 1)
    assert [delivery.status for delivery in run.deliveries()] == [DELIVERED, DELIVERED]


def test_lost_messages_are_sent_again(run: NoticeRun) -> None:
    browser = run.browser()
    _notify(run)
    wiring.machine.broker.flush_all()
    stuck_work.recover(wiring.machine)
    assert waiting() == []  # not overdue yet
    run.clock.move(minutes=6)
    stuck_work.recover(wiring.machine)
    run.run_messages()
    wiring.machine.broker.flush_all()
    run.clock.move(minutes=6)
    stuck_work.recover(wiring.machine)
    run.run_messages()
    assert len(browser.received) == 1


def test_an_attempt_that_is_lost_each_time_ends(run: NoticeRun) -> None:
    run.browser()
    _notify(run)
    run.run_messages()
    with run.writing() as connection:
        connection.exec_driver_sql("UPDATE notice_deliveries SET tries = 4")
    run.clock.move(minutes=6)
    stuck_work.recover(wiring.machine)
    [delivery] = run.deliveries()
    assert (delivery.status, delivery.error) == (FAILED, "interrupted")


def test_a_clock_that_was_set_back_delays_nothing_for_long(run: NoticeRun) -> None:
    browser = run.browser()
    _notify(run)
    wiring.machine.broker.flush_all()
    run.clock.correct(minutes=-50)
    stuck_work.recover(wiring.machine)
    run.send()
    assert len(browser.received) == 1


def test_a_notice_of_last_week_is_not_delivered(run: NoticeRun) -> None:
    """The machine was switched off."""
    browser = run.browser()
    _notify(run)
    run.run_messages()
    run.clock.move(days=4)
    run.run_messages()
    assert (browser.received, run.deliveries()[0].error) == ([], "too late")


@pytest.mark.logs_errors
def test_another_secret_key_disables_nothing(run: NoticeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the key is put back, everything goes on."""
    browser = run.browser()
    right = wiring.machine.sealer
    change_machine(monkeypatch, sealer=Sealer("another key, with sixteen characters"))
    for _ in range(MAX_REJECTIONS + 1):
        _notify(run)
        run.send()
    assert {delivery.error for delivery in run.deliveries()} == {notice_delivery.WRONG_KEY}
    change_machine(monkeypatch, sealer=right)
    _notify(run)
    run.send()
    assert len(browser.received) == 1


def test_a_lost_key_does_not_replace_the_pair_for_ever(run: NoticeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new pair is made beside it; each browser is sent to with the pair that it has subscribed with."""
    first = run.browser()
    right = wiring.machine.sealer
    change_machine(monkeypatch, sealer=Sealer("another key, with sixteen characters"))
    second = run.browser()
    assert first.application_key != second.application_key
    change_machine(monkeypatch, sealer=right)
    third = run.browser()
    assert third.application_key == first.application_key
    _notify(run)
    run.send()
    assert [len(browser.received) for browser in (first, second, third)] == [1, 0, 1]


def test_an_address_that_was_removed_from_the_settings_gets_nothing(run: NoticeRun) -> None:
    with receiving() as receiver:
        run.set_urls(receiver.url.replace("http://", "json://"))
        _notify(run)
        run.run_messages()
        run.set_urls()
        run.run_messages()
    assert (receiver.got, run.deliveries()[0].error) == ([], "removed from NOTICE_URLS")


@pytest.mark.sqlite_only("it searches the bytes of the file")
def test_no_secret_is_stored_in_the_clear(run: NoticeRun) -> None:
    browser = run.browser()
    run.set_urls("json://user:s3cret-password@127.0.0.1:1/")
    _notify(run)
    run.send()
    directory = wiring.machine.settings.data_dir
    assert files_with(directory, run.notices()[0].id)
    for secret in ("s3cret", browser.endpoint, browser.subscription["keys"]["auth"]):
        assert files_with(directory, secret) == []


def test_old_notices_are_deleted(run: NoticeRun) -> None:
    run.browser()
    _notify(run)
    run.send()
    run.clock.move(days=31)
    retention.clean_up(wiring.machine)
    assert (run.notices(), run.deliveries()) == ([], [])


def test_what_a_person_has_just_said_is_not_told_to_them(run: NoticeRun) -> None:
    """They looked on the platform, and the post is not there."""
    run.browser()
    run.add_job(PublicationStatus.OUTCOME_UNKNOWN, PublicationStatus.WAITING)
    assert publication_commands.resolve(wiring.machine, "job-1-tiktok-1", published=False, link=None)
    assert run.notices() == []


def test_a_kill_before_any_statement_loses_no_notice_and_rings_once(run: NoticeRun) -> None:
    """Whatever is sent again has the same id and tag, by which the browser replaces it."""
    kills = 0
    for number in range(1, 60):
        with run.writing() as connection:
            for table in reversed(metadata.sorted_tables):
                connection.execute(table.delete())
        wiring.machine.broker.flush_all()
        browser = run.browser()
        _notify(run)
        try:
            with killed_at(number):
                run.send()
        except Killed:
            kills += 1
        else:
            break
        for _ in range(3):
            run.clock.move(minutes=8)
            stuck_work.recover(wiring.machine)
            run.send()
        assert {message["notification"]["data"]["notice"] for message in browser.received} == {run.notices()[0].id}
        assert len({request["topic"] for request in run.service.requests}) == 1
        assert [delivery.status for delivery in run.deliveries()] == [DELIVERED]
    assert kills > 10
