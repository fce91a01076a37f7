"""`python -m api`: the front door as a process of its own."""

from __future__ import annotations

import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from loguru import logger

import settings as environment
from actors import logging_setup, wiring
from actors.database_check import require_database
from api.context import Context
from api.http.auth import Keys
from api.server import create_server
from api.uploads import upload

PAGES = Path(__file__).resolve().parent.parent / "frontend"


def context() -> Context:
    """Return what this process works with, from its environment."""
    settings = wiring.machine.settings
    return Context(
        settings=settings,
        store=wiring.machine.store,
        broker=wiring.machine.broker,
        sealer=wiring.machine.sealer,
        hosts=wiring.machine.hosts,
        machine=wiring.machine,
        keys=Keys(_api_keys(), sealer=wiring.machine.sealer, now=wiring.machine.now),
        now=wiring.machine.now,
        new_id=wiring.machine.new_id,
        behind_fly="FLY_APP_NAME" in os.environ,
        started_at=datetime.now(UTC),
        pages=PAGES,
    )


def main() -> int:
    """Serve until told to stop."""
    logging_setup.set_up(wiring.machine.settings)
    require_database(wiring.machine.store)
    door = context()
    # The port first: a second API on the same port ends here, before it deletes the first one's incomplete uploads.
    server = create_server(door, host=wiring.machine.settings.host, port=wiring.machine.settings.port)
    with upload.begin_receiving(door):
        signal.signal(signal.SIGTERM, _stop)
        signal.signal(signal.SIGINT, _stop)
        logger.info("listening on {}:{}", wiring.machine.settings.host, wiring.machine.settings.port)
        server.run()
    return 0


def _api_keys() -> list[str]:
    settings = wiring.machine.settings
    if settings.api_keys:
        return [key.get_secret_value() for key in settings.api_keys]
    key, made_now = environment.kept_secret(settings.data_dir / "api.key")
    if made_now:
        # Once, by the contract with whoever starts the machine for the first time; afterwards it is in the file only.
        print(f"The API key of this machine, shown once: {key}", file=sys.stderr, flush=True)  # noqa: T201
    return [key]


def _stop(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise SystemExit(0)  # waitress lets running requests end, for five seconds


if __name__ == "__main__":
    sys.exit(main())
