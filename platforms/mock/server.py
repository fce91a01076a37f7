"""The mock server: all mock platforms, the webhook receiver and the pages in one application, on loopback only."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import falcon
from waitress.server import create_server

from platforms.mock import pages, webhook_receiver
from platforms.mock.faults import Fault, Faults
from platforms.mock.mocks import MOCKS
from platforms.mock.state import MockErrorResponse, MockOptions, MockState
from platforms.mock.storage import Storage
from platforms.mock.upload_stream import LOSE_HEADER, UploadRequest, UploadTarget, channel_class

HOST = "127.0.0.1"
# Headers of a success, which must not remain in a response that hides it.
_TELLING_HEADERS = ("Location", "Range", "Content-Range", "Content-Length", "Content-Type")
MAX_BODY_BYTES = 4_000_000_000


def serve(
    port: int, directory: Path, options: MockOptions, *, clock: Callable[[], float] = time.time
) -> Any:  # Any: waitress ships no types
    """Return a server that already listens; call its `run()`.

    Args:
        port: 0 for any free one; the server's `effective_port` names it.
        directory: of the storage.
        clock: Unix seconds.
    """
    state, faults = MockState(Storage(directory), options, clock), Faults()
    server = create_server(
        application(state, faults),
        host=HOST,
        port=port,
        threads=8,
        max_request_body_size=MAX_BODY_BYTES,
        asyncore_use_poll=True,
        ident=None,
    )
    server.channel_class = channel_class(
        functools.partial(_upload_target, state), functools.partial(_strike, state, faults)
    )
    return server


def _upload_target(state: MockState, request: UploadRequest) -> UploadTarget | None:
    for mock in MOCKS.values():
        try:
            target = mock.upload_target(state, request)
        except MockErrorResponse:
            return None  # the application repeats the check and sends the response
        if target:
            return target
    return None


def _strike(state: MockState, faults: Faults, request_line: str) -> Fault | None:
    fault = faults.strike(request_line)
    if fault is not None and fault.kind == "expire":  # before the request's token is checked
        state.expire_tokens(fault.platform)
    return fault


def application(state: MockState, faults: Faults) -> falcon.App[Any, Any]:  # Any: falcon's request and response types
    """Return the WSGI application."""
    app = falcon.App(middleware=[_FaultMiddleware()])
    app.req_options.strip_url_path_trailing_slash = False
    app.req_options.auto_parse_qs_csv = False
    app.add_error_handler(MockErrorResponse, _send_error)
    for mock in MOCKS.values():
        mock.add_routes(app, state)
    webhook_receiver.add_routes(app, state)
    pages.add_routes(app, state, faults)
    return app


def _send_error(_req: falcon.Request, resp: falcon.Response, error: MockErrorResponse, _params: dict[str, Any]) -> None:
    resp.status = error.status
    if error.body is not None:
        resp.media = error.body
    resp.set_headers(error.headers)


class _FaultMiddleware:
    """Applies the faults that concern the response."""

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Respond instead of the application, or delay the request."""
        fault: Fault | None = req.env.get("mock.fault")
        if fault is None:
            return
        if fault.kind == "slow":
            time.sleep(fault.seconds)
        elif fault.kind == "answer":
            self._respond(resp, fault)
            resp.complete = True

    def process_response(self, req: falcon.Request, resp: falcon.Response, _resource: object, _succeeded: bool) -> None:
        """Drop the response, or replace it."""
        fault: Fault | None = req.env.get("mock.fault")
        if fault is not None and fault.kind == "lose":
            resp.set_header(LOSE_HEADER, "1")
        elif fault is not None and fault.kind == "lie":
            self._respond(resp, fault)

    def _respond(self, resp: falcon.Response, fault: Fault) -> None:
        for name in _TELLING_HEADERS:
            resp.delete_header(name)
        resp.status = fault.status
        if fault.content is None:
            resp.media = fault.body
        else:
            resp.media, resp.text, resp.content_type = None, fault.content, fault.content_type
        resp.set_headers(fault.headers)
