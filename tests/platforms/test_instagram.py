"""Instagram: containers may be remade, the publish call must not be repeated, error codes."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import pytest

from platforms.contract import Advanced, Published, QuotaAnswer
from platforms.errors import (
    AccountRefused,
    OperatorNeeded,
    PlatformError,
    PostFailed,
    RateLimited,
    Reconnect,
    Rejected,
    TryLater,
)
from platforms.instagram.publisher import Instagram
from tests.platforms.mock_server import MockServer
from tests.platforms.publishing_run import CASES, PostFactory, PublishingRun, first_step, publish
from tests.support.clock import Clock

LOGIN, FACEBOOK = CASES[2], CASES[3]
PUBLISH = "POST .*/media_publish"
MAKE = "POST .*/media[?]"
QUOTA = "GET .*/content_publishing_limit"
CONTAINER = r"GET .*graph/v[\d.]+/\d+[?]fields=id,status,status_code"


def refusal(code: int, subcode: int = 0) -> dict[str, object]:
    return {"error": {"code": code, "error_subcode": subcode, "message": "m", "fbtrace_id": "trace"}}


@pytest.mark.parametrize("status", [200, 400, 404, 409, 503])
@pytest.mark.parametrize(("code", "subcode"), [(4, 2207051), (-1, 2207001), (24, 2207008), (77777, 0)])
def test_after_any_answer_but_success_the_container_decides(
    code: int, subcode: int, status: int, mock: MockServer, factory: PostFactory
) -> None:
    """Seen in July 2026: "action blocked" on posts that were published. No code proves that nothing was published."""
    post, sha256 = factory.post()
    account, _ = FACEBOOK.account(mock.hosts)
    mock.fault(PUBLISH, "lie", status=status, body=refusal(code, subcode))

    run = publish(Instagram(mock.hosts, pace=0), post, account)

    found = mock.posts(sha256)
    assert isinstance(run.outcome, Published)
    assert [run.outcome.remote_id] == [one["id"] for one in found]
    assert run.outcome.link is not None


@pytest.mark.parametrize(
    ("code", "subcode", "ours", "platform_code"),
    [(100, 2207023, "invalid_post", "100/2207023"), (77777, 0, "publish_refused", "77777")],
)
def test_a_container_that_meta_refuses_to_publish_ends_the_post_with_metas_code(
    code: int, subcode: int, ours: str, platform_code: str, mock: MockServer, factory: PostFactory
) -> None:
    """Three requests are refused, and after each the container is FINISHED in four looks: it was not published."""
    post, sha256 = factory.post()
    account, _ = FACEBOOK.account(mock.hosts)
    publisher, run = Instagram(mock.hosts, pace=0), PublishingRun()
    mock.fault(PUBLISH, "answer", times=99, status=400, body=refusal(code, subcode))

    with pytest.raises(PostFailed) as caught:
        publish(publisher, post, account, run=run)

    assert (ours, platform_code) == (caught.value.code, caught.value.platform_code)
    assert (run.kinds.count("publish"), run.kinds.count("confirm")) == (3, 12)
    assert publisher.may_stop(run.handles[-1])
    assert mock.posts(sha256) == []


def test_two_hours_without_an_answer_to_publish_do_not_end_the_post(mock: MockServer, factory: PostFactory) -> None:
    """Requests without an answer do not count as refused; the pauses between them grow."""
    post, sha256 = factory.post()
    account, _ = FACEBOOK.account(mock.hosts)
    clock = Clock(datetime.now(UTC))
    mock.fault(PUBLISH, "answer", times=8, status=503, body="<html>")

    run = publish(Instagram(mock.hosts, clock=clock.timestamp), post, account, clock=clock)

    assert mock.struck() == 8
    assert run.paused_s > 7_200
    assert run.kinds.count("container") == 1
    assert len(mock.posts(sha256)) == 1


def test_a_day_without_an_answer_to_publish_ends_the_post(mock: MockServer, factory: PostFactory) -> None:
    """The container was FINISHED in every look, so nothing was posted."""
    post, sha256 = factory.post()
    account, _ = FACEBOOK.account(mock.hosts)
    clock, run = Clock(datetime.now(UTC)), PublishingRun()
    mock.fault(PUBLISH, "answer", times=999, status=503, body="<html>")

    with pytest.raises(PostFailed) as caught:
        publish(Instagram(mock.hosts, clock=clock.timestamp), post, account, clock=clock, run=run)

    assert caught.value.code == "publish_refused"
    assert 86_400 < run.paused_s < 2 * 86_400
    assert mock.posts(sha256) == []


def test_a_state_that_is_not_known_is_no_proof_that_nothing_was_published(
    mock: MockServer, factory: PostFactory
) -> None:
    """Only FINISHED is; a post is never repeated after anything else."""
    post, sha256 = factory.post()
    account, _ = FACEBOOK.account(mock.hosts)
    mock.fault(PUBLISH, "lose")
    mock.fault(CONTAINER, "answer", skip=1, times=9, status=200, body={"id": "1", "status_code": "NEW_STATE"})

    run = publish(Instagram(mock.hosts, pace=0), post, account)

    assert mock.struck() == 10
    assert isinstance(run.outcome, Published)
    assert len(mock.posts(sha256)) == 1


def test_the_options_of_a_reel_are_sent(mock: MockServer, factory: PostFactory) -> None:
    """Feed, co-authors, and the frame of the cover; of a shorter part the last one."""
    chosen = {"share_to_feed": False, "collaborators": ["mara", "a.b_c"], "cover_s": 50.0}
    post, sha256 = factory.post(options=chosen)
    account, _ = LOGIN.account(mock.hosts)

    publish(Instagram(mock.hosts, pace=0), post, account)

    sent = mock.posts(sha256)[0]["metadata"]
    assert (sent["share_to_feed"], sent["collaborators"], sent["thumb_offset"]) == (
        "false",
        '["mara", "a.b_c"]',
        "11900",
    )


@pytest.mark.parametrize(
    "chosen", [{"collaborators": ["@mara"]}, {"collaborators": list("abcd")}, {"privacy": "private"}]
)
def test_options_that_instagram_lacks_are_refused(
    chosen: dict[str, object], mock: MockServer, factory: PostFactory
) -> None:
    """Above all a post that is not for everyone."""
    post, _ = factory.post(options=chosen)
    account, _ = LOGIN.account(mock.hosts)
    with pytest.raises(Rejected) as refused:
        Instagram(mock.hosts).begin(post, account)
    assert refused.value.code == "options_refused"


def test_a_used_up_quota_waits_before_the_container_is_made(mock: MockServer, factory: PostFactory) -> None:
    """Instagram names its limit only when asked; a refusal at `publish` would come after all the work."""
    post, _ = factory.post()
    account, _ = FACEBOOK.account(mock.hosts)
    quota = {"data": [{"quota_usage": 50, "config": {"quota_total": 50, "quota_duration": 86_400}}]}
    mock.fault(QUOTA, "answer", status=200, body=quota)

    with pytest.raises(RateLimited) as caught:
        first_step(Instagram(mock.hosts), post, account)

    assert (caught.value.code, caught.value.scope, caught.value.retry_after_s) == ("post_limit", "account", 3_600.0)
    assert caught.value.quota == QuotaAnswer(50, 50)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"quota_usage": 3, "config": {"quota_total": 25}}, QuotaAnswer(25, 3)),
        ({"quota_usage": 3, "config": {}}, QuotaAnswer(None, 3, "Instagram named no limit of posts")),
        ({"quota_usage": -1, "config": {"quota_total": -7}}, QuotaAnswer(None, 0, "Instagram named no limit of posts")),
    ],
)
def test_the_limit_that_instagram_names_is_handed_on(
    answer: dict[str, object], expected: QuotaAnswer, mock: MockServer, factory: PostFactory
) -> None:
    post, _ = factory.post()
    account, _ = FACEBOOK.account(mock.hosts)
    mock.fault(QUOTA, "answer", status=200, body={"data": [answer]})
    outcome = first_step(Instagram(mock.hosts), post, account)
    assert isinstance(outcome, Advanced)
    assert outcome.quota == expected


def test_a_refused_question_for_the_limit_hands_its_reason_on(mock: MockServer, factory: PostFactory) -> None:
    post, _ = factory.post()
    account, _ = FACEBOOK.account(mock.hosts)
    mock.fault(QUOTA, "answer", status=403, body=refusal(10))
    outcome = first_step(Instagram(mock.hosts), post, account)
    assert isinstance(outcome, Advanced)
    assert outcome.quota is not None
    assert (outcome.quota.total, outcome.quota.used) == (None, 0)
    assert outcome.quota.reason


@pytest.mark.parametrize(("status", "code"), [(400, 100), (403, 10), (500, 1), (401, 190)])
def test_a_refused_question_for_the_quota_decides_nothing(
    status: int, code: int, mock: MockServer, factory: PostFactory
) -> None:
    """The limit is only a hint; not every app may ask for it."""
    post, sha256 = factory.post()
    account, _ = FACEBOOK.account(mock.hosts)
    mock.fault(QUOTA, "answer", status=status, body=refusal(code))

    run = publish(Instagram(mock.hosts, pace=0), post, account)

    assert run.errors == []
    assert len(mock.posts(sha256)) == 1


def test_a_block_of_a_post_that_is_not_live_pauses_the_account(mock: MockServer, factory: PostFactory) -> None:
    """The container is read four times before that."""
    post, sha256 = factory.post()
    account, _ = FACEBOOK.account(mock.hosts)
    mock.fault(PUBLISH, "answer", status=400, body=refusal(4, 2207051))

    with pytest.raises(AccountRefused) as caught:
        publish(Instagram(mock.hosts, pace=0), post, account)

    assert caught.value.code == "action_blocked"
    assert mock.posts(sha256) == []


def test_an_unclear_publish_is_repeated_with_the_same_container(mock: MockServer, factory: PostFactory) -> None:
    """A second container would be a duplicate; FINISHED each time means that this one is unpublished."""
    post, sha256 = factory.post()
    account, _ = FACEBOOK.account(mock.hosts)
    mock.fault(PUBLISH, "answer", status=502)

    run = publish(Instagram(mock.hosts, pace=0), post, account)

    assert run.kinds.count("confirm") == 4
    assert run.kinds.count("publish") == 3  # the failed request, the question after it, the second request
    assert run.kinds.count("container") == 1
    assert len(mock.posts(sha256)) == 1


def test_publish_is_never_repeated_while_the_container_cannot_be_read(mock: MockServer, factory: PostFactory) -> None:
    """A failed read proves nothing, not even "object does not exist" (seen on existing posts)."""
    post, sha256 = factory.post()
    account, _ = FACEBOOK.account(mock.hosts)
    mock.fault(PUBLISH, "lose")
    mock.fault(CONTAINER, "answer", skip=1, times=5, status=400, body=refusal(100, 33))

    run = publish(Instagram(mock.hosts, pace=0), post, account)

    assert run.steps.count(("publish", False)) == 1
    assert len(mock.posts(sha256)) == 1


def test_a_video_that_is_not_ready_keeps_its_container(mock: MockServer, factory: PostFactory) -> None:
    """9007/2207027 means "not ready yet"."""
    post, sha256 = factory.post()
    account, _ = FACEBOOK.account(mock.hosts)
    mock.fault(PUBLISH, "answer", status=400, body=refusal(9007, 2207027))

    run = publish(Instagram(mock.hosts, pace=0), post, account)

    assert run.kinds.count("container") == 1
    assert len(mock.posts(sha256)) == 1


@pytest.mark.parametrize("state", ["EXPIRED", "ERROR"])
def test_a_container_that_is_over_is_remade(state: str, mock: MockServer, factory: PostFactory) -> None:
    """Containers publish nothing, so a new one is made, at most three times; then the video is at fault."""
    post, sha256 = factory.post()
    account, _ = FACEBOOK.account(mock.hosts)
    over = {"id": "1", "status_code": state, "status": f"{state}: 2207053"}
    mock.fault(CONTAINER, "answer", status=200, body=over)

    run = publish(Instagram(mock.hosts, pace=0), post, account)

    assert run.kinds.count("container") == 2
    assert len(mock.posts(sha256)) == 1

    mock.fault(CONTAINER, "answer", times=4, status=200, body=over)
    with pytest.raises(PostFailed):
        publish(Instagram(mock.hosts, pace=0), factory.post()[0], account)


def test_a_video_that_instagram_cannot_use_is_rejected_at_once(mock: MockServer, factory: PostFactory) -> None:
    """2207026 means unsupported: a new container would fail as well."""
    post, _ = factory.post()
    account, _ = FACEBOOK.account(mock.hosts)
    over = {"id": "1", "status_code": "ERROR", "status": "Error: failed with error code 2207026"}
    mock.fault(CONTAINER, "answer", status=200, body=over)

    with pytest.raises(PostFailed) as caught:
        publish(Instagram(mock.hosts, pace=0), post, account)

    assert (caught.value.code, caught.value.platform_code) == ("video_refused", "2207026")


def test_a_post_whose_link_cannot_be_read_is_published_all_the_same(mock: MockServer, factory: PostFactory) -> None:
    """Meta's bug 100/33 on existing posts must not fail them."""
    post, sha256 = factory.post()
    account, _ = FACEBOOK.account(mock.hosts)
    mock.fault("GET .*permalink", "answer", times=99, status=400, body=refusal(100, 33))

    run = publish(Instagram(mock.hosts, pace=0), post, account)

    assert isinstance(run.outcome, Published)
    assert run.outcome.link is None
    assert run.outcome.again_after_s is not None
    mock.clear_faults()
    again = Instagram(mock.hosts, pace=0).advance(post, account, run.outcome.handle, interrupted=False)
    assert isinstance(again, Published)
    assert again.link is not None
    assert len(mock.posts(sha256)) == 1


