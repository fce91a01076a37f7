"""The effect of every class of error at every kind of step: never two posts, and none that failed while it is live."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import update

from actors import wiring
from actors.flow import publishing, publishing_retries, retention, tokens
from actors.flow.turns import MAX_OPEN
from platforms import errors
from platforms.contract import Advanced, AuthorizedAccount, Handle, Outcome, Post, Published
from store import Store, accounts
from store.states import AccountStatus, PublicationStatus
from store.tables import jobs, metadata, publications
from tests.actors.one_publication import NAME, Killed, create_job, stored
from tests.actors.queues import change_machine, move_clock

FIRST = Handle("reserve")
ERRORS: dict[str, Callable[[], errors.PlatformError]] = {
    "later": lambda: errors.TryLater("busy", "try later", retry_after_s=1.0),
    "limited": lambda: errors.RateLimited("daily", "enough for today", retry_after_s=3600.0, scope="account"),
    "operator": lambda: errors.OperatorNeeded("client_refused", "correct the client's secret"),
    "unclear": lambda: errors.Unclear("cut", "no answer", retry_after_s=1.0),
    "start over": lambda: errors.StartOver("job_ended", "begin again", handle=FIRST, retry_after_s=60.0),
    "reconnect": lambda: errors.Reconnect("revoked", "the access was revoked"),
    "rejected": lambda: errors.Rejected("refused", "not this request"),
    "post failed": lambda: errors.PostFailed("video_refused", "the platform cannot use the video"),
    "account refused": lambda: errors.AccountRefused("banned", "the account may not post"),
    "unknown": lambda: errors.OutcomeUnknown("nobody_knows", "the platform does not know it"),
}
ASKS = (PublicationStatus.PUBLISHING, True)  # goes on, and asks before it acts
REPEATS = (PublicationStatus.PUBLISHING, False)
FAILED = (PublicationStatus.FAILED, False)
UNKNOWN = (PublicationStatus.OUTCOME_UNKNOWN, False)
# By error: at a step before anything can be public, at one that can make it public, at one that only asks.
EFFECTS = {
    "later": (REPEATS, ASKS, REPEATS),
    "limited": (REPEATS, ASKS, REPEATS),
    "operator": (REPEATS, ASKS, REPEATS),
    "unclear": (ASKS, ASKS, ASKS),
    "start over": (REPEATS, REPEATS, REPEATS),
    "reconnect": (REPEATS, ASKS, REPEATS),
    "rejected": (FAILED, ASKS, REPEATS),
    "post failed": (FAILED, FAILED, FAILED),
    "account refused": (FAILED, ASKS, REPEATS),
    "unknown": (UNKNOWN, UNKNOWN, UNKNOWN),
}
STEPS = ("reserve", "publish", "confirm")
CASES = [
    (error, step, was_interrupted, _effect)
    for error, effects in EFFECTS.items()
    for step, effect in zip(STEPS, effects, strict=True)
    for was_interrupted in (False, True)
    # An interrupted step that goes on stays interrupted, unless it begins again.
    for _effect in [ASKS if was_interrupted and effect == REPEATS and error != "start over" else effect]
]


@dataclass
class Platform:
    """A platform whose post is made by the step "publish" and found by the step "confirm".

    Attributes:
        faults: for each call: the name of an error and "before" or "after" what the call does, or a kill.
        posts: the posts that exist.
        acted: calls of "publish" with interrupted=False.
    """

    faults: list[tuple[str, str]] = field(default_factory=list)
    posts: list[str] = field(default_factory=list)
    acted: int = 0
    platform: str = "tiktok"
    irreversible_steps: frozenset[str] = frozenset({"publish"})

    def begin(self, post: Post, account: AuthorizedAccount) -> Handle:
        return FIRST

    def may_stop(self, handle: Handle) -> bool:
        return handle.step != "confirm"

    def advance(self, post: Post, account: AuthorizedAccount, handle: Handle, *, interrupted: bool) -> Outcome:
        name, moment = self.faults.pop(0) if self.faults else ("", "")
        if moment == "before":
            self._fail(name)
        outcome = self._carry_out(post, handle, interrupted=interrupted)
        if moment == "after":
            self._fail(name)
        return outcome

    def _fail(self, name: str) -> None:
        if name == "killed":
            raise Killed
        if name == "expired":
            raise errors.Reconnect("expired", "the token has expired", refreshable=True)
        error = ERRORS[name]()
        raise error

    def _carry_out(self, post: Post, handle: Handle, *, interrupted: bool) -> Outcome:
        if handle.step == "reserve":
            return Advanced(handle.then("publish"))
        if handle.step == "publish":
            if not interrupted:
                self.acted += 1
            if not interrupted or not self.posts:
                self.posts.append(post.publication_id)
            return Advanced(handle.then("confirm"))
        return Published(handle, "remote-1", "https://example.test/1")


@pytest.fixture
def access(publishing_job: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every token be refreshed."""
    usable = AuthorizedAccount("tiktok-1", "tiktok", "tiktok", "r", "@a", "new token")
    monkeypatch.setattr(tokens, "refresh", lambda *_: tokens.Access(usable, b"sealed"))


