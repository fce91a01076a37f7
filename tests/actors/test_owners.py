"""Owners: whose accounts a video goes to, who is told of it, and an account that changes its owner."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from actors import wiring
from actors.flow import (
    account_commands,
    account_schedules,
    endpoint_commands,
    events,
    job_commands,
    notices,
    post_words,
    scheduling,
)
from actors.flow.publication_commands import NotPossible, retry_publication
from actors.flow.turns import counted_since
from actors.recovery import upload_record
from actors.recovery.upload_record import Defaults
from store import (
    Store,
    accounts,
    api_keys,
    jobs,
    publication_queue,
    publications,
    push_subscriptions,
    schedules,
    segments,
    tables,
)
from store.accounts import Account, OtherOwners
from store.api_keys import ApiKey
from store.jobs import Job
from store.owners import DEFAULT_OWNER
from store.push_subscriptions import PushSubscription
from store.schedules import Schedule
from store.states import AfterFailure, JobStatus, PublicationStatus, SegmentStatus
from store.tables import deliveries
from tests.actors.queues import change_machine
from tests.store.rows import account, job, publication, segment

ON_EVERY_ENGINE = True

URL = "http://127.0.0.1:9/hook"


def _account(owner_id: str, account_id: str, **changes: object) -> Account:
    return replace(account(account_id), owner_id=owner_id, **changes)  # type: ignore[arg-type]  # as many as fields


def _job(owner_id: str, job_id: str) -> Job:
    return replace(job(job_id, status=JobStatus.PUBLISHING, parts=1), owner_id=owner_id)


def test_a_video_without_platforms_goes_to_its_owners_accounts(store: Store) -> None:
    with store.writing(scope="everything") as connection:
        for owner_id in ("ann", "bob"):
            accounts.connect(connection, _account(owner_id, f"of-{owner_id}"))
        found = {one.id for one in accounts.list_all(connection) if post_words.is_chosen(_job("ann", "job"), one)}
        assert found == {one.id for one in accounts.connected(connection, "ann")} == {"of-ann"}
        named = replace(_job("ann", "job"), accounts=["of-ann", "of-bob"])
        assert {one.id for one in accounts.list_all(connection) if post_words.is_chosen(named, one)} == {"of-ann"}


def test_events_go_to_the_endpoints_of_their_owner(store: Store) -> None:
    """Also if both have the same address; each has a secret of its own."""
    with store.writing(scope="everything") as connection:
        ann, bob = (
            job_commands.add_endpoint(wiring.machine, connection, owner_id, URL, scope="all", events=[])
            for owner_id in ("ann", "bob")
        )
        assert (ann.id != bob.id, ann.secret != bob.secret) == (True, True)
        jobs.create(connection, _job("ann", "job"))
        accounts.connect(connection, _account("bob", "of-bob"))
        events.emit(wiring.machine, connection, "job.created", jobs.get(connection, "job"))
        events.emit(
            wiring.machine, connection, "account.reconnect_needed", account_id="of-bob", platform="tiktok", name="@b",
            code="x", reason="x",
        )  # fmt: skip
        events.emit(
            wiring.machine, connection, "endpoint.disabled", endpoint_id=ann.id, url=URL, code="gone", missed=0,
            reason=None, failing_since=None,
        )  # fmt: skip
        received = connection.execute(deliveries.select()).all()
        assert sorted(row.endpoint_id for row in received) == sorted([ann.id, bob.id])
        events.emit(
            wiring.machine, connection, "platform.paused", platform="tiktok", code="x", reason="x",
            until=wiring.machine.now(),
        )  # fmt: skip
        received = connection.execute(deliveries.select()).all()
    assert len(received) == 4, "an outage of a platform is told to all"


def test_a_new_endpoint_replays_no_events_of_other_owners(store: Store) -> None:
    with store.writing(scope="everything") as connection:
        jobs.create(connection, _job("ann", "job"))
        events.emit(wiring.machine, connection, "job.created", jobs.get(connection, "job"))
        later = [
            job_commands.add_endpoint(wiring.machine, connection, owner_id, URL, scope="all", events=[]).id
            for owner_id in ("ann", "bob")
        ]
    since = wiring.machine.now() - timedelta(hours=1)
    counts = [endpoint_commands.replay(wiring.machine, one, since=since, failed=False) for one in later]
    assert counts == [1, 0]


def test_notices_go_to_the_browsers_of_their_owner(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The addresses of NOTICE_URLS are the operator's."""
    changed = wiring.machine.settings.model_copy(update={"notice_urls": (SecretStr("json://127.0.0.1"),)})
    change_machine(monkeypatch, settings=changed)
    with store.writing(scope="everything") as connection:
        for owner_id in ("ann", "bob"):
            push_subscriptions.put(connection, _subscription(owner_id, f"sub_{owner_id}"))
        jobs.create(connection, _job("ann", "job"))
        assert notices.receivers(wiring.machine, connection, "ann") == ["sub_ann"]
        [operators] = notices.receivers(wiring.machine, connection, DEFAULT_OWNER)
        assert operators.startswith("url_")
        for owner_id in ("ann", "bob"):
            assert notices.record_test(wiring.machine, connection, owner_id)
        waiting = connection.execute(tables.notices.select()).all()
    for notice in waiting:
        notices.send(wiring.machine, notice.id)
    with store.reading() as connection:
        sent = connection.execute(tables.notice_deliveries.select()).all()
    owners = {notice.id: notice.owner_id for notice in waiting}
    assert {(owners[one.notice_id], one.target) for one in sent} == {("ann", "sub_ann"), ("bob", "sub_bob")}


