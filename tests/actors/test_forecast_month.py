"""A month of the real scheduler on a simulated clock: every forecast made on the way comes true.

Only the delayed messages start anything: no periodic tick runs. Simulated are the clock, the delivery of messages and
the posts, each of which takes `POST_S`. In the second month a creator holds, moves, approves and publishes at once; a
forecast then counts until the next of these decisions. A longer run: FORECAST_PARTS=60
"""

from __future__ import annotations

import heapq
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from dramatiq import Message
from sqlalchemy import select, text

from actors import wiring
from actors.flow import (
    completion,
    forecast,
    forecast_snapshot,
    job_commands,
    publication_commands,
    scheduling,
    word_commands,
)
from actors.flow.forecast import Prediction
from actors.flow.timing import Move, TimeChange
from actors.flow.word_commands import JobWords
from broker.storage import database
from store import Store, accounts, jobs, platform_states, publications, schedules, segments, steps, tables
from store.owners import DEFAULT_OWNER
from store.platform_states import PlatformState
from store.schedules import Schedule
from store.states import JobStatus, PublicationStatus, ReviewReason, SegmentStatus
from tests.actors.queues import change_machine
from tests.store import rows
from tests.support.clock import Clock

PARTS = int(os.environ.get("FORECAST_PARTS", "20"))  # of each job
JOBS = 8
DAYS = 30
SCALE = PARTS / 20  # of the limits, so that it lasts a month
FORECAST_DAYS = (0.0, 0.3, 1.1, 5.0, 16.9, 24.0)
POST_S = 60.0  # as the forecast assumes until it has measured some
BEGIN = datetime(2026, 10, 8, 5, 0, tzinfo=UTC)  # clocks change on 25 October in Berlin, on 1 November in New York
END = BEGIN + timedelta(days=DAYS)
TOLERANCE = timedelta(seconds=5)  # each start is 10 ms late, and moves those that count from it

# (time zone, windows, posts a day, gap in seconds)
RULES = {
    "tiktok": ("Europe/Berlin", [["02:30", "03:15"], ["08:00", "09:30"], ["18:00", "22:30"]], 5, 900.0),
    "instagram": ("America/New_York", [["22:00", "02:00"]], 4, 600.0),
    "youtube": ("UTC", [], 4, 5400.0),
}


