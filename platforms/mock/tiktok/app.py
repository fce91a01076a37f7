"""TikTok's publishing API: creator info, init, bytes, status, list of videos.

The state of a job is not stored but computed from its bytes and the clock, so no kill can leave it wrong.
"""

# ruff: noqa: ARG002 - falcon hands every responder the request, the answer and all fields of the path

from __future__ import annotations

import hashlib
import re
from typing import Any
from urllib.parse import parse_qs

import falcon

from platforms.mock import roots
from platforms.mock.state import MockErrorResponse, MockState, bearer
from platforms.mock.storage import Record, new_id
from platforms.mock.upload_stream import RECEIVED_HEADER, UploadRequest, UploadTarget

TIKTOK_API = roots.path("tiktok_api_url")
TIKTOK_AUTH = roots.path("tiktok_auth_url")
TIKTOK_UPLOAD = roots.path("tiktok_upload_url")

MAX_TITLE_UNITS = 2200
PRIVACY = ("PUBLIC_TO_EVERYONE", "MUTUAL_FOLLOW_FRIENDS", "FOLLOWER_OF_CREATOR", "SELF_ONLY")
MEGA = 1_000_000
_INFO_FIELDS = frozenset(
    {
        *("title", "privacy_level", "disable_comment", "disable_duet", "disable_stitch", "video_cover_timestamp_ms"),
        *("brand_content_toggle", "brand_organic_toggle", "is_aigc"),
    }
)
_FLAGS = ("disable_comment", "disable_duet", "disable_stitch", "brand_content_toggle", "brand_organic_toggle")
_SOURCE_FIELDS = frozenset({"source", "video_size", "chunk_size", "total_chunk_count"})
_JSON = "application/json; charset=UTF-8"


def add_routes(app: falcon.App[Any, Any], state: MockState) -> None:  # Any: falcon's own request and response types
    """Add the paths of TikTok's publishing API."""
    auth, api = TIKTOK_AUTH, TIKTOK_API
    app.add_route(f"{auth}/@{{username}}/video/{{post_id}}", Link())
    app.add_route(f"{api}/v2/post/publish/creator_info/query/", CreatorInfoQuery(state))
    app.add_route(f"{api}/v2/post/publish/video/init/", Init(state, direct=True))
    app.add_route(f"{api}/v2/post/publish/inbox/video/init/", Init(state, direct=False))
    app.add_route(f"{api}/v2/post/publish/status/fetch/", StatusFetch(state))
    app.add_route(f"{api}/v2/video/list/", VideoList(state))
    app.add_route(f"{TIKTOK_UPLOAD}/video/", UploadEndpoint(state))


def upload_target(state: MockState, request: UploadRequest) -> UploadTarget | None:
    """Return where the bytes of a chunk are stored."""
    if request.method != "PUT" or request.path != f"{TIKTOK_UPLOAD}/video/":
        return None
    headers = request.headers
    return _target(state, request.query, headers.get("CONTENT_RANGE", ""), headers.get("CONTENT_LENGTH", ""))


def posts(state: MockState) -> list[Record]:
    """Return all jobs whose bytes are complete: each of them is a post or a draft."""
    jobs = state.storage.records("tiktok")
    return [_post(state, name, job) for name, job in jobs if _job_state(state, name, job) in _DONE]


_DONE = ("PUBLISH_COMPLETE", "SEND_TO_USER_INBOX")


def _post(state: MockState, name: str, job: Record) -> Record:
    draft = _job_state(state, name, job) == "SEND_TO_USER_INBOX"
    return {
        "platform": "tiktok",
        "id": _post_id(name),
        "job": name,
        "account": open_id(job["user"]),
        "draft": draft,
        "title": job["post_info"].get("title", ""),
        "created_at": state.storage.completed_at(name),
        "upload": name,
        "metadata": job["post_info"],
    }


def open_id(user: int) -> str:
    """Return the open_id of a user."""
    return f"mock-open-id-{user}"


def username(user: int) -> str:
    """Return the user name of a user."""
    return f"mock.creator{user}"


def _post_id(publish_id: str) -> str:
    return str(7_000_000_000_000_000_000 + int(hashlib.sha256(publish_id.encode()).hexdigest()[:14], 16))


