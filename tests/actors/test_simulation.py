"""Days of publishing with faults and kills: one post each, in order, every event delivered."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from actors.flow import account_commands, forecast, forecast_snapshot, job_commands, word_commands
from actors.flow.publication_commands import NotPossible
from actors.flow.timing import Move, TimeChange
from actors.flow.word_commands import JobWords
from platforms.http.client import Response
from store import Store, history, schedules
from store.owners import DEFAULT_OWNER
from store.schedules import Schedule
from store.states import HistoryKind, PublicationStatus
from tests.actors.simulation import Faults, Simulation, TimedAnswer

# A longer run: SIMULATION_PARTS=200 SIMULATION_SEEDS=10
PARTS = int(os.environ.get("SIMULATION_PARTS", "20"))
SEEDS = int(os.environ.get("SIMULATION_SEEDS", "2"))

API_PATHS = {"tiktok": "/tiktok-", "instagram": "/facebook-", "youtube": "/youtube-"}
TOKEN_PATHS = {"tiktok": "/v2/oauth/token", "instagram": "no refresh", "youtube": "/google-token"}
DEAD_TOKEN = {
    "tiktok": {"data": {}, "error": {"code": "access_token_invalid", "message": "", "log_id": "1"}},
    "instagram": {"error": {"code": 190, "error_subcode": 463, "message": ""}},
    "youtube": {"error": {"code": 401, "errors": [{"reason": "authError"}]}},
}

Simulate = Callable[..., Simulation]


@pytest.fixture
def simulate(store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Simulate]:
    with ExitStack() as stack:

        def build(seed: int = 1, **faults: float) -> Simulation:
            made = Simulation(monkeypatch, tmp_path, seed=seed, faults=Faults(**faults))  # type: ignore[arg-type]
            stack.callback(made.close)
            return made

        yield build


def check_all_published(simulation: Simulation, parts: int, platforms: int = 3) -> None:
    """Check that each part is public once on each platform, in order, and that all events arrived once."""
    statuses = Counter(one.status for one in simulation.publications())
    assert statuses == {PublicationStatus.PUBLISHED: parts * platforms}
    captions: dict[str, list[int]] = {}
    for post in simulation.posts():
        text = json.dumps(post, ensure_ascii=False)
        captions.setdefault(post["platform"], []).append(int(text.split("Part ")[1].split("/")[0]))
    assert captions.keys() == {one.platform for one in simulation.publications()}
    for numbers in captions.values():
        assert numbers == list(range(1, parts + 1))
    check_events(simulation, parts * platforms)
    check_histories(simulation)


def check_histories(simulation: Simulation) -> None:
    """Check that each published post has evidence, by the platform's answer, before it is recorded as published."""
    for publication in simulation.publications():
        with simulation.machine.store.reading() as connection:
            entries = history.of_publication(connection, publication.id).entries
        kinds = [(entry.kind, "recorded as published" in entry.text) for entry in entries]
        assert kinds.index((HistoryKind.EVIDENCE, False)) < kinds.index((HistoryKind.STATE, True))
        evidence = next(entry for entry in entries if entry.kind is HistoryKind.EVIDENCE)
        assert (evidence.ids or {}).get("remote_id")
        assert evidence.host in {None, simulation.root.removeprefix("http://")}


def check_events(simulation: Simulation, published: int) -> None:
    """Check that each publication has one event of its end, and that no event was lost."""
    events = {message_id: json.loads(body) for message_id, body in simulation.received}
    ended = [event for event in events.values() if event["type"] == "publication.published"]
    assert len({event["data"]["publication_id"] for event in ended}) == len(ended) == published
    assert [event["type"] for event in events.values()].count("job.completed") == 1


def test_without_faults_everything_goes_out_in_order(simulate: Simulate) -> None:
    simulation = simulate()
    simulation.prepare(5)

    simulation.run()

    check_all_published(simulation, 5)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_faults_and_kills_double_and_lose_nothing(simulate: Simulate, seed: int) -> None:
    simulation = simulate(seed, rate=0.05, webhook_rate=0.05, kill_rate=0.01)
    simulation.each_minute = simulation.connect_again
    simulation.prepare(PARTS)

    simulation.run()

    check_all_published(simulation, PARTS)
    struck = Counter(name.partition(" ")[0] for name in simulation.counts for _ in range(simulation.counts[name]))
    assert struck["killed"]  # how many it are depends on the threads: once, 4 of 20 parts
    assert struck["fault:"]


