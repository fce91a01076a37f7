"""`scripts/chaos`: each check of the verdict finds what it is for, and the wall clock can be set."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from scripts.fault_injection.checks import CHECKS, PLATFORMS
from scripts.fault_injection.clips import Clip
from scripts.fault_injection.clock import WallClock
from scripts.fault_injection.evidence import Evidence, Footprint, Post, Webhook, video_files
from scripts.fault_injection.uploads import Upload

COLOUR = (190, 60, 60)
TITLE = "Talk 1-0000."
JOB = "job_1"
HOUR_S = 3600
FAILED = Webhook("msg_f", True, {"type": "job.failed", "data": {"job_id": JOB}})


def published() -> Evidence:
    """Return the evidence of a run in which one talk of two parts was published."""
    segments = [
        {
            "number": number,
            "status": "done",
            "reason": None,
            "publications": [
                {"platform": name, "status": "published", "reason": None, "code": None} for name in PLATFORMS
            ],
        }
        for number in (1, 2)
    ]
    job = {"job_id": JOB, "title": TITLE, "status": "completed", "error": None, "attempts": [], "segments": segments}
    events: list[tuple[str, int | None, str | None]] = [("job.created", None, None), ("job.completed", None, None)]
    events += [("publication.published", number, name) for number in (1, 2) for name in PLATFORMS]
    return Evidence(
        uploads=[Upload(TITLE, Clip(Path("talk.mp4"), 8.0, COLOUR), "form", JOB, answered=True)],
        jobs={JOB: job},
        posts=[
            Post(name, "me", f"{TITLE} Part {number}/2", number, 2, number, f"sha-{number}", 4.0, COLOUR)
            for number in (1, 2)
            for name in PLATFORMS
        ],
        webhooks=[
            Webhook(f"msg_{at}", True, {"type": kind, "data": {"job_id": JOB, "part": part, "platform": platform}})
            for at, (kind, part, platform) in enumerate(events)
        ],
        dead_letters=[],
        files=[],
        queues={"media": 0, "network": 0},
        integrity="ok",
        health={"status": "ok"},
        before={"api": Footprint(30, 60.0)},
        after={"api": Footprint(31, 61.0)},
    )


def findings(evidence: Evidence) -> set[str]:
    return {name for name, check in CHECKS.items() if list(check(evidence))}


def with_job(evidence: Evidence, change: Callable[[Any], object]) -> Evidence:  # Any: a status document
    job = deepcopy(evidence.jobs[JOB])
    change(job)
    return replace(evidence, jobs={JOB: job})


def with_publication(evidence: Evidence, **fields: str | None) -> Evidence:
    return with_job(evidence, lambda job: job["segments"][1]["publications"][0].update(fields))


def with_last_post(evidence: Evidence, **fields: Any) -> Evidence:  # Any: of a post
    return replace(evidence, posts=[*evidence.posts[:-1], replace(evidence.posts[-1], **fields)])


def unaccepted(evidence: Evidence, **fields: Any) -> Evidence:  # Any: of an upload
    other = Upload("Talk 1-0001.", Clip(Path("talk.mp4"), 8.0, COLOUR), "tus", **fields)
    return replace(evidence, uploads=[*evidence.uploads, other])


def test_a_run_in_which_all_was_published_is_right() -> None:
    assert findings(published()) == set()


BROKEN: dict[str, tuple[Callable[[Evidence], Evidence], set[str]]] = {
    "an accepted upload vanished": (
        lambda e: unaccepted(e, job_id="job_2", answered=True),
        {"every accepted upload has its job"},
    ),
    "an upload got no answer": (unaccepted, {"every accepted upload has its job"}),
    "a whole video was refused": (
        lambda e: unaccepted(e, refusal="415 not a video", answered=True),
        {"no talk is called a bad file"},
    ),
    "a job has no upload": (lambda e: replace(e, jobs=e.jobs | {"job_2": {**e.jobs[JOB], "segments": []}}), {
        "every job has one upload", "webhooks tell each event once"}),
    "a job is stuck": (
        lambda e: with_job(e, lambda job: job.update(status="publishing")),
        {"every job has ended"},
    ),
    "a post is there twice": (
        lambda e: replace(e, posts=[*e.posts, e.posts[-1]]),
        {"no post twice", "published series are whole"},
    ),
    "a post is missing": (
        lambda e: replace(e, posts=e.posts[:-1]),
        {"every post is recorded", "published series are whole"},
    ),
    "a failed publication is public": (
        lambda e: with_publication(e, status="failed", reason="The platform refused the video."),
        {"every post is recorded"},
    ),
    "a publication failed without a reason": (
        lambda e: replace(with_publication(e, status="failed", reason=None), posts=[
            post for post in e.posts if (post.platform, post.part) != (PLATFORMS[0], 2)]),
        {"every failure has a reason", "published series are whole"},
    ),
    "a post without a record": (
        lambda e: replace(e, posts=[*e.posts, replace(e.posts[0], title="Another")]),
        {"every post is recorded"},
    ),
    "the second part was first": (lambda e: with_last_post(e, created_at=0.5), {"parts are in order"}),
    "a part is too short": (lambda e: with_last_post(e, duration_s=3.0), {"published series are whole"}),
    "a part is of another video": (lambda e: with_last_post(e, colour=(0, 0, 250)), {"published series are whole"}),
    "a part is another file elsewhere": (lambda e: with_last_post(e, sha256="other"), {"published series are whole"}),
    "a whole video failed as a bad file": (
        lambda e: replace(
            with_job(e, lambda job: job.update(status="failed", segments=[], error="This file is no video.")),
            posts=[], webhooks=[*e.webhooks[:1], FAILED],
        ),
        {"no talk is called a bad file"},
    ),
    "a video is left": (lambda e: replace(e, files=[f"uploads/{JOB}/source"]), {"no video is left"}),
    "the database is damaged": (lambda e: replace(e, integrity="row 1 missing"), {"database is intact"}),
    "a message is claimed": (lambda e: replace(e, queues={"media": 1}), {"nothing is in flight"}),
    "a process is left": (lambda e: replace(e, processes_left=1), {"nothing is in flight"}),
    "the health report complains": (lambda e: replace(e, health={"status": "failing"}), {"machine is healthy"}),
    "an event is missing": (lambda e: replace(e, webhooks=e.webhooks[1:]), {"webhooks tell each event once"}),
    "an event has two ids": (
        lambda e: replace(e, webhooks=[*e.webhooks, replace(e.webhooks[0], id="msg_x")]),
        {"webhooks tell each event once"},
    ),
    "an event changed": (
        lambda e: replace(e, webhooks=[*e.webhooks, replace(e.webhooks[0], event={"type": "ping", "data": {}})]),
        {"webhooks tell each event once"},
    ),
    "a signature is wrong": (
        lambda e: replace(e, webhooks=[*e.webhooks, Webhook("msg_y", False, {"type": "ping", "data": {}})]),
        {"webhooks tell each event once"},
    ),
    "descriptors leak": (lambda e: replace(e, after={"api": Footprint(300, 60.0)}), {"no service has grown"}),
    "memory leaks": (lambda e: replace(e, after={"api": Footprint(30, 160.0)}), {"no service has grown"}),
}  # fmt: skip


@pytest.mark.parametrize("broken", BROKEN)
def test_each_kind_of_damage_is_found(broken: str) -> None:
    damage, expected = BROKEN[broken]
    found = findings(damage(published()))
    assert expected <= found
    allowed = expected | {"webhooks tell each event once"}  # the events fit the undamaged run
    assert found <= allowed


def test_every_check_has_a_kind_of_damage_that_it_finds() -> None:
    assert set().union(*(expected for _, expected in BROKEN.values())) == set(CHECKS)


def test_a_delivery_that_is_repeated_is_right() -> None:
    run = published()
    assert findings(replace(run, webhooks=[*run.webhooks, *run.webhooks])) == set()


def test_the_rest_of_a_form_counts_as_left_but_not_a_resumable_upload(tmp_path: Path) -> None:
    for name in ("form", "tus", "job"):
        (tmp_path / "uploads" / name).mkdir(parents=True)
        (tmp_path / "uploads" / name / ("source" if name == "job" else ".incoming")).write_bytes(b"video")
    (tmp_path / "uploads" / "tus" / ".tus.json").touch()
    assert video_files(tmp_path) == ["uploads/form/.incoming", "uploads/job/source"]


def test_a_process_with_the_wall_clock_sees_its_offset_and_waits_as_long_as_before(tmp_path: Path) -> None:
    try:
        clock = WallClock(tmp_path)
    except FileNotFoundError:
        pytest.skip("there is no C compiler")
    clock.set_offset(HOUR_S)
    program = "import time; a = time.monotonic(); time.sleep(0.01); print(time.time(), time.monotonic() - a)"
    environ = os.environ | clock.environ
    out = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=True)
    seen_s, slept_s = map(float, out.stdout.split())
    assert seen_s - datetime.now(UTC).timestamp() == pytest.approx(HOUR_S, abs=60)
    assert slept_s < 60
