"""What is YouTube's own: sessions that repeat their answer, the search after a lost session, quotas, the audit lock."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from platforms.contract import ActionNeeded, Published
from platforms.errors import (
    AccountRefused,
    OutcomeUnknown,
    PlatformError,
    RateLimited,
    Reconnect,
    Rejected,
    TryLater,
    Unclear,
)
from platforms.youtube.api import until_pacific_midnight_s
from platforms.youtube.publisher import YouTube
from tests.platforms.journey import CASES, Studio, travel
from tests.platforms.mock_server import MockServer

YOUTUBE = CASES[4]
SESSION = "POST /youtube-api/upload"
BYTES = "PUT /youtube-api/upload"
VIDEOS = "GET /youtube-api/youtube/v3/videos"
PLAYLIST = "GET /youtube-api/youtube/v3/playlistItems"


def refusal(status: int, reason: str) -> dict[str, object]:
    return {"error": {"code": status, "message": "m", "errors": [{"reason": reason}]}}


def test_a_session_lost_after_the_last_byte_is_settled_by_the_channels_list(mock: MockServer, studio: Studio) -> None:
    """The answer to the last byte is lost, and then the session is gone: the one video found is adopted."""
    post, sha256 = studio.post()
    account, _ = YOUTUBE.account(mock.hosts)
    mock.fault(BYTES, "lose", skip=1)
    mock.fault(BYTES, "answer", skip=2, status=404)

    journey = travel(YouTube(mock.hosts, pace=0, chunk_bytes=262_144), post, account)

    assert journey.kinds.count("session") == 1
    assert journey.kinds.count("search") == 1
    assert isinstance(journey.outcome, Published)
    assert [journey.outcome.remote_id] == [one["id"] for one in mock.posts(sha256)]


def test_a_session_lost_before_the_last_byte_is_begun_anew(mock: MockServer, studio: Studio) -> None:
    """No video can exist before its last byte."""
    post, sha256 = studio.post()
    account, _ = YOUTUBE.account(mock.hosts)
    mock.fault(BYTES, "answer", status=404)

    journey = travel(YouTube(mock.hosts, pace=0, chunk_bytes=262_144), post, account)

    assert journey.kinds.count("search") == 0
    assert journey.kinds.count("session") == 2
    assert len(mock.posts(sha256)) == 1


def test_a_session_lost_with_its_last_byte_needs_three_looks_before_a_new_one(mock: MockServer, studio: Studio) -> None:
    """Lists lag behind: nothing found at once proves nothing."""
    post, sha256 = studio.post()
    account, _ = YOUTUBE.account(mock.hosts)
    mock.fault(BYTES, "answer", skip=1, status=404)

    journey = travel(YouTube(mock.hosts, pace=0, chunk_bytes=262_144), post, account)

    assert journey.kinds.count("search") == 3
    assert journey.kinds.count("session") == 2
    assert len(mock.posts(sha256)) == 1


def test_several_matches_are_left_to_a_person(mock: MockServer, studio: Studio) -> None:
    """Neither adopting one nor posting a third would be right."""
    account, _ = YOUTUBE.account(mock.hosts)
    publisher = YouTube(mock.hosts, pace=0)
    twin, _ = studio.post(title="Twins", publication_id="twin")
    travel(publisher, twin, account)
    again, _ = studio.post(title="Twins", publication_id="twin")
    mock.fault(BYTES, "lose")
    mock.fault(BYTES, "answer", skip=1, status=404)

    with pytest.raises(OutcomeUnknown) as caught:
        travel(publisher, again, account)

    assert caught.value.code == "several_matches"


def test_a_lost_answer_to_the_last_byte_is_repeated_by_the_session(mock: MockServer, studio: Studio) -> None:
    """The session is the idempotency key: asked again, it repeats the video's id."""
    post, sha256 = studio.post()
    account, _ = YOUTUBE.account(mock.hosts)
    mock.fault(BYTES, "lose", skip=1)

    journey = travel(YouTube(mock.hosts, pace=0, chunk_bytes=262_144), post, account)

    assert ("upload", True) in journey.steps
    assert journey.kinds.count("search") == 0
    assert len(mock.posts(sha256)) == 1


def test_what_is_sent_says_all_that_must_always_be_said(mock: MockServer, studio: Studio) -> None:
    """Privacy, made for kids, synthetic media; the publication's id travels as the file's name."""
    post, sha256 = studio.post(privacy="unlisted")
    account, _ = YOUTUBE.account(mock.hosts)

    travel(YouTube(mock.hosts, pace=0), post, account)

    found = mock.posts(sha256)[0]
    assert found["metadata"]["status"] == {
        "privacyStatus": "unlisted",
        "selfDeclaredMadeForKids": False,
        "containsSyntheticMedia": True,
    }
    assert f"{post.publication_id}.mp4" == found["slug"]
    assert found["metadata"]["snippet"]["description"] == "On seeing"


