"""Decisions of transactions that run at the same time, on PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Callable

from actors import wiring
from actors.dispatch_webhook import dispatch_webhook
from actors.flow import events, job_commands, outages, scheduling, webhook_queue
from platforms.errors import TryLater
from store import Store, accounts, jobs, platform_states, publications, schedules, segments, webhooks
from store.owners import DEFAULT_OWNER
from store.schedules import Schedule
from store.states import JobStatus, PublicationStatus, SegmentStatus
from tests.actors.queues import waiting
from tests.store.rows import account, job, publication, segment
from tests.support.waiting import wait_for

ON_POSTGRESQL = True
THREADS = 4


def _together(run: Callable[[], object]) -> None:
    """Run a function in several threads at once."""
    barrier = threading.Barrier(THREADS)
    errors: list[BaseException] = []

    def once() -> None:
        barrier.wait()
        try:
            run()
        except BaseException as error:  # noqa: BLE001 (the test shows it)
            errors.append(error)

    threads = [threading.Thread(target=once) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == []


def _add_jobs(store: Store, count: int) -> list[str]:
    """Add jobs with a part each that may go out now on one account; return the ids of the publications."""
    owner = account()
    parts = [segment(1, job_id=f"job-{number}", status=SegmentStatus.READY) for number in range(count)]
    with store.writing(scope="everything") as connection:
        accounts.connect(connection, owner)
        rules = Schedule(platform="tiktok", time_zone="UTC", windows=[], max_per_day=99, min_gap_s=0.0)
        schedules.put(connection, DEFAULT_OWNER, rules)
        for part in parts:
            jobs.create(connection, job(part.job_id, status=JobStatus.PUBLISHING, parts=1))
            segments.create(connection, [part])
            publications.create(connection, [publication(part, owner)])
    return [f"{part.id}-{owner.id}" for part in parts]


def _statuses(store: Store, ids: list[str]) -> list[PublicationStatus]:
    with store.reading() as connection:
        found = [publications.get(connection, one) for one in ids]
    return sorted(one.status for one in found if one is not None)


def test_an_account_starts_one_post_however_many_decide(store: Store) -> None:
    ids = _add_jobs(store, 3)
    _together(lambda: scheduling.start_due_on(wiring.machine, "tiktok-1"))
    assert _statuses(store, ids) == ["publishing", "waiting", "waiting"]
    assert [name for name, _ in waiting() if name.startswith("publish_")] == ["publish_tiktok"]


def test_a_tick_leaves_each_account_to_a_transaction_that_locks_it(store: Store) -> None:
    ids = _add_jobs(store, 1)
    scheduling.tick(wiring.machine)
    assert _statuses(store, ids) == ["waiting"]
    assert waiting() == [("start_publications", ("tiktok-1",))]
    scheduling.start_due_on(wiring.machine, "tiktok-1")
    assert _statuses(store, ids) == ["publishing"]


def test_failures_at_the_same_time_pause_the_platform_once(store: Store) -> None:
    def fail() -> None:
        with store.writing(scope="rows") as connection:
            error = TryLater("busy", "try later", retry_after_s=1.0)
            outages.record_failure(wiring.machine, connection, "tiktok", error)

    _add_endpoint(store)
    _together(fail)
    with store.reading() as connection:
        assert platform_states.get(connection, "tiktok").failures_in_a_row == outages.FAILURES_BEFORE_PAUSE
        [endpoint] = webhooks.every_endpoint(connection)
        types = [event.type for _, event, _ in webhooks.deliveries_of(connection, endpoint.id, 10)]
    assert types == ["platform.paused"]


def _add_endpoint(store: Store) -> str:
    with store.writing(scope="everything") as connection:
        jobs.create(connection, job())
        url = "https://example.com/hook"
        return job_commands.add_endpoint(wiring.machine, connection, DEFAULT_OWNER, url, scope="all", events=[]).id


def _emit(store: Store) -> None:
    with store.writing(job="job") as connection:
        events.emit(wiring.machine, connection, "job.processing", job())


def _wake_at(store: Store, endpoint_id: str) -> object:
    with store.reading() as connection:
        found = webhooks.get_endpoint(connection, endpoint_id)
    return None if found is None else found.wake_at


def _waits(store: Store) -> bool:
    """Return whether a transaction waits for an advisory lock."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory' AND datname = current_database()"
    with store.reading() as connection:
        return connection.exec_driver_sql(query).scalar() == 1


def test_an_event_that_is_not_committed_when_an_endpoint_rests_is_delivered(store: Store) -> None:
    """The last attempt finds nothing more to send, while another transaction adds a delivery."""
    endpoint_id = _add_endpoint(store)
    with store.writing(endpoint=endpoint_id) as connection:
        _emit(store)  # the whole of it: it cannot wait for the endpoint
        webhook_queue.wake_again(wiring.machine, connection, endpoint_id)
    assert ("dispatch_webhook", (endpoint_id, webhook_queue.WAKE)) in waiting()
    before = len(waiting())
    dispatch_webhook.fn(endpoint_id, webhook_queue.WAKE)
    assert _wake_at(store, endpoint_id) is not None
    dispatch_webhook.fn(endpoint_id, webhook_queue.WAKE)
    assert len(waiting()) - before <= 1


def test_an_endpoint_rests_only_after_the_events_that_are_being_committed(store: Store) -> None:
    endpoint_id = _add_endpoint(store)
    rests = threading.Thread(target=lambda: dispatch_webhook.fn(endpoint_id, ""))
    with store.writing(job="job") as connection:
        events.emit(wiring.machine, connection, "job.processing", job())
        rests.start()
        wait_for(lambda: _waits(store), "the transaction about the endpoint to wait")
    rests.join(30)
    assert _wake_at(store, endpoint_id) is not None
