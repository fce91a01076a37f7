"""Connects an account by OAuth: to the platform's consent page, and back.

    GET /connect/{platform}            session: sets the cookie, to the platform
                                       API key: to the next one, in the browser of the account's owner
    GET /connect/{platform}/begin      with a ticket: sets the cookie, to the platform
    GET /connect/{platform}/callback   with the cookie: exchanges the code, stores the account

Only the last one writes, after it has verified that this browser began the login (`api.http.connect_cookie`).
"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlsplit

import falcon

from actors.flow import account_commands, tokens
from api.context import Context
from api.http import connect_cookie
from api.http.auth import AuthHeaders, owner_of
from api.http.connect_cookie import PendingLogin
from api.http.origin import web_origin
from api.http.problems import Problem, not_found
from api.resources.base import Resource
from platforms import registry
from platforms.definition import PublishingOptions
from platforms.errors import OperatorNeeded, PlatformError, Reconnect
from platforms.oauth import LoginResult, OAuthFlow
from store import oauth_states
from store.accounts import Account
from store.states import AccountStatus


class ConnectResource(Resource):
    """GET /connect/{platform}."""

    def on_get(self, request: falcon.Request, response: falcon.Response, platform: str) -> None:
        """Redirect to the platform's consent page, or first to an address that binds the login to the browser."""
        variant = self._variant(platform, request.get_param("variant"))
        login = connect_cookie.begin(owner_of(request), platform, variant, self._context.now())
        headers = AuthHeaders.read(request.get_header)
        if headers.authorization is None:
            # A login that another site begins would connect the account that this site has signed the browser in to.
            self._context.keys.refuse_foreign_page(headers.page)
        if headers.authorization is None and self._is_at_root_url(headers.page.host):
            _to_platform(self._context, request, response, login)
        else:
            ticket = connect_cookie.create_ticket(self._context.sealer, login, self._context.settings.root_url)
            _redirect(response, ticket)

    def _is_at_root_url(self, host: str | None) -> bool:
        """Return whether the browser will send its cookie to the callback, too."""
        root_url = self._context.settings.root_url
        return web_origin(f"{urlsplit(root_url).scheme}://{host}") == web_origin(root_url)

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
        name = registry.display_name(platform)
        raise Problem(409, "no_client", f"no client id and secret for {name} are configured; see the README")


class ConnectTicketResource(Resource):
    """GET /connect/{platform}/begin."""

    public = True  # the ticket proves that an authenticated client began it

    def on_get(self, request: falcon.Request, response: falcon.Response, platform: str) -> None:
        """Bind the login of a ticket to this browser, and redirect to the platform's consent page."""
        ticket = request.get_param("ticket") or ""
        login = connect_cookie.read_ticket(self._context.sealer, ticket, platform, self._context.now())
        if login is None:
            raise Problem(400, "connect_unknown", "this address was not made here, or is too old; connect again")
        _to_platform(self._context, request, response, login)


class ConnectCallbackResource(Resource):
    """GET /connect/{platform}/callback."""

    public = True  # the browser comes from the platform; its cookie proves that an authenticated client began it

    def on_get(self, request: falcon.Request, response: falcon.Response, platform: str) -> None:
        """Exchange the code, store the tokens, and redirect to the page."""
        login = self._pending(request, platform)
        connect_cookie.delete_cookie(self._context.keys.cookies, response, login)
        code = request.get_param("code")
        if not code:
            raise Problem(
                400, "connect_refused", "the platform did not grant access; connect again if that was a mistake"
            )
        with self._context.store.writing(scope="rows") as connection:
            is_first = oauth_states.use(connection, login.state, expires_at=login.expires_at)
        if not is_first:
            raise Problem(400, "connect_used", "this connection was completed before; connect again")
        self._store(login, self._exchange(login, code))
        _redirect(response, "/accounts")

    def _pending(self, request: falcon.Request, platform: str) -> PendingLogin:
        login = connect_cookie.read_cookie(
            self._context.keys.cookies,
            self._context.sealer,
            request.get_header("Cookie"),
            request.get_param("state") or "",
            platform,
            self._context.now(),
        )
        if login is None:
            minutes = int(connect_cookie.LIFETIME.total_seconds() / 60)
            raise Problem(
                400,
                "connect_unknown",
                f"this connection was not begun in this browser, or more than {minutes} minutes ago; nothing was "
                f"changed. Open {self._context.settings.root_url}/ in this browser and connect again",
            )
        return login

    def _exchange(self, login: PendingLogin, code: str) -> LoginResult:
        try:
            return flow(self._context, login.variant).exchange(
                tokens.oauth_client(self._context, login.variant),
                _callback_url(self._context, login.platform),
                code,
                login.verifier,
            )
        except (Reconnect, OperatorNeeded) as exc:
            raise Problem(422, "connect_failed", exc.detail, reason=exc.code) from exc
        except PlatformError as exc:
            detail = f"{registry.display_name(login.platform)} cannot be reached at the moment; connect again later"
            raise Problem(503, "connect_failed", detail, reason=exc.code, headers={"Retry-After": "60"}) from exc

    def _store(self, login: PendingLogin, connected: LoginResult) -> None:
        found = [self._account(login, one) for one in (connected, *connected.others)]
        refused = account_commands.connect(self._context, found)
        if refused:
            name, others = registry.display_name(login.platform), len(found) - refused
            detail = f"this {name} account is connected by another owner of this server, who has to disconnect it first"
            raise Problem(409, "connected_by_other", detail, connected=others)

    def _account(self, login: PendingLogin, connected: LoginResult) -> Account:
        return Account(
            id=self._context.new_id("acc_"),
            owner_id=login.owner_id,
            platform=login.platform,
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


def flow(context: Context, variant: str) -> OAuthFlow:
    """Return the login of a variant."""
    options = PublishingOptions(tiktok_mode=context.settings.tiktok_mode)
    return registry.flow(variant, context.hosts, options)


def _to_platform(context: Context, request: falcon.Request, response: falcon.Response, login: PendingLogin) -> None:
    client, callback = tokens.oauth_client(context, login.variant), _callback_url(context, login.platform)
    authorization = flow(context, login.variant).authorize_url(client, callback, login.state)
    bound = replace(login, verifier=authorization.verifier)
    connect_cookie.set_cookie(context.keys.cookies, context.sealer, request, response, bound)
    _redirect(response, authorization.url)


def _redirect(response: falcon.Response, location: str) -> None:
    response.status = falcon.HTTP_303
    response.location = location
    response.cache_control = ["no-store"]


def _callback_url(context: Context, platform: str) -> str:
    return f"{context.settings.root_url}/connect/{platform}/callback"
