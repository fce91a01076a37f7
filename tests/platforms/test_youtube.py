"""YouTube: sessions that repeat their response, the search after a lost session, quotas, the audit lock."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from platforms.contract import ActionNeeded, Published
from platforms.errors import (
    AccountRefused,
    OperatorNeeded,
    OutcomeUnknown,
    PlatformError,
    PostFailed,
    RateLimited,
    Reconnect,
    Rejected,
    TryLater,
    Unclear,
)
from platforms.youtube.api import until_pacific_midnight_s
from platforms.youtube.options import YouTubeOptions
from platforms.youtube.publisher import YouTube
from tests.platforms.mock_server import MockServer
from tests.platforms.publishing_run import CASES, PostFactory, PublishingRun, first_step, publish
from tests.support.clock import Clock

YOUTUBE = CASES[4]
SESSION = "POST /youtube-api/upload"
BYTES = "PUT /youtube-api/upload"
VIDEOS = "GET /youtube-api/youtube/v3/videos"
PLAYLIST = "GET /youtube-api/youtube/v3/playlistItems"


def refusal(status: int, reason: str) -> dict[str, object]:
    return {"error": {"code": status, "message": "m", "errors": [{"reason": reason}]}}


def test_a_session_lost_after_the_last_byte_is_settled_by_a_search(mock: MockServer, factory: PostFactory) -> None:
    """The response to the last byte is lost, then the session is gone: the one video found is adopted."""
    post, sha256 = factory.post()
    account, _ = YOUTUBE.account(mock.hosts)
    mock.fault(BYTES, "lose", skip=1)
    mock.fault(BYTES, "answer", skip=2, status=404)

    run = publish(YouTube(mock.hosts, pace=0, chunk_bytes=262_144), post, account)

    assert run.kinds.count("session") == 1
    assert run.kinds.count("search") == 1
    assert isinstance(run.outcome, Published)
    assert [run.outcome.remote_id] == [one["id"] for one in mock.posts(sha256)]


def test_a_session_lost_before_the_last_byte_is_replaced(mock: MockServer, factory: PostFactory) -> None:
    """No video can exist before its last byte."""
    post, sha256 = factory.post()
    account, _ = YOUTUBE.account(mock.hosts)
    mock.fault(BYTES, "answer", status=404)

    run = publish(YouTube(mock.hosts, pace=0, chunk_bytes=262_144), post, account)

    assert run.kinds.count("search") == 0
    assert run.kinds.count("session") == 2
    assert len(mock.posts(sha256)) == 1


def test_a_session_lost_with_its_last_byte_needs_three_searches(mock: MockServer, factory: PostFactory) -> None:
    """Lists are updated late, so one empty search proves nothing."""
    post, sha256 = factory.post()
    account, _ = YOUTUBE.account(mock.hosts)
    mock.fault(BYTES, "answer", skip=1, status=404)

    run = publish(YouTube(mock.hosts, pace=0, chunk_bytes=262_144), post, account)

    assert run.kinds.count("search") == 3
    assert run.kinds.count("session") == 2
    assert len(mock.posts(sha256)) == 1


def test_several_matches_are_left_to_a_person(mock: MockServer, factory: PostFactory) -> None:
    """Neither adopting one of them nor posting another would be right."""
    account, _ = YOUTUBE.account(mock.hosts)
    publisher = YouTube(mock.hosts, pace=0)
    twin, _ = factory.post(title="Twins", publication_id="twin")
    publish(publisher, twin, account)
    again, _ = factory.post(title="Twins", publication_id="twin")
    mock.fault(BYTES, "lose")
    mock.fault(BYTES, "answer", skip=1, status=404)

    with pytest.raises(OutcomeUnknown) as caught:
        publish(publisher, again, account)

    assert caught.value.code == "several_matches"


def test_a_lost_response_to_the_last_byte_is_repeated_by_the_session(mock: MockServer, factory: PostFactory) -> None:
    """The session is the idempotency key: asked again, it repeats the video's id."""
    post, sha256 = factory.post()
    account, _ = YOUTUBE.account(mock.hosts)
    mock.fault(BYTES, "lose", skip=1)

    run = publish(YouTube(mock.hosts, pace=0, chunk_bytes=262_144), post, account)

    assert ("upload", True) in run.steps
    assert run.kinds.count("search") == 0
    assert len(mock.posts(sha256)) == 1