def test_a_video_locked_for_want_of_an_audit_is_shown_to_a_person(tmp_path: Path, studio: Studio) -> None:
    """Asked for public, got private: it is up, but nobody sees it."""
    server = MockServer(tmp_path, "--processing-seconds", "0", "--unaudited")
    try:
        post, _ = studio.post()
        account, _ = YOUTUBE.account(server.hosts)
        outcome = travel(YouTube(server.hosts, pace=0), post, account).outcome
        assert isinstance(outcome, ActionNeeded)
        assert outcome.note == "locked_private"

        direct = CASES[1]
        account, _ = direct.account(server.hosts)
        with pytest.raises(Rejected) as caught:
            travel(direct.publisher(server.hosts), post, account)
        assert caught.value.code == "app_not_audited"
    finally:
        server.kill()


@pytest.mark.parametrize(
    ("status", "kind", "ours"),
    [
        ({"uploadStatus": "failed", "failureReason": "codec"}, Rejected, "video_refused"),
        ({"uploadStatus": "rejected", "rejectionReason": "copyright"}, Rejected, "video_refused"),
        ({"uploadStatus": "rejected", "rejectionReason": "duplicate"}, Rejected, "duplicate"),
    ],
)
def test_a_video_that_youtube_takes_down_is_rejected(
    status: dict[str, str], kind: type[PlatformError], ours: str, mock: MockServer, studio: Studio
) -> None:
    """A rejected duplicate with no other video of ours is someone's earlier upload."""
    post, _ = studio.post()
    account, _ = YOUTUBE.account(mock.hosts)
    mock.fault(VIDEOS, "answer", status=200, body={"items": [{"id": "x", "status": status}]})
    mock.fault(PLAYLIST, "answer", status=200, body={"items": []})

    with pytest.raises(kind) as caught:
        travel(YouTube(mock.hosts, pace=0), post, account)

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
        (401, "youtubeSignupRequired", AccountRefused, "no_channel"),
        (401, "authError", Reconnect, "token_expired"),
        (401, "", Reconnect, "token_expired"),
        (503, "backendError", Unclear, "answer_lost"),
        (418, "", Rejected, "refused"),
    ],
)
def test_every_reason_says_what_to_do_next(
    http: int, reason: str, kind: type[PlatformError], ours: str, mock: MockServer, studio: Studio
) -> None:
    """By reason first, then by status."""
    post, _ = studio.post()
    account, _ = YOUTUBE.account(mock.hosts)
    publisher = YouTube(mock.hosts, pace=0)
    mock.fault(SESSION, "answer", status=http, body=refusal(http, reason))

    with pytest.raises(kind) as caught:
        publisher.advance(post, account, publisher.begin(post, account), interrupted=False)

    assert ours == caught.value.code


def test_a_used_up_quota_waits_for_midnight_in_california(mock: MockServer, studio: Studio) -> None:
    """All channels of the project wait."""
    post, _ = studio.post()
    account, _ = YOUTUBE.account(mock.hosts)
    noon = datetime(2026, 7, 1, 19, 0, tzinfo=UTC)  # 12:00 in Los Angeles, summer time
    publisher = YouTube(mock.hosts, pace=0, clock=noon.timestamp)
    mock.fault(SESSION, "answer", status=403, body=refusal(403, "quotaExceeded"))

    with pytest.raises(RateLimited) as caught:
        publisher.advance(post, account, publisher.begin(post, account), interrupted=False)

    assert (caught.value.scope, caught.value.retry_after_s) == ("app", 12 * 3600 + 60.0)


@pytest.mark.parametrize(
    ("now", "hours"),
    [
        (datetime(2026, 3, 8, 8, 0, tzinfo=UTC), 23),  # the day on which an hour is skipped
        (datetime(2026, 11, 1, 7, 0, tzinfo=UTC), 25),  # the day on which an hour comes twice
        (datetime(2026, 12, 1, 8, 0, tzinfo=UTC), 24),
    ],
)
def test_a_californian_day_has_as_many_hours_as_it_has(now: datetime, hours: int) -> None:
    """Counted from its first minute."""
    assert hours * 3600 + 60.0 == until_pacific_midnight_s(now.timestamp())


def test_a_session_address_elsewhere_is_never_called(mock: MockServer, studio: Studio) -> None:
    """The token would go there."""
    post, _ = studio.post()
    account, _ = YOUTUBE.account(mock.hosts)
    publisher = YouTube(mock.hosts, pace=0)
    mock.fault(SESSION, "answer", status=200, headers={"Location": "https://googleapis.com.evil.example/u"})

    with pytest.raises(Rejected) as caught:
        publisher.advance(post, account, publisher.begin(post, account), interrupted=False)

    assert caught.value.code == "foreign_address"


def test_no_session_address_at_all_is_not_taken_for_success(mock: MockServer, studio: Studio) -> None:
    """A 200 without Location opens nothing."""
    post, _ = studio.post()
    account, _ = YOUTUBE.account(mock.hosts)
    publisher = YouTube(mock.hosts, pace=0)
    mock.fault(SESSION, "answer", status=200)

    with pytest.raises((Unclear, TryLater)):
        publisher.advance(post, account, publisher.begin(post, account), interrupted=False)
