"""kill -9 of any process while a video is on its way: the same published parts in the end, none twice."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.flows.machine import TestMachine, wait_for
from tests.flows.test_whole_way import each_once_in_order, parts_by_platform

pytestmark = pytest.mark.slow

MOMENTS: dict[str, Callable[[Any], bool]] = {  # Any: a status document
    "planning": lambda job: job["status"] == "processing",
    "rendering": lambda job: any(part["status"] == "rendering" for part in job["segments"]),
    "publishing": lambda job: any(
        publication["status"] == "publishing" for part in job["segments"] for publication in part["publications"]
    ),
}
VICTIMS = {
    "api": " api",
    "scheduler": "scripts.scheduler",
    "network worker": "--queues network",
    "media worker": "--queues media",
    "media child": "-m media.",
    "mock": "platforms.mock",
}


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("victim", VICTIMS)
def test_the_supervisor_brings_a_killed_process_back(
    machine: Callable[..., TestMachine], talk: Path, victim: str, moment: str
) -> None:
    running = machine()
    job_id = running.upload(talk)
    wait_for(lambda: MOMENTS[moment](running.status(job_id)), f"the job to be {moment}")
    killed = running.kill_9(VICTIMS[victim])
    assert killed > 0 or victim == "media child"  # it may be between two children
    job = running.finished(job_id)
    assert job["status"] == "completed"
    assert parts_by_platform(running) == each_once_in_order(job)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_restart_after_the_whole_machine_died_ends_in_the_same_parts(
    machine: Callable[..., TestMachine], talk: Path, moment: str
) -> None:
    first = machine()
    job_id = first.upload(talk)
    wait_for(lambda: MOMENTS[moment](first.status(job_id)), f"the job to be {moment}")
    first.die()
    wait_for(lambda: first.processes() == {}, "every process to follow the supervisor", 10)
    again = machine()
    job = again.finished(job_id)
    assert job["status"] == "completed"
    assert parts_by_platform(again) == each_once_in_order(job)


def test_a_machine_that_dies_again_and_again_still_ends_in_the_same_parts(
    machine: Callable[..., TestMachine], talk: Path
) -> None:
    running = machine()
    job_id = running.upload(talk)
    for pause_s in (0.5, 1.0, 1.5, 2.0):
        time.sleep(pause_s)
        running.die()
        wait_for(lambda died=running: died.processes() == {}, "every process to follow the supervisor", 10)  # type: ignore[misc]  # a default binds the loop's variable
        running = machine()
    job = running.finished(job_id)
    assert job["status"] == "completed"
    assert parts_by_platform(running) == each_once_in_order(job)
