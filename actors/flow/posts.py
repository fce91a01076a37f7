"""Converts a rendered part into the `Post` that publishers take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from loguru import logger

from actors.flow import post_words
from actors.flow.media_links import LIFETIME, link_to_part
from actors.flow.post_words import PostWords
from actors.machine import Machine
from files.errors import FilesError, Gone
from platforms import errors
from platforms.contract import Post
from store import post_settings
from store.jobs import Job
from store.publications import Publication
from store.segments import Segment

RETRY_S = 60.0  # to the next try when the storage does not answer


@contextmanager
def part_file(machine: Machine, segment: Segment) -> Iterator[Path]:
    """Yield the path of a part's file; without the file, one at which nothing is: a platform can be asked without it.

    Raises:
        platforms.errors.TryLater: the storage does not answer; nothing was sent.
    """
    with ExitStack() as stack:
        try:
            path = stack.enter_context(machine.files.borrow(segment.file_path))
        except Gone:
            path = machine.in_data(segment.file_path)
        except FilesError as error:
            raise storage_unavailable(error) from error
        yield path


def storage_unavailable(error: FilesError) -> errors.TryLater:
    """Return the error of a step for which the storage does not answer. It is no failure of the platform."""
    logger.warning("Storage: {}", error)
    detail = "the storage of the videos does not answer"
    return errors.TryLater("storage_unavailable", detail, retry_after_s=RETRY_S, cause="wait")


def create_post(machine: Machine, publication: Publication, segment: Segment, job: Job, video: Path) -> Post:
    """Return the post of a publication: the part's file, its words and its options.

    Args:
        machine: for its store and settings.
        publication: to be posted.
        segment: its part.
        job: of the part.
        video: path of the part's file; may be missing for a publisher that is only asked.
    """
    words = _words(machine, publication, job)
    return Post(
        publication_id=publication.id,
        video=video,
        size_bytes=segment.size_bytes or 0,
        duration_s=segment.duration or 0.0,
        title=words.title,
        caption=words.caption,
        media_url=_link(machine, job, segment),
        gaze_corrected=bool(segment.gaze and segment.gaze.get("corrected")),
        options=words.options,
    )


def _link(machine: Machine, job: Job, segment: Segment) -> str:
    """Return the address from which a platform may fetch the part, without a key."""
    stored = machine.files.link(segment.file_path, LIFETIME) if machine.settings.s3_links else None
    return stored or link_to_part(machine, job.id, segment.segment_number)


def _words(machine: Machine, publication: Publication, job: Job) -> PostWords:
    if publication.words is not None:
        return PostWords(**publication.words)
    with machine.store.reading() as connection:  # it began before the column `words` was added
        settings = post_settings.of_job(connection, job.id)
    return post_words.resolve(job, settings, post_words.place_of(publication, job))
