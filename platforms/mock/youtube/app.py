"""YouTube's upload API. A video exists once its session has received the last byte."""

# ruff: noqa: ARG002 - falcon hands every responder the request, the answer and all fields of the path

from __future__ import annotations

import base64
import hashlib
import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import falcon

from platforms.mock import roots
from platforms.mock.state import MockErrorResponse, MockState, bearer
from platforms.mock.storage import Record, new_id
from platforms.mock.upload_stream import RECEIVED_HEADER, UploadRequest, UploadTarget

YOUTUBE_API = roots.path("youtube_api_url")

UNIT = 262_144
UPLOAD = "https://www.googleapis.com/auth/youtube.upload"
READ = "https://www.googleapis.com/auth/youtube.readonly"
CATEGORIES = frozenset(["1", "2", "10", "15", "17", "19", "20", "22", "23", "24", "25", "26", "27", "28", "29"])
MAX_TAG_CHARS = 500
_SNIPPET = frozenset({"title", "description", "categoryId", "tags"})
_STATUS = frozenset({"privacyStatus", "selfDeclaredMadeForKids", "containsSyntheticMedia"})
PRIVACY = frozenset({"public", "unlisted", "private"})
_UPLOAD_PATH = f"{YOUTUBE_API}/upload/youtube/v3/videos"


def add_routes(app: falcon.App[Any, Any], state: MockState) -> None:  # Any: falcon's own request and response types
    """Add the paths of YouTube's API."""
    app.add_route(_UPLOAD_PATH, UploadEndpoint(state))
    app.add_route(f"{YOUTUBE_API}/youtube/v3/videos", Videos(state))
    app.add_route(f"{YOUTUBE_API}/youtube/v3/channels", Channels(state))
    app.add_route(f"{YOUTUBE_API}/youtube/v3/playlistItems", PlaylistItems(state))
    app.add_route(f"{YOUTUBE_API}/shorts/{{video_id}}", Link())


def upload_target(state: MockState, request: UploadRequest) -> UploadTarget | None:
    """Return where the bytes of a chunk are stored."""
    if request.method != "PUT" or request.path != _UPLOAD_PATH:
        return None
    headers = request.headers
    return _target(state, request.query, headers.get("CONTENT_RANGE", ""), headers.get("AUTHORIZATION", ""))


def posts(state: MockState) -> list[Record]:
    """Return all videos."""
    sessions = state.storage.records("youtube")
    found = [(name, session) for name, session in sessions if _is_complete(state, name, session)]
    return [
        {
            "platform": "youtube",
            "id": _video_id(name),
            "job": name,
            "account": channel_id(session["user"]),
            "draft": False,
            "title": session["resource"]["snippet"]["title"],
            "created_at": state.storage.completed_at(name),
            "upload": name,
            "metadata": {**session["resource"], "notify": session["notify"]},
            "slug": session["slug"],
        }
        for name, session in found
    ]


def channel_id(user: int) -> str:
    """Return the channel id of a user."""
    return f"UCmockchannel{user:011d}"


def _video_id(session: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(session.encode()).digest())[:11].decode().replace("-", "A")


def _is_complete(state: MockState, name: str, session: Record) -> bool:
    return state.storage.size(name) == int(session["size"])


def refuse(status: int, reason: str) -> MockErrorResponse:
    """Return an error response in Google's format."""
    error = {"code": status, "message": "mock", "errors": [{"reason": reason, "domain": "mock", "message": "mock"}]}
    return MockErrorResponse(status, {"error": error})


def _user(state: MockState, authorization: str | None, scope: str) -> int:
    token = state.token("google", "access", bearer(authorization))
    if token is None:
        raise refuse(401, "authError")
    if scope not in token["scopes"]:
        raise refuse(403, "insufficientPermissions")
    return int(token["user"])


class UploadEndpoint:
    """Upload sessions; the bytes of a chunk are stored already when `on_put` runs."""

    def __init__(self, state: MockState) -> None:
        self._state = state

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Create a session."""
        user = _user(self._state, req.auth, UPLOAD)
        size = req.get_header("X-Upload-Content-Length") or ""
        if req.get_param("uploadType") != "resumable" or not size.isdigit() or int(size) == 0:
            raise refuse(400, "mediaBodyRequired")
        if req.get_param("notifySubscribers") not in {"true", "false"}:
            raise refuse(400, "badRequest")
        resource = req.get_media()
        _check_resource(resource)
        if self._state.options.unaudited:
            resource["status"]["privacyStatus"] = "private"
        session = new_id("yt")
        record = {
            "user": user,
            "size": int(size),
            "resource": resource,
            "slug": req.get_header("Slug") or "",
            "notify": req.get_param("notifySubscribers"),
            "created_at": self._state.clock(),
        }
        self._state.storage.put("youtube", session, record)
        resp.set_header("Location", f"{req.prefix}{_UPLOAD_PATH}?uploadType=resumable&upload_id={session}")

    def on_put(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Return the video when it is complete, and else how many bytes the session has."""
        name = req.get_param("upload_id") or ""
        question = re.fullmatch(r"bytes \*/(\d+|\*)", req.get_header("Content-Range") or "")
        session = _session(self._state, name, req.auth or "")
        if not question and req.get_header(RECEIVED_HEADER) is None:
            _target(self._state, req.query_string, req.get_header("Content-Range") or "", req.auth or "")
            raise refuse(400, "badRequest")
        if _is_complete(self._state, name, session):
            resp.status = 201 if not question else 200
            resp.media = _resource(self._state, name, session)
            return
        received = _received(self._state, name)
        resp.status = "308 Resume Incomplete"
        resp.set_header("Content-Length", "0")
        if received:
            resp.set_header("Range", f"bytes=0-{received - 1}")


