"""Two owners use one server at the same time: they upload, connect accounts, make keys, add endpoints."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

import pytest
import requests
from falcon.testing import TestClient
from pydantic import SecretStr

from actors.flow import tokens
from api.app import create_app
from api.context import Context
from platforms.oauth import Tokens
from store import accounts, api_keys, jobs, reviews
from store.api_keys import ApiKey
from store.states import JobStatus, ReviewReason
from tests.api.conftest import AUTH, VIDEO, serving, sign_in, with_settings
from tests.api.visitor import Visitor
from tests.store import rows
from tests.support.clock import Clock

HOOK = "http://127.0.0.1:9/hook"
TUS = {"Tus-Resumable": "1.0.0"}
BYTES = TUS | {"Content-Type": "application/offset+octet-stream"}

Headers = dict[str, str]


@pytest.fixture
def ann(context: Context) -> Headers:
    return add_key(context, "ann")


@pytest.fixture
def bob(context: Context) -> Headers:
    return add_key(context, "bob")


def add_key(context: Context, owner_id: str) -> Headers:
    """Add a key, called "phone" as those of others; return the headers of its requests."""
    key = api_keys.new_key()
    record = ApiKey(
        id=f"key_{owner_id}", owner_id=owner_id, name="phone", key_hash=api_keys.hash_key(key), created_at=context.now()
    )
    with context.store.writing(scope="everything") as connection:
        api_keys.add(connection, record)
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture
def root(context: Context) -> Any:  # Any: a generator fixture
    with serving(with_settings(context, webhook_allow_private=True, upload_rate_limit=1000)) as address:
        yield address


def upload(root: str, headers: Headers, **fields: str) -> requests.Response:
    form: list[tuple[str, Any]] = [(field, (None, value)) for field, value in fields.items()]
    return requests.post(f"{root}/upload", files=[*form, ("file", ("talk.mp4", VIDEO))], headers=headers, timeout=30)


def connect(context: Context, owner_id: str, account_id: str) -> None:
    account = replace(rows.account(account_id), owner_id=owner_id, tokens=tokens.encrypt(context, Tokens("access")))
    with context.store.writing(scope="everything") as connection:
        accounts.connect(connection, account)


def test_an_upload_belongs_to_the_owner_of_its_key(root: str, context: Context, ann: Headers, bob: Headers) -> None:
    job_id = upload(root, ann).json()["job_id"]
    listed = [requests.get(f"{root}/jobs", headers=one, timeout=30).json()["jobs"] for one in (ann, bob, AUTH)]
    assert [[job["job_id"] for job in found] for found in listed] == [[job_id], [], []]
    with context.store.reading() as connection:
        job = jobs.get(connection, job_id)
    assert job is not None
    assert job.owner_id == "ann"


def test_an_idempotency_key_is_the_owners(root: str, ann: Headers, bob: Headers) -> None:
    """The same key with the same video makes a job for each of them."""
    key = {"Idempotency-Key": str(uuid.uuid4())}
    first, again, others = (upload(root, headers | key) for headers in (ann, ann, bob))
    assert first.json() == again.json()
    assert others.status_code == 202
    assert others.json()["job_id"] != first.json()["job_id"]


def test_videos_are_uploaded_for_own_accounts_only(root: str, context: Context, ann: Headers, bob: Headers) -> None:
    connect(context, "ann", "tiktok-1")
    refused = upload(root, bob, platforms="tiktok")
    assert (refused.status_code, refused.json()["code"]) == (409, "account_missing")
    refused = upload(root, bob, accounts="tiktok-1")
    unknown = upload(root, bob, accounts="tiktok-9")
    assert refused.status_code == unknown.status_code == 422
    assert refused.json()["detail"] == unknown.json()["detail"].replace("tiktok-9", "tiktok-1")
    assert upload(root, ann, platforms="tiktok", accounts="tiktok-1").status_code == 202


def test_nobody_continues_or_ends_an_upload_of_another_owner(root: str, ann: Headers, bob: Headers) -> None:
    """Over the network, where a body is received before the application sees the request."""
    begun = requests.post(f"{root}/files", headers=ann | TUS | {"Upload-Length": str(len(VIDEO))}, timeout=30)
    url = f"{root}{begun.headers['Location']}"
    first = requests.patch(url, headers=ann | BYTES | {"Upload-Offset": "0"}, data=VIDEO[:100], timeout=30)
    assert first.status_code == 204

    for offset in ("100", "0"):
        foreign = requests.patch(url, headers=bob | BYTES | {"Upload-Offset": offset}, data=b"x" * 9, timeout=30)
        assert foreign.status_code == 404
    assert requests.head(url, headers=bob | TUS, timeout=30).status_code == 404
    assert requests.delete(url, headers=bob | TUS, timeout=30).status_code == 404
    assert requests.head(url, headers=ann | TUS, timeout=30).headers["Upload-Offset"] == "100"

    rest = requests.patch(url, headers=ann | BYTES | {"Upload-Offset": "100"}, data=VIDEO[100:], timeout=30)
    assert (rest.status_code, bool(rest.headers["X-Job-Id"])) == (204, True)
    assert requests.head(url, headers=bob | TUS, timeout=30).status_code == 404  # not 410, as if it had been his
    assert not requests.get(f"{root}/jobs", headers=bob, timeout=30).json()["jobs"]


def test_nobody_joins_partial_uploads_of_another_owner(root: str, ann: Headers, bob: Headers) -> None:
    parts = []
    for data in (VIDEO[:500], VIDEO[500:]):
        partial = ann | BYTES | {"Upload-Concat": "partial", "Upload-Length": str(len(data))}
        parts.append(requests.post(f"{root}/files", headers=partial, data=data, timeout=30).headers["Location"])
    final = TUS | {"Upload-Concat": f"final;{' '.join(parts)}"}
    assert requests.post(f"{root}/files", headers=bob | final, timeout=30).status_code == 404
    joined = requests.post(f"{root}/files", headers=ann | final, timeout=30)
    assert joined.status_code == 201, joined.text
    assert requests.post(f"{root}/files", headers=bob | final, timeout=30).status_code == 404  # nor learns of the job
    assert requests.post(f"{root}/files", headers=ann | final, timeout=30).headers["X-Job-Id"]


def test_an_address_named_by_two_owners_has_two_secrets(root: str, ann: Headers, bob: Headers) -> None:
    made = [requests.post(f"{root}/webhooks", json={"url": HOOK}, headers=one, timeout=30).json() for one in (ann, bob)]
    assert made[0]["id"] != made[1]["id"]
    assert made[0]["secret"] != made[1]["secret"]
    upload(root, ann, webhook_url=HOOK)
    for headers, endpoint, count in ((ann, made[0], 1), (bob, made[1], 0)):
        found = requests.get(f"{root}/webhooks/{endpoint['id']}/deliveries", headers=headers, timeout=30).json()
        assert len(found["deliveries"]) == count


@pytest.fixture
def client(context: Context) -> TestClient:
    return TestClient(create_app(context))


def test_keys_are_made_for_the_own_owner(client: TestClient, clock: Clock, ann: Headers, bob: Headers) -> None:
    """Both may have the same name, since neither knows the names of the other."""
    made = client.simulate_post("/keys", json={"name": "laptop"}, headers=ann)
    assert client.simulate_post("/keys", json={"name": "laptop"}, headers=bob).status_code == 201
    assert client.simulate_post("/keys", json={"name": "laptop"}, headers=ann).json["code"] == "name_taken"
    clock.move(seconds=1)  # keys are read again
    laptop = {"Authorization": f"Bearer {made.json['key']}"}
    listed = client.simulate_get("/keys", headers=laptop).json
    assert ({key["name"] for key in listed["keys"]}, listed["unstored"]) == ({"phone", "laptop"}, 0)
    assert client.simulate_get("/keys", headers=AUTH).json["unstored"] == 2


def test_a_session_has_the_owner_of_its_key(client: TestClient, context: Context, ann: Headers) -> None:
    connect(context, "ann", "tiktok-1")
    for key, count in ((ann["Authorization"].removeprefix("Bearer "), 1), (AUTH["Authorization"][7:], 0)):
        cookie = f"{context.keys.cookies.name('vidprod_session')}={sign_in(context, key)}"
        answer = client.simulate_get("/accounts", headers={"Cookie": cookie})
        assert len(answer.json["accounts"]) == count


def test_each_owner_has_schedules(client: TestClient, ann: Headers, bob: Headers) -> None:
    usual = client.simulate_get("/schedule", headers=bob).json
    client.simulate_put("/schedule", json={"tiktok": {"max_per_day": 2}}, headers=ann)
    client.simulate_put("/schedule", json={"youtube": {"max_per_day": 1}}, headers=bob)
    assert client.simulate_get("/schedule", headers=ann).json["tiktok"]["max_per_day"] == 2
    assert client.simulate_get("/schedule", headers=bob).json["tiktok"] == usual["tiktok"]
    assert client.simulate_get("/schedule", headers=AUTH).json == usual


def test_a_test_notice_needs_a_receiver_of_the_owner(client: TestClient, context: Context, bob: Headers) -> None:
    """The addresses of NOTICE_URLS are the operator's, so an owner without a browser has none."""
    given = TestClient(create_app(with_settings(context, notice_urls=(SecretStr("json://127.0.0.1"),))))
    assert given.simulate_post("/notices/test", headers=bob).json["code"] == "no_receivers"
    assert given.simulate_get("/notices", headers=bob).json["urls"] == []
    assert given.simulate_post("/notices/test", headers=AUTH).json == {"receivers": 1}
    assert [one["service"] for one in given.simulate_get("/notices", headers=AUTH).json["urls"]] == ["json"]


