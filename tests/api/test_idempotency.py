"""Idempotency-Key: a repeated upload gets the first answer again and creates no job."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
import requests
from falcon.testing import TestClient
from hypothesis import given
from hypothesis import strategies as st

from actors.flow import job_commands
from actors.ticks import cleanup
from api.context import Context
from api.http import idempotency
from api.http.idempotency import Fingerprint, InProgress
from api.http.problems import Problem
from api.uploads import acceptance
from api.uploads.upload import stored_answer
from store import idempotency_keys, jobs
from store.idempotency_keys import StoredAnswer
from store.owners import DEFAULT_OWNER
from tests.actors.queues import change_machine
from tests.api.conftest import AUTH, KEY, OTHER_KEY, VIDEO, connect, serving, with_settings
from tests.api.test_server import END, FORM, answer, connection, head
from tests.support.clock import Clock
from tests.support.waiting import wait_for

Serve = Callable[..., str]
Left = Callable[[], list[Path]]

OTHER = {"Authorization": f"Bearer {OTHER_KEY}"}


def upload(
    root: str,
    key: str | None,
    *,
    file: bytes = VIDEO,
    name: str = "talk.mp4",
    auth: dict[str, str] = AUTH,
    **fields: str,
) -> requests.Response:
    form: list[tuple[str, Any]] = [(field, (None, value)) for field, value in fields.items()]
    headers = auth if key is None else auth | {"Idempotency-Key": key}
    return requests.post(f"{root}/upload", files=[*form, ("file", (name, file))], headers=headers, timeout=30)


def count_jobs(context: Context) -> int:
    with context.store.reading() as opened:
        return len(jobs.page(opened, DEFAULT_OWNER, limit=100))


def count_keys(context: Context) -> int:
    with context.store.reading() as opened:
        return int(opened.exec_driver_sql("SELECT count(*) FROM idempotency_keys").scalar_one())


@pytest.fixture
def key() -> str:
    return str(uuid.uuid4())


def test_a_repeated_upload_gets_the_answer_of_the_first_and_makes_no_job(
    serve: Serve, left: Left, context: Context, key: str
) -> None:
    root = serve()
    first = upload(root, key, title="Talk", caption="Words")
    again = upload(root, f'"{key}"', caption="Words", title="Talk", platforms="")  # quoted, in another order

    assert (202, first.content) == (again.status_code, again.content)
    for name in ("Location", "X-Job-Id", "Content-Type"):
        assert first.headers[name] == again.headers[name]
    assert first.headers["X-Job-Id"] == first.json()["job_id"]
    assert (None, "true") == (first.headers.get("Idempotent-Replayed"), again.headers["Idempotent-Replayed"])
    assert count_jobs(context) == 1
    wait_for(lambda: [path.parent.name for path in left()] == [first.json()["job_id"]])


def test_without_a_key_every_upload_is_a_job(serve: Serve, context: Context) -> None:
    root = serve()
    assert upload(root, None).json()["job_id"] != upload(root, None).json()["job_id"]
    assert (2, 0) == (count_jobs(context), count_keys(context))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"file": VIDEO + b"x"}, id="longer file"),
        pytest.param({"file": VIDEO[:-1] + b"x"}, id="other byte"),
        pytest.param({"name": "other.mp4"}, id="other name"),
        pytest.param({"title": "Another"}, id="other title"),
        pytest.param({"caption": "more"}, id="one more field"),
    ],
)
def test_something_else_under_the_same_key_is_refused(
    serve: Serve, left: Left, context: Context, key: str, change: dict[str, Any]
) -> None:
    root = serve()
    job_id = upload(root, key, title="Talk").json()["job_id"]
    refused = upload(root, key, **{"title": "Talk", **change})

    assert 422 == refused.status_code
    assert ("idempotency_key_reused", job_id) == (refused.json()["code"], refused.json()["job_id"])
    assert count_jobs(context) == 1
    assert len(left()) == 1


def test_the_answer_is_repeated_when_the_state_has_changed(serve: Serve, context: Context, key: str) -> None:
    """The job is deleted, the account gone, the time passed: the answer is still the one that was given."""
    connect(context, "tiktok")
    root = serve()
    first = upload(root, key, platforms="tiktok")
    job_commands.disconnect(context, "tiktok-1")
    job_commands.delete(context, first.json()["job_id"])

    assert first.content == upload(root, key, platforms="tiktok").content
    assert count_jobs(context) == 1


def test_a_refusal_does_not_use_the_key(serve: Serve, context: Context, key: str) -> None:
    root = serve()
    assert upload(root, key, platforms="tiktok").status_code == 409
    assert upload(root, key, gaze_intensity="7").status_code == 422
    assert upload(root, key, file=b"text" * 100).status_code == 415
    assert count_keys(context) == 0

    assert upload(root, key, title="Corrected").status_code == 202


@pytest.mark.logs_errors
def test_an_error_of_ours_does_not_use_the_key(
    serve: Serve, left: Left, context: Context, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = serve()
    with monkeypatch.context() as patch:
        patch.setattr(job_commands, "emit", lambda *_, **__: 1 / 0)
        assert upload(root, key).status_code == 500
    assert (0, 0, []) == (count_jobs(context), count_keys(context), left())

    assert upload(root, key).status_code == 202


def test_keys_of_different_callers_are_different_keys(serve: Serve, context: Context, key: str) -> None:
    root = serve()
    mine, others = upload(root, key), upload(root, key, auth=OTHER)

    assert mine.json()["job_id"] != others.json()["job_id"]
    session = requests.Session()
    with closing(session):
        assert session.post(f"{root}/login", json={"key": KEY}, timeout=30).status_code == 204
        headers = {"Idempotency-Key": key, "Origin": root}
        by_page = session.post(f"{root}/upload", files={"file": ("talk.mp4", VIDEO)}, headers=headers, timeout=30)
    assert mine.json() == by_page.json()  # a session is its key's
    assert count_jobs(context) == 2


def test_a_key_is_stored_unreadable_for_a_day(serve: Serve, context: Context, clock: Clock, key: str) -> None:
    root = serve()
    first = upload(root, key)
    with context.store.reading() as opened:
        [stored] = opened.exec_driver_sql("SELECT * FROM idempotency_keys").mappings().all()
    assert key not in repr(stored)

    clock.move(hours=23, minutes=59)
    assert first.json() == upload(root, key).json()
    clock.move(minutes=2)
    assert first.json() != upload(root, key).json()
    assert (2, 1) == (count_jobs(context), count_keys(context))


def test_expired_keys_are_purged_by_the_cleanup(
    context: Context, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When no second copy of their uploads can be in lost+found any more."""
    change_machine(monkeypatch, now=clock)
    with context.store.writing(scope="everything") as opened:
        for name, hours in (("old", 0), ("young", 1)):
            expires_at = clock() + timedelta(hours=hours, days=-context.settings.lost_found_days)
            stored = StoredAnswer(
                key_hash=name, fingerprint="", job_id="j", status=202, headers={}, body="{}", expires_at=expires_at
            )
            idempotency_keys.add(opened, stored)
    cleanup()

    with context.store.reading() as opened:
        assert opened.exec_driver_sql("SELECT key_hash FROM idempotency_keys").scalars().all() == ["young"]


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ("8e03978e-40d5-43e8-bc93-6894a57f9324", "8e03978e-40d5-43e8-bc93-6894a57f9324"),
        ('"8e03978e"', "8e03978e"),
        (' "a" ', "a"),
        (r'"a\"b\\c"', 'a"b\\c'),
        ('"a";v=1', "a"),
        ('"a"; note="x; y"', "a"),
        ('"with, comma"', "with, comma"),
        ("two words", "two words"),
        ("x" * 255, "x" * 255),
        (f'"{"x" * 255}"', "x" * 255),
    ],
)
def test_a_key_is_read_quoted_and_bare(header: str, key: str) -> None:
    assert key == idempotency.parse(header)


