"""The steps of a TikTok publication after the last byte: they only read, until the job's outcome is certain."""

from __future__ import annotations

from dataclasses import dataclass

from platforms.contract import ActionNeeded, Advanced, Handle, Outcome, Published, StepContext
from platforms.errors import OutcomeUnknown, PlatformError, TryLater
from platforms.steps import Pacing
from platforms.tiktok import wording
from platforms.tiktok.api import RESTARTABLE, ListedVideo, PublishStatus, TikTokApi, job_failed
from platforms.tiktok.chunks import PRIVACY
from platforms.tiktok.hosts import TikTokHosts

GIVE_UP_POLLING_S = 86_400.0
LINK_FOR_S = 21_600.0  # moderation may take hours; after six we stop asking for the link
DRAFT_FOR_S = 604_800.0
RESTARTS = 2
RESTART_PAUSE_S = 30.0
POLL_CADENCE_S = (3.0, 5.0, 10.0, 20.0, 30.0, 30.0, 30.0, 60.0, 60.0, 60.0, 300.0)
DRAFT_CADENCE_S = (60.0, 300.0, 1_800.0)
_JOB_FACTS = ("publish_id", "upload_url", "offset", "init_at", "sent_at", "looks", "conflicts", "stalled_bytes")


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
    """Return the state of the job; None when TikTok no longer knows it."""
    try:
        return services.api.status(context.token, publish_id(context))
    except OutcomeUnknown as error:
        if error.code == "publish_id_forgotten":
            return None
        raise


def poll(services: TikTokServices, context: StepContext) -> Outcome:
    """Ask whether the job has ended."""
    status = known_status(services, context)
    if status is None:
        return Advanced(context.handle.then("search"))
    if status.status == "PUBLISH_COMPLETE":
        return _complete(services, context, status)
    if status.status == "SEND_TO_USER_INBOX":
        return _in_inbox(services, context.handle.then("draft", looks=0))
    if status.status == "FAILED":
        return restart(services, context, status)
    if services.pacing.now() - context.handle.number("sent_at") > GIVE_UP_POLLING_S:
        raise OutcomeUnknown("processing_endless", "TikTok has been processing the video for more than a day")
    return services.pacing.ask_again(context.handle, context.handle.step, POLL_CADENCE_S)


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


def search(services: TikTokServices, context: StepContext) -> Outcome:
    """Search the account's public videos for the post; only exactly one match counts as evidence."""
    if mode(context) != "direct" or context.post.privacy != "public":
        raise OutcomeUnknown(
            "publish_id_forgotten", "TikTok no longer knows the job, and drafts and private posts cannot be listed"
        )
    try:
        listed = services.api.videos(context.token)
    except TryLater:
        raise
    except PlatformError as error:
        raise OutcomeUnknown(
            "publish_id_forgotten", "TikTok no longer knows the job, and does not list the account's videos"
        ) from error
    found = [video for video in listed if _matches(context, video)]
    if len(found) != 1:
        raise OutcomeUnknown(
            "publish_id_forgotten", f"TikTok no longer knows the job; {len(found)} videos of the account match it"
        )
    address = found[0].share_url or _address(services, context.handle, found[0].id)
    return _live(context.handle, found[0].id, address)


def done(context: StepContext) -> Outcome:
    """Return the stored outcome."""
    post_id = context.handle.text("post_id") or publish_id(context)
    return Published(context.handle, post_id, context.handle.text("link") or None)


def restart(services: TikTokServices, context: StepContext, status: PublishStatus) -> Outcome:
    """Begin a new job after one that certainly has no post; raise when its reason allows no new job."""
    handle = context.handle
    unfinished = handle.step in {"upload", "locate", "stalled"} and not status.fail_reason
    abandoned = status.status != "FAILED"
    restarts = handle.number("restarts") + 1
    if not (abandoned or unfinished or status.fail_reason in RESTARTABLE) or restarts > RESTARTS:
        raise job_failed(status.fail_reason)
    fresh = handle.without(*_JOB_FACTS).then(first_step(mode(context)), restarts=restarts)
    return Advanced(fresh, services.pacing.scaled(RESTART_PAUSE_S))


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
    text = wording.compose(post.title, post.caption, post.part, post.parts).text.strip()
    return (
        text in {video.title.strip(), video.video_description.strip()}
        and video.create_time >= context.handle.number("init_at")
        and abs(video.duration - post.duration_s) <= 1.0
    )


def _live(handle: Handle, post_id: str, address: str | None) -> Published:
    return Published(handle.then("done", post_id=post_id, link=address or ""), post_id, address)


def _address(services: TikTokServices, handle: Handle, post_id: str) -> str | None:
    username = handle.text("username")
    return services.hosts.link(username, post_id) if username else None
