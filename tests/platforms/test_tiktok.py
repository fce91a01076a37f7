"""TikTok: chunks, expiring upload addresses, drafts, links that come later, error codes."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platforms import registry
from platforms.contract import ActionNeeded, AuthorizedAccount, Handle, Published
from platforms.definition import PublishingOptions
from platforms.errors import (
    AccountRefused,
    OperatorNeeded,
    OutcomeUnknown,
    PlatformError,
    PostFailed,
    RateLimited,
    Reconnect,
    Rejected,
    StartOver,
    TryLater,
    Unclear,
)
from platforms.tiktok.chunks import CHUNK_BYTES, MAX_SINGLE_BYTES, chunk_end, chunk_size
from platforms.tiktok.options import CONSENT_VERSION
from platforms.tiktok.publisher import TikTok
from tests.platforms.mock_server import MockServer
from tests.platforms.publishing_run import CASES, PostFactory, PublishingRun, first_step, publish
from tests.support.clock import Clock

INBOX, DIRECT = CASES[0], CASES[1]
CHOSEN: dict[str, object] = {"privacy": "public", "consent": CONSENT_VERSION}
INIT = "POST .*/v2/post/publish/.*init"
STATUS = "POST .*/status/fetch"


@given(size=st.integers(1, 4_000_000_000))
def test_chunks_keep_every_rule_of_the_media_transfer_guide(size: int) -> None:
    """Count = size // chunk; chunks of 5 to 64 MB, the last at most 128 MB; a small file is one chunk."""
    chunk = chunk_size(size, CHUNK_BYTES)
    count = max(1, size // chunk)

    ends, first = [], 0
    while first < size:
        first = chunk_end(first, size, chunk)
        ends.append(first)

    assert size == ends[-1]
    assert count == len(ends)
    if size <= MAX_SINGLE_BYTES:
        assert (chunk, count) == (size, 1)
    else:
        assert 5_000_000 <= chunk <= 64_000_000
        assert count > 1
        assert ends[-1] - (count - 1) * chunk <= 128_000_000


@given(size=st.integers(64_000_001, 400_000_000), data=st.data())
def test_from_an_offset_inside_a_chunk_only_its_rest_is_sent(size: int, data: st.DataObject) -> None:
    """The offset of the server may lie anywhere; chunk boundaries do not move."""
    chunk = chunk_size(size, CHUNK_BYTES)
    offset = data.draw(st.integers(0, size - 1))

    end = chunk_end(offset, size, chunk)

    assert offset < end <= size
    assert end == size or end % chunk == 0
    assert end - offset <= 2 * chunk


@pytest.mark.parametrize("after_bytes", [-1, 1_234_567])
def test_several_chunks_arrive_in_order_and_go_on_inside_a_chunk(
    after_bytes: int, mock: MockServer, factory: PostFactory
) -> None:
    """The last chunk includes the remainder; a cut upload is resumed inside its chunk."""
    post, sha256 = factory.post(size_bytes=10_500_000)
    account, _ = DIRECT.account(mock.hosts)
    if after_bytes >= 0:
        mock.fault(DIRECT.upload_at, "cut", skip=1, after_bytes=after_bytes)

    run = publish(TikTok(mock.hosts, mode="direct", pace=0, chunk_bytes=5_000_000), post, account)

    assert len(mock.posts(sha256)) == 1
    offsets = [handle.number("offset") for handle in run.handles if handle.step == "upload"]
    assert [0, 5_000_000, *([5_000_000 + after_bytes] if after_bytes >= 0 else [])] == offsets
    post.video.unlink()


def test_a_draft_that_its_owner_posts_becomes_published(mock: MockServer, factory: PostFactory) -> None:
    """Asking about a waiting draft only reads."""
    post, sha256 = factory.post()
    account, _ = INBOX.account(mock.hosts)
    publisher = TikTok(mock.hosts, pace=0)
    waiting = publish(publisher, post, account).outcome
    assert isinstance(waiting, ActionNeeded)

    still = publisher.advance(post, account, waiting.handle, interrupted=False)
    assert isinstance(still, ActionNeeded)
    complete = {"data": {"status": "PUBLISH_COMPLETE", "publicaly_available_post_id": [7001]}, "error": {"code": "ok"}}
    mock.fault(STATUS, "answer", status=200, body=complete)
    done = publisher.advance(post, account, still.handle, interrupted=False)

    assert isinstance(done, Published)
    assert done.remote_id == "7001"
    assert len(mock.posts(sha256)) == 1


def test_a_link_that_moderation_withholds_is_asked_for_later(mock: MockServer, factory: PostFactory) -> None:
    """The post is published and its id may come hours later; asking for the id never posts."""
    post, sha256 = factory.post()
    account, _ = DIRECT.account(mock.hosts)
    publisher = TikTok(mock.hosts, mode="direct", pace=0)
    withheld = {"data": {"status": "PUBLISH_COMPLETE", "publicaly_available_post_id": []}, "error": {"code": "ok"}}
    mock.fault(STATUS, "answer", status=200, body=withheld)

    pending = publish(publisher, post, account).outcome
    assert isinstance(pending, Published)
    assert (pending.link, pending.handle.step) == (None, "link")
    assert pending.again_after_s is not None
    done = publisher.advance(post, account, pending.handle, interrupted=False)

    assert isinstance(done, Published)
    assert done.link is not None
    assert f"/video/{done.remote_id}" in done.link
    assert len(mock.posts(sha256)) == 1


def test_an_expired_upload_address_leads_to_a_new_job_only_after_two_hours(
    mock: MockServer, factory: PostFactory
) -> None:
    """With half of the bytes received and an expired address, two hours must pass before a new job is created."""
    post, sha256 = factory.post()
    account, _ = INBOX.account(mock.hosts)
    clock = Clock(datetime.now(UTC))
    publisher = TikTok(mock.hosts, pace=0, clock=clock.timestamp)
    mock.fault(INBOX.upload_at, "cut", after_bytes=1000)
    begun = first_step(publisher, post, account).handle
    with pytest.raises(Unclear):
        publisher.advance(post, account, begun, interrupted=False)
    first_job = begun.text("publish_id")

    clock.move(seconds=3_700)
    handle = publisher.advance(post, account, begun, interrupted=True).handle
    assert handle.step == "stalled"
    for _ in range(3):
        handle = publisher.advance(post, account, handle, interrupted=False).handle
        assert first_job == handle.text("publish_id")
    clock.move(seconds=4_000)
    with pytest.raises(StartOver) as caught:
        publisher.advance(post, account, handle, interrupted=False)
    handle = caught.value.handle

    assert (handle.step, handle.text("publish_id")) == ("init", "")
    publish(publisher, post, account, start=handle)
    assert len(mock.posts(sha256)) == 1


def test_an_upload_whose_address_seemed_expired_goes_on_once_the_clock_is_right(
    mock: MockServer, factory: PostFactory
) -> None:
    post, sha256 = factory.post()
    account, _ = INBOX.account(mock.hosts)
    clock = Clock(datetime.now(UTC))
    publisher = TikTok(mock.hosts, pace=0, clock=clock.timestamp)
    begun = first_step(publisher, post, account).handle
    clock.correct(hours=6)
    handle = publisher.advance(post, account, begun, interrupted=False).handle
    assert handle.step == "stalled"
    clock.correct(hours=-6)

    publish(publisher, post, account, start=handle)

    [posted] = mock.posts(sha256)
    assert begun.text("publish_id") == posted["job"]


def test_two_hours_of_unanswered_inits_do_not_end_the_post(mock: MockServer, factory: PostFactory) -> None:
    """An init alone posts nothing, so it is repeated; a minute apart, since a lost one may count against the limit."""
    post, sha256 = factory.post()
    account, _ = INBOX.account(mock.hosts)
    clock = Clock(datetime.now(UTC))
    mock.fault(INIT, "lose", times=6)

    run = publish(TikTok(mock.hosts, clock=clock.timestamp), post, account, clock=clock)

    assert mock.struck() == 6
    assert {("init", False)} == set(run.steps[:7])
    assert {"answer_lost"} == {error.code for error in run.errors}
    assert all(isinstance(error, TryLater) and error.retry_after_s >= 60 for error in run.errors)
    assert run.paused_s > 7_200
    assert len(mock.posts(sha256)) == 1


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_retry_after_is_obeyed_on_bytes_too(status: int, mock: MockServer, factory: PostFactory) -> None:
    post, _ = factory.post()
    account, _ = INBOX.account(mock.hosts)
    publisher = TikTok(mock.hosts, pace=0)
    mock.fault(INBOX.upload_at, "answer", status=status, headers={"Retry-After": "77"})

    begun = first_step(publisher, post, account).handle
    with pytest.raises(Unclear) as caught:
        publisher.advance(post, account, begun, interrupted=False)

    assert caught.value.retry_after_s == 77.0


def test_too_many_posts_at_the_end_wait_six_hours_and_begin_anew(mock: MockServer, factory: PostFactory) -> None:
    """The job has ended without a post; only the limit of the account stands in the way of another one."""
    post, sha256 = factory.post()
    account, _ = INBOX.account(mock.hosts)
    run = PublishingRun()
    mock.fault(INBOX.upload_at, "answer", status=201)
    failed = {"data": {"status": "FAILED", "fail_reason": "spam_risk_too_many_posts"}, "error": {"code": "ok"}}
    mock.fault(STATUS, "answer", status=200, body=failed)
    clock = Clock(datetime.now(UTC))

    publish(TikTok(mock.hosts, clock=clock.timestamp), post, account, clock=clock, run=run)

    over = run.errors[0]
    assert isinstance(over, StartOver)
    assert (over.code, over.scope, over.retry_after_s) == ("post_limit", "account", 6 * 3600)
    assert over.handle.facts == {"mode": "inbox", "limit_waits": 1}
    assert len(mock.posts(sha256)) == 1


def test_a_success_that_was_not_tiktoks_is_noticed(mock: MockServer, factory: PostFactory) -> None:
    """The last byte was confirmed, and yet the job never has it: a new job follows once it is certainly abandoned."""
    post, sha256 = factory.post()
    account, _ = INBOX.account(mock.hosts)
    clock = Clock(datetime.now(UTC))
    mock.fault(INBOX.upload_at, "answer", status=201)

    run = publish(TikTok(mock.hosts, clock=clock.timestamp), post, account, clock=clock)

    assert "stalled" in run.kinds
    assert run.kinds.count("init") == 2
    assert len(mock.posts(sha256)) == 1


def test_a_count_of_bytes_that_is_missing_decides_nothing(mock: MockServer, factory: PostFactory) -> None:
    """Without it, neither sending the bytes again nor giving up would be right."""
    post, sha256 = factory.post()
    account, _ = INBOX.account(mock.hosts)
    mock.fault(INBOX.upload_at, "lie", status=400)
    silent = {"data": {"status": "PROCESSING_UPLOAD"}, "error": {"code": "ok"}}
    mock.fault(STATUS, "answer", times=5, status=200, body=silent)

    run = publish(TikTok(mock.hosts, pace=0), post, account)

    assert run.kinds.count("upload") == 1
    assert isinstance(run.outcome, ActionNeeded)
    assert len(mock.posts(sha256)) == 1


def test_a_job_that_failed_at_tiktok_is_restarted(mock: MockServer, factory: PostFactory) -> None:
    """fail_reason "internal" is documented as worth a new job; the failed job has no post."""
    post, sha256 = factory.post()
    account, _ = INBOX.account(mock.hosts)
    mock.fault(INBOX.upload_at, "answer", status=201)  # the bytes are not stored: this job stays without a post
    failed = {"data": {"status": "FAILED", "fail_reason": "internal"}, "error": {"code": "ok"}}
    mock.fault(STATUS, "answer", status=200, body=failed)

    run = publish(TikTok(mock.hosts, pace=0), post, account)

    assert run.kinds.count("init") == 2
    assert len(mock.posts(sha256)) == 1


def test_an_unknown_job_is_searched_among_the_public_videos(mock: MockServer, factory: PostFactory) -> None:
    """Exactly one match is evidence; the mock lists no durations, so this video has none."""
    post, sha256 = factory.post()
    post = dataclasses.replace(post, duration_s=0.4)
    account, _ = DIRECT.account(mock.hosts)
    publisher = TikTok(mock.hosts, mode="direct", pace=0)
    handle = publisher.advance(post, account, Handle("creator", {"mode": "direct"}), interrupted=False).handle
    unknown = {"data": {}, "error": {"code": "invalid_publish_id", "message": "", "log_id": "log-1"}}
    mock.fault(STATUS, "answer", times=9, status=400, body=unknown)

    run = publish(publisher, post, account, start=handle)

    assert "search" in run.kinds
    assert isinstance(run.outcome, Published)
    assert [run.outcome.remote_id] == [one["id"] for one in mock.posts(sha256)]


def test_a_job_unknown_for_a_moment_is_found_again(mock: MockServer, factory: PostFactory) -> None:
    """Drafts cannot be listed, so the job itself is asked for again."""
    post, sha256 = factory.post()
    account, _ = INBOX.account(mock.hosts)
    unknown = {"data": {}, "error": {"code": "invalid_publish_id"}}
    mock.fault(STATUS, "answer", times=3, status=400, body=unknown)

    run = publish(TikTok(mock.hosts, pace=0), post, account)

    assert run.kinds.count("search") == 3
    assert isinstance(run.outcome, ActionNeeded)
    assert len(mock.posts(sha256)) == 1


@pytest.mark.parametrize("code", ["invalid_publish_id", "token_not_authorized_for_specified_publish_id"])
def test_an_unknown_job_without_a_match_is_left_to_a_person(code: str, mock: MockServer, factory: PostFactory) -> None:
    """Three looks within 15 minutes; no question can settle the outcome, so nothing is posted again."""
    post, sha256 = factory.post()
    account, _ = DIRECT.account(mock.hosts)
    clock, run = Clock(datetime.now(UTC)), PublishingRun()
    mock.fault(STATUS, "answer", times=9, status=400, body={"data": {}, "error": {"code": code}})

    with pytest.raises(OutcomeUnknown) as caught:
        publish(TikTok(mock.hosts, mode="direct", clock=clock.timestamp), post, account, clock=clock, run=run)

    assert caught.value.code == "publish_id_forgotten"
    assert run.kinds.count("search") == 3
    assert run.paused_s >= 900
    assert len(mock.posts(sha256)) == 1


@pytest.mark.parametrize(
    ("http", "code", "kind", "ours"),
    [
        (403, "spam_risk_too_many_posts", RateLimited, "post_limit"),
        (200, "spam_risk_too_many_posts", RateLimited, "post_limit"),
        (403, "spam_risk_too_many_pending_share", RateLimited, "draft_limit"),
        (403, "spam_risk_user_banned_from_posting", AccountRefused, "account_banned"),
        (403, "reached_active_user_cap", RateLimited, "app_user_cap"),
        (403, "unaudited_client_can_only_post_to_private_accounts", OperatorNeeded, "app_not_audited"),
        (403, "url_ownership_unverified", OperatorNeeded, "app_misconfigured"),
        (400, "app_version_check_failed", OperatorNeeded, "api_outdated"),
        (401, "access_token_invalid", Reconnect, "token_expired"),
        (401, "scope_not_authorized", Reconnect, "scope_missing"),
        (429, "rate_limit_exceeded", RateLimited, "rate_limit"),
        (400, "invalid_params", Rejected, "invalid_post"),
        (401, "something_new", Reconnect, "token_expired"),
        (500, "internal_error", TryLater, "platform_down"),
        (200, "internal_error", TryLater, "platform_down"),
        (400, "internal", TryLater, "platform_down"),
        (500, "invalid_params", TryLater, "answer_lost"),
        (409, "something_new", TryLater, "try_again"),
        (408, "something_new", TryLater, "try_again"),
        (425, "something_new", TryLater, "try_again"),
        (418, "something_new", TryLater, "answer_lost"),
        (200, "something_new", TryLater, "answer_lost"),
        (400, "something_new", Rejected, "refused"),
    ],
)
def test_every_code_says_what_to_do_next(
    http: int, code: str, kind: type[PlatformError], ours: str, mock: MockServer, factory: PostFactory
) -> None:
    """The code decides, not the HTTP status: TikTok refuses with 200, too."""
    post, _ = factory.post()
    account, _ = INBOX.account(mock.hosts)
    publisher = TikTok(mock.hosts, pace=0)
    mock.fault(INIT, "answer", status=http, body={"data": {}, "error": {"code": code, "log_id": "log-7"}})

    with pytest.raises(kind) as caught:
        first_step(publisher, post, account)

    assert kind is type(caught.value)
    assert (ours, code, "log-7") == (caught.value.code, caught.value.platform_code, caught.value.log_id)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (403, "<html>captcha", TryLater),
        (404, None, TryLater),
        (400, "", TryLater),
        (200, {}, TryLater),
        (200, {"data": {"publish_id": "x"}, "error": {"code": "ok"}}, TryLater),
        (204, None, TryLater),
        (451, "<html>", TryLater),
        (401, "<html>", Reconnect),
        (429, "<html>", RateLimited),
    ],
)
def test_what_is_not_tiktoks_word_ends_nothing(
    status: int, body: object, kind: type[PlatformError], mock: MockServer, factory: PostFactory
) -> None:
    """A captcha or a proxy's page says nothing about the post; Retry-After is obeyed all the same."""
    post, _ = factory.post()
    account, _ = INBOX.account(mock.hosts)
    mock.fault(INIT, "answer", status=status, body=body, headers={"Retry-After": "77"})

    with pytest.raises(kind) as caught:
        first_step(TikTok(mock.hosts, pace=0), post, account)

    assert kind is type(caught.value)
    if isinstance(caught.value, TryLater):
        assert caught.value.retry_after_s == 77.0


