"""The protocol of all logins (OAuth 2.0), and the calls to token endpoints that they share.

A login sends the account's owner to the platform, exchanges the code that comes back, and keeps the tokens valid. The
caller stores the tokens, and holds the lock around a refresh (TikTok invalidates the old refresh token each time).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeVar
from urllib.parse import urlencode

from pydantic import BaseModel, ValidationError

from platforms import error_table
from platforms.errors import OperatorNeeded, Origin, PlatformError, Reconnect, TryLater
from platforms.http import client as http_client
from platforms.http.client import Response


@dataclass(frozen=True)
class ClientCredentials:
    """Our registration with a platform: id (TikTok: "client key") and secret."""

    id: str
    secret: str = field(repr=False)


@dataclass(frozen=True)
class AuthorizationRequest:
    """The address to send the owner to, and the secret to keep until they come back.

    Attributes:
        verifier: the PKCE secret to pass to `exchange`; None where the login uses no PKCE.
    """

    url: str = field(repr=False)
    verifier: str | None = field(repr=False)


@dataclass(frozen=True)
class Tokens:
    """The tokens of an account. All times are UTC.

    Attributes:
        refresh_token: None where the access token refreshes itself (Instagram) or never expires (Facebook pages).
        expires_at: None: does not expire.
        refresh_expires_at: the end of the last possible refresh; None: unknown.
        scope: space-separated, as granted, which may be less than requested.
        refresh_at: the best moment for the next refresh; None: there is nothing to refresh.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    expires_at: datetime | None = None
    refresh_expires_at: datetime | None = None
    scope: str = ""
    refresh_at: datetime | None = None


@dataclass(frozen=True)
class LoginResult:
    """The account and the tokens that a login returned.

    Attributes:
        others: further accounts of the same owner that the same consent covers (several Facebook pages).
    """

    tokens: Tokens
    remote_id: str
    name: str
    variant: str
    others: tuple[LoginResult, ...] = ()


class OAuthFlow(Protocol):
    """One login."""

    @property
    def variant(self) -> str:
        """The login's name: "tiktok", "instagram_login", "facebook_login", "google", …"""

    def authorize_url(self, client: ClientCredentials, redirect_uri: str, state: str) -> AuthorizationRequest:
        """Return the address to send the owner to; without network.

        Args:
            state: ours, unguessable, checked when the owner comes back.
        """

    def exchange(self, client: ClientCredentials, redirect_uri: str, code: str, verifier: str | None) -> LoginResult:
        """Exchange the code that came back for tokens, and read the account they belong to. A code works once.

        Raises:
            Reconnect: the code is void, a needed permission was not granted, or there is no account to publish with.
            OperatorNeeded: the platform does not accept our registration.
            TryLater: the platform has a problem at the moment; the code may still be valid.
        """

    def refresh(self, client: ClientCredentials, tokens: Tokens) -> Tokens:
        """Return fresh tokens. Store them before using them: the old ones may be invalid from then on.

        Raises:
            Reconnect: the grant is invalid, by the platform's own word; the owner has to connect the account again.
            OperatorNeeded: the platform does not accept our registration; the tokens are not to blame.
            TryLater, Unclear: make the same call again later. Code "login_refused": a refusal that no table lists; if
                it lasts, the owner has to connect the account again.
        """

    def revoke(self, client: ClientCredentials, tokens: Tokens) -> None:
        """Revoke the tokens, as far as the platform offers it.

        Raises:
            PlatformError: the platform was not told; delete the tokens all the same.
        """


def refresh_moment(now: datetime, expires_in_s: float) -> datetime:
    """Return when to refresh: half an hour before the end, or at three quarters of a shorter lifetime."""
    return now + timedelta(seconds=expires_in_s - min(1_800.0, expires_in_s / 4))


def utc_now() -> datetime:
    """Return the present moment in UTC."""
    return datetime.now(UTC)


def authorization_address(
    endpoint: str,
    client: ClientCredentials,
    redirect_uri: str,
    state: str,
    scopes: Iterable[str],
    *,
    id_parameter: str = "client_id",
    **more: str,
) -> str:
    """Return an authorization endpoint with the query of the code grant, its scopes joined by commas.

    Args:
        id_parameter: the name of the parameter for the client's id.
        more: further parameters.
    """
    query = {
        id_parameter: client.id,
        "redirect_uri": redirect_uri,
        "response_type": "code",
        "scope": ",".join(scopes),
        "state": state,
        **more,
    }
    return f"{endpoint}?{urlencode(query)}"


# Only these say that the grant is invalid (RFC 6749 §5.2), so only these disconnect an account at once.
_DEAD_GRANT_CODES = frozenset({"invalid_grant"})
# Faults of our registration: neither another login nor waiting helps (RFC 6749 §5.2; Google's "deleted_client").
_REGISTRATION_CODES = frozenset(
    {"invalid_client", "unauthorized_client", "redirect_uri_mismatch", "unsupported_grant_type", "deleted_client"}
)
# RFC 6749 §4.1.2.1, RFC 8628 §3.5, and what Google and TikTok send while they have a problem.
_PASSING_CODES = frozenset(
    {
        *("temporarily_unavailable", "server_error", "slow_down"),
        *("internal_failure", "internal_error", "backend_error", "rate_limit_exceeded"),
    }
)
_LOGIN_RETRY_S = 30.0
_REFUSED_RETRY_S = 300.0


