"""Two owners on one server: neither sees, changes or learns of anything that is the other's.

The routes are those of the application itself: a new one fails these tests until it is decided whose things it shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pytest
from falcon import inspect
from falcon.testing import Result, TestClient

from actors.flow import endpoint_commands, job_commands, tokens
from api.app import create_app, routes, upload_limits
from api.context import Context
from api.http.ownership import NOT_OWNED, NOTHING, OWNED, check_parameters, parameters_of
from api.resources.examples import REQUESTS
from api.resources.operations import OPERATIONS
from platforms.oauth import Tokens
from store import accounts, api_keys, jobs, publications, push_subscriptions, schedules, segments
from store.api_keys import ApiKey
from store.push_subscriptions import PushSubscription
from store.schedules import Schedule
from store.states import AfterFailure, JobStatus, PublicationStatus, SegmentStatus
from store.tables import metadata
from tests.api.conftest import AUTH, VIDEO, with_settings
from tests.store import rows

MARK = "ANNX"
"""In each id and each text of what is Ann's."""

TUS = {"Tus-Resumable": "1.0.0"}
UNKNOWN = {name: f"unknown_{name}" for name in OWNED} | {"upload_id": f"job_{32 * '0'}"}

OF_OWNER = {
    "/jobs": MARK,
    "/accounts": MARK,
    "/forecast": MARK,
    "/calendar": MARK,
    "/schedule": "Pacific/Chatham",
    "/webhooks": MARK,
    "/notices": MARK,
    "/needs-you": MARK,
    "/keys": MARK,
}
"""Lists of an owner's things, and what shows Ann's."""

MAKES = {
    "/upload",
    "/files",
    "/connect/{platform}",
    "/notices/subscriptions",
    "/notices/test",
    "/jobs/approve-restored",
}
"""Make or change something of the caller's; tests of their own are below."""

OPERATOR_ONLY = {"/dead-letters", "/dead-letters/retry", "/dead-letters/{letter_id:int(min=1)}/retry", "/metrics"}
SAME_FOR_ALL = {"/limits", "/settings"}
PUBLIC = {
    "/media/{token}", "/connect/{platform}/begin", "/connect/{platform}/callback", "/health", "/health/ready", "/login",
    "/openapi.json", "/docs", "/", "/manifest.webmanifest", "/service-worker.js", "/share", "/static/{name}",
    "/assets/{version}/{name}",
}  # fmt: skip


@dataclass(frozen=True)
class Owners:
    """Two owners beside the default one; Ann has something of each kind.

    Attributes:
        context: of the API.
        ann: a client with a key of Ann.
        bob: likewise.
        ids: of Ann's things, by path parameter.
    """

    context: Context
    ann: TestClient
    bob: TestClient
    ids: dict[str, str]

    def rows(self) -> dict[str, list[Any]]:
        """Return all rows of all tables."""
        with self.context.store.reading() as connection:
            return {table.name: list(connection.execute(table.select())) for table in metadata.sorted_tables}


@pytest.fixture
def owners(context: Context) -> Owners:
    context = with_settings(context, webhook_allow_private=True)
    app = create_app(context)
    ann = TestClient(app, headers=_add_key(context, "ann", f"{MARK} phone"))
    bob = TestClient(app, headers=_add_key(context, "bob", "tablet"))
    return Owners(context, ann, bob, _fill(context, ann))


def _add_key(context: Context, owner_id: str, name: str) -> dict[str, str]:
    """Add a key; return the headers of its requests."""
    key = api_keys.new_key()
    record = ApiKey(
        id=f"{MARK}_key" if owner_id == "ann" else "key_bob", owner_id=owner_id, name=name,
        key_hash=api_keys.hash_key(key), created_at=context.now(),
    )  # fmt: skip
    with context.store.writing(scope="everything") as connection:
        api_keys.add(connection, record)
    return {"Authorization": f"Bearer {key}"}


