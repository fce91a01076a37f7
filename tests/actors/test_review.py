"""A job that needs approval is rendered and shown, but not published before it is approved."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from loguru import logger
from sqlalchemy import Connection, select

from actors import wiring
from actors.flow import job_commands, media_child
from actors.gaze import gaze
from actors.machine import Machine
from actors.split import split
from actors.ticks import cleanup, open_windows
from api.resources.webhooks import EVENTS
from store import Store, accounts, jobs, publication_queue, publications, reviews, segments
from store.jobs import Job
from store.publications import Publication
from store.states import JobStatus, PublicationStatus, SegmentStatus
from store.tables import events
from tests.actors.queues import change_settings, move_clock, waiting
from tests.actors.test_rendering import RENDERED, SPAN, Result
from tests.store.rows import account, job

MUTE: Result = {
    "facts": {"frames": 1000, "warnings": ["sound_unreadable"]},
    "zero": None,
    "spans": [SPAN | {"of": 2}, SPAN | {"number": 2, "of": 2}],
}


@pytest.fixture
def plan(store: Store, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Return what plans a job as MUTE_VIDEO says, and returns its parts' ids; children answer at once."""

    def run(setting: str, planned: Result = MUTE, **options: Any) -> list[str]:  # Any: fields of the job
        change_settings(monkeypatch, mute_video=setting)
        monkeypatch.setattr(media_child, "run", lambda *call, **_: planned if call[1] == "plan" else RENDERED)
        with store.writing(scope="everything") as connection:
            jobs.create(connection, replace(job(status=JobStatus.PENDING, parts=None), **options))
            accounts.connect(connection, account())
        split.fn("job")
        with store.reading() as connection:
            return [part.id for part in segments.of_job(connection, "job")]

    return run


def _job(store: Store) -> Job:
    with store.reading() as connection:
        found = jobs.get(connection, "job")
    assert found is not None
    return found


def _posts(store: Store) -> list[Publication]:
    with store.reading() as connection:
        return publications.of_job(connection, "job")


def _sent(_store: Store) -> list[str]:
    return [name for name, _ in waiting() if name.startswith("publish_")]


def _events(store: Store) -> list[str]:
    with store.reading() as connection:
        return list(connection.scalars(select(events.c.type)))


def test_only_chosen_accounts_get_posts(store: Store, plan: Callable[..., list[str]]) -> None:
    """Another account of the same platform gets none."""
    with store.writing(scope="everything") as connection:
        for name in ("tiktok-2", "tiktok-3"):
            accounts.connect(connection, account(name))
    plan("ask", accounts=["tiktok-2"])

    assert {post.account_id for post in _posts(store)} == {"tiktok-2"}


def test_a_chosen_account_that_is_gone_is_shown(store: Store, plan: Callable[..., list[str]]) -> None:
    """It was disconnected between upload and planning: the job says so instead of publishing nothing in silence."""
    with store.writing(scope="everything") as connection:
        accounts.connect(connection, account("tiktok-2"))
        accounts.disconnect(connection, "tiktok-2")
    for part_id in plan("publish", accounts=["tiktok-2"]):
        gaze.fn(part_id)

    assert {(post.account_id, post.status, post.code) for post in _posts(store)} == {
        ("tiktok-2", PublicationStatus.CANCELLED, "account_disconnected")
    }
    assert _job(store).status is JobStatus.FAILED


def test_nothing_starts_before_the_yes_by_whatever_path(store: Store, plan: Callable[..., list[str]]) -> None:
    """Neither the first part while others are rendered, nor a tick, nor a direct attempt to begin."""
    first, second = plan("ask")
    gaze.fn(first)
    open_windows.fn()
    assert (_job(store).status, _sent(store)) == (JobStatus.PROCESSING, [])
    gaze.fn(second)
    open_windows.fn()
    assert (_job(store).status, _sent(store)) == (JobStatus.REVIEW, [])
    with store.writing(scope="everything") as connection:
        assert list(publication_queue.next_in_order(connection, "tiktok-1")) == []
        assert not any(publication_queue.start(connection, post.id, wiring.machine.now()) for post in _posts(store))
    assert {post.status for post in _posts(store)} == {PublicationStatus.WAITING}
    assert _events(store).count("job.review_needed") == 1
    assert job_commands.approve(wiring.machine, "job")
    assert (_job(store).status, _sent(store)) == (JobStatus.PUBLISHING, ["publish_tiktok"])
    assert job_commands.approve(wiring.machine, "job")  # again
    assert _sent(store) == ["publish_tiktok"]


