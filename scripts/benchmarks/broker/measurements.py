"""The measurements: each function takes a candidate and returns figures, which its docstring defines."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

from scripts.benchmarks.broker.candidates import Candidate
from scripts.benchmarks.broker.environment import SMALL_BACKLOG, Environment
from scripts.benchmarks.broker.figures import NEVER, Figure
from scripts.benchmarks.broker.processes import WorkerProcess, await_ended, send, workers
from scripts.benchmarks.broker.resources import cpu_s, family, pss_mib
from scripts.benchmarks.broker.run_log import Run, runs
from scripts.benchmarks.broker.target import Target

__all__ = [
    "DUPLICATES",
    "FINISHED",
    "LOST",
    "RECOVERED",
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
FAIRNESS_OF_FOUR = Figure("… time of the first to end by that of the last", decimals=2, rated=False)
DRAIN = Figure("drain no-op messages/s, 2 processes × 8 threads")
SMALL_BACKLOG_RATE = Figure("the first 1,000 of 1,000 waiting, messages/s")
LARGE_BACKLOG_RATE = Figure("the first 1,000 of a great backlog, messages/s")
RECOVERED = Figure("kill -9: all that was begun or taken before, back after s", 2, rated=False)
FINISHED = Figure("… all messages done after s", 2, rated=False)
LOST = Figure("… lost (not back while we waited)", rated=False)
DUPLICATES = Figure("… completed twice", rated=False)

WARM_UP_S = 2.0


def latency(environment: Environment, candidate: Candidate) -> Figures:
    """Measure the time from `send` to the start of the actor in an idle worker; a message every 5 to 50 ms."""
    target, messages = environment.target(candidate), environment.sizes.latency_messages
    with _running_workers(environment, target, 1, messages) as processes:
        send(target, "paced", messages)
        await_ended(processes, messages, environment.sizes.timeout_s)
        delays_ms = sorted((run.begun_ns - run.sent_ns) / 1e6 for run in _read_runs(processes))
    return {LATENCY_P50: statistics.median(delays_ms), LATENCY_P99: delays_ms[int(0.99 * (len(delays_ms) - 1))]}


def idle(environment: Environment, candidates: Iterable[Candidate]) -> Iterator[tuple[Candidate, Figures]]:
    """Measure CPU time and memory of an idle worker of each candidate and of its server, all at once."""
    with ExitStack() as stack:
        running: dict[Candidate, WorkerProcess] = {}
        for candidate in candidates:
            [running[candidate]] = stack.enter_context(
                _running_workers(environment, environment.target(candidate), 1, 1)
            )
        time.sleep(min(WARM_UP_S, environment.sizes.idle_s))
        families = {
            candidate: ({worker.pid}, family(served.pid) if served else set())
            for candidate, worker in running.items()
            for served in [environment.servers.get(candidate.key)]
        }
        begun_s = time.monotonic()
        before = {candidate: (cpu_s(own), cpu_s(server)) for candidate, (own, server) in families.items()}
        time.sleep(environment.sizes.idle_s)
        minutes = (time.monotonic() - begun_s) / 60
        for candidate, (own, server) in families.items():
            figures = {
                IDLE_CPU: _used_s(before[candidate][0], cpu_s(own)) / minutes,
                IDLE_PSS: pss_mib(own),
            }
            if server:
                figures[IDLE_SERVER_CPU] = _used_s(before[candidate][1], cpu_s(server)) / minutes
                figures[IDLE_SERVER_PSS] = pss_mib(server)
            yield candidate, figures


def _used_s(before: dict[int, float], after: dict[int, float]) -> float:
    """Return the CPU seconds between two looks; those of processes that were not there both times are unknown."""
    return sum(after[pid] - before[pid] for pid in before.keys() & after.keys())


def enqueue(environment: Environment, candidate: Candidate) -> Figures:
    """Send from one process, one message after the other, without a consumer."""
    messages = environment.sizes.messages
    return {ENQUEUE: messages / send(environment.target(candidate), "burst", messages).seconds}


def enqueue_by_four(environment: Environment, candidate: Candidate) -> Figures:
    """Send as many messages from four processes at the same time."""
    each = environment.sizes.messages // 4
    result = send(environment.target(candidate), "burst", each, processes=4)
    return {
        ENQUEUE_BY_FOUR: 4 * each / result.seconds,
        LONGEST_OF_FOUR: result.longest_ms,
        FAIRNESS_OF_FOUR: result.fairness,
    }


def drain(environment: Environment, candidate: Candidate) -> Figures:
    """Process waiting messages: from the start of the Workers (already imported) to the end of the last message."""
    target, messages = environment.target(candidate), environment.sizes.messages
    send(target, "fill", messages)
    with _running_workers(environment, target, 2, messages) as processes:
        begun_ns = max(worker.started_ns() for worker in processes)
        complete = await_ended(processes, messages, environment.sizes.timeout_s)
        ended = [run.ended_ns for run in _read_runs(processes)]
    return {DRAIN: messages / (max(ended) - begun_ns) * 1e9 if complete else 0.0}


def backlog(environment: Environment, candidates: list[Candidate], rounds: int) -> Iterator[tuple[Candidate, Figures]]:
    """Process 1,000 messages of a small queue and the first 1,000 of a large backlog, alternately.

    Measured from the end of the 100th to the end of the 900th message, so that neither the start nor the empty queue
    counts.
    """
    large = {candidate: environment.target(candidate) for candidate in candidates}
    for target in large.values():
        send(target, "fill", environment.sizes.backlog)
    for _ in range(rounds * environment.sizes.backlog_pairs):
        for candidate, target in large.items():
            small = environment.target(candidate)
            send(small, "fill", SMALL_BACKLOG)
            figures = {
                SMALL_BACKLOG_RATE: _rate_of_first(environment, small),
                LARGE_BACKLOG_RATE: _rate_of_first(environment, target),
            }
            yield candidate, figures


def kill(environment: Environment, candidate: Candidate) -> Figures:
    """Kill one of two worker processes when about 8 % of the jobs of 20 ms are done.

    Recovered: every message up to the highest that was started before the kill (queues are first in, first out) has
    been started again, if it had not ended before. No message may complete twice, unless its worker was killed
    between the end and the acknowledgement.
    """
    target, jobs = environment.target(candidate), environment.sizes.jobs
    send(target, "fill", jobs, sleep_ms=environment.sizes.job_ms)
    with _running_workers(environment, target, 2, 2 * jobs) as processes:
        await_ended(processes, jobs * 8 // 100, environment.sizes.timeout_s)
        killed_ns = time.monotonic_ns()
        processes[0].kill()
        deadline_s = time.monotonic() + environment.sizes.timeout_s
        while not _complete(_read_runs(processes), jobs) and time.monotonic() < deadline_s:
            time.sleep(0.1)
        time.sleep(0.5)  # for messages that may still run twice
        logged = _read_runs(processes)
    return kill_figures(logged, killed_ns, jobs)


def kill_figures(logged: list[Run], killed_ns: int, jobs: int) -> Figures:
    """Return the figures of a kill from all runs that the workers recorded."""
    begun_before = [run for run in logged if run.begun_ns <= killed_ns]
    ended_before = {run.number for run in begun_before if 0 < run.ended_ns <= killed_ns}
    awaited = set(range(max(run.number for run in begun_before) + 1)) - ended_before
    still_running = {run.number for run in begun_before if run.ended_ns > killed_ns}  # the other worker's
    back_ns: dict[int, int] = {}
    for run in logged:
        if run.begun_ns > killed_ns:
            back_ns[run.number] = min(run.begun_ns, back_ns.get(run.number, run.begun_ns))
    missed = awaited - still_running
    ended = [run for run in logged if run.ended_ns]
    done = {run.number for run in ended}
    return {
        RECOVERED: max((back_ns.get(number, NEVER) - killed_ns for number in missed), default=0.0) / 1e9,
        FINISHED: (max(run.ended_ns for run in ended) - killed_ns) / 1e9 if len(done) == jobs else NEVER,
        LOST: jobs - len(done),
        DUPLICATES: len(ended) - len(done),
    }


@contextmanager
def _running_workers(
    environment: Environment, target: Target, count: int, capacity: int
) -> Iterator[list[WorkerProcess]]:
    with workers(target, environment.directory, count, capacity) as processes:
        for worker in processes:
            worker.start()
        yield processes


def _rate_of_first(environment: Environment, target: Target) -> float:
    with _running_workers(environment, target, 2, SMALL_BACKLOG) as processes:
        if not await_ended(processes, SMALL_BACKLOG, environment.sizes.timeout_s):
            return 0.0
        ended = sorted(run.ended_ns for run in _read_runs(processes) if run.ended_ns)
    begin, end = SMALL_BACKLOG // 10, SMALL_BACKLOG * 9 // 10
    return (end - begin) / (ended[end] - ended[begin]) * 1e9


def _read_runs(processes: list[WorkerProcess]) -> list[Run]:
    return [run for worker in processes for run in runs(worker.run_log)]


def _complete(logged: list[Run], jobs: int) -> bool:
    return len({run.number for run in logged if run.ended_ns}) == jobs
