"""Signing in on the page: a key becomes a cookie that no script can read."""

from __future__ import annotations

from typing import Annotated

import falcon
from pydantic import BaseModel, ConfigDict, Field

from api.context import Context
from api.http import json_body
from api.http.auth import COOKIE, SESSION_LASTS
from api.http.problems import Problem
from api.http.rate_limit import RateLimit, caller

TRIES_PER_MINUTE = 10


class Credentials(BaseModel):
    """What is asked for."""

    model_config = ConfigDict(extra="forbid")
    key: Annotated[str, Field(min_length=1, max_length=1000)]


class Login:
    """POST /login and DELETE /login."""

    public = True

    def __init__(self, context: Context) -> None:
        self._context = context
        self._tries = RateLimit(TRIES_PER_MINUTE, what="attempt", now=context.now)

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """Exchange a key for a session."""
        self._tries.take(caller(request, behind_fly=self._context.behind_fly))
        given = json_body.read(request, Credentials)
        if not self._context.keys.holds(given.key):
            raise Problem(401, "wrong_key", "this key is not one of this machine's")
        response.set_cookie(
            COOKIE,
            self._context.keys.open_session(given.key),
            max_age=int(SESSION_LASTS.total_seconds()),
            path="/",
            http_only=True,
            same_site="Lax",
            secure=self._context.settings.root_url.startswith("https://"),
        )
        _done(response)

    def on_delete(self, request: falcon.Request, response: falcon.Response) -> None:
        """Sign out in this browser."""
        del request
        response.unset_cookie(COOKIE, path="/", same_site="Lax")
        _done(response)


def _done(response: falcon.Response) -> None:
    response.cache_control = ["no-store"]
    response.status = falcon.HTTP_204
