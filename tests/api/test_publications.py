"""A person retries, skips or resolves a publication; holds; outages."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import dramatiq
import pytest
from falcon.testing import TestClient

from actors import wiring
from actors.flow import holding, publishing
from actors.flow.retrying import GivenUp
from api.context import Context
from store import accounts, jobs, platform_states, publications, segments
from store.attempts import PublishingAttempt, append_attempt
from store.platform_states import PlatformState
from store.states import JobStatus, PublicationStatus, SegmentStatus
from store.tables import metadata
from tests.store import rows
from tests.support.clock import Clock
from tests.support.waiting import wait_for


@pytest.fixture
def unknown(context: Context) -> str:
    """A publication of which nobody knows whether it went out."""
    part, owner = rows.segment(1, status=SegmentStatus.READY), rows.account()
    post = rows.publication(part, owner, status=PublicationStatus.OUTCOME_UNKNOWN)
    with context.store.writing(scope="everything") as connection:
        jobs.create(connection, rows.job(status=JobStatus.PUBLISHING, parts=1))
        segments.create(connection, [part])
        accounts.connect(connection, owner)
        publications.create(connection, [post])
    return post.id


@pytest.mark.parametrize(("published", "job_ends"), [(True, "completed"), (False, "failed")])
def test_a_person_says_whether_a_post_is_there(
    client: TestClient, unknown: str, published: bool, job_ends: str
) -> None:
    told = client.simulate_post(f"/publications/{unknown}/resolve", json={"published": published})

    assert told.status_code == 204
    assert client.simulate_get("/status/job").json["status"] == job_ends


def test_a_post_that_is_not_there_can_be_tried_again(client: TestClient, unknown: str) -> None:
    client.simulate_post(f"/publications/{unknown}/resolve", json={"published": False})

    assert client.simulate_post("/jobs/job/retry").status_code == 202


def test_what_is_known_needs_no_word(client: TestClient, unknown: str) -> None:
    client.simulate_post(f"/publications/{unknown}/resolve", json={"published": True})

    again = client.simulate_post(f"/publications/{unknown}/resolve", json={"published": False})
    nobody = client.simulate_post("/publications/pub_nobody/resolve", json={"published": True})

    assert (again.status_code, again.json["code"], nobody.status_code) == (409, "outcome_known", 404)


def test_a_step_that_is_being_run_may_tell_more_than_a_person(
    context: Context, client: TestClient, unknown: str
) -> None:
    with context.store.writing(scope="everything") as connection:
        until = context.now() + timedelta(minutes=15)
        connection.execute(metadata.tables["publications"].update().values(holder="message/nonce", holder_until=until))
    told = client.simulate_post(f"/publications/{unknown}/resolve", json={"published": False})
    assert (told.status_code, told.json["code"]) == (409, "step_running")


def test_a_link_is_an_address(client: TestClient, unknown: str) -> None:
    told = client.simulate_post(
        f"/publications/{unknown}/resolve", json={"published": True, "link": "javascript:alert(1)"}
    )

    assert (told.status_code, told.json["field"]) == (422, "link")


@pytest.fixture
def held(context: Context) -> list[str]:
    """Four parts on one account: published, failed, waiting, waiting; return the publications' ids."""
    owner = rows.account()
    statuses = (PublicationStatus.PUBLISHED, PublicationStatus.FAILED, *[PublicationStatus.WAITING] * 2)
    with context.store.writing(scope="everything") as connection:
        accounts.connect(connection, owner)
        jobs.create(connection, rows.job(status=JobStatus.PUBLISHING, parts=4))
        posts = []
        for number, status in enumerate(statuses, start=1):
            part = rows.segment(number, status=SegmentStatus.READY)
            segments.create(connection, [part])
            posts.append(rows.publication(part, owner, status=status))
        publications.create(connection, posts)
        attempt = PublishingAttempt(
            at=rows.NOON, step="init", code="busy", detail="later", platform_code="503", log_id="L"
        )
        change = metadata.tables["publications"].update().where(metadata.tables["publications"].c.id == posts[1].id)
        connection.execute(change.values(attempts=append_attempt(None, attempt), code="busy", reason="later"))
        holding.update(context, connection, "job")
    return [post.id for post in posts]


def _publications(client: TestClient) -> list[dict[str, Any]]:  # Any: JSON
    return [part["publications"][0] for part in client.simulate_get("/status/job").json["segments"]]


def test_the_status_shows_what_is_held_and_all_attempts(client: TestClient, held: list[str]) -> None:
    found = _publications(client)

    assert [one["code"] for one in found] == [None, "busy", "held", "held"]
    assert found[2]["reason"] == "part 2 was not published: later. Retry or skip it"
    assert found[1]["attempts"] == [
        {
            "at": "2026-11-22T12:00:00.000Z", "step": "init", "code": "busy", "detail": "later",
            "platform_code": "503", "log_id": "L",
        }
    ]  # fmt: skip


