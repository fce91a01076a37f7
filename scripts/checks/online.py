"""Checks over the network, for `--online`: the platforms' hosts, the public address, and the time that others have."""

from __future__ import annotations

import dataclasses
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from platforms import registry
from scripts.checks import services
from scripts.checks.finding import Examined, Finding, error, ok, warning

TIMEOUT_S = 10
MAX_OFFSET_S = 5.0  # the header has whole seconds, and the answer takes a moment


def check(examined: Examined) -> Iterator[Finding]:
    """Check the hosts of the configured platforms, and the public address."""
    for platform in registry.PLATFORMS.values():
        if not any(login.client_name in examined.settings.oauth_clients for login in platform.logins):
            continue
        roots = dataclasses.asdict(platform.hosts.at(examined.settings.platform_roots))
        for url in sorted({str(root) for root in roots.values()}):
            yield from reach(platform.name, url)
    if examined.is_running:
        yield from services.check_public(examined)


def reach(topic: str, url: str) -> Iterator[Finding]:
    """Check that a host answers by https, whatever it answers, and compare its time with ours."""
    host = urlsplit(url).netloc
    try:
        date = _date(url)
    except OSError as failed:
        reason = getattr(failed, "reason", failed)
        yield error(topic, f"{host} cannot be reached: {reason}", "check the network, DNS and the firewall")
        return
    yield ok(topic, f"{host} answers")
    if date is None:
        return
    offset_s = (datetime.now(UTC) - date).total_seconds()
    if abs(offset_s) > MAX_OFFSET_S:
        yield warning("clock", f"it differs by {offset_s:.0f} s from that of {host}", "set it by NTP")


def _date(url: str) -> datetime | None:
    request = urllib.request.Request(url, method="HEAD")  # noqa: S310 (the root of a platform)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 (likewise)
            text = answer.headers["Date"]
    except urllib.error.HTTPError as answered:
        text = answered.headers["Date"]
    return None if text is None else parsedate_to_datetime(text)