@pytest.mark.parametrize(
    ("reason", "kind", "ours"),
    [
        ("file_format_check_failed", PostFailed, "video_refused"),
        ("spam_risk_text", PostFailed, "text_refused"),
        ("spam_risk_user_banned_from_posting", PostFailed, "account_banned"),
        ("auth_removed", PostFailed, "authorization_removed"),
        ("publish_cancelled", PostFailed, "cancelled"),
        ("something_new", PostFailed, "processing_failed"),
    ],
)
def test_every_reason_of_failure_says_what_to_do_next(
    reason: str, kind: type[PlatformError], ours: str, mock: MockServer, factory: PostFactory
) -> None:
    """A failed job has no post."""
    post, _ = factory.post()
    account, _ = INBOX.account(mock.hosts)
    mock.fault(
        STATUS,
        "answer",
        status=200,
        body={"data": {"status": "FAILED", "fail_reason": reason}, "error": {"code": "ok"}},
    )

    with pytest.raises(kind) as caught:
        publish(TikTok(mock.hosts, pace=0), post, account)

    assert (ours, reason) == (caught.value.code, caught.value.platform_code)


def test_an_upload_address_elsewhere_is_never_called(mock: MockServer, factory: PostFactory) -> None:
    """A compromised platform must not direct our uploads to another host."""
    post, _ = factory.post()
    account, _ = INBOX.account(mock.hosts)
    publisher = TikTok(mock.hosts, pace=0)
    elsewhere = {"publish_id": "p1", "upload_url": "http://169.254.169.254/latest/meta-data"}
    mock.fault(INIT, "answer", status=200, body={"data": elsewhere, "error": {"code": "ok"}})

    with pytest.raises(OperatorNeeded) as caught:
        first_step(publisher, post, account)

    assert caught.value.code == "foreign_address"
    assert "169.254" not in str(caught.value)


