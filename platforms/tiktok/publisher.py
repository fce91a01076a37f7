"""Publishes on TikTok, into the creator's inbox as a draft or directly, by uploading the file.

    (creator →) init → upload ⇄ locate → poll → draft | link | done
                 ↑        ↓ address expired
                 └──── stalled                        poll → search, when TikTok has forgotten the job

Why it cannot post twice: `init` alone posts nothing, posting begins with the last byte, and no byte can leave before
the upload address is stored. So an unanswered `init` is simply repeated; after a lost answer to bytes the job is asked
how much it has; once all bytes are in, the job is only ever asked. Pulling from our address, where `init` posts by
itself, is not used for that reason.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from platforms import video, wording
from platforms.contract import Account, Advanced, Disclosure, Handle, Outcome, Post
from platforms.errors import OutcomeUnknown, Rejected, Unclear
from platforms.http.client import Response
from platforms.http.hosts import Hosts
from platforms.tiktok.api import Status
from platforms.tiktok.chunks import (
    CHUNK_BYTES,
    MAX_BYTES,
    MAX_S,
    MIN_S,
    PRIVACY,
    chunk_end,
    chunk_size,
    closed,
    post_info,
    taken,
)
from platforms.tiktok.polling import POLL_CADENCE_S, Asking, Turn, first_step

URL_LIFE_S = 3_600.0  # upload_url is valid for one hour (Direct Post reference)
ABANDONED_AFTER_S = 7_200.0  # our choice: twice the life of the address, with no byte added
# An init may be counted even if its answer is lost, so there are few more, and far apart: an outage may pass.
BLIND_CADENCE_S = (60.0, 900.0)
CONFLICTS = 3
STALLED_CADENCE_S = (300.0,)


class TikTok(Asking):
    """The publisher; see `platforms.contract.Publisher`."""

    def __init__(
        self,
        hosts: Hosts,
        *,
        mode: str = "inbox",
        disclosure: Disclosure = "gaze",
        interactions: frozenset[str] = frozenset(),
        pace: float = 1.0,
        clock: Callable[[], float] = time.time,
        chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        """Set how to publish.

        Args:
            mode: "inbox" (a draft that its owner finishes in the app) or "direct".
            interactions: of "comment", "duet", "stitch", those that the owner has ticked; TikTok's content sharing
                guidelines want none ticked by default. Direct mode only.
            pace: factor on all pauses between questions; small in tests.
            clock: Unix seconds.
            chunk_bytes: size of a chunk of a file that needs several.
        """
        super().__init__(hosts, pace=pace, clock=clock)
        self._mode = mode
        self._disclosure: Disclosure = disclosure
        self._interactions = interactions
        self._chunk_bytes = chunk_bytes
        self._steps: Mapping[str, Callable[[Turn], Outcome]] = {
            "creator": self._creator,
            "init": self._init,
            "upload": self._upload,
            "locate": self._locate,
            "stalled": self._stalled,
            "poll": self._poll,
            "draft": self._draft,
            "link": self._linked,
            "search": self._search,
            "done": self._done,
        }

    def begin(self, post: Post, account: Account) -> Handle:
        """Check the words and the file, and return the first handle."""
        del account
        wording.compose(self.platform, post.title, post.caption, post.part, post.parts)
        video.check(post, max_bytes=MAX_BYTES, min_s=MIN_S, max_s=MAX_S)
        if self._mode == "direct" and post.privacy not in PRIVACY:
            raise Rejected("privacy_refused", f"TikTok has no privacy {post.privacy!r}")
        # The mode goes with the handle: a post that was begun as a draft stays one when the setting changes.
        return Handle(first_step(self._mode), {"mode": self._mode})

    def may_stop(self, handle: Handle) -> bool:
        """Say whether posting cannot begin any more: it begins with the last byte."""
        return handle.step in {"creator", "init", "upload"}

    def advance(self, post: Post, account: Account, handle: Handle, *, interrupted: bool) -> Outcome:
        """Run one step."""
        step = self._steps.get(handle.step)
        if step is None:
            raise OutcomeUnknown("step_unknown", f"no step is called {handle.step!r}")
        return step(Turn(post, account, handle, interrupted))

    # Before the bytes -------------------------------------------------------------------------------------------

    def _creator(self, turn: Turn) -> Outcome:
        creator = self._calls.creator(turn.account.access_token)
        level = PRIVACY[turn.post.privacy]
        if level not in creator.privacy_level_options:
            raise Rejected("privacy_refused", f"the account does not offer the privacy {turn.post.privacy!r}")
        longest = creator.max_video_post_duration_sec
        if longest and turn.post.duration_s > longest:
            raise Rejected(
                "video_too_long", f"the account may post {longest} s; the video has {turn.post.duration_s} s"
            )
        known = turn.handle.then("init", username=creator.creator_username, privacy_level=level)
        return Advanced(known.then("init", **closed(creator, self._interactions)))

    def _init(self, turn: Turn) -> Outcome:
        if turn.interrupted:
            return self._count_blind_init(turn.handle)
        size = turn.post.size_bytes
        session = self._calls.init(
            turn.account.access_token,
            turn.mode,
            post_info(turn.post, turn.handle, self._disclosure),
            chunk_size(size, self._chunk_bytes),
            size,
        )
        url = self._hosts.accept_tiktok_upload(session.upload_url)
        now = int(self._clock())
        return Advanced(
            turn.handle.then("upload", publish_id=session.publish_id, upload_url=url, offset=0, init_at=now)
        )

    def _count_blind_init(self, handle: Handle) -> Outcome:
        # Nobody holds the address of the job that may exist, so no byte can reach it: there is no post.
        blind = handle.number("blind_inits")
        if blind >= len(BLIND_CADENCE_S):
            raise Rejected("init_unanswered", "TikTok left every request to begin unanswered; nothing was posted")
        return Advanced(handle.then("init", blind_inits=blind + 1), BLIND_CADENCE_S[blind] * self._pace)

    # The bytes --------------------------------------------------------------------------------------------------

    def _upload(self, turn: Turn) -> Outcome:
        if turn.interrupted:
            return self._locate(turn)
        if self._expired(turn.handle):
            return Advanced(turn.handle.then("stalled", looks=0))
        first = turn.handle.number("offset")
        end = chunk_end(first, turn.post.size_bytes, chunk_size(turn.post.size_bytes, self._chunk_bytes))
        with video.part_of(turn.post, first, end - first) as part:
            reply = self._calls.put(turn.handle.text("upload_url"), part, first, turn.post.size_bytes)
        return self._after_put(turn, reply, end)

    def _after_put(self, turn: Turn, reply: Response, end: int) -> Outcome:
        handle, complete = turn.handle, end == turn.post.size_bytes
        if reply.status in {200, 201} and complete:
            return self._sent(handle)
        if reply.status == 206 and not complete and taken(reply) in {None, end - 1, end}:
            return Advanced(handle.then("upload", offset=end))
        if reply.status in {403, 404}:
            return Advanced(handle.then("stalled", looks=0), self._pace)
        if reply.status < 500 and reply.status != 429:  # the server has another idea of what it holds: ask it
            return Advanced(handle.then("locate", conflicts=handle.number("conflicts") + 1), self._pace)
        raise Unclear(
            "answer_lost", f"TikTok answered {reply.status} to the video's bytes", retry_after_s=2 * self._pace
        )

    def _locate(self, turn: Turn) -> Outcome:
        handle = turn.handle
        status = self._status(turn)
        if status is None:
            return Advanced(handle.then("search"))
        if self._all_in(turn, status):
            return self._sent(handle)
        if status.status == "FAILED":
            return self._restart(turn, status)
        if self._expired(handle):
            return Advanced(handle.then("stalled", looks=0))
        if handle.number("conflicts") > CONFLICTS:  # incomplete, and nobody else can complete it: there is no post
            raise Rejected("upload_refused", "TikTok refuses the video's bytes")
        return Advanced(handle.then("upload", offset=status.uploaded_bytes))

    def _stalled(self, turn: Turn) -> Outcome:
        """Wait until it is certain that a job whose address expired half-way will never post."""
        handle = turn.handle
        status = self._status(turn)
        if status is None:
            return Advanced(handle.then("search"))
        if self._all_in(turn, status):
            return self._sent(handle)
        unmoved = status.uploaded_bytes == handle.number("stalled_bytes") and handle.number("looks") > 0
        abandoned = unmoved and self._clock() - handle.number("init_at") > ABANDONED_AFTER_S
        if status.status == "FAILED" or abandoned:
            return self._restart(turn, status)
        looks = handle.number("looks") + 1
        waiting = handle.then("stalled", stalled_bytes=status.uploaded_bytes, looks=looks)
        return Advanced(waiting, video.nth(STALLED_CADENCE_S, looks) * self._pace)

    def _all_in(self, turn: Turn, status: Status) -> bool:
        uploading = status.status == "PROCESSING_UPLOAD" and status.uploaded_bytes < turn.post.size_bytes
        return status.status != "FAILED" and not uploading

    def _expired(self, handle: Handle) -> bool:
        return self._clock() - handle.number("init_at") >= URL_LIFE_S

    def _sent(self, handle: Handle) -> Advanced:
        return Advanced(handle.then("poll", sent_at=int(self._clock()), looks=0), POLL_CADENCE_S[0] * self._pace)
