"""What is done on TikTok once all bytes are in: nothing but asking, until it is clear what became of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from platforms import video, wording
from platforms.contract import Account, ActionNeeded, Advanced, Handle, Outcome, Post, Published
from platforms.errors import OutcomeUnknown, PlatformError, TryLater
from platforms.http.hosts import Hosts
from platforms.tiktok import api
from platforms.tiktok.api import RESTARTABLE, Calls, Status
from platforms.tiktok.chunks import PRIVACY

GIVE_UP_POLLING_S = 86_400.0
LINK_FOR_S = 21_600.0  # moderation may take hours; after six we stop asking for the link
DRAFT_FOR_S = 604_800.0
RESTARTS = 2
POLL_CADENCE_S = (3.0, 5.0, 10.0, 20.0, 30.0, 30.0, 30.0, 60.0, 60.0, 60.0, 300.0)
DRAFT_CADENCE_S = (60.0, 300.0, 1_800.0)
_JOB_FACTS = ("publish_id", "upload_url", "offset", "init_at", "sent_at", "looks", "conflicts", "stalled_bytes")


@dataclass(frozen=True)
class Turn:
    """One call of `advance`."""

    post: Post
    account: Account
    handle: Handle
    interrupted: bool

    @property
    def publish_id(self) -> str:
        """The job's id on TikTok's side."""
        return self.handle.text("publish_id")

    @property
    def mode(self) -> str:
        """How this post was begun: "inbox" or "direct"."""
        return self.handle.text("mode")


def first_step(mode: str) -> str:
    """Return the step that a post, or a new job for it, begins with."""
    return "creator" if mode == "direct" else "init"


class Asking:
    """The steps after the last byte; each of them only reads."""

    platform = "tiktok"

    def __init__(self, hosts: Hosts, *, pace: float, clock: Callable[[], float]) -> None:
        self._calls = Calls(hosts)
        self._hosts = hosts
        self._pace = pace
        self._clock = clock

    def _poll(self, turn: Turn) -> Outcome:
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

    def _complete(self, turn: Turn, status: Status) -> Published:
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

    def _linked(self, turn: Turn) -> Outcome:
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

    def _draft(self, turn: Turn) -> Outcome:
        status = self._status(turn)
        if status is None:  # TikTok keeps no job for ever; whether the draft was posted is now its owner's knowledge
            return ActionNeeded(turn.handle.then("draft"), turn.publish_id, "draft_in_inbox")
        if status.status == "PUBLISH_COMPLETE":
            return self._complete(turn, status)
        if status.status == "FAILED":
            raise api.failed(status.fail_reason)
        return self._in_inbox(turn.handle)

    def _restart(self, turn: Turn, status: Status) -> Outcome:
        """Begin a new job after one that certainly has no post; raise when its reason allows none."""
        unfinished = turn.handle.step in {"upload", "locate", "stalled"} and not status.fail_reason
        abandoned = status.status != "FAILED"
        restarts = turn.handle.number("restarts") + 1
        if not (abandoned or unfinished or status.fail_reason in RESTARTABLE) or restarts > RESTARTS:
            raise api.failed(status.fail_reason)
        return Advanced(
            turn.handle.without(*_JOB_FACTS).then(first_step(turn.mode), restarts=restarts), 30.0 * self._pace
        )

    def _status(self, turn: Turn) -> Status | None:
        """Return how the job stands; None when TikTok no longer knows it."""
        try:
            return self._calls.status(turn.account.access_token, turn.publish_id)
        except OutcomeUnknown as error:
            if error.code == "publish_id_forgotten":
                return None
            raise

    def _search(self, turn: Turn) -> Outcome:
        """Look for the post among the account's public videos; only exactly one match counts as evidence."""
        if turn.mode != "direct" or turn.post.privacy != "public":
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

    def _done(self, turn: Turn) -> Outcome:
        return Published(turn.handle, turn.handle.text("post_id") or turn.publish_id, turn.handle.text("link") or None)