@pytest.mark.parametrize(
    "header",
    ["", "   ", '""', "x" * 256, f'"{"x" * 256}"', '"open', 'a"b', '"a", "b"', "a, a", "a\tb", "a\x00b", "caf\xe9",
     '"caf\xe9"', '"a\x7f"', r'"a\x"', '"a" b', '"a";', "a\rb", "\ud800"],
)  # fmt: skip
def test_a_key_that_cannot_be_used_is_a_bad_request(client: TestClient, header: str) -> None:
    with pytest.raises(Problem) as refused:
        idempotency.parse(header)

    assert (400, "idempotency_key_invalid") == (refused.value.status_code, refused.value.error_code)


@given(st.text(max_size=300))
def test_whatever_the_header_holds_is_a_key_or_a_bad_request(header: str) -> None:
    with suppress(Problem):
        key = idempotency.parse(header)
        assert 0 < len(key) <= 255
        assert key.isascii()
        assert key.isprintable()


@pytest.mark.parametrize("header", ["", '""', "x" * 256, "a\x01b"])
def test_a_bad_key_is_refused_before_the_body(serve: Serve, left: Left, header: str) -> None:
    with connection(serve()) as sock:
        sock.sendall(head(10**8, more=f"Idempotency-Key: {header}\r\n"))

        assert answer(sock).split(b" ")[1] == b"400"
    assert left() == []


