"""YouTube, as far as publishing goes. A video exists once its session's last byte is in."""

# ruff: noqa: ARG002 - falcon hands every responder the request, the answer and all fields of the path

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import falcon

from platforms.mock import roots
from platforms.mock.intake import Place
from platforms.mock.shelf import Record, new_id
from platforms.mock.world import Answered, World, bearer

UNIT = 262_144
UPLOAD = "https://www.googleapis.com/auth/youtube.upload"
READ = "https://www.googleapis.com/auth/youtube.readonly"
PRIVACY = frozenset({"public", "unlisted", "private"})
_UPLOAD_PATH = f"{roots.YOUTUBE_API}/upload/youtube/v3/videos"


def add_routes(app: falcon.App[Any, Any], world: World) -> None:  # Any: falcon's own request and response types
    """Add YouTube's paths."""
    app.add_route(_UPLOAD_PATH, Upload(world))
    app.add_route(f"{roots.YOUTUBE_API}/youtube/v3/videos", Videos(world))
    app.add_route(f"{roots.YOUTUBE_API}/youtube/v3/channels", Channels(world))
    app.add_route(f"{roots.YOUTUBE_API}/youtube/v3/playlistItems", PlaylistItems(world))
    app.add_route(f"{roots.YOUTUBE_API}/shorts/{{video_id}}", Link())


def admit(world: World, method: str, path: str, query: str, headers: Mapping[str, str]) -> Place | None:
    """Say where an upload's bytes belong."""
    if method != "PUT" or path != _UPLOAD_PATH:
        return None
    try:
        return _place(world, query, headers.get("CONTENT_RANGE", ""), headers.get("AUTHORIZATION", ""))
    except Answered:
        return None  # the application will say why


def posts(world: World) -> list[Record]:
    """Return all videos."""
    found = [(name, session) for name, session in world.shelf.all("youtube") if _is_complete(world, name, session)]
    return [
        {
            "platform": "youtube",
            "id": _video_id(name),
            "job": name,
            "account": channel_id(session["user"]),
            "draft": False,
            "title": session["resource"]["snippet"]["title"],
            "created_at": world.shelf.completed_at(name),
            "upload": name,
            "metadata": session["resource"],
            "slug": session["slug"],
        }
        for name, session in found
    ]


def channel_id(user: int) -> str:
    """Return a user's channel."""
    return f"UCmockchannel{user:011d}"


def _video_id(session: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(session.encode()).digest())[:11].decode().replace("-", "A")


def _is_complete(world: World, name: str, session: Record) -> bool:
    return world.shelf.size(name) == int(session["size"])


def refuse(status: int, reason: str) -> Answered:
    """Return a refusal in Google's shape."""
    error = {"code": status, "message": "mock", "errors": [{"reason": reason, "domain": "mock", "message": "mock"}]}
    return Answered(status, {"error": error})


def _user(world: World, authorization: str | None, scope: str) -> int:
    token = world.token("google", "access", bearer(authorization))
    if token is None:
        raise refuse(401, "authError")
    if scope not in token["scopes"]:
        raise refuse(403, "insufficientPermissions")
    return int(token["user"])


class Upload:
    """Sessions, and where their bytes go; the intake has taken them when `on_put` runs."""

    def __init__(self, world: World) -> None:
        self._world = world

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Open a session."""
        user = _user(self._world, req.auth, UPLOAD)
        size = req.get_header("X-Upload-Content-Length") or ""
        if req.get_param("uploadType") != "resumable" or not size.isdigit() or int(size) == 0:
            raise refuse(400, "mediaBodyRequired")
        resource = req.get_media()
        _check_resource(resource)
        if self._world.rules.unaudited:
            resource["status"]["privacyStatus"] = "private"
        session = new_id("yt")
        record = {
            "user": user,
            "size": int(size),
            "resource": resource,
            "slug": req.get_header("Slug") or "",
            "created_at": self._world.clock(),
        }
        self._world.shelf.put("youtube", session, record)
        resp.set_header("Location", f"{req.prefix}{_UPLOAD_PATH}?uploadType=resumable&upload_id={session}")

    def on_put(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Take a chunk's end, or tell how much is there."""
        name = req.get_param("upload_id") or ""
        asked = re.fullmatch(r"bytes \*/(\d+|\*)", req.get_header("Content-Range") or "")
        session = _session(self._world, name, req.auth or "")
        if not asked and req.get_header("X-Mock-Taken") is None:
            _place(self._world, req.query_string, req.get_header("Content-Range") or "", req.auth or "")
            raise refuse(400, "badRequest")
        if _is_complete(self._world, name, session):
            resp.status = 201 if not asked else 200
            resp.media = _resource(self._world, name, session)
            return
        held = _kept(self._world, name)
        resp.status = "308 Resume Incomplete"
        resp.set_header("Content-Length", "0")
        if held:
            resp.set_header("Range", f"bytes=0-{held - 1}")