def test_an_owners_browsers_do_not_push_others_out(store: Store) -> None:
    with store.writing(scope="everything") as connection:
        push_subscriptions.put(connection, _subscription("ann", "sub_ann"))
        for number in range(push_subscriptions.MAX_SUBSCRIPTIONS + 1):
            push_subscriptions.put(connection, _subscription("bob", f"sub_{number}"))
        assert push_subscriptions.enabled_ids(connection, "ann") == ["sub_ann"]
        assert len(push_subscriptions.list_of(connection, "bob")) == push_subscriptions.MAX_SUBSCRIPTIONS


def test_the_end_of_a_key_ends_no_notices_of_another_owner(store: Store) -> None:
    """Also not those of browsers whose key is not known: they are from before keys were recorded."""
    key = ApiKey(id="key_bob", owner_id="bob", name="b", key_hash="h", created_at=wiring.machine.now())
    with store.writing(scope="everything") as connection:
        api_keys.add(connection, key)
        old = replace(_subscription(DEFAULT_OWNER, "sub_old"), key_id=None)
        for one in (old, replace(_subscription("bob", "sub_bob"), key_id="key_bob")):
            push_subscriptions.put(connection, one)
        api_keys.revoke(connection, "key_bob", wiring.machine.now())
        assert push_subscriptions.enabled_ids(connection, "bob") == []
        assert push_subscriptions.enabled_ids(connection, DEFAULT_OWNER) == ["sub_old"]


def _subscription(owner_id: str, subscription_id: str) -> PushSubscription:
    return PushSubscription(
        id=subscription_id, owner_id=owner_id, host="push.example.com", secret=b"s", public_key="p", user_agent="",
        key_id=f"key_{owner_id}", created_at=wiring.machine.now(),
    )  # fmt: skip


def test_the_schedule_of_an_owner_counts_for_its_accounts(store: Store) -> None:
    rules = Schedule(platform="tiktok", time_zone="UTC", windows=[], max_per_day=2, min_gap_s=0.0)
    with store.writing(scope="everything") as connection:
        schedules.put(connection, "ann", rules)
        schedules.put(connection, "bob", replace(rules, max_per_day=3))
        schedules.put(connection, "bob", replace(rules, max_per_day=4))
        known = account_schedules.read(connection)
    limits = [known.of(_account(owner_id, "x")).max_per_day for owner_id in ("ann", "bob")]
    assert (limits, known.platforms("ann")["tiktok"]) == ([2, 4], rules)
    assert known.platforms("carl") == known.platforms(DEFAULT_OWNER)


