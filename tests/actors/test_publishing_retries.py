"""Retries of a failed step, dead letters, and outages of whole platforms."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

import pytest
from dramatiq import Worker

from actors import wiring
from actors.flow import publishing, publishing_retries, scheduling
from actors.flow.retrying import GivenUp
from actors.recovery import stuck_work
from platforms import errors
from platforms.contract import Advanced, AuthorizedAccount, Handle, Outcome, Post, Published
from store import Store, accounts, jobs, platform_states, publication_queue, publications, segments, webhooks
from store.owners import DEFAULT_OWNER
from store.platform_states import PlatformState
from store.states import EndpointState, JobStatus, PublicationStatus, SegmentStatus
from store.tables import events
from tests.actors.one_publication import NAME, stored
from tests.actors.queues import change_machine, change_settings, move_clock, start_due, waiting
from tests.store.rows import account, job, publication, segment
from tests.support.waiting import wait_for

Fault = Callable[[], errors.PlatformError]
BROKEN: Fault = partial(
    errors.TryLater, "server_failed", "HTTP 503", retry_after_s=1.0, cause="platform", platform_code="x/1", log_id="L7"
)
POST: Fault = partial(errors.TryLater, "not_yet", "not accepted", retry_after_s=1.0, cause="post")
OFFLINE: Fault = partial(errors.TryLater, "unreachable", "no route", retry_after_s=1.0, cause="network")
EARLY: Fault = partial(errors.TryLater, "processing", "not ready", retry_after_s=1.0, cause="wait")
LOST: Fault = partial(errors.Unclear, "cut", "no answer", retry_after_s=2.0, cause="platform")


@dataclass
class Broken:
    """A platform whose first step, or whose last one, raises an error as long as there is one."""

    fault: Fault | None
    at: str = "reserve"
    calls: list[str] = field(default_factory=list)  # publications whose step was run
    platform: str = "tiktok"
    irreversible_steps: frozenset[str] = frozenset({"publish"})

    def begin(self, post: Post, account: AuthorizedAccount) -> Handle:
        return Handle("reserve", {})

    def may_stop(self, handle: Handle) -> bool:
        return True

    def advance(self, post: Post, account: AuthorizedAccount, handle: Handle, *, interrupted: bool) -> Outcome:
        self.calls.append(post.publication_id)
        if self.fault is not None and handle.step == self.at:
            raise self.fault()
        if handle.step == "reserve":
            return Advanced(handle.then("publish"))
        return Published(handle, "remote-1", "https://example.test/1")


@pytest.fixture
def broken(publishing_job: object, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Broken]:
    """Return what installs a platform that fails."""
    monkeypatch.setattr(publishing_retries, "jitter", lambda: 1.0)

    def install(fault: Fault | None, at: str = "reserve") -> Broken:
        platform = Broken(fault, at)
        change_machine(monkeypatch, publisher=lambda _: platform)
        return platform

    return install


def _run(monkeypatch: pytest.MonkeyPatch, message: str = "message") -> int:
    """Run the step at its time; return the minutes until it is due again."""
    due = stored().next_at
    if due is not None and due > wiring.machine.now():
        move_clock(monkeypatch, due - wiring.machine.now())
    publishing.run_step(wiring.machine, NAME, message)
    due = stored().next_at
    return 0 if due is None else round((due - wiring.machine.now()) / timedelta(seconds=30)) * 30


def _state() -> PlatformState:
    with wiring.machine.store.reading() as connection:
        return platform_states.get(connection, "tiktok")


@pytest.mark.logs_errors("loguru")
@pytest.mark.parametrize("retries", [0, 3, 5])
def test_a_post_that_is_not_accepted_fails_after_its_retries(
    broken: Callable[..., Broken], monkeypatch: pytest.MonkeyPatch, retries: int
) -> None:
    change_settings(monkeypatch, publish_retries=retries)
    broken(POST)
    pauses = [_run(monkeypatch, f"message {number}") for number in range(retries)]
    assert pauses == [30, 120, 480, 1920, 3600][:retries]
    with pytest.raises(GivenUp, match=rf"publication {NAME}: given up after {retries + 1} attempts"):
        _run(monkeypatch, "the last")
    found = stored()
    assert (found.status, found.code) == (PublicationStatus.FAILED, "not_yet")
    assert [attempt["step"] for attempt in found.attempts or []] == ["reserve"] * (retries + 1)


@pytest.mark.logs_errors("loguru")
def test_a_dead_letter_tells_all_attempts(
    store: Store, broken: Callable[..., Broken], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server failed at this post only: another one succeeds between its failures."""
    broken(BROKEN)
    change_settings(monkeypatch, publish_retries=2)
    with pytest.raises(GivenUp) as raised:
        for number in range(3):
            with store.writing(scope="everything") as connection:
                platform_states.clear(connection, "tiktok")
            _run(monkeypatch, f"message {number}")
    text = str(raised.value)
    assert text.count("UTC (reserve): server_failed: HTTP 503 (platform code x/1, log id L7)") == 3
    assert text.startswith("Job job part 1 on tiktok")


