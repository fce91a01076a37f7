"""Publishes Shorts on YouTube by resumable upload.

    session → upload ⇄ locate → processing → done
       ↑         ↓ session gone after the last byte may have been sent
       └────── search → (adopt the one video found) processing

Why it cannot post twice: a video exists only once its last byte is in, and the session, whose address is stored before
the first byte, repeats its final answer when asked. Only when the session itself is gone is the channel searched; one
match is adopted, none at three looks over 15 minutes proves there is none, several are left to a person.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from platforms import video, wording
from platforms.contract import Account, ActionNeeded, Advanced, Disclosure, Handle, Outcome, Post, Published
from platforms.disclosure import declares
from platforms.errors import OutcomeUnknown, Rejected
from platforms.http.hosts import Hosts
from platforms.youtube.api import Calls, SessionGone, Video

MAX_BYTES = 256 * 1024**3  # developers.google.com/youtube/v3/docs/videos/insert (read 2026-11-22)
MIN_S, MAX_S = 1.0, 180.0  # a Short has at most 3 minutes since 2024-10-15 (support.google.com/youtube/answer/15424877)
CHUNK_UNIT_BYTES = 262_144  # every chunk but the last is a multiple of it (resumable upload protocol)
CHUNK_BYTES = 32 * CHUNK_UNIT_BYTES
PRIVACIES = frozenset({"public", "unlisted", "private"})
CATEGORY = "22"  # People & Blogs
PROCESSING_CADENCE_S = (15.0, 15.0, 30.0, 60.0)
SEARCH_CADENCE_S = (0.0, 300.0, 600.0)
GIVE_UP_PROCESSING_S = 7_200.0  # the video exists; we stop waiting for it to be processed
BLIND_CADENCE_S = (10.0, 60.0, 900.0)  # each more session costs one of the project's 100 uploads a day
RESTARTS = 3
CONFLICTS = 3
CLOCK_SKEW_S = 60
_SESSION_FACTS = ("session", "offset", "looks", "sent_at")


@dataclass(frozen=True)
class _Turn:
    """One call of `advance`."""

    post: Post
    account: Account
    handle: Handle
    interrupted: bool

    @property
    def token(self) -> str:
        return self.account.access_token

    @property
    def slug(self) -> str:
        return f"{self.post.publication_id}.mp4"


class YouTube:
    """The publisher; see `platforms.contract.Publisher`."""

    platform = "youtube"

    def __init__(
        self,
        hosts: Hosts,
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
            made_for_kids: what the owner declares for all videos.
            pace: factor on all pauses between questions; small in tests.
            clock: Unix seconds.
            chunk_bytes: a multiple of 262,144; a chunk is one step, so it is also what a crash may cost.
        """
        if chunk_bytes % CHUNK_UNIT_BYTES:
            raise ValueError(f"chunks must be multiples of {CHUNK_UNIT_BYTES} bytes")
        self._hosts = hosts
        self._calls = Calls(hosts, clock)
        self._disclosure: Disclosure = disclosure
        self._made_for_kids = made_for_kids
        self._category = category
        self._pace = pace
        self._clock = clock
        self._chunk_bytes = chunk_bytes
        self._steps: Mapping[str, Callable[[_Turn], Outcome]] = {
            "session": self._session,
            "upload": self._upload,
            "locate": self._locate,
            "search": self._search,
            "processing": self._processing,
            "duplicate": self._duplicate,
            "done": self._done,
        }

    def begin(self, post: Post, account: Account) -> Handle:
        """Check the words and the file, and return the first handle."""
        del account
        wording.compose(self.platform, post.title, post.caption, post.part, post.parts)
        video.check(post, max_bytes=MAX_BYTES, min_s=MIN_S, max_s=MAX_S)
        if post.privacy not in PRIVACIES:
            raise Rejected("privacy_refused", f"YouTube has no privacy {post.privacy!r}")
        return Handle("session")

    def may_stop(self, handle: Handle) -> bool:
        """Say whether no video can come of it any more: it exists once its last byte is in."""
        return handle.step in {"session", "upload"}

    def advance(self, post: Post, account: Account, handle: Handle, *, interrupted: bool) -> Outcome:
        """Run one step."""
        step = self._steps.get(handle.step)
        if step is None:
            raise OutcomeUnknown("step_unknown", f"no step is called {handle.step!r}")
        return step(_Turn(post, account, handle, interrupted))

    # Up to the last byte ------------------------------------------------------------------------------------------

    def _session(self, turn: _Turn) -> Outcome:
        if turn.interrupted:
            # A session nobody knows gets no byte, and so there is no video.
            blind = turn.handle.number("blind_sessions")
            if blind >= len(BLIND_CADENCE_S):
                raise Rejected("session_unanswered", "YouTube left every request to begin unanswered")
            again = turn.handle.then("session", blind_sessions=blind + 1)
            return Advanced(again, BLIND_CADENCE_S[blind] * self._pace)
        session = self._calls.session(turn.token, self._resource(turn.post), turn.post.size_bytes, turn.slug)
        known = turn.handle.then("upload", session=self._hosts.accept_youtube_session(session), offset=0)
        began = turn.handle.number("began_at") or int(self._clock())  # of the first session: its video counts, too
        return Advanced(known.then("upload", began_at=began))

    def _resource(self, post: Post) -> dict[str, object]:
        words = wording.compose(self.platform, post.title, post.caption, post.part, post.parts)
        return {
            "snippet": {"title": words.title, "description": words.text, "categoryId": self._category},
            "status": {
                "privacyStatus": post.privacy,
                "selfDeclaredMadeForKids": self._made_for_kids,
                "containsSyntheticMedia": declares(post, self._disclosure),
            },
        }

    def _upload(self, turn: _Turn) -> Outcome:
        if turn.interrupted:
            return self._locate(turn)
        first = turn.handle.number("offset")
        length = min(self._chunk_bytes, turn.post.size_bytes - first)
        try:
            with video.part_of(turn.post, first, length) as part:
                told = self._calls.put(turn.token, turn.handle.text("session"), part, first, turn.post.size_bytes)
        except SessionGone:
            return self._gone(turn)
        except Rejected:
            # Perhaps they are there already (a step run again with a new token). Before this post is given up, the
            # session has to say that it is not complete.
            conflicts = turn.handle.number("conflicts") + 1
            if conflicts > CONFLICTS:
                raise
            return Advanced(turn.handle.then("locate", conflicts=conflicts), self._pace)
        return self._told(turn.handle, told)

    def _locate(self, turn: _Turn) -> Outcome:
        try:
            told = self._calls.held(turn.token, turn.handle.text("session"), turn.post.size_bytes)
        except SessionGone:
            return self._gone(turn)
        return self._told(turn.handle, told)

    def _told(self, handle: Handle, told: Video | int) -> Outcome:
        if isinstance(told, Video):
            return self._exists(handle, told.id)
        return Advanced(handle.then("upload", offset=told))

    def _exists(self, handle: Handle, video_id: str) -> Advanced:
        known = handle.then("processing", video_id=video_id, sent_at=int(self._clock()), looks=0)
        return Advanced(known, PROCESSING_CADENCE_S[0] * self._pace)

    def _gone(self, turn: _Turn) -> Outcome:
        if turn.handle.number("offset") + self._chunk_bytes >= turn.post.size_bytes:
            return Advanced(turn.handle.then("search", looks=0))  # the last byte may have been sent
        return self._restart(turn)

    def _restart(self, turn: _Turn) -> Outcome:
        restarts = turn.handle.number("restarts") + 1
        if restarts > RESTARTS:
            raise Rejected("session_lost", "YouTube lost every upload session before its end")
        return Advanced(turn.handle.without(*_SESSION_FACTS).then("session", restarts=restarts), 30.0 * self._pace)

    def _search(self, turn: _Turn) -> Outcome:
        found = [entry for entry in self._calls.newest(turn.token) if self._is_ours(turn, entry)]
        if len(found) == 1:
            return self._exists(turn.handle, found[0].id)
        if found:
            raise OutcomeUnknown("several_matches", f"{len(found)} videos of the channel match this one")
        looks = turn.handle.number("looks") + 1
        if looks >= len(SEARCH_CADENCE_S):
            return self._restart(turn)
        return Advanced(turn.handle.then("search", looks=looks), SEARCH_CADENCE_S[looks] * self._pace)

    def _is_ours(self, turn: _Turn, entry: Video) -> bool:
        # Whether the Slug reaches fileName is not documented; the words and the time are the second witness.
        words = wording.compose(self.platform, turn.post.title, turn.post.caption, turn.post.part, turn.post.parts)
        named = entry.fileDetails.fileName == turn.slug
        since = turn.handle.number("began_at") - CLOCK_SKEW_S
        worded = entry.snippet.title == words.title and entry.snippet.description == words.text
        return named or (worded and _unix(entry.snippet.publishedAt) >= since)

    # After it: only questions -------------------------------------------------------------------------------------

    def _processing(self, turn: _Turn) -> Outcome:
        handle, video_id = turn.handle, turn.handle.text("video_id")
        found = self._calls.video(turn.token, video_id)
        status = found.status if found else None
        if status and status.uploadStatus == "failed":
            raise Rejected("video_refused", "YouTube cannot use the video", platform_code=status.failureReason)
        if status and status.uploadStatus == "rejected":
            return self._rejected(turn, status.rejectionReason)
        overdue = self._clock() - handle.number("sent_at") > GIVE_UP_PROCESSING_S
        if (status and status.uploadStatus == "processed") or overdue:
            locked = status is not None and status.privacyStatus == "private" != turn.post.privacy
            return self._live(handle, video_id, locked=locked)
        looks = handle.number("looks") + 1
        return Advanced(handle.then("processing", looks=looks), video.nth(PROCESSING_CADENCE_S, looks) * self._pace)

    def _rejected(self, turn: _Turn, reason: str) -> Outcome:
        if reason == "duplicate":  # the same film is there already: look whether that one is ours
            return Advanced(turn.handle.then("duplicate"))
        raise Rejected("video_refused", "YouTube took the video down", platform_code=reason)

    def _duplicate(self, turn: _Turn) -> Outcome:
        own_id = turn.handle.text("video_id")
        others = [entry for entry in self._calls.newest(turn.token) if entry.id != own_id]
        found = [entry for entry in others if self._is_ours(turn, entry) and entry.status.uploadStatus != "rejected"]
        if len(found) == 1:
            return self._exists(turn.handle, found[0].id)
        raise Rejected("duplicate", "YouTube finds that the channel has this video already")

    def _live(self, handle: Handle, video_id: str, *, locked: bool) -> Outcome:
        if locked:
            # Projects that are not audited get every upload locked as private, for good (support.google.com 7300965).
            return ActionNeeded(handle.then("done", locked=1), video_id, "locked_private")
        return Published(handle.then("done"), video_id, self._hosts.youtube_link(video_id))

    def _done(self, turn: _Turn) -> Outcome:
        return self._live(turn.handle, turn.handle.text("video_id"), locked=bool(turn.handle.number("locked")))


def _unix(timestamp: str) -> float:
    try:
        return datetime.fromisoformat(timestamp).timestamp()
    except ValueError:
        return 0.0
