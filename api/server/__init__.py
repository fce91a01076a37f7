"""The HTTP server: waitress, with an event loop, connections and a request parser of our own.

    event_loop    waits for all sockets
    listener      accepts connections; the server, which serves several ports
    connections   number of connections, share of each address, memory
    timing        deadline of each phase of a connection
    connection    one connection: receives requests one at a time, sends responses
    parser        one request; `framing` and `chunked` check its form, `head_checks` its route, key and size

The threads of waitress run the application. They never wait for a client.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable

from falcon.routing import CompiledRouter

from api.app import create_app, create_metrics_app, upload_limits
from api.context import Context
from api.http.connection_counters import ConnectionCounters
from api.server.connections import ConnectionLimits, Connections
from api.server.head_checks import ApiHeadChecks, MetricsHeadChecks
from api.server.listener import Server, connection_limit
from api.uploads.upload import MAX_FORM_OVERHEAD_BYTES
from broker import WriteLock

THREADS = 8  # each runs the application (final sync, DNS look-up); slow clients occupy none
LOCK_TIMEOUT_S = 5.0  # of each wait for the database's write lock; then 503
READING_THREADS = 3  # of THREADS, which never wait for the write lock while others do not get it

METRICS_LIMITS = ConnectionLimits(total=64, per_address=16, held_bytes=2**20)


def limit_lock_waits(write_lock: WriteLock) -> None:
    """Limit how long the threads of this process wait for the write lock, and how many of them wait during a stall."""
    write_lock.timeout_s = LOCK_TIMEOUT_S
    write_lock.max_waiting = THREADS - READING_THREADS


def create_server(
    context: Context,
    *,
    host: str,
    port: int,
    limits: ConnectionLimits | None = None,
    now_s: Callable[[], float] = time.monotonic,
) -> Server:
    """Return a listening server; `run()` serves.

    Args:
        port: 0 chooses a free port, which is in the server's `effective_port`.
        limits: of the API's port; default: as many connections as the process may have open files.
        now_s: the clock of deadlines, in seconds.
    """
    # waitress warns of each request that waits for a thread.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    spool = context.settings.data_dir.resolve() / "tmp"
    spool.mkdir(parents=True, exist_ok=True)
    tempfile.tempdir = str(spool)  # for large responses: on the data directory's volume, with its limits
    limits = limits or ConnectionLimits(total=connection_limit(ConnectionLimits.total))
    api = Connections(limits, context.connection_counters, now_s, share_peers=not context.behind_fly)
    metrics = Connections(METRICS_LIMITS, ConnectionCounters(), now_s, share_peers=True)

    def tick() -> None:
        api.tick()
        metrics.tick()

    rates = upload_limits(context)
    router = CompiledRouter()
    server = Server(tick)
    server.listen(
        create_app(context, rates, router),
        host=host,
        port=port,
        threads=THREADS,
        # waitress refuses larger bodies; the application checks the size of the file.
        max_body_bytes=context.settings.max_upload_size + 2 * MAX_FORM_OVERHEAD_BYTES,
        checks=ApiHeadChecks(context, rates, router),
        connections=api,
    )
    if context.settings.metrics_port is not None:
        server.listen(
            create_metrics_app(context),
            host=host,
            port=context.settings.metrics_port,
            threads=1,
            max_body_bytes=1,
            checks=MetricsHeadChecks(),
            connections=metrics,
        )
    return server
