"""GET /needs-you: what waits for a person is in the list, and what does not is not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from falcon.testing import TestClient

from actors.flow import job_commands
from api.context import Context
from api.resources.needs import DRAFTS_LAST
from store import accounts, jobs, publications, segments
from store.owners import DEFAULT_OWNER
from store.states import AccountStatus, EndpointState, JobStatus, PublicationStatus, SegmentStatus
from store.tables import endpoints
from tests.api.conftest import AUTH
from tests.store import rows

KNOWN = {"title", "part", "of", "platform", "account"}


def kinds(client: TestClient) -> list[tuple[str, str]]:
    items = client.simulate_get("/needs-you", headers=AUTH).json["items"]
    return [(item["kind"], item["id"]) for item in items]


def store_post(context: Context, status: PublicationStatus, **changes: object) -> None:
    owner, now = rows.account(), context.now()
    part = rows.segment(1, status=SegmentStatus.READY)
    with context.store.writing(scope="everything") as connection:
        accounts.connect(connection, owner)
        jobs.create(connection, replace(rows.job(status=JobStatus.PUBLISHING, parts=1), caption="#calm"))
        segments.create(connection, [part])
        post = replace(rows.publication(part, owner, status=status), ended_at=now)
        publications.create(connection, [replace(post, **changes)])  # type: ignore[arg-type]  # fields by name


def test_nothing_needs_a_person_at_first(client: TestClient) -> None:
    answer = client.simulate_get("/needs-you", headers=AUTH)
    assert answer.json == {"items": []}
    again = client.simulate_get("/needs-you", headers=AUTH | {"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (PublicationStatus.ACTION_NEEDED, "draft"),
        (PublicationStatus.OUTCOME_UNKNOWN, "outcome_unknown"),
        (PublicationStatus.FAILED, "post_failed"),
        (PublicationStatus.EXPIRED, "post_failed"),
        (PublicationStatus.WAITING, None),
        (PublicationStatus.PUBLISHING, None),
        (PublicationStatus.PUBLISHED, None),
        (PublicationStatus.CANCELLED, None),
    ],
)
def test_posts_are_listed_by_their_state(
    client: TestClient, context: Context, status: PublicationStatus, kind: str | None
) -> None:
    store_post(context, status, code="answer_lost", reason="the answer was lost")
    found = client.simulate_get("/needs-you", headers=AUTH).json["items"]
    assert [item["kind"] for item in found] == ([kind] if kind else [])
    for item in found:
        assert {name: item[name] for name in KNOWN} == {
            "title": "A talk", "part": 1, "of": 1, "platform": "tiktok", "account": "@tiktok-1",
        }  # fmt: skip
        assert item["caption"] == ("#calm" if kind == "draft" else None)
        assert bool(item["next_step"]) == (kind != "draft")


def test_a_draft_has_the_caption_that_it_was_sent_with(client: TestClient, context: Context) -> None:
    store_post(context, PublicationStatus.ACTION_NEEDED, words={"title": "", "caption": "As sent", "options": {}})
    [draft] = client.simulate_get("/needs-you", headers=AUTH).json["items"]
    assert draft["caption"] == "As sent"


def test_a_draft_is_listed_for_a_week(client: TestClient, context: Context) -> None:
    store_post(context, PublicationStatus.ACTION_NEEDED, ended_at=context.now() - DRAFTS_LAST + timedelta(hours=1))
    assert kinds(client) == [("draft", "job-1-tiktok-1")]
    with context.store.writing(scope="everything") as connection:
        connection.exec_driver_sql("UPDATE publications SET ended_at = '2020-01-01 00:00:00.000000'")
    assert kinds(client) == []


def test_what_failed_is_listed_while_it_can_be_retried(client: TestClient, context: Context) -> None:
    store_post(context, PublicationStatus.FAILED)
    assert kinds(client) == [("post_failed", "job-1-tiktok-1")]
    with context.store.writing(scope="everything") as connection:
        connection.exec_driver_sql("UPDATE jobs SET files_deleted_at = '2026-11-22 12:00:00.000000'")
    assert kinds(client) == []


def test_videos_that_failed_or_wait_for_approval_are_listed(client: TestClient, context: Context) -> None:
    silent = replace(rows.job("silent", minutes=1), review_reasons=["sound_unreadable"])
    seen = replace(rows.job("seen", minutes=2, status=JobStatus.REVIEW), review_reasons=["requested"])
    early = replace(rows.job("early", minutes=3), review_reasons=["requested"])
    approved = replace(rows.job("approved", minutes=4), review_reasons=["restored"], approved_at=context.now())
    stopped = replace(rows.job("stopped", minutes=5, status=JobStatus.CANCELLED), review_reasons=["requested"])
    broken = replace(rows.job("broken", minutes=6, status=JobStatus.FAILED), error="it is no video", error_code="x")
    partly = rows.job("partly", minutes=7)
    with context.store.writing(scope="everything") as connection:
        for job in (silent, seen, early, approved, stopped, broken, partly):
            jobs.create(connection, job)
        segments.create(connection, [rows.segment(n, job_id="partly", status=SegmentStatus.FAILED) for n in (1, 2)])
        segments.create(connection, [rows.segment(1, job_id="stopped", status=SegmentStatus.FAILED)])
    assert kinds(client) == [
        ("review", "silent"), ("review", "seen"), ("video_failed", "broken"), ("video_failed", "partly"),
    ]  # fmt: skip
    items = client.simulate_get("/needs-you", headers=AUTH).json["items"]
    assert [(item["code"], item["reason"], item["part"]) for item in items[2:]] == [
        ("x", "it is no video", None), ("failed", None, 2),
    ]  # fmt: skip


def test_accounts_and_endpoints_in_trouble_are_listed(client: TestClient, context: Context) -> None:
    broken = replace(rows.account("broken"), status=AccountStatus.RECONNECT, reason="the login has expired")
    refused = replace(rows.account("refused", "youtube"), status=AccountStatus.REFUSED)
    gone = replace(rows.account("gone", "instagram"), status=AccountStatus.DISCONNECTED)
    with context.store.writing(scope="everything") as connection:
        for account in (broken, refused, gone, rows.account("well")):
            accounts.connect(connection, account)
        urls = ("https://a.example.com/", "https://b.example.com/")
        lost, paused = (
            job_commands.add_endpoint(context, connection, DEFAULT_OWNER, url, scope="all", events=[]).id
            for url in urls
        )
        for endpoint_id, code in ((lost, "failing"), (paused, "requested")):
            connection.execute(
                endpoints.update()
                .where(endpoints.c.id == endpoint_id)
                .values(state=EndpointState.DISABLED, disabled_code=code, disabled_at=context.now())
            )
    assert kinds(client) == [("account", "broken"), ("account", "refused"), ("endpoint", lost)]


def test_a_full_disk_comes_first(client: TestClient, context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    store_post(context, PublicationStatus.OUTCOME_UNKNOWN)
    monkeypatch.setattr(type(context.disk), "free_bytes", property(lambda _: 5_000_000))
    assert [kind for kind, _ in kinds(client)] == ["disk", "outcome_unknown"]