def test_restored_jobs_are_approved_by_their_owner(client: TestClient, context: Context, ann: Headers) -> None:
    with context.store.writing(scope="everything") as connection:
        for owner_id in ("ann", "bob"):
            jobs.create(connection, replace(rows.job(owner_id, status=JobStatus.REVIEW), owner_id=owner_id))
        reviews.require_of_all(connection, ReviewReason.RESTORED)
    assert client.simulate_post("/jobs/approve-restored", headers=ann).json == {"approved": 1, "left": 0}
    with context.store.reading() as connection:
        found = {name: jobs.get(connection, name) for name in ("ann", "bob")}
    assert [one.approved_at is not None for one in found.values() if one] == [True, False]


def test_an_account_belongs_to_who_began_the_login(registered: Context, ann: Headers, bob: Headers) -> None:
    """Then no other owner can connect it, until it is disconnected."""
    anns, bobs = (visitor(registered, headers) for headers in (ann, bob))
    assert anns.come_back("tiktok", anns.connect("/connect/tiktok")).status_code == 303
    [account] = anns.get("/accounts").json["accounts"]
    assert bobs.get("/accounts").json["accounts"] == []

    refused = bobs.come_back("tiktok", bobs.connect("/connect/tiktok"))
    assert (refused.status_code, refused.json["code"]) == (409, "connected_by_other")
    assert account["name"] not in refused.text
    assert bobs.get("/accounts").json["accounts"] == []

    client = TestClient(create_app(registered))
    assert client.simulate_delete(f"/accounts/{account['id']}", headers=bob).status_code == 404
    assert client.simulate_delete(f"/accounts/{account['id']}", headers=ann).status_code == 204
    assert bobs.come_back("tiktok", bobs.connect("/connect/tiktok")).status_code == 303
    assert [one["name"] for one in bobs.get("/accounts").json["accounts"]] == [account["name"]]
    assert anns.get("/accounts").json["accounts"] == []


def test_a_ticket_connects_for_the_owner_of_its_key(registered: Context, ann: Headers, bob: Headers) -> None:
    """The browser that opens it may be signed in as somebody else, or as nobody."""
    client = TestClient(create_app(registered))
    ticket = client.simulate_get("/connect/tiktok", headers=ann).headers["location"]
    bobs = visitor(registered, bob)
    assert bobs.come_back("tiktok", bobs.connect(ticket)).status_code == 303
    assert bobs.get("/accounts").json["accounts"] == []
    assert len(client.simulate_get("/accounts", headers=ann).json["accounts"]) == 1


def visitor(context: Context, headers: Headers) -> Visitor:
    """Return a browser that is signed in with a key."""
    found = Visitor(context, session=False)
    key = headers["Authorization"].removeprefix("Bearer ")
    found.cookies[context.keys.cookies.name("vidprod_session")] = sign_in(context, key)
    return found
