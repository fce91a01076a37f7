"""The publisher for YouTube Shorts, by resumable upload.

    session → upload ⇄ locate → processing → done
       ↑         ↓ session gone after the last byte may have been sent
       └────── search → (adopt the one video found) processing → duplicate

Why it cannot post twice: a video exists only once its last byte is received. The session, whose address is stored
before the first byte, repeats its final response when asked. Only when the session itself is gone is the channel
searched: one match is adopted, none in three searches over 15 minutes proves that no video exists, several are left to
a person. A post is given up only right after the session has reported that bytes are missing, or by the video's own
`uploadStatus`; a question that is refused decides nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from platforms import steps
from platforms.contract import (
    ActionNeeded,
    Advanced,
    AuthorizedAccount,
    Disclosure,
    Handle,
    Outcome,
    Post,
    Published,
    StepContext,
)
from platforms.errors import OutcomeUnknown, PostFailed, Rejected, TryLater
from platforms.http.hosts import Roots
from platforms.steps import Pacing, Steps
from platforms.wording import Wording
from platforms.youtube import wording
from platforms.youtube.api import REFUSED_VIDEOS, SessionGone, YouTubeApi, YouTubeVideo
from platforms.youtube.hosts import GoogleHosts
from platforms.youtube.options import YouTubeOptions

MAX_BYTES = 256 * 1024**3  # developers.google.com/youtube/v3/docs/videos/insert (read 2026-11-22)
MIN_S, MAX_S = 1.0, 180.0  # a Short has at most 3 minutes since 2024-10-15 (support.google.com/youtube/answer/15424877)
CHUNK_UNIT_BYTES = 262_144  # every chunk but the last is a multiple of it (resumable upload protocol)
CHUNK_BYTES = 32 * CHUNK_UNIT_BYTES
CATEGORY = "22"  # People & Blogs
PROCESSING_CADENCE_S = (15.0, 15.0, 30.0, 60.0)
SEARCH_CADENCE_S = (0.0, 300.0, 600.0)
GIVE_UP_PROCESSING_S = 7_200.0  # the video exists; we stop waiting for the end of its processing
SESSION_PAUSE_S = 60.0  # between two sessions: each costs one of the project's 100 uploads a day
UNFINISHED_CADENCE_S = (5.0, 30.0, 120.0, 600.0)
UNFINISHED_LOOKS = 8  # 50 minutes in which a session has all bytes but names no video
CONFLICT_PAUSE_S = 1.0
RESTART_CADENCE_S = (30.0, 600.0, 3_600.0)
RESTARTS = 3
CLOCK_SKEW_S = 60
_SESSION_FACTS = ("session", "offset", "looks", "sent_at", *steps.RESUME_FACTS)


class YouTube:
    """The publisher for YouTube; see `platforms.contract.Publisher`."""

    platform = "youtube"
    irreversible_steps = frozenset({"upload"})  # a video exists once its last byte is received

    def __init__(
        self,
        roots: Roots,
        *,
        disclosure: Disclosure = "gaze",
        pace: float = 1.0,
        clock: Callable[[], float] = time.time,
        chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        """Set how to publish.

        Args:
            pace: factor on all pauses between questions; small in tests.
            clock: Unix seconds.
            chunk_bytes: a multiple of 262,144; a chunk is one step, so a crash costs at most one chunk.
        """
        if chunk_bytes % CHUNK_UNIT_BYTES:
            raise ValueError(f"chunks must be multiples of {CHUNK_UNIT_BYTES} bytes")
        self._hosts = GoogleHosts.at(roots)
        self._api = YouTubeApi(self._hosts, clock)
        self._disclosure: Disclosure = disclosure
        self._pacing = Pacing(pace, clock)
        self._chunk_bytes = chunk_bytes
        self._steps: Steps = {
            "session": self._session,
            "upload": self._upload,
            "locate": self._locate,
            "search": self._search,
            "processing": self._processing,
            "duplicate": self._duplicate,
            "done": self._done,
        }

    def begin(self, post: Post, account: AuthorizedAccount) -> Handle:
        """Check the words and the file, and return the first handle."""
        del account
        _words(post)
        steps.check_video(post, max_bytes=MAX_BYTES, min_s=MIN_S, max_s=MAX_S)
        YouTubeOptions.read(post.options)
        return Handle("session")

    def may_stop(self, handle: Handle) -> bool:
        """Return whether no video can result any more: it exists once its last byte is received."""
        return handle.step in {"session", "upload"}

    def advance(self, post: Post, account: AuthorizedAccount, handle: Handle, *, interrupted: bool) -> Outcome:
        """Run one step."""
        return steps.run(self._steps, StepContext(post, account, handle, interrupted))

    # Up to the last byte ------------------------------------------------------------------------------------------

    def _session(self, context: StepContext) -> Outcome:
        # Repeated without a question: the address of a session whose response was lost is lost with it, so it gets no
        # byte, and there is no video.
        handle, post = context.handle, context.post
        try:
            session = self._api.create_session(
                context.token,
                self._resource(post),
                post.size_bytes,
                _slug(post),
                notify=bool(YouTubeOptions.read(post.options).notify_subscribers),
            )
        except TryLater as error:
            raise steps.at_least(error, self._pacing.scaled(SESSION_PAUSE_S)) from None
        known = handle.then("upload", session=self._hosts.accept_session(session), offset=0)
        began = handle.number("began_at") or int(self._pacing.now())  # of the first session: its video counts, too
        return Advanced(known.then("upload", began_at=began))

    def _resource(self, post: Post) -> dict[str, object]:
        words, options = _words(post), YouTubeOptions.read(post.options)
        snippet = {"title": words.title, "description": words.text, "categoryId": options.category or CATEGORY}
        return {
            "snippet": snippet | ({"tags": options.tags} if options.tags else {}),
            "status": {
                "privacyStatus": _privacy(post),
                "selfDeclaredMadeForKids": bool(options.made_for_kids),
                "containsSyntheticMedia": post.is_declared_as_ai(self._disclosure),
            },
        }

    def _upload(self, context: StepContext) -> Outcome:
        if context.interrupted:
            return self._locate(context)
        post, handle = context.post, context.handle
        first = handle.number("offset")
        length = min(self._chunk_bytes, post.size_bytes - first)
        try:
            with steps.open_range(post, first, length) as chunk:
                progress = self._api.put(context.token, handle.text("session"), chunk, first, post.size_bytes)
        except SessionGone:
            return self._session_gone(context)
        except Rejected as refused:
            return self._refused_bytes(handle, refused.platform_code or refused.code)
        if isinstance(progress, int) and progress <= first:  # no byte was accepted
            return self._refused_bytes(handle, "http_308")
        return self._after_progress(context, progress)

    def _refused_bytes(self, handle: Handle, code: str) -> Advanced:
        # The session may have these bytes already; only its own count decides how to go on.
        return Advanced(steps.conflict(handle, "locate", code), self._pacing.scaled(CONFLICT_PAUSE_S))

    def _locate(self, context: StepContext) -> Outcome:
        session, size = context.handle.text("session"), context.post.size_bytes
        try:
            progress = self._api.session_status(context.token, session, size)
        except SessionGone:
            return self._session_gone(context)
        if isinstance(progress, int) and progress < size:
            return steps.resume_upload(self._pacing, context.handle, progress)
        return self._after_progress(context, progress)

    def _after_progress(self, context: StepContext, progress: YouTubeVideo | int) -> Outcome:
        handle = context.handle
        if isinstance(progress, YouTubeVideo):
            return self._exists(handle, progress.id)
        if progress < context.post.size_bytes:
            return Advanced(handle.then("upload", offset=progress))
        return self._unfinished(handle)

    def _unfinished(self, handle: Handle) -> Advanced:
        """Ask again: the session has all bytes, but has not named the video (seen by others, 2015)."""
        if handle.number("looks") >= UNFINISHED_LOOKS:
            return Advanced(handle.then("search", looks=0, complete=1))
        return self._pacing.ask_again(handle, "locate", UNFINISHED_CADENCE_S)

    def _exists(self, handle: Handle, video_id: str) -> Advanced:
        known = handle.then("processing", video_id=video_id, sent_at=int(self._pacing.now()), looks=0)
        return Advanced(known, self._pacing.pause_s(PROCESSING_CADENCE_S, 0))

    def _session_gone(self, context: StepContext) -> Outcome:
        if context.handle.number("offset") + self._chunk_bytes >= context.post.size_bytes:
            return Advanced(context.handle.then("search", looks=0))  # the last byte may have been sent
        return self._restart(context)

    def _restart(self, context: StepContext) -> Outcome:
        restarts = context.handle.number("restarts")
        if restarts >= RESTARTS:
            raise PostFailed("session_lost", "YouTube lost every upload session before the video was complete")
        fresh = context.handle.without(*_SESSION_FACTS).then("session", restarts=restarts + 1)
        return Advanced(fresh, self._pacing.pause_s(RESTART_CADENCE_S, restarts))

    def _search(self, context: StepContext) -> Outcome:
        handle = context.handle
        found = [video for video in self._api.newest(context.token) if _matches(context, video)]
        if len(found) == 1:
            return self._exists(handle, found[0].id)
        if found:
            raise OutcomeUnknown("several_matches", f"{len(found)} videos of the channel match this one")
        if handle.number("looks") + 1 < len(SEARCH_CADENCE_S):
            return self._pacing.ask_again(handle, "search", SEARCH_CADENCE_S)
        if handle.number("complete") or handle.number("restarts") >= RESTARTS:
            raise OutcomeUnknown("session_lost", "YouTube lost the upload session, and the channel shows no such video")
        return self._restart(context)

    # After it, only questions -------------------------------------------------------------------------------------

    def _processing(self, context: StepContext) -> Outcome:
        handle, video_id = context.handle, context.handle.text("video_id")
        found = self._api.video(context.token, video_id)
        status = found.status if found else None
        if status and status.uploadStatus == "failed":
            detail = REFUSED_VIDEOS.get(status.failureReason, "YouTube cannot use this video")
            raise PostFailed("video_refused", detail, platform_code=status.failureReason)
        if status and status.uploadStatus == "rejected":
            return self._rejected(context, status.rejectionReason)
        overdue = self._pacing.now() - handle.number("sent_at") > GIVE_UP_PROCESSING_S
        if (status and status.uploadStatus == "processed") or overdue:
            locked = status is not None and status.privacyStatus == "private" != _privacy(context.post)
            return self._live(handle, video_id, locked=locked)
        return self._pacing.ask_again(handle, "processing", PROCESSING_CADENCE_S)

    def _rejected(self, context: StepContext, reason: str) -> Outcome:
        if reason == "duplicate":  # the channel has the same video already: check whether that one is ours
            return Advanced(context.handle.then("duplicate", looks=0))
        detail = REFUSED_VIDEOS.get(reason, "YouTube removed the video")
        raise PostFailed("video_refused", detail, platform_code=reason)

    def _duplicate(self, context: StepContext) -> Outcome:
        own_id = context.handle.text("video_id")
        others = [video for video in self._api.newest(context.token) if video.id != own_id]
        found = [video for video in others if _matches(context, video) and video.status.uploadStatus != "rejected"]
        if len(found) == 1:
            return self._exists(context.handle, found[0].id)
        if found:
            raise OutcomeUnknown("several_matches", f"{len(found)} videos of the channel match this one")
        if context.handle.number("looks") + 1 < len(SEARCH_CADENCE_S):  # lists are updated late
            return self._pacing.ask_again(context.handle, "duplicate", SEARCH_CADENCE_S)
        raise PostFailed("duplicate", "YouTube reports that the channel already has this video")

    def _live(self, handle: Handle, video_id: str, *, locked: bool) -> Outcome:
        if locked:
            # Projects that are not audited get every upload locked as private, for good (support.google.com 7300965).
            return ActionNeeded(handle.then("done", locked=1), video_id, "locked_private")
        return Published(handle.then("done"), video_id, self._hosts.link(video_id))

    def _done(self, context: StepContext) -> Outcome:
        return self._live(context.handle, context.handle.text("video_id"), locked=bool(context.handle.number("locked")))


def _words(post: Post) -> Wording:
    return wording.compose(post.title, post.caption)


def _privacy(post: Post) -> str:
    return YouTubeOptions.read(post.options).privacy or "public"


def _slug(post: Post) -> str:
    return f"{post.publication_id}.mp4"


def _matches(context: StepContext, video: YouTubeVideo) -> bool:
    # Whether the Slug header reaches fileName is not documented, so words and time together are evidence, too.
    words = _words(context.post)
    same_name = video.fileDetails.fileName == _slug(context.post)
    same_words = video.snippet.title == words.title and video.snippet.description == words.text
    since = context.handle.number("began_at") - CLOCK_SKEW_S
    return same_name or (same_words and steps.unix_time(video.snippet.publishedAt) >= since)
