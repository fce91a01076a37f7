"""Answers that a call may meet instead of success: all that the platforms document, and many that nobody does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from platforms.instagram import api as instagram
from platforms.tiktok import api as tiktok
from platforms.youtube import api as youtube


@dataclass(frozen=True)
class Answer:
    """One response, as the fields of a fault of the mock."""

    name: str
    status: int
    body: object = None
    content: str | None = None
    content_type: str = "text/html; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)

    def fault(self, at: str, kind: str, **more: object) -> dict[str, Any]:  # Any: JSON
        """Return the fault by which requests that match `at` meet this answer."""
        response = {"status": self.status, "body": self.body, "content": self.content, "headers": self.headers}
        return {"at": at, "kind": kind, **response, "content_type": self.content_type, **more}


def _raw(status: int, content: str = "", content_type: str = "text/html; charset=utf-8", **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    name = f"{status} {content[:24]!r}"
    return Answer(name, status, content=content, content_type=content_type, headers=named)


_PAGE = "<!doctype html><title>Just a moment…</title>"
_JSON = "application/json"

UNDOCUMENTED: tuple[Answer, ...] = (
    _raw(200),
    _raw(200, "{}", _JSON),
    _raw(200, "[]", _JSON),
    _raw(200, "null", _JSON),
    _raw(200, _PAGE),
    _raw(200, '{"id": "1', _JSON),
    _raw(200, '{"error": {}}', _JSON),
    _raw(200, "\ufeff{}", "text/plain; charset=utf-8"),
    _raw(202, '{"status": "accepted"}', _JSON),
    _raw(203, _PAGE),
    _raw(204),
    _raw(206),
    _raw(301, Location="https://example.com/"),
    _raw(302, Location="https://example.com/captcha"),
    _raw(304),
    _raw(307, Location="https://example.com/"),
    _raw(308),
    _raw(400),
    _raw(400, _PAGE),
    _raw(400, '{"error": "bad', _JSON),
    _raw(400, '{"message": "no"}', _JSON),
    _raw(402, '{"error": {"message": "pay"}}', _JSON),
    _raw(403, _PAGE),
    _raw(403, "Access denied", "text/plain"),
    _raw(405, _PAGE),
    _raw(406),
    _raw(407, _PAGE),
    _raw(408),
    _raw(409, "{}", _JSON),
    _raw(411),
    _raw(412),
    _raw(413, _PAGE),
    _raw(414),
    _raw(415),
    _raw(417),
    _raw(418, "teapot", "text/plain"),
    _raw(421),
    _raw(422, '{"errors": []}', _JSON),
    _raw(423),
    _raw(424),
    _raw(425),
    _raw(426),
    _raw(428),
    _raw(429, _PAGE),
    _raw(431),
    _raw(451, _PAGE),
    _raw(499),
    _raw(500),
    _raw(501, "{}", _JSON),
    _raw(502, _PAGE),
    _raw(503, _PAGE, Retry_After="3"),
    _raw(504, _PAGE),
    _raw(507),
    _raw(508),
    _raw(520, _PAGE),
    _raw(522, _PAGE),
    _raw(524, _PAGE),
    _raw(529, '{"error": "overloaded"}', _JSON),
    _raw(599),
)


def _tiktok(status: int, code: str) -> Answer:
    return Answer(f"{status} {code}", status, {"data": {}, "error": {"code": code, "message": "m", "log_id": "log"}})


_TIKTOK_STATUS = {
    **dict.fromkeys(("access_token_invalid", "scope_not_authorized"), 401),
    **dict.fromkeys(("internal", "internal_error"), 500),
    "rate_limit_exceeded": 429,
    **{code: 400 for code in tiktok.ERRORS if code.startswith(("invalid", "scope_p", "app_version", "token_not"))},
}
TIKTOK: tuple[Answer, ...] = (
    *(_tiktok(_TIKTOK_STATUS.get(code, 403), code) for code in tiktok.ERRORS),
    *(_tiktok(200, code) for code in ("spam_risk_too_many_posts", "internal_error", "something_new")),
    *(_tiktok(status, "something_new") for status in (400, 401, 403, 404, 409, 418, 500)),
)
TIKTOK_BYTES: tuple[Answer, ...] = tuple(_raw(status) for status in (400, 403, 404, 416, 429, 500, 502, 503))


def _graph(status: int, code: int, subcode: int = 0, *, transient: bool = False) -> Answer:
    error = {"message": "m", "type": "OAuthException", "code": code, "fbtrace_id": "trace", "is_transient": transient}
    body = {"error": {**error, "error_subcode": subcode} if subcode else error}
    return Answer(f"{status} {code}/{subcode}{' transient' * transient}", status, body)


GRAPH: tuple[Answer, ...] = (
    *(_graph(400, code, subcode) for code, subcode in instagram.BY_SUBCODE),
    *(_graph(400, code) for code in instagram.BY_CODE if code < 201 or code in {299, 352, 368, 613, 36000, 80002}),
    *(_graph(401, 190, subcode) for subcode in (458, 460, 463, 467)),
    *(_graph(status, 99999) for status in (200, 400, 401, 403, 404, 409, 418, 500)),
    *(_graph(500, code) for code in (1, 2, 100, 368)),
    *(_graph(400, code, transient=True) for code in (2, 4, 100, -1)),
)


def _google(status: int, reason: str) -> Answer:
    error: dict[str, object] = {"code": status, "message": "m"}
    if reason.isupper():
        error["status"] = reason
        error["details"] = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "d"}]
    else:
        error["errors"] = [{"reason": reason, "domain": "d", "message": "m"}]
    return Answer(f"{status} {reason}", status, {"error": error})


_GOOGLE_STATUS = {
    **dict.fromkeys(("authError", "expired", "authorizationRequired", "youtubeSignupRequired"), 401),
    **dict.fromkeys(("ACCESS_TOKEN_EXPIRED", "CREDENTIALS_MISSING", "UNAUTHENTICATED", "invalid_client"), 401),
    **dict.fromkeys(("backendError", "serviceUnavailable", "UNAVAILABLE"), 503),
    **dict.fromkeys(("internalError", "INTERNAL", "UNKNOWN"), 500),
    **dict.fromkeys(("conflict", "alreadyExists", "aborted", "ABORTED", "ALREADY_EXISTS"), 409),
    **dict.fromkeys(("RATE_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED", "RESOURCE_QUOTA_EXCEEDED"), 429),
    "requestTimeout": 408,
    **{code: 400 for code in youtube.ERRORS if code.startswith(("invalid", "uploadLimit", "failedP", "processing"))},
}
GOOGLE: tuple[Answer, ...] = (
    *(_google(_GOOGLE_STATUS.get(reason, 403), reason) for reason in youtube.ERRORS),
    *(_google(status, "somethingNew") for status in (400, 401, 403, 404, 409, 410, 418, 500)),
    _raw(404, "Not Found", "text/plain"),
    _raw(410),
)
