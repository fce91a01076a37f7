"""The publisher for Instagram Reels, for accounts of either of Meta's two logins.

    Facebook Login:   container → upload ⇄ locate ─┐
    Instagram Login:  container (Meta fetches) ────┴→ processing → publish → link → done
                          ↑ expired, failed                 ↑ FINISHED  ↓ anything but success
                          └───────────────────────────────  each time   confirm → find → done
                                                            refused   ←──┘    PUBLISHED

Why it cannot post twice: only `publish` makes anything public. After any response but success, whatever its code, the
container's state is read. While it is FINISHED four times over four minutes it was not published, and then the very
same container is published again, since a second container would be a second post. Once it was seen PUBLISHED,
`publish` is never run again.

Why it does not give up a post early: a request that Meta refused counts, one that it did not answer does not; between
two requests the pause grows to an hour, and the container stays usable for a day.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable

from platforms import steps
from platforms.contract import (
    Advanced,
    AuthorizedAccount,
    Disclosure,
    Handle,
    Outcome,
    Post,
    Published,
    QuotaAnswer,
    StepContext,
)
from platforms.errors import (
    AccountRefused,
    OutcomeUnknown,
    PlatformError,
    PostFailed,
    RateLimited,
    Reconnect,
    Rejected,
    TryLater,
    Unclear,
)
from platforms.http.hosts import Roots
from platforms.instagram import wording
from platforms.instagram.api import (
    CONTAINER_GONE,
    CONTAINER_REMAKE,
    GRAPH_VERSION,
    NOT_READY,
    ContainerStatus,
    GraphApi,
    GraphRefusal,
    InstagramMedia,
    meaning_of,
)
from platforms.instagram.hosts import MetaHosts
from platforms.instagram.options import InstagramOptions
from platforms.steps import Pacing, Steps

# developers.facebook.com, IG user media reference and content publishing (read 2026-11-22).
MAX_BYTES = 300_000_000
MIN_S, MAX_S = 3.0, 900.0
PROCESSING_CADENCE_S = (10.0, 20.0, 30.0, 60.0)  # "once a minute"; shorter at first, since parts are small
CONFIRM_CADENCE_S = (5.0, 15.0, 60.0, 180.0)
FIND_CADENCE_S = (5.0, 30.0, 120.0)
LINK_CADENCE_S = (5.0, 60.0, 600.0)
REFUSED_UPLOAD_PAUSE_S = 2.0
# The pauses grow so that a disturbance of Instagram's processing of an evening does not use up all containers.
REMAKE_CADENCE_S = (60.0, 1_800.0, 7_200.0)
PUBLISH_AGAIN_CADENCE_S = (0.0, 60.0, 300.0, 900.0, 1_800.0, 3_600.0)
QUOTA_PAUSE_S = 3_600.0  # Meta does not say when the oldest post of the 24 hours no longer counts
CONTAINER_LIFE_S = 86_400.0
CLOCK_SKEW_S = 60
REMAKES = 3
PUBLISHES = 3  # requests that Meta refused, not those without an answer
UNREADY = 10
_CONTAINER_FACTS = (
    *("container", "uri", "offset", "made_at", "looks", "publishes", "tried_at"),
    *("refusals", "refusal", "unready", *steps.RESUME_FACTS),
)
_BEFORE_PUBLISH = frozenset({"container", "upload", "locate", "processing", "publish"})


class Instagram:
    """The publisher for Instagram; see `platforms.contract.Publisher`."""

    platform = "instagram"
    irreversible_steps = frozenset({"publish"})  # a container by itself is never public

    def __init__(
        self,
        roots: Roots,
        *,
        version: str = GRAPH_VERSION,
        disclosure: Disclosure = "gaze",
        pace: float = 1.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Set how to publish.

        Args:
            version: of the Graph API.
            pace: factor on all pauses between questions; small in tests.
            clock: Unix seconds.
        """
        self._hosts = MetaHosts.at(roots)
        self._version = version
        self._disclosure: Disclosure = disclosure
        self._pacing = Pacing(pace, clock)
        self._steps: Steps = {
            "container": self._container,
            "upload": self._upload,
            "locate": self._locate,
            "processing": self._processing,
            "publish": self._publish,
            "confirm": self._confirm,
            "refused": self._refused,
            "find": self._find,
            "link": self._link,
            "done": self._done,
        }

    def begin(self, post: Post, account: AuthorizedAccount) -> Handle:
        """Check the words and the file, and return the first handle."""
        wording.compose(post.title, post.caption)
        steps.check_video(post, max_bytes=MAX_BYTES, min_s=MIN_S, max_s=MAX_S)
        InstagramOptions.read(post.options)
        if account.variant != "facebook_login" and not post.media_url:
            raise Rejected("media_url_missing", "With Instagram Login the video needs a public address (PUBLIC_URL)")
        return Handle("container")

    def may_stop(self, handle: Handle) -> bool:
        """Return whether nothing was made public yet: only `publish` does that.

        The steps "publish" (again) and "refused" follow only when the container was not published, in all looks.
        """
        return handle.step in _BEFORE_PUBLISH or handle.step == "refused"

    def advance(self, post: Post, account: AuthorizedAccount, handle: Handle, *, interrupted: bool) -> Outcome:
        """Run one step."""
        try:
            return steps.run(self._steps, StepContext(post, account, handle, interrupted))
        except GraphRefusal as refusal:
            raise refusal.error() from None

    def _api(self, context: StepContext) -> GraphApi:
        return GraphApi(self._hosts, context.account.variant, self._version)

    # The container, which publishes nothing -----------------------------------------------------------------------

    def _container(self, context: StepContext) -> Outcome:
        # Repeated without a question: an unused container expires within a day and cannot become a post.
        quota = self._check_quota(context)
        sends_bytes = context.account.variant == "facebook_login"
        source = {"upload_type": "resumable"} if sends_bytes else {"video_url": context.post.media_url or ""}
        created = self._api(context).create_container(
            context.token,
            context.account.remote_id,
            {
                "media_type": "REELS",
                "caption": _caption(context.post),
                **_chosen(context.post),
                "is_ai_generated": _flag(context.post.is_declared_as_ai(self._disclosure)),
                **source,
            },
        )
        known = context.handle.then("processing", container=created.id, made_at=int(self._pacing.now()), looks=0)
        if not sends_bytes:
            return Advanced(known, self._pacing.pause_s(PROCESSING_CADENCE_S, 0), quota)
        # The address exactly as given: with one composed by hand, the container was seen in progress for ever.
        uri = self._hosts.accept_upload(created.uri or "")
        return Advanced(known.then("upload", uri=uri, offset=0), quota=quota)

    def _check_quota(self, context: StepContext) -> QuotaAnswer:
        """Return how many posts the account has; raise RateLimited if none is left.

        A refusal of the question decides nothing.
        """
        try:
            quota = self._api(context).quota(context.token, context.account.remote_id)
        except GraphRefusal as refusal:
            if isinstance(error := refusal.error(), RateLimited):
                raise error from None
            return QuotaAnswer(reason=error.reason)
        except RateLimited:
            raise
        except PlatformError as error:
            return QuotaAnswer(reason=error.reason)
        total, used = quota.config.quota_total, max(0, quota.quota_usage)
        if total <= 0:
            return QuotaAnswer(used=used, reason="Instagram named no limit of posts")
        answer = QuotaAnswer(total, used)
        if quota.is_used_up:
            raise RateLimited(
                "post_limit",
                f"The account has used all {total} posts that Instagram allows in 24 hours",
                retry_after_s=self._pacing.scaled(QUOTA_PAUSE_S),
                scope="account",
                quota=answer,
            )
        return answer

    def _upload(self, context: StepContext) -> Outcome:
        if context.interrupted:
            return self._locate(context)
        handle, size = context.handle, context.post.size_bytes
        offset = handle.number("offset")
        with steps.open_range(context.post, offset, size - offset) as rest:
            try:
                self._api(context).upload(context.token, handle.text("uri"), rest, offset, size)
            except GraphRefusal as refusal:
                if isinstance(refusal.error(), TryLater | Unclear | Reconnect):
                    raise
                # Whatever the reason, the container's own count of bytes decides how to go on.
                located = steps.conflict(handle, "locate", refusal.body.platform_code)
                return Advanced(located, self._pacing.scaled(REFUSED_UPLOAD_PAUSE_S))
        return self._uploaded(handle)

    def _uploaded(self, handle: Handle) -> Advanced:
        return Advanced(handle.then("processing", looks=0), self._pacing.pause_s(PROCESSING_CADENCE_S, 0))

    def _locate(self, context: StepContext) -> Outcome:
        handle = context.handle
        try:
            status = self._api(context).status(context.token, _container_id(context), with_bytes=True)
        except GraphRefusal as refusal:
            return self._gone(context, refusal)
        received = status.video_status.uploading_phase.bytes_transferred
        if status.status_code in {"ERROR", "EXPIRED"}:
            return self._remake(context, status)
        if status.status_code != "IN_PROGRESS" or received >= context.post.size_bytes:
            return self._uploaded(handle)
        try:
            return steps.resume_upload(self._pacing, handle, received)
        except PostFailed as failed:
            if failed.code == steps.UNANSWERED:
                raise
            return self._remake(context, status)  # another container may accept the bytes

    def _processing(self, context: StepContext) -> Outcome:
        handle = context.handle
        try:
            status = self._api(context).status(context.token, _container_id(context))
        except GraphRefusal as refusal:
            return self._gone(context, refusal)
        if status.status_code == "FINISHED":
            return Advanced(handle.then("publish", tried_at=handle.number("tried_at") or int(self._pacing.now())))
        if status.status_code == "PUBLISHED":
            return Advanced(handle.then("find", looks=0))
        overdue = self._pacing.now() - handle.number("made_at") > CONTAINER_LIFE_S
        if status.status_code in {"ERROR", "EXPIRED"} or overdue:
            return self._remake(context, status)
        return self._pacing.ask_again(handle, "processing", PROCESSING_CADENCE_S)

    def _gone(self, context: StepContext, refusal: GraphRefusal) -> Outcome:
        """Begin a new container after one that Meta no longer knows; raise for any other refusal.

        Once `publish` was requested, no refusal of a question may lead to a new container.
        """
        if refusal.body.key not in CONTAINER_GONE or context.handle.number("tried_at"):
            raise refusal
        return self._remake(context, ContainerStatus(status_code="EXPIRED"))

    def _remake(self, context: StepContext, status: ContainerStatus) -> Outcome:
        """Begin a new container after one that certainly was not published; raise when that would not help."""
        subcode = _subcode(status.status)
        remakes = context.handle.number("remakes")
        code = str(subcode) if subcode else None
        if status.status_code == "ERROR" and subcode and subcode not in CONTAINER_REMAKE:
            raise PostFailed("video_refused", "Instagram cannot use this video", platform_code=code)
        if remakes >= REMAKES:
            detail = f"Instagram could not process the video in {REMAKES + 1} tries"
            raise PostFailed("processing_failed", detail, platform_code=code)
        fresh = context.handle.without(*_CONTAINER_FACTS).then("container", remakes=remakes + 1)
        return Advanced(fresh, self._pacing.pause_s(REMAKE_CADENCE_S, remakes))

    # The only irreversible call -----------------------------------------------------------------------------------

    def _publish(self, context: StepContext) -> Outcome:
        if context.interrupted:
            return self._unconfirmed(context.handle)
        try:
            media_id = self._api(context).publish(context.token, context.account.remote_id, _container_id(context))
        except GraphRefusal as refusal:
            return self._after_refusal(context.handle, refusal)
        return Advanced(context.handle.then("link", media_id=media_id, looks=0))

    def _after_refusal(self, handle: Handle, refusal: GraphRefusal) -> Outcome:
        unready = handle.number("unready")
        if refusal.body.key == NOT_READY and unready < UNREADY:
            waiting = handle.then("processing", looks=1, unready=unready + 1)
            return Advanced(waiting, self._pacing.pause_s(PROCESSING_CADENCE_S, unready + 1))
        error = refusal.error()
        if refusal.body.key != NOT_READY and isinstance(error, TryLater | Unclear | Reconnect):
            raise error  # the caller runs this step again as interrupted
        refused = handle.then("publish", refusals=handle.number("refusals") + 1, refusal=refusal.body.platform_code)
        return self._unconfirmed(refused)

    def _unconfirmed(self, handle: Handle) -> Advanced:
        unconfirmed = handle.then("confirm", looks=0, publishes=handle.number("publishes") + 1)
        return Advanced(unconfirmed, self._pacing.pause_s(CONFIRM_CADENCE_S, 0))

    def _confirm(self, context: StepContext) -> Outcome:
        handle = context.handle
        status = self._api(context).status(context.token, _container_id(context))
        if status.status_code == "PUBLISHED":
            return Advanced(handle.then("find", looks=0))
        if status.status_code in {"ERROR", "EXPIRED"}:
            return self._remake(context, status)
        if status.status_code != "FINISHED":  # no look: only FINISHED says that the container was not published
            return self._undecided(handle)
        if handle.number("looks") + 1 < len(CONFIRM_CADENCE_S):
            return self._pacing.ask_again(handle, "confirm", CONFIRM_CADENCE_S)
        return self._publish_again(handle)

    def _undecided(self, handle: Handle) -> Advanced:
        if self._pacing.now() - handle.number("tried_at") > CONTAINER_LIFE_S:
            raise OutcomeUnknown("publish_unanswered", "Instagram has not shown for a day whether the post is live")
        return Advanced(handle, self._pacing.scaled(CONFIRM_CADENCE_S[-1]))

    def _publish_again(self, handle: Handle) -> Outcome:
        # FINISHED each time: the container was not published, and may be published now.
        overdue = self._pacing.now() - handle.number("tried_at") > CONTAINER_LIFE_S
        if handle.number("refusals") >= PUBLISHES or overdue or _is_account_refusal(handle):
            return Advanced(handle.then("refused"))
        again = handle.then("publish", looks=0)
        return Advanced(again, self._pacing.pause_s(PUBLISH_AGAIN_CADENCE_S, handle.number("publishes") - 1))

    def _refused(self, context: StepContext) -> Outcome:
        """Raise the verdict on a container that was not published. Without network."""
        code = context.handle.text("refusal")
        meaning = meaning_of(code) if code else None
        if meaning is None:
            detail = "Instagram did not carry out any request to publish; nothing was posted"
            raise PostFailed("publish_refused", detail, platform_code=code or None)
        error = meaning.error(platform_code=code)
        if isinstance(error, AccountRefused):
            raise error
        raise PostFailed(error.code, error.detail, platform_code=code)

    # After it, only questions -------------------------------------------------------------------------------------

    def _find(self, context: StepContext) -> Outcome:
        """Find the id of a post that is certainly live; without exactly one match its link stays empty."""
        try:
            newest = self._api(context).newest(context.token, context.account.remote_id)
        except (GraphRefusal, PlatformError):
            newest = []
        found = [media for media in newest if _matches(context, media)]
        if len(found) == 1:
            return _live(context.handle, found[0].id, found[0].permalink)
        if context.handle.number("looks") + 1 < len(FIND_CADENCE_S):
            return self._pacing.ask_again(context.handle, "find", FIND_CADENCE_S)
        return _live(context.handle, _container_id(context), None)

    def _link(self, context: StepContext) -> Outcome:
        media_id, looks = context.handle.text("media_id"), context.handle.number("looks")
        try:
            link = self._api(context).media(context.token, media_id).permalink
        except (GraphRefusal, PlatformError):
            link = None  # the post is live, whatever this call returns; 100/33 was seen on existing posts
        if link or looks >= len(LINK_CADENCE_S):
            return _live(context.handle, media_id, link)
        waiting = context.handle.then("link", looks=looks + 1)
        return Published(waiting, media_id, None, self._pacing.pause_s(LINK_CADENCE_S, looks))

    def _done(self, context: StepContext) -> Outcome:
        return Published(context.handle, context.handle.text("media_id"), context.handle.text("link") or None)