@dataclass
class Decider:
    """A person who decides something every few minutes, at random; at last everything is released.

    Attributes:
        simulation: whose machine it is.
        until: when the decisions end.
        counts: decisions that were carried out, and codes of those that were refused.
    """

    simulation: Simulation
    until: datetime
    counts: Counter[str] = field(default_factory=Counter)

    def __call__(self) -> None:
        self.simulation.connect_again()
        random, clock = self.simulation.random, self.simulation.clock
        if clock() >= self.until:
            self._release()
        elif random.random() < 0.5:
            name = random.choice(["hold", "release", "now", "usual", "move", "shift", "hold all", "release all"])
            try:
                self._decide(name, clock() + timedelta(minutes=random.randrange(-30, 120)))
            except NotPossible as refused:
                self.counts[refused.code] += 1
            else:
                self.counts[name] += 1

    def _decide(self, name: str, at: datetime) -> None:
        machine = self.simulation.machine
        if name.endswith("all"):
            word_commands.change_job(machine, "job", JobWords(), TimeChange(held=name == "hold all"))
            return
        change = {
            "hold": TimeChange(held=True),
            "release": TimeChange(held=False),
            "now": TimeChange(publish_now=True),
            "usual": TimeChange(publish_now=False),
            "move": TimeChange(move=Move(at)),
            "shift": TimeChange(move=Move(at, shift_following=True)),
        }[name]
        waiting = [one for one in self.simulation.publications() if one.status is PublicationStatus.WAITING]
        post = self.simulation.random.choice(waiting[:6] or self.simulation.publications())
        with machine.store.reading() as connection:
            predictions = forecast.predict(forecast_snapshot.read(machine, connection))
        word_commands.change_publication(machine, post.id, {}, change, predictions)

    def _release(self) -> None:
        machine = self.simulation.machine
        for post in self.simulation.publications():
            if post.status is PublicationStatus.WAITING and (post.held or post.publish_after is not None):
                change = TimeChange(held=False, move=Move(None))
                with suppress(NotPossible):  # it has just started
                    word_commands.change_publication(machine, post.id, {}, change)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_decisions_among_faults_and_kills_keep_every_post_single_and_in_order(simulate: Simulate, seed: int) -> None:
    """Holds, moves and posts at once, at any moment; a kill may strike a decision, too."""
    simulation = simulate(seed, rate=0.03, webhook_rate=0.03, kill_rate=0.01)
    simulation.prepare(PARTS)
    with simulation.machine.store.writing(scope="everything") as connection:
        for platform in API_PATHS:
            spaced = Schedule(platform=platform, time_zone="UTC", windows=[], max_per_day=10_000, min_gap_s=600.0)
            schedules.put(connection, DEFAULT_OWNER, spaced)
    person = Decider(simulation, simulation.clock() + timedelta(hours=4))
    simulation.each_minute = person

    simulation.run()

    check_all_published(simulation, PARTS)
    made = {"hold", "release", "now", "usual", "move", "shift", "hold all", "release all"}
    assert made <= person.counts.keys(), person.counts
    assert {"out_of_order", "earlier_part_waits"} <= person.counts.keys()


@pytest.mark.parametrize("platform", ["tiktok", "instagram", "youtube"])
def test_an_outage_of_an_evening_costs_no_post(simulate: Simulate, platform: str) -> None:
    simulation = simulate()
    simulation.prepare(6, platforms=(platform,))
    began = simulation.clock() + timedelta(seconds=8)
    simulation.faults.answers.append(TimedAnswer(API_PATHS[platform], began, began + timedelta(hours=2)))

    simulation.run()

    check_all_published(simulation, 6, 1)
    assert 2 < simulation.counts[f"answer of {API_PATHS[platform]}"] < 60  # it is not asked all the time
    assert simulation.clock() - began < timedelta(hours=3, minutes=30)  # and it is noticed when it is over


def test_a_clock_that_is_set_back_and_forth_changes_nothing(simulate: Simulate) -> None:
    simulation = simulate(rate=0.02)
    simulation.prepare(10)
    start = simulation.clock()

    simulation.run(
        at={
            start + timedelta(minutes=3): lambda: simulation.correct_clock(minutes=-30),
            start + timedelta(minutes=10): lambda: simulation.correct_clock(hours=5),
        }
    )

    check_all_published(simulation, 10)


def test_a_cancelled_reel_is_not_published_again(simulate: Simulate) -> None:
    """Its first request to publish failed, and Instagram shows that it was not published."""
    simulation = simulate()
    simulation.prepare(1, platforms=("instagram",))
    began = simulation.clock()
    simulation.faults.answers.append(TimedAnswer("media_publish", began, began + timedelta(minutes=12)))

    def cancel() -> None:
        assert job_commands.cancel(simulation.machine, "job")

    simulation.run(at={began + timedelta(minutes=11): cancel})

    assert simulation.counts["answer of media_publish"] > 0
    assert [one.status for one in simulation.publications()] == [PublicationStatus.CANCELLED]
    assert simulation.posts() == []


@pytest.mark.parametrize("platform", ["tiktok", "instagram", "youtube"])
def test_after_a_withdrawn_permission_everything_goes_on_at_once(simulate: Simulate, platform: str) -> None:
    simulation = simulate()
    simulation.prepare(6, platforms=(platform,))
    withdrawn = simulation.clock() + timedelta(seconds=8)
    connected = withdrawn + timedelta(hours=3)
    dead = Response(401, {}, json.dumps(DEAD_TOKEN[platform]).encode())
    grant = Response(400, {}, b'{"error": "invalid_grant"}')
    for path, answer in ((TOKEN_PATHS[platform], grant), (API_PATHS[platform], dead)):
        simulation.faults.answers.append(TimedAnswer(path, withdrawn, connected, answer))
    before: list[int] = []

    def connect_again() -> None:
        before.append(len(simulation.posts()))
        account_commands.connect(simulation.machine, [simulation.account(platform)])

    at = {connected: connect_again, connected + timedelta(minutes=2): lambda: before.append(len(simulation.posts()))}
    simulation.run(at=at)

    check_all_published(simulation, 6, 1)
    assert [json.loads(body)["type"] for _, body in simulation.received].count("account.reconnect_needed") == 1
    assert before[0] < before[1]  # not after the next check of overdue work
