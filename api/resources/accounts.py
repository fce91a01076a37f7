"""Accounts at the platforms: which there are, connecting one by OAuth, disconnecting it. Tokens are never shown."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

import falcon
from loguru import logger

from actors.flow import job_commands, tokens
from actors.flow.scheduling import release
from api.context import Context
from api.http.problems import Problem, not_found
from api.resources.status_document import moment
from platforms.errors import PlatformError, Reconnect
from platforms.oauth.contract import Connection, Flow
from store import accounts
from store.accounts import Account, OAuthRequest
from store.states import AccountStatus

# How long a person may take at the platform.
COME_BACK_WITHIN = timedelta(minutes=30)

VARIANTS = {
    "tiktok": ("tiktok",),
    "instagram": ("instagram_login", "facebook_login"),
    "youtube": ("google",),
}


class Accounts:
    """GET /accounts."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """List the accounts, and how large a video may be."""
        del request
        with self._context.store.reading() as connection:
            found = accounts.list_all(connection)
        response.media = {
            "accounts": [_shown(account) for account in found],
            "max_upload_bytes": self._context.settings.max_upload_size,
        }


class OneAccount:
    """DELETE /accounts/{account_id}."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def on_delete(self, request: falcon.Request, response: falcon.Response, account_id: str) -> None:
        """Forget an account's tokens, and tell the platform so as far as it can be told."""
        del request
        with self._context.store.reading() as connection:
            account = accounts.get(connection, account_id)
        if account is None or account.status == AccountStatus.DISCONNECTED:
            raise not_found("account")
        job_commands.disconnect(self._context.machine, account_id)
        self._revoke(account)
        response.status = falcon.HTTP_204

    def _revoke(self, account: Account) -> None:
        if account.tokens is None:
            return
        try:
            client = tokens.client(self._context.machine, account.variant)
            _flow(self._context, account.variant).revoke(client, tokens.opened(self._context.machine, account))
        except PlatformError as exc:
            logger.warning("account {}: {} could not be told: {}", account.id, account.platform, exc.detail)


class Connect:
    """GET /connect/{platform}."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def on_get(self, request: falcon.Request, response: falcon.Response, platform: str) -> None:
        """Send the person to the platform."""
        variant = self._variant(platform, request.get_param("variant"))
        state = secrets.token_urlsafe(32)
        flow = _flow(self._context, variant)
        leads_to = flow.authorize_url(
            tokens.client(self._context.machine, variant), _comes_back_to(self._context, platform), state
        )
        begun = OAuthRequest(
            state=state,
            platform=platform,
            variant=variant,
            verifier=None if leads_to.verifier is None else self._context.sealer.seal(leads_to.verifier),
            created_at=self._context.now(),
        )
        with self._context.store.writing() as connection:
            accounts.add_oauth_request(connection, begun)
        response.status = falcon.HTTP_303
        response.location = leads_to.url
        response.cache_control = ["no-store"]

    def _variant(self, platform: str, wanted: str | None) -> str:
        variants = VARIANTS.get(platform)
        if variants is None:
            raise not_found("platform")
        if wanted is not None and wanted not in variants:
            raise Problem(400, "bad_variant", f"variant: not one of {', '.join(variants)}", field="variant")
        for variant in (wanted,) if wanted else variants:
            try:
                tokens.client(self._context.machine, variant)
            except Reconnect:
                continue
            return variant
        raise Problem(409, "no_client", f"this machine has no client id and secret for {platform}; see the README")


class ConnectCallback:
    """GET /connect/{platform}/callback."""

    public = True  # the platform sends the browser here; the state proves that somebody with a key began it

    def __init__(self, context: Context) -> None:
        self._context = context

    def on_get(self, request: falcon.Request, response: falcon.Response, platform: str) -> None:
        """Take the person back, keep the tokens, and lead to the page."""
        begun = self._begun(platform, request.get_param("state") or "")
        code = request.get_param("code")
        if not code:
            raise Problem(400, "connect_refused", "the platform did not give access; begin again if that was a mistake")
        self._keep(begun, self._exchange(begun, code))
        response.status = falcon.HTTP_303
        response.location = "/"
        response.cache_control = ["no-store"]

    def _begun(self, platform: str, state: str) -> OAuthRequest:
        with self._context.store.writing() as connection:
            begun = accounts.pop_oauth_request(connection, state, since=self._context.now() - COME_BACK_WITHIN)
        if begun is None or begun.platform != platform:
            raise Problem(400, "connect_unknown", "this connection was not begun here, or too long ago; begin again")
        return begun

    def _exchange(self, begun: OAuthRequest, code: str) -> Connection:
        verifier = None if begun.verifier is None else self._context.sealer.open(begun.verifier)
        try:
            return _flow(self._context, begun.variant).exchange(
                tokens.client(self._context.machine, begun.variant),
                _comes_back_to(self._context, begun.platform),
                code,
                verifier,
            )
        except Reconnect as exc:
            raise Problem(422, "connect_failed", exc.detail, reason=exc.code) from exc
        except PlatformError as exc:
            detail = f"{begun.platform} cannot be reached right now; begin again later"
            raise Problem(503, "connect_failed", detail, reason=exc.code, headers={"Retry-After": "60"}) from exc

    def _keep(self, begun: OAuthRequest, made: Connection) -> None:
        with self._context.store.writing() as connection:
            for one in (made, *made.others):
                accounts.connect(connection, self._account(begun, one))
            release(self._context.machine, connection)  # what waited for these accounts may go now

    def _account(self, begun: OAuthRequest, made: Connection) -> Account:
        return Account(
            id=self._context.new_id("acc_"),
            platform=begun.platform,
            variant=made.variant,
            remote_id=made.remote_id,
            name=made.name,
            status=AccountStatus.CONNECTED,
            tokens=tokens.sealed(self._context.machine, made.tokens),
            expires_at=made.tokens.expires_at,
            refresh_at=made.tokens.refresh_at,
            refresh_expires_at=made.tokens.refresh_expires_at,
            created_at=self._context.now(),
        )


def _comes_back_to(context: Context, platform: str) -> str:
    return f"{context.settings.root_url}/connect/{platform}/callback"


def _flow(context: Context, variant: str) -> Flow:
    # The logins bring requests-oauthlib along, which an API that connects nobody need not carry.
    from platforms.registry import flow  # noqa: PLC0415

    return flow(variant, context.hosts, tiktok_mode=context.settings.tiktok_mode)


def _shown(account: Account) -> dict[str, Any]:  # Any: JSON
    return {
        "id": account.id,
        "platform": account.platform,
        "name": account.name,
        "status": account.status,
        "reason": account.reason,
        "paused_until": moment(account.paused_until),
        "connected_at": moment(account.created_at),
    }
