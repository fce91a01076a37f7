"""Checks of the environment: all settings at once, misspelt names, and the public address."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

import settings as environment
from platforms.http.address_guard import is_public
from scripts.checks.finding import Examined, Finding, error, ok, warning
from settings import BadSettings, Settings

SIMILARITY = 0.85  # of a name to that of a setting, 0 to 1
PATHS = ("DATA_DIR", "DATABASE_URL")
TOPIC, ADDRESS = "settings", "public address"


def read(environ: Mapping[str, str]) -> tuple[Settings, list[Finding]]:
    """Return the settings and what is wrong with them; with wrong ones, the defaults, but for the paths."""
    try:
        return environment.read(environ), []
    except BadSettings as wrong:
        findings = [error(TOPIC, problem, "correct the variable; nothing starts before") for problem in wrong.problems]
    try:
        return environment.read({name: environ[name] for name in PATHS if name in environ}), findings
    except BadSettings:
        return environment.read({"DATA_DIR": environ.get("DATA_DIR") or "data"}), findings


def check(examined: Examined) -> Iterator[Finding]:
    """Check the names of the variables, and the public address."""
    if examined.is_valid:
        given = sorted(name for name in environment.known_names() if examined.environ.get(name))
        yield ok(TOPIC, f"valid; {len(given)} are set, ENVIRONMENT is {examined.settings.environment}")
    yield from _misspelt(examined.environ)
    if examined.is_valid:
        yield _public_address(examined.settings)


def _misspelt(environ: Mapping[str, str]) -> Iterator[Finding]:
    known = environment.known_names()
    known |= {f"{name}_FILE" for name in known} | {"MOCK_PORT"}
    for name in sorted(environ.keys() - known):
        close = difflib.get_close_matches(name, known, 1, SIMILARITY)
        if close:
            yield warning(TOPIC, f"{name} is no setting", f"did you mean {close[0]}?")


def _public_address(settings: Settings) -> Finding:
    parts = urlsplit(settings.root_url)
    host = parts.hostname or ""
    if not host or parts.query or parts.fragment or parts.username or parts.path.strip("/"):
        return error(
            ADDRESS, f"{_shown(settings.root_url)} is more than scheme and host", "set PUBLIC_URL to https://HOST"
        )
    if parts.scheme == "https":
        return ok(ADDRESS, settings.root_url)
    if is_local(host):
        text = f"{settings.root_url} can only be opened on this computer"
        if settings.environment == "production":
            return warning(ADDRESS, text, "set PUBLIC_URL to the https address under which others reach it")
        return ok(ADDRESS, text)
    return warning(
        ADDRESS, f"{settings.root_url} is not encrypted: keys and videos can be read on the way", "use https"
    )


def is_local(host: str) -> bool:
    """Return whether a host name is that of this computer only."""
    return host in {"localhost", "127.0.0.1", "::1"} or host.endswith(".localhost")


def is_private(host: str) -> bool:
    """Return whether a host is an address that only a private network reaches; False for names."""
    try:
        return is_local(host) or not is_public(host)
    except ValueError:
        return False


def _shown(url: str) -> str:
    return url if "@" not in url else "an address with a password"
