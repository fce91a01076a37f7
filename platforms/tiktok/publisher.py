"""The publisher for TikTok: uploads the file, into the creator's inbox as a draft or as a direct post.

    (creator →) init → upload ⇄ locate → poll → draft | link | done
                 ↑        ↓ address expired
                 └──── stalled                        poll → search ⇄ locate, when TikTok does not know the job

Why it cannot post twice: `init` alone posts nothing, posting begins with the last byte, and no byte is sent before the
upload address is stored. So an unanswered `init` is simply repeated, a minute later; after a lost response to bytes,
the next step asks how many bytes the job has; once all bytes are received, all steps only read
(`platforms.tiktok.polling`). Pulling from our address, where `init` posts by itself, is not used for that reason.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from platforms import steps
from platforms.contract import Advanced, AuthorizedAccount, Disclosure, Handle, Outcome, Post, StepContext
from platforms.errors import OutcomeUnknown, Rejected, TryLater, Unclear
from platforms.http.client import Response
from platforms.http.hosts import Roots
from platforms.post_options import require
from platforms.steps import Pacing, Steps
from platforms.tiktok import polling, wording
from platforms.tiktok.api import PublishStatus, TikTokApi
from platforms.tiktok.chunks import (
    CHUNK_BYTES,
    MAX_BYTES,
    MAX_S,
    MIN_S,
    PRIVACY,
    chunk_end,
    chunk_size,
    disabled_interactions,
    last_received,
    post_info,
)
from platforms.tiktok.hosts import TikTokHosts
from platforms.tiktok.options import REQUIRED, TikTokOptions
from platforms.tiktok.polling import POLL_CADENCE_S, TikTokServices, first_step

URL_LIFE_S = 3_600.0  # upload_url is valid for one hour (Direct Post reference)
ABANDONED_AFTER_S = 7_200.0  # our choice: twice the life of the address, without a new byte
INIT_PAUSE_S = 60.0  # between two inits: an account may make six a minute, and a lost one counts, too
CONFLICT_PAUSE_S = 1.0
UNDECIDED_CADENCE_S = (5.0, 30.0, 120.0, 300.0)
LOST_RESPONSE_PAUSE_S = 2.0
STALLED_CADENCE_S = (300.0,)


@dataclass(frozen=True)
class _Incomplete:
    """A job that waits for bytes."""

    status: PublishStatus
    uploaded_bytes: int


class TikTok:
    """The publisher for TikTok; see `platforms.contract.Publisher`."""

    platform = "tiktok"
    irreversible_steps = frozenset({"upload"})  # posting begins with the last byte

    def __init__(
        self,
        roots: Roots,
        *,
        mode: str = "inbox",
        required: tuple[str, ...] = REQUIRED,
        disclosure: Disclosure = "gaze",
        pace: float = 1.0,
        clock: Callable[[], float] = time.time,
        chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        """Set how to publish.

        Args:
            mode: "inbox" (a draft that its owner finishes in the app) or "direct".
            required: names of the options that a direct post must have.
            pace: factor on all pauses between questions; small in tests.
            clock: Unix seconds.
            chunk_bytes: size of a chunk of a file that needs several.
        """
        self._hosts = TikTokHosts.at(roots)
        self._api = TikTokApi(self._hosts)
        self._pacing = Pacing(pace, clock)
        self._mode = mode
        self._required = required
        self._disclosure: Disclosure = disclosure
        self._chunk_bytes = chunk_bytes
        self._services = TikTokServices(self._api, self._hosts, self._pacing)
        self._steps: Steps = {
            "creator": self._creator,
            "init": self._init,
            "upload": self._upload,
            "locate": self._locate,
            "stalled": self._stalled,
            "poll": partial(polling.poll, self._services),
            "draft": partial(polling.draft, self._services),
            "link": partial(polling.link, self._services),
            "search": partial(polling.search, self._services),
            "done": polling.done,
        }

    def begin(self, post: Post, account: AuthorizedAccount) -> Handle:
        """Check the words and the file, and return the first handle."""
        del account
        wording.compose(post.title, post.caption)
        steps.check_video(post, max_bytes=MAX_BYTES, min_s=MIN_S, max_s=MAX_S)
        if self._mode == "direct":
            TikTokOptions.read(post.options)
            require(post.options, self._required, "TikTok")
        # The mode is stored in the handle: a post that was begun as a draft stays one when the setting changes.
        return Handle(first_step(self._mode), {"mode": self._mode})

    def may_stop(self, handle: Handle) -> bool:
        """Return whether posting has not begun: it begins with the last byte."""
        return handle.step in {"creator", "init", "upload"}

    def advance(self, post: Post, account: AuthorizedAccount, handle: Handle, *, interrupted: bool) -> Outcome:
        """Run one step."""
        return steps.run(self._steps, StepContext(post, account, handle, interrupted))

    # Before the bytes -------------------------------------------------------------------------------------------

    def _creator(self, context: StepContext) -> Outcome:
        creator, post = self._api.creator_info(context.token), context.post
        options = TikTokOptions.read(post.options)
        level = PRIVACY[options.privacy or "public"]  # without a choice only where none is required: see `begin`
        if level not in creator.privacy_level_options:
            raise Rejected("privacy_refused", f"This TikTok account does not offer the privacy {options.privacy!r}")
        longest = creator.max_video_post_duration_sec
        if longest and post.duration_s > longest:
            raise Rejected(
                "video_too_long",
                f"This TikTok account may post videos of up to {longest} s; this one is {post.duration_s} s long",
            )
        known = context.handle.then("init", username=creator.creator_username, privacy_level=level)
        return Advanced(known.then("init", **disabled_interactions(creator, options)))

    def _init(self, context: StepContext) -> Outcome:
        # Repeated without a question: the upload address of a job whose response was lost is lost with it, so no byte
        # can reach the job, and there is no post.
        size = context.post.size_bytes
        try:
            job = self._api.init(
                context.token,
                polling.mode(context),
                post_info(context.post, context.handle, self._disclosure),
                chunk_size(size, self._chunk_bytes),
                size,
            )
        except TryLater as error:
            raise steps.at_least(error, self._pacing.scaled(INIT_PAUSE_S)) from None
        url = self._hosts.accept_upload(job.upload_url)
        now = int(self._pacing.now())
        return Advanced(context.handle.then("upload", publish_id=job.publish_id, upload_url=url, offset=0, init_at=now))

    # The bytes --------------------------------------------------------------------------------------------------

    def _upload(self, context: StepContext) -> Outcome:
        if context.interrupted:
            return self._locate(context)
        if self._expired(context.handle):
            return Advanced(context.handle.then("stalled", looks=0))
        size, first = context.post.size_bytes, context.handle.number("offset")
        end = chunk_end(first, size, chunk_size(size, self._chunk_bytes))
        with steps.open_range(context.post, first, end - first) as chunk:
            response = self._api.put(context.handle.text("upload_url"), chunk, first, size)
        return self._after_put(context, response, end)

    def _after_put(self, context: StepContext, response: Response, end: int) -> Outcome:
        handle, complete = context.handle, end == context.post.size_bytes
        if response.status in {200, 201} and complete:
            return self._sent(handle)
        if response.status == 206 and not complete and last_received(response) in {None, end - 1, end}:
            return Advanced(handle.then("upload", offset=end))
        if response.status >= 500 or response.status in {408, 425, 429}:
            raise Unclear(
                "answer_lost",
                f"TikTok could not store the video's bytes (HTTP {response.status})",
                retry_after_s=response.retry_after_s or self._pacing.scaled(LOST_RESPONSE_PAUSE_S),
            )
        # The server has another offset, or no longer takes bytes: the job's state decides how to go on.
        located = steps.conflict(handle, "locate", f"http_{response.status}")
        return Advanced(located, response.retry_after_s or self._pacing.scaled(CONFLICT_PAUSE_S))

    def _locate(self, context: StepContext) -> Outcome:
        """Ask how many bytes the job has, and go on from there."""
        handle, answer = context.handle, self._ask_for_bytes(context)
        if not isinstance(answer, _Incomplete):
            return answer
        if self._has_no_address(handle):
            return Advanced(handle.then("stalled", looks=0))
        return steps.resume_upload(self._pacing, handle, answer.uploaded_bytes)

    def _ask_for_bytes(self, context: StepContext) -> Outcome | _Incomplete:
        """Ask for the job; return the outcome that its state decides, or how many bytes it has."""
        handle, status = context.handle, polling.known_status(self._services, context)
        if status is None:
            return polling.begin_search(handle)
        if status.status == "FAILED":
            raise polling.failure(self._services, context, status)
        if self._has_all_bytes(context, status):
            return self._sent(handle)
        if status.uploaded_bytes is None:
            return self._undecided(handle)
        return _Incomplete(status, status.uploaded_bytes)

    def _undecided(self, handle: Handle) -> Advanced:
        """Ask again: TikTok did not say how many bytes the job has, so neither an end nor a repetition is certain."""
        if self._pacing.now() - handle.number("init_at") > polling.GIVE_UP_POLLING_S:
            raise OutcomeUnknown("processing_endless", "TikTok has not said for a day whether the upload is complete")
        return self._pacing.ask_again(handle, handle.step, UNDECIDED_CADENCE_S)

    def _stalled(self, context: StepContext) -> Outcome:
        """Wait until a job whose address expired before its last byte will certainly never post."""
        handle, answer = context.handle, self._ask_for_bytes(context)
        if not isinstance(answer, _Incomplete):
            return answer
        if not handle.number("sent_at") and not self._has_no_address(handle):  # the clock was ahead, and was set back
            return steps.resume_upload(self._pacing, handle, answer.uploaded_bytes)
        unchanged = answer.uploaded_bytes == handle.number("stalled_bytes") and handle.number("looks") > 0
        if unchanged and self._pacing.now() - handle.number("init_at") > ABANDONED_AFTER_S:
            raise polling.failure(self._services, context, answer.status)
        waiting = handle.then("stalled", stalled_bytes=answer.uploaded_bytes)
        return self._pacing.ask_again(waiting, "stalled", STALLED_CADENCE_S)

    def _has_all_bytes(self, context: StepContext, status: PublishStatus) -> bool:
        return status.status != "PROCESSING_UPLOAD" or (status.uploaded_bytes or 0) >= context.post.size_bytes

    def _has_no_address(self, handle: Handle) -> bool:
        """Return whether the upload address has expired, or TikTok refuses it again and again."""
        is_refused = handle.text("refused") in {"http_403", "http_404"}
        return self._expired(handle) or (is_refused and handle.number("conflicts") > steps.CONFLICTS)

    def _expired(self, handle: Handle) -> bool:
        return self._pacing.now() - handle.number("init_at") >= URL_LIFE_S

    def _sent(self, handle: Handle) -> Advanced:
        sent_at = handle.number("sent_at") or int(self._pacing.now())
        sent = handle.then("poll", sent_at=sent_at, looks=0)
        return Advanced(sent, self._pacing.pause_s(POLL_CADENCE_S, 0))