def test_progress_begins_the_count_anew(broken: Callable[..., Broken], monkeypatch: pytest.MonkeyPatch) -> None:
    broken(POST)
    _run(monkeypatch, "first")
    _run(monkeypatch, "second")
    broken(None)
    _run(monkeypatch, "third")
    assert (stored().step, stored().tries, stored().troubled_since) == ("publish", 0, None)
    assert len(stored().attempts or []) == 2


@pytest.mark.parametrize("fault", [EARLY, OFFLINE], ids=["wait", "network"])
def test_what_is_not_due_to_the_post_is_no_retry(
    broken: Callable[..., Broken], monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    broken(fault)
    for number in range(10):
        _run(monkeypatch, f"message {number}")
    assert (stored().status, stored().tries) == (PublicationStatus.PUBLISHING, 0)


def test_a_retry_waits_as_long_as_the_platform_asks(
    broken: Callable[..., Broken], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(partial(errors.TryLater, "busy", "later", retry_after_s=7200.0, cause="post"))
    assert _run(monkeypatch) == 7200


def test_a_lost_answer_is_asked_about_soon_and_never_counts(
    broken: Callable[..., Broken], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A post that may be public is no failure after three questions."""
    broken(partial(errors.Unclear, "cut", "no answer", retry_after_s=2.0, cause="post"), at="publish")
    _run(monkeypatch, "reserve")
    publishing.run_step(wiring.machine, NAME, "publish")
    due = stored().next_at
    assert due is not None
    assert due - wiring.machine.now() <= timedelta(seconds=2)
    for number in range(10):
        _run(monkeypatch, f"message {number}")
    assert (stored().status, stored().unclear) == (PublicationStatus.PUBLISHING, True)
    while stored().status is PublicationStatus.PUBLISHING:
        _run(monkeypatch, "for a day")
    assert stored().status is PublicationStatus.OUTCOME_UNKNOWN
    assert timedelta(hours=1) > wiring.machine.now() - due - publishing_retries.GIVE_UP_AFTER > -timedelta(minutes=1)


@pytest.mark.logs_errors("loguru")
def test_the_message_is_dead_lettered_also_after_a_kill(
    broken: Callable[..., Broken], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The failure was recorded, and its worker ended before the message was dead-lettered."""
    change_settings(monkeypatch, publish_retries=0)
    broken(POST)
    with pytest.raises(GivenUp):
        _run(monkeypatch)
    with pytest.raises(GivenUp, match="given up after 1 attempts"):
        publishing.run_step(wiring.machine, NAME, "message")
    publishing.run_step(wiring.machine, NAME, "another")


@pytest.mark.logs_errors("loguru")
def test_a_worker_dead_letters_the_message_and_a_retry_of_it_publishes_nothing(
    broken: Callable[..., Broken], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`python -m broker` may send it again: the publication has failed, so nothing happens."""
    change_settings(monkeypatch, publish_retries=0)
    platform = broken(POST)
    admin = wiring.machine.broker.admin
    wiring.machine.send("publish_tiktok", NAME)
    worker = Worker(wiring.machine.broker, queues={"network"}, worker_threads=1)
    worker.start()
    try:
        wait_for(lambda: admin.dead_letters("network", limit=10))
        letter = admin.dead_letters("network", limit=10)[0]
        assert (letter.actor, letter.args) == ("publish_tiktok", (NAME,))
        assert letter.error.startswith("GivenUp: Job job part 1 on tiktok")
        calls = len(platform.calls)
        stuck_work.recover(wiring.machine)
        assert stored().code == "not_yet"
        assert admin.retry_dead_letter(letter.id)
        wait_for(lambda: ("publish_tiktok", (NAME,)) not in waiting())
    finally:
        worker.stop()
        wiring.machine.broker.close()  # else this process stays known as one that works on the queue
    assert (stored().status, len(platform.calls)) == (PublicationStatus.FAILED, calls)


def _more_parts(store: Store, count: int) -> None:
    """Let one part wait and one be under way on each of some accounts."""
    with store.writing(scope="everything") as connection:
        for number in range(2, 2 + count):
            owner = account(f"tiktok-{number}")
            accounts.connect(connection, owner)
            jobs.create(connection, job(f"job{number}", status=JobStatus.PUBLISHING, parts=1))
            part = segment(1, job_id=f"job{number}", status=SegmentStatus.READY)
            segments.create(connection, [part])
            publications.create(connection, [publication(part, owner)])


def _kinds(store: Store) -> list[str]:
    with store.reading() as connection:
        return [kind for (kind,) in connection.execute(events.select().with_only_columns(events.c.type))]


def test_three_failures_in_a_row_pause_the_platform_once(
    store: Store, broken: Callable[..., Broken], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pauses grow to an hour, nothing else of the platform starts, and one success ends the outage."""
    _more_parts(store, 1)
    with store.writing(scope="everything") as connection:
        endpoint = webhooks.Endpoint(
            owner_id=DEFAULT_OWNER,
            id="ep", url="http://127.0.0.1:9", scope="all", events=[], state=EndpointState.ENABLED, secret=b"s",
            created_at=wiring.machine.now(),
        )  # fmt: skip
        webhooks.add_endpoint(connection, endpoint)
    platform = broken(BROKEN)
    pauses = []
    for number in range(9):
        _run(monkeypatch, f"message {number}")
        until = _state().paused_until
        if until is not None:
            pauses.append(round((until - wiring.machine.now()) / timedelta(minutes=1)))
    assert pauses == [2, 4, 8, 16, 32, 60, 60]
    assert (stored().status, stored().tries, stored().next_at) == (
        PublicationStatus.PUBLISHING,
        2,
        _state().paused_until,
    )
    assert (stored().code, _state().code, _state().reason) == ("server_failed", "server_failed", "HTTP 503 (code x/1)")
    assert _kinds(store).count("platform.paused") == 1
    with store.writing(scope="everything") as connection:
        scheduling.start_due(wiring.machine, connection)
        assert publications.get(connection, "job2-1-tiktok-2").status is PublicationStatus.WAITING  # type: ignore[union-attr]
    platform.fault = None
    _run(monkeypatch, "the server is back")
    start_due()
    assert _state() == PlatformState(platform="tiktok")
    with store.reading() as connection:
        other = publications.get(connection, "job2-1-tiktok-2")
    assert other is not None
    assert (other.status, other.due_at) == (PublicationStatus.PUBLISHING, other.started_at)


def test_no_other_step_runs_while_the_platform_is_paused(
    store: Store, broken: Callable[..., Broken], monkeypatch: pytest.MonkeyPatch
) -> None:
    _more_parts(store, 1)
    with store.writing(scope="everything") as connection:
        publication_queue.start(connection, "job2-1-tiktok-2", wiring.machine.now())
    platform = broken(BROKEN)
    for number in range(3):
        _run(monkeypatch, f"message {number}")
    calls = len(platform.calls)
    publishing.run_step(wiring.machine, "job2-1-tiktok-2", "other")
    with store.reading() as connection:
        other = publications.get(connection, "job2-1-tiktok-2")
    assert other is not None
    assert (other.next_at, len(platform.calls)) == (_state().paused_until, calls)
    platform.fault = None
    _run(monkeypatch, "the server is back")
    with store.reading() as connection:
        other = publications.get(connection, "job2-1-tiktok-2")
    assert other is not None
    assert other.next_at is not None
    assert other.next_at <= wiring.machine.now()


def test_an_evening_of_failures_costs_no_post(
    store: Store, broken: Callable[..., Broken], monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = broken(LOST)
    began = wiring.machine.now()
    number = 0
    while wiring.machine.now() - began < timedelta(hours=6):
        number += 1
        _run(monkeypatch, f"message {number}")
    assert number < 15
    platform.fault = None
    for step in ("reserve", "publish"):
        _run(monkeypatch, step)
    assert stored().status is PublicationStatus.PUBLISHED


@pytest.mark.logs_errors("loguru")
def test_an_outage_of_a_day_ends_the_post(broken: Callable[..., Broken], monkeypatch: pytest.MonkeyPatch) -> None:
    broken(BROKEN)
    with pytest.raises(GivenUp):
        for number in range(60):
            _run(monkeypatch, f"message {number}")
    assert stored().status is PublicationStatus.FAILED


@pytest.mark.parametrize("is_recovered_first", [False, True])
@pytest.mark.parametrize(("fault", "at"), [(OFFLINE, "reserve"), (LOST, "publish")], ids=["offline", "unclear"])
def test_days_in_which_the_machine_was_off_are_no_failures(
    broken: Callable[..., Broken], monkeypatch: pytest.MonkeyPatch, fault: Fault, at: str, is_recovered_first: bool
) -> None:
    """A failure before a power cut of two days, and one after it, before the network is up."""
    broken(fault, at=at)
    while stored().troubled_since is None:
        _run(monkeypatch, "before the power cut")
    move_clock(monkeypatch, timedelta(days=2))
    if is_recovered_first:
        stuck_work.recover(wiring.machine)
    publishing.run_step(wiring.machine, NAME, "after it")
    assert stored().status is PublicationStatus.PUBLISHING


def test_a_fault_for_the_operator_pauses_the_platform_and_counts_nothing(
    store: Store, broken: Callable[..., Broken], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(partial(errors.OperatorNeeded, "client_refused", "correct TIKTOK_CLIENT_SECRET"))
    for number in range(30):
        assert _run(monkeypatch, f"message {number}") == 3600
    assert (stored().status, stored().tries) == (PublicationStatus.PUBLISHING, 0)
    assert (_state().code, _state().failures_in_a_row) == ("client_refused", 0)


def test_a_question_that_leads_back_to_its_step_is_no_progress(
    broken: Callable[..., Broken], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise an outage would end with each blind repetition."""

    @dataclass
    class Blind(Broken):
        def advance(self, post: Post, account: AuthorizedAccount, handle: Handle, *, interrupted: bool) -> Outcome:
            return Advanced(handle) if interrupted else super().advance(post, account, handle, interrupted=False)

    platform = Blind(LOST)
    change_machine(monkeypatch, publisher=lambda _: platform)
    for number in range(6):
        _run(monkeypatch, f"message {number}")
    assert (_state().failures_in_a_row, stored().tries) == (3, 2)


def test_the_newest_twenty_attempts_are_stored(broken: Callable[..., Broken], monkeypatch: pytest.MonkeyPatch) -> None:
    broken(EARLY)
    for number in range(25):
        _run(monkeypatch, f"message {number}")
    assert len(stored().attempts or []) == 20
    assert "sealed" not in json.dumps(stored().attempts)
