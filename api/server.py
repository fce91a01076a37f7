"""The waitress server: limits, timeouts, and the parser for uploads.

Uploads bypass the buffers of waitress (see `uploads.waitress_parser`). It spools any other body above 512 kB into a
temporary file, which is placed on the data directory's volume so that it cannot fill another disk.
"""

from __future__ import annotations

import logging
import tempfile
from typing import Any

import waitress
from falcon.routing import CompiledRouter
from waitress.server import BaseWSGIServer

from api.app import create_app, create_metrics_app, upload_limiter
from api.context import Context
from api.uploads.upload import MAX_FORM_OVERHEAD_BYTES
from api.uploads.waitress_parser import UploadChannel, UploadOpener

RECV_BYTES = 262_144  # the default of 8 kB costs four times the CPU time for a long body (measured)
MAX_CONNECTIONS = 1000  # with the default of 100, a hundred idle clients block all others (measured)
THREADS = 8  # each runs the application (final sync, DNS look-up); slow clients occupy none
MAX_HEADER_BYTES = 32_768
IDLE_TIMEOUT_S = 120  # a phone in a tunnel reconnects within that time


def create_server(context: Context, *, host: str, port: int) -> Any:  # Any: waitress has no types
    """Return a listening waitress server; `run()` serves.

    Args:
        port: 0 chooses a free port, which is in the server's `effective_port`.
    """
    # waitress warns of each request that waits for a thread.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    spool = context.settings.data_dir.resolve() / "tmp"
    spool.mkdir(parents=True, exist_ok=True)
    tempfile.tempdir = str(spool)
    sockets: dict[int, Any] = {}  # Any: of waitress; one loop serves both ports
    limiter = upload_limiter(context)
    router = CompiledRouter()
    server = waitress.create_server(
        create_app(context, limiter, router),
        map=sockets,
        host=host,
        port=port,
        threads=THREADS,
        # waitress refuses larger bodies; the application checks the size of the file.
        max_request_body_size=context.settings.max_upload_size + 2 * MAX_FORM_OVERHEAD_BYTES,
        **_LIMITS,
    )
    channel = type("UploadChannel", (UploadChannel,), {"opener": UploadOpener(context, limiter, router)})
    for listener in list(sockets.values()):
        if isinstance(listener, BaseWSGIServer):
            listener.channel_class = channel
    if context.settings.metrics_port is not None:
        metrics = create_metrics_app(context)
        waitress.create_server(
            metrics, map=sockets, host=host, port=context.settings.metrics_port, threads=1, **_LIMITS
        )
    return server


_LIMITS: dict[str, Any] = {  # Any: settings of waitress
    "ident": None,
    "recv_bytes": RECV_BYTES,
    "asyncore_use_poll": True,
    "connection_limit": MAX_CONNECTIONS,
    "channel_timeout": IDLE_TIMEOUT_S,
    "max_request_header_size": MAX_HEADER_BYTES,
    "log_socket_errors": False,  # lost connections are expected from phones
    "clear_untrusted_proxy_headers": True,
}
