"""The contract of all publishers: after any kill at any moment there is exactly one post."""

from __future__ import annotations

import contextlib
import dataclasses
import random

import pytest

from platforms.contract import ActionNeeded, Published
from platforms.errors import OutcomeUnknown, PlatformError, PostFailed, RateLimited, Reconnect, TryLater
from platforms.mock.connect import CLIENT
from platforms.mock.roots import mock_hosts
from platforms.oauth import LoginResult
from platforms.registry import flow
from tests.platforms.mock_server import MockServer
from tests.platforms.publishing_run import CASES, VIDEO_BYTES, Case, PostFactory, PublishingRun, first_step, publish

every_case = pytest.mark.parametrize("case", CASES, ids=str)
cases_with_bytes = pytest.mark.parametrize("case", [case for case in CASES if case.upload_at != "no upload"], ids=str)

# The calls of the publishers: not those of the logins, nor the mock's own.
CALLS = r"(/v2/post/|/v2/video/|/tiktok-upload/|-graph/v\d+\.\d+/\d|/facebook-upload/|/youtube-api/)"


@every_case
def test_a_post_is_published(case: Case, mock: MockServer, factory: PostFactory) -> None:
    """The platform has exactly these bytes, once; where it has a text, it holds the number of the part."""
    post, sha256 = factory.post()
    account, _ = case.account(mock.hosts)

    run = publish(case.publisher(mock.hosts), post, account)

    found = mock.posts(sha256)
    assert [account.remote_id] == [one["account"] for one in found]
    if case.name == "tiktok-inbox":
        assert isinstance(run.outcome, ActionNeeded)
        assert run.outcome.note == "draft_in_inbox"
    else:
        assert isinstance(run.outcome, Published)
        assert found[0]["id"] == run.outcome.remote_id
        assert found[0]["title"].startswith(post.title)


@every_case
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_process_killed_at_any_step_posts_once(
    case: Case, moment: str, mock: MockServer, factory: PostFactory
) -> None:
    """Killed before a step's request, or after it was carried out but before the outcome was stored."""
    account, _ = case.account(mock.hosts)
    publisher = case.publisher(mock.hosts)
    usual = publish(publisher, factory.post()[0], account)

    for number in range(len(usual.steps)):
        post, sha256 = factory.post()
        run = publish(publisher, post, account, kills={number: moment})
        assert len(mock.posts(sha256)) == 1, f"{moment} {number}: {run.steps}"


@every_case
@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "cut"},
        {"kind": "lose"},
        {"kind": "answer", "status": 503},
        {"kind": "answer", "status": 500, "body": {"error": {"code": 2, "message": "x"}}},
        {"kind": "lie", "status": 502, "body": "<html>"},
    ],
    ids=["request never arrives", "answer lost", "503", "500", "carried out but 502"],
)
def test_a_call_that_goes_wrong_anywhere_posts_once(
    case: Case, fault: dict[str, object], mock: MockServer, factory: PostFactory
) -> None:
    """Each request of a run meets the fault in turn."""
    account, _ = case.account(mock.hosts)
    publisher = case.publisher(mock.hosts)
    for number in range(30):
        mock.clear_faults()
        mock.post("/mock/faults", {"at": CALLS, "skip": number, **fault})
        post, sha256 = factory.post()
        run = publish(publisher, post, account)
        assert len(mock.posts(sha256)) == 1, f"request {number}: {run.steps}"
        if mock.struck() == 0:
            assert number >= 3  # each request of a run has met the fault
            return
    raise AssertionError("the run never ended without the fault")


@every_case
def test_two_lost_responses_in_a_row_post_once(case: Case, mock: MockServer, factory: PostFactory) -> None:
    """The response to the question after a lost response may be lost, too."""
    account, _ = case.account(mock.hosts)
    publisher = case.publisher(mock.hosts)
    for number in range(12):
        mock.clear_faults()
        mock.post("/mock/faults", {"at": CALLS, "skip": number, "kind": "lose", "times": 2})
        post, sha256 = factory.post()
        run = publish(publisher, post, account)
        assert len(mock.posts(sha256)) == 1, f"request {number}: {run.steps}"


@pytest.mark.slow
@every_case
@pytest.mark.parametrize("seed", range(25))
def test_any_mixture_of_faults_and_kills_posts_at_most_once(
    case: Case, seed: int, mock: MockServer, factory: PostFactory
) -> None:
    """Half of all requests fail and a third of all steps are killed; a run that is given up has no post."""
    chance = random.Random(f"{case.name}-{seed}")
    account, _ = case.account(mock.hosts)
    publisher = case.publisher(mock.hosts)
    kinds: list[dict[str, object]] = [
        {"kind": "cut"},
        {"kind": "cut", "after_bytes": chance.randrange(1, VIDEO_BYTES)},
        {"kind": "lose"},
        {"kind": "answer", "status": 503},
        {"kind": "lie", "status": 500, "body": {"error": {"code": 2, "message": "x"}}},
    ]
    for number in range(40):
        if chance.random() < 0.5:
            mock.post("/mock/faults", {"at": CALLS, "skip": number, **chance.choice(kinds)})
    kills = {number: chance.choice(["before", "after"]) for number in range(60) if chance.random() < 0.33}
    post, sha256 = factory.post()
    run = PublishingRun()

    try:
        publish(publisher, post, account, kills=kills, run=run)
    except PostFailed:
        assert mock.posts(sha256) == [], run.steps
    except OutcomeUnknown:
        assert len(mock.posts(sha256)) <= 1, run.steps
    else:
        assert len(mock.posts(sha256)) == 1, run.steps