@given(
    st.dictionaries(st.text(min_size=1, max_size=5), st.text(max_size=20), max_size=4),
    st.lists(st.binary(max_size=20), max_size=5),
    st.randoms(use_true_random=False),
)
def test_the_fingerprint_does_not_depend_on_how_the_form_was_written(
    fields: dict[str, str], pieces: list[bytes], random: Random
) -> None:
    at_once, in_pieces = Fingerprint(), Fingerprint()
    at_once.update(b"".join(pieces))
    for piece in pieces:
        in_pieces.update(piece)
    shuffled = list(fields.items())
    random.shuffle(shuffled)

    expected = at_once.hexdigest(fields, "a.mp4")
    assert expected == in_pieces.hexdigest(dict([*shuffled, ("empty!", " ")]), "a.mp4")
    assert expected != at_once.hexdigest(fields, "b.mp4")
    assert expected != at_once.hexdigest({**fields, "one more": "x"}, "a.mp4")


@dataclass(eq=False)
class Request:
    """Stands for a request that is being received."""

    idle_s: float = 0.0


def test_a_request_in_progress_holds_its_key_unless_it_has_stalled() -> None:
    in_progress, first, second = InProgress(), Request(), Request()
    in_progress.begin("a", first)
    in_progress.begin("b", second)
    with pytest.raises(Problem) as refused:
        in_progress.begin("a", second)
    assert (409, "idempotency_key_in_progress") == (refused.value.status_code, refused.value.error_code)
    assert int(dict(refused.value.headers or {})["Retry-After"]) > 0

    first.idle_s = idempotency.STALLED_AFTER_S
    in_progress.begin("a", second)
    in_progress.end("a", first)  # the one that gave way ends nothing but itself
    with pytest.raises(Problem):
        in_progress.begin("a", first)
    in_progress.end("a", second)
    in_progress.begin("a", first)


def test_a_request_that_nobody_holds_is_not_in_progress() -> None:
    in_progress = InProgress()
    in_progress.begin("a", Request())
    held = Request()
    in_progress.begin("a", held)
    with pytest.raises(Problem):
        in_progress.begin("a", Request())