def test_two_posts_with_the_same_words_are_not_confused(mock: MockServer, factory: PostFactory) -> None:
    """Without exactly one match the link stays empty: a guess may point to another post."""
    account, _ = FACEBOOK.account(mock.hosts)
    first, _ = factory.post(title="Twin")
    publish(Instagram(mock.hosts, pace=0), first, account)
    second, sha256 = factory.post(title="Twin")
    mock.fault(PUBLISH, "lose")

    run = publish(Instagram(mock.hosts, pace=0), second, account)

    assert isinstance(run.outcome, Published)
    assert run.outcome.link is None
    assert len(mock.posts(sha256)) == 1


@pytest.mark.parametrize(
    ("code", "subcode", "kind", "ours"),
    [
        (9, 2207042, RateLimited, "post_limit"),
        (4, 0, RateLimited, "rate_limit"),
        (17, 0, RateLimited, "rate_limit"),
        (10, 0, Reconnect, "scope_missing"),
        (200, 0, Reconnect, "scope_missing"),
        (190, 463, Reconnect, "token_dead"),
        (25, 2207050, AccountRefused, "account_restricted"),
        (368, 0, AccountRefused, "policy_block"),
        (36004, 2207010, Rejected, "caption_too_long"),
        (100, 2207023, Rejected, "invalid_post"),
        (100, 33, TryLater, "object_hidden"),
        (352, 2207026, Rejected, "video_refused"),
        (1, 0, TryLater, "platform_down"),
        (2, 0, TryLater, "platform_down"),
        (3, 0, OperatorNeeded, "app_not_allowed"),
        (101, 0, OperatorNeeded, "app_unknown"),
        (99999, 0, Rejected, "refused"),
    ],
)
def test_every_code_says_what_to_do_next(
    code: int, subcode: int, kind: type[PlatformError], ours: str, mock: MockServer, factory: PostFactory
) -> None:
    """The subcode is looked up first, then the code."""
    post, _ = factory.post()
    account, _ = FACEBOOK.account(mock.hosts)
    publisher = Instagram(mock.hosts, pace=0)
    mock.fault(MAKE, "answer", status=400, body=refusal(code, subcode))

    with pytest.raises(kind) as caught:
        first_step(publisher, post, account)

    assert ours == caught.value.code
    assert (f"{code}/{subcode}" if subcode else str(code), "trace") == (caught.value.platform_code, caught.value.log_id)


