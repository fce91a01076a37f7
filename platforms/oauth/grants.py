"""What all logins share: asking a token endpoint, and what its refusals mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from platforms import error_table
from platforms.errors import PlatformError, Reconnect, TryLater
from platforms.http import client
from platforms.http.client import Response

ModelT = TypeVar("ModelT", bound=BaseModel)

# RFC 6749 §5.2. The rest of its codes (invalid_client, unauthorized_client, …) are faults of our registration, which
# the person cannot cure by connecting again, but neither can we by waiting.
_DEAD_GRANT = frozenset({"invalid_grant", "invalid_request", "access_denied", "expired_token"})


class Refusal(BaseModel):
    """A flat OAuth error."""

    error: str
    error_description: str = ""
    log_id: str | None = None


def ask(
    method: str,
    url: str,
    *,
    params: Mapping[str, str] | None = None,
    form: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    acts: bool = False,
) -> Response:
    """Send one request to a login's server.

    Args:
        acts: whether a lost answer leaves something changed (a code used up, a refresh token replaced).
    """
    try:
        return client.request(method, url, params=params, form=form, headers=headers)
    except client.TransportError as error:
        raise error_table.no_response(error, acts=acts) from error


def read(reply: Response, model: type[ModelT]) -> ModelT:
    """Return the answer as a model, or raise what its refusal means."""
    try:
        if reply.status < 300:
            return model.model_validate_json(reply.body)
    except ValidationError:
        pass  # some refuse with a 200
    # `from None` all along: a validation error quotes the answer, and with it the tokens.
    raise refused(reply) from None


def refused(reply: Response) -> PlatformError:
    """Say what an unusable answer of a token endpoint means."""
    try:
        refusal = Refusal.model_validate_json(reply.body)
    except ValidationError:
        if reply.status == 429 or reply.status >= 500:
            return TryLater("login_down", "the login's server has a problem", retry_after_s=reply.retry_after_s or 30.0)
        return Reconnect("login_refused", f"the login's server answered {reply.status}")
    code = "grant_dead" if refusal.error in _DEAD_GRANT else "login_refused"
    return Reconnect(code, "the platform refuses the login", platform_code=refusal.error, log_id=refusal.log_id)


def check_scope(granted: str, needed: Iterable[str]) -> None:
    """Raise Reconnect when a needed permission was not granted; people may untick some."""
    missing = [scope for scope in needed if scope not in granted.split()]
    if missing:
        raise Reconnect("scope_missing", f"not granted: {', '.join(missing)}")


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)
