"""Dry runs: each request is the one that a real run sends, and nothing is sent but questions."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from waitress import wasyncore

from platforms import dry_run, registry
from platforms.contract import AuthorizedAccount, Post
from platforms.dry_run import STAND_IN, BuiltRequest, DryRun
from platforms.http.exchange import Response
from platforms.http.hosts import Roots
from platforms.http.local_answers import FileSpan, OutgoingRequest
from platforms.mock.roots import mock_hosts
from platforms.mock.server import serve
from platforms.mock.state import MockOptions
from tests.platforms.publishing_run import CASES, Case, PostFactory, publish

OF_EVERY_REQUEST = {
    "host",
    "user-agent",
    "accept",
    "accept-encoding",
    "connection",
    "content-length",
    "x-mock-received",
}
MAX_BODY_BYTES = 100_000


@dataclass
class Received:
    """A request as the mock received it."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: object
    length: int


@dataclass
class RecordingMock:
    """A mock server that keeps what it receives."""

    base: str = ""
    received: list[Received] = field(default_factory=list)

    @property
    def hosts(self) -> Roots:
        return mock_hosts(self.base)

    def record(self, environ: dict[str, Any]) -> None:  # Any: WSGI's
        length = int(environ.get("CONTENT_LENGTH") or 0)
        kind = environ.get("CONTENT_TYPE", "")
        body: object = None
        if length and kind.startswith(("application/json", "application/x-www-form-urlencoded")):
            raw = environ["wsgi.input"].read(length)
            environ["wsgi.input"] = io.BytesIO(raw)
            body = json.loads(raw) if "json" in kind else dict(parse_qsl(raw.decode(), keep_blank_values=True))
        headers = {name[5:].replace("_", "-").lower(): environ[name] for name in environ if name.startswith("HTTP_")}
        headers |= {"content-type": kind} if kind else {}
        query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
        path = environ.get("SCRIPT_NAME", "") + environ["PATH_INFO"]
        self.received.append(Received(environ["REQUEST_METHOD"], path, query, headers, body, length))


@contextmanager
def recording_mock(directory: Path) -> Iterator[RecordingMock]:
    found = RecordingMock()
    server = serve(0, directory, MockOptions(processing_s=0.0))
    application = server.application

    def recorded(environ: dict[str, Any], start_response: Any) -> Any:  # Any: WSGI's
        found.record(environ)
        return application(environ, start_response)

    server.application = recorded
    found.base = f"http://127.0.0.1:{server.effective_port}"

    def run() -> None:
        with suppress(OSError):
            server.run()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield found
    server.task_dispatcher.shutdown()
    with suppress(OSError):
        server.trigger.pull_trigger(lambda: wasyncore.close_all(server._map))
    thread.join(10)


@pytest.fixture
def mock_that_records(tmp_path: Path) -> Iterator[RecordingMock]:
    with recording_mock(tmp_path / "mock") as mock:
        yield mock


def no_answer(_: OutgoingRequest) -> None:
    return None


def built(case: Case, hosts: Roots, post: Post, account: AuthorizedAccount) -> DryRun:
    publisher = case.publisher(hosts)
    answers = registry.PLATFORMS[publisher.platform].dry_answers(hosts)
    return dry_run.build(publisher, post, account, answers, no_answer)


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("size_bytes", [300_000, 700_000])
def test_a_dry_run_has_the_requests_of_a_real_run_field_by_field(
    case: Case, size_bytes: int, mock_that_records: RecordingMock, factory: PostFactory
) -> None:
    mock = mock_that_records
    account, _ = case.account(mock.hosts)
    post, _ = factory.post(size_bytes)
    before = len(mock.received)

    dry = built(case, mock.hosts, post, account)

    assert (dry.error, len(mock.received)) == (None, before)  # nothing was sent
    run = publish(case.publisher(mock.hosts), post, account)
    texts = registry.PLATFORMS[account.platform].step_texts
    facts = {handle.text(name) for handle in run.handles for name in texts.identifiers} - {""}
    real = _without_repetitions(mock.received[before:])
    assert len(dry.requests) >= 2
    for one, received in zip(dry.requests, real, strict=False):
        _compare(one, received, facts, mock)
    assert len(real) >= len(dry.requests)


def _without_repetitions(received: list[Received]) -> list[Received]:
    """Return the requests without questions that were asked again."""
    found: list[Received] = []
    for one in received:
        if not (found and one.method == "GET" and (one.method, one.path) == (found[-1].method, found[-1].path)):
            found.append(one)
    return found


def _compare(one: BuiltRequest, received: Received, facts: set[str], mock: RecordingMock) -> None:
    request, parts = one.request, urlsplit(one.request.url)
    assert request.method == received.method, one.step
    assert {name.lower().replace("_", "-"): value for name, value in request.headers.items()} == {
        name: value
        for name, value in received.headers.items()
        if name not in OF_EVERY_REQUEST and not (name == "content-type" and not _has_type(request))
    }, one.step
    if isinstance(request.body, FileSpan):
        assert request.body.length == received.length
        assert mock.base in one.request.url  # the address is the platform's own
        return
    assert [STAND_IN if part in facts else part for part in received.path.split("/")] == parts.path.split("/")
    assert parse_qs(parts.query, keep_blank_values=True) == received.query
    assert _with_stand_ins(received.body, facts) == request.body, one.step


def _has_type(request: OutgoingRequest) -> bool:
    return any(name.lower() == "content-type" for name in request.headers)


def _with_stand_ins(value: object, facts: set[str]) -> object:
    """Return a body in which the ids of the real run are replaced by those of a dry one."""
    if isinstance(value, dict) and "creation_id" in value and value["creation_id"] in facts:
        return value | {"creation_id": STAND_IN}
    return value


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_last_request_is_the_one_that_would_make_the_post_public(
    case: Case, mock_that_records: RecordingMock, factory: PostFactory
) -> None:
    account, _ = case.account(mock_that_records.hosts)
    dry = built(case, mock_that_records.hosts, factory.post()[0], account)
    assert dry.requests[-1].step in case.publisher(mock_that_records.hosts).irreversible_steps


def test_only_questions_are_read_and_their_answers_count(
    mock_that_records: RecordingMock, factory: PostFactory
) -> None:
    (case,) = [one for one in CASES if one.name == "tiktok-direct"]
    account, _ = case.account(mock_that_records.hosts)
    publisher = case.publisher(mock_that_records.hosts)
    asked = []

    def read(request: OutgoingRequest) -> Response:
        asked.append(urlsplit(request.url).path)
        offers = {"data": {"privacy_level_options": ["SELF_ONLY"]}, "error": {"code": "ok"}}
        return Response(200, {}, json.dumps(offers).encode())

    answers = registry.PLATFORMS["tiktok"].dry_answers(mock_that_records.hosts)
    dry = dry_run.build(publisher, factory.post()[0], account, answers, read)
    assert [path.rpartition("/v2")[2] for path in asked] == ["/post/publish/creator_info/query/"]
    assert dry.error is not None
    assert dry.error.code == "privacy_refused"
    assert [one.is_read for one in dry.requests] == [True]


def test_a_request_without_a_stand_in_answer_is_not_sent(mock_that_records: RecordingMock) -> None:
    for name in registry.NAMES:
        answers = registry.PLATFORMS[name].dry_answers(mock_that_records.hosts)
        with pytest.raises(dry_run.UnknownRequest):
            answers(OutgoingRequest("DELETE", f"{mock_that_records.base}/v2/anything", {}, None))
