"""A kill before any SQL statement of a failed step: redelivery records the same effect, once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest

from actors import wiring
from actors.flow import publishing, publishing_retries
from actors.flow.retrying import GivenUp
from platforms import errors
from platforms.contract import AuthorizedAccount, Handle, Outcome, Post
from store import Store, accounts, platform_states
from store.platform_states import PlatformState
from store.states import PublicationStatus
from store.tables import metadata
from tests.actors.one_publication import NAME, Killed, create_job, killed_at, stored
from tests.actors.queues import change_machine, change_settings, waiting

ON_EVERY_ENGINE = True

MESSAGE = ("publish_tiktok", (NAME,))
MAX_STATEMENTS = 80
Error = Callable[[], errors.PlatformError]
FAILURES: dict[str, Error] = {
    "start over": partial(
        errors.StartOver, "spam", "wait", handle=Handle("reserve", {"again": 1}), retry_after_s=60.0, scope="account"
    ),
    "outage": partial(errors.TryLater, "server_failed", "HTTP 503", retry_after_s=1.0, cause="platform"),
    "operator": partial(errors.OperatorNeeded, "client_refused", "correct the client's secret"),
    "last retry": partial(errors.TryLater, "not_yet", "not accepted", retry_after_s=1.0, cause="post"),
    "refused": partial(errors.Rejected, "refused", "not this one"),
    "account": partial(errors.AccountRefused, "banned", "the account may not post"),
}


@dataclass
class Failing:
    """A platform whose first step fails."""

    error: Error
    platform: str = "tiktok"
    irreversible_steps: frozenset[str] = frozenset({"publish"})

    def begin(self, post: Post, account: AuthorizedAccount) -> Handle:
        return Handle("reserve", {})

    def may_stop(self, handle: Handle) -> bool:
        return True

    def advance(self, post: Post, account: AuthorizedAccount, handle: Handle, *, interrupted: bool) -> Outcome:
        raise self.error()


def _prepare(store: Store, monkeypatch: pytest.MonkeyPatch, error: Error) -> None:
    with store.writing(scope="everything") as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
        create_job(connection)
        # Two failures in a row: the next one opens the outage.
        platform_states.put(connection, PlatformState(platform="tiktok", failures_in_a_row=2))
    wiring.machine.broker.flush_all()
    change_machine(monkeypatch, publisher=lambda _: Failing(error))


def _deliver() -> bool:
    """Deliver the message; return whether it is to be dead-lettered."""
    try:
        publishing.run_step(wiring.machine, NAME, "message")
    except GivenUp:
        return True
    return False


def _effect(store: Store) -> tuple[object, ...]:
    found = stored()
    with store.reading() as connection:
        state = platform_states.get(connection, "tiktok")
        owner = accounts.get(connection, "tiktok-1")
    assert owner is not None
    assert found.holder is None or found.status is PublicationStatus.FAILED
    return (
        found.status, found.step, found.tries, found.code, len(found.attempts or []), state.failures_in_a_row,
        state.is_out, state.code, owner.status, owner.paused_until is None, waiting().count(MESSAGE),
    )  # fmt: skip


@pytest.mark.logs_errors("loguru")
@pytest.mark.usefixtures("publishing_job")
@pytest.mark.parametrize("name", FAILURES)
def test_a_kill_before_any_statement_changes_nothing(store: Store, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(publishing_retries, "jitter", lambda: 1.0)
    change_settings(monkeypatch, publish_retries=0)
    error = FAILURES[name]
    _prepare(store, monkeypatch, error)
    is_dead_lettered = _deliver()
    expected = _effect(store)
    assert is_dead_lettered == (name == "last retry")
    for number in range(1, MAX_STATEMENTS):
        _prepare(store, monkeypatch, error)
        with killed_at(number):
            try:
                was_killed, is_dead_lettered = False, _deliver()
            except Killed:
                was_killed = True
        if was_killed:
            is_dead_lettered = _deliver()
        assert (_effect(store), is_dead_lettered) == (expected, name == "last retry"), f"killed at {number}"
        if not was_killed:
            assert number > 8
            # A kill after the last commit: the message was not acknowledged.
            assert _deliver() == (name == "last retry")
            assert _effect(store) == expected
            return
    raise AssertionError("the step executes ever more statements")