@pytest.mark.parametrize(
    ("policy", "corrected", "declared"),
    [("never", True, False), ("gaze", True, True), ("gaze", False, False), ("always", False, True)],
)
def test_alteration_is_declared_by_the_operators_policy(
    policy: Any, corrected: bool, declared: bool, mock: MockServer, factory: PostFactory
) -> None:
    """`is_aigc` follows the policy and the correction of the video."""
    post, sha256 = factory.post(gaze_corrected=corrected)
    account, _ = DIRECT.account(mock.hosts)

    publish(TikTok(mock.hosts, mode="direct", pace=0, disclosure=policy), post, account)

    assert [declared] == [one["metadata"]["is_aigc"] for one in mock.posts(sha256)]


def test_interactions_are_off_until_the_owner_ticks_them(mock: MockServer, factory: PostFactory) -> None:
    """TikTok's content sharing guidelines demand that nothing is allowed by default."""
    post, sha256 = factory.post(options=CHOSEN | {"allow_comment": True})
    account, _ = DIRECT.account(mock.hosts)

    publish(TikTok(mock.hosts, mode="direct", pace=0), post, account)

    metadata = mock.posts(sha256)[0]["metadata"]
    assert (metadata["disable_comment"], metadata["disable_duet"], metadata["disable_stitch"]) == (False, True, True)


