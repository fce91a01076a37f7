"""POST and DELETE /login: the session cookie of the web page (HttpOnly)."""

from __future__ import annotations

from typing import Annotated

import falcon
from pydantic import BaseModel, ConfigDict, Field

from api.context import Context
from api.http import cookies, json_body
from api.http.auth import AuthHeaders, KnownKey
from api.http.problems import Problem
from api.http.rate_limit import request_client
from store import sessions


class Credentials(BaseModel):
    """The credentials of a sign-in."""

    model_config = ConfigDict(extra="forbid")
    key: Annotated[str, Field(min_length=1, max_length=1000, description="An API key of the server.")]


class LoginResource:
    """POST /login and DELETE /login."""

    public = True

    def __init__(self, context: Context) -> None:
        self._context = context
        self._keys = context.keys

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """Exchange an API key for a session; a session that the browser had before ends."""
        headers = AuthHeaders.read(request.get_header)
        self._keys.refuse_foreign_page(headers.page)
        credentials = json_body.read_body(request, Credentials)
        client = request_client(request, behind_fly=self._context.behind_fly)
        known = self._keys.find(credentials.key)
        token = None if known is None else self._keys.create_session(known)
        if token is None:
            raise self._keys.failed.refuse(client, Problem(401, "wrong_key", "the key is not valid"))
        if self._keys.find_by_session(headers.cookie) is not None:
            self._end_session(headers)
        self._keys.cookies.set(response, cookies.SESSION, token, sessions.LIFETIME)
        _no_content(response)

    def on_delete(self, request: falcon.Request, response: falcon.Response) -> None:
        """End the session of this browser; with `everywhere` all sessions of its key, also for a program with a key."""
        headers = AuthHeaders.read(request.get_header)
        is_everywhere = request.get_param_as_bool("everywhere", default=False)
        known = self._client(request, headers)
        if known is not None and is_everywhere:
            self._keys.end_sessions(known.key_id)
        elif known is not None:
            self._end_session(headers)
        self._keys.cookies.delete(response, self._keys.cookies.name(cookies.SESSION))
        _no_content(response)

    def _client(self, request: falcon.Request, headers: AuthHeaders) -> KnownKey | None:
        """Return the key of the request or of its session; None if the session has ended already."""
        if headers.authorization is None and self._keys.find_by_session(headers.cookie) is None:
            self._keys.refuse_foreign_page(headers.page)
            return None
        client = request_client(request, behind_fly=self._context.behind_fly)
        return self._keys.authenticate(headers, request.method, client)

    def _end_session(self, headers: AuthHeaders) -> None:
        token = self._keys.session_token(headers.cookie)
        if token is not None:
            self._keys.end_session(token)


def _no_content(response: falcon.Response) -> None:
    response.cache_control = ["no-store"]
    response.status = falcon.HTTP_204
