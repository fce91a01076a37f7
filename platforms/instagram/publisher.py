"""Publishes Reels on Instagram, through either of Meta's two logins.

    Facebook Login:   container → upload ⇄ locate ─┐
    Instagram Login:  container (Meta fetches) ────┴→ processing → publish → link → done
                          ↑ expired, failed                 ↓ unclear   ↑ FINISHED at every look
                          └───────────────────────────────  confirm ────┘
                                                            ↓ PUBLISHED
                                                          find → done

Why it cannot post twice: only `publish` makes anything public. After an unclear answer the container is asked; while it
says FINISHED at four looks over four minutes it was not published, and then the very same container is published
again, since a second container would be a second post. Once it was seen PUBLISHED, `publish` is never run again.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from platforms import video, wording
from platforms.contract import Account, Advanced, Disclosure, Handle, Outcome, Post, Published
from platforms.disclosure import declares
from platforms.errors import OutcomeUnknown, PlatformError, Reconnect, Rejected, TryLater, Unclear
from platforms.http.hosts import Hosts
from platforms.instagram.api import (
    CONTAINER_REMAKE,
    GRAPH_VERSION,
    UNCLEAR_AT_PUBLISH,
    Calls,
    ContainerStatus,
    Refused,
    blocked,
)

# developers.facebook.com, IG user media reference and content publishing (read 2026-11-22).
MAX_BYTES = 300_000_000
MIN_S, MAX_S = 3.0, 900.0
PROCESSING_CADENCE_S = (10.0, 20.0, 30.0, 60.0)  # "once a minute"; shorter at first, parts are small
CONFIRM_CADENCE_S = (5.0, 15.0, 60.0, 180.0)
FIND_CADENCE_S = (5.0, 30.0, 120.0)
LINK_CADENCE_S = (5.0, 60.0, 600.0)
CONTAINER_LIFE_S = 86_400.0
REMAKES = 2
PUBLISHES = 3
_CONTAINER_FACTS = ("container", "uri", "offset", "made_at", "looks", "publishes", "tried_at", "blocked", "located")


@dataclass(frozen=True)
class _Turn:
    """One call of `advance`."""

    post: Post
    account: Account
    handle: Handle
    interrupted: bool
    calls: Calls

    @property
    def token(self) -> str:
        return self.account.access_token

    @property
    def container(self) -> str:
        return self.handle.text("container")


class Instagram:
    """The publisher; see `platforms.contract.Publisher`."""

    platform = "instagram"

    def __init__(
        self,
        hosts: Hosts,
        *,
        version: str = GRAPH_VERSION,
        disclosure: Disclosure = "gaze",
        share_to_feed: bool = True,
        pace: float = 1.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Set how to publish.

        Args:
            version: of the Graph API.
            share_to_feed: whether a reel is shown in the profile's feed, too.
            pace: factor on all pauses between questions; small in tests.
            clock: Unix seconds.
        """
        self._hosts = hosts
        self._version = version
        self._disclosure: Disclosure = disclosure
        self._share_to_feed = share_to_feed
        self._pace = pace
        self._clock = clock
        self._steps: Mapping[str, Callable[[_Turn], Outcome]] = {
            "container": self._container,
            "upload": self._upload,
            "locate": self._locate,
            "processing": self._processing,
            "publish": self._publish,
            "confirm": self._confirm,
            "find": self._find,
            "link": self._link,
            "done": self._done,
        }

    def begin(self, post: Post, account: Account) -> Handle:
        """Check the words and the file, and return the first handle."""
        wording.compose(self.platform, post.title, post.caption, post.part, post.parts)
        video.check(post, max_bytes=MAX_BYTES, min_s=MIN_S, max_s=MAX_S)
        if post.privacy != "public":
            raise Rejected("privacy_refused", "Instagram publishes to everyone who may see the account")
        if account.variant != "facebook_login" and not post.media_url:
            raise Rejected("media_url_missing", "with Instagram Login the video must have a public address")
        return Handle("container")

    def may_stop(self, handle: Handle) -> bool:
        """Say whether nothing was made public yet: only `publish` does that."""
        return handle.step in {"container", "upload", "locate", "processing", "publish"} and not handle.number(
            "publishes"
        )

    def advance(self, post: Post, account: Account, handle: Handle, *, interrupted: bool) -> Outcome:
        """Run one step."""
        step = self._steps.get(handle.step)
        if step is None:
            raise OutcomeUnknown("step_unknown", f"no step is called {handle.step!r}")
        calls = Calls(self._hosts, account.variant, self._version)
        try:
            return step(_Turn(post, account, handle, interrupted, calls))
        except Refused as refused:
            raise refused.error() from None

    # The container, which publishes nothing -----------------------------------------------------------------------

    def _container(self, turn: _Turn) -> Outcome:
        # Unanswered before or not: a container that nobody knows dies within a day and cannot become a post.
        bytes_by_us = turn.account.variant == "facebook_login"
        source = {"upload_type": "resumable"} if bytes_by_us else {"video_url": turn.post.media_url or ""}
        made = turn.calls.container(
            turn.token,
            turn.account.remote_id,
            {
                "media_type": "REELS",
                "caption": self._caption(turn.post),
                "share_to_feed": _flag(self._share_to_feed),
                "is_ai_generated": _flag(declares(turn.post, self._disclosure)),
                **source,
            },
        )
        known = turn.handle.then("processing", container=made.id, made_at=int(self._clock()), looks=0)
        if not bytes_by_us:
            return Advanced(known, PROCESSING_CADENCE_S[0] * self._pace)
        # The address as given: one put together by hand was seen to leave the container in progress for ever.
        uri = self._hosts.accept_facebook_upload(made.uri or "")
        return Advanced(known.then("upload", uri=uri, offset=0))

    def _caption(self, post: Post) -> str:
        return wording.compose(self.platform, post.title, post.caption, post.part, post.parts).text

    def _upload(self, turn: _Turn) -> Outcome:
        if turn.interrupted:
            return self._locate(turn)
        offset, size = turn.handle.number("offset"), turn.post.size_bytes
        with video.part_of(turn.post, offset, size - offset) as part:
            try:
                turn.calls.upload(turn.token, turn.handle.text("uri"), part, offset, size)
            except Refused as refused:
                if isinstance(refused.error(), Reconnect):
                    raise
                # Whatever it was about, the container knows best how much it holds.
                return Advanced(turn.handle.then("locate"), 2.0 * self._pace)
        return Advanced(turn.handle.then("processing", looks=0), PROCESSING_CADENCE_S[0] * self._pace)

    def _locate(self, turn: _Turn) -> Outcome:
        status = turn.calls.status(turn.token, turn.container, with_bytes=True)
        held = status.video_status.uploading_phase.bytes_transferred
        if status.status_code in {"ERROR", "EXPIRED"}:
            return self._remake(turn, status)
        if status.status_code != "IN_PROGRESS" or held >= turn.post.size_bytes:
            return Advanced(turn.handle.then("processing", looks=0), PROCESSING_CADENCE_S[0] * self._pace)
        located = turn.handle.number("located") + 1
        if located > 10 and held <= turn.handle.number("offset"):
            return self._remake(turn, status)  # no byte goes in any more
        return Advanced(turn.handle.then("upload", offset=held, located=located))

    def _processing(self, turn: _Turn) -> Outcome:
        status = turn.calls.status(turn.token, turn.container)
        if status.status_code == "FINISHED":
            return Advanced(turn.handle.then("publish", tried_at=int(self._clock())))
        if status.status_code == "PUBLISHED":
            return Advanced(turn.handle.then("find", looks=0))
        overdue = self._clock() - turn.handle.number("made_at") > CONTAINER_LIFE_S
        if status.status_code in {"ERROR", "EXPIRED"} or overdue:
            return self._remake(turn, status)
        looks = turn.handle.number("looks") + 1
        return Advanced(
            turn.handle.then("processing", looks=looks), video.nth(PROCESSING_CADENCE_S, looks) * self._pace
        )

    def _remake(self, turn: _Turn, status: ContainerStatus) -> Outcome:
        """Begin a new container after one that certainly was not published; raise when that would not help."""
        subcode = _subcode(status.status)
        remakes = turn.handle.number("remakes") + 1
        if status.status_code == "ERROR" and subcode and subcode not in CONTAINER_REMAKE:
            raise Rejected("video_refused", "Instagram cannot use the video", platform_code=str(subcode))
        if remakes > REMAKES:
            raise Rejected(
                "processing_failed", "Instagram failed three times to take the video in", platform_code=str(subcode)
            )
        return Advanced(turn.handle.without(*_CONTAINER_FACTS).then("container", remakes=remakes), 60.0 * self._pace)

    # The one call that cannot be taken back -----------------------------------------------------------------------

    def _publish(self, turn: _Turn) -> Outcome:
        if turn.interrupted:
            return self._doubt(turn.handle)
        try:
            media_id = turn.calls.publish(turn.token, turn.account.remote_id, turn.container)
        except Unclear:
            return self._doubt(turn.handle)
        except Refused as refused:
            return self._not_published(turn, refused)
        return Advanced(turn.handle.then("link", media_id=media_id, looks=0))

    def _not_published(self, turn: _Turn, refused: Refused) -> Outcome:
        refusal = refused.refusal
        if refusal.key == (9007, 2207027):
            return Advanced(turn.handle.then("processing", looks=1), video.nth(PROCESSING_CADENCE_S, 1) * self._pace)
        if refusal.key in UNCLEAR_AT_PUBLISH or refusal.code in {1, 2}:
            blocked = int(refusal.key == (4, 2207051))
            return self._doubt(turn.handle.then("publish", blocked=blocked))
        raise refused.error()

    def _doubt(self, handle: Handle) -> Advanced:
        doubtful = handle.then("confirm", looks=0, publishes=handle.number("publishes") + 1)
        return Advanced(doubtful, CONFIRM_CADENCE_S[0] * self._pace)

    def _confirm(self, turn: _Turn) -> Outcome:
        try:
            status = turn.calls.status(turn.token, turn.container)
        except (Refused, TryLater) as trouble:
            return self._cannot_see(turn, trouble)
        if status.status_code == "PUBLISHED":
            return Advanced(turn.handle.then("find", looks=0))
        if status.status_code in {"ERROR", "EXPIRED"}:
            return self._remake(turn, status)
        looks = turn.handle.number("looks") + 1
        if status.status_code == "IN_PROGRESS" or looks < len(CONFIRM_CADENCE_S):
            return Advanced(turn.handle.then("confirm", looks=looks), video.nth(CONFIRM_CADENCE_S, looks) * self._pace)
        return self._again(turn)

    def _again(self, turn: _Turn) -> Outcome:
        # FINISHED at every look: it was not published, and this same container may be.
        if turn.handle.number("blocked"):
            raise blocked()
        if turn.handle.number("publishes") >= PUBLISHES:
            raise OutcomeUnknown("publish_unanswered", "Instagram left every request to publish unanswered")
        return Advanced(turn.handle.then("publish", looks=0))

    def _cannot_see(self, turn: _Turn, trouble: Refused | TryLater) -> Outcome:
        error = trouble.error() if isinstance(trouble, Refused) else trouble
        if isinstance(error, Reconnect):
            raise error
        if self._clock() - turn.handle.number("tried_at") > CONTAINER_LIFE_S:
            raise OutcomeUnknown("publish_unanswered", "for a day Instagram has not told whether the post is live")
        return Advanced(turn.handle, CONFIRM_CADENCE_S[-1] * self._pace)

    # After it: only questions -------------------------------------------------------------------------------------

    def _find(self, turn: _Turn) -> Outcome:
        """Find the id of a post that is certainly live; without exactly one match its link stays empty."""
        caption = self._caption(turn.post)
        try:
            newest = turn.calls.newest(turn.token, turn.account.remote_id)
        except (Refused, PlatformError):
            newest = []
        since = turn.handle.number("tried_at") - 60
        found = [
            media
            for media in newest
            if media.media_product_type == "REELS"
            and media.caption.strip() == caption
            and _unix(media.timestamp) >= since
        ]
        if len(found) == 1:
            return self._live(turn.handle, found[0].id, found[0].permalink)
        looks = turn.handle.number("looks") + 1
        if looks < len(FIND_CADENCE_S):
            return Advanced(turn.handle.then("find", looks=looks), video.nth(FIND_CADENCE_S, looks) * self._pace)
        return self._live(turn.handle, turn.container, None)

    def _link(self, turn: _Turn) -> Outcome:
        media_id, looks = turn.handle.text("media_id"), turn.handle.number("looks")
        try:
            link = turn.calls.media(turn.token, media_id).permalink
        except (Refused, PlatformError):
            link = None  # it is live, whatever Instagram says now; 100/33 was seen on good posts
        if link or looks >= len(LINK_CADENCE_S):
            return self._live(turn.handle, media_id, link)
        waiting = turn.handle.then("link", looks=looks + 1)
        return Published(waiting, media_id, None, video.nth(LINK_CADENCE_S, looks) * self._pace)

    def _live(self, handle: Handle, media_id: str, link: str | None) -> Published:
        return Published(handle.then("done", media_id=media_id, link=link or ""), media_id, link)

    def _done(self, turn: _Turn) -> Outcome:
        return Published(turn.handle, turn.handle.text("media_id"), turn.handle.text("link") or None)


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _subcode(status: str) -> int:
    # "Error: Media upload has failed with error code 2207026": the number is nowhere else in the answer.
    found = re.search(r"\b(2207\d{3})\b", status)
    return int(found[1]) if found else 0


def _unix(timestamp: str) -> float:
    try:
        return datetime.fromisoformat(timestamp).timestamp()
    except ValueError:
        return 0.0
