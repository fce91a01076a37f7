"""Meta's publishing API for Reels: containers, byte uploads, fetching from an address, publishing.

The state of a container is computed from its bytes, its age and the list of its posts. Publishing a container twice
creates two posts here, since Meta does not document that it would not.
"""

# ruff: noqa: ARG002 - falcon hands every responder the request, the answer and all fields of the path

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import falcon

from platforms.mock import roots
from platforms.mock.instagram.fetcher import Fetcher
from platforms.mock.state import MockErrorResponse, MockState, bearer, form
from platforms.mock.storage import Record, new_id
from platforms.mock.upload_stream import RECEIVED_HEADER, UploadRequest, UploadTarget

FACEBOOK_GRAPH = roots.path("facebook_graph_url")
FACEBOOK_UPLOAD = roots.path("facebook_upload_url")
INSTAGRAM_GRAPH = roots.path("instagram_graph_url")

MAX_CAPTION = 2200
MAX_COLLABORATORS = 3
_FIELDS = frozenset(
    {
        *("media_type", "caption", "share_to_feed", "is_ai_generated", "upload_type", "video_url", "thumb_offset"),
        *("collaborators", "access_token"),
    }
)
_BOOLEANS = {"true", "false", None}
_PUBLISH_SCOPES = frozenset({"instagram_business_content_publish", "instagram_content_publish"})
_UPLOAD_PREFIX = f"{FACEBOOK_UPLOAD}/ig-api-upload/"


def add_routes(app: falcon.App[Any, Any], state: MockState) -> None:  # Any: falcon's own request and response types
    """Add the paths of the Graph API on both hosts, and of the byte upload."""
    fetcher = Fetcher(state)
    for root, by_bytes in ((INSTAGRAM_GRAPH, False), (FACEBOOK_GRAPH, True)):
        app.add_route(f"{root}/{{version}}/{{node}}", Node(state, fetcher))
        app.add_route(f"{root}/{{version}}/{{node}}/media", MediaEdge(state, fetcher, by_bytes=by_bytes))
        app.add_route(f"{root}/{{version}}/{{node}}/media_publish", Publish(state, fetcher))
        app.add_route(f"{root}/{{version}}/{{node}}/content_publishing_limit", PublishingLimit(state))
    app.add_route(f"{_UPLOAD_PREFIX}{{version}}/{{container_id}}", UploadEndpoint(state))


def upload_target(state: MockState, request: UploadRequest) -> UploadTarget | None:
    """Return where the bytes of an upload are stored."""
    if request.method != "POST" or not request.path.startswith(_UPLOAD_PREFIX):
        return None
    names = ("AUTHORIZATION", "OFFSET", "FILE_SIZE", "CONTENT_LENGTH")
    headers = {name: request.headers.get(name, "") for name in names}
    return _target(state, request.path.rpartition("/")[2], headers)


def posts(state: MockState) -> list[Record]:
    """Return all posts; a container that was published twice has two."""
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
        for name, container in state.storage.records("instagram")
        for made in container["posts"]
    ]


def ig_id(user: int) -> str:
    """Return the Instagram account id of a user."""
    return f"1784140000000{user:04d}"


def username(user: int) -> str:
    """Return the user name of a user."""
    return f"mock.creator{user}"


def refuse(status: int, code: int, subcode: int = 0) -> MockErrorResponse:
    """Return an error response in Meta's format."""
    error = {
        "message": "mock",
        "type": "OAuthException",
        "code": code,
        "error_subcode": subcode,
        "fbtrace_id": new_id(),
    }
    return MockErrorResponse(status, {"error": error})


def user_of(state: MockState, token: str) -> int:
    """Return the user of a token; raise when it is invalid or may not publish."""
    record = state.token("instagram", "access", token)
    if record is None:
        raise refuse(401, 190, 463)
    if not _PUBLISH_SCOPES & set(record["scopes"]):
        raise refuse(403, 10)
    return int(record["user"])


def _token(req: falcon.Request) -> str:
    return bearer(req.auth) or req.get_param("access_token") or ""


