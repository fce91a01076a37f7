"""Converts a rendered part into the `Post` that publishers take."""

from __future__ import annotations

from actors.flow.media_links import link_to_part
from actors.machine import Machine
from actors.recovery.upload_record import UNKNOWN_NAME
from platforms import registry
from platforms.contract import Post
from platforms.default_title import public_title
from store.jobs import Job
from store.publications import Publication
from store.segments import Segment


def create_post(machine: Machine, publication: Publication, segment: Segment, job: Job) -> Post:
    """Return the post of a publication: the part's file, its title and caption, and its number."""
    return Post(
        publication_id=publication.id,
        video=machine.in_data(segment.file_path),
        size_bytes=segment.size_bytes or 0,
        duration_s=segment.duration or 0.0,
        title=_title(publication.platform, job),
        caption=job.caption,
        part=segment.segment_number,
        parts=job.segment_count or 1,
        media_url=link_to_part(machine, job.id, segment.segment_number),
        gaze_corrected=bool(segment.gaze and segment.gaze.get("corrected")),
    )


def _title(platform: str, job: Job) -> str:
    needs_title = registry.PLATFORMS[platform].needs_title
    file_name = "" if job.original_name == UNKNOWN_NAME else job.original_name
    return public_title(job.title, job.caption, file_name, job.created_at.date(), needs_title=needs_title)
