"""Converts a rendered part into the `Post` that publishers take."""

from __future__ import annotations

from actors.flow import post_words
from actors.flow.media_links import link_to_part
from actors.flow.post_words import PostWords
from actors.machine import Machine
from platforms.contract import Post
from store import post_settings
from store.jobs import Job
from store.publications import Publication
from store.segments import Segment


def create_post(machine: Machine, publication: Publication, segment: Segment, job: Job) -> Post:
    """Return the post of a publication: the part's file, its words and its options."""
    words = _words(machine, publication, job)
    return Post(
        publication_id=publication.id,
        video=machine.in_data(segment.file_path),
        size_bytes=segment.size_bytes or 0,
        duration_s=segment.duration or 0.0,
        title=words.title,
        caption=words.caption,
        media_url=link_to_part(machine, job.id, segment.segment_number),
        gaze_corrected=bool(segment.gaze and segment.gaze.get("corrected")),
        options=words.options,
    )


def _words(machine: Machine, publication: Publication, job: Job) -> PostWords:
    if publication.words is not None:
        return PostWords(**publication.words)
    with machine.store.reading() as connection:  # it began before the column `words` was added
        settings = post_settings.of_job(connection, job.id)
    return post_words.resolve(job, settings, post_words.place_of(publication, job))
