"""Renders a part: a child corrects the speaker's eyes and encodes the file that the platforms get."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from loguru import logger
from sqlalchemy import Connection

from actors import machine_cpu
from actors.flow import disk_demand, media_child, media_claims, part_deadlines, retrying
from actors.flow.completion import close_finished, fail_part
from actors.flow.events import emit
from actors.flow.media_claims import MediaClaim, MediaWork
from actors.flow.post_words import video_title
from actors.flow.retrying import MediaSettings
from actors.flow.scheduling import start_due
from actors.machine import Machine
from actors.recovery.missing_files import NO_SUCH_FILE, UPLOAD_GONE
from files import keys
from files.errors import FilesError, Gone
from files.storage import PartialCopy
from media.process import runner
from store import jobs, reviews, segments, stage_durations
from store.attempts import MediaAttempt, MediaOutcome
from store.jobs import Job
from store.segments import Segment
from store.states import JOB_OVER, JobStatus, ReviewReason, SegmentStatus

WAITS_FOR_DISK = "the disk of the server is full; the part is rendered as soon as there is room"
WAITS_FOR_STORAGE = "the storage of the videos does not answer; the part is rendered as soon as it does"
NEVER_STORED = "the storage of the videos did not answer for a day"
NEVER_ROOM = f"the disk of the server had no room for this part for {retrying.MAX_DISK_WAIT / retrying.HOUR:.0f} hours"
_WAITING = {MediaOutcome.DISK_FULL: WAITS_FOR_DISK, MediaOutcome.STORAGE_UNAVAILABLE: WAITS_FOR_STORAGE}
RENDERED = frozenset({SegmentStatus.READY, SegmentStatus.DONE})
_SUFFIXES = (".report.json", ".gaze.json", ".preview.jpg", ".cover.jpg")  # of the files beside the video
PROGRESS_EVERY_S = 5.0  # each write is a commit, which other writers wait for


@dataclass(frozen=True)
class _PartRendering(MediaWork):
    machine: Machine
    job: Job
    segment: Segment

    @property
    def name(self) -> str:
        return f"Job {self.job.id} part {self.segment.segment_number} of {self.job.segment_count}"

    @property
    def row(self) -> Segment:
        return self.segment

    @property
    def gaze_intensity(self) -> float:
        own = self.segment.gaze_intensity
        return self.job.gaze_intensity if own is None else own

    @property
    def is_failed(self) -> bool:
        return self.segment.status is SegmentStatus.FAILED

    @property
    def is_claimed(self) -> bool:
        return self.segment.status is SegmentStatus.RENDERING and self.segment.attempt is not None

    def start(self, connection: Connection) -> bool:
        del connection
        return self.job.status not in JOB_OVER

    def claimed_at(self, attempts: Sequence[MediaAttempt]) -> datetime | None:
        del attempts
        return self.segment.started_at

    def claim(self, connection: Connection, token: str, attempts: Sequence[MediaAttempt]) -> bool:
        return segments.claim(connection, self.segment.id, token, self.machine.now(), attempts=attempts)

    def release(self, connection: Connection, token: str) -> bool:
        return segments.release(connection, self.segment.id, token)

    def put_back(
        self, connection: Connection, token: str, attempts: Sequence[MediaAttempt], retry_at: datetime | None
    ) -> bool:
        words = retrying.OUTCOME_PHRASES[attempts[-1].outcome]
        reason = _WAITING.get(attempts[-1].outcome, f"rendering failed ({words})")
        is_put_back = segments.record_failed_attempt(
            connection, self.segment.id, token, attempts=attempts, retry_at=retry_at, reason=reason
        )
        if is_put_back and retry_at is not None and reason == WAITS_FOR_DISK:
            self._tell_waiting(connection)
        return is_put_back

    def _tell_waiting(self, connection: Connection) -> None:
        """Record that the job waits for room, once, by its first part: it may have hundreds."""
        if self.segment.reason == WAITS_FOR_DISK:
            return
        others = [part for part in segments.of_job(connection, self.job.id) if part.id != self.segment.id]
        if any(part.reason == WAITS_FOR_DISK for part in others):
            return
        emit(
            self.machine, connection, "segment.waiting", self.job, part=self.segment.segment_number,
            parts=self.job.segment_count, code="disk_full", reason=WAITS_FOR_DISK,
        )  # fmt: skip

    def fail(self, connection: Connection, attempts: Sequence[MediaAttempt]) -> None:
        words = retrying.OUTCOME_PHRASES[attempts[-1].outcome]
        if retrying.is_waiting(attempts):
            is_full = attempts[-1].outcome is MediaOutcome.DISK_FULL
            fail_part(self.machine, connection, self.segment.id, reason=NEVER_ROOM if is_full else NEVER_STORED)
            return
        reason = f"rendering failed {len(attempts)} times, at last: {words}"
        fail_part(self.machine, connection, self.segment.id, reason=reason)

    def send(self) -> None:
        send(self.machine, self.segment)


def send(machine: Machine, segment: Segment) -> None:
    """Send the message that has a part rendered.

    Part n of every job goes before part n + 1 of any: one long video does not starve the others.
    """
    machine.send("gaze", segment.id, priority=-segment.segment_number, message_id=message_id(segment.id))


def message_id(segment_id: str) -> str:
    """Return the id of every message that has a part rendered, by which it can be cancelled."""
    return f"gaze-{segment_id}"


def render_part(machine: Machine, segment_id: str) -> None:
    """Make one attempt at rendering a part; nothing if it has ended. An interrupted rendering begins anew.

    Raises:
        Retry: the part waits for its next attempt.
        GivenUp: no attempt is left.
    """
    claim = media_claims.acquire(
        machine, machine.store.writing(part=segment_id), lambda connection: _load(machine, connection, segment_id)
    )
    if claim is None:
        return
    began_at, observer = machine.now(), _ProgressObserver(machine, segment_id, claim.token)
    try:
        rendered = _run_with_room(machine, claim, observer)
    except _NoRoom:
        media_claims.record_failure(claim, retrying.disk_full_attempt(machine, claim.settings, began_at))
    except Gone as gone:
        _record_refusal(machine, claim, runner.Refused(NO_SUCH_FILE, str(gone)))
    except FilesError as error:
        media_claims.record_failure(claim, retrying.storage_attempt(machine, claim.settings, began_at, error))
    except runner.Stopped:
        if observer.is_superseded:
            _delete_replaced(machine, segment_id, claim.work.job.id)
        else:
            media_claims.requeue(claim)
    except runner.Refused as refused:
        _record_refusal(machine, claim, refused)
    except runner.ChildError as failure:
        media_claims.record_failure(claim, retrying.failed_attempt(machine, failure, claim.settings, began_at))
    else:
        _record(machine, claim, rendered)


def _load(machine: Machine, connection: Connection, segment_id: str) -> _PartRendering | None:
    segment = segments.get(connection, segment_id)
    job = jobs.get(connection, segment.job_id) if segment else None
    if segment is None or job is None or job.status is JobStatus.CANCELLED:
        return None
    return _PartRendering(machine, job, segment)


def _delete_replaced(machine: Machine, segment_id: str, job_id: str) -> None:
    """Have the files of a part deleted if its job was cut differently meanwhile: they may be written since."""
    with machine.store.writing(job=job_id) as connection:
        if segments.get(connection, segment_id) is None:
            machine.send("delete_files", job_id, "replaced")


def _record_refusal(machine: Machine, claim: MediaClaim[_PartRendering], refused: runner.Refused) -> None:
    """Fail the part, unless its job was cancelled: its files are deleted while a child still reads them."""
    work = claim.work
    with machine.store.reading() as connection:
        job = jobs.get(connection, work.job.id)
    if job is not None and job.status is JobStatus.CANCELLED:
        logger.info("{}: rendering ended, its job was cancelled", work.name)
        return
    logger.error("{}: {}", work.name, refused)
    reason = UPLOAD_GONE if refused.code == NO_SUCH_FILE else refused.detail
    with machine.store.writing(job=work.job.id) as connection:
        fail_part(machine, connection, work.segment.id, reason=reason)


class _ProgressObserver:
    """Stores a rendering's progress, and notices when its claim is no longer current."""

    def __init__(self, machine: Machine, segment_id: str, token: str) -> None:
        self._machine, self._segment_id, self._token = machine, segment_id, token
        self._written_s = -math.inf
        self.is_superseded = False  # claimed by another attempt, or the part has ended

    def __call__(self, share: float) -> None:
        now_s = self._machine.boot_time().seconds
        if now_s - self._written_s < PROGRESS_EVERY_S:
            return
        self._written_s = now_s
        with self._machine.store.writing(scope="rows") as connection:
            if not segments.set_progress(connection, self._segment_id, self._token, share):
                self.is_superseded = True


