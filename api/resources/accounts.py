"""Platform accounts: list, connect by OAuth, disconnect. Tokens are never shown."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Annotated, Any

import falcon
from loguru import logger
from pydantic import BaseModel, ConfigDict, Field

from actors.flow import account_commands, job_commands, publication_commands, tokens
from api.context import Context
from api.http import json_body
from api.http.problems import Problem, not_found
from api.resources.base import Resource
from api.resources.status_document import outage_document, timestamp
from platforms import registry
from platforms.definition import PublishingOptions
from platforms.errors import OperatorNeeded, PlatformError, Reconnect
from platforms.oauth import LoginResult, OAuthFlow
from store import accounts, platform_states
from store.accounts import Account, OAuthRequest
from store.states import AccountStatus, AfterFailure

OAUTH_TIMEOUT = timedelta(minutes=30)
"""Time between the redirect to the platform and the callback."""


class AccountChange(BaseModel):
    """A change of an account's settings."""

    model_config = ConfigDict(extra="forbid")
    after_failure: Annotated[
        AfterFailure,
        Field(
            description="Whether a part that was not published holds the later parts of its video on this account"
            " until it is retried or skipped (hold), or not (continue)."
        ),
    ]


class AccountsResource(Resource):
    """GET /accounts."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """List the accounts, and the maximum size of an upload."""
        del request
        with self._context.store.reading() as connection:
            found = accounts.list_all(connection)
            outages = platform_states.list_out(connection)
        response.media = {
            "accounts": [_account_document(account) for account in found],
            "outages": {state.platform: outage_document(state) for state in outages},
            "max_upload_bytes": self._context.settings.max_upload_size,
        }


class AccountResource(Resource):
    """PATCH and DELETE /accounts/{account_id}."""

    def on_patch(self, request: falcon.Request, response: falcon.Response, account_id: str) -> None:
        """Change the settings of an account."""
        change = json_body.read_body(request, AccountChange)
        if not publication_commands.set_after_failure(self._context, account_id, change.after_failure):
            raise not_found("account")
        with self._context.store.reading() as connection:
            account = accounts.get(connection, account_id)
        if account is None:
            raise not_found("account")
        response.media = _account_document(account)

    def on_delete(self, request: falcon.Request, response: falcon.Response, account_id: str) -> None:
        """Delete an account's tokens, and revoke them at the platform if it is reachable."""
        del request
        with self._context.store.reading() as connection:
            account = accounts.get(connection, account_id)
        if account is None or account.status == AccountStatus.DISCONNECTED:
            raise not_found("account")
        job_commands.disconnect(self._context, account_id)
        self._revoke(account)
        response.status = falcon.HTTP_204

    def _revoke(self, account: Account) -> None:
        if account.tokens is None:
            return
        try:
            client = tokens.oauth_client(self._context, account.variant)
            _flow(self._context, account.variant).revoke(client, tokens.decrypt(self._context, account))
        except PlatformError as exc:
            logger.warning("Account {}: tokens not revoked at {}: {}", account.id, account.platform, exc.detail)


class ConnectResource(Resource):
    """GET /connect/{platform}."""

    def on_get(self, request: falcon.Request, response: falcon.Response, platform: str) -> None:
        """Redirect to the platform's consent page."""
        variant = self._variant(platform, request.get_param("variant"))
        state = secrets.token_urlsafe(32)
        flow = _flow(self._context, variant)
        authorization = flow.authorize_url(
            tokens.oauth_client(self._context, variant), _callback_url(self._context, platform), state
        )
        oauth_request = OAuthRequest(
            state=state,
            platform=platform,
            variant=variant,
            verifier=None if authorization.verifier is None else self._context.sealer.seal(authorization.verifier),
            created_at=self._context.now(),
        )
        with self._context.store.writing() as connection:
            accounts.add_oauth_request(connection, oauth_request)
        response.status = falcon.HTTP_303
        response.location = authorization.url
        response.cache_control = ["no-store"]

    def _variant(self, platform: str, wanted: str | None) -> str:
        if platform not in registry.PLATFORMS:
            raise not_found("platform")
        variants = registry.PLATFORMS[platform].variants
        if wanted is not None and wanted not in variants:
            raise Problem(400, "bad_variant", f"variant: not one of {', '.join(variants)}", field="variant")
        for variant in (wanted,) if wanted else variants:
            try:
                tokens.oauth_client(self._context, variant)
            except OperatorNeeded:
                continue
            return variant
        raise Problem(409, "no_client", f"no client id and secret for {platform} are configured; see the README")