def test_the_same_key_in_progress_is_a_conflict_at_once(serve: Serve, context: Context, key: str) -> None:
    """Not after the second body, and free again when the first one ends or breaks."""
    root = serve(upload_rate_limit=1000)  # each attempt counts until the server has noticed the broken connection
    keyed = f"Idempotency-Key: {key}\r\n"
    body = FORM + VIDEO + END
    with connection(root) as first:
        first.sendall(head(len(body), more=keyed + "Expect: 100-continue\r\n"))
        assert answer(first).startswith(b"HTTP/1.1 100")
        with connection(root) as second:
            second.sendall(head(10**8, more=keyed + "Expect: 100-continue\r\n"))
            refused = answer(second)
        assert refused.startswith(b"HTTP/1.1 409")
        assert b"Retry-After: " in refused
    # The first one was cut off.
    wait_for(lambda: upload(root, key, name="a.mp4").status_code == 202)
    assert count_jobs(context) == 1


def test_a_stalled_request_gives_way_and_may_still_end_well(
    serve: Serve, context: Context, left: Left, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A phone in a tunnel changes its network, sends again, and both connections come to life."""
    monkeypatch.setattr(idempotency, "STALLED_AFTER_S", 0.0)
    root = serve()
    body = FORM + VIDEO + END
    with connection(root) as first:
        first.sendall(head(len(body), more=f"Idempotency-Key: {key}\r\n") + body[:-4])
        wait_for(lambda: len(left()) == 1)
        second = upload(root, key, name="a.mp4")
        assert second.status_code == 202
        first.sendall(body[-4:])
        late = answer(first)

    assert late.startswith(b"HTTP/1.1 202")
    assert b"Idempotent-Replayed: true" in late
    assert second.json()["job_id"].encode() in late
    assert count_jobs(context) == 1


def test_one_of_many_requests_at_once_makes_the_job(serve: Serve, context: Context, left: Left, key: str) -> None:
    root = serve(upload_rate_limit=1000)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: upload(root, key), range(24)))

    accepted = [one for one in answers if one.status_code == 202]
    assert {one.status_code for one in answers} <= {202, 409}
    assert len({one.content for one in accepted}) == 1
    assert (1, 1) == (count_jobs(context), count_keys(context))
    wait_for(lambda: len(left()) == 1)


def test_two_processes_make_one_job(context: Context, left: Left, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither knows of the other's request; both have seen that the key is free before either writes."""
    both_looked = threading.Barrier(2, timeout=30)
    look = stored_answer

    def look_together(*of: Any) -> StoredAnswer | None:
        found = look(*of)
        both_looked.wait()
        return found

    monkeypatch.setattr(acceptance, "stored_answer", look_together)
    one, other = with_settings(context), with_settings(context)
    object.__setattr__(other, "in_progress", InProgress())  # as another process has its own
    with serving(one) as first, serving(other) as second, ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda root: upload(root, key), (first, second)))

    assert [202, 202] == [one.status_code for one in answers]
    assert answers[0].content == answers[1].content
    assert {None, "true"} == {one.headers.get("Idempotent-Replayed") for one in answers}
    assert (1, 1) == (count_jobs(context), count_keys(context))
    wait_for(lambda: len(left()) == 1)


def test_two_processes_with_different_uploads_under_one_key_make_one_job(
    context: Context, left: Left, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceptance, "stored_answer", lambda *_: None)
    with serving(context) as root:
        assert upload(root, key, title="one").status_code == 202
        assert upload(root, key, title="other").status_code == 422
    assert (1, 1) == (count_jobs(context), len(left()))


def test_the_key_counts_without_the_receiver_too(client: TestClient, context: Context, left: Left, key: str) -> None:
    """Another WSGI server than ours reads the body from a stream."""
    headers = {"Content-Type": "multipart/form-data; boundary=B", "Idempotency-Key": key}
    first, again = (client.simulate_post("/upload", body=FORM + VIDEO + END, headers=headers | AUTH) for _ in range(2))
    assert (202, first.json) == (again.status_code, again.json)
    assert (1, 1) == (count_jobs(context), len(left()))