@pytest.mark.parametrize(
    ("status", "body", "kind", "ours"),
    [
        (400, {"error": {"code": 100, "is_transient": True}}, TryLater, "platform_down"),
        (400, {"error": {"code": 4, "is_transient": True}}, RateLimited, "rate_limit"),
        (500, {"error": {"code": 100}}, TryLater, "answer_lost"),
        (401, {"error": {"code": 99999}}, Reconnect, "token_dead"),
        (401, "<html>proxy", TryLater, "answer_lost"),
        (403, "<html>captcha", TryLater, "answer_lost"),
        (404, "", TryLater, "answer_lost"),
        (418, {"error": {"code": 99999}}, TryLater, "answer_lost"),
        (409, "", TryLater, "try_again"),
        (429, "", RateLimited, "rate_limit"),
        (200, {}, TryLater, "answer_lost"),
        (204, None, TryLater, "answer_lost"),
    ],
)
def test_what_is_not_metas_word_ends_nothing(
    status: int, body: object, kind: type[PlatformError], ours: str, mock: MockServer, factory: PostFactory
) -> None:
    """A refusal needs a status of refusal and a body in Meta's format; `is_transient` is Meta's word for "later"."""
    post, _ = factory.post()
    account, _ = FACEBOOK.account(mock.hosts)
    mock.fault(MAKE, "answer", status=status, body=body, headers={"Retry-After": "77"})

    with pytest.raises(kind) as caught:
        first_step(Instagram(mock.hosts, pace=0), post, account)

    assert (ours, False) == (caught.value.code, isinstance(caught.value, Rejected))
    if isinstance(caught.value, TryLater):
        assert caught.value.retry_after_s == 77.0


