"""Checks of upload options against this machine: its accounts, its platforms' limits, its network.

`check_given` judges the fields that come before the file, so that a wrong one is refused before the file is sent.
`check_options` judges all of them, when the upload is complete.
"""

from __future__ import annotations

from collections.abc import Iterable

from api.context import Context
from api.http.problems import Problem, invalid_field
from api.uploads.options import UploadOptions
from platforms import registry
from platforms.default_title import public_title
from platforms.errors import Rejected
from platforms.http import address_guard
from store import accounts

MAX_VIDEO_PARTS = 999
"""Number of video parts for which titles are checked: the longest numbering."""


def check_given(context: Context, options: UploadOptions) -> None:
    """Check the options that are given so far; others may follow the file.

    Runs on the server's loop: no look-up of names, and no more than one short read of the database.

    Raises:
        Problem: as `check_options`.
    """
    if options.platforms:
        _check_accounts(options.platforms, _usable_platforms(context))
    for platform in options.platforms or ():
        _check_text(platform, options.title, options.caption)
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
        needs_title = registry.PLATFORMS[platform].needs_title
        today = context.now().date()
        title = public_title(options.title, options.caption, file_name, today, needs_title=needs_title)
        _check_text(platform, title, options.caption)
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


def _check_text(platform: str, title: str, caption: str) -> None:
    """Refuse texts that a platform would refuse. An empty title is not checked: the title may follow the file."""
    for field, text in (("title", ""), ("caption", caption)):
        if field == "title" and not title:
            continue
        try:
            registry.PLATFORMS[platform].compose(title, text, MAX_VIDEO_PARTS, MAX_VIDEO_PARTS)
        except Rejected as exc:
            raise invalid_field(field, exc.detail, platform=platform, reason=exc.code) from exc


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