def test_a_job_that_is_created_again_from_its_record_keeps_its_owner(store: Store, tmp_path: Path) -> None:
    machine = wiring.machine
    (tmp_path / "source").write_bytes(b"video")
    record = upload_record.encode(_job("ann", "job"), machine.sealer)
    (tmp_path / upload_record.NAME).write_bytes(record)
    defaults = Defaults(0.8, 60.0, machine.now())
    restored = upload_record.restore_job(tmp_path, "job", Path("uploads/job/source"), machine.sealer, defaults)
    assert (restored.job.owner_id, restored.missing) == ("ann", None)

    older = json.loads(record)
    del older["owner_id"]
    (tmp_path / upload_record.NAME).write_text(json.dumps(older))
    restored = upload_record.restore_job(tmp_path, "job", Path("uploads/job/source"), machine.sealer, defaults)
    assert (restored.job.owner_id, restored.missing) == (DEFAULT_OWNER, None)


def test_a_connected_account_stays_with_its_owner(store: Store) -> None:
    with store.writing(scope="everything") as connection:
        accounts.connect(connection, _account("ann", "tiktok-1"))
        with pytest.raises(OtherOwners):
            accounts.connect(connection, _account("bob", "other", remote_id="remote-tiktok-1"))
    refused = account_commands.connect(
        wiring.machine, [_account("bob", "other", remote_id="remote-tiktok-1"), _account("bob", "free")]
    )
    with store.reading() as connection:
        found = {one.id: one.owner_id for one in accounts.list_all(connection)}
    assert (refused, found) == (1, {"tiktok-1": "ann", "free": "bob"})


@pytest.fixture
def taken_over(store: Store) -> str:
    """Return an account that Bob has connected after Ann has disconnected it; two of her parts were on it.

    One was published, and one had failed, which she may still want to try again.
    """
    now = wiring.machine.now()
    parts = [segment(number, status=SegmentStatus.READY) for number in (1, 2)]
    posts = [publication(part, account()) for part in parts]
    posts[0] = replace(posts[0], status=PublicationStatus.PUBLISHED, started_at=now, ended_at=now)
    posts[1] = replace(posts[1], status=PublicationStatus.FAILED, code="spam", ended_at=now)
    own = Schedule(platform="tiktok", time_zone="UTC", windows=[], max_per_day=1, min_gap_s=0.0)
    with store.writing(scope="everything") as connection:
        accounts.connect(connection, _account("ann", "tiktok-1", after_failure=AfterFailure.CONTINUE))
        schedules.put_of_account(connection, "tiktok-1", own)
        jobs.create(connection, replace(_job("ann", "job"), segment_count=2, status=JobStatus.PUBLISHING))
        segments.create(connection, parts)
        publications.create(connection, posts)
    assert job_commands.disconnect(wiring.machine, "tiktok-1")
    account_commands.connect(wiring.machine, [_account("bob", "other", remote_id="remote-tiktok-1", name="@bob")])
    return "tiktok-1"


def test_another_owner_can_connect_a_disconnected_account(store: Store, taken_over: str) -> None:
    """With the settings of a new one; but what was posted on it counts for its limits, whoever posted it."""
    with store.reading() as connection:
        [found] = accounts.list_all(connection)
        own = account_schedules.read(connection).accounts
        rules = account_schedules.read(connection).of(found)
        starts = publication_queue.recent_starts(connection, taken_over, counted_since(rules, wiring.machine.now()))
    assert (found.id, found.owner_id, found.name) == (taken_over, "bob", "@bob")
    assert (found.after_failure, own, len(starts)) == (AfterFailure.HOLD, {}, 1)


def test_an_earlier_owner_posts_nothing_more_on_the_account(store: Store, taken_over: str) -> None:
    late = f"job-2-{taken_over}"
    with pytest.raises(NotPossible) as refused:
        retry_publication(wiring.machine, late)
    assert refused.value.code == "account_disconnected"
    assert not job_commands.retry(wiring.machine, "job")

    with store.writing(scope="everything") as connection:  # whatever else may let it wait again
        publications.restart(connection, [late], wiring.machine.now())
        assert not list(publication_queue.next_in_order(connection, taken_over))
        assert not publication_queue.start(connection, late, wiring.machine.now())
        scheduling.start_due(wiring.machine, connection)
        found = publications.get(connection, late)
    assert found is not None
    assert found.status is PublicationStatus.WAITING