def _container_state(state: MockState, name: str, container: Record) -> str:
    if container["posts"]:
        return "PUBLISHED"
    if container.get("failed"):
        return "ERROR"
    if state.clock() > container["created_at"] + state.options.container_s:
        return "EXPIRED"
    size = container.get("size")
    return "FINISHED" if size and state.storage.size(name) == size and state.is_processed(name) else "IN_PROGRESS"


class MediaEdge:
    """The containers and posts of an account."""

    def __init__(self, state: MockState, fetcher: Fetcher, *, by_bytes: bool) -> None:
        self._state = state
        self._fetcher = fetcher
        self._by_bytes = by_bytes

    def on_post(self, req: falcon.Request, resp: falcon.Response, version: str, node: str) -> None:
        """Create a container."""
        user = self._owner(req, node)
        fields = form(req)
        by_bytes = self._by_bytes and fields.get("upload_type") == "resumable"
        if fields.get("media_type") != "REELS" or (not by_bytes and not fields.get("video_url")):
            raise refuse(400, 100)  # (#100) The parameter video_url is required
        if len(fields.get("caption", "")) > MAX_CAPTION:
            raise refuse(400, 36004, 2207010)
        _check_fields(fields)
        name = str(17_000_000_000_000_000 + int(new_id()[:11], 16))
        container: Record = {"user": user, "fields": fields, "created_at": self._state.clock(), "posts": []}
        self._state.storage.put("instagram", name, container)
        self._fetcher.ensure(name, container)
        resp.media = {"id": name}
        if by_bytes:
            resp.media["uri"] = f"{req.prefix}{_UPLOAD_PREFIX}{version}/{name}"

    def on_get(self, req: falcon.Request, resp: falcon.Response, version: str, node: str) -> None:
        """List the newest posts."""
        self._owner(req, node)
        ours = [post for post in posts(self._state) if post["account"] == node]
        ours.sort(key=lambda post: -float(post["created_at"]))
        resp.media = {"data": [_media(req, post) for post in ours[: req.get_param_as_int("limit") or 25]]}

    def _owner(self, req: falcon.Request, user_id: str) -> int:
        user = user_of(self._state, _token(req))
        if user_id != ig_id(user):
            raise refuse(400, 100, 33)
        return user


def _check_fields(fields: Record) -> None:
    """Refuse fields that are unknown, and values that their type does not have."""
    if not set(fields) <= _FIELDS or not {fields.get("is_ai_generated"), fields.get("share_to_feed")} <= _BOOLEANS:
        raise refuse(400, 100)
    if not fields.get("thumb_offset", "0").isdigit():
        raise refuse(400, 100)
    try:
        names = json.loads(fields.get("collaborators", "[]"))
    except ValueError:
        raise refuse(400, 100) from None
    if (
        not isinstance(names, list)
        or len(names) > MAX_COLLABORATORS
        or not all(isinstance(name, str) for name in names)
    ):
        raise refuse(400, 100)


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

    def __init__(self, state: MockState, fetcher: Fetcher) -> None:
        self._state = state
        self._fetcher = fetcher

    def on_get(self, req: falcon.Request, resp: falcon.Response, version: str, node: str) -> None:
        """Return its fields."""
        user = user_of(self._state, _token(req))
        container = self._state.storage.get("instagram", node)
        if container is not None and container["user"] == user:
            self._fetcher.ensure(node, container)
            resp.media = self._container(node, container)
            return
        found = [post for post in posts(self._state) if post["id"] == node and post["account"] == ig_id(user)]
        if not found:
            raise refuse(400, 100, 33)
        resp.media = _media(req, found[0])

    def _container(self, name: str, container: Record) -> Record:
        state = _container_state(self._state, name, container)
        received = self._state.storage.size(name)
        whole = received > 0 and received == container.get("size")
        return {
            "id": name,
            "status_code": state,
            "status": f"{state.title()}: {container.get('failed') or 'mock'}",
            "video_status": {
                "uploading_phase": {"status": "complete" if whole else "in_progress", "bytes_transferred": received},
                "processing_phase": {"status": "complete" if state == "FINISHED" else "in_progress"},
            },
        }


