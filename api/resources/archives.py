"""GET /jobs/{job_id}/videos.zip: the videos of all parts that are ready, in one archive."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import falcon

from api.http.problems import Problem, not_found
from api.http.zip_stream import Member, ZipStream, member
from api.resources.base import Resource
from files.storage import Storage
from store import jobs, segments
from store.jobs import Job
from store.segments import Segment

MEDIA_TYPE = "application/zip"
MAX_NAME_CHARS = 80
_UNUSABLE = re.compile(r'[\s\x00-\x1f\x7f<>:"/\\|?*]+')  # in names of files on Windows, which forbids the most


class VideosResource(Resource):
    """GET /jobs/{job_id}/videos.zip."""

    def on_get(self, request: falcon.Request, response: falcon.Response, job_id: str) -> None:
        """Send the archive; its size is known before, so that a browser shows the progress."""
        with self._context.store.reading() as connection:
            job = jobs.get(connection, job_id)
            parts = segments.of_job(connection, job_id)
        if job is None:
            raise not_found("job")
        name = file_name(job)
        with ExitStack() as borrowed:
            members = _members(job, parts, self._context.files, name, borrowed)
            stream = ZipStream(members, borrowed.pop_all())
        response.content_type = MEDIA_TYPE
        response.cache_control = ["private", "no-store"]
        fallback = name.encode("ascii", "ignore").decode().strip() or "videos"
        names = f"filename=\"{fallback}.zip\"; filename*=UTF-8''{quote(name, safe='')}.zip"
        response.set_header("Content-Disposition", f"attachment; {names}")
        response.content_length = stream.size_bytes
        if request.method != "HEAD":
            response.stream = stream
        else:
            stream.close()

    on_head = on_get


def file_name(job: Job) -> str:
    """Return the name of the files of a job, without their ending: its title, or that of the uploaded file."""
    given = job.title or Path(job.original_name).stem or "video"
    return _UNUSABLE.sub(" ", given).strip(" .")[:MAX_NAME_CHARS].rstrip(" .") or "video"


def _members(job: Job, parts: list[Segment], files: Storage, name: str, borrowed: ExitStack) -> list[Member]:
    digits = max(2, len(str(job.segment_count or 1)))
    found = []
    for part in parts:
        try:
            path = borrowed.enter_context(files.borrow(part.file_path))
            own_name = f"{part.segment_number:0{digits}}-{name}.mp4"
            found.append(member(path, own_name, part.ended_at or job.created_at))
        except (FileNotFoundError, NotADirectoryError):
            continue  # not rendered yet, or deleted
    if not found:
        raise Problem(404, "not_found", "no part of the video is ready, or its files were deleted")
    return found