def _fill(context: Context, ann: TestClient) -> dict[str, str]:
    """Make something of each kind for Ann; return ids by the name of the path parameter."""
    now = context.now()
    job = replace(
        rows.job(f"{MARK}_job", status=JobStatus.PUBLISHING), owner_id="ann", title=f"{MARK} talk", created_at=now
    )
    account = replace(
        rows.account(f"{MARK}_account"), owner_id="ann", after_failure=AfterFailure.CONTINUE,
        tokens=tokens.encrypt(context, Tokens("access")),
    )  # fmt: skip
    parts = [segment(number) for number in (1, 2)]
    posts = [replace(rows.publication(part, account), created_at=now) for part in parts]
    posts[0] = replace(posts[0], status=PublicationStatus.FAILED, code="spam", reason=f"{MARK} refused", ended_at=now)
    subscription = PushSubscription(
        id=f"{MARK}_subscription", owner_id="ann", host="push.example.com", secret=b"sealed", public_key="p",
        user_agent=MARK, key_id=f"{MARK}_key", created_at=now,
    )  # fmt: skip
    zone = Schedule(platform="tiktok", time_zone="Pacific/Chatham", windows=[], max_per_day=9, min_gap_s=60.0)
    with context.store.writing(scope="everything") as connection:
        jobs.create(connection, job)
        segments.create(connection, parts)
        accounts.connect(connection, account)
        publications.create(connection, posts)
        push_subscriptions.put(connection, subscription)
        schedules.put(connection, "ann", zone)
        url = f"http://127.0.0.1:9/{MARK}"
        endpoint = job_commands.add_endpoint(context, connection, "ann", url, scope="all", events=[])
    _write_files(context, job.id)
    delivery = endpoint_commands.ping(context, endpoint.id)
    assert delivery is not None
    return {
        "job_id": job.id, "account_id": account.id, "publication_id": posts[0].id, "endpoint_id": endpoint.id,
        "delivery_id": delivery, "subscription_id": subscription.id, "key_id": f"{MARK}_key", "number": "1",
        "upload_id": _begin_upload(ann),
    }  # fmt: skip


def segment(number: int) -> segments.Segment:
    return rows.segment(number, job_id=f"{MARK}_job", status=SegmentStatus.READY)


def _write_files(context: Context, job_id: str) -> None:
    names = ["uploads/{}/source"] + [
        f"jobs/{{}}/part-001{end}" for end in (".mp4", ".cover.jpg", ".preview.jpg", ".gaze.json")
    ]
    for name in names:
        path = context.in_data(name.format(job_id))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(VIDEO if "gaze" not in name else b"{}")


def _begin_upload(client: TestClient, **headers: str) -> str:
    """Begin a resumable upload; return its id."""
    answer = client.simulate_post("/files", headers=TUS | {"Upload-Length": "9"} | headers)
    assert answer.status_code == 201, answer.text
    return answer.headers["location"].rpartition("/")[2]


@cache
def _requests() -> list[tuple[str, str]]:
    """Return method and path of each request that names something, as the application routes it."""
    return [
        (method.method, path)
        for path, methods in _routed().items()
        for method in methods
        if _named(path) and method.method != "OPTIONS"
    ]


def _routed() -> dict[str, list[inspect.RouteMethodInfo]]:
    from actors import wiring  # noqa: PLC0415 (not before the tests' settings)
    from api.__main__ import PAGES  # noqa: PLC0415
    from tests.api.conftest import api_keys as keys_of  # noqa: PLC0415

    context = Context(
        **vars(wiring.machine), keys=keys_of(wiring.machine), behind_fly=False, started_s=0.0, pages=PAGES
    )
    return {
        route.path: [method for method in route.methods if not method.internal]
        for route in inspect.inspect_routes(create_app(context))
    }


def _named(path: str) -> set[str]:
    """Return the parameters of a path that name something that has an owner."""
    return set(parameters_of(path)) & {*OWNED, "upload_id"}


