"""Stand-in answers of TikTok for dry runs."""

from __future__ import annotations

import json

from platforms import dry_run
from platforms.dry_run import STAND_IN, DryAnswer, DryAnswers, UnknownRequest
from platforms.http.hosts import Roots
from platforms.http.local_answers import OutgoingRequest
from platforms.tiktok.chunks import PRIVACY
from platforms.tiktok.hosts import TikTokHosts


def answers(roots: Roots) -> DryAnswers:
    """Return TikTok's stand-in answers: the account offers every privacy, and an upload has an address."""
    upload_url = f"{TikTokHosts.at(roots).tiktok_upload_url}/video/?upload_id={STAND_IN}"

    def answer(request: OutgoingRequest) -> DryAnswer:
        if request.method == "PUT":
            return dry_run.json_answer(b"", 201 if dry_run.has_last_byte(request) else 206)
        path = dry_run.path_of(request)
        if path.endswith("/creator_info/query/"):
            return dry_run.read_answer(_body(privacy_level_options=list(PRIVACY.values())))
        if path.endswith("/video/init/"):
            return dry_run.json_answer(_body(publish_id=STAND_IN, upload_url=upload_url))
        raise UnknownRequest(path)

    return answer


def _body(**data: object) -> bytes:
    return json.dumps({"data": data, "error": {"code": "ok"}}).encode()
