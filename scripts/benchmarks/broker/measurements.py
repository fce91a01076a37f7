"""The measurements, one function each: a contestant in, figures out. What they mean is in their docstrings."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

from scripts.benchmarks.broker.candidates import Contestant
from scripts.benchmarks.broker.environment import LITTLE_WAITING, Arena
from scripts.benchmarks.broker.figures import NEVER, Figure
from scripts.benchmarks.broker.processes import WorkerProcess, await_ended, sent, workers
from scripts.benchmarks.broker.resources import cpu_s, family, pss_mib
from scripts.benchmarks.broker.run_log import Run, runs
from scripts.benchmarks.broker.target import Place

__all__ = [
    "BACK",
    "FINISHED",
    "LOST",
    "TWICE",
    "Figures",
    "backlog",
    "drain",
    "enqueue",
    "enqueue_by_four",
    "idle",
    "kill",
    "kill_figures",
    "latency",
]

Figures = dict[Figure, float]

LATENCY_P50 = Figure("idle queue, enqueue → actor starts in another process, p50 ms", 2)
LATENCY_P99 = Figure("… p99 ms", 2)
IDLE_CPU = Figure("idle worker, CPU-s per minute", 3)
IDLE_SERVER_CPU = Figure("… its server, CPU-s per minute", 3, rated=False)
IDLE_PSS = Figure("idle worker, memory (PSS) MiB", 1)
IDLE_SERVER_PSS = Figure("… its server, memory (PSS) MiB", 1, rated=False)
ENQUEUE = Figure("enqueue/s, 1 process")
ENQUEUE_BY_FOUR = Figure("enqueue/s, 4 processes")
LONGEST_OF_FOUR = Figure("… the slowest single call among them, ms", decimals=1)
SHARE_OF_FOUR = Figure("… time of the first to end by that of the last", decimals=2, rated=False)
DRAIN = Figure("drain no-op messages/s, 2 processes × 8 threads")
BEHIND_LITTLE = Figure("the first 1,000 of 1,000 waiting, messages/s")
BEHIND_MUCH = Figure("the first 1,000 of a great backlog, messages/s")
BACK = Figure("kill -9: all that was begun or taken before, back after s", 2, rated=False)
FINISHED = Figure("… all messages done after s", 2, rated=False)
LOST = Figure("… lost (not back while we waited)", rated=False)
TWICE = Figure("… completed twice", rated=False)

WARM_UP_S = 2.0


def latency(arena: Arena, contestant: Contestant) -> Figures:
    """Send a message every 5 to 50 ms to an idle worker process: from before `send` to the actor's first line."""
    place, messages = arena.place(contestant), arena.sizes.latency_messages
    with _at_work(arena, place, 1, messages) as crew:
        sent(place, "paced", messages)
        await_ended(crew, messages, arena.sizes.patience_s)
        delays_ms = sorted((run.begun_ns - run.sent_ns) / 1e6 for run in _all_runs(crew))
    return {LATENCY_P50: statistics.median(delays_ms), LATENCY_P99: delays_ms[int(0.99 * (len(delays_ms) - 1))]}


def idle(arena: Arena, contestants: Iterable[Contestant]) -> Iterator[tuple[Contestant, Figures]]:
    """Let one worker of each wait for nothing, all in the same minute: what they and their servers use."""
    with ExitStack() as stack:
        families: dict[Contestant, tuple[set[int], set[int]]] = {}
        for contestant in contestants:
            [worker] = stack.enter_context(_at_work(arena, arena.place(contestant), 1, 1))
            running = arena.servers.get(contestant.key)
            families[contestant] = ({worker.pid}, family(running.pid) if running else set())
        time.sleep(min(WARM_UP_S, arena.sizes.idle_s))
        begun_s = time.monotonic()
        before = {contestant: (cpu_s(own), cpu_s(server)) for contestant, (own, server) in families.items()}
        time.sleep(arena.sizes.idle_s)
        minutes = (time.monotonic() - begun_s) / 60
        for contestant, (own, server) in families.items():
            figures = {
                IDLE_CPU: (cpu_s(own) - before[contestant][0]) / minutes,
                IDLE_PSS: pss_mib(own),
            }
            if server:
                figures[IDLE_SERVER_CPU] = (cpu_s(server) - before[contestant][1]) / minutes
                figures[IDLE_SERVER_PSS] = pss_mib(server)
            yield contestant, figures


def enqueue(arena: Arena, contestant: Contestant) -> Figures:
    """Send from one process, one message after the other; nobody consumes."""
    messages = arena.sizes.messages
    return {ENQUEUE: messages / sent(arena.place(contestant), "burst", messages).seconds}


def enqueue_by_four(arena: Arena, contestant: Contestant) -> Figures:
    """Send as many from four processes at the same time."""
    each = arena.sizes.messages // 4
    sending = sent(arena.place(contestant), "burst", each, processes=4)
    return {
        ENQUEUE_BY_FOUR: 4 * each / sending.seconds,
        LONGEST_OF_FOUR: sending.longest_ms,
        SHARE_OF_FOUR: sending.share,
    }


