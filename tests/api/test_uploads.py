"""Uploads over real HTTP are accepted or refused, and refused ones leave no files."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from actors import wiring
from actors.disk import Disk
from actors.flow import job_commands
from actors.recovery.lost_found import INCOMING
from api.context import Context
from platforms.tiktok.options import CONSENT_VERSION
from store import jobs, webhooks
from tests.api.conftest import AUTH, VIDEO, connect

Serve = Callable[..., str]
Left = Callable[[], list[Path]]


def upload(
    root: str, fields: dict[str, str] | None = None, *, file: bytes = VIDEO, name: str = "talk.mp4"
) -> requests.Response:
    form: list[tuple[str, Any]] = [(key, (None, value)) for key, value in (fields or {}).items()]
    return requests.post(f"{root}/upload", files=[*form, ("file", (name, file))], headers=AUTH, timeout=30)


def refused(answer: requests.Response, status: int, **facts: Any) -> None:
    """Check that an answer is a problem document that says these things."""
    assert (status, "application/problem+json") == (answer.status_code, answer.headers["Content-Type"]), answer.text
    document = answer.json()
    assert status == document["status"]
    assert facts == {name: document.get(name) for name in facts}
    assert document["detail"]


@pytest.mark.parametrize(
    ("setting", "value", "asked"),
    [
        (False, "true", True), (False, " On ", True), (False, "1", True), (False, "yes", True), (False, None, False),
        (True, None, True), (True, "", True), (True, "false", False), (True, "off", False), (True, "0", False),
        (True, "No", False),
    ],
)  # fmt: skip
def test_a_review_is_requested_by_the_upload_or_else_by_the_setting(
    serve: Serve, context: Context, setting: bool, value: str | None, asked: bool
) -> None:
    """A checkbox of a form without a value of its own sends "on"."""
    answer = upload(serve(review=setting), {} if value is None else {"review": value})
    assert answer.status_code == 202
    with context.store.reading() as connection:
        job = jobs.get(connection, answer.json()["job_id"])
    assert job is not None
    assert job.review_reasons == (["requested"] if asked else None)


def test_a_video_becomes_a_job_with_its_options(serve: Serve, context: Context) -> None:
    connect(context, "tiktok", "youtube")
    fields = {
        "title": " A talk ",
        "caption": "first line\r\nsecond line",
        "platforms": "youtube, TikTok",
        "gaze_intensity": "0.5",
        "segment_seconds": "30",
        "publish_after": "2026-11-23T10:00:00+02:00",
        "metadata": '{"campaign": 7}',
        "webhook_url": "http://127.0.0.1:9/hook",
    }

    answer = upload(serve(), fields)

    assert answer.status_code == 202
    job_id = answer.json()["job_id"]
    assert answer.json() == {
        "job_id": job_id,
        "status": "pending",
        "status_url": f"/status/{job_id}",
        "all_out_by": None,
        "all_out_reason": "not_planned_yet",
    }
    assert answer.headers["Location"] == f"/status/{job_id}"
    with context.store.reading() as connection:
        job = jobs.get(connection, job_id)
        endpoints = webhooks.every_endpoint(connection)
    assert job is not None
    assert (job.title, job.caption) == ("A talk", "first line\nsecond line")
    assert (
        job.platforms,
        job.gaze_intensity,
        job.segment_seconds,
        job.metadata,
    ) == (["youtube", "tiktok"], 0.5, 30.0, {"campaign": 7})
    assert job.publish_after is not None
    assert job.publish_after.isoformat() == "2026-11-23T08:00:00+00:00"
    assert job.review_reasons is None
    assert [(one.url, one.scope) for one in endpoints] == [("http://127.0.0.1:9/hook", "named")]
    assert ("talk.mp4", len(VIDEO)) == (job.original_name, job.size_bytes)
    assert wiring.machine.in_data(job.video_path).read_bytes() == VIDEO


def test_the_job_and_its_first_message_are_there_together(serve: Serve, context: Context) -> None:
    upload(serve())

    assert [stats.ready for stats in context.broker.admin.queue_stats() if stats.queue == "media"] == [1]


def test_fields_may_come_after_the_file(serve: Serve, context: Context) -> None:
    body: list[tuple[str, Any]] = [("file", ("a.mp4", VIDEO)), ("title", (None, "Later"))]

    answer = requests.post(f"{serve()}/upload", files=body, headers=AUTH, timeout=30)

    with context.store.reading() as connection:
        job = jobs.get(connection, answer.json()["job_id"])
    assert job is not None
    assert job.title == "Later"


def test_a_large_video_arrives_whole_and_is_written_once(serve: Serve, left: Left) -> None:
    content = VIDEO + os.urandom(20 * 2**20)

    answer = upload(serve(), file=content)

    assert answer.status_code == 202
    [path] = left()
    assert sha256(content).hexdigest() == sha256(path.read_bytes()).hexdigest()
    assert list((wiring.machine.settings.data_dir / "tmp").iterdir()) == []


def test_a_chunked_upload_is_taken_too(serve: Serve, left: Left) -> None:
    boundary = "B"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'.encode()
    pieces = iter([head, VIDEO[:7], VIDEO[7:], b"\r\n--B--\r\n"])
    headers = AUTH | {"Content-Type": f"multipart/form-data; boundary={boundary}"}

    answer = requests.post(f"{serve()}/upload", data=pieces, headers=headers, timeout=30)

    assert answer.status_code == 202
    assert left()[0].read_bytes() == VIDEO


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        pytest.param("../../../etc/passwd.mp4", "passwd.mp4", id="path"),
        pytest.param("C:\\Users\\me\\talk.mp4", "talk.mp4", id="Windows path"),
        pytest.param("/etc/cron.d/job", "job", id="absolute"),
        pytest.param("a\x00b\u202egpj.mp4", "abgpj.mp4", id="control and direction characters"),
        pytest.param("x" * 5000 + ".mp4", "x" * 200, id="endless"),
        pytest.param("影片.mp4", "影片.mp4", id="other letters"),
        pytest.param("می‌خواهم.mp4", "می‌خواهم.mp4", id="ZWNJ"),
        pytest.param("👨‍👩‍👧 talk.mp4", "👨‍👩‍👧 talk.mp4", id="ZWJ"),
        pytest.param("\u200d \u200ctalk\u200d", "talk", id="joiners that join nothing"),
    ],
)
def test_a_file_name_is_only_ever_text(serve: Serve, left: Left, context: Context, name: str, shown: str) -> None:
    answer = upload(serve(), name=name)

    assert answer.status_code == 202
    job_id = answer.json()["job_id"]
    assert left() == [wiring.machine.settings.uploads_dir / job_id / "source"]
    with context.store.reading() as connection:
        job = jobs.get(connection, job_id)
    assert job is not None
    assert shown == job.original_name


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"platforms": "myspace"}, "platforms"),
        ({"gaze_intensity": "1.01"}, "gaze_intensity"),
        ({"gaze_intensity": "-0.1"}, "gaze_intensity"),
        ({"gaze_intensity": "nan"}, "gaze_intensity"),
        ({"gaze_intensity": "much"}, "gaze_intensity"),
        ({"segment_seconds": "5.9"}, "segment_seconds"),
        ({"segment_seconds": "61"}, "segment_seconds"),
        ({"metadata": "{"}, "metadata"),
        ({"metadata": "[1]"}, "metadata"),
        ({"metadata": '{"a": NaN}'}, "metadata"),
        ({"metadata": '{"a": "\\ud800"}'}, "metadata"),
        ({"metadata": "[" * 15_000}, "metadata"),
        ({"metadata": json.dumps({"a": "x" * 17_000})}, "metadata"),
        ({"publish_after": "tomorrow"}, "publish_after"),
        ({"publish_after": "2026-11-23T10:00:00"}, "publish_after"),
        ({"publish_after": "0001-01-01T00:00:00+23:00"}, "publish_after"),
        ({"publish_after": "2030-01-01T00:00:00Z"}, "publish_after"),
        ({"review": "maybe"}, "review"),
        ({"review": "\u0661"}, "review"),
        ({"webhook_url": "ftp://example.com/x"}, "webhook_url"),
        ({"title": "x" * 201}, "title"),
        ({"title": "bell\x07"}, "title"),
        ({"title": "x" * 70_000}, "title"),
        ({"platfroms": "tiktok"}, "platfroms"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_left(
    serve: Serve, left: Left, fields: dict[str, str], field: str
) -> None:
    refused(upload(serve(), fields), 422, field=field)

    assert left() == []


def test_a_limit_that_is_exceeded_is_named(serve: Serve) -> None:
    root = serve()

    assert "60" in upload(root, {"segment_seconds": "61"}).json()["detail"]
    assert "tiktok, instagram, youtube" in upload(root, {"platforms": "myspace"}).json()["detail"]


def test_a_platform_without_an_account_is_named(serve: Serve, left: Left, context: Context) -> None:
    connect(context, "tiktok")

    refused(upload(serve(), {"platforms": "tiktok,youtube"}), 409, code="account_missing", platform="youtube")

    assert left() == []


def test_a_title_that_a_platform_would_refuse_is_refused_now(serve: Serve, context: Context) -> None:
    connect(context, "youtube")

    root = serve()

    refused(upload(root, {"title": "x" * 95}), 422, field="title", platform="youtube")
    refused(upload(root, {"title": "🎬" * 50}), 422, field="title", platform="youtube")
    refused(upload(root, {"title": "My\ntalk"}), 422, field="title", platform="youtube")
    refused(upload(root, {"caption": "<b>"}), 422, field="caption", platform="youtube")


def test_accounts_privacy_and_options_are_those_of_the_upload(serve: Serve, context: Context) -> None:
    """Options of a platform go before the privacy of all."""
    connect(context, "tiktok", "youtube")
    options = json.dumps({"youtube": {"privacy": "unlisted"}})
    answer = upload(serve(), {"accounts": "youtube-1,tiktok-1", "privacy": "private", "options": options})

    assert answer.status_code == 202, answer.text
    with context.store.reading() as connection:
        job = jobs.get(connection, answer.json()["job_id"])
    assert job is not None
    assert job.accounts == ["youtube-1", "tiktok-1"]
    assert job.post_options == {
        "tiktok": {"privacy": "private"},
        "instagram": {"privacy": "private"},  # an account that is connected later is not to publish for everyone
        "youtube": {"privacy": "unlisted"},
    }


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"accounts": "nobody"}, "accounts"),
        ({"accounts": "youtube-1", "platforms": "youtube,tiktok"}, "accounts"),
        ({"accounts": "youtube-1,tiktok-1", "platforms": "youtube"}, "accounts"),
        ({"privacy": "unlisted", "platforms": "tiktok"}, "options"),
        ({"privacy": "friends"}, "options"),
        ({"privacy": "secret"}, "privacy"),
        ({"options": "[]"}, "options"),
        ({"options": '{"myspace": {}}'}, "options.myspace"),
        ({"options": '{"youtube": {"privacy": "friends"}}'}, "options.youtube.privacy"),
    ],
)
def test_a_choice_that_cannot_be_kept_is_refused(
    serve: Serve, context: Context, fields: dict[str, str], field: str
) -> None:
    """Nothing goes out to others than those chosen."""
    connect(context, "tiktok", "youtube")
    root = serve()

    refused(upload(root, fields), 422, field=field)


def test_a_direct_post_on_tiktok_needs_a_privacy_and_a_consent(serve: Serve, context: Context) -> None:
    """Before the video is rendered; the time of the consent is recorded."""
    connect(context, "tiktok")
    root = serve(tiktok_mode="direct", environment="production")

    refused(upload(root), 422, field="options", platform="tiktok", reason="option_missing")
    options = json.dumps({"tiktok": {"privacy": "friends", "consent": CONSENT_VERSION}})
    answer = upload(root, {"options": options})

    assert answer.status_code == 202, answer.text
    with context.store.reading() as connection:
        job = jobs.get(connection, answer.json()["job_id"])
    assert job is not None
    assert job.post_options is not None
    assert datetime.fromisoformat(job.post_options["tiktok"].pop("consented_at")).tzinfo is not None
    assert job.post_options == {"tiktok": {"privacy": "friends", "consent": CONSENT_VERSION}}


@pytest.mark.parametrize("name", ["x" * 150 + ".mp4", "IMG_4711.MOV", ""])
def test_an_upload_is_not_refused_for_a_title_that_nobody_wrote(serve: Serve, context: Context, name: str) -> None:
    """Its title follows from its caption, its file's name or its date, and fits."""
    connect(context, "youtube")

    assert upload(serve(), name=name or "-").status_code == 202


