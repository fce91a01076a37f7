"""Double and burnt posts that users of other programs have reported: none of them happens here.

Each test names the program and the month of the report (public issues and pull requests, read 2026-11-29).
"""

from __future__ import annotations

import dataclasses

import pytest

from platforms.contract import ActionNeeded, Published
from platforms.errors import RateLimited, Reconnect, TryLater
from platforms.instagram.publisher import Instagram
from platforms.mock.connect import CLIENT
from platforms.registry import flow
from platforms.tiktok.publisher import TikTok
from platforms.youtube.publisher import CHUNK_UNIT_BYTES, YouTube
from tests.platforms.mock_server import MockServer
from tests.platforms.publishing_run import CASES, PostFactory, PublishingRun, publish

INBOX, DIRECT, LOGIN, FACEBOOK, GOOGLE = CASES
PUBLISH = "POST .*/media_publish"
CONTAINER = r"GET .*graph/v[\d.]+/\d+[?]fields=id,status,status_code"
STATUS = "POST .*/status/fetch"
BYTES = "PUT /youtube-api/upload"


def graph(code: int, subcode: int = 0) -> dict[str, object]:
    return {"error": {"code": code, "error_subcode": subcode, "message": "m"}}


def test_action_blocked_on_a_live_post(mock: MockServer, factory: PostFactory) -> None:
    """Postiz, July 2026: 4/2207051, "blocked", on a post that was live; its users retried it."""
    post, sha256 = factory.post()
    account, _ = FACEBOOK.account(mock.hosts)
    mock.fault(PUBLISH, "lie", status=400, body=graph(4, 2207051))

    run = publish(Instagram(mock.hosts, pace=0), post, account)

    assert isinstance(run.outcome, Published)
    assert len(mock.posts(sha256)) == 1


def test_objects_that_meta_does_not_show(mock: MockServer, factory: PostFactory) -> None:
    """Postiz, June 2026: 100/33 on reads of containers and of links failed posts that were fine."""
    post, sha256 = factory.post()
    account, _ = FACEBOOK.account(mock.hosts)
    mock.fault(CONTAINER, "answer", times=3, status=400, body=graph(100, 33))
    mock.fault("GET .*permalink", "answer", status=400, body=graph(100, 33))

    run = publish(Instagram(mock.hosts, pace=0), post, account)

    assert isinstance(run.outcome, Published)
    assert run.kinds.count("container") == 1
    assert len(mock.posts(sha256)) == 1


def test_a_token_that_expires_while_the_video_is_processed(mock: MockServer, factory: PostFactory) -> None:
    """Postiz, July 2026: after the refresh the whole job ran again, with a second init: two posts."""
    post, sha256 = factory.post()
    account, login = DIRECT.account(mock.hosts)
    publisher, run = TikTok(mock.hosts, mode="direct", pace=0), PublishingRun()
    mock.fault(STATUS, "expire", platform="tiktok")

    with pytest.raises(Reconnect) as expired:
        publish(publisher, post, account, run=run)
    assert expired.value.refreshable
    fresh = flow("tiktok", mock.hosts).refresh(CLIENT, login.tokens).access_token
    again = publish(publisher, post, dataclasses.replace(account, access_token=fresh), start=run.handles[-1])

    assert "init" not in again.kinds
    assert len(mock.posts(sha256)) == 1


def test_an_upload_that_fails_after_init(mock: MockServer, factory: PostFactory) -> None:
    """AiToEarn, August 2026: the retry made a second publish job, although the first one had a publish_id."""
    post, sha256 = factory.post()
    account, _ = DIRECT.account(mock.hosts)
    mock.fault(DIRECT.upload_at, "lose")
    mock.fault(STATUS, "answer", status=500, body={"data": {}, "error": {"code": "internal_error"}})

    run = publish(TikTok(mock.hosts, mode="direct", pace=0), post, account)

    assert run.kinds.count("init") == 1
    assert len(mock.posts(sha256)) == 1


