"""Checks of a request before its body is received: route, key, rate limit, size, disk space.

A request that is refused here costs nothing but its head; waitress would receive its whole body first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import falcon
from falcon.routing import CompiledRouter

from actors.database_check import DATABASE_ERRORS
from api.context import Context
from api.http import json_body, problems
from api.http.auth import AuthHeaders, KnownKey
from api.http.problems import Problem
from api.http.rate_limit import UploadLimits, client_address
from api.resources import sharing
from api.tus import protocol, requests
from api.uploads.upload import IncomingUpload, Upload, open_upload

MAX_PUBLIC_BODY_BYTES = 4096
"""Maximum size of a body that needs no key: a sign-in."""


@dataclass(frozen=True)
class RequestHead:
    """The head of a request.

    Attributes:
        headers: by upper-case name with underscores, as waitress stores them.
        peer: address of the other end of the connection.
        content_length: of the body, in bytes; 0 without a body, None for a chunked one.
    """

    method: str
    path: str
    headers: dict[str, str]
    peer: str
    content_length: int | None

    def header(self, name: str) -> str | None:
        """Return the value of a header by its usual name, or None."""
        return self.headers.get(name.upper().replace("-", "_"))


class HeadChecks(Protocol):
    """The checks of a port, made before a body is received."""

    def client(self, head: RequestHead) -> str | None:
        """Return the address of the client, if a proxy tells it; else None."""

    def check(self, head: RequestHead) -> IncomingUpload | None:
        """Return the upload that the request begins or continues, or None for another request.

        Raises:
            falcon.HTTPError: the request is refused.
        """


class MetricsHeadChecks:
    """The checks of the metrics port: no request has a body."""

    def client(self, head: RequestHead) -> str | None:
        """Return None: nobody but the peer is known."""
        del head
        return None

    def check(self, head: RequestHead) -> IncomingUpload | None:
        """Refuse any body."""
        if head.content_length != 0:
            raise _no_body_expected()
        return None


class ApiHeadChecks:
    """The checks of the API's port."""

    def __init__(self, context: Context, limits: UploadLimits, router: CompiledRouter) -> None:
        """Prepare.

        Args:
            limits: of the rates of uploads.
            router: of the application; knows its resources.
        """
        self._context = context
        self._limits = limits
        self._router = router

    def client(self, head: RequestHead) -> str | None:
        """Return the client's address behind Fly's proxy, else None."""
        told = head.headers.get("FLY_CLIENT_IP")
        return client_address(head.peer, told, behind_fly=True) if self._context.behind_fly and told else None

    def check(self, head: RequestHead) -> IncomingUpload | None:
        """Open an upload; of other requests check route, key and size of the body."""
        if (head.method, head.path) == ("POST", "/upload"):
            return self._open_upload(head)
        if (head.method, head.path) == ("POST", sharing.PATH):
            raise sharing.NotTaken
        if head.content_length == 0:
            return None
        if head.path == protocol.ROOT or head.path.startswith(f"{protocol.ROOT}/"):
            with protocol.version_on_errors():
                return self._open_resumable(head)
        self._check_body(head)
        return None

    def _open_upload(self, head: RequestHead) -> Upload:
        if head.content_length == 0 and "CONTENT_LENGTH" not in head.headers:
            raise Problem(411, "length_required", "send the length of the form in Content-Length")
        client = self._authenticate(head)
        self._limits.uploads.hit(self._address(head))
        return open_upload(
            self._context,
            head.headers.get("CONTENT_TYPE"),
            head.content_length,
            client=client,
            idempotency_key=head.headers.get("IDEMPOTENCY_KEY"),
            content_encoding=head.headers.get("CONTENT_ENCODING"),
        )

    def _open_resumable(self, head: RequestHead) -> IncomingUpload | None:
        """Begin to receive a body of the tus protocol: the first bytes of a new upload, or more of an old one."""
        upload_id, method = protocol.upload_id(head.path), protocol.method(head.method, head.header)
        creates = head.path.rstrip("/") == protocol.ROOT and method == "POST"
        if not creates and (upload_id is None or method != "PATCH"):
            self._check_body(head)
            return None
        owner_id = self._authenticate(head).owner_id
        (self._limits.uploads if creates else self._limits.continued).hit(self._address(head))
        if creates or upload_id is None:
            return requests.create(self._context, owner_id, head.header, head.content_length)
        return requests.append(self._context, owner_id, upload_id, head.header, head.content_length)

    def _check_body(self, head: RequestHead) -> None:
        resource = self._find_resource(head)
        if head.method in {"GET", "HEAD"}:
            raise _no_body_expected()
        if head.content_length is None:
            raise Problem(411, "length_required", "send the length of the body in Content-Length")
        public = getattr(resource, "public", False)
        limit_bytes = MAX_PUBLIC_BODY_BYTES if public else json_body.MAX_BYTES
        if head.content_length > limit_bytes:
            raise json_body.too_large(limit_bytes)
        if not public:
            self._authenticate(head)

    def _authenticate(self, head: RequestHead) -> KnownKey:
        headers = AuthHeaders.read(head.header)
        try:
            return self._context.keys.authenticate(headers, head.method, self._address(head))
        except DATABASE_ERRORS as exc:
            raise problems.database_unavailable(exc) from exc

    def _address(self, head: RequestHead) -> str:
        """Return the client's address, by which uploads and wrong keys are limited."""
        return client_address(head.peer, head.headers.get("FLY_CLIENT_IP"), behind_fly=self._context.behind_fly)

    def _find_resource(self, head: RequestHead) -> Any:  # Any: resources have no common type
        found = self._router.find(head.path)
        if found is None:
            raise falcon.HTTPNotFound
        allowed = [name for name in falcon.HTTP_METHODS if hasattr(found[0], f"on_{name.lower()}")]
        if head.method not in allowed:
            raise falcon.HTTPMethodNotAllowed(allowed)
        return found[0]


def _no_body_expected() -> Problem:
    return Problem(413, "too_large", "a request of this kind has no body", limit_bytes=0)
