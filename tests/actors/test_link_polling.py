"""Asking for what is still unknown of a post after it was published; asking never publishes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from actors import wiring
from actors.flow import link_polling, publishing
from platforms import errors
from platforms.contract import ActionNeeded, AuthorizedAccount, Handle, Outcome, Post, Published
from store import Store, platform_states, webhooks
from store.owners import DEFAULT_OWNER
from store.platform_states import PlatformState
from store.states import EndpointState, PublicationStatus
from store.tables import events
from tests.actors.one_publication import NAME, drive, stored
from tests.actors.queues import change_machine, move_clock

Answer = Callable[[Handle], Outcome]


@dataclass
class Slow:
    """A platform that publishes at once and tells more later.

    Attributes:
        answers: one for each call; the last one stays.
    """

    answers: list[Answer]
    platform: str = "tiktok"
    irreversible_steps: frozenset[str] = field(default_factory=frozenset)

    def begin(self, post: Post, account: AuthorizedAccount) -> Handle:
        return Handle("publish", {})

    def may_stop(self, handle: Handle) -> bool:
        return False

    def advance(self, post: Post, account: AuthorizedAccount, handle: Handle, *, interrupted: bool) -> Outcome:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer(handle)


def _without_link(handle: Handle) -> Outcome:
    return Published(handle, "remote-1", None, 60.0)


def _with_link(handle: Handle) -> Outcome:
    return Published(handle, "remote-1", "https://example.test/1")


def _draft(handle: Handle) -> Outcome:
    return ActionNeeded(handle, "remote-1", "draft_in_inbox", 60.0)


def _refused(handle: Handle) -> Outcome:
    raise errors.Rejected("forbidden", "not allowed to list videos")


@pytest.fixture
def ask(store: Store, publishing_job: object, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Return what publishes with some answers and returns the types of the events about the post."""
    with store.writing(scope="everything") as connection:
        endpoint = webhooks.Endpoint(
            owner_id=DEFAULT_OWNER,
            id="ep", url="http://127.0.0.1:9", scope="all", events=[], state=EndpointState.ENABLED, secret=b"s",
            created_at=wiring.machine.now(),
        )  # fmt: skip
        webhooks.add_endpoint(connection, endpoint)

    def run(*answers: Answer, calls: int) -> list[str]:
        platform = Slow(list(answers))
        change_machine(monkeypatch, publisher=lambda _: platform)
        drive()
        for number in range(calls - 1):
            move_clock(monkeypatch, timedelta(hours=1, minutes=1))
            publishing.run_step(wiring.machine, NAME, f"question {number}")
        with store.reading() as connection:
            query = events.select().with_only_columns(events.c.type).where(events.c.type.like("publication.%"))
            return list(connection.scalars(query))

    return run


def test_a_late_link_has_an_event_of_its_own(ask: Callable[..., list[str]]) -> None:
    assert ask(_without_link, _without_link, _with_link, calls=3)[-2:] == [
        "publication.published",
        "publication.linked",
    ]
    assert stored().link == "https://example.test/1"


def test_a_draft_that_its_owner_has_posted_is_published_once(ask: Callable[..., list[str]]) -> None:
    told = ask(_draft, _without_link, _with_link, calls=3)
    assert told[-3:] == ["publication.action_needed", "publication.published", "publication.linked"]


def test_a_refused_question_is_asked_again_for_a_day(ask: Callable[..., list[str]]) -> None:
    told = ask(_without_link, _refused, _with_link, calls=3)
    assert told[-1] == "publication.linked"
    assert stored().status is PublicationStatus.PUBLISHED


def test_a_question_that_is_refused_for_a_day_ends(ask: Callable[..., list[str]]) -> None:
    ask(_without_link, _refused, calls=2)
    assert stored().next_at is not None
    ask(_refused, calls=int(link_polling.POLL_FOR / timedelta(hours=1)) + 2)
    assert (stored().status, stored().next_at) == (PublicationStatus.PUBLISHED, None)


def test_two_polls_at_once_tell_the_link_once(ask: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that was delivered twice, as after its process was frozen."""

    def overtaken(handle: Handle) -> Outcome:
        change_machine(monkeypatch, publisher=lambda _: Slow([_with_link]))
        publishing.run_step(wiring.machine, NAME, "second")
        return _with_link(handle)

    assert ask(_without_link, overtaken, calls=2).count("publication.linked") == 1
    assert (stored().link, stored().next_at) == ("https://example.test/1", None)


def test_nothing_is_asked_during_an_outage(store: Store, ask: Callable[..., list[str]]) -> None:
    ask(_without_link, _with_link, calls=1)
    until = wiring.machine.now() + timedelta(hours=1)
    with store.writing(scope="everything") as connection:
        platform_states.put(connection, PlatformState(platform="tiktok", failures_in_a_row=3, paused_until=until))
    with pytest.MonkeyPatch.context() as patch:
        move_clock(patch, timedelta(minutes=2))
        publishing.run_step(wiring.machine, NAME, "during the outage")
        assert (stored().link, stored().next_at) == (None, until)
        move_clock(patch, timedelta(hours=1))
        publishing.run_step(wiring.machine, NAME, "after it")
    assert stored().link == "https://example.test/1"