@pytest.mark.parametrize("body", [None, {}, {"out_of_order": False}])
def test_a_publication_is_retried(client: TestClient, held: list[str], body: dict[str, bool] | None) -> None:
    answer = client.simulate_post(f"/publications/{held[1]}/retry", json=body)

    assert (answer.status_code, answer.json) == (202, {"id": held[1]})
    assert [one["code"] for one in _publications(client)] == [None] * 4
    again = client.simulate_post(f"/publications/{held[1]}/retry", json={})
    assert (again.status_code, again.json["code"]) == (409, "not_failed")
    assert client.simulate_post("/publications/pub_nobody/retry", json={}).status_code == 404


def test_a_publication_is_retried_after_its_successors_only_on_demand(
    client: TestClient, context: Context, held: list[str]
) -> None:
    with context.store.writing(scope="everything") as connection:
        change = metadata.tables["publications"].update().where(metadata.tables["publications"].c.id == held[3])
        connection.execute(change.values(status=PublicationStatus.PUBLISHED))

    refused = client.simulate_post(f"/publications/{held[1]}/retry", json={})
    whole = client.simulate_post("/jobs/job/retry")
    accepted = client.simulate_post(f"/publications/{held[1]}/retry", json={"out_of_order": True})

    assert (refused.status_code, refused.json["code"]) == (409, "out_of_order")
    assert (whole.status_code, whole.json["code"], whole.json["publications"]) == (409, "out_of_order", [held[1]])
    assert accepted.status_code == 202


def test_a_publication_is_skipped(client: TestClient, held: list[str]) -> None:
    assert client.simulate_post(f"/publications/{held[1]}/skip").status_code == 204

    found = _publications(client)
    assert (found[1]["status"], found[1]["code"], found[2]["code"]) == ("cancelled", "skipped", None)
    again = client.simulate_post(f"/publications/{held[1]}/skip")
    assert (again.status_code, again.json["code"]) == (409, "not_waiting")
    assert client.simulate_post("/publications/pub_nobody/skip").status_code == 404


def test_an_account_is_told_to_continue_after_a_failure(client: TestClient, held: list[str]) -> None:
    changed = client.simulate_patch("/accounts/tiktok-1", json={"after_failure": "continue"})

    assert (changed.status_code, changed.json["after_failure"]) == (200, "continue")
    assert [one["code"] for one in _publications(client)] == [None, "busy", None, None]
    wrong = client.simulate_patch("/accounts/tiktok-1", json={"after_failure": "maybe"})
    assert (wrong.status_code, wrong.json["field"]) == (422, "after_failure")
    assert client.simulate_patch("/accounts/nobody", json={"after_failure": "hold"}).status_code == 404


def test_an_outage_is_shown_and_makes_no_server_unhealthy(
    client: TestClient, context: Context, clock: Clock, held: list[str]
) -> None:
    client.simulate_post(f"/publications/{held[1]}/skip")
    with context.store.writing(scope="everything") as connection:
        until = clock() + timedelta(minutes=8)
        state = PlatformState(
            platform="tiktok", failures_in_a_row=5, since=clock(), paused_until=until, code="server_failed",
            reason="HTTP 503",
        )  # fmt: skip
        platform_states.put(connection, state)

    outage = {
        "paused_until": "2026-11-22T12:08:00.000Z", "since": "2026-11-22T12:00:00.000Z", "failures_in_a_row": 5,
        "code": "server_failed", "reason": "HTTP 503",
    }  # fmt: skip
    assert client.simulate_get("/accounts").json["outages"] == {"tiktok": outage}
    check = client.simulate_get("/health").json["checks"]["platforms"]
    assert check == {"ok": True, "outages": {"tiktok": outage}}
    waiting = [one for one in _publications(client) if one["status"] == "waiting"]
    assert {(one["code"], one["reason"]) for one in waiting} == {("platform_paused", "HTTP 503")}
    assert 'vidprod_platform_paused{platform="tiktok"} 1.0' in client.simulate_get("/metrics").text


@pytest.mark.logs_errors
def test_all_dead_letters_are_retried_at_once(
    client: TestClient, context: Context, monkeypatch: pytest.MonkeyPatch, held: list[str]
) -> None:
    """A publication that gave up is retried as a publication; what has nothing to retry stays."""

    def give_up(*_: object) -> None:
        raise GivenUp("given up after 4 attempts")

    monkeypatch.setattr(publishing, "run_step", give_up)
    worker = dramatiq.Worker(wiring.machine.broker, queues={"network"}, worker_threads=1)
    for name in held[:2]:
        context.send("publish_tiktok", name)
    worker.start()
    wait_for(lambda: len(context.broker.admin.dead_letters("network")) == 2)
    worker.stop()
    wiring.machine.broker.close()  # else this process stays known as one that works on the queue

    none = client.simulate_post("/dead-letters/retry", params={"actor": "gaze"})
    assert (none.status_code, none.json) == (202, {"retried": [], "left": []})
    answer = client.simulate_post("/dead-letters/retry", params={"actor": "publish_tiktok"})

    assert len(answer.json["retried"]) == len(answer.json["left"]) == 1
    [letter] = client.simulate_get("/dead-letters").json["dead_letters"]
    assert (letter["id"], letter["args"]) == (answer.json["left"][0], [held[0]])
    assert _publications(client)[1]["status"] in {"waiting", "publishing"}
    one = client.simulate_post(f"/dead-letters/{letter['id']}/retry")
    assert (one.status_code, one.json["code"]) == (409, "not_failed")