class _NoRoom(Exception):
    """The disk has no room for the part."""


def _run_with_room(
    machine: Machine, claim: MediaClaim[_PartRendering], observer: _ProgressObserver
) -> dict[str, Any]:  # Any: as of `_run`
    """Run the child if the disk has room for the largest part; end it if another program takes the room.

    The reason of a child that fails meanwhile is not trusted: its output is deleted, so whether there was room for it
    can still be measured.

    Raises:
        _NoRoom: the disk is full.
    """
    needed_bytes = disk_demand.part_bytes(claim.work.segment.duration or 0.0)
    if not machine.disk.has_room(needed_bytes):
        raise _NoRoom
    refused_before = machine_cpu.refused()
    try:
        return _run(machine, claim, observer) | {"refused": machine_cpu.refused().since(refused_before)}
    except (runner.Stopped, runner.ChildFailed, OSError) as error:
        if observer.is_superseded or machine.disk.has_room(needed_bytes):
            raise
        raise _NoRoom from error


def _run(
    machine: Machine, claim: MediaClaim[_PartRendering], observer: _ProgressObserver
) -> dict[str, Any]:  # Any: JSON of `media.gaze`
    wanted = _output_keys(machine, claim)
    with machine.files.borrow_partly(claim.work.job.video_path) as borrowed, machine.files.outputs(wanted) as outputs:
        source = borrowed if isinstance(borrowed, PartialCopy) else None
        return media_child.run(
            machine,
            "gaze",
            _arguments(machine, claim, borrowed if isinstance(borrowed, Path) else borrowed.name, outputs),
            outputs=outputs,
            source=source,
            deadline_s=machine.settings.processing_deadline,
            on_progress=observer,
            stop=lambda: observer.is_superseded or not machine.disk.has_room(),
        )


