"""Starts the processes of one machine, restarts what dies, and takes everything along when it ends, however it ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from loguru import logger

from store.database_file import DatabaseMonitor
from store.errors import DatabaseUnavailable

SERVICE = "VIDPROD_SERVICE"  # read by actors.logging_setup: what the process is called in the log
ROOT = Path(__file__).resolve().parent.parent.parent
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0  # before a restart; doubled each time a process dies young
YOUNG_S = 60.0
TEND_EVERY_S = 0.2
LOOK_EVERY_S = 1.0  # whether a service is wanted: a media worker is started this late at most
STOP_WITHIN_S = 15.0
LOCK_NAME = "machine.lock"


class AlreadyRunning(Exception):
    """Another machine works on this data directory."""


def is_running(data_dir: Path) -> bool:
    """Say whether a machine works on this data directory."""
    try:
        with (data_dir / LOCK_NAME).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


@dataclass(frozen=True)
class Service:
    """A process that is to be there."""

    name: str
    argv: Sequence[str]  # a module and its arguments
    wanted: Callable[[], bool] = lambda: True  # asked each second or so: scales a worker to zero
    without_database: bool = False  # keeps running when the database is deleted or replaced


class _Running:
    """A service and its present process, if it has one."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.process: subprocess.Popen[bytes] | None = None
        self.started = 0.0
        self.wait_s = FIRST_WAIT_S
        self.not_before = 0.0
        self.stopping = False

    def start(self, parent_pipe: int, log: IO[bytes] | None, environ: Mapping[str, str]) -> None:
        self.started = time.monotonic()
        self.stopping = False
        self.process = subprocess.Popen(
            [sys.executable, "-m", "scripts.machine.child", str(parent_pipe), *self.service.argv],
            cwd=ROOT,
            env={**environ, SERVICE: self.service.name},
            pass_fds=[parent_pipe],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C reaches the supervisor, which stops the others in order
        )

    def reap(self) -> None:
        """Note a death, and end what the dead process leaves behind: a dramatiq master has workers."""
        if self.process is None or self.process.poll() is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        alive_s = time.monotonic() - self.started
        self.wait_s = FIRST_WAIT_S if alive_s > YOUNG_S else min(LONGEST_WAIT_S, self.wait_s * 2)
        self.not_before = time.monotonic() + (0.0 if alive_s > YOUNG_S else self.wait_s)
        logger.warning("{} ended with {} after {:.0f} s", self.service.name, self.process.returncode, alive_s)
        self.process = None

    def wanted(self) -> bool:
        """Ask whether the service is to be there; what is, stays, when that cannot be found out."""
        try:
            return self.service.wanted()
        except Exception:  # noqa: BLE001 (a sick disk must not take the machine down: this is its outermost edge)
            logger.exception("cannot tell whether {} is needed", self.service.name)
            return self.process is not None

    def stop(self) -> None:
        """Ask the process to stop, once: a second signal would mean "at once" to dramatiq."""
        if self.process is not None and self.process.poll() is None and not self.stopping:
            self.stopping = True
            self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class Supervisor:
    """Keeps services running until `stop`."""

    def __init__(
        self, services: Sequence[Service], *, environ: Mapping[str, str], data_dir: Path, log_to_files: bool
    ) -> None:
        """Take the data directory for this machine alone.

        Raises:
            AlreadyRunning: another supervisor holds it.
            OSError: it cannot be written.
        """
        self._running = [_Running(service) for service in services]
        self._environ = environ
        self._log_dir = data_dir / "logs" if log_to_files else None
        data_dir.mkdir(parents=True, exist_ok=True)
        self._lock = (data_dir / LOCK_NAME).open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise AlreadyRunning(f"another start of this machine works in {data_dir}") from exc
        # No byte is ever written; the kernel closes the writing end when this process exits, however it exits.
        self._parent_pipe, self._parent_pipe_end = os.pipe()
        self._stopping = False
        self._looked = 0.0
        self._database: DatabaseMonitor | None = None
        self._database_lost = False

    def monitor_database(self, database: Path) -> None:
        """Stop the services that need the database when it is deleted or replaced.

        They could not record their work, and after a restart they would use a file whose records have not been compared
        with the uploads. The next start of the machine does that.

        Raises:
            DatabaseUnavailable: it cannot be opened.
        """
        self._database = DatabaseMonitor(database)

    def start(self) -> None:
        """Start all services that are wanted."""
        self._look()

    def check_services(self) -> None:
        """Take note of deaths, and start and stop what is wanted or not; call it often."""
        for running in self._running:
            running.reap()
        if time.monotonic() - self._looked > LOOK_EVERY_S:
            self._look()

    def run(self) -> None:
        """Keep the services running until SIGTERM or SIGINT, then stop them."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: setattr(self, "_stopping", True))
        try:
            while not self._stopping:
                self.check_services()
                time.sleep(TEND_EVERY_S)
        finally:
            self.stop()

    def stop(self) -> None:
        """Ask all to stop, wait, and end those that do not."""
        if self._database is not None:
            # Before the services: the last one to close the database checkpoints and deletes the WAL.
            self._database.close()
            self._database = None
        for running in self._running:
            running.stop()
        deadline = time.monotonic() + STOP_WITHIN_S
        for running in self._running:
            if running.process is not None:
                try:
                    running.process.wait(max(0.1, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    logger.warning("{} does not stop, ending it", running.service.name)
                    running.kill()
                running.process = None

    def _look(self) -> None:
        self._looked = time.monotonic()
        self._check_database()
        for running in self._running:
            if self._database_lost and not running.service.without_database:
                continue
            wanted = running.wanted()
            if wanted and running.process is None and time.monotonic() >= running.not_before:
                self._start(running)
            elif not wanted and running.process is not None and not running.stopping:
                logger.info("{} is not needed now", running.service.name)
                running.stop()
                running.not_before = time.monotonic()

    def _check_database(self) -> None:
        if self._database is None or self._database_lost:
            return
        try:
            self._database.check()
        except DatabaseUnavailable as lost:
            self._database_lost = True
            logger.error("{}; until then uploads are refused, nothing is processed and no file is deleted", lost)
            for running in self._running:
                if not running.service.without_database:
                    running.kill()
                    running.process = None

    def _start(self, running: _Running) -> None:
        if self._log_dir is None:
            running.start(self._parent_pipe, None, self._environ)
            return
        self._log_dir.mkdir(parents=True, exist_ok=True)
        with (self._log_dir / f"{running.service.name}.log").open("ab") as log:
            running.start(self._parent_pipe, log, self._environ)