def test_the_options_of_a_direct_post_are_sent(mock: MockServer, factory: PostFactory) -> None:
    """Brand, cover and privacy."""
    chosen = CHOSEN | {"privacy": "friends", "brand_content": True, "own_brand": True, "cover_s": 1.5}
    post, sha256 = factory.post(options=chosen)
    account, _ = DIRECT.account(mock.hosts)

    publish(TikTok(mock.hosts, mode="direct", pace=0), post, account)

    sent = mock.posts(sha256)[0]["metadata"]
    assert (sent["privacy_level"], sent["video_cover_timestamp_ms"]) == ("MUTUAL_FOLLOW_FRIENDS", 1500)
    assert (sent["brand_content_toggle"], sent["brand_organic_toggle"]) == (True, True)


@pytest.mark.parametrize(
    ("chosen", "code"),
    [
        ({"consent": CONSENT_VERSION}, "option_missing"),
        ({"privacy": "public"}, "option_missing"),
        (CHOSEN | {"privacy": "unlisted"}, "options_refused"),
        (CHOSEN | {"privacy": "private", "brand_content": True}, "options_refused"),
        (CHOSEN | {"consent": "1999-01"}, "options_refused"),
    ],
)
def test_a_direct_post_needs_its_creators_choice_and_consent(
    chosen: dict[str, object], code: str, mock: MockServer, factory: PostFactory
) -> None:
    """TikTok's guidelines allow no default privacy; drafts are finished in the app."""
    post, _ = factory.post(options=chosen)
    account, _ = DIRECT.account(mock.hosts)
    with pytest.raises(Rejected) as refused:
        TikTok(mock.hosts, mode="direct").begin(post, account)
    assert refused.value.code == code
    assert TikTok(mock.hosts).begin(post, account).step == "init"