def _job_state(state: MockState, name: str, job: Record) -> str:
    if state.storage.size(name) < job["size"]:
        late = state.clock() > job["created_at"] + 2 * state.options.upload_url_s
        return "FAILED" if late else "PROCESSING_UPLOAD"
    if not state.is_processed(name):
        return "PROCESSING_UPLOAD"
    if job["direct"]:
        return "PUBLISH_COMPLETE"
    finished_s = state.options.draft_done_s
    owner_acted = finished_s is not None and state.clock() > state.storage.completed_at(name) + finished_s
    return "PUBLISH_COMPLETE" if owner_acted else "SEND_TO_USER_INBOX"


def refuse(status: int, code: str) -> MockErrorResponse:
    """Return an error response in TikTok's format."""
    return MockErrorResponse(status, {"data": {}, "error": {"code": code, "message": "mock", "log_id": new_id("log")}})


def succeed(resp: falcon.Response, data: Record) -> None:
    """Set a successful response in TikTok's format."""
    resp.media = {"data": data, "error": {"code": "ok", "message": "", "log_id": new_id("log")}}


def user_of(state: MockState, req: falcon.Request, *scopes: str) -> int:
    """Return the user of the request's token; raise when it is invalid, or lacks all of the scopes."""
    token = state.token("tiktok", "access", bearer(req.auth))
    if token is None:
        raise refuse(401, "access_token_invalid")
    if scopes and not set(scopes) & set(token["scopes"]):
        raise refuse(401, "scope_not_authorized")
    return int(token["user"])


def _body(req: falcon.Request) -> Record:
    if (req.content_type or "").replace(" ", "").lower() != _JSON.replace(" ", "").lower():
        raise refuse(400, "invalid_params")
    media = req.get_media(default_when_empty={})
    return media if isinstance(media, dict) else {}


class Link:
    """The public address of a post."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, username: str, post_id: str) -> None:
        """Redirect to the post's page."""
        raise falcon.HTTPFound(f"/posts/tiktok/{post_id}")


class CreatorInfoQuery:
    """The options of an account."""

    def __init__(self, state: MockState) -> None:
        self._state = state

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Return the options."""
        user = user_of(self._state, req, "video.publish")
        info = {
            "creator_username": username(user),
            "creator_nickname": f"Mock Creator {user}",
            "privacy_level_options": list(PRIVACY),
            "comment_disabled": False,
            "duet_disabled": False,
            "stitch_disabled": False,
            "max_video_post_duration_sec": 600,
        }
        succeed(resp, info)


class Init:
    """The creation of a publish job."""

    def __init__(self, state: MockState, *, direct: bool) -> None:
        self._state = state
        self._direct = direct

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Check the fields, and return an address for the bytes."""
        user = user_of(self._state, req, "video.publish" if self._direct else "video.upload")
        body = _body(req)
        info = body.get("post_info", {})
        known = set(info) <= _INFO_FIELDS and set(body.get("source_info", {})) <= _SOURCE_FIELDS
        if not known or not set(body) <= {"post_info", "source_info"}:
            raise refuse(400, "invalid_params")
        if self._direct:
            self._check_info(info)
        elif info:
            raise refuse(400, "invalid_params")
        size, chunk, count = self._checked_source(body.get("source_info", {}))
        publish_id = new_id("v_pub_file~" if self._direct else "v_inbox_file~").replace("~", "-")
        secret = new_id()
        job = {
            "user": user,
            "direct": self._direct,
            "size": size,
            "chunk": chunk,
            "count": count,
            "post_info": info,
            "secret": secret,
            "created_at": self._state.clock(),
        }
        self._state.storage.put("tiktok", publish_id, job)
        address = f"{req.prefix}{TIKTOK_UPLOAD}/video/?upload_id={publish_id}&upload_token={secret}"
        succeed(resp, {"publish_id": publish_id, "upload_url": address})

    def _check_info(self, info: Record) -> None:
        title = str(info.get("title", ""))
        if len(title.encode("utf-16-le")) // 2 > MAX_TITLE_UNITS or not isinstance(info.get("is_aigc"), bool):
            raise refuse(400, "invalid_params")
        if any(not isinstance(info.get(name), bool) for name in _FLAGS):
            raise refuse(400, "invalid_params")  # stricter than TikTok, which has defaults of its own
        cover_ms = info.get("video_cover_timestamp_ms", 0)
        if not isinstance(cover_ms, int) or cover_ms < 0:
            raise refuse(400, "invalid_params")
        if info.get("privacy_level") not in PRIVACY:
            raise refuse(403, "privacy_level_option_mismatch")
        if info["brand_content_toggle"] and info["privacy_level"] == "SELF_ONLY":
            raise refuse(400, "invalid_params")  # content sharing guidelines
        if self._state.options.unaudited and info["privacy_level"] != "SELF_ONLY":
            raise refuse(403, "unaudited_client_can_only_post_to_private_accounts")

    def _checked_source(self, source: Record) -> tuple[int, int, int]:
        given = [source.get(name) for name in ("video_size", "chunk_size", "total_chunk_count")]
        size, chunk, count = (number if isinstance(number, int) else 0 for number in given)
        if source.get("source") != "FILE_UPLOAD" or min(size, chunk, count) <= 0:
            raise refuse(400, "invalid_params")
        whole = count == 1 and chunk == size and size <= 64 * MEGA
        several = 5 * MEGA <= chunk <= 64 * MEGA and count == size // chunk and 1 <= count <= 1000
        if not (whole or several):
            raise refuse(400, "invalid_params")
        return size, chunk, count


