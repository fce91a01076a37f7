"""A part that was not published holds the parts after it, until it is retried or skipped."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from actors import wiring
from actors.flow import account_commands, job_commands, publication_commands, publishing, scheduling, tokens
from actors.flow.completion import fail_part
from actors.flow.publication_commands import NotPossible
from platforms import errors
from platforms.contract import Advanced, AuthorizedAccount, Handle, Outcome, Post, Published
from store import Store, accounts, jobs, publication_queue, publications, schedules, segments, webhooks
from store.owners import DEFAULT_OWNER
from store.publications import Publication
from store.schedules import Schedule
from store.states import AccountStatus, AfterFailure, EndpointState, JobStatus, PublicationStatus, SegmentStatus
from store.tables import events, metadata
from tests.actors.queues import change_machine
from tests.store.rows import account, job, publication, segment

PARTS = 4


class Choosy:
    """A platform that refuses some parts, and publishes each of the others in one step.

    Attributes:
        refused: numbers of the parts that it refuses.
        posts: numbers of the parts that it has published, in order.
    """

    platform = "tiktok"
    irreversible_steps = frozenset({"publish"})

    def __init__(self, *refused: int) -> None:
        self.refused = set(refused)
        self.posts: list[int] = []

    def begin(self, post: Post, account: AuthorizedAccount) -> Handle:
        if part_of(post) in self.refused:
            raise errors.Rejected("refused", "not this one")
        return Handle("publish", {})

    def may_stop(self, handle: Handle) -> bool:
        return True

    def advance(self, post: Post, account: AuthorizedAccount, handle: Handle, *, interrupted: bool) -> Outcome:
        if interrupted:
            return Advanced(handle)
        self.posts.append(part_of(post))
        return Published(handle, f"remote-{part_of(post)}", None)


def part_of(post: Post) -> int:
    return int(post.video.stem.removeprefix("part-"))


@pytest.fixture
def platform(store: Store, monkeypatch: pytest.MonkeyPatch) -> Choosy:
    """Return a platform that refuses part 2; a job with four parts, ready, is there."""
    usable = AuthorizedAccount("tiktok-1", "tiktok", "tiktok", "r", "@a", "token")
    monkeypatch.setattr(tokens, "get_access", lambda *_: tokens.Access(usable, b"sealed"))
    remote = Choosy(2)
    change_machine(monkeypatch, publisher=lambda _: remote)
    with store.writing(scope="everything") as connection:
        always = Schedule(platform="tiktok", time_zone="UTC", windows=[], max_per_day=100, min_gap_s=0.0)
        schedules.put(connection, DEFAULT_OWNER, always)
        endpoint = webhooks.Endpoint(
            owner_id=DEFAULT_OWNER,
            id="ep", url="http://127.0.0.1:9", scope="all", events=[], state=EndpointState.ENABLED, secret=b"s",
            created_at=wiring.machine.now(),
        )  # fmt: skip
        webhooks.add_endpoint(connection, endpoint)
        accounts.connect(connection, account())
        jobs.create(connection, job(status=JobStatus.PUBLISHING, parts=PARTS))
        for number in range(1, PARTS + 1):
            part = segment(number, status=SegmentStatus.READY)
            segments.create(connection, [part])
            publications.create(connection, [publication(part, account())])
    return remote


def _publish() -> None:
    """Start what is due, and carry out all steps, until nothing is under way."""
    with wiring.machine.store.writing(scope="everything") as connection:
        scheduling.start_due(wiring.machine, connection)
    for number in range(50):
        under_way = [one for one in _all() if one.status is PublicationStatus.PUBLISHING]
        if not under_way:
            return
        publishing.run_step(wiring.machine, under_way[0].id, f"message {number}")
    raise AssertionError("something is under way for ever")


def _all() -> list[Publication]:
    with wiring.machine.store.reading() as connection:
        return publications.of_job(connection, "job")


def _statuses() -> list[str]:
    return [one.status for one in _all()]


def _job_status() -> JobStatus:
    with wiring.machine.store.reading() as connection:
        found = jobs.get(connection, "job")
    assert found is not None
    return found.status


def _events(kind: str) -> list[int]:
    """Return the parts that events of a type are about."""
    with wiring.machine.store.reading() as connection:
        bodies = connection.scalars(events.select().with_only_columns(events.c.body).where(events.c.type == kind))
        return [json.loads(body)["data"]["part"] for body in bodies]


def _id(part: int) -> str:
    return f"job-{part}-tiktok-1"


def test_a_part_that_failed_holds_those_after_it(platform: Choosy) -> None:
    _publish()
    assert _statuses() == ["published", "failed", "waiting", "waiting"]
    held = _all()[2:]
    assert [one.code for one in held] == ["held", "held"]
    assert held[0].reason == "part 2 was not published: not this one. Retry or skip it"
    assert (_job_status(), platform.posts) == (JobStatus.PUBLISHING, [1])
    assert (_events("publication.held"), _events("publication.started")) == ([3], [1, 2])


def test_the_first_part_that_failed_is_the_cause(store: Store, platform: Choosy) -> None:
    """Parts before it are not held; one of them that fails as well becomes the cause."""
    with store.writing(scope="everything") as connection:
        table = metadata.tables["job_segments"]
        connection.execute(table.update().values(status=SegmentStatus.RENDERING))
        fail_part(wiring.machine, connection, "job-3", reason="out of memory")
    assert [one.code for one in _all()] == [None, None, "part_failed", "held"]
    with store.writing(scope="everything") as connection:
        fail_part(wiring.machine, connection, "job-2", reason="out of time")
    assert [one.code for one in _all()] == [None, "part_failed", "part_failed", "held"]
    assert _all()[3].reason == "part 2 was not published: out of time. Retry or skip it"
    assert _events("publication.held") == [4]


def test_a_cancelled_part_is_no_longer_held(platform: Choosy) -> None:
    _publish()
    assert job_commands.cancel(wiring.machine, "job")
    assert [(one.status, one.code) for one in _all()[2:]] == [(PublicationStatus.CANCELLED, None)] * 2


def test_a_retried_part_goes_out_before_those_after_it(platform: Choosy) -> None:
    _publish()
    platform.refused.clear()
    publication_commands.retry_publication(wiring.machine, _id(2))
    assert [one.code for one in _all()] == [None] * PARTS
    _publish()
    assert (platform.posts, _job_status()) == ([1, 2, 3, 4], JobStatus.COMPLETED)
    assert _events("publication.held") == [3]


def test_a_part_that_fails_again_holds_again(platform: Choosy) -> None:
    _publish()
    publication_commands.retry_publication(wiring.machine, _id(2))
    _publish()
    assert (_statuses(), platform.posts) == (["published", "failed", "waiting", "waiting"], [1])
    assert _events("publication.held") == [3, 3]


def test_a_skipped_part_lets_those_after_it_go_on(platform: Choosy) -> None:
    _publish()
    publication_commands.skip_publication(wiring.machine, _id(2))
    _publish()
    assert _statuses() == ["published", "cancelled", "published", "published"]
    assert (_all()[1].code, _events("publication.cancelled")) == ("skipped", [2])
    assert _job_status() is JobStatus.COMPLETED_WITH_ERRORS


def test_a_waiting_part_can_be_skipped(platform: Choosy) -> None:
    platform.refused.clear()
    publication_commands.skip_publication(wiring.machine, _id(3))
    _publish()
    assert platform.posts == [1, 2, 4]


def test_an_account_may_continue_after_a_failure(store: Store, platform: Choosy) -> None:
    _publish()
    assert publication_commands.set_after_failure(wiring.machine, "tiktok-1", AfterFailure.CONTINUE)
    assert [one.code for one in _all()[2:]] == [None, None]
    _publish()
    assert (platform.posts, _job_status()) == ([1, 3, 4], JobStatus.COMPLETED_WITH_ERRORS)
    with store.writing(scope="everything") as connection:
        accounts.connect(connection, replace(account(), tokens=b"new"))
        found = accounts.get(connection, "tiktok-1")
    assert found is not None
    assert found.after_failure is AfterFailure.CONTINUE


def test_an_account_that_holds_again_holds_what_waits(store: Store, platform: Choosy) -> None:
    with store.writing(scope="everything") as connection:
        accounts.set_after_failure(connection, "tiktok-1", AfterFailure.CONTINUE)
        publication_queue.start(connection, _id(2), wiring.machine.now())
    publishing.run_step(wiring.machine, _id(2), "message")
    assert [one.code for one in _all()[2:]] == [None, None]
    with store.writing(scope="everything") as connection:
        waiting = metadata.tables["publications"].update().where(metadata.tables["publications"].c.id == _id(3))
        connection.execute(waiting.values(status=PublicationStatus.WAITING))
    assert publication_commands.set_after_failure(wiring.machine, "tiktok-1", AfterFailure.HOLD)
    assert [one.code for one in _all()[2:]] == ["held", "held"]


def test_a_part_that_cannot_be_rendered_holds_those_after_it(store: Store, platform: Choosy) -> None:
    platform.refused.clear()
    with store.writing(scope="everything") as connection:
        table = metadata.tables["job_segments"]
        connection.execute(table.update().where(table.c.segment_number == 2).values(status=SegmentStatus.RENDERING))
        fail_part(wiring.machine, connection, "job-2", reason="out of memory")
    _publish()
    assert (_statuses(), platform.posts) == (["published", "failed", "waiting", "waiting"], [1])
    with pytest.raises(NotPossible, match="part_failed"):
        publication_commands.retry_publication(wiring.machine, _id(2))
    publication_commands.skip_publication(wiring.machine, _id(2))
    _publish()
    assert platform.posts == [1, 3, 4]


def test_a_part_is_not_retried_after_its_successors_unless_a_person_says_so(store: Store, platform: Choosy) -> None:
    with store.writing(scope="everything") as connection:
        accounts.set_after_failure(connection, "tiktok-1", AfterFailure.CONTINUE)
    _publish()
    assert platform.posts == [1, 3, 4]
    platform.refused.clear()
    with pytest.raises(NotPossible, match="out_of_order"):
        publication_commands.retry_publication(wiring.machine, _id(2))
    left = job_commands.retry(wiring.machine, "job")
    assert (left.retried, left.out_of_order) == (False, [_id(2)])
    assert _job_status() is JobStatus.COMPLETED_WITH_ERRORS
    publication_commands.retry_publication(wiring.machine, _id(2), out_of_order=True)
    assert _job_status() is JobStatus.PUBLISHING
    _publish()
    assert (platform.posts, _job_status()) == ([1, 3, 4, 2], JobStatus.COMPLETED)


def test_the_whole_job_can_be_retried_while_it_is_not_over(platform: Choosy) -> None:
    _publish()
    platform.refused.clear()
    assert job_commands.retry(wiring.machine, "job")
    _publish()
    assert (platform.posts, _job_status()) == ([1, 2, 3, 4], JobStatus.COMPLETED)
    assert not job_commands.retry(wiring.machine, "job")


def test_a_hold_is_told_once_also_when_the_account_is_connected_anew_meanwhile(store: Store, platform: Choosy) -> None:
    _publish()
    with store.writing(scope="everything") as connection:
        tokens.mark_unusable(wiring.machine, connection, "tiktok-1", "the login has expired", b"sealed")
    assert [one.code for one in _all()][2:] == ["held", "held"]
    account_commands.connect(wiring.machine, [account()])
    assert [one.code for one in _all()][2:] == ["held", "held"]
    assert _events("publication.held") == [3]


def test_what_is_no_longer_held_says_that_its_account_must_be_connected(store: Store, platform: Choosy) -> None:
    _publish()
    with store.writing(scope="everything") as connection:
        tokens.mark_unusable(wiring.machine, connection, "tiktok-1", "the login has expired", b"sealed")
    publication_commands.skip_publication(wiring.machine, _id(2))
    assert [(one.code, one.reason) for one in _all()][2:] == [("reconnect_needed", "the login has expired")] * 2


def test_another_reason_of_a_waiting_part_stays(store: Store, platform: Choosy) -> None:
    """An account that must be connected again comes first."""
    with store.writing(scope="everything") as connection:
        publication_queue.set_waiting_reason(connection, "tiktok-1", code="reconnect_needed", reason="connect it")
        publication_queue.start(connection, _id(1), wiring.machine.now())
    platform.refused.add(1)
    publishing.run_step(wiring.machine, _id(1), "message")
    assert [one.code for one in _all()] == ["refused"] + ["reconnect_needed"] * 3


@pytest.mark.parametrize(
    ("case", "code"),
    [
        ("published", "not_failed"),
        ("no files", "files_deleted"),
        ("cancelled job", "job_over"),
        ("no account", "account_disconnected"),
        ("nothing", "unknown"),
    ],
)
def test_what_cannot_be_retried_says_why(store: Store, platform: Choosy, case: str, code: str) -> None:
    _publish()
    with store.writing(scope="everything") as connection:
        if case == "no files":
            values = {"status": JobStatus.FAILED, "files_deleted_at": wiring.machine.now()}
            connection.execute(metadata.tables["jobs"].update().values(**values))
        if case == "cancelled job":
            connection.execute(metadata.tables["jobs"].update().values(status=JobStatus.CANCELLED))
        if case == "no account":
            connection.execute(metadata.tables["accounts"].update().values(status=AccountStatus.DISCONNECTED))
    name = {"published": _id(1), "nothing": "nobody"}.get(case, _id(2))
    with pytest.raises(NotPossible) as refused:
        publication_commands.retry_publication(wiring.machine, name)
    assert refused.value.code == code


def test_a_publication_under_way_cannot_be_skipped(store: Store, platform: Choosy) -> None:
    with store.writing(scope="everything") as connection:
        publication_queue.start(connection, _id(1), wiring.machine.now())
    with pytest.raises(NotPossible, match="not_waiting"):
        publication_commands.skip_publication(wiring.machine, _id(1))


def test_a_cancelled_job_tells_of_parts_that_had_begun(store: Store, platform: Choosy) -> None:
    """The event of the job tells of those that waited."""
    with store.writing(scope="everything") as connection:
        publication_queue.start(connection, _id(1), wiring.machine.now())
    assert job_commands.cancel(wiring.machine, "job")
    publishing.run_step(wiring.machine, _id(1), "message")
    assert _statuses() == ["cancelled"] * PARTS
    assert _events("publication.cancelled") == [1]