def _check_resource(resource: Any) -> None:  # Any: JSON from outside
    snippet, status = resource.get("snippet", {}), resource.get("status", {})
    title, description = snippet.get("title", ""), snippet.get("description", "")
    if not title or len(title) > 100 or "<" in title or ">" in title:
        raise refuse(400, "invalidTitle")
    if len(description.encode()) > 5000 or "<" in description or ">" in description:
        raise refuse(400, "invalidDescription")
    if not str(snippet.get("categoryId", "22")).isdigit():
        raise refuse(400, "invalidCategoryId")
    flags = all(isinstance(status.get(name), bool) for name in ("selfDeclaredMadeForKids", "containsSyntheticMedia"))
    if status.get("privacyStatus") not in PRIVACY or not flags:
        raise refuse(400, "invalidVideoMetadata")


def _session(world: World, name: str, authorization: str) -> Record:
    user = _user(world, authorization, UPLOAD)
    session = world.shelf.get("youtube", name)
    if session is None or session["user"] != user:
        raise Answered(404)
    return session


def _kept(world: World, name: str) -> int:
    # Of a chunk that broke off, Google keeps whole units.
    return world.shelf.size(name) // UNIT * UNIT


def _place(world: World, query: str, content_range: str, authorization: str) -> Place:
    name = parse_qs(query).get("upload_id", [""])[0]
    session = _session(world, name, authorization)
    found = re.fullmatch(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15})", content_range)
    if found is None or int(found[3]) != session["size"]:
        raise refuse(400, "badRequest")
    first, end = int(found[1]), int(found[2]) + 1
    whole_units = (end - first) % UNIT == 0 or end == session["size"]
    if _is_complete(world, name, session) or first != _kept(world, name) or end > session["size"] or not whole_units:
        raise refuse(400, "badRequest")
    return Place(world.shelf.bytes_path(name), first)


def _resource(world: World, name: str, session: Record) -> Record:
    done = world.is_processed(name)
    published = datetime.fromtimestamp(world.shelf.completed_at(name), UTC)
    return {
        "kind": "youtube#video",
        "id": _video_id(name),
        "snippet": {**session["resource"]["snippet"], "publishedAt": published.strftime("%Y-%m-%dT%H:%M:%SZ")},
        "status": {**session["resource"]["status"], "uploadStatus": "processed" if done else "uploaded"},
        "fileDetails": {"fileName": session["slug"]},
    }


class Videos:
    """Videos by id."""

    def __init__(self, world: World) -> None:
        self._world = world

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer those that this user may see, with the parts asked for."""
        user = _user(self._world, req.auth, READ)
        ids = set((req.get_param("id") or "").split(","))
        parts = {"kind", "id", *(req.get_param("part") or "").split(",")}
        resp.media = {
            "items": [
                {part: value for part, value in _resource(self._world, name, session).items() if part in parts}
                for name, session in self._world.shelf.all("youtube")
                if session["user"] == user and _video_id(name) in ids and _is_complete(self._world, name, session)
            ]
        }


class Channels:
    """The user's channel."""

    def __init__(self, world: World) -> None:
        self._world = world

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer it."""
        user = _user(self._world, req.auth, READ)
        uploads = {"relatedPlaylists": {"uploads": channel_id(user).replace("UC", "UU", 1)}}
        snippet = {"title": f"Mock Channel {user}"}
        resp.media = {"items": [{"id": channel_id(user), "snippet": snippet, "contentDetails": uploads}]}


class PlaylistItems:
    """The uploads of a channel, newest first."""

    def __init__(self, world: World) -> None:
        self._world = world

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer them."""
        user = _user(self._world, req.auth, READ)
        if req.get_param("playlistId") != channel_id(user).replace("UC", "UU", 1):
            raise refuse(404, "playlistNotFound")
        ours = [post for post in posts(self._world) if post["account"] == channel_id(user)]
        ours.sort(key=lambda post: -float(post["created_at"]))
        resp.media = {"items": [{"contentDetails": {"videoId": post["id"]}} for post in ours[:25]]}


class Link:
    """A video's public address."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, video_id: str) -> None:
        """Show it."""
        raise falcon.HTTPFound(f"/posts/youtube/{video_id}")