def _check_resource(resource: Any) -> None:  # Any: JSON from outside
    snippet, status = resource.get("snippet", {}), resource.get("status", {})
    title, description = snippet.get("title", ""), snippet.get("description", "")
    if not title or len(title) > 100 or "<" in title or ">" in title:
        raise refuse(400, "invalidTitle")
    if len(description.encode()) > 5000 or "<" in description or ">" in description:
        raise refuse(400, "invalidDescription")
    if str(snippet.get("categoryId", "22")) not in CATEGORIES:
        raise refuse(400, "invalidCategoryId")
    if not set(resource) <= {"snippet", "status"} or not set(snippet) <= _SNIPPET or not set(status) <= _STATUS:
        raise refuse(400, "invalidVideoMetadata")
    tags = snippet.get("tags", [])
    if sum(len(tag) + 2 * (" " in tag) + 1 for tag in tags) - 1 > MAX_TAG_CHARS or any(
        {"<", ">"} & set(t) for t in tags
    ):
        raise refuse(400, "invalidTags")
    flags = all(isinstance(status.get(name), bool) for name in ("selfDeclaredMadeForKids", "containsSyntheticMedia"))
    if status.get("privacyStatus") not in PRIVACY or not flags:
        raise refuse(400, "invalidVideoMetadata")


def _session(state: MockState, name: str, authorization: str) -> Record:
    user = _user(state, authorization, UPLOAD)
    session = state.storage.get("youtube", name)
    if session is None or session["user"] != user:
        raise MockErrorResponse(404)
    return session


def _received(state: MockState, name: str) -> int:
    # Of a chunk that was cut off, Google keeps whole units only.
    return state.storage.size(name) // UNIT * UNIT


def _target(state: MockState, query: str, content_range: str, authorization: str) -> UploadTarget:
    name = parse_qs(query).get("upload_id", [""])[0]
    session = _session(state, name, authorization)
    found = re.fullmatch(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15})", content_range)
    if found is None or int(found[3]) != session["size"]:
        raise refuse(400, "badRequest")
    first, end = int(found[1]), int(found[2]) + 1
    whole_units = (end - first) % UNIT == 0 or end == session["size"]
    if (
        _is_complete(state, name, session)
        or first != _received(state, name)
        or end > session["size"]
        or not whole_units
    ):
        raise refuse(400, "badRequest")
    return UploadTarget(state.storage.bytes_path(name), first)


def _resource(state: MockState, name: str, session: Record) -> Record:
    done = state.is_processed(name)
    published = datetime.fromtimestamp(state.storage.completed_at(name), UTC)
    return {
        "kind": "youtube#video",
        "id": _video_id(name),
        "snippet": {**session["resource"]["snippet"], "publishedAt": published.strftime("%Y-%m-%dT%H:%M:%SZ")},
        "status": {**session["resource"]["status"], "uploadStatus": "processed" if done else "uploaded"},
        "fileDetails": {"fileName": session["slug"]},
    }


class Videos:
    """Videos, by id."""

    def __init__(self, state: MockState) -> None:
        self._state = state

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Return those of this user, with the requested parts."""
        user = _user(self._state, req.auth, READ)
        ids = set((req.get_param("id") or "").split(","))
        parts = {"kind", "id", *(req.get_param("part") or "").split(",")}
        resp.media = {
            "items": [
                {part: value for part, value in _resource(self._state, name, session).items() if part in parts}
                for name, session in self._state.storage.records("youtube")
                if session["user"] == user and _video_id(name) in ids and _is_complete(self._state, name, session)
            ]
        }


class Channels:
    """The channel of a user."""

    def __init__(self, state: MockState) -> None:
        self._state = state

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Return it."""
        user = _user(self._state, req.auth, READ)
        uploads = {"relatedPlaylists": {"uploads": channel_id(user).replace("UC", "UU", 1)}}
        snippet = {"title": f"Mock Channel {user}"}
        resp.media = {"items": [{"id": channel_id(user), "snippet": snippet, "contentDetails": uploads}]}


class PlaylistItems:
    """The uploads of a channel, the newest first."""

    def __init__(self, state: MockState) -> None:
        self._state = state

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Return them."""
        user = _user(self._state, req.auth, READ)
        if req.get_param("playlistId") != channel_id(user).replace("UC", "UU", 1):
            raise refuse(404, "playlistNotFound")
        ours = [post for post in posts(self._state) if post["account"] == channel_id(user)]
        ours.sort(key=lambda post: -float(post["created_at"]))
        resp.media = {"items": [{"contentDetails": {"videoId": post["id"]}} for post in ours[:25]]}


class Link:
    """The public address of a video."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, video_id: str) -> None:
        """Redirect to the video's page."""
        raise falcon.HTTPFound(f"/posts/youtube/{video_id}")