class Publish:
    """The only irreversible call."""

    def __init__(self, state: MockState, fetcher: Fetcher) -> None:
        self._state = state
        self._fetcher = fetcher

    def on_post(self, req: falcon.Request, resp: falcon.Response, version: str, node: str) -> None:
        """Create a post from a container."""
        user = user_of(self._state, _token(req))
        name = form(req).get("creation_id", "")
        with self._state.storage.lock:
            container = self._state.storage.get("instagram", name)
            if container is None or container["user"] != user or node != ig_id(user):
                raise refuse(400, 24, 2207006)
            state = _container_state(self._state, name, container)
            if state == "EXPIRED":
                raise refuse(400, 24, 2207008)
            if state not in {"FINISHED", "PUBLISHED"}:
                raise refuse(400, 9007, 2207027)
            if _used_posts(self._state, node) >= self._state.options.instagram_quota:
                raise refuse(403, 9, 2207042)
            made = {"id": str(18_000_000_000_000_000 + int(new_id()[:11], 16)), "at": self._state.clock()}
            self._state.storage.put("instagram", name, {**container, "posts": [*container["posts"], made]})
        resp.media = {"id": made["id"]}


class PublishingLimit:
    """The limit of posts in 24 hours."""

    def __init__(self, state: MockState) -> None:
        self._state = state

    def on_get(self, req: falcon.Request, resp: falcon.Response, version: str, node: str) -> None:
        """Return the number of posts in the last 24 hours."""
        user_of(self._state, _token(req))
        config = {"quota_total": self._state.options.instagram_quota, "quota_duration": 86_400}
        resp.media = {"data": [{"quota_usage": _used_posts(self._state, node), "config": config}]}


def _used_posts(state: MockState, account: str) -> int:
    since = state.clock() - 86_400
    return sum(post["account"] == account and post["created_at"] > since for post in posts(state))


class UploadEndpoint:
    """The upload address; the bytes are stored already when this runs."""

    def __init__(self, state: MockState) -> None:
        self._state = state

    def on_post(self, req: falcon.Request, resp: falcon.Response, version: str, container_id: str) -> None:
        """Confirm that the bytes are stored."""
        headers = {
            "AUTHORIZATION": req.auth or "",
            "OFFSET": req.get_header("offset") or "",
            "FILE_SIZE": req.get_header("File-Size") or "",
            "CONTENT_LENGTH": str(req.content_length or ""),
        }
        if req.get_header(RECEIVED_HEADER) is None:
            _target(self._state, container_id, headers)
            raise MockErrorResponse(
                400, {"debug_info": {"retriable": False, "type": "mock", "message": "nothing sent"}}
            )
        resp.media = {"success": True, "message": "mock"}


def _target(state: MockState, container_id: str, headers: Mapping[str, str]) -> UploadTarget:
    user = user_of(state, bearer(headers["AUTHORIZATION"], "OAuth"))
    with state.storage.lock:
        container = state.storage.get("instagram", container_id)
        if container is None or container["user"] != user or container["fields"].get("upload_type") != "resumable":
            raise refuse(400, 100, 33)
        received = state.storage.size(container_id)
        numbers = all(headers[name].isdigit() for name in ("OFFSET", "FILE_SIZE", "CONTENT_LENGTH"))
        whole = numbers and int(headers["OFFSET"]) + int(headers["CONTENT_LENGTH"]) == int(headers["FILE_SIZE"])
        if (
            not whole
            or int(headers["OFFSET"]) != received
            or container.get("size", int(headers["FILE_SIZE"])) != int(headers["FILE_SIZE"])
        ):
            message = "offset and length must cover the rest"
            raise MockErrorResponse(
                400, {"debug_info": {"retriable": True, "type": "OffsetInvalidError", "message": message}}
            )
        if "size" not in container:
            state.storage.put("instagram", container_id, {**container, "size": int(headers["FILE_SIZE"])})
    return UploadTarget(state.storage.bytes_path(container_id), received)