def test_a_development_machine_asks_nobody(mock: MockServer, factory: PostFactory) -> None:
    """Its posts go to mocks; without a choice they are public there."""
    publisher = registry.publisher("tiktok", mock.hosts, PublishingOptions("direct", requires_choice=False, pace=0))
    post, sha256 = factory.post(options={})
    account, _ = DIRECT.account(mock.hosts)

    publish(publisher, post, account)

    assert [one["metadata"]["privacy_level"] for one in mock.posts(sha256)] == ["PUBLIC_TO_EVERYONE"]


def test_an_interaction_that_the_account_disables_stays_off(mock: MockServer, factory: PostFactory) -> None:
    """Even if the creator has allowed it for this post."""
    post, _ = factory.post(options=CHOSEN | {"allow_duet": True, "allow_stitch": True})
    account, _ = DIRECT.account(mock.hosts)
    info = {"creator_username": "x", "privacy_level_options": ["PUBLIC_TO_EVERYONE"], "duet_disabled": True}
    mock.fault("creator_info", "answer", status=200, body={"data": info, "error": {"code": "ok"}})

    handle = Handle("creator", {"mode": "direct"})
    handle = TikTok(mock.hosts, mode="direct").advance(post, account, handle, interrupted=False).handle

    disabled = {name: handle.number(f"disable_{name}") for name in ("comment", "duet", "stitch")}
    assert disabled == {"comment": 1, "duet": 1, "stitch": 0}


