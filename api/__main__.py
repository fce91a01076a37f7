"""`python -m api`: the process that serves the HTTP API."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from loguru import logger

import liveness
import process_protection
import redaction
import settings as environment
from actors import local_clean_up, logging_setup, malloc, wiring
from actors.database_check import require_database
from api.context import Context
from api.http.auth import ApiKeys
from api.server import create_server, limit_lock_waits
from api.server.listener import CannotListen
from api.tus.requests import restore_reservations
from api.uploads.incomplete import lock_uploads
from store import api_keys

PAGES = Path(__file__).resolve().parent.parent / "frontend"


def context() -> Context:
    """Return the context of this process, from its environment."""
    machine = wiring.machine
    return Context(
        **vars(machine),
        keys=_keys(),
        behind_fly="FLY_APP_NAME" in os.environ,
        started_s=machine.boot_time().seconds,
        pages=PAGES,
    )


def main() -> int:
    """Serve until SIGTERM or SIGINT."""
    process_protection.protect()
    malloc.share_among_threads()
    logging_setup.set_up(wiring.machine.settings)
    if wiring.machine.broker.write_lock is not None:
        limit_lock_waits(wiring.machine.broker.write_lock)
    require_database(wiring.machine.store, wiring.machine.sealer)
    wiring.machine.disk.make_ballast()
    served = context()
    # The port first: a second API on the same port exits here, before it deletes incomplete uploads of the first one.
    try:
        server = create_server(served, host=wiring.machine.settings.host, port=wiring.machine.settings.port)
    except CannotListen as refused:
        logger.critical("API: {}", refused)
        return 1
    liveness.require(lambda: server.stuck(time.monotonic()))
    served.keys.end_lost_subscriptions()
    with lock_uploads(served):
        restore_reservations(served)
        signal.signal(signal.SIGTERM, _stop)
        signal.signal(signal.SIGINT, _stop)
        logger.info("API: listening on {}:{}", wiring.machine.settings.host, wiring.machine.settings.port)
        with local_clean_up.in_background(served):
            server.run()
    return 0


def _keys() -> ApiKeys:
    machine = wiring.machine
    given = [key.get_secret_value() for key in machine.settings.api_keys]
    key_file = None if given else machine.settings.data_dir / environment.API_KEY_FILE
    if key_file is not None and not _has_stored_key():
        key, made_now = environment.kept_secret(key_file)
        redaction.add([key])
        if made_now:
            # Printed once, at the first start of the machine; afterwards it is only in the file.
            print(f"The API key of this machine, shown once: {key}", file=sys.stderr, flush=True)  # noqa: T201
    return ApiKeys(
        given,
        key_file=key_file,
        store=machine.store,
        sealer=machine.sealer,
        now=machine.now,
        now_s=lambda: machine.boot_time().seconds,
        root_url=machine.settings.root_url,
    )


def _has_stored_key() -> bool:
    with wiring.machine.store.reading() as connection:
        return bool(api_keys.list_valid(connection))


def _stop(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise SystemExit(0)  # waitress waits up to five seconds for running requests


if __name__ == "__main__":
    sys.exit(main())
