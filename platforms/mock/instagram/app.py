"""Meta, as far as publishing reels goes: containers, byte uploads, fetching from an address, publishing.

A container's state is read off its bytes, its age and the list of posts made from it. Publishing a container twice
makes two posts here, since nobody documents that it does not.
"""

# ruff: noqa: ARG002 - falcon hands every responder the request, the answer and all fields of the path

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import falcon

from platforms.mock import roots
from platforms.mock.instagram.fetcher import Fetcher
from platforms.mock.intake import Place
from platforms.mock.shelf import Record, new_id
from platforms.mock.world import Answered, World, bearer, form

MAX_CAPTION = 2200
_PUBLISH_SCOPES = frozenset({"instagram_business_content_publish", "instagram_content_publish"})
_UPLOAD_PREFIX = f"{roots.FACEBOOK_UPLOAD}/ig-api-upload/"


def add_routes(app: falcon.App[Any, Any], world: World) -> None:  # Any: falcon's own request and response types
    """Add the Graph API below both roots, and the byte upload."""
    fetcher = Fetcher(world)
    for root, by_bytes in ((roots.INSTAGRAM_GRAPH, False), (roots.FACEBOOK_GRAPH, True)):
        app.add_route(f"{root}/{{version}}/{{node}}", Node(world, fetcher))
        app.add_route(f"{root}/{{version}}/{{node}}/media", MediaEdge(world, fetcher, by_bytes=by_bytes))
        app.add_route(f"{root}/{{version}}/{{node}}/media_publish", Publish(world, fetcher))
        app.add_route(f"{root}/{{version}}/{{node}}/content_publishing_limit", PublishingLimit(world))
    app.add_route(f"{_UPLOAD_PREFIX}{{version}}/{{container_id}}", Upload(world))


def admit(world: World, method: str, path: str, query: str, headers: Mapping[str, str]) -> Place | None:
    """Say where an upload's bytes belong."""
    del query
    if method != "POST" or not path.startswith(_UPLOAD_PREFIX):
        return None
    told = {name: headers.get(name, "") for name in ("AUTHORIZATION", "OFFSET", "FILE_SIZE", "CONTENT_LENGTH")}
    try:
        return _place(world, path.rpartition("/")[2], told)
    except Answered:
        return None  # the application will say why


def posts(world: World) -> list[Record]:
    """Return all posts; a container published twice made two."""
    return [
        {
            "platform": "instagram",
            "id": made["id"],
            "job": name,
            "account": ig_id(container["user"]),
            "draft": False,
            "title": container["fields"].get("caption", ""),
            "created_at": made["at"],
            "upload": name,
            "metadata": {key: value for key, value in container["fields"].items() if key != "video_url"},
        }
        for name, container in world.shelf.all("instagram")
        for made in container["posts"]
    ]


def ig_id(user: int) -> str:
    """Return a user's Instagram account."""
    return f"1784140000000{user:04d}"


def username(user: int) -> str:
    """Return a user's handle."""
    return f"mock.creator{user}"


def refuse(status: int, code: int, subcode: int = 0) -> Answered:
    """Return a refusal in Meta's shape."""
    error = {
        "message": "mock",
        "type": "OAuthException",
        "code": code,
        "error_subcode": subcode,
        "fbtrace_id": new_id(),
    }
    return Answered(status, {"error": error})


def user_of(world: World, token: str) -> int:
    """Return whose token it is; raise when it is not one that may publish."""
    record = world.token("instagram", "access", token)
    if record is None:
        raise refuse(401, 190, 463)
    if not _PUBLISH_SCOPES & set(record["scopes"]):
        raise refuse(403, 10)
    return int(record["user"])


def _presented(req: falcon.Request) -> str:
    return bearer(req.auth) or req.get_param("access_token") or ""


def _state(world: World, name: str, container: Record) -> str:
    if container["posts"]:
        return "PUBLISHED"
    if container.get("failed"):
        return "ERROR"
    if world.clock() > container["created_at"] + world.rules.container_s:
        return "EXPIRED"
    size = container.get("size")
    return "FINISHED" if size and world.shelf.size(name) == size and world.is_processed(name) else "IN_PROGRESS"


class MediaEdge:
    """The containers and posts of an account."""

    def __init__(self, world: World, fetcher: Fetcher, *, by_bytes: bool) -> None:
        self._world = world
        self._fetcher = fetcher
        self._by_bytes = by_bytes

    def on_post(self, req: falcon.Request, resp: falcon.Response, version: str, node: str) -> None:
        """Make a container."""
        user = self._owner(req, node)
        fields = form(req)
        by_bytes = self._by_bytes and fields.get("upload_type") == "resumable"
        if fields.get("media_type") != "REELS" or (not by_bytes and not fields.get("video_url")):
            raise refuse(400, 100)  # (#100) The parameter video_url is required
        if len(fields.get("caption", "")) > MAX_CAPTION:
            raise refuse(400, 36004, 2207010)
        if not {fields.get("is_ai_generated"), fields.get("share_to_feed")} <= {"true", "false", None}:
            raise refuse(400, 100)
        name = str(17_000_000_000_000_000 + int(new_id()[:11], 16))
        container: Record = {"user": user, "fields": fields, "created_at": self._world.clock(), "posts": []}
        self._world.shelf.put("instagram", name, container)
        self._fetcher.ensure(name, container)
        resp.media = {"id": name}
        if by_bytes:
            resp.media["uri"] = f"{req.prefix}{_UPLOAD_PREFIX}{version}/{name}"

    def on_get(self, req: falcon.Request, resp: falcon.Response, version: str, node: str) -> None:
        """List the newest posts."""
        self._owner(req, node)
        ours = [post for post in posts(self._world) if post["account"] == node]
        ours.sort(key=lambda post: -float(post["created_at"]))
        resp.media = {"data": [_media(req, post) for post in ours[: req.get_param_as_int("limit") or 25]]}

    def _owner(self, req: falcon.Request, user_id: str) -> int:
        user = user_of(self._world, _presented(req))
        if user_id != ig_id(user):
            raise refuse(400, 100, 33)
        return user


