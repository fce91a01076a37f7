"""What is Instagram's own: containers that may be remade, the one call that may not be repeated, its error codes."""

from __future__ import annotations

import dataclasses

import pytest

from platforms.contract import Published
from platforms.errors import AccountRefused, PlatformError, RateLimited, Reconnect, Rejected, TryLater
from platforms.instagram.publisher import Instagram
from tests.platforms.journey import CASES, Studio, travel
from tests.platforms.mock_server import MockServer

LOGIN, FACEBOOK = CASES[2], CASES[3]
PUBLISH = "POST .*/media_publish"
MAKE = "POST .*/media[?]"
CONTAINER = r"GET .*graph/v[\d.]+/\d+[?]fields=id,status,status_code"


def refusal(code: int, subcode: int = 0) -> dict[str, object]:
    return {"error": {"code": code, "error_subcode": subcode, "message": "m", "fbtrace_id": "trace"}}


@pytest.mark.parametrize(("code", "subcode"), [(4, 2207051), (-1, 2207001), (24, 2207008), (1, 0), (2, 0)])
def test_a_refusal_of_a_post_that_went_live_is_not_believed(
    code: int, subcode: int, mock: MockServer, studio: Studio
) -> None:
    """Seen in July 2026: "action blocked" on posts that were published. The container knows better."""
    post, sha256 = studio.post()
    account, _ = FACEBOOK.account(mock.hosts)
    mock.fault(PUBLISH, "lie", status=400, body=refusal(code, subcode))

    journey = travel(Instagram(mock.hosts, pace=0), post, account)

    found = mock.posts(sha256)
    assert isinstance(journey.outcome, Published)
    assert [journey.outcome.remote_id] == [one["id"] for one in found]
    assert journey.outcome.link is not None


def test_a_block_of_a_post_that_is_not_live_pauses_the_account(mock: MockServer, studio: Studio) -> None:
    """Four looks at the container first."""
    post, sha256 = studio.post()
    account, _ = FACEBOOK.account(mock.hosts)
    mock.fault(PUBLISH, "answer", status=400, body=refusal(4, 2207051))

    with pytest.raises(AccountRefused) as caught:
        travel(Instagram(mock.hosts, pace=0), post, account)

    assert caught.value.code == "action_blocked"
    assert mock.posts(sha256) == []


def test_an_unclear_publish_that_did_not_happen_publishes_the_same_container(mock: MockServer, studio: Studio) -> None:
    """A second container would be the duplicate; FINISHED at every look means that this one is still free."""
    post, sha256 = studio.post()
    account, _ = FACEBOOK.account(mock.hosts)
    mock.fault(PUBLISH, "answer", status=502)

    journey = travel(Instagram(mock.hosts, pace=0), post, account)

    assert journey.kinds.count("confirm") == 4
    assert journey.kinds.count("publish") == 2
    assert journey.kinds.count("container") == 1
    assert len(mock.posts(sha256)) == 1


def test_publish_is_never_repeated_while_the_container_cannot_be_read(mock: MockServer, studio: Studio) -> None:
    """A read that fails proves nothing, not even "object does not exist" (seen on good posts)."""
    post, sha256 = studio.post()
    account, _ = FACEBOOK.account(mock.hosts)
    mock.fault(PUBLISH, "lose")
    mock.fault(CONTAINER, "answer", skip=1, times=5, status=400, body=refusal(100, 33))

    journey = travel(Instagram(mock.hosts, pace=0), post, account)

    assert journey.kinds.count("publish") == 1
    assert len(mock.posts(sha256)) == 1


def test_a_video_that_is_not_ready_is_waited_for_with_the_same_container(mock: MockServer, studio: Studio) -> None:
    """9007/2207027 is a clear "not yet"."""
    post, sha256 = studio.post()
    account, _ = FACEBOOK.account(mock.hosts)
    mock.fault(PUBLISH, "answer", status=400, body=refusal(9007, 2207027))

    journey = travel(Instagram(mock.hosts, pace=0), post, account)

    assert journey.kinds.count("container") == 1
    assert len(mock.posts(sha256)) == 1


@pytest.mark.parametrize("state", ["EXPIRED", "ERROR"])
def test_a_container_that_is_over_is_remade(state: str, mock: MockServer, studio: Studio) -> None:
    """Containers publish nothing, so another may be made; twice, then it is the video's fault."""
    post, sha256 = studio.post()
    account, _ = FACEBOOK.account(mock.hosts)
    over = {"id": "1", "status_code": state, "status": f"{state}: 2207053"}
    mock.fault(CONTAINER, "answer", status=200, body=over)

    journey = travel(Instagram(mock.hosts, pace=0), post, account)

    assert journey.kinds.count("container") == 2
    assert len(mock.posts(sha256)) == 1

    mock.fault(CONTAINER, "answer", times=3, status=200, body=over)
    with pytest.raises(Rejected):
        travel(Instagram(mock.hosts, pace=0), studio.post()[0], account)