def test_a_webhook_to_a_private_address_is_refused(serve: Serve, left: Left) -> None:
    root = serve(webhook_allow_private=False)

    for url in ("https://127.0.0.1/x", "https://[::1]/x", "https://169.254.169.254/latest", "http://example.com/x"):
        refused(upload(root, {"webhook_url": url}), 422, field="webhook_url")

    assert left() == []


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        pytest.param(b"", 400, "empty_file", id="empty"),
        pytest.param(b"just a text " * 100, 415, "not_a_video", id="text named .mp4"),
        pytest.param(b"short", 415, "not_a_video", id="five bytes"),
        pytest.param(b"#EXTM3U\n#EXTINF:1,\nfile:///data/x.mp4\n" * 9, 415, "not_a_video", id="playlist named .mp4"),
        pytest.param(b"\x00\x00\x00\x18ftypM4A " + bytes(99), 415, "not_a_video", id="audio only"),
    ],
)
def test_what_is_no_video_is_refused_at_once(serve: Serve, left: Left, content: bytes, status: int, code: str) -> None:
    refused(upload(serve(), file=content), status, code=code, field="file")

    assert left() == []


def test_one_byte_too_many_is_refused_and_the_limit_named(serve: Serve, left: Left) -> None:
    root = serve(max_upload_size=len(VIDEO))

    assert upload(root, file=VIDEO).status_code == 202
    answer = upload(root, file=VIDEO + b"x")

    refused(answer, 413, code="too_large", field="file", limit_bytes=len(VIDEO))
    assert "10 264 bytes" in answer.json()["detail"]
    assert len(left()) == 1


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        pytest.param("multipart/form-data", b"x", 400, id="no boundary"),
        pytest.param("multipart/form-data; boundary=B", b"nothing of the kind", 400, id="no part"),
        pytest.param("multipart/form-data; boundary=B", b"--B--\r\n", 400, id="no file"),
        pytest.param("multipart/form-data; boundary=B", b"--B\r\nX: y\r\n\r\n--B--", 400, id="part without a name"),
        pytest.param("application/json", b"{}", 415, id="no form"),
        pytest.param(None, b"{}", 415, id="no content type"),
        pytest.param("multipart/form-data; boundary=B", b"", 400, id="no body"),
    ],
)
def test_a_broken_form_is_a_bad_request(
    serve: Serve, left: Left, content_type: str | None, body: bytes, status: int
) -> None:
    headers = AUTH | ({"Content-Type": content_type} if content_type else {})

    refused(requests.post(f"{serve()}/upload", data=body, headers=headers, timeout=30), status)

    assert left() == []