def _container_id(context: StepContext) -> str:
    return context.handle.text("container")


def _is_account_refusal(handle: Handle) -> bool:
    meaning = meaning_of(handle.text("refusal")) if handle.text("refusal") else None
    return meaning is not None and isinstance(meaning.error(), AccountRefused)


def _caption(post: Post) -> str:
    return wording.compose(post.title, post.caption).text


def _chosen(post: Post) -> dict[str, str]:
    """Return the fields of a container that follow from the options of a post."""
    options = InstagramOptions.read(post.options)
    fields = {"share_to_feed": _flag(options.share_to_feed is not False)}
    if options.collaborators:
        fields["collaborators"] = json.dumps(options.collaborators)
    if options.cover_s is not None:
        fields["thumb_offset"] = str(steps.cover_ms(options.cover_s, post.duration_s))
    return fields


def _matches(context: StepContext, media: InstagramMedia) -> bool:
    return (
        media.media_product_type == "REELS"
        and media.caption.strip() == _caption(context.post)
        and steps.unix_time(media.timestamp) >= context.handle.number("tried_at") - CLOCK_SKEW_S
    )


def _live(handle: Handle, media_id: str, link: str | None) -> Published:
    return Published(handle.then("done", media_id=media_id, link=link or ""), media_id, link)


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _subcode(status: str) -> int:
    # "Error: Media upload has failed with error code 2207026": the response holds the number only in this text.
    found = re.search(r"\b(2207\d{3})\b", status)
    return int(found[1]) if found else 0
