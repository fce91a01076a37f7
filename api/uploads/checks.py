"""Checks of upload options against this machine: its accounts, its platforms' limits, its network."""

from __future__ import annotations

from api.context import Context
from api.http.problems import Problem, invalid_field
from api.uploads.options import UploadOptions
from platforms import registry
from platforms.errors import Rejected
from platforms.http import address_guard
from store import accounts

MAX_VIDEO_PARTS = 999
"""Number of video parts for which titles are checked: the longest numbering."""


def check_options(context: Context, options: UploadOptions, file_name: str) -> None:
    """Check the options of an upload.

    Args:
        file_name: the title of a video without a title.

    Raises:
        Problem: 409 for a platform without an account, 422 for an invalid field.
    """
    with context.store.reading() as connection:
        usable = {account.platform for account in accounts.connected(connection)}
    for platform in options.platforms or ():
        if platform not in usable:
            detail = f"platforms: no {platform} account is connected; connect one at /connect/{platform}"
            raise Problem(409, "account_missing", detail, field="platforms", platform=platform)
    for platform in options.platforms or sorted(usable):
        _check_text(platform, options.title or file_name, options.caption)
    if options.webhook_url is not None:
        check_webhook_url(context, "webhook_url", options.webhook_url)


def _check_text(platform: str, title: str, caption: str) -> None:
    for field, text in (("title", ""), ("caption", caption)):
        try:
            registry.PLATFORMS[platform].compose(title, text, MAX_VIDEO_PARTS, MAX_VIDEO_PARTS)
        except Rejected as exc:
            raise invalid_field(field, exc.detail, platform=platform, reason=exc.code) from exc


def check_webhook_url(context: Context, field: str, url: str) -> None:
    """Refuse an address to which this machine does not send webhooks.

    Raises:
        Problem: 422 for `field`, with the code of `address_guard` as `reason`.
    """
    try:
        address_guard.check(
            url,
            allow_private=context.settings.webhook_allow_private,
            own_hosts=context.settings.own_hosts,
        )
    except (address_guard.AddressRefused, address_guard.NameUnknown) as exc:
        raise invalid_field(field, exc.detail, reason=exc.code) from exc
