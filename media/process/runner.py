"""Runs a stage of media work in a sandboxed child process and returns its result, or raises why there is none.

Workers import this module, so it imports no video library, directly or indirectly. The child is exec'd, so it inherits
no lock and no open file. It leads its own session, gets an almost empty environment, and ends with this process: its
standard input is a pipe of this process, and the end of the pipe ends the child.
"""

import contextlib
import errno
import json
import math
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from media.errors import ChildError, ChildFailed, DeadlineExceeded, InternalError, OutOfMemory, Refused, Stopped
from media.process.child import ENV_CPU_S, ENV_PARENT_PIPE, EXIT_OUT_OF_MEMORY
from media.process.files import remove_temporary_files
from media.process.memory import ENV_MEMORY_BYTES, RESERVED_BYTES

__all__ = ["ChildError", "ChildFailed", "DeadlineExceeded", "InternalError", "OutOfMemory", "Refused", "Stopped", "run"]

ROOT = Path(__file__).resolve().parent.parent.parent
POLL_INTERVAL_S = 0.2  # between two checks for a stop, the deadline and the memory limit
MAX_STDERR_BYTES = 8192  # the end of standard error that is kept
MAX_LINE_BYTES = 16 << 20  # the plan of a video of three hours has about 100 KB
DEFAULT_MEMORY_BYTES = 1 << 30  # limit for callers that set none

# Thread pools of linear algebra take address space and memory, and make nothing faster here.
SINGLE_THREADED = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}


