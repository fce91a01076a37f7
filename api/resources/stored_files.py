"""Reads which files of a job exist; while the storage does not answer, those that should."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence

from loguru import logger

from files import keys
from files.errors import FilesError
from files.storage import Storage
from store.jobs import Job
from store.segments import Segment
from store.states import SegmentStatus

ASKED_AGAIN_S = 30.0  # after an error: pages ask every few seconds, and each request would wait for the storage


class StoredFiles:
    """The files of jobs for status documents. There is one object in each process: `Context.stored_files`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._not_before_s = -math.inf

    def of_job(self, files: Storage, job: Job, parts: Sequence[Segment], now_s: float) -> set[str]:
        """Return the keys of the files of a job that exist.

        Args:
            files: the storage.
            job: with its parts.
            parts: all of the job.
            now_s: seconds since the machine booted.
        """
        with self._lock:
            is_down = now_s < self._not_before_s
        if is_down:
            return _expected(job, parts)
        try:
            return _found(files, job)
        except FilesError as error:
            logger.warning("Storage: {}; status documents show what should be there", error)
            with self._lock:
                self._not_before_s = now_s + ASKED_AGAIN_S
            return _expected(job, parts)


def _found(files: Storage, job: Job) -> set[str]:
    found = {file.key for file in files.list_files(keys.parts_folder(job.id))}
    is_kept = job.source_deleted_at is None and files.stat(job.video_path) is not None
    return found | {job.video_path} if is_kept else found


def _expected(job: Job, parts: Sequence[Segment]) -> set[str]:
    """Return the keys of the files that the database knows of."""
    if job.files_deleted_at is not None:
        return set()
    rendered = {SegmentStatus.READY, SegmentStatus.DONE}
    videos = [part.file_path for part in parts if part.status in rendered and part.files_deleted_at is None]
    expected = {keys.beside(video, suffix) for video in videos for suffix in keys.KINDS.values()}
    return expected | ({job.video_path} if job.source_deleted_at is None else set())