def drain(arena: Arena, contestant: Contestant) -> Figures:
    """Work off what waits: from the start of the Workers (all imported before) to the last message's end."""
    place, messages = arena.place(contestant), arena.sizes.messages
    sent(place, "fill", messages)
    with _at_work(arena, place, 2, messages) as crew:
        begun_ns = max(worker.started_ns() for worker in crew)
        complete = await_ended(crew, messages, arena.sizes.patience_s)
        ended = [run.ended_ns for run in _all_runs(crew)]
    return {DRAIN: messages / (max(ended) - begun_ns) * 1e9 if complete else 0.0}


def backlog(arena: Arena, contestants: list[Contestant], rounds: int) -> Iterator[tuple[Contestant, Figures]]:
    """Work off 1,000 messages with no others waiting, and the first 1,000 of a great many, by turns.

    From the 100th to the 900th message's end, so that neither the start nor the empty queue counts.
    """
    great = {contestant: arena.place(contestant) for contestant in contestants}
    for place in great.values():
        sent(place, "fill", arena.sizes.backlog)
    for _ in range(rounds * arena.sizes.backlog_pairs):
        for contestant, place in great.items():
            little = arena.place(contestant)
            sent(little, "fill", LITTLE_WAITING)
            figures = {BEHIND_LITTLE: _rate_of_first(arena, little), BEHIND_MUCH: _rate_of_first(arena, place)}
            yield contestant, figures


def kill(arena: Arena, contestant: Contestant) -> Figures:
    """Kill one of two worker processes amid many jobs of 20 ms, when some 8 % are done.

    Back: every message up to the highest that anybody had begun by then (queues are first in, first out) has been
    begun after it, if it had not ended before. None may have run to its end twice, unless its worker died between the
    end and the acknowledgement.
    """
    place, jobs = arena.place(contestant), arena.sizes.jobs
    sent(place, "fill", jobs, nap_ms=arena.sizes.job_ms)
    with _at_work(arena, place, 2, 2 * jobs) as crew:
        await_ended(crew, jobs * 8 // 100, arena.sizes.patience_s)
        killed_ns = time.monotonic_ns()
        crew[0].kill()
        deadline_s = time.monotonic() + arena.sizes.patience_s
        while not _complete(_all_runs(crew), jobs) and time.monotonic() < deadline_s:
            time.sleep(0.1)
        time.sleep(0.5)  # for what might still run twice
        noted = _all_runs(crew)
    return kill_figures(noted, killed_ns, jobs)


def kill_figures(noted: list[Run], killed_ns: int, jobs: int) -> Figures:
    """Return what a kill cost, from all runs that the workers noted."""
    begun_before = [run for run in noted if run.begun_ns <= killed_ns]
    ended_before = {run.number for run in begun_before if 0 < run.ended_ns <= killed_ns}
    awaited = set(range(max(run.number for run in begun_before) + 1)) - ended_before
    still_running = {run.number for run in begun_before if run.ended_ns > killed_ns}  # the other worker's
    back_ns: dict[int, int] = {}
    for run in noted:
        if run.begun_ns > killed_ns:
            back_ns[run.number] = min(run.begun_ns, back_ns.get(run.number, run.begun_ns))
    missed = awaited - still_running
    ended = [run for run in noted if run.ended_ns]
    done = {run.number for run in ended}
    return {
        BACK: max((back_ns.get(number, NEVER) - killed_ns for number in missed), default=0.0) / 1e9,
        FINISHED: (max(run.ended_ns for run in ended) - killed_ns) / 1e9 if len(done) == jobs else NEVER,
        LOST: jobs - len(done),
        TWICE: len(ended) - len(done),
    }


@contextmanager
def _at_work(arena: Arena, place: Place, count: int, capacity: int) -> Iterator[list[WorkerProcess]]:
    with workers(place, arena.home, count, capacity) as crew:
        for worker in crew:
            worker.go()
        yield crew


def _rate_of_first(arena: Arena, place: Place) -> float:
    with _at_work(arena, place, 2, LITTLE_WAITING) as crew:
        if not await_ended(crew, LITTLE_WAITING, arena.sizes.patience_s):
            return 0.0
        ended = sorted(run.ended_ns for run in _all_runs(crew) if run.ended_ns)
    begin, end = LITTLE_WAITING // 10, LITTLE_WAITING * 9 // 10
    return (end - begin) / (ended[end] - ended[begin]) * 1e9


def _all_runs(crew: list[WorkerProcess]) -> list[Run]:
    return [run for worker in crew for run in runs(worker.tally)]


def _complete(noted: list[Run], jobs: int) -> bool:
    return len({run.number for run in noted if run.ended_ns}) == jobs