def run(
    stage: str,
    arguments: Sequence[str],
    *,
    deadline_s: float,
    memory_bytes: int | None = None,
    on_progress: Callable[[float], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> dict[str, Any]:  # Any: a stage's result is JSON
    """Run `python -m media.<stage> *arguments --json` in a sandbox and return its result.

    Args:
        stage: name of the stage, such as "plan" or "gaze".
        arguments: command line; with absolute paths, because the child's working directory is the project's root.
        deadline_s: wall-clock time after which the child and all that it started are killed.
        memory_bytes: memory of its own, without the pages of libraries, that the child may use; None allows 1 GiB.
        on_progress: called in this thread with the share done, 0 to 1.
        stop: asked every `POLL_INTERVAL_S`, in this thread; True ends the work.

    Raises:
        Refused, OutOfMemory, DeadlineExceeded, ChildFailed, InternalError, Stopped: see `media.errors`.
    """
    memory = memory_bytes or DEFAULT_MEMORY_BYTES
    try:
        child = _start(stage, arguments, deadline_s, memory)
    except OSError as error:
        if error.errno not in {errno.ENOMEM, errno.EAGAIN}:
            raise
        raise OutOfMemory("the machine cannot start another process", limit_bytes=memory) from error
    reader = _OutputReader(child, on_progress or _ignore_progress)
    try:
        for _ in reader.read():
            _check(child.pid, reader.began, deadline_s, memory, stop)
    finally:
        _kill(child)
        _remove_temporary_files(arguments, child.pid)
    return reader.result(deadline_s, memory)


def _start(stage: str, arguments: Sequence[str], deadline_s: float, memory_bytes: int) -> subprocess.Popen[bytes]:
    cores = os.cpu_count() or 1
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "PYTHONNOUSERSITE": "1",
        "PYTHONDONTWRITEBYTECODE": "1" if os.environ.get("PYTHONDONTWRITEBYTECODE") else "",
        ENV_PARENT_PIPE: "1",
        ENV_MEMORY_BYTES: str(memory_bytes + RESERVED_BYTES),
        ENV_CPU_S: str(math.ceil(deadline_s * cores) + 1),
    } | SINGLE_THREADED
    return subprocess.Popen(
        [sys.executable, "-m", f"media.{stage}", *arguments, "--json"],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        close_fds=True,
        bufsize=0,
    )


def _check(pid: int, began: float, deadline_s: float, memory_bytes: int, stop: Callable[[], bool] | None) -> None:
    if stop is not None and stop():
        raise Stopped("the caller stopped the work")
    if time.monotonic() - began > deadline_s:
        raise DeadlineExceeded(deadline_s)
    if (resident := _resident_bytes(pid)) > memory_bytes:
        detail = f"{resident >> 20} MB held, {memory_bytes >> 20} MB allowed"
        raise OutOfMemory(detail, held_bytes=resident, limit_bytes=memory_bytes)


def _resident_bytes(pid: int) -> int:
    """Return a process's anonymous and shared memory; the pages of libraries, some 75 MB, can be dropped."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0  # the process has just ended
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith(("RssAnon:", "RssShmem:")))


def _kill(child: subprocess.Popen[bytes]) -> None:
    """Kill the child's whole session and reap the child; processes that it started may outlive it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    for pipe in (child.stdin, child.stdout, child.stderr):
        if pipe is not None:
            pipe.close()


def _remove_temporary_files(arguments: Sequence[str], pid: int) -> None:
    """Remove the child's temporary files beside the files, and in the folders, of its command line."""
    paths = [Path(argument) for argument in arguments if argument.startswith("/")]
    for folder in {path if path.is_dir() else path.parent for path in paths}:
        remove_temporary_files(folder, pid)


def _ignore_progress(share: float) -> None:
    pass


class _OutputReader:
    """Reads the standard output and standard error of one child until both are closed."""

    def __init__(self, child: subprocess.Popen[bytes], on_progress: Callable[[float], None]) -> None:
        self.began = time.monotonic()
        self._child = child
        self._on_progress = on_progress
        self._line = bytearray()
        self._stderr = bytearray()
        self._last: dict[str, Any] = {}  # Any: JSON

    def read(self) -> Iterator[None]:
        """Read until the child has ended; yield every `POLL_INTERVAL_S` for the caller's checks."""
        assert self._child.stdout is not None
        assert self._child.stderr is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._child.stdout, selectors.EVENT_READ, self._on_stdout)
            selector.register(self._child.stderr, selectors.EVENT_READ, self._on_stderr)
            while selector.get_map() and not self._has_ended():
                for key, _ in selector.select(POLL_INTERVAL_S):
                    self._read_chunk(selector, key)
                yield
            # The child has ended or closed its pipes; its last output may still be in them.
            while selector.get_map() and (ready := selector.select(0)):
                for key, _ in ready:
                    self._read_chunk(selector, key)
        while not self._has_ended():
            time.sleep(POLL_INTERVAL_S / 10)
            yield

    def _has_ended(self) -> bool:
        # Does not reap the child: while it is a zombie, no other process can get its id, nor its group's.
        return os.waitid(os.P_PID, self._child.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None

    def result(self, deadline_s: float, memory_bytes: int) -> dict[str, Any]:  # Any: JSON
        """Return the stage's result, or raise the error for how the child ended."""
        if "result" in self._last:
            result = self._last["result"]
            assert isinstance(result, dict)
            return result
        if "refused" in self._last:
            raise Refused(self._last["refused"]["code"], self._last["refused"]["detail"])
        raise self._exit_error(deadline_s, memory_bytes)

    def _exit_error(self, deadline_s: float, memory_bytes: int) -> ChildError:
        code = self._child.returncode
        stderr = self._stderr.decode("utf-8", "replace")
        if code in {EXIT_OUT_OF_MEMORY, -signal.SIGKILL} or "std::bad_alloc" in stderr:
            # This process did not kill the child (that raises elsewhere), so a SIGKILL came from the kernel, which was
            # short of memory.
            how = {"signal": -code} if code < 0 else {"exit_code": code}
            return OutOfMemory("the child ran out of memory", limit_bytes=memory_bytes, stderr_tail=stderr, **how)
        if code == -signal.SIGXCPU:
            return DeadlineExceeded(deadline_s)
        if "internal_error" in self._last:
            return InternalError(self._last["internal_error"], exit_code=code, stderr_tail=stderr)
        if code < 0:
            return ChildFailed(signal=-code, stderr_tail=stderr)
        return ChildFailed(exit_code=code, stderr_tail=stderr)

    def _read_chunk(self, selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
        chunk = os.read(key.fd, 65536)
        if chunk:
            key.data(chunk)
        else:
            selector.unregister(key.fileobj)

    def _on_stderr(self, chunk: bytes) -> None:
        self._stderr += chunk
        del self._stderr[:-MAX_STDERR_BYTES]

    def _on_stdout(self, chunk: bytes) -> None:
        self._line += chunk
        *lines, rest = self._line.split(b"\n")
        self._line = rest[:MAX_LINE_BYTES]
        for line in lines:
            try:
                self._on_message(json.loads(line))
            except ValueError as error:
                raise ChildFailed(stderr_tail=f"not the protocol: {line[:80]!r}") from error

    def _on_message(self, message: dict[str, Any]) -> None:  # Any: JSON
        if "progress" in message:
            self._on_progress(float(message["progress"]))
        else:
            self._last = message
