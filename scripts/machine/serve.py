"""scripts/serve: runs the API, the scheduler with the network worker, and the media worker while it has work."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from loguru import logger

import process_protection
import settings as environment
from actors import databases, logging_setup
from scripts.machine import launch, preload, services
from scripts.machine.installation import AlreadyRunning
from scripts.machine.private_files import NotPrivate
from scripts.machine.service_process import ForkServer
from scripts.machine.supervisor import Service, Supervisor
from settings import ServiceName, Settings
from store.errors import DatabaseUnavailable

IDLE_S = 60.0  # a media worker is stopped after this time without work


class MediaDemand:
    """Decides whether the media worker runs: while its queue has messages, and for `IDLE_S` afterwards."""

    def __init__(self, settings: Settings) -> None:
        self._broker = databases.open_broker(settings)
        self._concurrency = settings.worker_concurrency
        self._busy_until = 0.0

    def __call__(self) -> bool:
        """Return whether the media worker is needed.

        Raises:
            broker.DatabaseUnavailable: the queue cannot be read.
        """
        if self._concurrency == 0:
            return False
        if any(queue.ready or queue.leased for queue in self._broker.admin.queue_stats() if queue.queue == "media"):
            self._busy_until = time.monotonic() + IDLE_S
        return time.monotonic() < self._busy_until


class NoDatabase(Exception):
    """The database cannot be used; `scripts.machine.migrate` has printed the reason."""


class NoStorage(Exception):
    """The storage of the videos cannot be used; `scripts.machine.migrate` has printed the reason."""


def migrate(environ: dict[str, str]) -> None:
    """Migrate the database in a child process, and check the storage.

    Raises:
        NoDatabase: the database cannot be used.
        NoStorage: the settings of the storage are wrong.
    """
    reading, writing = os.pipe()
    try:
        code = launch.start(["scripts.machine.migrate"], environ, parent_pipe=reading).wait()
    finally:
        os.close(reading)
        os.close(writing)
    if code == launch.NO_STORAGE:
        raise NoStorage("not started: the storage of the videos cannot be used")
    if code == launch.OTHER_KEY:
        raise NoDatabase("not started: other machines use the database with another SECRET_KEY")
    if code != 0:
        raise NoDatabase("not started: the database cannot be used")


def main() -> int:
    """Run until SIGTERM or SIGINT."""
    process_protection.protect()
    # The kernel ignores a signal without a handler for the first process of a container, which then stops by SIGKILL.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # until the supervisor has its own handler
    argparse.ArgumentParser(prog="scripts/serve", description=__doc__).parse_args()
    try:
        chosen = environment.read(os.environ)
    except environment.BadSettings as error:
        print(error.report(), file=sys.stderr)
        return 2
    environ = dict(os.environ)
    process_protection.remove_secrets(environment.secret_names())
    preload.load()
    fork_server = ForkServer(environ)
    fork_server.fork_this_process()  # in the services, this does not return
    logging_setup.set_up(chosen)
    try:
        return _serve(chosen, environ, fork_server)
    except (AlreadyRunning, NotPrivate, NoDatabase, NoStorage, DatabaseUnavailable) as refused:
        print(refused, file=sys.stderr)
        return 2 if isinstance(refused, AlreadyRunning) else 1
    except OSError as error:
        print(unusable_directory(chosen.data_dir, error), file=sys.stderr)
        return 1


def unusable_directory(data_dir: Path, error: OSError) -> str:
    """Return the error message for an unusable data directory."""
    return f"DATA_DIR {data_dir} cannot be used: {error.strerror or error} ({error.filename or data_dir})"


def _serve(chosen: Settings, environ: dict[str, str], fork_server: ForkServer) -> int:
    environ.setdefault("TMPDIR", str(_temporary(chosen.data_dir)))
    supervisor = Supervisor(
        services_of(chosen),
        environ=environ,
        settings=chosen,
        log_to_files=False,
        watchdog=services.watchdog(chosen),
        fork_server=fork_server,
    )
    migrate(environ)
    if chosen.database_path is not None:
        supervisor.monitor_database(chosen.database_path.resolve())
    logger.info("Machine: starting with the address {}", chosen.root_url)
    supervisor.run()
    return 0


def services_of(settings: Settings) -> list[Service]:
    """Return the services of a machine; the media worker runs on demand."""
    made: dict[ServiceName, Callable[[], Service]] = {
        "api": services.api,
        "network": services.network_worker,
        "media": lambda: services.media_worker(MediaDemand(settings)),
    }
    relays = services.relay(settings) if "relay" in settings.services else []
    return [*(make() for name, make in made.items() if name in settings.services), *relays]


def _temporary(data_dir: Path) -> Path:
    # On the volume of the data: a rename from another file system would be a copy, and Fly's root disk is slower.
    directory = data_dir.resolve() / "tmp"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


if __name__ == "__main__":
    sys.exit(main())
