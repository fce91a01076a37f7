"""Checks of upload options against this machine: its accounts, its platforms' limits, its network.

`check_given` judges the fields that come before the file, so that a wrong one is refused before the file is sent.
`check_options` judges all of them, when the upload is complete.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from actors.flow import word_commands
from actors.flow.word_commands import WordsRefused
from api.context import Context
from api.http.problems import Problem, invalid_field
from api.uploads.options import UploadOptions, display_name, post_options
from platforms import registry
from platforms.definition import PublishingOptions
from platforms.http import address_guard
from store import accounts
from store.accounts import Account
from store.jobs import Job
from store.states import JobStatus


def check_given(context: Context, options: UploadOptions, owner_id: str) -> None:
    """Check the options that are given so far; others may follow the file.

    Runs on the server's loop: no look-up of names, and no more than one short read of the database.

    Args:
        owner_id: on whose accounts it may be published.

    Raises:
        Problem: as `check_options`.
    """
    if options.platforms or options.accounts:
        _check_targets(options, _connected(context, owner_id))
    draft = draft_job(context.now(), options)
    for platform in options.platforms or ():
        _check_post(draft, platform, PublishingOptions())  # required options may follow the file
    if options.webhook_url is not None:
        check_webhook_url(context, "webhook_url", options.webhook_url, resolve=False)


def check_options(context: Context, options: UploadOptions, file_name: str, owner_id: str) -> None:
    """Check the options of a complete upload.

    Args:
        file_name: may become the title of a video without a title.
        owner_id: on whose accounts it may be published.

    Raises:
        Problem: 409 for a platform without an account, 422 for an invalid field.
    """
    draft = draft_job(context.now(), options, file_name)
    for platform in sorted(_check_targets(options, _connected(context, owner_id))):
        _check_post(draft, platform, context.publishing_options)
    if options.webhook_url is not None:
        check_webhook_url(context, "webhook_url", options.webhook_url)


def _connected(context: Context, owner_id: str) -> list[Account]:
    with context.store.reading() as connection:
        return accounts.connected(connection, owner_id)


def _check_targets(options: UploadOptions, connected: Collection[Account]) -> set[str]:
    """Return the platforms on which an upload is to be published; each has an account."""
    chosen = _chosen_accounts(options.accounts, connected)
    found = {account.platform for account in chosen}
    for platform in options.platforms or ():
        name = registry.display_name(platform)
        if platform in found:
            continue
        if options.accounts is not None:
            raise invalid_field("accounts", f"none of them is on {name}", platform=platform)
        detail = f"platforms: no {name} account is connected; connect one at /connect/{platform}"
        raise Problem(409, "account_missing", detail, field="platforms", platform=platform)
    left_out = next(
        (one for one in chosen if options.accounts and one.platform not in (options.platforms or found)), None
    )
    if left_out is not None:
        raise invalid_field("accounts", f"{left_out.id} is on {left_out.platform}, which `platforms` leaves out")
    return set(options.platforms or found)


def _chosen_accounts(ids: Sequence[str] | None, connected: Collection[Account]) -> Collection[Account]:
    if ids is None:
        return connected
    by_id = {account.id: account for account in connected}
    unknown = [one for one in ids if one not in by_id]
    if unknown:
        raise invalid_field("accounts", f"{display_name(unknown[0])[:40]!r} is not the id of a connected account")
    return [by_id[one] for one in ids]


def _check_post(job: Job, platform: str, publishing: PublishingOptions) -> None:
    """Refuse words and options that a platform would refuse."""
    try:
        word_commands.check_any_part(job, [], publishing, platform)
    except WordsRefused as refused:
        raise invalid_field(refused.field, refused.detail, platform=platform, reason=refused.code) from refused


def draft_job(now: datetime, options: UploadOptions, file_name: str = "") -> Job:
    """Return the job of an upload as far as it decides the words of its posts."""
    return Job(
        id="",
        owner_id="",
        status=JobStatus.PENDING,
        video_path="",
        created_at=now,
        platforms=options.platforms,
        gaze_intensity=0.0,
        segment_seconds=0.0,
        title=options.title,
        caption=options.caption,
        original_name=file_name,
        post_options=post_options(options, now),
    )


def check_webhook_url(context: Context, field: str, url: str, *, resolve: bool = True) -> None:
    """Refuse an address to which this machine does not send webhooks.

    Args:
        resolve: look up its name, which may take seconds; False: judge its text only.

    Raises:
        Problem: 422 for `field`, with the code of `address_guard` as `reason`.
    """
    try:
        (address_guard.check if resolve else address_guard.check_text)(
            url,
            allow_private=context.settings.webhook_allow_private,
            own_hosts=context.settings.own_hosts,
        )
    except (address_guard.AddressRefused, address_guard.NameUnknown) as exc:
        raise invalid_field(field, exc.detail, reason=exc.code) from exc