def _set_step(step: str, *, unclear: bool) -> None:
    sealed = wiring.machine.sealer.seal({})
    with wiring.machine.store.writing(scope="everything") as connection:
        table = metadata.tables["publications"]
        connection.execute(table.update().values(step=step, handle=sealed, unclear=unclear))


@pytest.mark.usefixtures("access")
@pytest.mark.parametrize(("error", "step", "was_interrupted", "effect"), CASES)
def test_an_error_has_its_effect(
    monkeypatch: pytest.MonkeyPatch,
    error: str,
    step: str,
    was_interrupted: bool,
    effect: tuple[PublicationStatus, bool],
) -> None:
    change_machine(monkeypatch, publisher=lambda _: Platform(faults=[(error, "before")]))
    _set_step(step, unclear=was_interrupted)
    publishing.run_step(wiring.machine, NAME, "message")
    found = stored()
    assert (found.status, found.unclear) == effect
    assert found.step == ("reserve" if error == "start over" else step)
    assert found.code == ERRORS[error]().code


@pytest.mark.usefixtures("access")
def test_a_step_is_repeated_with_a_refreshed_token_as_an_interrupted_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A 401 at an irreversible call does not prove that nothing was posted."""
    platform = Platform(faults=[("expired", "after")])
    change_machine(monkeypatch, publisher=lambda _: platform)
    _set_step("publish", unclear=False)
    publishing.run_step(wiring.machine, NAME, "message")
    assert (stored().step, platform.acted, platform.posts) == ("confirm", 1, [NAME])


@pytest.mark.usefixtures("access")
@pytest.mark.parametrize("step", ["reserve", "publish"])
def test_a_fresh_token_that_is_refused_is_tried_again_before_its_owner_is_asked(
    monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The platform's servers may not all know it yet."""
    platform = Platform(faults=[("expired", "before")] * 6)
    change_machine(monkeypatch, publisher=lambda _: platform)
    _set_step(step, unclear=False)
    for _ in range(2):
        publishing.run_step(wiring.machine, NAME, "message")
        assert (stored().status, _account_status()) == (PublicationStatus.PUBLISHING, AccountStatus.CONNECTED)
        move_clock(monkeypatch, timedelta(hours=1))
    publishing.run_step(wiring.machine, NAME, "message")
    assert (stored().status, _account_status()) == (PublicationStatus.PUBLISHING, AccountStatus.RECONNECT)


def _account_status() -> AccountStatus:
    with wiring.machine.store.reading() as connection:
        found = accounts.get(connection, "tiktok-1")
    assert found is not None
    return found.status


@pytest.mark.usefixtures("access")
def test_a_reversible_step_is_repeated_with_a_refreshed_token_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    platform = Platform(faults=[("expired", "before"), ("later", "before")])
    change_machine(monkeypatch, publisher=lambda _: platform)
    _set_step("reserve", unclear=False)
    publishing.run_step(wiring.machine, NAME, "message")
    assert (stored().status, stored().unclear) == REPEATS


