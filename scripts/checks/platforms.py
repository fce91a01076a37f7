"""Checks of the platforms: registered apps, redirect addresses, connected accounts and the age of their tokens."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from platforms import registry
from platforms.definition import LoginDefinition, PlatformDefinition
from scripts.checks.configuration import is_local, is_private
from scripts.checks.finding import Examined, Finding, error, ok, warning
from settings import Settings
from store.accounts import Account
from store.states import AccountStatus

LOGIN_ENDS_SOON = timedelta(days=7)
FETCHED_FROM_US = "instagram"  # client name of the login whose platform fetches the parts from this machine
HTTPS_ONLY = {"tiktok", "instagram", "facebook"}  # client names; Google also takes http addresses of this computer


def check(examined: Examined) -> Iterator[Finding]:
    """Check the registered apps of all platforms."""
    if not examined.is_valid:
        return
    clients = examined.settings.oauth_clients
    if not clients:
        fix = "register an app at a platform, and set its id and secret (README, Connecting accounts)"
        found = "no app of any platform is configured, so no real account can be connected (scripts/run has mocks)"
        yield warning("platforms", found, fix)
    for platform in registry.PLATFORMS.values():
        yield from _platform(platform, examined.settings)


def _platform(platform: PlatformDefinition, settings: Settings) -> Iterator[Finding]:
    configured = [login for login in platform.logins if login.client_name in settings.oauth_clients]
    if not configured:
        names = " or ".join(login.client_id_variable for login in platform.logins)
        yield ok(platform.name, f"not configured ({names} is not set)")
    for login in configured:
        yield _redirect(platform, login, settings)
    replaced = [name for name in platform.hosts.names() if name in settings.platform_roots]
    if replaced and settings.environment == "production":
        names = ", ".join(name.upper() for name in replaced)
        yield error(platform.name, f"{names} replace the real hosts, which is for tests", "remove them")


def _redirect(platform: PlatformDefinition, login: LoginDefinition, settings: Settings) -> Finding:
    address = f"{settings.root_url}/connect/{platform.name}/callback"
    parts = urlsplit(settings.root_url)
    host = parts.hostname or ""
    if login.client_name == FETCHED_FROM_US and is_private(host):
        fix = "set PUBLIC_URL to a public https address, or use FACEBOOK_CLIENT_ID, which uploads"
        return error(platform.name, f"{login.client_id_variable}: Instagram cannot fetch parts from {host}", fix)
    if parts.scheme != "https" and (login.client_name in HTTPS_ONLY or not is_local(host)):
        fix = "set PUBLIC_URL to an https address"
        return error(platform.name, f"{login.client_id_variable}: the redirect address {address} must be https", fix)
    return ok(platform.name, f"{login.client_id_variable} and its secret are set; redirect address {address}")


def check_accounts(accounts: list[Account], settings: Settings, now: datetime) -> Iterator[Finding]:
    """Check the connected accounts."""
    if not accounts:
        yield warning("accounts", "no account is connected", f"connect one at {settings.root_url}/")
    for account in accounts:
        yield _account(account, settings, now)


def _account(account: Account, settings: Settings, now: datetime) -> Finding:
    topic = f"{account.platform} account"
    name, again = f"{account.name!r}", "connect it again on the page"
    login = registry.LOGINS.get(account.variant)
    if account.status is AccountStatus.RECONNECT:
        return error(topic, f"{name}: its login has ended ({account.reason or 'no reason given'})", again)
    if account.status is AccountStatus.REFUSED:
        return error(topic, f"{name}: the platform refuses it ({account.reason or 'no reason given'})", again)
    if login is not None and settings.oauth_clients and login.client_name not in settings.oauth_clients:
        fix = f"set {login.client_id_variable} and {login.client_secret_variable}, or disconnect it"
        return error(topic, f"{name}: its app is not configured", fix)
    if account.expires_at is not None and account.expires_at < now and account.refresh_at is None:
        return error(topic, f"{name}: its token has expired on {_day(account.expires_at)}", again)
    ends = account.refresh_expires_at
    if ends is not None and ends - now < LOGIN_ENDS_SOON:
        return warning(topic, f"{name}: its login ends on {_day(ends)}", again)
    until = "" if account.expires_at is None else f"; its token is valid until {account.expires_at:%Y-%m-%d %H:%M} UTC"
    return ok(topic, f"{name} is connected{until}")


def _day(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d}"
