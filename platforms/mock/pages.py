"""Pages for people and tests: the posts with their videos, and the control of faults."""

# ruff: noqa: ARG002 - falcon hands every responder the request, the answer and all fields of the path

from __future__ import annotations

import functools
import hashlib
import html
import json
import os
from pathlib import Path
from typing import Any

import falcon

from platforms.mock.faults import Faults
from platforms.mock.mocks import MOCKS
from platforms.mock.state import MockState
from platforms.mock.storage import Record

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>body{{font:16px sans-serif;max-width:30em;margin:1em auto;padding:0 1em}}
video{{width:100%;max-height:80vh;background:#000}}pre{{white-space:pre-wrap}}</style>
<h1>{platform}{draft}</h1><video controls playsinline src="{video}"></video><p>{caption}</p>
<details><summary>Fields of the request</summary><pre>{metadata}</pre></details></html>"""


def add_routes(app: falcon.App[Any, Any], state: MockState, faults: Faults) -> None:  # Any: falcon's own types
    """Add the paths of the pages and the controls."""
    app.add_route("/", Index())
    app.add_route("/mock/posts", Posts(state))
    app.add_route("/mock/faults", FaultControl(faults))
    app.add_route("/mock/reset", Reset(state, faults))
    app.add_route("/mock/expire-tokens/{platform}", ExpireTokens(state))
    app.add_route("/posts/{platform}/{post_id}", PostPage(state))
    app.add_route("/posts/{platform}/{post_id}/video", PostVideo(state))


def all_posts(state: MockState) -> list[Record]:
    """Return the posts and drafts of all platforms, the oldest first."""
    found = [post for mock in MOCKS.values() for post in mock.posts(state)]
    return sorted(found, key=lambda post: float(post["created_at"]))


class Index:
    """The start page."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Return the addresses of the lists."""
        resp.media = {"mock": "TikTok, Instagram, YouTube", "posts": "/mock/posts", "webhooks": "/mock/webhooks"}


class Posts:
    """The posts of all platforms."""

    def __init__(self, state: MockState) -> None:
        self._state = state

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List them with size and SHA-256 of the video and the address of the page."""
        resp.media = [self._document(req, post) for post in all_posts(self._state)]

    def _document(self, req: falcon.Request, post: Record) -> Record:
        path = self._state.storage.bytes_path(post["upload"])
        page = f"{req.prefix}/posts/{post['platform']}/{post['id']}"
        return {**post, "size_bytes": path.stat().st_size, "sha256": _sha256(path), "page": page}


@functools.lru_cache(maxsize=1000)
def _sha256(path: Path) -> str:
    # The bytes of a post are complete and no longer change.
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class FaultControl:
    """The control of faults; see `platforms.mock.faults`."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Add one fault or several."""
        described = req.get_media()
        try:
            for fault in described if isinstance(described, list) else [described]:
                self._faults.add(fault)
        except ValueError as error:
            raise falcon.HTTPBadRequest(description=str(error)) from error
        resp.media = {"struck": self._faults.struck}

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Return how many have struck."""
        resp.media = {"struck": self._faults.struck}

    def on_delete(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Remove all."""
        self._faults.clear()
        resp.media = {"struck": 0}


class Reset:
    """A new start with the same accounts and tokens."""

    def __init__(self, state: MockState, faults: Faults) -> None:
        self._state = state
        self._faults = faults

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Remove all posts, unfinished posts and faults; then add the faults in the request."""
        for kind in (*MOCKS, "bytes"):
            self._state.storage.remove_all(kind)
        self._faults.clear()
        for fault in req.get_media():
            self._faults.add(fault)
        resp.media = {}


class ExpireTokens:
    """The control of token expiry."""

    def __init__(self, state: MockState) -> None:
        self._state = state

    def on_post(self, req: falcon.Request, resp: falcon.Response, platform: str) -> None:
        """Expire all access tokens of "tiktok", "instagram" or "google"."""
        resp.media = {"expired": self._state.expire_tokens(platform)}


class PostPage:
    """The page of a post."""

    def __init__(self, state: MockState) -> None:
        self._state = state

    def on_get(self, req: falcon.Request, resp: falcon.Response, platform: str, post_id: str) -> None:
        """Return the page."""
        post = _find(self._state, platform, post_id)
        resp.content_type = falcon.MEDIA_HTML
        resp.text = _PAGE.format(
            title=html.escape(f"{platform} {post_id}"),
            platform=html.escape(platform),
            draft=" (draft)" if post["draft"] else "",
            video=html.escape(f"/posts/{platform}/{post_id}/video"),
            caption=html.escape(post["title"]).replace("\n", "<br>"),
            metadata=html.escape(json.dumps(post["metadata"], indent=2, ensure_ascii=False)),
        )


class PostVideo:
    """The video of a post."""

    def __init__(self, state: MockState) -> None:
        self._state = state

    def on_get(self, req: falcon.Request, resp: falcon.Response, platform: str, post_id: str) -> None:
        """Send the video, or the requested range."""
        path = self._state.storage.bytes_path(_find(self._state, platform, post_id)["upload"])
        size = path.stat().st_size
        span = req.range if req.range and req.range_unit == "bytes" else None
        first = 0 if span is None else span[0] if span[0] >= 0 else max(size + span[0], 0)
        last = size - 1 if span is None or span[1] < 0 else min(span[1], size - 1)
        if first > last:
            raise falcon.HTTPRangeNotSatisfiable(size)
        file = path.open("rb")
        file.seek(first)
        resp.content_type = "video/mp4"
        resp.set_header("Accept-Ranges", "bytes")
        if span is not None:
            resp.status = 206
            resp.set_header("Content-Range", f"bytes {first}-{last}/{size}")
        resp.set_stream(_OpenRange(file.fileno(), file, last - first + 1), last - first + 1)


class _OpenRange:
    """A range of an open file, for waitress to send."""

    def __init__(self, descriptor: int, file: Any, left: int) -> None:  # Any: kept only so that it stays open
        self._descriptor = descriptor
        self._file = file
        self._left = left

    def read(self, size: int | None = None, /) -> bytes:
        block = os.read(self._descriptor, min(self._left, size or 65_536))
        self._left -= len(block)
        return block

    def close(self) -> None:
        self._file.close()


def _find(state: MockState, platform: str, post_id: str) -> Record:
    for post in all_posts(state):
        if post["platform"] == platform and post["id"] == post_id:
            return post
    raise falcon.HTTPNotFound
