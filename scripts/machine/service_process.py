"""The supervisor's side of `scripts.machine.fork_server`, and the processes that were started through it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from loguru import logger

import settings
from scripts.machine import fork_server

ROOT = Path(__file__).resolve().parent.parent.parent
ANSWER_WITHIN_S = 15.0
LOAD_WITHIN_S = 120.0  # a new server first loads the code of all services, from a disk that may be slow
CODE_WITHIN_S = 1.0  # the report of a process that has exited
UNKNOWN_CODE = 255  # of a process that has exited while there was no server


class ForkServer:
    """Starts services as forks of a process that has their code loaded; a server that has ended is replaced."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Prepare; the server is started with the first service.

        Args:
            environ: of a server that is started by exec. It gets no secrets; each service gets them in its request.
        """
        self._environ = {name: value for name, value in environ.items() if name not in settings.secret_names()}
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None  # None also for a server that is a fork of this process
        self._codes: dict[int, int] = {}

    def fork_this_process(self) -> None:
        """Fork a server that shares the code of this process; to be called before anything is opened or started.

        In the server, and in the services, this ends with `SystemExit` and never returns.
        """
        ours, theirs = _socket_pair()
        if os.fork() == 0:
            ours.close()
            fork_server.prepare()
            fork_server.serve(theirs)
        theirs.close()
        self._socket = ours

    def start(
        self,
        argv: Sequence[str],
        environ: Mapping[str, str],
        *,
        output: IO[bytes] | None,
        parent_pipe: int,
        liveness_pipe: int,
        liveness_interval_s: float,
    ) -> ServiceProcess:
        """Start a module in a process of its own.

        Args:
            argv: the module and its arguments.
            environ: its environment, with the secrets.
            output: for its output; None leaves it this process's.
            parent_pipe: reading end of a pipe whose writing end only this process has; the module's process exits when
                the writing end is closed.
            liveness_pipe: writing end of a pipe for heartbeats (`liveness`).
            liveness_interval_s: between two of them.

        Raises:
            OSError: no server can be started.
        """
        request = fork_server.Request(list(argv), dict(environ), liveness_interval_s).to_bytes()
        descriptors = [sys.stderr.fileno() if output is None else output.fileno(), parent_pipe, liveness_pipe]
        with contextlib.suppress(OSError):
            if self._socket is not None:
                return self._started(request, descriptors, ANSWER_WITHIN_S)
        if self._socket is not None:
            logger.error("Supervisor: the fork server does not answer, starting another one")
        self._exec()
        return self._started(request, descriptors, LOAD_WITHIN_S)

    def _started(self, request: bytes, descriptors: list[int], within_s: float) -> ServiceProcess:
        assert self._socket is not None
        socket.send_fds(self._socket, [request], descriptors)
        while (pid := self._receive(within_s)) is None:
            pass  # the report of another process
        return ServiceProcess(pid, self)

    def _exec(self) -> None:
        self.close()
        self._socket, theirs = _socket_pair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "scripts.machine.fork_server", str(theirs.fileno())],
                cwd=ROOT,
                env=self._environ,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def exit_code(self, pid: int) -> int:
        """Return the exit code of a process that has exited, negative for a signal."""
        with contextlib.suppress(OSError):
            while pid not in self._codes and self._socket is not None:
                self._receive(CODE_WITHIN_S)
        return self._codes.pop(pid, UNKNOWN_CODE)

    def _receive(self, timeout_s: float) -> int | None:
        """Receive a message; return the process if one was started.

        Raises:
            OSError: there is none in time, or the server has ended.
        """
        assert self._socket is not None
        self._socket.settimeout(timeout_s)
        message: dict[str, Any] = json.loads(self._socket.recv(4096) or _raise(ConnectionResetError()))  # Any: JSON
        if "started" in message:
            return int(message["started"])
        self._codes[message["ended"]] = message["code"]
        return None

    def close(self) -> None:
        """End the server. Services that run continue."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _raise(error: OSError) -> bytes:
    raise error


def _socket_pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


class ServiceProcess:
    """A process that a fork server has started; the interface is that of `subprocess.Popen`, as far as it is needed."""

    def __init__(self, pid: int, server: ForkServer) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._server = server
        self._pidfd = os.pidfd_open(pid)

    def poll(self) -> int | None:
        """Return the exit code; None while the process runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until the process has exited, and return its exit code.

        Raises:
            subprocess.TimeoutExpired: it still runs.
        """
        if self.returncode is None:
            poll = select.poll()
            poll.register(self._pidfd, select.POLLIN)
            if not poll.poll(None if timeout is None else timeout * 1000):
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0)
            os.close(self._pidfd)
            self.returncode = self._server.exit_code(self.pid)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal; nothing once the process has exited."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)

    def kill(self) -> None:
        """Kill the process and wait for its end; the server kills the rest of its group."""
        self.send_signal(signal.SIGKILL)
        self.wait()