def test_the_resource_has_all_required_fields(mock: MockServer, factory: PostFactory) -> None:
    """Privacy, made for kids, synthetic media, and the id of the publication as file name."""
    post, sha256 = factory.post(options={"privacy": "unlisted"})
    account, _ = YOUTUBE.account(mock.hosts)

    publish(YouTube(mock.hosts, pace=0), post, account)

    found = mock.posts(sha256)[0]
    assert found["metadata"]["status"] == {
        "privacyStatus": "unlisted",
        "selfDeclaredMadeForKids": False,
        "containsSyntheticMedia": True,
    }
    assert f"{post.publication_id}.mp4" == found["slug"]
    assert found["metadata"]["snippet"]["description"] == "On seeing"


def test_the_options_of_a_video_are_sent(mock: MockServer, factory: PostFactory) -> None:
    """Category, tags, the declaration for children, and the notification of subscribers."""
    chosen = {"category": "27", "tags": ["eyes", "public speaking"], "made_for_kids": True, "notify_subscribers": True}
    post, sha256 = factory.post(options=chosen)
    account, _ = YOUTUBE.account(mock.hosts)

    publish(YouTube(mock.hosts, pace=0), post, account)

    sent = mock.posts(sha256)[0]["metadata"]
    assert (sent["snippet"]["categoryId"], sent["snippet"]["tags"]) == ("27", ["eyes", "public speaking"])
    assert (sent["status"]["selfDeclaredMadeForKids"], sent["notify"]) == (True, "true")


@pytest.mark.parametrize("tags", [["x" * 501], ["a b"] * 84, ["<"], ["a,b"], [""]])
def test_tags_count_as_youtube_counts_them(tags: list[str], factory: PostFactory, mock: MockServer) -> None:
    """A comma between two tags counts, and a tag with a blank two more."""
    post, _ = factory.post(options={"tags": tags})
    account, _ = YOUTUBE.account(mock.hosts)
    with pytest.raises(Rejected) as refused:
        YouTube(mock.hosts).begin(post, account)
    assert refused.value.code == "options_refused"
    YouTubeOptions.read({"tags": ["a b"] * 83})


def test_a_video_locked_as_private_needs_an_action(tmp_path: Path, factory: PostFactory) -> None:
    """Requested public, stored private: the video exists, but only its owner can see it."""
    server = MockServer(tmp_path, "--processing-seconds", "0", "--unaudited")
    try:
        post, _ = factory.post()
        account, _ = YOUTUBE.account(server.hosts)
        outcome = publish(YouTube(server.hosts, pace=0), post, account).outcome
        assert isinstance(outcome, ActionNeeded)
        assert outcome.note == "locked_private"

        direct = CASES[1]
        account, _ = direct.account(server.hosts)
        with pytest.raises(OperatorNeeded) as caught:
            publish(direct.publisher(server.hosts), post, account)
        assert caught.value.code == "app_not_audited"
    finally:
        server.kill()


@pytest.mark.parametrize(
    ("status", "kind", "ours"),
    [
        ({"uploadStatus": "failed", "failureReason": "codec"}, PostFailed, "video_refused"),
        ({"uploadStatus": "rejected", "rejectionReason": "copyright"}, PostFailed, "video_refused"),
        ({"uploadStatus": "rejected", "rejectionReason": "duplicate"}, PostFailed, "duplicate"),
    ],
)
def test_a_video_that_youtube_takes_down_is_rejected(
    status: dict[str, str], kind: type[PlatformError], ours: str, mock: MockServer, factory: PostFactory
) -> None:
    """A rejected duplicate without another video of ours is an earlier upload of the owner."""
    post, _ = factory.post()
    account, _ = YOUTUBE.account(mock.hosts)
    mock.fault(VIDEOS, "answer", status=200, body={"items": [{"id": "x", "status": status}]})
    mock.fault(PLAYLIST, "answer", status=200, body={"items": []})

    with pytest.raises(kind) as caught:
        publish(YouTube(mock.hosts, pace=0), post, account)

    assert ours == caught.value.code