def test_each_route_is_classified(context: Context) -> None:
    found = routes(context, upload_limits(context))
    expected = {*OF_OWNER, *MAKES, *OPERATOR_ONLY, *SAME_FOR_ALL, *PUBLIC}
    assert expected == {path for path in found if not _named(path)}
    assert PUBLIC == {path for path, resource in found.items() if getattr(resource, "public", False)}
    assert OPERATOR_ONLY == {path for path, resource in found.items() if getattr(resource, "operator_only", False)}


def test_a_route_with_an_unknown_kind_of_id_does_not_start() -> None:
    check_parameters("/jobs/{job_id}/segments/{number:int(min=1)}/cover")
    with pytest.raises(ValueError, match="team_id"):
        check_parameters("/teams/{team_id}")
    assert not OWNED.keys() & NOT_OWNED.keys()


@pytest.mark.parametrize(("method", "path"), _requests())
def test_an_id_of_another_owner_is_an_unknown_id(owners: Owners, method: str, path: str) -> None:
    """Status and text are the same, and nothing is changed; to its owner the same request does something."""
    send = _sender(method, path)
    unknown = send(owners.bob, owners.ids | UNKNOWN)
    before = owners.rows()
    assert _comparable(send(owners.bob, owners.ids), owners.ids) == _comparable(unknown, UNKNOWN)
    assert unknown.status_code == 404
    assert owners.rows() == before
    assert send(owners.ann, owners.ids).status_code != 404, "the request would not be noticed"


@pytest.mark.parametrize(("method", "path"), _requests())
def test_the_operator_sees_no_others_either(owners: Owners, method: str, path: str) -> None:
    """The operator has the database; over the API it is an owner as others."""
    operator = TestClient(create_app(owners.context), headers=AUTH)
    assert _sender(method, path)(operator, owners.ids).status_code == 404


def _sender(method: str, path: str) -> Callable[[TestClient, Mapping[str, str]], Result]:
    """Return a function that sends a request with the document's own example as its body."""
    plain = path.replace(":int(min=1)", "")
    name = next((one.name for one in OPERATIONS if (one.method.upper(), one.path) == (method, plain)), "")
    headers = TUS | {"Upload-Offset": "0", "If-Match": '"0"'} if "upload_id" in path else {"If-Match": '"0"'}
    if path == "/files/{upload_id}" and method == "POST":
        headers["X-HTTP-Method-Override"] = "HEAD"
    if method == "PATCH" and "upload_id" in path:
        headers |= {"Content-Type": "application/offset+octet-stream"}
        return lambda client, ids: client.simulate_patch(plain.format(**ids), headers=headers, body=b"video")
    return lambda client, ids: client.simulate_request(
        method, plain.format(**ids), headers=headers, json=REQUESTS.get(name)
    )


def _comparable(answer: Result, ids: Mapping[str, str]) -> tuple[int, str, set[str]]:
    text = answer.text
    for name, value in ids.items():
        if len(value) > 1:  # not the number of the part
            text = text.replace(value, f"<{name}>")
    assert MARK not in text
    return answer.status_code, text.replace(NOTHING + '"', '"'), set(answer.headers)


@pytest.mark.parametrize("path", OF_OWNER)
def test_a_list_shows_the_callers_things_only(owners: Owners, path: str) -> None:
    shown = {who: client.simulate_get(path) for who, client in (("ann", owners.ann), ("bob", owners.bob))}
    assert {answer.status_code for answer in shown.values()} == {200}
    assert OF_OWNER[path] in shown["ann"].text
    for other in (owners.bob, TestClient(create_app(owners.context), headers=AUTH)):
        text = other.simulate_get(path).text
        assert OF_OWNER[path] not in text
        assert MARK not in text


@pytest.mark.parametrize("path", sorted(OPERATOR_ONLY))
def test_the_servers_own_affairs_are_the_operators(owners: Owners, path: str) -> None:
    operator = TestClient(create_app(owners.context), headers=AUTH)
    method = "POST" if path.endswith("retry") else "GET"
    plain = path.replace("{letter_id:int(min=1)}", "1")
    assert owners.ann.simulate_request(method, plain).json["code"] == "operator_only"
    assert operator.simulate_request(method, plain).status_code in {200, 202, 404}
