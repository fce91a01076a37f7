"""Puts the mock together and serves it, on loopback only."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import falcon
from waitress.server import create_server

from platforms.mock import hooks, pages
from platforms.mock.faults import Fault, Faults
from platforms.mock.instagram import app as instagram
from platforms.mock.instagram import login as instagram_login
from platforms.mock.intake import Place, channel_class
from platforms.mock.shelf import Shelf
from platforms.mock.tiktok import app as tiktok
from platforms.mock.tiktok import login as tiktok_login
from platforms.mock.world import Answered, Rules, World
from platforms.mock.youtube import app as youtube
from platforms.mock.youtube import login as youtube_login

HOST = "127.0.0.1"
MAX_BODY_BYTES = 4_000_000_000


def serve(port: int, directory: Path, rules: Rules) -> Any:  # Any: waitress ships no types
    """Return a server that listens already; `.run()` it.

    Args:
        port: 0 for any free one; `effective_port` of the server tells which.
        directory: where everything is kept.
    """
    world, faults = World(Shelf(directory), rules), Faults()
    server = create_server(
        application(world, faults),
        host=HOST,
        port=port,
        threads=8,
        max_request_body_size=MAX_BODY_BYTES,
        asyncore_use_poll=True,
        ident=None,
    )
    server.channel_class = channel_class(functools.partial(_admit, world), functools.partial(_strike, world, faults))
    return server


def _admit(world: World, method: str, path: str, query: str, headers: Mapping[str, str]) -> Place | None:
    for platform in (tiktok, instagram, youtube):
        place: Place | None = platform.admit(world, method, path, query, headers)
        if place:
            return place
    return None


def _strike(world: World, faults: Faults, request_line: str) -> Fault | None:
    fault = faults.strike(request_line)
    if fault is not None and fault.kind == "expire":  # before anything of this request is looked at
        world.kill_tokens(fault.platform)
    return fault


def application(world: World, faults: Faults) -> falcon.App[Any, Any]:  # Any: falcon's own request and response types
    """Return the WSGI application."""
    app = falcon.App(middleware=[_Strike()])
    app.req_options.strip_url_path_trailing_slash = False
    app.req_options.auto_parse_qs_csv = False
    app.add_error_handler(Answered, _answer)
    for part in (tiktok, tiktok_login, instagram, instagram_login, youtube, youtube_login, hooks):
        part.add_routes(app, world)
    pages.add_routes(app, world, faults)
    return app


def _answer(_req: falcon.Request, resp: falcon.Response, answered: Answered, _params: dict[str, Any]) -> None:
    resp.status = answered.status
    if answered.body is not None:
        resp.media = answered.body
    resp.set_headers(answered.headers)


class _Strike:
    """Lets the faults strike that concern the answer."""

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer in the application's stead, or delay."""
        fault: Fault | None = req.env.get("mock.fault")
        if fault is None:
            return
        if fault.kind == "slow":
            time.sleep(fault.seconds)
        elif fault.kind == "answer":
            self._instead(resp, fault)
            resp.complete = True

    def process_response(self, req: falcon.Request, resp: falcon.Response, _resource: object, _succeeded: bool) -> None:
        """Lose the answer, or tell another one."""
        fault: Fault | None = req.env.get("mock.fault")
        if fault is not None and fault.kind == "lose":
            resp.set_header("X-Mock-Lose", "1")
        elif fault is not None and fault.kind == "lie":
            self._instead(resp, fault)

    def _instead(self, resp: falcon.Response, fault: Fault) -> None:
        resp.status = fault.status
        resp.media = fault.body
        resp.set_headers(fault.headers)