@pytest.mark.parametrize(
    ("http", "reason", "kind", "ours"),
    [
        (400, "invalidTitle", Rejected, "invalid_post"),
        (400, "uploadLimitExceeded", RateLimited, "post_limit"),
        (403, "quotaExceeded", RateLimited, "quota"),
        (403, "userRateLimitExceeded", RateLimited, "rate_limit"),
        (403, "insufficientPermissions", Reconnect, "scope_missing"),
        (403, "forbidden", Rejected, "forbidden"),
        (403, "authenticatedUserAccountSuspended", AccountRefused, "account_closed"),
        (401, "youtubeSignupRequired", Reconnect, "no_channel"),
        (401, "forbidden", Reconnect, "token_expired"),
        (403, "authenticatedUserNotChannel", AccountRefused, "no_channel"),
        (401, "authError", Reconnect, "token_expired"),
        (401, "", Reconnect, "token_expired"),
        (503, "backendError", TryLater, "platform_down"),
        (400, "processingFailure", TryLater, "platform_down"),
        (400, "failedPrecondition", TryLater, "platform_down"),
        (409, "aborted", TryLater, "platform_down"),
        (409, "alreadyExists", TryLater, "platform_down"),
        (408, "", TryLater, "try_again"),
        (409, "somethingNew", TryLater, "try_again"),
        (425, "", TryLater, "try_again"),
        (500, "invalidTitle", TryLater, "answer_lost"),
        (403, "accessNotConfigured", OperatorNeeded, "api_disabled"),
        (400, "keyInvalid", OperatorNeeded, "app_misconfigured"),
        (403, "somethingNew", Rejected, "refused"),
        (418, "somethingNew", TryLater, "answer_lost"),
    ],
)
def test_every_reason_says_what_to_do_next(
    http: int, reason: str, kind: type[PlatformError], ours: str, mock: MockServer, factory: PostFactory
) -> None:
    """The reason is looked up first, then the status."""
    post, _ = factory.post()
    account, _ = YOUTUBE.account(mock.hosts)
    publisher = YouTube(mock.hosts, pace=0)
    mock.fault(SESSION, "answer", status=http, body=refusal(http, reason))

    with pytest.raises(kind) as caught:
        first_step(publisher, post, account)

    assert ours == caught.value.code


def _new_style(reason: str, status: str, old: str = "forbidden", **metadata: str) -> dict[str, object]:
    detail = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "metadata": metadata}
    other = {"@type": "type.googleapis.com/google.rpc.LocalizedMessage", "message": "m"}
    return {"error": {"code": 403, "status": status, "errors": [{"reason": old}], "details": [other, detail]}}


