"""The steps of a TikTok publication after the last byte: they only read, until the job's outcome is certain."""

from __future__ import annotations

from dataclasses import dataclass

from platforms.contract import ActionNeeded, Advanced, Handle, Outcome, Published, StepContext
from platforms.errors import OutcomeUnknown, PlatformError, PostFailed, Reconnect, StartOver, TryLater
from platforms.steps import RESUME_FACTS, Pacing
from platforms.tiktok import wording
from platforms.tiktok.api import (
    JOB_UNKNOWN,
    POST_LIMIT_WAIT_S,
    RESTARTABLE,
    TOO_MANY_POSTS,
    ListedVideo,
    PublishStatus,
    TikTokApi,
    job_failed,
)
from platforms.tiktok.chunks import PRIVACY
from platforms.tiktok.hosts import TikTokHosts

GIVE_UP_POLLING_S = 86_400.0
LINK_FOR_S = 21_600.0  # moderation may take hours; after six we stop asking for the link
DRAFT_FOR_S = 604_800.0
INCOMPLETE_AFTER_S = 600.0  # our choice: counts of bytes may be updated late
RESTARTS = 3
RESTART_CADENCE_S = (60.0, 1_800.0, 7_200.0)
LIMIT_WAITS = 8  # two days of a limit that rolls over 24 hours
SEARCH_CADENCE_S = (0.0, 300.0, 600.0)
CLOCK_SKEW_S = 60
POLL_CADENCE_S = (3.0, 5.0, 10.0, 20.0, 30.0, 30.0, 30.0, 60.0, 60.0, 60.0, 300.0)
DRAFT_CADENCE_S = (60.0, 300.0, 1_800.0)
_JOB_FACTS = ("publish_id", "upload_url", "offset", "init_at", "sent_at", "looks", "stalled_bytes", *RESUME_FACTS)


@dataclass(frozen=True)
class TikTokServices:
    """The API, hosts and pauses that every step uses."""

    api: TikTokApi
    hosts: TikTokHosts
    pacing: Pacing


def publish_id(context: StepContext) -> str:
    """Return the id of the publish job."""
    return context.handle.text("publish_id")


def mode(context: StepContext) -> str:
    """Return the mode in which the post was begun: "inbox" or "direct"."""
    return context.handle.text("mode")


def first_step(mode: str) -> str:
    """Return the step that a post, or a new job for it, begins with."""
    return "creator" if mode == "direct" else "init"


def known_status(services: TikTokServices, context: StepContext) -> PublishStatus | None:
    """Return the state of the job; None when TikTok does not know it, or not under this token."""
    try:
        return services.api.status(context.token, publish_id(context))
    except OutcomeUnknown as error:
        if error.code in JOB_UNKNOWN:
            return None
        raise


def poll(services: TikTokServices, context: StepContext) -> Outcome:
    """Ask whether the job has ended."""
    status = known_status(services, context)
    if status is None:
        return begin_search(context.handle)
    if status.status == "PUBLISH_COMPLETE":
        return _complete(services, context, status)
    if status.status == "SEND_TO_USER_INBOX":
        return _in_inbox(services, context.handle.then("draft", looks=0))
    if status.status == "FAILED":
        raise failure(services, context, status)
    sent_for_s = services.pacing.now() - context.handle.number("sent_at")
    if _is_incomplete(context, status) and sent_for_s > INCOMPLETE_AFTER_S:
        return Advanced(context.handle.then("stalled", looks=0))  # the response to the last byte was not TikTok's
    if sent_for_s > GIVE_UP_POLLING_S:
        raise OutcomeUnknown("processing_endless", "TikTok has been processing the video for more than a day")
    return services.pacing.ask_again(context.handle, context.handle.step, POLL_CADENCE_S)


def _is_incomplete(context: StepContext, status: PublishStatus) -> bool:
    received = status.uploaded_bytes
    return status.status == "PROCESSING_UPLOAD" and received is not None and received < context.post.size_bytes


def link(services: TikTokServices, context: StepContext) -> Outcome:
    """Ask for the link of a published post."""
    status = known_status(services, context)
    if status is None:
        return Published(context.handle.then("done"), publish_id(context), None)
    return _complete(services, context, status)


def draft(services: TikTokServices, context: StepContext) -> Outcome:
    """Ask whether the owner has posted the draft."""
    status = known_status(services, context)
    if status is None:  # TikTok keeps no job for ever; only the owner knows whether the draft was posted
        return ActionNeeded(context.handle.then("draft"), publish_id(context), "draft_in_inbox")
    if status.status == "PUBLISH_COMPLETE":
        return _complete(services, context, status)
    if status.status == "FAILED":
        raise job_failed(status.fail_reason)
    return _in_inbox(services, context.handle)


def begin_search(handle: Handle) -> Advanced:
    """Return the outcome that searches for a job that TikTok does not know."""
    return Advanced(handle.then("search", looks=0))


