"""Plays the publishing actor: runs steps, stores handles as JSON, is killed on demand, goes on from what is stored."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from platforms.contract import ActionNeeded, Advanced, AuthorizedAccount, Handle, Post, Published, Publisher
from platforms.definition import PublishingOptions
from platforms.errors import TryLater, Unclear
from platforms.http.hosts import Roots
from platforms.instagram.publisher import Instagram
from platforms.mock.connect import connect
from platforms.oauth import LoginResult
from platforms.tiktok.publisher import TikTok
from platforms.youtube.publisher import CHUNK_UNIT_BYTES, YouTube

MAX_STEPS = 300
FILM_BYTES = 300_000


@dataclass(frozen=True)
class Case:
    """One way of publishing."""

    name: str
    variant: str
    make: Callable[[Roots], Publisher]
    tiktok_mode: Literal["inbox", "direct"] = "inbox"
    upload_at: str = "no upload"
    """A pattern for the requests that carry bytes."""

    def __str__(self) -> str:
        return self.name

    def publisher(self, hosts: Roots) -> Publisher:
        return self.make(hosts)

    def account(self, hosts: Roots) -> tuple[AuthorizedAccount, LoginResult]:
        login = connect(self.variant, hosts, options=PublishingOptions(tiktok_mode=self.tiktok_mode))
        platform = self.publisher(hosts).platform
        token = login.tokens.access_token
        account = AuthorizedAccount("acc", platform, self.variant, login.remote_id, login.name, token)
        return account, login


CASES = [
    Case("tiktok-inbox", "tiktok", lambda h: TikTok(h, pace=0), upload_at="PUT /tiktok-upload"),
    Case(
        "tiktok-direct",
        "tiktok",
        lambda h: TikTok(h, mode="direct", pace=0),
        tiktok_mode="direct",
        upload_at="PUT /tiktok-upload",
    ),
    Case("instagram-login", "instagram_login", lambda h: Instagram(h, pace=0)),
    Case("facebook-login", "facebook_login", lambda h: Instagram(h, pace=0), upload_at="POST /facebook-upload"),
    Case(
        "youtube",
        "google",
        lambda h: YouTube(h, pace=0, chunk_bytes=CHUNK_UNIT_BYTES),
        upload_at="PUT /youtube-api/upload",
    ),
]


class Studio:
    """Makes films that no other test has."""

    def __init__(self, directory: Path, base_url: str) -> None:
        self._directory = directory
        self._base_url = base_url
        self._numbers = itertools.count(1)

    def post(self, size_bytes: int = FILM_BYTES, **more: object) -> tuple[Post, str]:
        """Return a post with a film of its own, and the film's SHA-256."""
        number = next(self._numbers)
        content = os.urandom(size_bytes)
        film = self._directory / f"{number}.mp4"
        film.write_bytes(content)
        fields: dict[str, object] = {
            "publication_id": f"pub-{number}",
            "video": film,
            "size_bytes": size_bytes,
            "duration_s": 12.0,
            "title": f"Talk {number}",
            "caption": "On seeing",
            "part": 2,
            "parts": 5,
            "media_url": f"{self._base_url}/{number}.mp4",
            "gaze_corrected": True,
        }
        return Post(**{**fields, **more}), hashlib.sha256(content).hexdigest()  # type: ignore[arg-type]  # by name


@dataclass
class Journey:
    """What happened on the way to a post.

    Attributes:
        steps: every step begun, in order, with whether it was told that it had been interrupted.
        handles: every handle stored.
    """

    steps: list[tuple[str, bool]] = field(default_factory=list)
    handles: list[Handle] = field(default_factory=list)
    outcome: Published | ActionNeeded | None = None

    @property
    def kinds(self) -> list[str]:
        return [step for step, _ in self.steps]


def travel(
    publisher: Publisher,
    post: Post,
    account: AuthorizedAccount,
    *,
    deaths: Mapping[int, str] | None = None,
    start: Handle | None = None,
    journey: Journey | None = None,
) -> Journey:
    """Publish, as the actor would.

    Args:
        deaths: by number of the step: "before": the process dies after noting that the step begins, before any request;
            "after": it dies after the step is done, before its outcome is stored.
        start: the stored handle to go on from.
        journey: to be filled in, for a look at it when the way ends with an error.
    """
    journey, died = journey or Journey(), deaths or {}
    handle = start or publisher.begin(post, account)
    interrupted = False
    for number in range(MAX_STEPS):
        journey.steps.append((handle.step, interrupted))
        if died.get(number) == "before":
            interrupted = True
            continue
        try:
            outcome = publisher.advance(post, account, handle, interrupted=interrupted)
        except Unclear:
            interrupted = True
            continue
        except TryLater:
            continue
        if died.get(number) == "after":
            interrupted = True
            continue
        handle, interrupted = stored(outcome.handle), False
        journey.handles.append(handle)
        if not isinstance(outcome, Advanced):
            journey.outcome = outcome
            return journey
        time.sleep(max(outcome.again_after_s, 0.002 if handle.step == journey.kinds[-1] else 0))
    raise AssertionError(f"no end in sight: {journey.kinds[-20:]}")


def stored(handle: Handle) -> Handle:
    """Return the handle as it comes back from a database."""
    return Handle(handle.step, json.loads(json.dumps(dict(handle.facts))))
