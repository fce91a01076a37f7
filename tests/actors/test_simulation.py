"""Days of publishing with faults and kills: one post each, in order, every event delivered."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from store import Store
from store.states import PublicationStatus
from tests.actors.simulation import Faults, Simulation, TimedAnswer

# A longer run: SIMULATION_PARTS=200 SIMULATION_SEEDS=10
PARTS = int(os.environ.get("SIMULATION_PARTS", "20"))
SEEDS = int(os.environ.get("SIMULATION_SEEDS", "2"))

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
    simulation.prepare(PARTS)

    simulation.run()

    check_all_published(simulation, PARTS)
    struck = Counter(name.partition(" ")[0] for name in simulation.counts for _ in range(simulation.counts[name]))
    assert min(struck["killed"], struck["fault:"]) > PARTS // 4


@pytest.mark.parametrize("platform", ["tiktok", "instagram", "youtube"])
def test_an_outage_of_an_evening_costs_no_post(simulate: Simulate, platform: str) -> None:
    simulation = simulate()
    simulation.prepare(6, platforms=(platform,))
    paths = {"tiktok": "/tiktok-", "instagram": "/facebook-", "youtube": "/youtube-"}
    began = simulation.clock() + timedelta(seconds=8)
    simulation.faults.answers.append(TimedAnswer(paths[platform], began, began + timedelta(hours=2)))

    simulation.run()

    check_all_published(simulation, 6, 1)
    assert 2 < simulation.counts[f"answer of {paths[platform]}"] < 60  # it is not asked all the time
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