def search(services: TikTokServices, context: StepContext) -> Outcome:
    """Search for a job that TikTok did not know: ask again, and search the account's public videos.

    Only exactly one match counts as evidence. Lists are updated late, so three looks are needed to give up.
    """
    if known_status(services, context) is not None:
        return Advanced(context.handle.then("locate", looks=0))
    found = _listed_matches(services, context)
    if len(found) == 1:
        address = found[0].share_url or _address(services, context.handle, found[0].id)
        return _live(context.handle, found[0].id, address)
    if found or context.handle.number("looks") + 1 >= len(SEARCH_CADENCE_S):
        detail = f"TikTok no longer knows the job; {len(found)} public videos of the account match it"
        raise OutcomeUnknown("publish_id_forgotten", detail)
    return services.pacing.ask_again(context.handle, "search", SEARCH_CADENCE_S)


def _listed_matches(services: TikTokServices, context: StepContext) -> list[ListedVideo]:
    """Return the public videos that match; none when they cannot be listed (drafts, private posts, no permission)."""
    if mode(context) != "direct" or context.post.options.get("privacy", "public") != "public":
        return []
    try:
        listed = services.api.videos(context.token)
    except TryLater:
        raise
    except PlatformError as error:
        if isinstance(error, Reconnect) and error.refreshable:
            raise
        return []
    return [video for video in listed if _matches(context, video)]


def done(context: StepContext) -> Outcome:
    """Return the stored outcome."""
    post_id = context.handle.text("post_id") or publish_id(context)
    return Published(context.handle, post_id, context.handle.text("link") or None)


def failure(services: TikTokServices, context: StepContext, status: PublishStatus) -> PlatformError:
    """Return the error for a job that has ended, or was abandoned, certainly without a post.

    It is StartOver while its reason allows another job, and PostFailed otherwise.
    """
    handle, reason = context.handle, status.fail_reason
    if reason == TOO_MANY_POSTS:
        return _post_limit(services, handle)
    unfinished = handle.step in {"upload", "locate", "stalled"} and not reason
    abandoned = status.status != "FAILED"
    restarts = handle.number("restarts")
    if not (abandoned or unfinished or reason in RESTARTABLE) or restarts >= RESTARTS:
        return job_failed(reason)
    return StartOver(
        "job_failed",
        "TikTok ended the upload without a post; a new one is begun",
        handle=_new_job(handle).then(first_step(mode(context)), restarts=restarts + 1),
        retry_after_s=services.pacing.pause_s(RESTART_CADENCE_S, restarts),
        platform_code=reason or None,
    )


def _post_limit(services: TikTokServices, handle: Handle) -> PlatformError:
    detail, waits = "The account has reached TikTok's limit of posts in 24 hours", handle.number("limit_waits")
    if waits >= LIMIT_WAITS:
        return PostFailed("post_limit", detail, platform_code=TOO_MANY_POSTS)
    return StartOver(
        "post_limit",
        detail,
        handle=_new_job(handle).then(first_step(handle.text("mode")), limit_waits=waits + 1),
        retry_after_s=services.pacing.scaled(POST_LIMIT_WAIT_S),
        scope="account",
        platform_code=TOO_MANY_POSTS,
    )


def _new_job(handle: Handle) -> Handle:
    return handle.without(*_JOB_FACTS)


def _complete(services: TikTokServices, context: StepContext, status: PublishStatus) -> Published:
    handle, pacing = context.handle, services.pacing
    if status.publicaly_available_post_id:
        # The posts of several drafts may share a job; the first one counts.
        post_id = str(status.publicaly_available_post_id[0])
        return _live(handle, post_id, _address(services, handle, post_id))
    overdue = pacing.now() - handle.number("sent_at") > LINK_FOR_S
    if handle.text("privacy_level") not in {"", PRIVACY["public"]} or overdue:
        # The id of a post that is not public never appears.
        return Published(handle.then("done"), publish_id(context), None)
    looks = handle.number("looks") + 1
    waiting = handle.then("link", looks=looks)
    return Published(waiting, publish_id(context), None, pacing.pause_s(POLL_CADENCE_S, looks))


def _in_inbox(services: TikTokServices, handle: Handle) -> ActionNeeded:
    looks, pacing = handle.number("looks"), services.pacing
    waiting = pacing.now() - handle.number("sent_at") < DRAFT_FOR_S
    pause_s = pacing.pause_s(DRAFT_CADENCE_S, looks) if waiting else None
    return ActionNeeded(handle.then("draft", looks=looks + 1), handle.text("publish_id"), "draft_in_inbox", pause_s)


def _matches(context: StepContext, video: ListedVideo) -> bool:
    post = context.post
    text = wording.compose(post.title, post.caption).text.strip()
    return (
        text in {video.title.strip(), video.video_description.strip()}
        and video.create_time >= context.handle.number("init_at") - CLOCK_SKEW_S
        and abs(video.duration - post.duration_s) <= 1.0
    )


def _live(handle: Handle, post_id: str, address: str | None) -> Published:
    return Published(handle.then("done", post_id=post_id, link=address or ""), post_id, address)


def _address(services: TikTokServices, handle: Handle, post_id: str) -> str | None:
    username = handle.text("username")
    return services.hosts.link(username, post_id) if username else None
