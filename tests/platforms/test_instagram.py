"""Instagram: containers may be remade, the publish call must not be repeated, error codes."""

from __future__ import annotations

import dataclasses

import pytest

from platforms.contract import Published
from platforms.errors import AccountRefused, PlatformError, RateLimited, Reconnect, Rejected, TryLater
from platforms.instagram.publisher import Instagram
from tests.platforms.mock_server import MockServer
from tests.platforms.publishing_run import CASES, PostFactory, first_step, publish

LOGIN, FACEBOOK = CASES[2], CASES[3]
PUBLISH = "POST .*/media_publish"
MAKE = "POST .*/media[?]"
CONTAINER = r"GET .*graph/v[\d.]+/\d+[?]fields=id,status,status_code"


def refusal(code: int, subcode: int = 0) -> dict[str, object]:
    return {"error": {"code": code, "error_subcode": subcode, "message": "m", "fbtrace_id": "trace"}}


@pytest.mark.parametrize(("code", "subcode"), [(4, 2207051), (-1, 2207001), (24, 2207008), (1, 0), (2, 0)])
def test_after_a_doubtful_refusal_the_container_decides(
    code: int, subcode: int, mock: MockServer, factory: PostFactory
) -> None:
    """Seen in July 2026: "action blocked" on posts that were published. The state of the container decides."""
    post, sha256 = factory.post()
    account, _ = FACEBOOK.account(mock.hosts)
    mock.fault(PUBLISH, "lie", status=400, body=refusal(code, subcode))

    run = publish(Instagram(mock.hosts, pace=0), post, account)

    found = mock.posts(sha256)
    assert isinstance(run.outcome, Published)
    assert [run.outcome.remote_id] == [one["id"] for one in found]
    assert run.outcome.link is not None


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
    assert run.kinds.count("publish") == 2
    assert run.kinds.count("container") == 1
    assert len(mock.posts(sha256)) == 1


def test_publish_is_never_repeated_while_the_container_cannot_be_read(mock: MockServer, factory: PostFactory) -> None:
    """A failed read proves nothing, not even "object does not exist" (seen on existing posts)."""
    post, sha256 = factory.post()
    account, _ = FACEBOOK.account(mock.hosts)
    mock.fault(PUBLISH, "lose")
    mock.fault(CONTAINER, "answer", skip=1, times=5, status=400, body=refusal(100, 33))

    run = publish(Instagram(mock.hosts, pace=0), post, account)

    assert run.kinds.count("publish") == 1
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
    """Containers publish nothing, so a new one is made, at most twice; then the video is at fault."""
    post, sha256 = factory.post()
    account, _ = FACEBOOK.account(mock.hosts)
    over = {"id": "1", "status_code": state, "status": f"{state}: 2207053"}
    mock.fault(CONTAINER, "answer", status=200, body=over)

    run = publish(Instagram(mock.hosts, pace=0), post, account)

    assert run.kinds.count("container") == 2
    assert len(mock.posts(sha256)) == 1

    mock.fault(CONTAINER, "answer", times=3, status=200, body=over)
    with pytest.raises(Rejected):
        publish(Instagram(mock.hosts, pace=0), factory.post()[0], account)


def test_a_video_that_instagram_cannot_use_is_rejected_at_once(mock: MockServer, factory: PostFactory) -> None:
    """2207026 means unsupported: a new container would fail as well."""
    post, _ = factory.post()
    account, _ = FACEBOOK.account(mock.hosts)
    over = {"id": "1", "status_code": "ERROR", "status": "Error: failed with error code 2207026"}
    mock.fault(CONTAINER, "answer", status=200, body=over)

    with pytest.raises(Rejected) as caught:
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
        (99999, 0, TryLater, "refused"),
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

    with pytest.raises(Rejected) as caught:
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
    """At most twice, each time with the current address."""
    post, _ = factory.post()
    account, _ = LOGIN.account(mock.hosts)
    broken = dataclasses.replace(post, media_url=f"{post.media_url}-not-there")

    with pytest.raises(Rejected) as caught:
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
