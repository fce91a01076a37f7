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
from dataclasses import dataclass

from platforms import tiktok_calls, video, wording
from platforms.contract import Account, ActionNeeded, Advanced, Disclosure, Handle, Outcome, Post, Published
from platforms.errors import OutcomeUnknown, PlatformError, Rejected, TryLater, Unclear
from platforms.hosts import Hosts
from platforms.tiktok_calls import RESTARTABLE, Calls, Status
from platforms.tiktok_plan import (
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
from platforms.wire import Reply

URL_LIFE_S = 3_600.0  # upload_url is valid for one hour (Direct Post reference)
ABANDONED_AFTER_S = 7_200.0  # our choice: twice the life of the address, with no byte added
GIVE_UP_POLLING_S = 86_400.0
LINK_FOR_S = 21_600.0  # moderation may take hours; after six we stop asking for the link
DRAFT_FOR_S = 604_800.0
BLIND_INITS = 2  # an init may be billed even if its answer is lost
RESTARTS = 2
CONFLICTS = 3

POLL_CADENCE_S = (3.0, 5.0, 10.0, 20.0, 30.0, 30.0, 30.0, 60.0, 60.0, 60.0, 300.0)
DRAFT_CADENCE_S = (60.0, 300.0, 1_800.0)
STALLED_CADENCE_S = (300.0,)

_JOB_FACTS = (
    "publish_id",
    "upload_url",
    "offset",
    "init_at",
    "sent_at",
    "looks",
    "conflicts",
    "stalled_bytes",
)


@dataclass(frozen=True)
class _Turn:
    """One call of `advance`."""

    post: Post
    account: Account
    handle: Handle
    interrupted: bool

    @property
    def publish_id(self) -> str:
        return self.handle.text("publish_id")


class TikTok:
    """The publisher; see `platforms.contract.Publisher`."""

    platform = "tiktok"

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
        self._calls = Calls(hosts)
        self._hosts = hosts
        self._direct = mode == "direct"
        self._disclosure: Disclosure = disclosure
        self._interactions = interactions
        self._pace = pace
        self._clock = clock
        self._chunk_bytes = chunk_bytes
        self._steps: Mapping[str, Callable[[_Turn], Outcome]] = {
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
        if self._direct and post.privacy not in PRIVACY:
            raise Rejected("privacy_refused", f"TikTok has no privacy {post.privacy!r}")
        return Handle(self._first)

    def advance(self, post: Post, account: Account, handle: Handle, *, interrupted: bool) -> Outcome:
        """Run one step."""
        step = self._steps.get(handle.step)
        if step is None:
            raise OutcomeUnknown("step_unknown", f"no step is called {handle.step!r}")
        return step(_Turn(post, account, handle, interrupted))

    @property
    def _first(self) -> str:
        return "creator" if self._direct else "init"

    # Before the bytes -------------------------------------------------------------------------------------------

    def _creator(self, turn: _Turn) -> Outcome:
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

    def _init(self, turn: _Turn) -> Outcome:
        if turn.interrupted:
            return self._count_blind_init(turn.handle)
        size = turn.post.size_bytes
        session = self._calls.init(
            turn.account.access_token,
            "direct" if self._direct else "inbox",
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
        blind = handle.number("blind_inits") + 1
        if blind > BLIND_INITS:
            raise Rejected("init_unanswered", f"TikTok left {blind} requests to begin unanswered; nothing was posted")
        return Advanced(handle.then("init", blind_inits=blind))

    # The bytes --------------------------------------------------------------------------------------------------

    def _upload(self, turn: _Turn) -> Outcome:
        if turn.interrupted:
            return self._locate(turn)
        if self._expired(turn.handle):
            return Advanced(turn.handle.then("stalled", looks=0))
        first = turn.handle.number("offset")
        end = chunk_end(first, turn.post.size_bytes, chunk_size(turn.post.size_bytes, self._chunk_bytes))
        with video.part_of(turn.post, first, end - first) as part:
            reply = self._calls.put(turn.handle.text("upload_url"), part, first, turn.post.size_bytes)
        return self._after_put(turn, reply, end)

    def _after_put(self, turn: _Turn, reply: Reply, end: int) -> Outcome:
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

    def _locate(self, turn: _Turn) -> Outcome:
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

    def _stalled(self, turn: _Turn) -> Outcome:
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

    def _all_in(self, turn: _Turn, status: Status) -> bool:
        uploading = status.status == "PROCESSING_UPLOAD" and status.uploaded_bytes < turn.post.size_bytes
        return status.status != "FAILED" and not uploading

    def _expired(self, handle: Handle) -> bool:
        return self._clock() - handle.number("init_at") >= URL_LIFE_S

    def _sent(self, handle: Handle) -> Advanced:
        return Advanced(handle.then("poll", sent_at=int(self._clock()), looks=0), POLL_CADENCE_S[0] * self._pace)

    # After the bytes: only questions ----------------------------------------------------------------------------

    def _poll(self, turn: _Turn) -> Outcome:
        status = self._status(turn)
        if status is None:
            return Advanced(turn.handle.then("search"))
        if status.status == "PUBLISH_COMPLETE":
            return self._complete(turn, status)
        if status.status == "SEND_TO_USER_INBOX":
            return self._in_inbox(turn.handle.then("draft", looks=0))
        if status.status == "FAILED":
            return self._restart(turn, status)
        if self._clock() - turn.handle.number("sent_at") > GIVE_UP_POLLING_S:
            raise OutcomeUnknown("processing_endless", "TikTok has been processing the video for a day")
        return self._look_again(turn.handle, POLL_CADENCE_S)

    def _look_again(self, handle: Handle, cadence_s: tuple[float, ...]) -> Advanced:
        looks = handle.number("looks") + 1
        return Advanced(handle.then(handle.step, looks=looks), video.nth(cadence_s, looks) * self._pace)

    def _complete(self, turn: _Turn, status: Status) -> Published:
        handle = turn.handle
        if status.publicaly_available_post_id:
            post_id = str(
                status.publicaly_available_post_id[0]
            )  # several drafts' posts may share a job; the first counts
            return self._live(handle, post_id, self._link(handle.text("username"), post_id))
        if handle.text("privacy_level") not in {"", PRIVACY["public"]} or self._link_is_overdue(handle):
            return Published(handle.then("done"), turn.publish_id, None)  # the id of a non-public post never appears
        looks = handle.number("looks") + 1
        waiting = handle.then("link", looks=looks)
        return Published(waiting, turn.publish_id, None, video.nth(POLL_CADENCE_S, looks) * self._pace)

    def _linked(self, turn: _Turn) -> Outcome:
        status = self._status(turn)
        if status is None:
            return Published(turn.handle.then("done"), turn.publish_id, None)
        return self._complete(turn, status)

    def _link_is_overdue(self, handle: Handle) -> bool:
        return self._clock() - handle.number("sent_at") > LINK_FOR_S

    def _live(self, handle: Handle, post_id: str, link: str | None) -> Published:
        return Published(handle.then("done", post_id=post_id, link=link or ""), post_id, link)

    def _link(self, username: str, post_id: str) -> str | None:
        return self._hosts.tiktok_link(username, post_id) if username else None

    def _in_inbox(self, handle: Handle) -> ActionNeeded:
        looks = handle.number("looks")
        waiting = self._clock() - handle.number("sent_at") < DRAFT_FOR_S
        pause_s = video.nth(DRAFT_CADENCE_S, looks) * self._pace if waiting else None
        return ActionNeeded(handle.then("draft", looks=looks + 1), handle.text("publish_id"), "draft_in_inbox", pause_s)

    def _draft(self, turn: _Turn) -> Outcome:
        status = self._status(turn)
        if status is None:  # TikTok keeps no job for ever; whether the draft was posted is now its owner's knowledge
            return ActionNeeded(turn.handle.then("draft"), turn.publish_id, "draft_in_inbox")
        if status.status == "PUBLISH_COMPLETE":
            return self._complete(turn, status)
        if status.status == "FAILED":
            raise tiktok_calls.failed(status.fail_reason)
        return self._in_inbox(turn.handle)

    def _restart(self, turn: _Turn, status: Status) -> Outcome:
        """Begin a new job after one that certainly has no post; raise when its reason allows none."""
        unfinished = turn.handle.step in {"upload", "locate", "stalled"} and not status.fail_reason
        abandoned = status.status != "FAILED"
        restarts = turn.handle.number("restarts") + 1
        if not (abandoned or unfinished or status.fail_reason in RESTARTABLE) or restarts > RESTARTS:
            raise tiktok_calls.failed(status.fail_reason)
        return Advanced(turn.handle.without(*_JOB_FACTS).then(self._first, restarts=restarts), 30.0 * self._pace)

    def _status(self, turn: _Turn) -> Status | None:
        """Return how the job stands; None when TikTok no longer knows it."""
        try:
            return self._calls.status(turn.account.access_token, turn.publish_id)
        except OutcomeUnknown as error:
            if error.code == "publish_id_forgotten":
                return None
            raise

    def _search(self, turn: _Turn) -> Outcome:
        """Look for the post among the account's public videos; only exactly one match counts as evidence."""
        if not self._direct or turn.post.privacy != "public":
            raise OutcomeUnknown("publish_id_forgotten", "TikTok no longer knows the job, and drafts cannot be listed")
        words = wording.compose(self.platform, turn.post.title, turn.post.caption, turn.post.part, turn.post.parts)
        try:
            listed = self._calls.videos(turn.account.access_token)
        except TryLater:
            raise
        except PlatformError as error:
            raise OutcomeUnknown("publish_id_forgotten", "TikTok no longer knows the job nor lists videos") from error
        found = [
            entry
            for entry in listed
            if words.text.strip() in {entry.title.strip(), entry.video_description.strip()}
            and entry.create_time >= turn.handle.number("init_at")
            and abs(entry.duration - turn.post.duration_s) <= 1.0
        ]
        if len(found) != 1:
            raise OutcomeUnknown(
                "publish_id_forgotten", f"TikTok no longer knows the job; {len(found)} videos match it"
            )
        link = found[0].share_url or self._link(turn.handle.text("username"), found[0].id)
        return self._live(turn.handle, found[0].id, link)

    def _done(self, turn: _Turn) -> Outcome:
        return Published(turn.handle, turn.handle.text("post_id") or turn.publish_id, turn.handle.text("link") or None)
