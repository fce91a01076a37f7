"""`python -m scripts.machine.fork_server SOCKET`: starts the services by forking itself, which has their code loaded.

It has one thread and opens nothing but the socket to the supervisor, so that its forks inherit neither locks nor
database connections. It ends when the supervisor closes its end of the socket.

The supervisor sends a `Request`, with descriptors; the answer is the number of the process. When a process has exited,
the server kills the rest of its process group, reaps it and reports its exit code.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import NoReturn

import process_protection
from scripts.machine import child, preload

MAX_REQUEST_BYTES = 1 << 17  # less than what a socket takes at once
DESCRIPTORS = 3
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ARGUMENTS_START, ARGUMENTS_END = 48 - 3, 49 - 3  # fields of /proc/PID/stat (proc(5) counts from 1), after the name


@dataclass(frozen=True)
class Request:
    """A service to be started; sent with the descriptors of its output, parent pipe and liveness pipe, if any."""

    argv: Sequence[str]  # the module and its arguments
    environ: Mapping[str, str]  # with the secrets
    liveness_interval_s: float

    def to_bytes(self) -> bytes:
        """Return the message for the server."""
        return json.dumps(asdict(self)).encode()


class _Server:
    """The socket to the supervisor, and the processes that were forked."""

    def __init__(self, supervisor: socket.socket) -> None:
        self._supervisor = supervisor
        self._supervisor.setblocking(False)  # `recv_fds` ignores its flags
        self._children: set[int] = set()
        self._wakeups, self._wakeup_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def run(self) -> tuple[Request, list[int]]:
        """Serve until the supervisor ends; return, in a fork, the request for it and the descriptors."""
        for number in ENDING_SIGNALS:  # a terminal sends them to all processes; the supervisor decides
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wakeup_end, warn_on_full_buffer=False)
        with selectors.DefaultSelector() as selector:
            selector.register(self._supervisor, selectors.EVENT_READ)
            selector.register(self._wakeups, selectors.EVENT_READ)
            while True:
                selector.select()
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wakeups, 4096)
                self._reap()
                if (started := self._receive()) is not None:
                    break
        self._become_child()
        return started

    def _receive(self) -> tuple[Request, list[int]] | None:
        """Fork if a request has arrived; return it in the child."""
        try:
            message, descriptors, _, _ = socket.recv_fds(self._supervisor, MAX_REQUEST_BYTES, DESCRIPTORS)
        except BlockingIOError:
            return None
        if not message:
            sys.exit(0)  # the supervisor has ended
        # A signal that arrives between the fork and the child's defaults must reach the child.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING_SIGNALS)
        pid = os.fork()
        if pid == 0:
            return Request(**json.loads(message)), descriptors
        os.setpgid(pid, pid)  # the supervisor knows it by its group as soon as it is told the number
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        for descriptor in descriptors:
            os.close(descriptor)
        self._children.add(pid)
        self._report({"started": pid})
        return None

    def _become_child(self) -> None:
        signal.set_wakeup_fd(-1)
        for number in (*ENDING_SIGNALS, signal.SIGCHLD):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING_SIGNALS)
        self._supervisor.close()
        os.close(self._wakeups)
        os.close(self._wakeup_end)

    def _reap(self) -> None:
        for pid in list(self._children):
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
                continue
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)  # before it is reaped: afterwards its number may be another's
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            self._children.discard(pid)
            self._report({"ended": pid, "code": code})

    def _report(self, message: dict[str, int]) -> None:
        with contextlib.suppress(BrokenPipeError, BlockingIOError):  # it has ended, or is stopped and reads nothing
            self._supervisor.send(json.dumps(message).encode())


def serve(supervisor: socket.socket) -> NoReturn:
    """Serve a supervisor, and run a service in each fork.

    Args:
        supervisor: of type SOCK_SEQPACKET.
    """
    request, descriptors = _Server(supervisor).run()
    output, parent_pipe, liveness_pipe = [*descriptors, -1][:DESCRIPTORS]
    for standard in (1, 2):
        os.dup2(output, standard)
    os.close(output)
    os.environ.clear()
    os.environ.update(request.environ)
    _show_arguments(["python", "-m", *request.argv])
    child.run(
        request.argv,
        parent_pipe=parent_pipe,
        liveness_pipe=liveness_pipe,
        liveness_interval_s=request.liveness_interval_s,
    )
    sys.exit(0)


def _show_arguments(arguments: Sequence[str]) -> None:
    """Overwrite the command line that tools show, as far as there is room."""
    process_protection.overwrite_memory(ARGUMENTS_START, ARGUMENTS_END, "\0".join(arguments).encode())


def prepare() -> None:
    """Detach this process from its terminal and its folder."""
    if os.getsid(0) != os.getpid():
        os.setsid()  # Ctrl-C is sent to the supervisor only, which stops the services in order
    os.chdir(child.ROOT)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)


def main() -> NoReturn:
    """Serve the supervisor at the other end of the given socket."""
    process_protection.protect()
    preload.load()
    prepare()
    serve(socket.socket(fileno=int(sys.argv[1])))


if __name__ == "__main__":
    main()