def test_a_limit_of_calls_in_the_form_of_a_refusal(mock: MockServer, factory: PostFactory) -> None:
    """TryPost, August 2026: 80002 with status 400 ended posts; it is a limit."""
    post, sha256 = factory.post()
    account, _ = FACEBOOK.account(mock.hosts)
    mock.fault(PUBLISH, "answer", status=400, body=graph(80002))

    run = publish(Instagram(mock.hosts, pace=0), post, account)

    assert isinstance(run.errors[0], RateLimited)
    assert isinstance(run.outcome, Published)
    assert len(mock.posts(sha256)) == 1


def test_a_process_that_dies_in_the_one_call_that_uploads_and_publishes(mock: MockServer, factory: PostFactory) -> None:
    """Postiz, July 2026: a timeout of the whole upload was retried from its beginning: two videos."""
    post, sha256 = factory.post()
    account, _ = GOOGLE.account(mock.hosts)
    publisher = YouTube(mock.hosts, pace=0, chunk_bytes=CHUNK_UNIT_BYTES)

    run = publish(publisher, post, account, kills={2: "after"})  # the last chunk has arrived, nothing was stored

    assert run.steps[3] == ("upload", True)
    assert len(mock.posts(sha256)) == 1


def test_a_session_that_is_unfinished_after_the_last_byte(mock: MockServer, factory: PostFactory) -> None:
    """The gem yt, June 2015: 308 after the last byte; the second upload was called a duplicate."""
    post, sha256 = factory.post(size_bytes=CHUNK_UNIT_BYTES)
    account, _ = GOOGLE.account(mock.hosts)
    mock.fault(BYTES, "lie", status=308, headers={"Range": f"bytes=0-{CHUNK_UNIT_BYTES - 1}"})

    run = publish(YouTube(mock.hosts, pace=0), post, account)

    assert run.kinds.count("session") == 1
    assert len(mock.posts(sha256)) == 1


def test_a_backend_error_after_everything_has_arrived(mock: MockServer, factory: PostFactory) -> None:
    """youtubeuploader, January and March 2018: up to four copies after "503 Backend Error"."""
    post, sha256 = factory.post()
    account, _ = GOOGLE.account(mock.hosts)
    failed = {"error": {"code": 503, "message": "Backend Error", "errors": [{"reason": "backendError"}]}}
    mock.fault(BYTES, "lie", skip=1, status=503, body=failed)

    run = publish(YouTube(mock.hosts, pace=0, chunk_bytes=CHUNK_UNIT_BYTES), post, account)

    assert run.kinds.count("session") == 1
    assert len(mock.posts(sha256)) == 1


def test_a_conflict_when_a_session_is_begun(mock: MockServer, factory: PostFactory) -> None:
    """Post for Me, August 2026: a single 409 ALREADY_EXISTS ended the post for good."""
    post, sha256 = factory.post()
    account, _ = GOOGLE.account(mock.hosts)
    conflict = {"error": {"code": 409, "status": "ALREADY_EXISTS", "errors": [{"reason": "alreadyExists"}]}}
    mock.fault("POST /youtube-api/upload", "answer", status=409, body=conflict)

    run = publish(YouTube(mock.hosts, pace=0), post, account)

    assert [TryLater] == [type(error) for error in run.errors]
    assert len(mock.posts(sha256)) == 1


def test_a_reel_that_is_published_before_it_is_ready(mock: MockServer, factory: PostFactory) -> None:
    """Post for Me, September 2025: "not ready" at publish ended the post."""
    post, sha256 = factory.post()
    account, _ = LOGIN.account(mock.hosts)
    mock.fault(PUBLISH, "answer", times=3, status=400, body=graph(9007, 2207027))

    run = publish(Instagram(mock.hosts, pace=0), post, account)

    assert run.kinds.count("container") == 1
    assert len(mock.posts(sha256)) == 1


def test_a_draft_whose_upload_is_confirmed_by_a_lost_answer(mock: MockServer, factory: PostFactory) -> None:
    """youtube-automation, May 2026, for its own uploads: what identifies the upload was not stored before the bytes."""
    post, sha256 = factory.post()
    account, _ = INBOX.account(mock.hosts)

    run = publish(TikTok(mock.hosts, pace=0), post, account, kills={1: "after"})

    assert run.kinds.count("init") == 1
    assert isinstance(run.outcome, ActionNeeded)
    assert len(mock.posts(sha256)) == 1