def test_a_privacy_that_the_account_lacks_is_refused_not_replaced(mock: MockServer, factory: PostFactory) -> None:
    """A post for friends must not become public."""
    post, _ = factory.post(options=CHOSEN | {"privacy": "friends"})
    account, _ = DIRECT.account(mock.hosts)
    info = {"creator_username": "x", "privacy_level_options": ["PUBLIC_TO_EVERYONE"]}
    mock.fault("creator_info", "answer", status=200, body={"data": info, "error": {"code": "ok"}})

    with pytest.raises(Rejected) as caught:
        publish(TikTok(mock.hosts, mode="direct", pace=0), post, account)

    assert caught.value.code == "privacy_refused"


def test_a_mock_that_is_killed_during_an_upload_keeps_its_bytes(tmp_path: Path, factory: PostFactory) -> None:
    """The mock stores everything on disk: jobs, tokens, incomplete uploads."""
    server = MockServer(tmp_path, "--processing-seconds", "0")
    try:
        post, sha256 = factory.post()
        account, _ = INBOX.account(server.hosts)
        publisher = TikTok(server.hosts, pace=0)
        server.fault(INBOX.upload_at, "cut", after_bytes=123_456)
        begun = first_step(publisher, post, account).handle
        with pytest.raises(Unclear):
            publisher.advance(post, account, begun, interrupted=False)
        server.kill()
        with pytest.raises(TryLater):
            publisher.advance(post, account, begun, interrupted=True)
        server.start()

        located = publisher.advance(post, account, begun, interrupted=True).handle
        assert located.number("offset") == 123_456
        publish(publisher, post, account, start=located)
        assert len(server.posts(sha256)) == 1
    finally:
        server.kill()


