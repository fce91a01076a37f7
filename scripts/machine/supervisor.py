"""Starts the services of one machine, restarts processes that exit, and stops them all when it exits itself."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from loguru import logger

from scripts.machine.installation import Installation
from scripts.machine.service_process import ForkServer, ServiceProcess
from scripts.machine.watchdog import Watchdog
from settings import Settings
from store.database_file import DatabaseMonitor
from store.errors import DatabaseUnavailable

SERVICE = "VIDPROD_SERVICE"  # read by `actors.logging_setup`: the name of the process in the log
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0  # before a restart; doubled after each early exit
EARLY_EXIT_S = 60.0
REAP_INTERVAL_S = 0.2
SILENCE_INTERVAL_S = 1.0  # between the checks of the watchdog
DEMAND_INTERVAL_S = 1.0  # between the checks of whether each service is needed
STOP_WITHIN_S = 15.0
END_WITHIN_S = 10.0  # a process that does not answer; then it is killed


@dataclass(frozen=True)
class Service:
    """A process that the supervisor runs while it is needed."""

    name: str
    argv: Sequence[str]  # a module and its arguments
    wanted: Callable[[], bool] = lambda: True  # called every `DEMAND_INTERVAL_S`; False stops the process
    without_database: bool = False  # continues after the database was deleted or replaced


class _Running:
    """A service and its process, if it has one."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.process: ServiceProcess | None = None
        self.started = 0.0
        self.wait_s = FIRST_WAIT_S
        self.not_before = 0.0
        self.stopping = False
        self.kill_at = math.inf  # monotonic time

    def start(
        self,
        server: ForkServer,
        parent_pipe: int,
        watchdog: Watchdog,
        log: IO[bytes] | None,
        environ: Mapping[str, str],
    ) -> None:
        self.started = time.monotonic()
        self.stopping = False
        self.kill_at = math.inf
        self.process = server.start(
            self.service.argv,
            {**environ, SERVICE: self.service.name},
            output=log,
            parent_pipe=parent_pipe,
            liveness_pipe=watchdog.pipe,
            liveness_interval_s=watchdog.interval_s,
        )
        watchdog.started(self.process.pid)

    def reap(self) -> None:
        """Drop a process that has exited, and set the time of the restart."""
        if self.process is None or self.process.poll() is None:
            return
        ran_s = time.monotonic() - self.started
        self.wait_s = FIRST_WAIT_S if ran_s > EARLY_EXIT_S else min(LONGEST_WAIT_S, self.wait_s * 2)
        self.not_before = time.monotonic() + (0.0 if ran_s > EARLY_EXIT_S else self.wait_s)
        process, code = self.process, self.process.returncode
        logger.warning(
            "Service {}: process {} exited with {} after {:.0f} s", self.service.name, process.pid, code, ran_s
        )
        self.process = None

    def wanted(self) -> bool:
        """Return whether the service is needed; after an error, whether it runs."""
        try:
            return self.service.wanted()
        except Exception:  # noqa: BLE001 (the outermost edge: a disk error must not stop the machine)
            logger.exception("Service {}: demand unknown, left unchanged", self.service.name)
            return self.process is not None

    def stop(self) -> None:
        """Send SIGTERM, once: a worker would stop at once after a second signal."""
        if self.process is not None and not self.stopping:
            self.stopping = True
            self.process.send_signal(signal.SIGTERM)
            self.process.send_signal(signal.SIGCONT)  # a stopped process would not see it

    def end_silent(self, reason: str) -> None:
        """Stop a process that does not answer; it is killed if it does not end soon, and started again."""
        if self.process is None or self.kill_at < math.inf:
            return
        logger.error("Service {}: process does not answer, ending it: {}", self.service.name, reason)
        self.stop()
        self.kill_at = time.monotonic() + END_WITHIN_S

    def kill_if_due(self) -> None:
        """Kill a process that was to end and has not."""
        if self.process is not None and time.monotonic() >= self.kill_at:
            logger.error("Service {}: not ended in time, killed", self.service.name)
            self.kill()

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()


