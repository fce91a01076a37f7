"""What is particular to waitress: its limits, and how it hears of them.

Uploads do not go through waitress' own buffers (see `receiver`). Whatever else is longer than half a megabyte it spools
into a temporary file, which must lie on the data directory's volume: elsewhere it would fill the wrong disk.
"""

from __future__ import annotations

import logging
import tempfile
from typing import Any

import waitress
from waitress.server import BaseWSGIServer

from api.app import create_app, create_metrics_app
from api.context import Context
from api.http.rate_limit import RateLimit
from api.uploads.upload import FORM_SPARE_BYTES
from api.uploads.waitress_parser import Channel, Entrance

RECV_BYTES = 262_144  # 8 kB, the default, costs four times the processor time for a long body (measured)
CONNECTIONS = 1000  # the default of 100 lets a hundred idle strangers shut everybody out (measured)
THREADS = 8  # held while the application works (a last sync, a look-up of a name), never by a slow sender or reader
HEADER_BYTES = 32_768
IDLE_S = 120  # a phone in a tunnel comes back


def create_server(context: Context, *, host: str, port: int) -> Any:  # Any: waitress has no types
    """Return a waitress server, listening, that `run()` lets work.

    Args:
        port: 0 chooses a free one; the server's `effective_port` says which.
    """
    # A few requests that wait a moment for a thread are no news.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    spool = context.settings.data_dir.resolve() / "tmp"
    spool.mkdir(parents=True, exist_ok=True)
    tempfile.tempdir = str(spool)
    sockets: dict[int, Any] = {}  # Any: waitress' own; one loop serves both ports
    limit = RateLimit(context.settings.upload_rate_limit, what="upload", now=context.now)
    server = waitress.create_server(
        create_app(context, limit),
        map=sockets,
        host=host,
        port=port,
        threads=THREADS,
        # waitress refuses from this size on; whether the file is too large is for the application to say.
        max_request_body_size=context.settings.max_upload_size + 2 * FORM_SPARE_BYTES,
        **_LIMITS,
    )
    channel = type("UploadChannel", (Channel,), {"entrance": Entrance(context, limit)})
    for listener in list(sockets.values()):
        if isinstance(listener, BaseWSGIServer):
            listener.channel_class = channel
    if context.settings.metrics_port is not None:
        metrics = create_metrics_app(context)
        waitress.create_server(
            metrics, map=sockets, host=host, port=context.settings.metrics_port, threads=1, **_LIMITS
        )
    return server


_LIMITS: dict[str, Any] = {  # Any: waitress' settings
    "ident": None,
    "recv_bytes": RECV_BYTES,
    "asyncore_use_poll": True,
    "connection_limit": CONNECTIONS,
    "channel_timeout": IDLE_S,
    "max_request_header_size": HEADER_BYTES,
    "log_socket_errors": False,  # a phone that loses its network is no error of ours
    "clear_untrusted_proxy_headers": True,
}
