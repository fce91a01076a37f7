"""Runs a publisher as the publishing actor does: stores handles as JSON, and can be killed and resumed at any step."""

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

from platforms.contract import ActionNeeded, Advanced, AuthorizedAccount, Handle, Outcome, Post, Published, Publisher
from platforms.definition import PublishingOptions
from platforms.errors import AccountRefused, PlatformError, Reconnect, Rejected, StartOver, TryLater, Unclear
from platforms.http.hosts import Roots
from platforms.instagram.publisher import Instagram
from platforms.mock.connect import connect
from platforms.oauth import LoginResult
from platforms.tiktok.options import CONSENT_VERSION
from platforms.tiktok.publisher import TikTok
from platforms.youtube.publisher import CHUNK_UNIT_BYTES, YouTube
from tests.support.clock import Clock

MAX_STEPS = 1_000
MAX_ERRORS = 30
VIDEO_BYTES = 300_000


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


class PostFactory:
    """Creates posts with unique videos."""

    def __init__(self, directory: Path, base_url: str) -> None:
        self._directory = directory
        self._base_url = base_url
        self._numbers = itertools.count(1)

    def post(self, size_bytes: int = VIDEO_BYTES, **more: object) -> tuple[Post, str]:
        """Return a post with a new video, and the video's SHA-256."""
        number = next(self._numbers)
        content = os.urandom(size_bytes)
        video = self._directory / f"{number}.mp4"
        video.write_bytes(content)
        fields: dict[str, object] = {
            "publication_id": f"pub-{number}",
            "video": video,
            "size_bytes": size_bytes,
            "duration_s": 12.0,
            "title": f"Talk {number} — Part 2/5",
            "caption": "On seeing",
            "media_url": f"{self._base_url}/{number}.mp4",
            "gaze_corrected": True,
            "options": {"privacy": "public", "consent": CONSENT_VERSION},
        }
        return Post(**{**fields, **more}), hashlib.sha256(content).hexdigest()  # type: ignore[arg-type]  # by name


@dataclass
class PublishingRun:
    """The record of one publication.

    Attributes:
        steps: every step begun, in order, with its `interrupted` argument.
        handles: every handle stored.
        errors: every error that was no verdict, in order.
        paused_s: the sum of all pauses.
        may_fail: whether the actor may end the publication as failed after the last error, once no retry is left.
    """

    steps: list[tuple[str, bool]] = field(default_factory=list)
    handles: list[Handle] = field(default_factory=list)
    errors: list[PlatformError] = field(default_factory=list)
    outcome: Published | ActionNeeded | None = None
    paused_s: float = 0.0
    may_fail: bool = False

    @property
    def kinds(self) -> list[str]:
        return [step for step, _ in self.steps]


def publish(
    publisher: Publisher,
    post: Post,
    account: AuthorizedAccount,
    *,
    kills: Mapping[int, str] | None = None,
    start: Handle | None = None,
    run: PublishingRun | None = None,
    reconnects: bool = False,
    clock: Clock | None = None,
) -> PublishingRun:
    """Publish a post as the actor does.

    An error at an irreversible step leaves the step interrupted. A refusal is a verdict only while nothing can be
    public; later it is a refused question, which is asked again. The last error is raised after `MAX_ERRORS` in a row.

    Args:
        kills: by number of the step: "before": the process dies after noting that the step begins, before any request;
            "after": it dies after the step is done, before its outcome is stored.
        start: the stored handle to resume from.
        run: the record to fill in, for inspection when publishing ends with an error.
        reconnects: the owner connects the account again whenever the platform asks for it, with the same token.
        clock: the publisher's; moved by every pause. None: the pauses are real.
    """
    run, kills = run or PublishingRun(), kills or {}
    handle = start or publisher.begin(post, account)
    interrupted, errors = False, 0
    for number in range(MAX_STEPS):
        run.steps.append((handle.step, interrupted))
        if kills.get(number) == "before":
            interrupted = True
            continue
        try:
            outcome = publisher.advance(post, account, handle, interrupted=interrupted)
        except StartOver as over:
            handle, interrupted = stored(over.handle), False
            run.handles.append(handle)
            run.errors.append(over)
            _pause(over.retry_after_s if clock else 0.0, clock, run)
            continue
        except PlatformError as error:
            certain = handle.step not in publisher.irreversible_steps and publisher.may_stop(handle)
            run.may_fail = certain
            if _is_verdict(error, certain=certain, reconnects=reconnects):
                raise
            errors += 1
            if errors >= MAX_ERRORS:
                raise
            run.errors.append(error)
            interrupted = interrupted or isinstance(error, Unclear) or handle.step in publisher.irreversible_steps
            _pause(_retry_after_s(error, errors) if clock else 0.0, clock, run)
            continue
        if kills.get(number) == "after":
            interrupted = True
            continue
        handle, interrupted, errors = stored(outcome.handle), False, 0
        run.handles.append(handle)
        if not isinstance(outcome, Advanced):
            run.outcome = outcome
            return run
        waits = 0.0 if clock else 0.002 if handle.step == run.kinds[-1] else 0.0
        _pause(max(outcome.again_after_s, waits), clock, run)
    raise AssertionError(f"no end in sight: {run.kinds[-20:]}")


def _is_verdict(error: PlatformError, *, certain: bool, reconnects: bool) -> bool:
    """Return whether the error ends the publication, where the actor would not run the step again."""
    if isinstance(error, TryLater | Unclear):
        return False
    if isinstance(error, Reconnect):
        return not reconnects
    if isinstance(error, Rejected):
        return certain
    if isinstance(error, AccountRefused):
        return certain or not reconnects
    return True  # PostFailed, OutcomeUnknown


def _retry_after_s(error: PlatformError, errors: int) -> float:
    wait_s = error.retry_after_s if isinstance(error, TryLater | Unclear) else 60.0
    return float(max(wait_s, min(30.0 * 4 ** (errors - 1), 3_600.0)))


def _pause(pause_s: float, clock: Clock | None, run: PublishingRun) -> None:
    run.paused_s += pause_s
    if clock is None:
        time.sleep(pause_s)
    else:
        clock.move(seconds=pause_s)


def first_step(publisher: Publisher, post: Post, account: AuthorizedAccount) -> Outcome:
    """Begin a publication and run its first step."""
    return publisher.advance(post, account, publisher.begin(post, account), interrupted=False)


def stored(handle: Handle) -> Handle:
    """Return the handle after a round trip through JSON."""
    return Handle(handle.step, json.loads(json.dumps(dict(handle.facts))))
