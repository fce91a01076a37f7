"""The refusals of Meta's token endpoints, in each of the three formats that they come in.

Sources: developers.facebook.com, Graph API error handling; Instagram API with Instagram Login, business login (read
2026-11-22).
"""

from __future__ import annotations

from pydantic import ValidationError

from platforms import error_table, oauth
from platforms.errors import Origin, PlatformError, Reconnect
from platforms.http.client import Response
from platforms.instagram.api import GraphErrorBody, GraphFailure

# The token is invalid: 190 with all its subcodes (458 app removed, 460 password changed, 463 expired, …), 102 the
# session. 10 and 200 are missing on purpose: they come also when Meta has restricted the app.
_DEAD_TOKEN_CODES = frozenset({102, 190})
_PASSING_CODES = frozenset({1, 2, 4, 17, 32, 341, 613, 80002})
_REGISTRATION_CODES = frozenset({3, 12, 101, 191})
_REDIRECT_MISMATCH = (100, 36008)


def login_refusal(response: Response, *, refreshing: bool = False) -> PlatformError:
    """Return the error for an unusable response.

    Args:
        refreshing: whether it refused a refresh; False: the exchange of a code.
    """
    try:
        body = GraphFailure.model_validate_json(response.body).error
    except ValidationError:
        # api.instagram.com sends `error_type` and `error_message`, whose `code` is only the HTTP status again.
        return oauth.refusal(response, refreshing=refreshing)
    return _graph_refusal(response, body, refreshing=refreshing)


def _graph_refusal(response: Response, body: GraphErrorBody, *, refreshing: bool) -> PlatformError:
    origin = Origin(platform_code=body.platform_code or f"http_{response.status}", log_id=body.fbtrace_id)
    passing = response.status >= 500 or response.status == 429 or response.status in error_table.PASSING_STATUSES
    if passing or body.is_transient or body.code in _PASSING_CODES:
        return oauth.login_down(origin, response.retry_after_s)
    if body.code in _DEAD_TOKEN_CODES:
        return Reconnect("grant_dead", "Meta no longer accepts the login", **origin)
    if body.code in _REGISTRATION_CODES or body.key == _REDIRECT_MISMATCH:
        return oauth.registration_refused(origin)
    return oauth.login_refused(origin, refreshing=refreshing, retry_after_s=response.retry_after_s)