def test_an_early_yes_lets_the_first_part_go_while_others_are_rendered(
    store: Store, plan: Callable[..., list[str]]
) -> None:
    first, second = plan("ask")
    gaze.fn(first)
    assert job_commands.approve(wiring.machine, "job")
    assert (_job(store).status, _sent(store)) == (JobStatus.PROCESSING, ["publish_tiktok"])
    gaze.fn(second)
    assert _job(store).status is JobStatus.PUBLISHING
    assert "job.review_needed" not in _events(store)


UNREADABLE: Result = {**RENDERED, "rendering": {"picture": "encoded", "sound": "unreadable"}}


@pytest.mark.parametrize(("setting", "published"), [("ask", False), ("refuse", False), ("publish", True)])
def test_a_part_that_turns_out_mute_when_it_is_rendered_waits(
    store: Store, plan: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch, setting: str, published: bool
) -> None:
    """Its track begins well, so the plan knew nothing."""
    for part in plan(setting, MUTE | {"facts": {"warnings": []}}):
        monkeypatch.setattr(media_child, "run", lambda *_, **__: UNREADABLE)
        gaze.fn(part)
    open_windows.fn()
    assert bool(_sent(store)) is published
    assert _job(store).status is (JobStatus.PUBLISHING if published else JobStatus.REVIEW)
    if not published:
        assert _job(store).review_reasons == ["sound_unreadable"]
        assert job_commands.approve(wiring.machine, "job")
        assert _sent(store) == ["publish_tiktok"]


