"""POST and DELETE /login: the session cookie of the web page (HttpOnly)."""

from __future__ import annotations

from typing import Annotated

import falcon
from pydantic import BaseModel, ConfigDict, Field

from api.context import Context
from api.http import json_body
from api.http.auth import COOKIE, SESSION_LIFETIME
from api.http.problems import Problem
from api.http.rate_limit import RateLimiter, request_client

ATTEMPTS_PER_MINUTE = 10


class Credentials(BaseModel):
    """The credentials of a sign-in."""

    model_config = ConfigDict(extra="forbid")
    key: Annotated[str, Field(min_length=1, max_length=1000, description="An API key of the server.")]


class LoginResource:
    """POST /login and DELETE /login."""

    public = True

    def __init__(self, context: Context) -> None:
        self._context = context
        self._limiter = RateLimiter(ATTEMPTS_PER_MINUTE, noun="attempt", now_s=context.now_s)

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """Exchange an API key for a session."""
        self._limiter.hit(request_client(request, behind_fly=self._context.behind_fly))
        credentials = json_body.read_body(request, Credentials)
        if not self._context.keys.is_valid(credentials.key):
            raise Problem(401, "wrong_key", "the key is not valid")
        response.set_cookie(
            COOKIE,
            self._context.keys.create_session(credentials.key),
            max_age=int(SESSION_LIFETIME.total_seconds()),
            path="/",
            http_only=True,
            same_site="Lax",
            secure=self._context.settings.root_url.startswith("https://"),
        )
        _no_content(response)

    def on_delete(self, request: falcon.Request, response: falcon.Response) -> None:
        """Sign out: delete the session cookie."""
        del request
        response.unset_cookie(COOKIE, path="/", same_site="Lax")
        _no_content(response)


def _no_content(response: falcon.Response) -> None:
    response.cache_control = ["no-store"]
    response.status = falcon.HTTP_204