def test_two_files_are_one_too_many(serve: Serve, left: Left) -> None:
    body = [("file", ("a.mp4", VIDEO)), ("file", ("b.mp4", VIDEO))]

    refused(requests.post(f"{serve()}/upload", files=body, headers=AUTH, timeout=30), 422, field="file")

    assert left() == []


def test_a_field_that_is_not_utf_8_is_refused(serve: Serve, left: Left) -> None:
    body = [("file", ("a.mp4", VIDEO)), ("title", (None, b"caf\xe9"))]

    refused(requests.post(f"{serve()}/upload", files=body, headers=AUTH, timeout=30), 422, field="title")

    assert left() == []


def test_without_room_on_the_disk_nothing_is_taken_in(
    serve: Serve, left: Left, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Disk, "room_bytes", 0)

    answer = upload(serve())

    refused(answer, 503, code="disk_full")
    assert int(answer.headers["Retry-After"]) > 0
    assert left() == []


def test_a_disk_that_fills_up_on_the_way_leaves_nothing(
    serve: Serve, left: Left, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write

    def full(fd: int, data: bytes) -> int:
        if Path(f"/proc/self/fd/{fd}").readlink().name != INCOMING:
            return real(fd, data)  # waitress writes to its pipe
        raise OSError(errno.ENOSPC, "no space left")

    # Not in the module itself: waitress writes to its pipes by os.write, too.
    monkeypatch.setattr("api.uploads.file.os", SimpleNamespace(**vars(os) | {"write": full}))
    answer = upload(serve())
    monkeypatch.undo()

    refused(answer, 503, code="disk_full")
    assert left() == []


@pytest.mark.logs_errors
def test_a_job_that_cannot_be_recorded_leaves_no_file(
    serve: Serve, left: Left, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the database is gone")

    monkeypatch.setattr(job_commands, "accept", broken)

    answer = upload(serve())

    refused(answer, 500, code="internal_error")
    assert "database" not in answer.text
    assert left() == []


def test_uploads_are_limited_by_the_minute(serve: Serve) -> None:
    root = serve(upload_rate_limit=2)

    assert [upload(root).status_code for _ in range(2)] == [202, 202]
    answer = upload(root)

    refused(answer, 429, code="too_many", limit_per_minute=2)
    assert 0 < int(answer.headers["Retry-After"]) <= 61
