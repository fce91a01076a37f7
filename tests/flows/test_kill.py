"""kill -9 of any process while a video is on its way: the same published parts in the end, none twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from broker import SqliteBroker
from tests.flows.machine import POLL_S, TestMachine
from tests.flows.test_whole_way import each_once_in_order, parts_by_platform
from tests.support.waiting import wait_for

pytestmark = pytest.mark.slow

ENVIRON = {"MEDIA_RETRY_SECONDS": "1"}
MOMENTS: dict[str, Callable[[Any], bool]] = {  # Any: a status document
    "planning": lambda job: job["status"] == "processing",
    "rendering": lambda job: any(part["status"] == "rendering" for part in job["segments"]),
    "publishing": lambda job: any(
        publication["status"] == "publishing" for part in job["segments"] for publication in part["publications"]
    ),
}
VICTIMS = {
    "api": " api",
    "scheduler and network worker": "scripts.machine.network_worker",
    "media worker": "scripts.machine.media_worker",
    "media child": "-m media.",
    "mock": "platforms.mock",
}


@contextmanager
def paused(machine: TestMachine, queue: str) -> Iterator[None]:
    """Hold back the messages of a queue, so that a job does not pass its next moment."""
    broker = SqliteBroker(machine.data_dir / "vidprod.sqlite3")
    broker.admin.pause_queue(queue)
    try:
        yield
    finally:
        broker.admin.resume_queue(queue)
        broker.close()


@pytest.mark.parametrize("victim", VICTIMS)
def test_the_supervisor_brings_a_process_back_that_is_killed_at_every_moment(
    shared_machine: TestMachine, talk: Path, victim: str
) -> None:
    running, title, text = shared_machine, f"Without {victim}", VICTIMS[victim]

    def reach(moment: str) -> None:
        wait_for(lambda: MOMENTS[moment](running.status(job_id)), f"the job to be {moment}")

    def kill() -> None:
        killed = running.kill_9(text, may_miss=victim == "media child")  # it may be between two children
        if victim == "media child":
            return
        wait_for(
            lambda: any(text in line for pid, line in running.processes().items() if pid not in killed),
            f"another {victim}",
            interval_s=POLL_S,
        )

    with paused(running, "network"):
        job_id = running.upload(talk, title=title)
        reach("planning")
        with paused(running, "media"):
            kill()
        reach("rendering")
        kill()
    reach("publishing")
    kill()
    job = running.finished(job_id)
    assert job["status"] == "completed"
    assert parts_by_platform(running, title) == each_once_in_order(job)


def die_at(moment: str, running: TestMachine, job_id: str) -> None:
    """Kill the supervisor at a moment of a job, and wait until no process is left."""
    wait_for(lambda: MOMENTS[moment](running.status(job_id)), f"the job to be {moment}")
    running.die()
    wait_for(lambda: running.processes() == {}, "every process to follow the supervisor", 10)


def test_a_machine_that_dies_at_every_moment_ends_in_the_same_parts(
    machine: Callable[..., TestMachine], talk: Path
) -> None:
    running = machine()
    job_id = running.upload(talk)
    for moment in ("planning", "rendering", "rendering", "publishing"):
        die_at(moment, running, job_id)
        running = machine()
    job = running.finished(job_id)
    assert job["status"] == "completed"
    assert parts_by_platform(running) == each_once_in_order(job)


def test_a_part_whose_child_is_killed_each_time_ends_in_a_dead_letter_and_can_be_tried_again(
    machine: Callable[..., TestMachine], talk: Path
) -> None:
    """Nothing is published of it before, each part once after it; the other parts are not held up."""
    running = machine(MEDIA_RETRY_SECONDS="0.1")
    job_id = running.upload(talk)

    def gave_up() -> bool:
        running.kill_9(".part-001.", may_miss=True)
        return bool(running.status(job_id)["segments"]) and running.status(job_id)["segments"][0]["status"] == "failed"

    wait_for(gave_up, "the first part to be given up", 120, interval_s=POLL_S)
    first = running.status(job_id)["segments"][0]
    assert [attempt["outcome"] for attempt in first["attempts"]] == ["out_of_memory"] * 4
    assert {post["code"] for post in first["publications"]} == {"part_failed"}
    # The failure is recorded a moment before its message is dead-lettered.
    wait_for(lambda: running.client.call_with_retries("GET", "/dead-letters")["dead_letters"], "the dead letter")
    [letter] = running.client.call_with_retries("GET", "/dead-letters")["dead_letters"]
    assert f"Job {job_id} part 1 of" in letter["error"]
    running.client.call_with_retries("POST", f"/dead-letters/{letter['id']}/retry")
    job = running.finished(job_id)
    assert job["status"] == "completed"
    assert {kind: sorted(parts) for kind, parts in parts_by_platform(running).items()} == each_once_in_order(job)
    assert running.client.call_with_retries("GET", "/dead-letters")["dead_letters"] == []
    told = [hook["event"] for hook in running.webhooks() if hook["event"]["type"] == "segment.ready"]
    assert sorted(event["data"]["part"] for event in told) == list(range(1, len(job["segments"]) + 1))


def test_a_deploy_while_a_part_is_rendered_counts_for_nothing(machine: Callable[..., TestMachine], talk: Path) -> None:
    """A process that is stopped releases its claims itself; the log reports no dead process."""
    first = machine()
    job_id = first.upload(talk)
    wait_for(lambda: MOMENTS["rendering"](first.status(job_id)), "the job to be rendering")
    first.stop()
    logs = "".join(path.read_text() for path in (first.data_dir / "logs").glob("*.log"))
    assert [line for line in logs.splitlines() if " died" in line] == []
    again = machine()
    job = again.finished(job_id)
    assert job["status"] == "completed"
    assert [part["attempts"] for part in job["segments"]] == [[]] * len(job["segments"])
