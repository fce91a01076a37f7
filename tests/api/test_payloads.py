"""Dry runs and creators: what a post would send and may choose, with the mocks over real HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import requests
from falcon.testing import TestClient
from sqlalchemy import update

from actors import wiring
from api.app import create_app
from api.context import Context
from platforms import registry
from store import accounts, jobs, publications, segments
from store.states import AccountStatus, JobStatus, PublicationStatus, SegmentStatus
from store.tables import job_segments
from tests.api.conftest import AUTH, VIDEO, with_settings
from tests.api.visitor import Visitor
from tests.store import rows

Json = dict[str, Any]  # Any: JSON
PLATFORMS = ("tiktok", "instagram", "youtube")


@pytest.fixture
def registered(registered: Context) -> Context:
    """Return a context whose publishers use the mocks, as direct posts on TikTok."""
    direct = with_settings(registered, tiktok_mode="direct")
    options = direct.publishing_options
    return replace(direct, publisher=lambda name: registry.publisher(name, direct.hosts, options))


@pytest.fixture
def client(registered: Context) -> TestClient:
    return TestClient(create_app(registered), headers=AUTH)


@pytest.fixture
def waiting(registered: Context, mock: str) -> list[accounts.Account]:
    """Connect an account of each platform; store a dry run with two parts, which wait on each of them."""
    requests.delete(f"{mock}/mock/faults", timeout=10)
    visitor = Visitor(registered)
    for platform in PLATFORMS:
        assert visitor.come_back(platform, visitor.connect(f"/connect/{platform}")).status_code == 303
    directory = wiring.machine.settings.jobs_dir / "job"
    directory.mkdir(parents=True, exist_ok=True)
    with registered.store.writing(scope="everything") as connection:
        found = accounts.list_all(connection)
        jobs.create(connection, replace(rows.job(status=JobStatus.REVIEW), review_reasons=["dry_run"]))
        for number in (1, 2):
            part = rows.segment(number, status=SegmentStatus.READY)
            wiring.machine.in_data(part.file_path).write_bytes(VIDEO)
            segments.create(connection, [part])
            connection.execute(update(job_segments).values(size_bytes=len(VIDEO)))
            publications.create(connection, [rows.publication(part, account) for account in found])
    return found


def payloads(client: TestClient) -> list[Json]:
    answer = client.simulate_get("/jobs/job/payloads")
    assert answer.status_code == 200, answer.text
    found: list[Json] = answer.json["publications"]
    return found


@pytest.mark.usefixtures("waiting")
def test_each_post_that_waits_has_its_requests_and_nothing_is_posted(client: TestClient, mock: str) -> None:
    before = requests.get(f"{mock}/mock/posts", timeout=10).json()
    found = payloads(client)
    assert [(one["part"], one["platform"], one["problems"]) for one in found] == [
        (part, platform, []) for part in (1, 2) for platform in sorted(PLATFORMS)
    ]
    assert all(len(one["steps"]) >= 2 and one["steps"][-1]["changes"] for one in found)
    titles = [one for one in found if one["platform"] == "youtube"]
    assert [one["steps"][0]["body"]["snippet"]["title"] for one in titles] == ["A talk — Part 1/2", "A talk — Part 2/2"]
    assert requests.get(f"{mock}/mock/posts", timeout=10).json() == before


def test_payloads_have_no_secrets(client: TestClient, registered: Context, waiting: list[accounts.Account]) -> None:
    shown = json.dumps(payloads(client))
    for account in waiting:
        opened = registered.sealer.open(account.tokens or b"")
        assert opened["access_token"] not in shown
    assert "Bearer [redacted]" in shown


@pytest.mark.usefixtures("waiting")
def test_words_that_a_platform_refuses_are_a_problem_of_their_field(client: TestClient, registered: Context) -> None:
    with registered.store.writing(scope="everything") as connection:
        jobs.set_words(connection, "job", title="x" * 150, caption="")
    problems = {one["platform"]: one["problems"] for one in payloads(client)}
    assert [problem["field"] for problem in problems["youtube"]] == ["title"]
    assert problems["instagram"] == []


def test_an_account_that_must_be_connected_again_is_a_problem_and_its_requests_are_shown(
    client: TestClient, registered: Context, waiting: list[accounts.Account]
) -> None:
    (tiktok,) = [one for one in waiting if one.platform == "tiktok"]
    with registered.store.writing(scope="everything") as connection:
        accounts.mark_unusable(connection, tiktok.id, AccountStatus.RECONNECT, "expired", tokens=tiktok.tokens)
    (found, _) = [one for one in payloads(client) if one["platform"] == "tiktok"]
    assert len(found["problems"]) == 1
    assert found["steps"]


@pytest.mark.usefixtures("waiting")
def test_an_approval_makes_a_dry_run_a_real_one(client: TestClient, registered: Context) -> None:
    assert client.simulate_get("/status/job").json["dry_run"] is True
    assert client.simulate_post("/jobs/job/approve").status_code == 200
    assert client.simulate_get("/status/job").json["dry_run"] is False
    with registered.store.reading() as connection:
        started = [one for one in publications.of_job(connection, "job") if one.status is PublicationStatus.PUBLISHING]
    assert len(started) == len(PLATFORMS)  # the first part on each account
    assert [one["part"] for one in payloads(client)] == [2, 2, 2]  # what has begun is in its history


def test_a_job_that_is_unknown_has_no_payloads(client: TestClient) -> None:
    assert client.simulate_get("/jobs/none/payloads").status_code == 404


@pytest.mark.parametrize(
    ("setting", "value", "dry"), [(False, "true", True), (True, None, True), (True, "false", False)]
)
def test_an_upload_is_a_dry_run_if_it_says_so_or_else_by_the_setting(
    serve: Callable[..., str], context: Context, setting: bool, value: str | None, dry: bool
) -> None:
    fields = {} if value is None else {"dry_run": value}
    files = {"file": ("talk.mp4", VIDEO)}
    answer = requests.post(f"{serve(dry_run=setting)}/upload", data=fields, files=files, headers=AUTH, timeout=10)
    assert answer.status_code == 202, answer.text
    with context.store.reading() as connection:
        job = jobs.get(connection, answer.json()["job_id"])
    assert job is not None
    assert (job.is_dry_run, job.review_reasons) == (dry, ["dry_run"] if dry else None)


def test_the_creator_of_a_tiktok_account_is_asked_once_a_minute(
    client: TestClient, registered: Context, waiting: list[accounts.Account], mock: str
) -> None:
    (tiktok,) = [one for one in waiting if one.platform == "tiktok"]
    address = f"/accounts/{tiktok.id}/creator"
    first = client.simulate_get(address)
    assert first.status_code == 200
    assert "public" in first.json["privacies"]
    assert first.json["username"]
    requests.post(
        f"{mock}/mock/faults",
        json={"at": "POST .*creator_info", "kind": "answer", "status": 503, "times": 9},
        timeout=10,
    )
    assert client.simulate_get(address).json == first.json
    registered.platform_reads.now_s = lambda: 10.0**9  # later
    refused = client.simulate_get(address)
    assert (refused.status_code, "Retry-After" in refused.headers or "retry-after" in refused.headers) == (503, True)


def test_other_platforms_have_no_creator(client: TestClient, waiting: list[accounts.Account]) -> None:
    (youtube,) = [one for one in waiting if one.platform == "youtube"]
    answer = client.simulate_get(f"/accounts/{youtube.id}/creator")
    assert (answer.status_code, answer.json["code"]) == (409, "not_offered")
    assert client.simulate_get("/accounts/none/creator").status_code == 404