class OAuthErrorBody(BaseModel):
    """The error body of RFC 6749 §5.2, with TikTok's log id."""

    error: str
    error_description: str = ""
    log_id: str | None = None


ModelT = TypeVar("ModelT", bound=BaseModel)


def call(
    method: str,
    url: str,
    *,
    params: Mapping[str, str] | None = None,
    form: Mapping[str, str] | None = None,
    token: str | None = None,
    acts: bool = False,
) -> Response:
    """Send one request to a login's server.

    Args:
        token: an access token, sent as a bearer token.
        acts: whether a lost response leaves something changed (a code used up, a refresh token replaced).
    """
    headers = None if token is None else {"Authorization": f"Bearer {token}"}
    try:
        return http_client.request(method, url, params=params, form=form, headers=headers)
    except http_client.TransportError as error:
        raise error_table.no_response(error, acts=acts) from error


def parse(
    response: Response, model: type[ModelT], *, refused: Callable[[Response], PlatformError] | None = None
) -> ModelT:
    """Return the response's body as a model, or raise the error that the response stands for.

    Args:
        refused: returns that error; None: `refusal`, as at the exchange of a code.
    """
    try:
        if response.status < 300:
            return model.model_validate_json(response.body)
    except ValidationError:
        pass  # some platforms refuse with a 200
    # `from None` everywhere: a validation error quotes the body, and with it the tokens.
    raise (refused or refusal)(response) from None


def refusal(response: Response, *, refreshing: bool = False) -> PlatformError:
    """Return the error for an unusable response of a token endpoint that keeps to RFC 6749.

    Args:
        refreshing: whether it refused a refresh; False: the exchange of a code.
    """
    try:
        body = OAuthErrorBody.model_validate_json(response.body)
    except ValidationError:
        body = None
    return refused(
        body.error if body else None,
        status=response.status,
        refreshing=refreshing,
        retry_after_s=response.retry_after_s,
        log_id=body.log_id if body else None,
    )


def refused(
    code: str | None,
    *,
    status: int,
    refreshing: bool,
    retry_after_s: float | None = None,
    log_id: str | None = None,
) -> PlatformError:
    """Return the error for a code of RFC 6749 in a response with this status.

    Args:
        code: None: the response has none.
        refreshing: see `refusal`.
        retry_after_s: as the platform asked for.
        log_id: see `platforms.errors.Origin`.
    """
    origin = Origin(platform_code=code or f"http_{status}", log_id=log_id)
    if status >= 500 or status == 429 or status in error_table.PASSING_STATUSES or code in _PASSING_CODES:
        return login_down(origin, retry_after_s)
    if code in _DEAD_GRANT_CODES:
        return Reconnect("grant_dead", "The platform no longer accepts the login", **origin)
    if code in _REGISTRATION_CODES:
        return registration_refused(origin)
    if code is None and status < 400:  # neither tokens nor a refusal: not the login's own page
        return login_down(origin, retry_after_s)
    return login_refused(origin, refreshing=refreshing, retry_after_s=retry_after_s)


def login_down(origin: Origin, retry_after_s: float | None) -> PlatformError:
    """Return the error for a token endpoint that has a problem; the tokens stay valid."""
    detail = "The platform's login has a problem at the moment"
    return TryLater("login_down", detail, retry_after_s=retry_after_s or _LOGIN_RETRY_S, **origin)


def registration_refused(origin: Origin) -> PlatformError:
    """Return the error for a token endpoint that does not accept our client id, secret or redirect address."""
    return OperatorNeeded(
        "login_misconfigured",
        "The platform does not accept this app; check its client id, its secret and the redirect address, here and on "
        "the platform's page for developers",
        **origin,
    )


def login_refused(origin: Origin, *, refreshing: bool, retry_after_s: float | None = None) -> PlatformError:
    """Return the error for a refusal that no table lists.

    The exchange of a code is begun anew by its owner. A refresh is repeated, because no list is complete, and because
    nothing but the grant's end may disconnect an account at once.
    """
    detail = "The platform refused the login"
    if refreshing:
        return TryLater("login_refused", detail, retry_after_s=retry_after_s or _REFUSED_RETRY_S, **origin)
    return Reconnect("login_refused", detail, **origin)


def check_scope(granted: str, needed: Iterable[str]) -> None:
    """Raise Reconnect when a needed permission was not granted; people may untick some."""
    missing = [scope for scope in needed if scope not in granted.split()]
    if missing:
        raise Reconnect("scope_missing", f"These permissions were not granted: {', '.join(missing)}")