@pytest.fixture
def clock(store: Store, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Let the actors and the broker of this process read a simulated clock."""
    del store
    made = Clock(BEGIN)
    change_machine(monkeypatch, now=made)
    real_now_ms = database.now_ms
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "broker" and getattr(module, "now_ms", None) is real_now_ms:
            monkeypatch.setattr(module, "now_ms", lambda: round(made.timestamp() * 1000))
    return made


def _prepare(store: Store) -> None:
    """Add three accounts with different rules, and jobs: plain ones, some with a later time, one unapproved.

    The rules of one account are its own: its platform has others, which do not count.
    """
    with store.writing(scope="everything") as connection:
        owners = [rows.account(f"{platform}-1", platform) for platform in RULES]
        for owner in owners:
            accounts.connect(connection, owner)
        for platform, (zone, windows, per_day, gap_s) in RULES.items():
            rules = Schedule(
                platform=platform, time_zone=zone, windows=windows, max_per_day=round(per_day * SCALE),
                min_gap_s=gap_s / SCALE,
            )  # fmt: skip
            if platform == "tiktok":
                schedules.put_of_account(connection, "tiktok-1", rules)
                rules = replace(rules, time_zone="UTC", windows=[], max_per_day=1)
            schedules.put(connection, DEFAULT_OWNER, rules)
        accounts.pause(connection, "youtube-1", BEGIN + timedelta(hours=31), "the platform asked for it")
        outage = PlatformState(platform="tiktok", failures_in_a_row=3, paused_until=BEGIN + timedelta(hours=9))
        platform_states.put(connection, outage)
        for number in range(JOBS):
            own = BEGIN + timedelta(days=2.5 * number, hours=1) if number % 4 == 1 else None
            review: list[str] | None = [ReviewReason.SOUND_UNREADABLE] if number == 2 else None
            name = f"job{number}"
            job = rows.job(name, minutes=number, status=JobStatus.PUBLISHING, parts=PARTS)
            jobs.create(connection, replace(job, publish_after=own, review_reasons=review))
            parts = [rows.segment(part, job_id=name, status=SegmentStatus.READY) for part in range(1, PARTS + 1)]
            segments.create(connection, parts)
            made = [replace(rows.publication(part, owner), created_at=BEGIN) for part in parts for owner in owners]
            publications.create(connection, made)


def _next_message() -> tuple[datetime, int, str] | None:
    """Return time, row and account of the next message that starts publications."""
    query = text(
        "SELECT eta_ms, id, body FROM broker_messages WHERE actor = 'start_publications' ORDER BY eta_ms, id LIMIT 1"
    )
    with wiring.machine.store.reading() as connection:
        found = connection.execute(query).first()
    if found is None:
        return None
    eta_ms, row_id, body = found
    return datetime.fromtimestamp(eta_ms / 1000, UTC), row_id, Message.decode(bytes(body)).args[0]


def _delete_message(row_id: int) -> None:
    change = text("DELETE FROM broker_messages WHERE id = :id OR actor != 'start_publications'")
    with wiring.machine.store.writing(scope="everything") as connection:
        connection.execute(change, {"id": row_id})


def _forecast() -> dict[str, Prediction]:
    with wiring.machine.store.reading() as connection:
        return forecast.predict(forecast_snapshot.read(wiring.machine, connection))


def _under_way(store: Store, seen: dict[str, datetime]) -> list[str]:
    """Record the starts that are new; return their ids."""
    columns = tables.publications.c
    query = select(columns.id, columns.started_at).where(columns.status == PublicationStatus.PUBLISHING)
    with store.reading() as connection:
        new = {name: began for name, began in connection.execute(query) if name not in seen}
    seen.update(new)
    return list(new)


def _end(publication_id: str) -> None:
    machine = wiring.machine
    now = machine.now()
    with machine.store.writing(scope="everything") as connection:
        claimed = steps.claim(connection, publication_id, "m", "n", now=now, until=now)
        assert claimed is not None
        assert steps.end(connection, publication_id, "m/n", PublicationStatus.PUBLISHED, now=now)
        completion.after_publication(machine, connection, publication_id, "publication.published")


Decision = tuple[timedelta, Callable[[], object]]


def _run_month(
    store: Store, clock: Clock, decisions: Sequence[Decision] = ()
) -> tuple[dict[str, datetime], list[tuple[datetime, dict[str, Prediction]]]]:
    """Return the start of each publication, and the forecasts that were made every few days and after each decision."""
    started: dict[str, datetime] = {}
    ends: list[tuple[datetime, str]] = []
    forecasts: list[tuple[datetime, dict[str, Prediction]]] = []
    scheduling.tick(wiring.machine)
    forecast_times = [BEGIN + timedelta(days=days) for days in FORECAST_DAYS]
    forecast_times = sorted([*forecast_times, *(BEGIN + after for after, _ in decisions)])
    to_decide = list(decisions)
    while clock() < END:
        for name in _under_way(store, started):
            heapq.heappush(ends, (started[name] + timedelta(seconds=POST_S), name))
        message = _next_message()
        moment = min([message[0]] if message else [], default=datetime.max.replace(tzinfo=UTC))
        moment = min([moment, *(end for end, _ in ends[:1])])
        if to_decide and moment >= BEGIN + to_decide[0][0]:
            after, decide = to_decide.pop(0)
            clock.moment = max(clock.moment, BEGIN + after)
            decide()
            continue
        if forecast_times and moment >= forecast_times[0] and not ends:
            clock.moment = max(clock.moment, forecast_times.pop(0))
            forecasts.append((clock(), _forecast()))
            continue
        if moment == datetime.max.replace(tzinfo=UTC):
            break
        clock.moment = max(clock.moment, moment)
        if ends and ends[0][0] <= clock():
            _end(heapq.heappop(ends)[1])
        elif message is not None:
            _delete_message(message[1])
            scheduling.start_due_on(wiring.machine, message[2])
    return started, forecasts


def test_every_forecast_of_a_month_comes_true(store: Store, clock: Clock) -> None:
    """Windows over midnight and over two clock changes, limits, gaps, pauses, later times, and a video in review."""
    _prepare(store)

    started, forecasts = _run_month(store, clock)

    assert len(forecasts) == len(FORECAST_DAYS)
    assert len(started) > 0.7 * PARTS * JOBS * 3  # one job is never approved
    for made_at, predicted in forecasts:
        assert {one.waits_for.value for name, one in predicted.items() if name.startswith("job2-")} == {"approval"}
        for name, one in predicted.items():
            if one.at is None:
                assert name not in started, (made_at, name, one)
            elif one.at < END - TOLERANCE:
                assert abs(started.get(name, END) - one.at) < TOLERANCE, (made_at, name, one, started.get(name))
        later = {name for name, began in started.items() if began > made_at}
        assert later <= predicted.keys()


def _change(name: str, change: TimeChange) -> None:
    word_commands.change_publication(wiring.machine, name, {}, change, _forecast())


def _move(name: str, days: float, *, following: bool = False) -> None:
    _change(name, TimeChange(move=Move(BEGIN + timedelta(days=days), shift_following=following)))


def _change_job(name: str, change: TimeChange) -> None:
    word_commands.change_job(wiring.machine, name, JobWords(), change)


def _next_of(job_id: str, account_id: str) -> str:
    with wiring.machine.store.reading() as connection:
        posts = publications.of_job(connection, job_id)
    return next(one.id for one in posts if one.account_id == account_id and one.status is PublicationStatus.WAITING)


def _decisions() -> list[Decision]:
    """Return what a creator decides in the month, in order."""
    now = TimeChange(publish_now=True)
    found: list[tuple[float, Callable[[], object]]] = [
        (0.5, lambda: _change_job("job3", TimeChange(held=True))),
        (1.5, lambda: _move("job4-3-tiktok-1", 9.0, following=True)),
        (1.6, lambda: _move("job4-3-instagram-1", 12.0)),
        (2.0, lambda: _change("job6-1-youtube-1", now)),  # before all older videos
        (2.01, lambda: _change("job7-1-tiktok-1", now)),
        (2.02, lambda: _change("job6-1-tiktok-1", now)),
        (4.0, lambda: _change_job("job3", TimeChange(held=False))),
        (6.0, lambda: _change_job("job7", TimeChange(move=Move(BEGIN + timedelta(days=14))))),
        (8.0, lambda: job_commands.approve(wiring.machine, "job2", [1, 2, 4])),
        (10.0, lambda: _change("job6-2-instagram-1", TimeChange(held=True))),
        (11.0, lambda: _move("job4-3-instagram-1", 22.0)),
        (13.0, lambda: _change("job2-4-youtube-1", TimeChange(held=True))),
        (15.0, lambda: publication_commands.skip_publication(wiring.machine, "job2-3-tiktok-1")),
        (15.1, lambda: _change(_next_of("job7", "tiktok-1"), now)),
    ]
    return [(timedelta(days=days), decide) for days, decide in found]


def test_every_forecast_comes_true_until_the_next_decision(store: Store, clock: Clock) -> None:
    """Holds, moves, approvals of single parts, and posts at once: of a part, of a video, of others meanwhile."""
    _prepare(store)
    decisions = _decisions()

    started, forecasts = _run_month(store, clock, decisions)

    assert len(forecasts) == len(FORECAST_DAYS) + len(decisions)
    compared = 0
    for made_at, predicted in forecasts:
        until = min([END, *(BEGIN + after for after, _ in decisions if BEGIN + after > made_at)])
        for name, one in predicted.items():
            if one.at is None:
                assert not made_at < started.get(name, END) < until, (made_at, name, one)
            elif one.at < until - TOLERANCE:
                assert abs(started.get(name, END) - one.at) < TOLERANCE, (made_at, name, one, started.get(name))
                compared += 1
        assert {name for name, began in started.items() if made_at < began < until} <= predicted.keys()
    assert compared > PARTS * JOBS
    assert {"job2-1-tiktok-1", "job2-4-tiktok-1"} <= started.keys()
    assert not {"job2-3-tiktok-1", "job2-4-youtube-1", "job2-5-tiktok-1", "job6-2-instagram-1"} & started.keys()
    assert started["job6-1-youtube-1"] - BEGIN < timedelta(days=2, seconds=2 * POST_S)
    assert started["job7-1-tiktok-1"] < started["job6-1-tiktok-1"] < started["job1-1-tiktok-1"]
    assert started["job4-3-tiktok-1"] >= BEGIN + timedelta(days=9)
    assert started.get("job4-3-instagram-1", END) >= BEGIN + timedelta(days=22)
    for job in range(JOBS):
        for owner in ("tiktok-1", "instagram-1", "youtube-1"):
            starts = [started.get(f"job{job}-{part}-{owner}") for part in range(1, PARTS + 1)]
            known = [start for start in starts if start is not None]
            assert known == sorted(known), (job, owner)
