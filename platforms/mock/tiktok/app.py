"""TikTok, as far as publishing goes: creator info, init, bytes, status, list.

A job's state is not written down but read off its bytes and the clock, so no kill can leave it wrong.
"""

# ruff: noqa: ARG002 - falcon hands every responder the request, the answer and all fields of the path

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import falcon

from platforms.mock import roots
from platforms.mock.intake import Place
from platforms.mock.shelf import Record, new_id
from platforms.mock.world import Answered, World, bearer

MAX_TITLE_UNITS = 2200
PRIVACY = ("PUBLIC_TO_EVERYONE", "MUTUAL_FOLLOW_FRIENDS", "FOLLOWER_OF_CREATOR", "SELF_ONLY")
MEGA = 1_000_000
_JSON = "application/json; charset=UTF-8"


def add_routes(app: falcon.App[Any, Any], world: World) -> None:  # Any: falcon's own request and response types
    """Add TikTok's paths."""
    auth, api = roots.TIKTOK_AUTH, roots.TIKTOK_API
    app.add_route(f"{auth}/@{{username}}/video/{{post_id}}", Link())
    app.add_route(f"{api}/v2/post/publish/creator_info/query/", CreatorInfo(world))
    app.add_route(f"{api}/v2/post/publish/video/init/", Init(world, direct=True))
    app.add_route(f"{api}/v2/post/publish/inbox/video/init/", Init(world, direct=False))
    app.add_route(f"{api}/v2/post/publish/status/fetch/", StatusFetch(world))
    app.add_route(f"{api}/v2/video/list/", VideoList(world))
    app.add_route(f"{roots.TIKTOK_UPLOAD}/video/", Upload(world))


def admit(world: World, method: str, path: str, query: str, headers: Mapping[str, str]) -> Place | None:
    """Say where an upload's bytes belong."""
    if method != "PUT" or path != f"{roots.TIKTOK_UPLOAD}/video/":
        return None
    try:
        return _place(world, query, headers.get("CONTENT_RANGE", ""), headers.get("CONTENT_LENGTH", ""))
    except Answered:
        return None  # the application will say why


def posts(world: World) -> list[Record]:
    """Return all jobs whose bytes are complete: each of them is a post or a draft."""
    return [_post(world, name, job) for name, job in world.shelf.all("tiktok") if _state(world, name, job) in _DONE]


_DONE = ("PUBLISH_COMPLETE", "SEND_TO_USER_INBOX")


def _post(world: World, name: str, job: Record) -> Record:
    draft = _state(world, name, job) == "SEND_TO_USER_INBOX"
    return {
        "platform": "tiktok",
        "id": _post_id(name),
        "job": name,
        "account": open_id(job["user"]),
        "draft": draft,
        "title": job["post_info"].get("title", ""),
        "created_at": world.shelf.completed_at(name),
        "upload": name,
        "metadata": job["post_info"],
    }


def open_id(user: int) -> str:
    """Return a user's id."""
    return f"mock-open-id-{user}"


def username(user: int) -> str:
    """Return a user's handle."""
    return f"mock.creator{user}"


def _post_id(publish_id: str) -> str:
    return str(7_000_000_000_000_000_000 + int(hashlib.sha256(publish_id.encode()).hexdigest()[:14], 16))


def _state(world: World, name: str, job: Record) -> str:
    if world.shelf.size(name) < job["size"]:
        late = world.clock() > job["created_at"] + 2 * world.rules.upload_url_s
        return "FAILED" if late else "PROCESSING_UPLOAD"
    if not world.is_processed(name):
        return "PROCESSING_UPLOAD"
    if job["direct"]:
        return "PUBLISH_COMPLETE"
    finished_s = world.rules.draft_done_s
    owner_acted = finished_s is not None and world.clock() > world.shelf.completed_at(name) + finished_s
    return "PUBLISH_COMPLETE" if owner_acted else "SEND_TO_USER_INBOX"


def refuse(status: int, code: str) -> Answered:
    """Return a refusal in TikTok's envelope."""
    return Answered(status, {"data": {}, "error": {"code": code, "message": "mock", "log_id": new_id("log")}})


def succeed(resp: falcon.Response, data: Record) -> None:
    """Answer in TikTok's envelope."""
    resp.media = {"data": data, "error": {"code": "ok", "message": "", "log_id": new_id("log")}}