def test_handles_are_json(mock: MockServer, factory: PostFactory) -> None:
    """Handles are stored; a fact that is not JSON would be lost with the process."""
    post, _ = factory.post()
    account, _ = DIRECT.account(mock.hosts)
    for handle in publish(TikTok(mock.hosts, mode="direct", pace=0), post, account).handles:
        assert dict(handle.facts) == json.loads(json.dumps(dict(handle.facts)))


def test_an_unknown_step_is_never_guessed(mock: MockServer, factory: PostFactory) -> None:
    """A handle of a later version, read by an earlier one, must not start a second post."""
    post, _ = factory.post()
    account = AuthorizedAccount("a", "tiktok", "tiktok", "o", "n", "t")
    with pytest.raises(OutcomeUnknown):
        TikTok(mock.hosts).advance(post, account, Handle("from_the_future"), interrupted=False)


def test_bytes_that_are_refused_again_and_again_end_in_a_rejection(mock: MockServer, factory: PostFactory) -> None:
    """Each time the job reports that it is incomplete, so it is certain that there is no post."""
    post, sha256 = factory.post()
    account, _ = INBOX.account(mock.hosts)
    mock.fault(INBOX.upload_at, "answer", status=400, times=99)

    with pytest.raises(PostFailed) as caught:
        publish(TikTok(mock.hosts, pace=0), post, account)

    assert (caught.value.code, caught.value.platform_code) == ("upload_refused", "http_400")
    assert mock.posts(sha256) == []


def test_a_job_that_is_being_processed_is_never_restarted(mock: MockServer, factory: PostFactory) -> None:
    """All bytes are received: from here on every step only reads, however long it takes."""
    post, sha256 = factory.post()
    account, _ = INBOX.account(mock.hosts)
    busy = {"data": {"status": "PROCESSING_UPLOAD", "uploaded_bytes": post.size_bytes}, "error": {"code": "ok"}}
    mock.fault(STATUS, "answer", times=4, status=200, body=busy)

    run = publish(TikTok(mock.hosts, pace=0), post, account)

    assert run.kinds == ["init", "upload", *["poll"] * 5]
    assert len(mock.posts(sha256)) == 1


def test_a_day_of_processing_is_left_to_a_person(mock: MockServer, factory: PostFactory) -> None:
    """The job may still post; a new one would be a duplicate."""
    post, _ = factory.post()
    account, _ = INBOX.account(mock.hosts)
    clock = Clock(datetime.now(UTC))
    publisher = TikTok(mock.hosts, pace=0, clock=clock.timestamp)
    busy = {"data": {"status": "PROCESSING_UPLOAD", "uploaded_bytes": post.size_bytes}, "error": {"code": "ok"}}
    mock.fault(STATUS, "answer", times=4, status=200, body=busy)
    handle = publisher.begin(post, account)
    while handle.step != "poll":
        handle = publisher.advance(post, account, handle, interrupted=False).handle

    clock.move(seconds=86_500)
    with pytest.raises(OutcomeUnknown) as caught:
        publisher.advance(post, account, handle, interrupted=False)

    assert caught.value.code == "processing_endless"


def test_a_job_that_fails_again_and_again_is_given_up(mock: MockServer, factory: PostFactory) -> None:
    """Each failed job certainly has no post; after three more the video is at fault."""
    post, _ = factory.post()
    account, _ = INBOX.account(mock.hosts)
    mock.fault(INBOX.upload_at, "answer", times=9, status=201)
    failed = {"data": {"status": "FAILED", "fail_reason": "internal"}, "error": {"code": "ok"}}
    mock.fault(STATUS, "answer", times=9, status=200, body=failed)

    with pytest.raises(PostFailed):
        publish(TikTok(mock.hosts, pace=0), post, account)

    assert mock.struck() == 8  # four uploads, four status calls