class ConnectCallbackResource(Resource):
    """GET /connect/{platform}/callback."""

    public = True  # the browser comes from the platform; the state proves that an authenticated client began it

    def on_get(self, request: falcon.Request, response: falcon.Response, platform: str) -> None:
        """Exchange the code, store the tokens, and redirect to the page."""
        pending = self._take_pending(platform, request.get_param("state") or "")
        code = request.get_param("code")
        if not code:
            raise Problem(
                400, "connect_refused", "the platform did not grant access; connect again if that was a mistake"
            )
        self._store(pending, self._exchange(pending, code))
        response.status = falcon.HTTP_303
        response.location = "/"
        response.cache_control = ["no-store"]

    def _take_pending(self, platform: str, state: str) -> OAuthRequest:
        with self._context.store.writing() as connection:
            pending = accounts.pop_oauth_request(connection, state, since=self._context.now() - OAUTH_TIMEOUT)
        if pending is None or pending.platform != platform:
            raise Problem(
                400, "connect_unknown", "this connection was not started here, or too long ago; connect again"
            )
        return pending

    def _exchange(self, pending: OAuthRequest, code: str) -> LoginResult:
        verifier = None if pending.verifier is None else self._context.sealer.open(pending.verifier)
        try:
            return _flow(self._context, pending.variant).exchange(
                tokens.oauth_client(self._context, pending.variant),
                _callback_url(self._context, pending.platform),
                code,
                verifier,
            )
        except (Reconnect, OperatorNeeded) as exc:
            raise Problem(422, "connect_failed", exc.detail, reason=exc.code) from exc
        except PlatformError as exc:
            detail = f"{pending.platform} cannot be reached at the moment; connect again later"
            raise Problem(503, "connect_failed", detail, reason=exc.code, headers={"Retry-After": "60"}) from exc

    def _store(self, pending: OAuthRequest, connected: LoginResult) -> None:
        account_commands.connect(self._context, [self._account(pending, one) for one in (connected, *connected.others)])

    def _account(self, pending: OAuthRequest, connected: LoginResult) -> Account:
        return Account(
            id=self._context.new_id("acc_"),
            platform=pending.platform,
            variant=connected.variant,
            remote_id=connected.remote_id,
            name=connected.name,
            status=AccountStatus.CONNECTED,
            tokens=tokens.encrypt(self._context, connected.tokens),
            expires_at=connected.tokens.expires_at,
            refresh_at=connected.tokens.refresh_at,
            refresh_expires_at=connected.tokens.refresh_expires_at,
            created_at=self._context.now(),
        )


def _callback_url(context: Context, platform: str) -> str:
    return f"{context.settings.root_url}/connect/{platform}/callback"


def _flow(context: Context, variant: str) -> OAuthFlow:
    options = PublishingOptions(tiktok_mode=context.settings.tiktok_mode)
    return registry.flow(variant, context.hosts, options)


def _account_document(account: Account) -> dict[str, Any]:  # Any: JSON
    return {
        "id": account.id,
        "platform": account.platform,
        "name": account.name,
        "status": account.status,
        "reason": account.reason,
        "paused_until": timestamp(account.paused_until),
        "after_failure": account.after_failure,
        "connected_at": timestamp(account.created_at),
    }
