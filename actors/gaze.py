"""gaze: render one part, the speaker's eyes turned to the lens, in the form the platforms want."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable
from typing import Any

import dramatiq
from loguru import logger

from actors import rendering, wiring
from actors.announce import announce
from actors.children import stopping
from actors.settling import part_failed, settle
from actors.turns import release
from media import runner
from store import jobs, segments
from store.jobs import Job
from store.segments import Segment
from store.states import JOB_OVER

CHEAPER_FROM = 0.8  # of the deadline: what time is left by then, the child spends on cheaper landmarks, then on none
PROGRESS_EVERY_S = 1.0  # a write a second is seen as smooth and costs one commit


@dramatiq.actor(queue_name="media", max_retries=3)
def gaze(segment_id: str) -> None:
    """Render one part. Harmless when the part has ended; a rendering that was cut off is begun anew."""
    attempt = secrets.token_hex(8)
    claimed = _claim(segment_id, attempt)
    if claimed is None:
        return
    job, segment = claimed
    watch = _Watch(segment_id, attempt)
    try:
        rendered, lost = rendering.with_gaze_or_without(_renderer(job, segment, watch), job)
    except runner.Stopped:
        if not watch.overtaken:
            rendering.send_gaze(segment)  # this worker goes; another one starts afresh
    except runner.ChildError as failure:
        logger.error("job {} part {}: {}", job.id, segment.segment_number, failure)
        part_failed(segment_id, reason=_reason(failure))
    else:
        _record(segment_id, attempt, rendered, lost)


def _claim(segment_id: str, attempt: str) -> tuple[Job, Segment] | None:
    with wiring.store.writing() as connection:
        segment = segments.get(connection, segment_id)
        job = jobs.get(connection, segment.job_id) if segment else None
        if segment is None or job is None or job.status in JOB_OVER:
            return None
        return (job, segment) if segments.claim(connection, segment_id, attempt, wiring.now()) else None


class _Watch:
    """Writes a rendering's progress and notices when the rendering is no longer wanted."""

    def __init__(self, segment_id: str, attempt: str) -> None:
        self._segment_id, self._attempt = segment_id, attempt
        self._written = 0.0
        self.overtaken = False  # cancelled, or claimed by another attempt
        self.stop = threading.Event()

    def __call__(self, share: float) -> None:
        if stopping.is_set():
            self.stop.set()
        if time.monotonic() - self._written < PROGRESS_EVERY_S:
            return
        self._written = time.monotonic()
        with wiring.store.writing() as connection:
            if not segments.set_progress(connection, self._segment_id, self._attempt, share):
                self.overtaken = True
                self.stop.set()


def _renderer(
    job: Job, segment: Segment, watch: _Watch
) -> Callable[[float], dict[str, Any]]:  # Any: JSON of `media.gaze`
    target = wiring.in_data(segment.file_path)

    def render(intensity: float) -> dict[str, Any]:  # Any: as above
        target.parent.mkdir(parents=True, exist_ok=True)
        arguments = [
            str(wiring.in_data(job.video_path)), str(target),
            "--intensity", str(intensity),
            "--faces", str(wiring.settings.gaze_faces),
            "--landscape", wiring.settings.landscape,
            f"--span={json.dumps(segment.span)}",
            "--report", str(target.with_suffix(".report.json")),
            "--preview", str(target.with_suffix(".preview.jpg")),
            "--cover", str(target.with_suffix(".cover.jpg")),
            f"--title={job.title}",  # in one word: a title may begin with a dash
            "--deadline", str(CHEAPER_FROM * wiring.settings.processing_deadline),
        ]  # fmt: skip
        if job.gaze_zero is not None:
            arguments.append(f"--zero={json.dumps(job.gaze_zero)}")
        return rendering.run_child(
            "gaze", arguments, deadline_s=wiring.settings.processing_deadline, on_progress=watch, stop=watch.stop
        )

    return render


def _record(segment_id: str, attempt: str, rendered: dict[str, Any], lost: str | None) -> None:  # Any: as above
    gaze_facts = rendered["gaze"] | ({"corrected": False, "share": 0.0, "reason": lost} if lost else {})
    with wiring.store.writing() as connection:
        finished = segments.finish(
            connection,
            segment_id,
            attempt,
            duration_s=float(rendered["duration_s"]),
            size_bytes=int(rendered["size_bytes"]),
            gaze=gaze_facts,
            stage_seconds=rendered["stages_s"],
            rendering=rendered["rendering"],
            now=wiring.now(),
        )
        segment = segments.get(connection, segment_id)
        job = jobs.get(connection, segment.job_id) if segment else None
        if not finished or segment is None or job is None:
            return
        facts = {"part": segment.segment_number, "parts": job.segment_count, "gaze": gaze_facts}
        announce(connection, "segment.ready", job, duration_s=segment.duration, **facts)
        settle(connection, job.id)
        release(connection)


def _reason(failure: runner.ChildError) -> str:
    if isinstance(failure, runner.Refused):
        return failure.detail
    return f"the part could not be rendered, neither with gaze correction nor without ({rendering.LOST[type(failure)]})"
