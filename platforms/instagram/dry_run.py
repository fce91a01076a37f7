"""Stand-in answers of Instagram for dry runs."""

from __future__ import annotations

import json

from platforms import dry_run
from platforms.dry_run import STAND_IN, DryAnswer, DryAnswers, UnknownRequest
from platforms.http.hosts import Roots
from platforms.http.local_answers import OutgoingRequest
from platforms.instagram.hosts import MetaHosts


def answers(roots: Roots) -> DryAnswers:
    """Return Instagram's stand-in answers: a container is made, takes the video, and is ready at once."""
    uri = f"{MetaHosts.at(roots).facebook_upload_url}/ig-api-upload/{STAND_IN}"
    bodies: dict[tuple[str, str], object] = {
        ("POST", "media"): {"id": STAND_IN, "uri": uri},
        ("POST", STAND_IN): {"success": True},
        ("GET", STAND_IN): {"status_code": "FINISHED"},
        ("POST", "media_publish"): {"id": STAND_IN},
    }

    def answer(request: OutgoingRequest) -> DryAnswer:
        last = dry_run.path_of(request).rpartition("/")[2]
        if (request.method, last) == ("GET", "content_publishing_limit"):
            return dry_run.read_answer(b'{"data": []}')
        if (request.method, last) not in bodies:
            raise UnknownRequest(last)
        return dry_run.json_answer(json.dumps(bodies[request.method, last]).encode())

    return answer