class Supervisor:
    """Keeps services running until `stop`."""

    def __init__(
        self,
        services: Sequence[Service],
        *,
        environ: Mapping[str, str],
        settings: Settings,
        log_to_files: bool,
        watchdog: Watchdog | None = None,
        fork_server: ForkServer | None = None,
    ) -> None:
        """Lock the data directory and the database, and make their files private.

        Args:
            services: to run.
            environ: of the services.
            settings: with the data directory and the database, which are locked.
            log_to_files: whether each service has a log file, and not this process's output.
            watchdog: finds processes that do not answer; None is one that does not know the write lock.
            fork_server: starts the services; None is one that loads their code itself.

        Raises:
            AlreadyRunning: another supervisor has locked one of them.
            NotPrivate: others can read or replace the files, and that cannot be repaired.
            OSError: the data directory cannot be written.
        """
        self._installation = Installation(settings.data_dir, settings.database_path)
        self._running = [_Running(service) for service in services]
        self._environ = environ
        self._log_dir = settings.data_dir / "logs" if log_to_files else None
        # No byte is ever written. The kernel closes the writing end when this process exits, also after SIGKILL.
        self._parent_pipe, self._parent_pipe_end = os.pipe()
        self._watchdog = watchdog or Watchdog()
        self._fork_server = fork_server or ForkServer(environ)
        self._silence_checked = 0.0
        self._stopping = False
        self._demand_checked = 0.0
        self._database: DatabaseMonitor | None = None
        self._database_lost = False

    def monitor_database(self, database: Path) -> None:
        """Stop the services that need the database when it is deleted or replaced.

        They could not record their work. After a restart they would use a new file, whose records are compared with the
        uploads only at the next start of the machine.

        Raises:
            DatabaseUnavailable: it cannot be opened.
        """
        self._database = DatabaseMonitor(database)

    def start(self) -> None:
        """Start all services that are needed."""
        self._check_demand()

    def check_services(self) -> None:
        """Reap processes that have exited, and start or stop services on demand; to be called often."""
        self._watchdog.listen()
        if os.getpid() == 1:
            _reap_orphans()
        for running in self._running:
            running.kill_if_due()
            running.reap()
        if time.monotonic() - self._silence_checked > SILENCE_INTERVAL_S:
            self._check_silence()
        if time.monotonic() - self._demand_checked > DEMAND_INTERVAL_S:
            self._check_demand()

    def run(self) -> None:
        """Keep the services running until SIGTERM or SIGINT, then stop them."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: setattr(self, "_stopping", True))
        try:
            while not self._stopping:
                self.check_services()
                time.sleep(REAP_INTERVAL_S)
        finally:
            self.stop()

    def stop(self) -> None:
        """Stop all services: send SIGTERM, wait, and kill the processes that still run."""
        if self._database is not None:
            # Before the services: the last connection checkpoints and deletes the WAL when it is closed.
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
                    logger.warning(
                        "Service {}: not stopped within {:.0f} s, killed", running.service.name, STOP_WITHIN_S
                    )
                    running.kill()
                running.process = None
        self._fork_server.close()
        self._installation.release()

    def _check_demand(self) -> None:
        self._demand_checked = time.monotonic()
        self._check_database()
        for running in self._running:
            if self._database_lost and not running.service.without_database:
                continue
            wanted = running.wanted()
            if wanted and running.process is None and time.monotonic() >= running.not_before:
                self._start(running)
            elif not wanted and running.process is not None and not running.stopping:
                logger.info("Service {}: stopping, not needed now", running.service.name)
                running.stop()
                running.kill_at = time.monotonic() + STOP_WITHIN_S
                running.not_before = time.monotonic()

    def _check_silence(self) -> None:
        self._silence_checked = time.monotonic()
        groups = {running.process.pid: running for running in self._running if running.process is not None}
        for group, silence in self._watchdog.silences(groups).items():
            holder = self._watchdog.holder_text()
            groups[group].end_silent(f"process {silence.pid}: {silence.reason}; {holder}")

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
        with self._log(running.service.name) as log:
            running.start(self._fork_server, self._parent_pipe, self._watchdog, log, self._environ)

    def _log(self, name: str) -> contextlib.AbstractContextManager[IO[bytes] | None]:
        if self._log_dir is None:
            return contextlib.nullcontext()
        self._log_dir.mkdir(parents=True, exist_ok=True)
        return (self._log_dir / f"{name}.log").open("ab")


def _reap_orphans() -> None:
    """Remove ended processes from the process table; the first process of a container inherits those of others.

    The services are children of the fork server. A child of this process that is reaped here is not waited for in vain:
    `subprocess` takes a missing process for one that has ended.
    """
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