class UploadEndpoint:
    """The upload address; the bytes are stored already when this runs."""

    def __init__(self, state: MockState) -> None:
        self._state = state

    def on_put(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Return how many bytes the job has."""
        name = req.get_param("upload_id") or ""
        if req.get_header(RECEIVED_HEADER) is None:
            _target(self._state, req.query_string, req.get_header("Content-Range") or "", str(req.content_length or ""))
            raise MockErrorResponse(400)  # nothing was sent
        job = self._state.storage.get("tiktok", name) or {}
        received = self._state.storage.size(name)
        resp.status = 201 if received == job["size"] else 206
        resp.set_header("Content-Range", f"bytes 0-{received - 1}/{job['size']}")


def _target(state: MockState, query: str, content_range: str, content_length: str) -> UploadTarget:
    parameters = {name: values[0] for name, values in parse_qs(query).items()}
    name = parameters.get("upload_id", "")
    job = state.storage.get("tiktok", name)
    if job is None or job["secret"] != parameters.get("upload_token"):
        raise MockErrorResponse(404)
    if state.clock() > job["created_at"] + state.options.upload_url_s:
        raise MockErrorResponse(403)
    found = re.fullmatch(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15})", content_range)
    if found is None or int(found[3]) != job["size"] or content_length != str(int(found[2]) - int(found[1]) + 1):
        raise MockErrorResponse(400)
    first, end = int(found[1]), int(found[2]) + 1
    received = state.storage.size(name)
    if first != received or received >= job["size"] or end > job["size"]:
        raise MockErrorResponse(416, headers={"Content-Range": f"bytes 0-{max(received - 1, 0)}/{job['size']}"})
    number = min(first // job["chunk"], job["count"] - 1)
    if end != (job["size"] if number == job["count"] - 1 else (number + 1) * job["chunk"]):
        raise MockErrorResponse(400)
    return UploadTarget(state.storage.bytes_path(name), first)


class StatusFetch:
    """The state of a publish job."""

    def __init__(self, state: MockState) -> None:
        self._state = state

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Return the state."""
        user = user_of(self._state, req, "video.upload", "video.publish")
        name = str(_body(req).get("publish_id", ""))
        job = self._state.storage.get("tiktok", name)
        if job is None:
            raise refuse(400, "invalid_publish_id")
        if job["user"] != user:
            raise refuse(400, "token_not_authorized_for_specified_publish_id")
        state = _job_state(self._state, name, job)
        public = state == "PUBLISH_COMPLETE" and job["post_info"].get("privacy_level", PRIVACY[0]) == PRIVACY[0]
        body = {
            "status": state,
            "fail_reason": "",
            "publicaly_available_post_id": [int(_post_id(name))] if public else [],
            "uploaded_bytes": self._state.storage.size(name),
            "downloaded_bytes": 0,
        }
        succeed(resp, body)


class VideoList:
    """The newest public videos."""

    def __init__(self, state: MockState) -> None:
        self._state = state

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Return them, the newest first."""
        user = user_of(self._state, req, "video.list")
        listed = [
            {
                "id": post["id"],
                "create_time": int(post["created_at"]),
                "title": post["title"],
                "video_description": post["title"],
                "duration": 0,
                "share_url": f"{req.prefix}{TIKTOK_AUTH}/@{username(user)}/video/{post['id']}",
            }
            for post in posts(self._state)
            if post["account"] == open_id(user) and not post["draft"]
        ]
        listed.sort(key=lambda video: -int(str(video["create_time"])))
        succeed(resp, {"videos": listed[:20], "cursor": 0, "has_more": False})
