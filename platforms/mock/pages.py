"""What a person or a test looks at: the posts, their pages and their videos, and the switch for faults."""

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
from platforms.mock.instagram import app as instagram
from platforms.mock.shelf import Record
from platforms.mock.tiktok import app as tiktok
from platforms.mock.world import World
from platforms.mock.youtube import app as youtube

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>body{{font:16px sans-serif;max-width:30em;margin:1em auto;padding:0 1em}}
video{{width:100%;max-height:80vh;background:#000}}pre{{white-space:pre-wrap}}</style>
<h1>{platform}{draft}</h1><video controls playsinline src="{video}"></video><p>{caption}</p>
<details><summary>What the platform was told</summary><pre>{metadata}</pre></details></html>"""


def add_routes(app: falcon.App[Any, Any], world: World, faults: Faults) -> None:  # Any: falcon's own types
    """Add the pages and the controls."""
    app.add_route("/", Front())
    app.add_route("/mock/posts", Posts(world))
    app.add_route("/mock/faults", FaultSwitch(faults))
    app.add_route("/mock/expire-tokens/{platform}", ExpireTokens(world))
    app.add_route("/posts/{platform}/{post_id}", PostPage(world))
    app.add_route("/posts/{platform}/{post_id}/video", PostVideo(world))


def all_posts(world: World) -> list[Record]:
    """Return the posts of all platforms, oldest first; drafts are among them, and say so."""
    found = [*tiktok.posts(world), *instagram.posts(world), *youtube.posts(world)]
    return sorted(found, key=lambda post: float(post["created_at"]))


class Front:
    """Shows that the mock is up."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Say so."""
        resp.media = {"mock": "TikTok, Instagram, YouTube", "posts": "/mock/posts", "webhooks": "/mock/webhooks"}


class Posts:
    """All posts."""

    def __init__(self, world: World) -> None:
        self._world = world

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List them with the size and SHA-256 of their videos and the address of their pages."""
        resp.media = [self._shown(req, post) for post in all_posts(self._world)]

    def _shown(self, req: falcon.Request, post: Record) -> Record:
        path = self._world.shelf.bytes_path(post["upload"])
        page = f"{req.prefix}/posts/{post['platform']}/{post['id']}"
        return {**post, "size_bytes": path.stat().st_size, "sha256": _sha256(path), "page": page}


@functools.lru_cache(maxsize=1000)
def _sha256(path: Path) -> str:
    # A post's bytes are complete and change no more.
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class FaultSwitch:
    """What goes wrong next; see `platforms.mock.faults`."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Add one fault or several."""
        told = req.get_media()
        try:
            for fault in told if isinstance(told, list) else [told]:
                self._faults.add(fault)
        except ValueError as error:
            raise falcon.HTTPBadRequest(description=str(error)) from error
        resp.media = {"struck": self._faults.struck}

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Say how many have struck."""
        resp.media = {"struck": self._faults.struck}

    def on_delete(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Forget all."""
        self._faults.clear()
        resp.media = {"struck": 0}


class ExpireTokens:
    """Lets time pass for access tokens."""

    def __init__(self, world: World) -> None:
        self._world = world

    def on_post(self, req: falcon.Request, resp: falcon.Response, platform: str) -> None:
        """Expire all access tokens of "tiktok", "instagram" or "google"."""
        resp.media = {"expired": self._world.kill_tokens(platform)}


class PostPage:
    """One post, for a browser."""

    def __init__(self, world: World) -> None:
        self._world = world

    def on_get(self, req: falcon.Request, resp: falcon.Response, platform: str, post_id: str) -> None:
        """Show it."""
        post = _find(self._world, platform, post_id)
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
    """One post's video."""

    def __init__(self, world: World) -> None:
        self._world = world

    def on_get(self, req: falcon.Request, resp: falcon.Response, platform: str, post_id: str) -> None:
        """Send it, or the range that a player asks for."""
        path = self._world.shelf.bytes_path(_find(self._world, platform, post_id)["upload"])
        size = path.stat().st_size
        asked = req.range if req.range and req.range_unit == "bytes" else None
        first = 0 if asked is None else asked[0] if asked[0] >= 0 else max(size + asked[0], 0)
        last = size - 1 if asked is None or asked[1] < 0 else min(asked[1], size - 1)
        if first > last:
            raise falcon.HTTPRangeNotSatisfiable(size)
        file = path.open("rb")
        file.seek(first)
        resp.content_type = "video/mp4"
        resp.set_header("Accept-Ranges", "bytes")
        if asked is not None:
            resp.status = 206
            resp.set_header("Content-Range", f"bytes {first}-{last}/{size}")
        resp.set_stream(_Range(file.fileno(), file, last - first + 1), last - first + 1)


class _Range:
    """A part of an open file, for waitress to send."""

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


def _find(world: World, platform: str, post_id: str) -> Record:
    for post in all_posts(world):
        if post["platform"] == platform and post["id"] == post_id:
            return post
    raise falcon.HTTPNotFound