@pytest.mark.parametrize(
    ("http", "body", "kind", "ours"),
    [
        (403, _new_style("SERVICE_DISABLED", "PERMISSION_DENIED"), OperatorNeeded, "api_disabled"),
        (403, _new_style("API_KEY_SERVICE_BLOCKED", "PERMISSION_DENIED"), OperatorNeeded, "app_misconfigured"),
        (403, _new_style("ACCESS_TOKEN_SCOPE_INSUFFICIENT", "PERMISSION_DENIED"), Reconnect, "scope_missing"),
        (429, _new_style("RATE_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED", "rateLimitExceeded"), RateLimited, "rate_limit"),
        (
            429,
            _new_style("RATE_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED", quota_limit="VideoInsertsPerDayPerProject"),
            RateLimited,
            "quota",
        ),
        (400, {"error": {"code": 400, "status": "FAILED_PRECONDITION"}}, TryLater, "platform_down"),
        (409, {"error": {"code": 409, "status": "ALREADY_EXISTS"}}, TryLater, "platform_down"),
        (401, {"error": {"code": 401, "status": "UNAUTHENTICATED"}}, Reconnect, "token_expired"),
        (401, {"error": "invalid_client"}, OperatorNeeded, "app_misconfigured"),
        (401, "<html>", Reconnect, "token_expired"),
        (403, "<html>captcha", TryLater, "answer_lost"),
        (404, None, TryLater, "answer_lost"),
        (400, "", TryLater, "answer_lost"),
        (200, {}, TryLater, "answer_lost"),
    ],
)
def test_both_formats_of_googles_errors_are_read_and_nothing_else_is_a_verdict(
    http: int, body: object, kind: type[PlatformError], ours: str, mock: MockServer, factory: PostFactory
) -> None:
    """`details[].reason` is the most exact, then `errors[].reason`, then `status`; a page of a proxy is no refusal."""
    post, _ = factory.post()
    account, _ = YOUTUBE.account(mock.hosts)
    mock.fault(SESSION, "answer", status=http, body=body, headers={"Retry-After": "77"})

    with pytest.raises(kind) as caught:
        first_step(YouTube(mock.hosts, pace=0), post, account)

    assert (kind, ours) == (type(caught.value), caught.value.code)
    if isinstance(caught.value, TryLater) and ours != "quota":
        assert caught.value.retry_after_s == 77.0


def test_two_hours_without_a_session_do_not_end_the_post(mock: MockServer, factory: PostFactory) -> None:
    """A session alone is no video, so it is asked for again; a minute apart, since each counts against the quota."""
    post, sha256 = factory.post()
    account, _ = YOUTUBE.account(mock.hosts)
    clock = Clock(datetime.now(UTC))
    mock.fault(SESSION, "lose", times=6)

    run = publish(YouTube(mock.hosts, clock=clock.timestamp), post, account, clock=clock)

    assert (mock.struck(), run.kinds.count("search")) == (6, 0)
    assert all(isinstance(error, TryLater) and error.retry_after_s >= 60 for error in run.errors)
    assert run.paused_s > 7_200
    assert len(mock.posts(sha256)) == 1


def test_two_hours_without_an_answer_to_bytes_do_not_end_the_post(mock: MockServer, factory: PostFactory) -> None:
    """The session answers questions all the time; the pauses between two attempts grow."""
    post, sha256 = factory.post()
    account, _ = YOUTUBE.account(mock.hosts)
    clock = Clock(datetime.now(UTC))
    mock.fault(BYTES, "answer", status=503, times=1)
    for number in range(1, 12):
        mock.fault(BYTES, "answer", skip=2 * number, status=503)

    run = publish(YouTube(mock.hosts, clock=clock.timestamp), post, account, clock=clock)

    assert run.kinds.count("session") == 1
    assert run.paused_s > 7_200
    assert len(mock.posts(sha256)) == 1


def test_bytes_refused_again_and_again_end_the_post_by_the_sessions_word(
    mock: MockServer, factory: PostFactory
) -> None:
    """Each time the session reports the missing bytes; the last report comes right before the end."""
    post, sha256 = factory.post()
    account, _ = YOUTUBE.account(mock.hosts)
    run = PublishingRun()
    for number in range(9):
        mock.fault(BYTES, "answer", skip=2 * number, status=400, body=refusal(400, "badRequest"))

    with pytest.raises(PostFailed) as caught:
        publish(YouTube(mock.hosts, pace=0), post, account, run=run)

    assert (caught.value.code, caught.value.platform_code) == ("upload_refused", "badRequest")
    assert run.kinds[-1] == "locate"
    assert mock.posts(sha256) == []


