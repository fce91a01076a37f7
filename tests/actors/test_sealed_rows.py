"""After a start with another SECRET_KEY everything waits and says why; once the key is back, everything goes on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from actors import sealed_rows, wiring
from actors.flow import endpoint_commands, link_polling, publishing, tokens
from platforms.contract import AuthorizedAccount, Handle, Outcome, Post, Published
from platforms.oauth import Tokens
from store import Sealer, Store, accounts, publications, steps
from store.states import AccountStatus, DeliveryStatus, EndpointState, JobStatus, PublicationStatus
from store.tables import jobs as job_table
from tests.actors.one_publication import NAME, Killed, Remote, create_job, drive, stored
from tests.actors.queues import change_machine, move_clock
from tests.actors.webhook_run import WebhookRun
from tests.store import rows
from tests.support.clock import Clock
from tests.support.receiver import Receiver, receiving

OTHER = Sealer("another key")
MINUTE = timedelta(minutes=1)


class Counting(Remote):
    """Counts what it was asked."""

    calls = 0

    def advance(self, post: Post, account: AuthorizedAccount, handle: Handle, *, interrupted: bool) -> Outcome:
        self.calls += 1
        return super().advance(post, account, handle, interrupted=interrupted)


def sealed_by(sealer: Sealer) -> bytes:
    with pytest.MonkeyPatch.context() as patch:
        change_machine(patch, sealer=sealer)
        return tokens.encrypt(wiring.machine, Tokens(access_token="token"))


@pytest.fixture
def remote(store: Store, monkeypatch: pytest.MonkeyPatch) -> Counting:
    """Return the platform of a publication that is to be published on an account with readable tokens."""
    made = Counting()
    change_machine(monkeypatch, publisher=lambda _: made)
    with store.writing(scope="everything") as connection:
        create_job(connection)
        accounts.connect(connection, replace(rows.account(), tokens=sealed_by(wiring.machine.sealer)))
    return made


def with_key(sealer: Sealer, action: Callable[[], None]) -> None:
    """Do something as a process that was started with another key."""
    with pytest.MonkeyPatch.context() as patch:
        change_machine(patch, sealer=sealer)
        action()


def account(store: Store) -> accounts.Account:
    with store.reading() as connection:
        [found] = accounts.list_all(connection)
    return found


def test_a_publication_waits_with_the_reason_and_goes_on_once_the_key_is_back(
    store: Store, remote: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_key(OTHER, lambda: publishing.run_step(wiring.machine, NAME, "message"))
    waiting = stored()
    assert (waiting.status, waiting.code, waiting.tries) == (PublicationStatus.PUBLISHING, "wrong_key", 0)
    assert waiting.reason == tokens.WRONG_KEY
    assert (account(store).status, account(store).reason) == (AccountStatus.CONNECTED, tokens.WRONG_KEY)
    assert (remote.calls, remote.posts) == (0, [])
    move_clock(monkeypatch, timedelta(days=3))  # for however long
    with_key(OTHER, lambda: publishing.run_step(wiring.machine, NAME, "message 2"))
    assert stored().status is PublicationStatus.PUBLISHING
    assert drive().status is PublicationStatus.PUBLISHED
    assert len(remote.posts) == 1


@pytest.mark.parametrize("faults", [["killed before"], ["", "killed before"], ["", "killed after"]])
def test_a_publication_in_progress_waits_and_is_published_once(
    store: Store, remote: Counting, monkeypatch: pytest.MonkeyPatch, faults: list[str]
) -> None:
    """Its handle cannot be read either, and the worker was killed before or after a call."""
    remote.faults = [*faults]
    for number in range(len(faults)):
        with contextlib.suppress(Killed):
            publishing.run_step(wiring.machine, NAME, f"message {number}")
        move_clock(monkeypatch, MINUTE)
    before, holder = remote.calls, stored().holder
    assert holder is not None  # killed
    with_key(OTHER, lambda: publishing.run_step(wiring.machine, NAME, holder.split("/")[0]))
    assert (stored().status, stored().code) == (PublicationStatus.PUBLISHING, "wrong_key")
    assert remote.calls == before
    assert drive().status is PublicationStatus.PUBLISHED
    assert len(remote.posts) == 1


def test_a_post_whose_account_was_connected_again_meanwhile_has_an_unknown_outcome(
    store: Store, remote: Counting
) -> None:
    """The owner has given the other key up, so nobody waits for it."""
    remote.faults = ["killed before"]
    with pytest.raises(Killed):
        publishing.run_step(wiring.machine, NAME, "message")
    with store.writing(scope="everything") as connection:
        accounts.connect(connection, replace(rows.account(), tokens=sealed_by(OTHER)))
    with_key(OTHER, lambda: publishing.run_step(wiring.machine, NAME, "message"))
    assert (stored().status, stored().code) == (PublicationStatus.OUTCOME_UNKNOWN, "wrong_key")


def test_a_cancelled_job_does_not_wait_for_the_key(store: Store, remote: Counting) -> None:
    remote.faults = ["killed before"]
    with pytest.raises(Killed):
        publishing.run_step(wiring.machine, NAME, "message")
    with store.writing(scope="everything") as connection:
        connection.execute(job_table.update().values(status=JobStatus.CANCELLED))
    with_key(OTHER, lambda: publishing.run_step(wiring.machine, NAME, "message"))
    assert (stored().status, stored().code) == (PublicationStatus.OUTCOME_UNKNOWN, "wrong_key")


def test_the_renewal_of_a_login_waits_as_well(store: Store, remote: Counting) -> None:
    with store.writing(scope="everything") as connection:
        due = replace(rows.account(), tokens=sealed_by(OTHER), refresh_at=rows.NOON, expires_at=rows.NOON)
        accounts.connect(connection, due)
    tokens.refresh_if_due(wiring.machine, "tiktok-1")
    assert account(store).status is AccountStatus.CONNECTED
    assert account(store).tokens == due.tokens


def test_the_link_of_a_post_is_asked_for_once_the_key_is_back(
    store: Store, remote: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Linking(Counting):
        def advance(self, post: Post, account: AuthorizedAccount, handle: Handle, *, interrupted: bool) -> Outcome:
            return Published(handle, remote_id="r", link="https://example.com/r")

    drive()
    change_machine(monkeypatch, publisher=lambda _: Linking())
    with store.writing(scope="everything") as connection:
        found = publications.get(connection, NAME)
        assert found is not None
        handle = wiring.machine.sealer.seal({})
        steps.set_link(
            connection, found, step="publish", remote_id="r", link=None, handle=handle, next_at=wiring.machine.now()
        )
    with_key(OTHER, lambda: link_polling.poll(wiring.machine, NAME))
    assert stored().next_at is not None
    move_clock(monkeypatch, timedelta(hours=1))
    link_polling.poll(wiring.machine, NAME)
    assert stored().link == "https://example.com/r"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture
def run(store: Store, monkeypatch: pytest.MonkeyPatch) -> WebhookRun:
    clock = Clock(wiring.machine.now())  # receivers compare the timestamp with their own clock
    change_machine(monkeypatch, now=clock)
    return WebhookRun(store, clock)


def test_events_wait_without_a_failure_and_arrive_once_the_key_is_back(run: WebhookRun, receiver: Receiver) -> None:
    endpoint = run.add(receiver.url)
    run.emit(count=3)
    with_key(OTHER, lambda: run.run(endpoint, until=timedelta(hours=2)))
    found = run.endpoint(endpoint)
    assert run.statuses(endpoint) == [DeliveryStatus.WAITING] * 3
    assert [attempts for *_, attempts in run.deliveries(endpoint)] == [[], [], []]
    assert (found.state, found.failures, found.failing_since) == (EndpointState.ENABLED, 0, None)
    assert "another SECRET_KEY" in (found.last_error or "")
    run.run(endpoint)
    assert run.statuses(endpoint) == [DeliveryStatus.DELIVERED] * 3
    assert len(receiver.got) == 3


def test_a_new_secret_replaces_one_that_cannot_be_read(run: WebhookRun, receiver: Receiver) -> None:
    endpoint = run.add(receiver.url)
    run.emit()

    def rotate_and_send() -> None:
        run.attempt(endpoint)
        endpoint_commands.rotate_secret(wiring.machine, endpoint, timedelta(days=1))
        run.run(endpoint, until=timedelta(hours=1))

    with_key(OTHER, rotate_and_send)
    assert run.statuses(endpoint) == [DeliveryStatus.DELIVERED]
    assert receiver.got[0][0]["webhook-signature"].count("v1,") == 1


def test_a_ping_fails_at_once(run: WebhookRun, receiver: Receiver) -> None:
    """It has one attempt, and its sender waits for the answer."""
    endpoint = run.add(receiver.url)

    def ping() -> None:
        endpoint_commands.ping(wiring.machine, endpoint)
        run.attempt(endpoint)

    with_key(OTHER, ping)
    assert run.statuses(endpoint) == [DeliveryStatus.FAILED]


def test_the_message_names_accounts_and_endpoints_without_their_secrets(store: Store, run: WebhookRun) -> None:
    with store.writing(scope="everything") as connection:
        accounts.connect(connection, replace(rows.account(), tokens=sealed_by(wiring.machine.sealer)))
    endpoint = run.add("https://hooks.example.com/services/T0PSECRET")
    assert not sealed_rows.find(store, wiring.machine.sealer)
    found = sealed_rows.find(store, OTHER)
    message = found.message()
    assert "tiktok '@tiktok-1'" in message
    assert f"{endpoint} at hooks.example.com" in message
    assert "T0PSECRET" not in message


def test_a_long_list_is_cut(store: Store) -> None:
    with store.writing(scope="everything") as connection:
        for number in range(25):
            accounts.connect(connection, rows.account(f"a{number:02}", "youtube"))
    message = sealed_rows.find(store, OTHER).message()
    assert message.count("youtube") == sealed_rows.LISTED
    assert "and 5 more" in message