def test_a_yes_to_one_question_is_none_to_another(
    store: Store, plan: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recovered video was approved while it was examined; then its sound turned out unreadable."""
    real = jobs.create

    def create(connection: Connection, made: Job) -> None:
        real(connection, replace(made, review_reasons=["options_lost"]))
        assert reviews.approve(connection, "job", wiring.machine.now())

    monkeypatch.setattr(jobs, "create", create)
    first, _ = plan("ask")
    gaze.fn(first)
    assert (_job(store).review_reasons, _sent(store)) == (["options_lost", "sound_unreadable"], [])
    assert job_commands.approve(wiring.machine, "job")
    assert _sent(store) == ["publish_tiktok"]


def test_publish_goes_on_and_the_warning_stands(store: Store, plan: Callable[..., list[str]]) -> None:
    gaze.fn(plan("publish")[0])
    assert _sent(store) == ["publish_tiktok"]
    assert (_job(store).review_reasons, (_job(store).facts or {})["warnings"]) == (None, ["sound_unreadable"])


def test_refuse_ends_the_job_with_what_to_do(store: Store, plan: Callable[..., list[str]]) -> None:
    """The file stays for a day: with another setting it can be tried again."""
    assert plan("refuse") == []
    ended = _job(store)
    assert (ended.status, ended.error_code) == (JobStatus.FAILED, "sound_unreadable")
    assert "Convert it to MP4 with AAC sound" in (ended.error or "")
    assert ("delete_files", ("job", "now")) not in waiting()
    assert job_commands.retry(wiring.machine, "job")


@pytest.mark.parametrize("warnings", [[], ["pauses_not_found"]])
def test_a_video_with_sound_asks_nothing(store: Store, plan: Callable[..., list[str]], warnings: list[str]) -> None:
    [only, _] = plan("ask", MUTE | {"facts": {"warnings": warnings}})
    gaze.fn(only)
    assert _sent(store) == ["publish_tiktok"]


def test_a_job_without_accounts_has_nothing_to_ask_for(store: Store, plan: Callable[..., list[str]]) -> None:
    parts = plan("ask")
    with store.writing(scope="everything") as connection:
        publications.end_waiting(connection, "job", PublicationStatus.CANCELLED, reason="", now=wiring.machine.now())
    for part in parts:
        gaze.fn(part)
    assert "job.review_needed" not in _events(store)


def test_a_job_in_review_is_not_over_and_the_hard_maximum_ends_it(
    store: Store, plan: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in plan("ask"):
        gaze.fn(part)
    move_clock(monkeypatch, timedelta(days=59))
    cleanup.fn()
    assert _job(store).status is JobStatus.REVIEW
    assert not any(name == "delete_files" for name, _ in waiting())
    move_clock(monkeypatch, timedelta(days=2))
    cleanup.fn()
    assert _job(store).status is JobStatus.FAILED
    assert {post.status for post in _posts(store)} == {PublicationStatus.EXPIRED}
    assert not job_commands.approve(wiring.machine, "job")
    assert job_commands.retry(wiring.machine, "job")
    cleanup.fn()  # it has its sixty days again
    assert _job(store).status is JobStatus.REVIEW
    assert _sent(store) == []
    assert job_commands.approve(wiring.machine, "job")
    assert _sent(store) == ["publish_tiktok"]


@pytest.mark.parametrize("end", [job_commands.cancel, job_commands.delete])
def test_a_job_in_review_can_be_ended(
    store: Store, plan: Callable[..., list[str]], end: Callable[[Machine, str], bool]
) -> None:
    for part in plan("ask"):
        gaze.fn(part)
    assert end(wiring.machine, "job")
    assert _job(store).status is JobStatus.CANCELLED
    assert {post.status for post in _posts(store)} == {PublicationStatus.CANCELLED}
    assert not job_commands.approve(wiring.machine, "job")
    assert _sent(store) == []


def test_a_requested_review_begins_when_all_parts_are_rendered(store: Store, plan: Callable[..., list[str]]) -> None:
    """Whatever MUTE_VIDEO says: that is about sound."""
    for part in plan("publish", MUTE | {"facts": {"warnings": []}}, review_reasons=["requested"]):
        assert _job(store).status is JobStatus.PROCESSING
        gaze.fn(part)
        open_windows.fn()
        assert _sent(store) == []
    assert _job(store).status is JobStatus.REVIEW
    with store.reading() as connection:
        told = connection.scalars(select(events.c.body).where(events.c.type == "job.review_needed")).one()
    data = json.loads(told)["data"]
    assert (data["code"], data["reasons"]) == ("requested", ["requested"])
    assert job_commands.approve(wiring.machine, "job")
    assert (_job(store).status, _sent(store)) == (JobStatus.PUBLISHING, ["publish_tiktok"])


def test_a_part_that_is_tried_again_goes_back_to_review(store: Store, plan: Callable[..., list[str]]) -> None:
    first, second = plan("ask")
    with store.writing(scope="everything") as connection:
        segments.fail(connection, first, reason="lost", now=wiring.machine.now())
    gaze.fn(second)
    assert _job(store).status is JobStatus.REVIEW
    assert job_commands.retry(wiring.machine, "job")
    assert _job(store).status is JobStatus.PROCESSING
    gaze.fn(first)
    assert (_job(store).status, _sent(store)) == (JobStatus.REVIEW, [])
    with store.reading() as connection:
        assert {part.status for part in segments.of_job(connection, "job")} == {SegmentStatus.READY}


def test_an_account_that_goes_ends_a_review_that_has_nothing_left(store: Store, plan: Callable[..., list[str]]) -> None:
    for part in plan("ask"):
        gaze.fn(part)
    assert job_commands.disconnect(wiring.machine, "tiktok-1")
    assert _job(store).status is JobStatus.FAILED


def test_every_event_that_is_announced_can_be_subscribed_to() -> None:
    """An endpoint can choose only events that the API lists."""
    sources = "\n".join(path.read_text() for path in Path(job_commands.__file__).parent.glob("*.py"))
    announced = set(re.findall(r"\"((?:job|segment|publication|account|endpoint|platform)\.[a-z_]+)\"", sources))
    assert "job.review_needed" in announced
    assert announced <= set(EVENTS)


def test_the_log_tells_of_a_review_its_approval_and_an_end(store: Store, plan: Callable[..., list[str]]) -> None:
    told: list[str] = []
    sink = logger.add(lambda message: told.append(message.record["message"]), level="INFO")
    for part in plan("ask"):
        gaze.fn(part)
    assert job_commands.approve(wiring.machine, "job")
    assert job_commands.cancel(wiring.machine, "job")
    logger.remove(sink)
    assert "Job job: 2 parts for 1 account" in told
    steps = ["Job job: waits for approval (sound_unreadable)", "Job job: approved", "Job job: cancelled"]
    assert [line for line in told if line in steps] == steps