def user_of(world: World, req: falcon.Request, *scopes: str) -> int:
    """Return whose token it is; raise when it is none, or lacks all of the scopes."""
    token = world.token("tiktok", "access", bearer(req.auth))
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
    """A post's public address."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, username: str, post_id: str) -> None:
        """Show the post."""
        raise falcon.HTTPFound(f"/posts/tiktok/{post_id}")


class CreatorInfo:
    """What an account may post."""

    def __init__(self, world: World) -> None:
        self._world = world

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer the options."""
        user = user_of(self._world, req, "video.publish")
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
    """The beginning of a job."""

    def __init__(self, world: World, *, direct: bool) -> None:
        self._world = world
        self._direct = direct

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Check what was asked for and hand out an address for the bytes."""
        user = user_of(self._world, req, "video.publish" if self._direct else "video.upload")
        body = _body(req)
        info = body.get("post_info", {})
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
            "created_at": self._world.clock(),
        }
        self._world.shelf.put("tiktok", publish_id, job)
        address = f"{req.prefix}{roots.TIKTOK_UPLOAD}/video/?upload_id={publish_id}&upload_token={secret}"
        succeed(resp, {"publish_id": publish_id, "upload_url": address})

    def _check_info(self, info: Record) -> None:
        title = str(info.get("title", ""))
        if len(title.encode("utf-16-le")) // 2 > MAX_TITLE_UNITS or not isinstance(info.get("is_aigc"), bool):
            raise refuse(400, "invalid_params")
        if info.get("privacy_level") not in PRIVACY:
            raise refuse(403, "privacy_level_option_mismatch")
        if self._world.rules.unaudited and info["privacy_level"] != "SELF_ONLY":
            raise refuse(403, "unaudited_client_can_only_post_to_private_accounts")

    def _checked_source(self, source: Record) -> tuple[int, int, int]:
        told = [source.get(name) for name in ("video_size", "chunk_size", "total_chunk_count")]
        size, chunk, count = (number if isinstance(number, int) else 0 for number in told)
        if source.get("source") != "FILE_UPLOAD" or min(size, chunk, count) <= 0:
            raise refuse(400, "invalid_params")
        whole = count == 1 and chunk == size and size <= 64 * MEGA
        several = 5 * MEGA <= chunk <= 64 * MEGA and count == size // chunk and 1 <= count <= 1000
        if not (whole or several):
            raise refuse(400, "invalid_params")
        return size, chunk, count


class Upload:
    """Where the bytes go; the intake has taken them when this runs."""

    def __init__(self, world: World) -> None:
        self._world = world

    def on_put(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Say how much is there."""
        name = req.get_param("upload_id") or ""
        if req.get_header("X-Mock-Taken") is None:
            _place(self._world, req.query_string, req.get_header("Content-Range") or "", str(req.content_length or ""))
            raise Answered(400)  # nothing was sent
        total = self._world.shelf.get("tiktok", name) or {}
        held = self._world.shelf.size(name)
        resp.status = 201 if held == total["size"] else 206
        resp.set_header("Content-Range", f"bytes 0-{held - 1}/{total['size']}")


def _place(world: World, query: str, content_range: str, content_length: str) -> Place:
    told = {name: values[0] for name, values in parse_qs(query).items()}
    name = told.get("upload_id", "")
    job = world.shelf.get("tiktok", name)
    if job is None or job["secret"] != told.get("upload_token"):
        raise Answered(404)
    if world.clock() > job["created_at"] + world.rules.upload_url_s:
        raise Answered(403)
    found = re.fullmatch(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15})", content_range)
    if found is None or int(found[3]) != job["size"] or content_length != str(int(found[2]) - int(found[1]) + 1):
        raise Answered(400)
    first, end = int(found[1]), int(found[2]) + 1
    held = world.shelf.size(name)
    if first != held or held >= job["size"] or end > job["size"]:
        raise Answered(416, headers={"Content-Range": f"bytes 0-{max(held - 1, 0)}/{job['size']}"})
    number = min(first // job["chunk"], job["count"] - 1)
    if end != (job["size"] if number == job["count"] - 1 else (number + 1) * job["chunk"]):
        raise Answered(400)
    return Place(world.shelf.bytes_path(name), first)


class StatusFetch:
    """How a job stands."""

    def __init__(self, world: World) -> None:
        self._world = world

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer its state."""
        user = user_of(self._world, req, "video.upload", "video.publish")
        name = str(_body(req).get("publish_id", ""))
        job = self._world.shelf.get("tiktok", name)
        if job is None:
            raise refuse(400, "invalid_publish_id")
        if job["user"] != user:
            raise refuse(400, "token_not_authorized_for_specified_publish_id")
        state = _state(self._world, name, job)
        public = state == "PUBLISH_COMPLETE" and job["post_info"].get("privacy_level", PRIVACY[0]) == PRIVACY[0]
        answer = {
            "status": state,
            "fail_reason": "",
            "publicaly_available_post_id": [int(_post_id(name))] if public else [],
            "uploaded_bytes": self._world.shelf.size(name),
            "downloaded_bytes": 0,
        }
        succeed(resp, answer)


class VideoList:
    """The newest public videos."""

    def __init__(self, world: World) -> None:
        self._world = world

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer them."""
        user = user_of(self._world, req, "video.list")
        listed = [
            {
                "id": post["id"],
                "create_time": int(post["created_at"]),
                "title": post["title"],
                "video_description": post["title"],
                "duration": 0,
                "share_url": f"{req.prefix}{roots.TIKTOK_AUTH}/@{username(user)}/video/{post['id']}",
            }
            for post in posts(self._world)
            if post["account"] == open_id(user) and not post["draft"]
        ]
        listed.sort(key=lambda video: -int(str(video["create_time"])))
        succeed(resp, {"videos": listed[:20], "cursor": 0, "has_more": False})