def test_a_limit_lasts_as_long_as_meta_estimates(mock: MockServer, factory: PostFactory) -> None:
    """The header X-Business-Use-Case-Usage names the minutes."""
    post, _ = factory.post()
    account, _ = FACEBOOK.account(mock.hosts)
    publisher = Instagram(mock.hosts, pace=0)
    usage = {"X-Business-Use-Case-Usage": '{"178": [{"type": "instagram", "estimated_time_to_regain_access": 23}]}'}
    mock.fault(MAKE, "answer", status=400, body=refusal(80002), headers=usage)

    with pytest.raises(RateLimited) as caught:
        first_step(publisher, post, account)

    assert caught.value.retry_after_s == 23 * 60.0


def test_an_upload_address_elsewhere_is_never_called(mock: MockServer, factory: PostFactory) -> None:
    """The token would go there."""
    post, _ = factory.post()
    account, _ = FACEBOOK.account(mock.hosts)
    publisher = Instagram(mock.hosts, pace=0)
    mock.fault(MAKE, "answer", status=200, body={"id": "1", "uri": "https://rupload.facebook.com.evil.example/1"})

    with pytest.raises(OperatorNeeded) as caught:
        first_step(publisher, post, account)

    assert caught.value.code == "foreign_address"


def test_instagram_login_needs_a_public_address_of_the_video(mock: MockServer, factory: PostFactory) -> None:
    """With Instagram Login, Meta fetches the video; bytes are refused."""
    post, _ = factory.post()
    account, _ = LOGIN.account(mock.hosts)

    with pytest.raises(Rejected) as caught:
        Instagram(mock.hosts).begin(dataclasses.replace(post, media_url=None), account)

    assert caught.value.code == "media_url_missing"


def test_a_video_that_meta_cannot_fetch_is_tried_with_new_containers(mock: MockServer, factory: PostFactory) -> None:
    """At most three times, each time with the current address."""
    post, _ = factory.post()
    account, _ = LOGIN.account(mock.hosts)
    broken = dataclasses.replace(post, media_url=f"{post.media_url}-not-there")

    with pytest.raises(PostFailed) as caught:
        publish(Instagram(mock.hosts, pace=0), broken, account)

    assert caught.value.code == "processing_failed"


def test_a_container_seen_published_is_never_published_again(mock: MockServer, factory: PostFactory) -> None:
    """Whichever step reads that state, and whatever a later read returns."""
    post, sha256 = factory.post()
    account, _ = FACEBOOK.account(mock.hosts)
    publisher = Instagram(mock.hosts, pace=0)
    waiting = next(h for h in publish(publisher, post, account).handles if h.step == "processing")

    run = publish(publisher, post, account, start=waiting)

    assert "publish" not in run.kinds
    assert len(mock.posts(sha256)) == 1
