"""The rows of the broker in the table of all benchmarks: a short run of this broker and of others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from scripts.benchmarks.broker import measurements as measure
from scripts.benchmarks.broker.candidates import CANDIDATES, Candidate
from scripts.benchmarks.broker.environment import Environment, Sizes
from scripts.benchmarks.broker.figures import Figure, Results
from scripts.benchmarks.broker.servers import STARTERS, Server, ServerFailed
from scripts.benchmarks.summary.row import Goal, Line, NotMeasured, Row

__all__ = ["compared", "rows"]

SIZES = Sizes(
    latency_messages=100,
    idle_s=12.0,
    messages=3_000,
    backlog=0,
    backlog_pairs=0,
    jobs=1_000,
    job_ms=20,
    timeout_s=20.0,
    limit_s=0.0,
)
ROUNDS = 2
KEYS = ("ours-full", "ours-normal", "redis", "rabbitmq", "postgres")
EACH_ROUND = (measure.latency, measure.enqueue, measure.drain)
INSTALL = "scripts/bench --install; apt-get install redis-server rabbitmq-server postgresql"


@dataclass(frozen=True, slots=True)
class Shown:
    """A figure that is shown; `server` is added to it, because the other brokers need one."""

    what: str
    unit: str
    figure: Figure
    server: Figure | None = None
    better: Literal["less", "more"] = "less"
    goal: Goal | None = None

    def value(self, results: Results, key: str) -> float | None:
        """Return the median of a candidate, with its server's."""
        value = results.median(self.figure, key)
        served = results.median(self.server, key) if self.server else None
        return None if value is None else value + (served or 0.0)


SHOWN = (
    Shown("enqueue to the start of the actor, p50", "ms", measure.LATENCY_P50),
    Shown("enqueue to the start of the actor, p99", "ms", measure.LATENCY_P99, goal=Goal(5.0)),
    Shown("enqueue, one process", "messages/s", measure.ENQUEUE, better="more"),
    Shown("process, two processes of 8 threads", "messages/s", measure.DRAIN, better="more"),
    Shown(f"all work back after kill -9 of a worker, at most {SIZES.timeout_s:.0f} s awaited", "s", measure.RECOVERED),
    Shown("idle worker and server, CPU a minute", "s", measure.IDLE_CPU, measure.IDLE_SERVER_CPU, goal=Goal(0.1)),
    Shown("idle worker and server, memory", "MiB", measure.IDLE_PSS, measure.IDLE_SERVER_PSS),
)


def rows(folder: Path) -> Iterator[Line]:
    """Measure the brokers in turns; every other broker is compared to ours of the most similar durability."""
    with ExitStack() as stack:
        found: list[Candidate] = []
        servers: dict[str, Server] = {}
        for candidate in (one for one in CANDIDATES if one.key in KEYS):
            reason = _started(candidate, folder, servers, stack)
            if reason is None:
                found.append(candidate)
            else:
                yield NotMeasured(f"the broker beside {candidate.title}", f"{reason} ({INSTALL})")
        results = _measured(Environment(folder, servers, SIZES), found)
        titles = {one.key: one.title for one in CANDIDATES}
        for shown in SHOWN:
            for candidate in found:
                if not candidate.key.startswith("ours"):
                    yield from compared(shown, results, candidate, titles[candidate.compared_to])
            if len(found) == len([key for key in KEYS if key.startswith("ours")]):
                yield from compared(shown, results, found[0], found[0].title)


def _started(candidate: Candidate, folder: Path, servers: dict[str, Server], stack: ExitStack) -> str | None:
    """Start the server of a candidate, if it needs one; return why it cannot be measured."""
    if (reason := candidate.missing()) or candidate.server is None:
        return reason
    directory = folder / candidate.key
    directory.mkdir()
    try:
        servers[candidate.key] = stack.enter_context(STARTERS[candidate.server](directory))
    except ServerFailed as failed:
        return str(failed)
    return None


def _measured(environment: Environment, candidates: list[Candidate]) -> Results:
    results = Results()
    for candidate, figures in measure.idle(environment, candidates):
        results.add(candidate.key, figures)
    for turn in range(ROUNDS):
        for measurement in EACH_ROUND:
            for candidate in candidates[turn:] + candidates[:turn]:  # no candidate is always the first
                results.add(candidate.key, measurement(environment, candidate))
    for candidate in candidates:
        results.add(candidate.key, measure.kill(environment, candidate))
    return results


def compared(shown: Shown, results: Results, candidate: Candidate, ours: str) -> Iterator[Line]:
    """Yield the row of a figure, ours beside another broker's."""
    value, other = shown.value(results, candidate.compared_to), shown.value(results, candidate.key)
    if value is None or other is None:
        return
    what = f"{shown.what}, {ours.removeprefix('ours ')}"
    if shown.figure is measure.RECOVERED and not (value and other):
        yield NotMeasured(f"{what}, beside {candidate.title}", "no message was in flight at the kill")
        return
    if candidate.key == candidate.compared_to:
        yield Row(what, value, shown.unit, better=shown.better, goal=shown.goal)
    else:
        yield Row(what, value, shown.unit, candidate.title, other, shown.better, shown.goal)
