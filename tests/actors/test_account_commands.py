"""After an account was connected again, everything that waited for it goes on at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from actors import wiring
from actors.flow import account_commands, publishing, tokens
from platforms import errors
from platforms.contract import AuthorizedAccount, Handle, Outcome, Post
from store import Store, accounts, publication_queue, publications, segments
from store.states import AccountStatus, PublicationStatus, SegmentStatus
from tests.actors.one_publication import NAME, Remote, drive, stored
from tests.actors.queues import waiting
from tests.store.rows import account, publication, segment

MESSAGE = ("publish_tiktok", (NAME,))


class Revoked(Remote):
    def _carry_out(self, post: Post, handle: Handle, *, interrupted: bool) -> Outcome:
        raise errors.Reconnect("revoked", "the access was revoked")


def _account(store: Store) -> accounts.Account:
    with store.reading() as connection:
        found = accounts.get(connection, "tiktok-1")
    assert found is not None
    return found


def test_a_publication_goes_on_at_once_after_a_new_login(
    store: Store, publishing_job: Callable[[Remote], None]
) -> None:
    with store.writing(scope="everything") as connection:
        part = segment(2, status=SegmentStatus.READY)
        segments.create(connection, [part])
        publications.create(connection, [publication(part, account())])
    publishing_job(Revoked())
    publishing.run_step(wiring.machine, NAME, "message")
    assert (_account(store).status, stored().code) == (AccountStatus.RECONNECT, "revoked")
    before = waiting().count(MESSAGE)
    account_commands.connect(wiring.machine, [replace(account(), tokens=b"new")])
    assert waiting().count(MESSAGE) == before + 1
    found = stored()
    assert found.next_at is not None
    assert found.next_at <= wiring.machine.now()
    with store.reading() as connection:
        second = publications.get(connection, "job-2-tiktok-1")
    assert second is not None
    assert [(one.code, one.reason) for one in (found, second)] == [(None, None)] * 2
    publishing_job(Remote())
    assert drive().status is PublicationStatus.PUBLISHED


def test_a_new_login_during_a_step_is_noticed(store: Store, publishing_job: Callable[[Remote], None]) -> None:
    """The step fails with the old tokens when the new ones are there already."""

    class Meanwhile(Revoked):
        def _carry_out(self, post: Post, handle: Handle, *, interrupted: bool) -> Outcome:
            account_commands.connect(wiring.machine, [replace(account(), tokens=b"new")])
            return super()._carry_out(post, handle, interrupted=interrupted)

    publishing_job(Meanwhile())
    before = waiting().count(MESSAGE)
    publishing.run_step(wiring.machine, NAME, "message")
    assert _account(store).status is AccountStatus.CONNECTED
    assert waiting().count(MESSAGE) == before + 2  # of the login, which finds the step claimed, and of its failure


def test_a_refused_account_is_asked_about_its_post_after_a_new_login(
    store: Store, publishing_job: Callable[[Remote], None]
) -> None:
    class Banned(Remote):
        def _carry_out(self, post: Post, handle: Handle, *, interrupted: bool) -> Outcome:
            outcome = super()._carry_out(post, handle, interrupted=interrupted)
            if handle.step == "publish":
                raise errors.AccountRefused("banned", "the account may not post")
            return outcome

    remote = Banned()
    publishing_job(remote)
    for number in range(2):
        publishing.run_step(wiring.machine, NAME, f"message {number}")
    assert (stored().status, _account(store).status) == (PublicationStatus.PUBLISHING, AccountStatus.REFUSED)
    account_commands.connect(wiring.machine, [replace(account(), tokens=b"new")])
    again = Remote(posts=remote.posts)
    publishing_job(again)
    assert drive().status is PublicationStatus.PUBLISHED
    assert (again.posts, again.asked) == ([NAME], 1)


def test_parts_that_are_held_stay_held(store: Store, publishing_job: Callable[[Remote], None]) -> None:
    with store.writing(scope="everything") as connection:
        part = segment(2, status=SegmentStatus.READY)
        segments.create(connection, [part])
        publications.create(connection, [publication(part, account())])

    class Refusing(Remote):
        def _carry_out(self, post: Post, handle: Handle, *, interrupted: bool) -> Outcome:
            raise errors.Rejected("refused", "not this one")

    publishing_job(Refusing())
    publishing.run_step(wiring.machine, NAME, "message")
    with store.writing(scope="everything") as connection:
        publication_queue.set_waiting_reason(connection, "tiktok-1", code="reconnect_needed", reason="connect it")
    account_commands.connect(wiring.machine, [account()])
    with store.reading() as connection:
        second = publications.get(connection, "job-2-tiktok-1")
    assert second is not None
    assert second.code == "held"


@pytest.fixture(autouse=True)
def access(monkeypatch: pytest.MonkeyPatch, publishing_job: Callable[[Remote], None]) -> None:
    """Hand the tests' account out with the tokens that are stored first."""
    usable = AuthorizedAccount("tiktok-1", "tiktok", "tiktok", "r", "@a", "token")
    monkeypatch.setattr(tokens, "get_access", lambda *_: tokens.Access(usable, b"sealed"))
