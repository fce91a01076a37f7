"""The files of a job's parts: for who has a key, and by signed address for a platform that fetches."""

from __future__ import annotations

import falcon

from actors.flow.media_links import BadLink, read
from api.context import Context
from api.http import file_response
from api.http.problems import Problem, not_found
from api.resources import status_document
from store import segments

MEDIA_TYPES = {"video": "video/mp4", "cover": "image/jpeg", "preview": "image/jpeg"}


class Part:
    """GET /jobs/{job_id}/segments/{number}/video, /cover or /preview."""

    def __init__(self, context: Context, kind: str) -> None:
        self._context = context
        self._kind = kind

    def on_get(self, request: falcon.Request, response: falcon.Response, job_id: str, number: int) -> None:
        """Send the file, while it lives."""
        _send(self._context, request, response, job_id, number, self._kind)

    on_head = on_get


class SignedPart:
    """GET /media/{token}."""

    public = True

    def __init__(self, context: Context) -> None:
        self._context = context

    def on_get(self, request: falcon.Request, response: falcon.Response, token: str) -> None:
        """Send the video that the address stands for, while the address is good."""
        try:
            job_id, number = read(self._context.sealer, token, self._context.now())
        except BadLink as exc:
            raise Problem(404, "bad_link", str(exc)) from exc
        _send(self._context, request, response, job_id, number, "video")

    on_head = on_get


def _send(
    context: Context, request: falcon.Request, response: falcon.Response, job_id: str, number: int, kind: str
) -> None:
    with context.store.reading() as connection:
        mine = [part for part in segments.of_job(connection, job_id) if part.segment_number == number]
    if not mine:
        raise not_found("part")
    path = status_document.paths(mine[0], context.settings.data_dir.resolve())[kind]
    file_response.send(request, response, path, MEDIA_TYPES[kind])
    response.set_header("Content-Disposition", f'inline; filename="part-{number:03}-{kind}{path.suffix}"')