def test_a_video_that_instagram_cannot_use_is_rejected_at_once(mock: MockServer, studio: Studio) -> None:
    """2207026: unsupported; a new container would fail alike."""
    post, _ = studio.post()
    account, _ = FACEBOOK.account(mock.hosts)
    over = {"id": "1", "status_code": "ERROR", "status": "Error: failed with error code 2207026"}
    mock.fault(CONTAINER, "answer", status=200, body=over)

    with pytest.raises(Rejected) as caught:
        travel(Instagram(mock.hosts, pace=0), post, account)

    assert (caught.value.code, caught.value.platform_code) == ("video_refused", "2207026")


def test_a_post_whose_link_cannot_be_read_is_published_all_the_same(mock: MockServer, studio: Studio) -> None:
    """Meta's bug 100/33 on good posts must not fail them."""
    post, sha256 = studio.post()
    account, _ = FACEBOOK.account(mock.hosts)
    mock.fault("GET .*permalink", "answer", times=99, status=400, body=refusal(100, 33))

    journey = travel(Instagram(mock.hosts, pace=0), post, account)

    assert isinstance(journey.outcome, Published)
    assert journey.outcome.link is None
    assert journey.outcome.again_after_s is not None
    mock.heal()
    again = Instagram(mock.hosts, pace=0).advance(post, account, journey.outcome.handle, interrupted=False)
    assert isinstance(again, Published)
    assert again.link is not None
    assert len(mock.posts(sha256)) == 1


def test_two_posts_with_the_same_words_are_not_confused(mock: MockServer, studio: Studio) -> None:
    """Without exactly one match the link stays empty: a guess may point to someone else's post."""
    account, _ = FACEBOOK.account(mock.hosts)
    first, _ = studio.post(title="Twin")
    travel(Instagram(mock.hosts, pace=0), first, account)
    second, sha256 = studio.post(title="Twin")
    mock.fault(PUBLISH, "lose")

    journey = travel(Instagram(mock.hosts, pace=0), second, account)

    assert isinstance(journey.outcome, Published)
    assert journey.outcome.link is None
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
    code: int, subcode: int, kind: type[PlatformError], ours: str, mock: MockServer, studio: Studio
) -> None:
    """By subcode first, then by code."""
    post, _ = studio.post()
    account, _ = FACEBOOK.account(mock.hosts)
    publisher = Instagram(mock.hosts, pace=0)
    mock.fault(MAKE, "answer", status=400, body=refusal(code, subcode))

    with pytest.raises(kind) as caught:
        publisher.advance(post, account, publisher.begin(post, account), interrupted=False)

    assert ours == caught.value.code
    assert (f"{code}/{subcode}" if subcode else str(code), "trace") == (caught.value.platform_code, caught.value.log_id)


def test_a_limit_lasts_as_long_as_meta_estimates(mock: MockServer, studio: Studio) -> None:
    """X-Business-Use-Case-Usage names minutes."""
    post, _ = studio.post()
    account, _ = FACEBOOK.account(mock.hosts)
    publisher = Instagram(mock.hosts, pace=0)
    usage = {"X-Business-Use-Case-Usage": '{"178": [{"type": "instagram", "estimated_time_to_regain_access": 23}]}'}
    mock.fault(MAKE, "answer", status=400, body=refusal(80002), headers=usage)

    with pytest.raises(RateLimited) as caught:
        publisher.advance(post, account, publisher.begin(post, account), interrupted=False)

    assert caught.value.retry_after_s == 23 * 60.0


def test_an_upload_address_elsewhere_is_never_called(mock: MockServer, studio: Studio) -> None:
    """The token would go there."""
    post, _ = studio.post()
    account, _ = FACEBOOK.account(mock.hosts)
    publisher = Instagram(mock.hosts, pace=0)
    mock.fault(MAKE, "answer", status=200, body={"id": "1", "uri": "https://rupload.facebook.com.evil.example/1"})

    with pytest.raises(Rejected) as caught:
        publisher.advance(post, account, publisher.begin(post, account), interrupted=False)

    assert caught.value.code == "foreign_address"


def test_instagram_login_needs_a_public_address_of_the_video(mock: MockServer, studio: Studio) -> None:
    """There, Meta fetches; bytes are refused."""
    post, _ = studio.post()
    account, _ = LOGIN.account(mock.hosts)

    with pytest.raises(Rejected) as caught:
        Instagram(mock.hosts).begin(dataclasses.replace(post, media_url=None), account)

    assert caught.value.code == "media_url_missing"


def test_a_video_that_meta_cannot_fetch_is_tried_with_new_containers(mock: MockServer, studio: Studio) -> None:
    """Twice; each time with the address of the moment."""
    post, _ = studio.post()
    account, _ = LOGIN.account(mock.hosts)
    broken = dataclasses.replace(post, media_url=f"{post.media_url}-not-there")

    with pytest.raises(Rejected) as caught:
        travel(Instagram(mock.hosts, pace=0), broken, account)

    assert caught.value.code == "processing_failed"


def test_a_container_seen_published_is_never_published_again(mock: MockServer, studio: Studio) -> None:
    """Whatever step finds it so, and whatever a later read says."""
    post, sha256 = studio.post()
    account, _ = FACEBOOK.account(mock.hosts)
    publisher = Instagram(mock.hosts, pace=0)
    waiting = next(h for h in travel(publisher, post, account).handles if h.step == "processing")

    journey = travel(publisher, post, account, start=waiting)

    assert "publish" not in journey.kinds
    assert len(mock.posts(sha256)) == 1