@pytest.mark.usefixtures("access")
@pytest.mark.parametrize("step", ["publish", "confirm"])
def test_a_refused_question_is_asked_for_a_day_and_then_left_to_a_person(
    monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    monkeypatch.setattr(publishing_retries, "jitter", lambda: 1.0)
    change_machine(monkeypatch, publisher=lambda _: Platform(faults=[("rejected", "before")]))
    _set_step(step, unclear=False)
    pauses: list[int] = []
    while stored().status is PublicationStatus.PUBLISHING:
        publishing.run_step(wiring.machine, NAME, f"message {len(pauses)}")
        due = stored().next_at
        assert due is not None
        pauses.append(round((due - wiring.machine.now()) / timedelta(minutes=1)))
        move_clock(monkeypatch, max(due - wiring.machine.now(), timedelta(0)))
    assert pauses[:8] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert timedelta(hours=24) < timedelta(minutes=sum(pauses)) < timedelta(hours=26)
    assert (stored().status, stored().code) == (PublicationStatus.OUTCOME_UNKNOWN, "refused")


@pytest.mark.usefixtures("access")
def test_a_refused_account_keeps_a_post_that_may_be_public(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    change_machine(monkeypatch, publisher=lambda _: Platform(faults=[("account refused", "after")]))
    _set_step("publish", unclear=False)
    publishing.run_step(wiring.machine, NAME, "message")
    with store.reading() as connection:
        owner = accounts.get(connection, "tiktok-1")
    assert owner is not None
    assert (owner.status, stored().status) == (AccountStatus.REFUSED, PublicationStatus.PUBLISHING)


@pytest.mark.usefixtures("access")
def test_a_new_job_may_make_its_account_wait(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def spam() -> errors.PlatformError:
        return errors.StartOver("spam", "wait", handle=FIRST, retry_after_s=3600.0, scope="account")

    monkeypatch.setitem(ERRORS, "spam", spam)
    change_machine(monkeypatch, publisher=lambda _: Platform(faults=[("spam", "before")]))
    _set_step("confirm", unclear=False)
    publishing.run_step(wiring.machine, NAME, "message")
    with store.reading() as connection:
        owner = accounts.get(connection, "tiktok-1")
    assert owner is not None
    assert owner.paused_until == stored().next_at
    assert (stored().step, stored().tries, stored().troubled_since) == ("reserve", 0, None)


@pytest.mark.usefixtures("access")
@pytest.mark.parametrize(
    ("step", "unclear", "status"),
    [
        ("reserve", True, PublicationStatus.EXPIRED),
        ("publish", False, PublicationStatus.EXPIRED),
        ("publish", True, PublicationStatus.OUTCOME_UNKNOWN),
        ("confirm", False, PublicationStatus.OUTCOME_UNKNOWN),
    ],
)
def test_only_what_is_certainly_not_public_expires(
    monkeypatch: pytest.MonkeyPatch, step: str, unclear: bool, status: PublicationStatus
) -> None:
    change_machine(monkeypatch, publisher=lambda _: Platform())
    _set_step(step, unclear=unclear)
    move_clock(monkeypatch, MAX_OPEN + timedelta(days=8))
    retention.clean_up(wiring.machine)
    assert (stored().status, stored().code) == (status, "expired")


def test_a_post_for_a_later_day_does_not_expire_before_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """`publish_after` may be a year ahead: the maximum counts from then."""
    with store.writing(scope="everything") as connection:
        create_job(connection)
        connection.execute(update(publications).values(status=PublicationStatus.WAITING))
        connection.execute(update(jobs).values(publish_after=wiring.machine.now() + timedelta(days=90)))
    for day in (80, 149):
        with pytest.MonkeyPatch.context() as patch:
            move_clock(patch, timedelta(days=day))
            retention.clean_up(wiring.machine)
        assert stored().status is PublicationStatus.WAITING, day
    move_clock(monkeypatch, timedelta(days=151))
    retention.clean_up(wiring.machine)
    assert stored().status is PublicationStatus.EXPIRED


# The platform's word that the post has failed, or that its job has ended without a post, is true.
_TRUE_WORDS = {"post failed", "start over"}
_FAULTS = [("", ""), ("killed", "before"), ("killed", "after"), ("expired", "before"), ("expired", "after")] + [
    (name, moment) for name in ERRORS for moment in ("before", "after") if name not in _TRUE_WORDS
]


@pytest.mark.usefixtures("access")
@hypothesis_settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(faults=st.lists(st.sampled_from(_FAULTS), max_size=8))
def test_no_error_makes_two_posts_or_fails_one_that_is_live(store: Store, faults: list[tuple[str, str]]) -> None:
    shutil.rmtree(wiring.machine.settings.uploads_dir, ignore_errors=True)
    with store.writing(scope="everything") as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
        create_job(connection)
    platform = Platform(faults=list(faults))
    with pytest.MonkeyPatch.context() as patch:
        change_machine(patch, publisher=lambda _: platform)
        for number in range(30):
            found = stored()
            if found.status is not PublicationStatus.PUBLISHING:
                break
            message = found.holder.split("/")[0] if found.holder else f"message {number}"
            try:
                publishing.run_step(wiring.machine, NAME, message)
            except Killed:
                continue
            move_clock(patch, timedelta(hours=1, minutes=1))
    ended = stored()
    assert platform.acted <= 1
    assert len(platform.posts) <= 1
    if platform.posts:
        assert ended.status in {PublicationStatus.PUBLISHED, PublicationStatus.OUTCOME_UNKNOWN}
    else:
        assert ended.status in {PublicationStatus.FAILED, PublicationStatus.OUTCOME_UNKNOWN}