def _media(req: falcon.Request, post: Record) -> Record:
    return {
        "id": post["id"],
        "caption": post["title"],
        "timestamp": datetime.fromtimestamp(post["created_at"], UTC).strftime("%Y-%m-%dT%H:%M:%S+0000"),
        "permalink": f"{req.prefix}/posts/instagram/{post['id']}",
        "media_product_type": "REELS",
    }


class Node:
    """A container or a post, by id."""

    def __init__(self, world: World, fetcher: Fetcher) -> None:
        self._world = world
        self._fetcher = fetcher

    def on_get(self, req: falcon.Request, resp: falcon.Response, version: str, node: str) -> None:
        """Answer its fields."""
        user = user_of(self._world, _presented(req))
        container = self._world.shelf.get("instagram", node)
        if container is not None and container["user"] == user:
            self._fetcher.ensure(node, container)
            resp.media = self._container(node, container)
            return
        found = [post for post in posts(self._world) if post["id"] == node and post["account"] == ig_id(user)]
        if not found:
            raise refuse(400, 100, 33)
        resp.media = _media(req, found[0])

    def _container(self, name: str, container: Record) -> Record:
        state = _state(self._world, name, container)
        held = self._world.shelf.size(name)
        whole = held > 0 and held == container.get("size")
        return {
            "id": name,
            "status_code": state,
            "status": f"{state.title()}: {container.get('failed') or 'mock'}",
            "video_status": {
                "uploading_phase": {"status": "complete" if whole else "in_progress", "bytes_transferred": held},
                "processing_phase": {"status": "complete" if state == "FINISHED" else "in_progress"},
            },
        }


class Publish:
    """The one call that cannot be taken back."""

    def __init__(self, world: World, fetcher: Fetcher) -> None:
        self._world = world
        self._fetcher = fetcher

    def on_post(self, req: falcon.Request, resp: falcon.Response, version: str, node: str) -> None:
        """Make a post from a container."""
        user = user_of(self._world, _presented(req))
        name = form(req).get("creation_id", "")
        with self._world.shelf.lock:
            container = self._world.shelf.get("instagram", name)
            if container is None or container["user"] != user or node != ig_id(user):
                raise refuse(400, 24, 2207006)
            state = _state(self._world, name, container)
            if state == "EXPIRED":
                raise refuse(400, 24, 2207008)
            if state not in {"FINISHED", "PUBLISHED"}:
                raise refuse(400, 9007, 2207027)
            made = {"id": str(18_000_000_000_000_000 + int(new_id()[:11], 16)), "at": self._world.clock()}
            self._world.shelf.put("instagram", name, {**container, "posts": [*container["posts"], made]})
        resp.media = {"id": made["id"]}


class PublishingLimit:
    """How many posts are left."""

    def __init__(self, world: World) -> None:
        self._world = world

    def on_get(self, req: falcon.Request, resp: falcon.Response, version: str, node: str) -> None:
        """Answer the use of the last 24 hours."""
        user_of(self._world, _presented(req))
        since = self._world.clock() - 86_400
        used = sum(post["account"] == node and post["created_at"] > since for post in posts(self._world))
        resp.media = {"data": [{"quota_usage": used, "config": {"quota_total": 50, "quota_duration": 86_400}}]}


class Upload:
    """Where the bytes go; the intake has taken them when this runs."""

    def __init__(self, world: World) -> None:
        self._world = world

    def on_post(self, req: falcon.Request, resp: falcon.Response, version: str, container_id: str) -> None:
        """Say that the bytes are in."""
        told = {
            "AUTHORIZATION": req.auth or "",
            "OFFSET": req.get_header("offset") or "",
            "FILE_SIZE": req.get_header("File-Size") or "",
            "CONTENT_LENGTH": str(req.content_length or ""),
        }
        if req.get_header("X-Mock-Taken") is None:
            _place(self._world, container_id, told)
            raise Answered(400, {"debug_info": {"retriable": False, "type": "mock", "message": "nothing was sent"}})
        resp.media = {"success": True, "message": "mock"}


def _place(world: World, container_id: str, told: Mapping[str, str]) -> Place:
    user = user_of(world, bearer(told["AUTHORIZATION"], "OAuth"))
    with world.shelf.lock:
        container = world.shelf.get("instagram", container_id)
        if container is None or container["user"] != user or container["fields"].get("upload_type") != "resumable":
            raise refuse(400, 100, 33)
        held = world.shelf.size(container_id)
        numbers = all(told[name].isdigit() for name in ("OFFSET", "FILE_SIZE", "CONTENT_LENGTH"))
        whole = numbers and int(told["OFFSET"]) + int(told["CONTENT_LENGTH"]) == int(told["FILE_SIZE"])
        if (
            not whole
            or int(told["OFFSET"]) != held
            or container.get("size", int(told["FILE_SIZE"])) != int(told["FILE_SIZE"])
        ):
            message = "offset and length must cover the rest of the file"
            raise Answered(400, {"debug_info": {"retriable": True, "type": "OffsetInvalidError", "message": message}})
        if "size" not in container:
            world.shelf.put("instagram", container_id, {**container, "size": int(told["FILE_SIZE"])})
    return Place(world.shelf.bytes_path(container_id), held)