def _video_key(claim: MediaClaim[_PartRendering]) -> str:
    return keys.of_attempt(claim.work.segment.file_path, claim.token)


def _output_keys(machine: Machine, claim: MediaClaim[_PartRendering]) -> list[str]:
    """Return the keys of the files that an attempt makes, in the order of `_arguments`."""
    video = _video_key(claim)
    report, curve, preview, cover = (keys.beside(video, suffix) for suffix in _SUFFIXES)
    small = [keys.small(cover), keys.small(preview)] if machine.settings.keep_pictures_days else []
    return [video, report, curve, preview, cover, *small]


def _arguments(machine: Machine, claim: MediaClaim[_PartRendering], source: Path, outputs: Sequence[Path]) -> list[str]:
    job, segment, settings = claim.work.job, claim.work.segment, claim.settings
    target, report, curve, preview, cover, *small = outputs
    title = video_title(job, segment.segment_number, job.segment_count or 1)
    arguments = [
        str(source), str(target),
        "--intensity", str(claim.work.gaze_intensity if settings.has_gaze else 0.0),
        "--faces", str(machine.settings.gaze_faces),
        "--landscape", _landscape(machine, settings),
        "--memory", settings.memory,
        f"--span={json.dumps(segment.span)}",
        "--report", str(report),
        "--curve", str(curve),
        "--preview", str(preview),
        "--cover", str(cover),
        f"--title={title}",  # one argument: a title may begin with a dash
        f"--label={_label(claim.work)}",
        "--deadline", str(part_deadlines.of_part(machine, segment)),
    ]  # fmt: skip
    if small:
        arguments += ["--small-cover", str(small[0]), "--small-preview", str(small[1])]
    if (
        job.gaze_zero is not None or settings is MediaSettings.LESS_MEMORY
    ):  # without it the child would search for one, which takes memory
        arguments.append(f"--zero={json.dumps(job.gaze_zero)}")
    return arguments


def _log_steps(name: str, pace: dict[str, Any]) -> None:  # Any: JSON
    if pace["steps"]:
        logger.warning(
            "{}: {} to save time; it got {:.0%} of a core for {:.0f} s, deadline {:.0f} s",
            name, ", ".join(pace["steps"]), pace["core_share"], pace["took_s"], pace["deadline_s"],
        )  # fmt: skip