@cases_with_bytes
def test_an_interrupted_upload_asks_before_it_sends_a_byte(case: Case, mock: MockServer, factory: PostFactory) -> None:
    """Any byte of a body would meet the fault; a question has no body."""
    account, _ = case.account(mock.hosts)
    publisher = case.publisher(mock.hosts)
    post, _ = factory.post()
    handle = publisher.begin(post, account)
    while handle.step != "upload":
        handle = publisher.advance(post, account, handle, interrupted=False).handle
    mock.fault(case.upload_at, "cut", after_bytes=1)

    asked = publisher.advance(post, account, handle, interrupted=True).handle

    assert (asked.step, asked.number("offset")) == ("upload", 0)


@cases_with_bytes
@pytest.mark.parametrize("after_bytes", [1, 100_000, 262_144, VIDEO_BYTES - 1])
def test_a_cut_upload_is_resumed_where_it_was_cut(
    case: Case, after_bytes: int, mock: MockServer, factory: PostFactory
) -> None:
    """The offset comes from the server; received bytes are not sent again."""
    account, _ = case.account(mock.hosts)
    mock.fault(case.upload_at, "cut", after_bytes=after_bytes)
    post, sha256 = factory.post()

    run = publish(case.publisher(mock.hosts), post, account)

    assert len(mock.posts(sha256)) == 1
    kept = after_bytes // 262_144 * 262_144 if case.name == "youtube" else after_bytes
    assert kept in [handle.number("offset") for handle in run.handles if handle.step == "upload"]


@every_case
def test_a_token_that_expires_at_any_call_causes_no_second_post(
    case: Case, mock: MockServer, factory: PostFactory
) -> None:
    """After the refresh the same step is run again, not the whole publication."""
    publisher = case.publisher(mock.hosts)
    token_of = "instagram" if publisher.platform == "instagram" else case.variant
    met = 0
    for number in range(6):
        mock.clear_faults()
        account, connection = case.account(mock.hosts)
        mock.fault(CALLS, "expire", skip=number, platform=token_of)
        post, sha256 = factory.post()
        run = PublishingRun()

        with contextlib.suppress(Reconnect):
            publish(publisher, post, account, run=run)

        if run.outcome is None:
            met += 1
            token = _renewed(case, mock, connection)
            start = run.handles[-1] if run.handles else None
            publish(publisher, post, dataclasses.replace(account, access_token=token), start=start)
        assert len(mock.posts(sha256)) == 1, f"request {number}: {run.steps}"
    assert met > 1


def _renewed(case: Case, mock: MockServer, connection: LoginResult) -> str:
    if case.variant in {"tiktok", "google"}:
        return flow(case.variant, mock.hosts).refresh(CLIENT, connection.tokens).access_token
    return case.account(mock.hosts)[0].access_token


@every_case
def test_an_expired_token_says_whether_a_refresh_can_help(case: Case, mock: MockServer, factory: PostFactory) -> None:
    """The error does not show the token."""
    account, _ = case.account(mock.hosts)
    publisher = case.publisher(mock.hosts)
    post, _ = factory.post()
    mock.post(f"/mock/expire-tokens/{'instagram' if publisher.platform == 'instagram' else case.variant}", {})

    with pytest.raises(Reconnect) as caught:
        first_step(publisher, post, account)

    assert caught.value.refreshable == (case.variant in {"tiktok", "google"})
    assert account.access_token not in f"{caught.value!r} {caught.value}"


@every_case
def test_too_many_calls_mean_waiting_as_long_as_asked(case: Case, mock: MockServer, factory: PostFactory) -> None:
    """A 429 with Retry-After is a limit, not a failure."""
    account, _ = case.account(mock.hosts)
    publisher = case.publisher(mock.hosts)
    post, _ = factory.post()
    mock.fault(
        CALLS, "answer", status=429, headers={"Retry-After": "77"}, body={"error": {"code": "rate_limit_exceeded"}}
    )

    with pytest.raises(TryLater) as caught:
        first_step(publisher, post, account)

    assert isinstance(caught.value, RateLimited)
    assert caught.value.retry_after_s == 77.0


@every_case
def test_a_platform_that_is_down_means_later(case: Case, mock: MockServer, factory: PostFactory) -> None:
    """Without a connection nothing was sent, so nothing is unclear."""
    account, _ = case.account(mock.hosts)
    publisher = case.publisher(mock_hosts("http://127.0.0.1:1"))
    post, _ = factory.post()

    with pytest.raises(TryLater) as caught:
        first_step(publisher, post, account)

    assert caught.value.code == "unreachable"


@every_case
def test_a_missing_video_is_refused_before_any_call(case: Case, mock: MockServer, factory: PostFactory) -> None:
    """The file may have been deleted while the post was waiting."""
    account, _ = case.account(mock.hosts)
    post, _ = factory.post()
    post.video.unlink()

    with pytest.raises(PlatformError) as caught:
        case.publisher(mock.hosts).begin(post, account)

    assert caught.value.code == "video_missing"


@every_case
def test_no_secret_is_printed(case: Case, mock: MockServer, factory: PostFactory) -> None:
    """Handles hold upload addresses, accounts hold tokens; their repr shows neither."""
    account, connection = case.account(mock.hosts)
    post, _ = factory.post()
    run = publish(case.publisher(mock.hosts), post, account)

    printed = f"{account!r} {connection!r} {run.handles!r} {post!r}"
    assert account.access_token not in printed
    assert "upload_token" not in printed
    assert "upload_id" not in printed
    assert str(post.media_url) not in printed
