"""Stand-in answers of YouTube for dry runs."""

from __future__ import annotations

import json

from platforms import dry_run
from platforms.dry_run import STAND_IN, DryAnswer, DryAnswers, UnknownRequest
from platforms.http.hosts import Roots
from platforms.http.local_answers import OutgoingRequest
from platforms.youtube.hosts import GoogleHosts

UPLOAD_PATH = "/upload/youtube/v3/videos"


def answers(roots: Roots) -> DryAnswers:
    """Return YouTube's stand-in answers: a session takes each chunk, and names the video after the last one."""
    session = f"{GoogleHosts.at(roots).youtube_api_url}{UPLOAD_PATH}?upload_id={STAND_IN}"

    def answer(request: OutgoingRequest) -> DryAnswer:
        if not dry_run.path_of(request).endswith(UPLOAD_PATH):
            raise UnknownRequest(dry_run.path_of(request))
        if request.method == "POST":
            return dry_run.json_answer(b"", headers={"Location": session})
        if dry_run.has_last_byte(request):
            return dry_run.json_answer(json.dumps({"id": STAND_IN}).encode())
        last = request.headers["Content-Range"].partition("-")[2].partition("/")[0]
        return dry_run.json_answer(b"", 308, {"Range": f"bytes=0-{last}"})

    return answer