def _label(work: _PartRendering) -> str:
    """Return what tells the covers of one video apart: "2/4"; nothing for a video that is one part."""
    of = work.job.segment_count
    return f"{work.segment.segment_number}/{of}" if of and of > 1 else ""


def _landscape(machine: Machine, settings: MediaSettings) -> str:
    wanted = machine.settings.landscape
    # Cropping follows the speaker with a neural network.
    return "blur" if wanted == "crop" and settings is MediaSettings.LEAST else wanted


def _record(machine: Machine, claim: MediaClaim[_PartRendering], rendered: dict[str, Any]) -> None:  # Any: as above
    gaze_report = rendered["gaze"]
    if claim.work.gaze_intensity > 0 and not claim.settings.has_gaze:
        gaze_report = gaze_report | {
            "corrected": False, "share": 0.0, "reason": retrying.reason_without_gaze(claim.attempts),
        }  # fmt: skip
    rendering_report = rendered["rendering"] | {"settings": claim.settings}
    if pace := rendering_report.get("pace"):
        rendering_report["pace"] = pace | rendered["refused"].to_json()
        _log_steps(claim.work.name, rendering_report["pace"])
    if not _commit(machine, claim, rendered, gaze_report, rendering_report):
        _delete_attempt(machine, claim)
    elif claim.attempts:
        delete_other_attempts(machine, claim.work.job.id)


def _delete_attempt(machine: Machine, claim: MediaClaim[_PartRendering]) -> None:
    """Delete the files of an attempt that another one has overtaken."""
    for file in machine.files.list_files(keys.prefix(_video_key(claim))):
        machine.files.delete(file.key)


def delete_other_attempts(machine: Machine, job_id: str) -> None:
    """Delete the files of attempts that were killed before their parts were ready by another attempt.

    The files are listed before the parts are read: an attempt of the list that is not its part's by then has lost, or
    its part is not ready yet. An attempt that still runs deletes its own files at its end.
    """
    found = machine.files.list_files(keys.parts_folder(job_id))
    with machine.store.reading() as connection:
        parts = segments.of_job(connection, job_id)
    ready = {keys.stem(part.file_path): keys.prefix(part.file_path) for part in parts if part.status in RENDERED}
    for file in found:
        winner = ready.get(keys.stem(file.key))
        if winner is not None and not file.key.startswith(winner):
            machine.files.delete(file.key)


def _commit(
    machine: Machine,
    claim: MediaClaim[_PartRendering],
    rendered: dict[str, Any],  # Any: as above
    gaze_report: dict[str, Any],  # Any: likewise
    rendering_report: dict[str, Any],  # Any: likewise
) -> bool:
    """Commit a rendered part; return False if its attempt is no longer current."""
    with machine.store.writing(job=claim.work.job.id) as connection:
        finished = segments.finish(
            connection,
            claim.work.segment.id,
            claim.token,
            file_path=_video_key(claim),
            duration_s=float(rendered["duration_s"]),
            size_bytes=int(rendered["size_bytes"]),
            gaze=gaze_report,
            stage_seconds=rendered["stages_s"],
            rendering=rendering_report,
            now=machine.now(),
        )
        segment = segments.get(connection, claim.work.segment.id)
        job = jobs.get(connection, segment.job_id) if segment else None
        if segment is None:  # its job was cut differently meanwhile
            machine.send("delete_files", claim.work.job.id, "replaced")
        if not finished or segment is None or job is None:
            return False
        stage_durations.observe_since(connection, stage_durations.RENDER, segment.started_at, machine.now())
        if rendered["rendering"]["sound"] == "unreadable" and machine.settings.mute_video != "publish":
            # Found only now: the beginning of its track is readable. Before `close_finished` and `start_due`, so that
            # nothing is published.
            reviews.require(connection, job.id, ReviewReason.SOUND_UNREADABLE)
        facts = {"part": segment.segment_number, "parts": job.segment_count, "gaze": gaze_report}
        emit(machine, connection, "segment.ready", job, duration_s=segment.duration, **facts)
        close_finished(machine, connection, job.id)
        start_due(machine, connection)
    return True
