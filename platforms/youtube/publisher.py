"""The publisher for YouTube Shorts, by resumable upload.

    session → upload ⇄ locate → processing → done
       ↑         ↓ session gone after the last byte may have been sent
       └────── search → (adopt the one video found) processing

Why it cannot post twice: a video exists only once its last byte is received. The session, whose address is stored
before the first byte, repeats its final response when asked. Only when the session itself is gone is the channel
searched: one match is adopted, none in three searches over 15 minutes proves that no video exists, several are left to
a person.
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
from platforms.errors import OutcomeUnknown, Rejected
from platforms.http.hosts import Roots
from platforms.steps import Pacing, Steps
from platforms.wording import Wording
from platforms.youtube import wording
from platforms.youtube.api import SessionGone, YouTubeApi, YouTubeVideo
from platforms.youtube.hosts import GoogleHosts

MAX_BYTES = 256 * 1024**3  # developers.google.com/youtube/v3/docs/videos/insert (read 2026-11-22)
MIN_S, MAX_S = 1.0, 180.0  # a Short has at most 3 minutes since 2024-10-15 (support.google.com/youtube/answer/15424877)
CHUNK_UNIT_BYTES = 262_144  # every chunk but the last is a multiple of it (resumable upload protocol)
CHUNK_BYTES = 32 * CHUNK_UNIT_BYTES
PRIVACIES = frozenset({"public", "unlisted", "private"})
CATEGORY = "22"  # People & Blogs
PROCESSING_CADENCE_S = (15.0, 15.0, 30.0, 60.0)
SEARCH_CADENCE_S = (0.0, 300.0, 600.0)
GIVE_UP_PROCESSING_S = 7_200.0  # the video exists; we stop waiting for the end of its processing
BLIND_CADENCE_S = (10.0, 60.0, 900.0)  # each further session costs one of the project's 100 uploads a day
CONFLICT_PAUSE_S = 1.0
RESTART_PAUSE_S = 30.0
RESTARTS = 3
CONFLICTS = 3
CLOCK_SKEW_S = 60
_SESSION_FACTS = ("session", "offset", "looks", "sent_at")


class YouTube:
    """The publisher for YouTube; see `platforms.contract.Publisher`."""

    platform = "youtube"
    irreversible_steps = frozenset({"upload"})  # a video exists once its last byte is received

    def __init__(
        self,
        roots: Roots,
        *,
        disclosure: Disclosure = "gaze",
        made_for_kids: bool = False,
        category: str = CATEGORY,
        pace: float = 1.0,
        clock: Callable[[], float] = time.time,
        chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        """Set how to publish.

        Args:
            made_for_kids: the owner's declaration for all videos.
            category: id of a YouTube category.
            pace: factor on all pauses between questions; small in tests.
            clock: Unix seconds.
            chunk_bytes: a multiple of 262,144; a chunk is one step, so a crash costs at most one chunk.
        """
        if chunk_bytes % CHUNK_UNIT_BYTES:
            raise ValueError(f"chunks must be multiples of {CHUNK_UNIT_BYTES} bytes")
        self._hosts = GoogleHosts.at(roots)
        self._api = YouTubeApi(self._hosts, clock)
        self._disclosure: Disclosure = disclosure
        self._made_for_kids = made_for_kids
        self._category = category
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
        if post.privacy not in PRIVACIES:
            raise Rejected("privacy_refused", f"YouTube does not offer the privacy {post.privacy!r}")
        return Handle("session")

    def may_stop(self, handle: Handle) -> bool:
        """Return whether no video can result any more: it exists once its last byte is received."""
        return handle.step in {"session", "upload"}

    def advance(self, post: Post, account: AuthorizedAccount, handle: Handle, *, interrupted: bool) -> Outcome:
        """Run one step."""
        return steps.run(self._steps, StepContext(post, account, handle, interrupted))

    # Up to the last byte ------------------------------------------------------------------------------------------

    def _session(self, context: StepContext) -> Outcome:
        handle = context.handle
        if context.interrupted:
            # The address of a session that may exist is lost, so it gets no byte, and there is no video.
            blind = handle.number("blind_sessions")
            if blind >= len(BLIND_CADENCE_S):
                raise Rejected("session_unanswered", "YouTube did not answer any request to begin; nothing was posted")
            again = handle.then("session", blind_sessions=blind + 1)
            return Advanced(again, self._pacing.pause_s(BLIND_CADENCE_S, blind))
        post = context.post
        session = self._api.create_session(context.token, self._resource(post), post.size_bytes, _slug(post))
        known = handle.then("upload", session=self._hosts.accept_session(session), offset=0)
        began = handle.number("began_at") or int(self._pacing.now())  # of the first session: its video counts, too
        return Advanced(known.then("upload", began_at=began))

    def _resource(self, post: Post) -> dict[str, object]:
        words = _words(post)
        return {
            "snippet": {"title": words.title, "description": words.text, "categoryId": self._category},
            "status": {
                "privacyStatus": post.privacy,
                "selfDeclaredMadeForKids": self._made_for_kids,
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
        except Rejected:
            # The session may have these bytes already (a step run again with a new token). Before the post is given
            # up, the session has to report that it is incomplete.
            conflicts = handle.number("conflicts") + 1
            if conflicts > CONFLICTS:
                raise
            return Advanced(handle.then("locate", conflicts=conflicts), self._pacing.scaled(CONFLICT_PAUSE_S))
        return self._after_progress(handle, progress)

    def _locate(self, context: StepContext) -> Outcome:
        session = context.handle.text("session")
        try:
            progress = self._api.session_status(context.token, session, context.post.size_bytes)
        except SessionGone:
            return self._session_gone(context)
        return self._after_progress(context.handle, progress)

    def _after_progress(self, handle: Handle, progress: YouTubeVideo | int) -> Outcome:
        if isinstance(progress, YouTubeVideo):
            return self._exists(handle, progress.id)
        return Advanced(handle.then("upload", offset=progress))

    def _exists(self, handle: Handle, video_id: str) -> Advanced:
        known = handle.then("processing", video_id=video_id, sent_at=int(self._pacing.now()), looks=0)
        return Advanced(known, self._pacing.pause_s(PROCESSING_CADENCE_S, 0))

    def _session_gone(self, context: StepContext) -> Outcome:
        if context.handle.number("offset") + self._chunk_bytes >= context.post.size_bytes:
            return Advanced(context.handle.then("search", looks=0))  # the last byte may have been sent
        return self._restart(context)

    def _restart(self, context: StepContext) -> Outcome:
        restarts = context.handle.number("restarts") + 1
        if restarts > RESTARTS:
            raise Rejected("session_lost", "YouTube lost every upload session before the video was complete")
        fresh = context.handle.without(*_SESSION_FACTS).then("session", restarts=restarts)
        return Advanced(fresh, self._pacing.scaled(RESTART_PAUSE_S))

    def _search(self, context: StepContext) -> Outcome:
        found = [video for video in self._api.newest(context.token) if _matches(context, video)]
        if len(found) == 1:
            return self._exists(context.handle, found[0].id)
        if found:
            raise OutcomeUnknown("several_matches", f"{len(found)} videos of the channel match this one")
        if context.handle.number("looks") + 1 >= len(SEARCH_CADENCE_S):
            return self._restart(context)
        return self._pacing.ask_again(context.handle, "search", SEARCH_CADENCE_S)

    # After it, only questions -------------------------------------------------------------------------------------

    def _processing(self, context: StepContext) -> Outcome:
        handle, video_id = context.handle, context.handle.text("video_id")
        found = self._api.video(context.token, video_id)
        status = found.status if found else None
        if status and status.uploadStatus == "failed":
            raise Rejected("video_refused", "YouTube cannot use this video", platform_code=status.failureReason)
        if status and status.uploadStatus == "rejected":
            return self._rejected(context, status.rejectionReason)
        overdue = self._pacing.now() - handle.number("sent_at") > GIVE_UP_PROCESSING_S
        if (status and status.uploadStatus == "processed") or overdue:
            locked = status is not None and status.privacyStatus == "private" != context.post.privacy
            return self._live(handle, video_id, locked=locked)
        return self._pacing.ask_again(handle, "processing", PROCESSING_CADENCE_S)

    def _rejected(self, context: StepContext, reason: str) -> Outcome:
        if reason == "duplicate":  # the channel has the same video already: check whether that one is ours
            return Advanced(context.handle.then("duplicate"))
        raise Rejected("video_refused", "YouTube removed the video", platform_code=reason)

    def _duplicate(self, context: StepContext) -> Outcome:
        own_id = context.handle.text("video_id")
        others = [video for video in self._api.newest(context.token) if video.id != own_id]
        found = [video for video in others if _matches(context, video) and video.status.uploadStatus != "rejected"]
        if len(found) == 1:
            return self._exists(context.handle, found[0].id)
        raise Rejected("duplicate", "YouTube reports that the channel already has this video")

    def _live(self, handle: Handle, video_id: str, *, locked: bool) -> Outcome:
        if locked:
            # Projects that are not audited get every upload locked as private, for good (support.google.com 7300965).
            return ActionNeeded(handle.then("done", locked=1), video_id, "locked_private")
        return Published(handle.then("done"), video_id, self._hosts.link(video_id))

    def _done(self, context: StepContext) -> Outcome:
        return self._live(context.handle, context.handle.text("video_id"), locked=bool(context.handle.number("locked")))


def _words(post: Post) -> Wording:
    return wording.compose(post.title, post.caption, post.part, post.parts)


def _slug(post: Post) -> str:
    return f"{post.publication_id}.mp4"


def _matches(context: StepContext, video: YouTubeVideo) -> bool:
    # Whether the Slug header reaches fileName is not documented, so words and time together are evidence, too.
    words = _words(context.post)
    same_name = video.fileDetails.fileName == _slug(context.post)
    same_words = video.snippet.title == words.title and video.snippet.description == words.text
    since = context.handle.number("began_at") - CLOCK_SKEW_S
    return same_name or (same_words and steps.unix_time(video.snippet.publishedAt) >= since)
