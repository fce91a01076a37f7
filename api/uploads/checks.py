"""Checks of upload options against this machine: its accounts, its platforms' limits, its network.

`check_given` judges the fields that come before the file, so that a wrong one is refused before the file is sent.
`check_options` judges all of them, when the upload is complete.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from actors.flow import word_commands
from actors.flow.word_commands import WordsRefused
from api.context import Context
from api.http.problems import Problem, invalid_field
from api.uploads.options import UploadOptions
from platforms import registry
from platforms.http import address_guard
from store import accounts
from store.jobs import Job
from store.states import JobStatus


def check_given(context: Context, options: UploadOptions) -> None:
    """Check the options that are given so far; others may follow the file.

    Runs on the server's loop: no look-up of names, and no more than one short read of the database.

    Raises:
        Problem: as `check_options`.
    """
    if options.platforms:
        _check_accounts(options.platforms, _usable_platforms(context))
    for platform in options.platforms or ():
        _check_words(draft_job(context.now(), options), platform)
    if options.webhook_url is not None:
        check_webhook_url(context, "webhook_url", options.webhook_url, resolve=False)


def check_options(context: Context, options: UploadOptions, file_name: str) -> None:
    """Check the options of a complete upload.

    Args:
        file_name: may become the title of a video without a title.

    Raises:
        Problem: 409 for a platform without an account, 422 for an invalid field.
    """
    usable = _usable_platforms(context)
    _check_accounts(options.platforms or (), usable)
    for platform in options.platforms or sorted(usable):
        _check_words(draft_job(context.now(), options, file_name), platform)
    if options.webhook_url is not None:
        check_webhook_url(context, "webhook_url", options.webhook_url)


def _usable_platforms(context: Context) -> set[str]:
    with context.store.reading() as connection:
        return {account.platform for account in accounts.connected(connection)}


def _check_accounts(platforms: Iterable[str], usable: set[str]) -> None:
    for platform in platforms:
        if platform not in usable:
            name = registry.display_name(platform)
            detail = f"platforms: no {name} account is connected; connect one at /connect/{platform}"
            raise Problem(409, "account_missing", detail, field="platforms", platform=platform)


def draft_job(now: datetime, options: UploadOptions, file_name: str = "") -> Job:
    """Return the job of an upload as far as it decides the words of its posts."""
    return Job(
        id="",
        status=JobStatus.PENDING,
        video_path="",
        created_at=now,
        platforms=options.platforms,
        gaze_intensity=0.0,
        segment_seconds=0.0,
        title=options.title,
        caption=options.caption,
        original_name=file_name,
    )


def _check_words(draft: Job, platform: str) -> None:
    """Refuse words that a platform would refuse."""
    try:
        word_commands.check_any_part(draft, [], platform)
    except WordsRefused as refused:
        raise invalid_field(refused.field, refused.detail, platform=platform, reason=refused.code) from refused


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