def test_a_session_with_all_bytes_but_without_a_video_is_asked_again(mock: MockServer, factory: PostFactory) -> None:
    """Seen by others: 308 after the last byte. Sending the file again made a duplicate there."""
    post, sha256 = factory.post(size_bytes=262_144)
    account, _ = YOUTUBE.account(mock.hosts)
    mock.fault(BYTES, "lie", status=308, headers={"Range": "bytes=0-262143"})
    mock.fault(BYTES, "answer", skip=1, times=3, status=308, headers={"Range": "bytes=0-262143"})

    run = publish(YouTube(mock.hosts, pace=0), post, account)

    assert run.kinds.count("locate") == 4
    assert isinstance(run.outcome, Published)
    assert len(mock.posts(sha256)) == 1


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (403, refusal(403, "forbidden")),
        (403, refusal(403, "accessNotConfigured")),
        (404, refusal(404, "videoNotFound")),
        (400, refusal(400, "processingFailure")),
        (409, refusal(409, "conflict")),
        (403, refusal(403, "authenticatedUserAccountSuspended")),
        (403, "<html>captcha</html>"),
    ],
)
def test_a_refused_question_about_the_video_decides_nothing(
    status: int, body: object, mock: MockServer, factory: PostFactory
) -> None:
    """The video exists; only its own `uploadStatus` ends the post as failed."""
    post, sha256 = factory.post()
    account, _ = YOUTUBE.account(mock.hosts)
    mock.fault(VIDEOS, "answer", status=status, body=body)

    run = publish(YouTube(mock.hosts, pace=0), post, account, reconnects=True)

    assert isinstance(run.outcome, Published)
    assert len(run.errors) == 1
    assert len(mock.posts(sha256)) == 1


def test_a_used_up_quota_waits_for_midnight_in_california(mock: MockServer, factory: PostFactory) -> None:
    """All channels of the project have to wait."""
    post, _ = factory.post()
    account, _ = YOUTUBE.account(mock.hosts)
    noon = datetime(2026, 7, 1, 19, 0, tzinfo=UTC)  # 12:00 in Los Angeles, summer time
    publisher = YouTube(mock.hosts, pace=0, clock=noon.timestamp)
    mock.fault(SESSION, "answer", status=403, body=refusal(403, "quotaExceeded"))

    with pytest.raises(RateLimited) as caught:
        first_step(publisher, post, account)

    assert (caught.value.scope, caught.value.retry_after_s) == ("app", 12 * 3600 + 60.0)


@pytest.mark.parametrize(
    ("now", "hours"),
    [
        (datetime(2026, 3, 8, 8, 0, tzinfo=UTC), 23),  # the day on which an hour is skipped
        (datetime(2026, 11, 1, 7, 0, tzinfo=UTC), 25),  # the day on which an hour comes twice
        (datetime(2026, 12, 1, 8, 0, tzinfo=UTC), 24),
    ],
)
def test_the_length_of_a_californian_day_follows_its_clock_changes(now: datetime, hours: int) -> None:
    """Counted from its first minute on days with clock changes."""
    assert hours * 3600 + 60.0 == until_pacific_midnight_s(now.timestamp())


def test_a_session_address_elsewhere_is_never_called(mock: MockServer, factory: PostFactory) -> None:
    """The token would go there."""
    post, _ = factory.post()
    account, _ = YOUTUBE.account(mock.hosts)
    publisher = YouTube(mock.hosts, pace=0)
    mock.fault(SESSION, "answer", status=200, headers={"Location": "https://googleapis.com.evil.example/u"})

    with pytest.raises(OperatorNeeded) as caught:
        first_step(publisher, post, account)

    assert caught.value.code == "foreign_address"


def test_no_session_address_at_all_is_not_taken_for_success(mock: MockServer, factory: PostFactory) -> None:
    """A 200 without Location opens nothing."""
    post, _ = factory.post()
    account, _ = YOUTUBE.account(mock.hosts)
    publisher = YouTube(mock.hosts, pace=0)
    mock.fault(SESSION, "answer", status=200)

    with pytest.raises((Unclear, TryLater)):
        first_step(publisher, post, account)
