"""Runs a stage of media work in a sandboxed child process and returns its result, or raises why there is none.

Workers import this module, so it imports no video library, directly or indirectly. The child is exec'd, so it inherits
no lock, and no open file but a socket to this process (`media.process.block_server`). It gets an almost empty
environment and can start no process. It ends with this process: its standard input is a pipe of this process, and the
end of the pipe ends the child.
"""

import contextlib
import errno
import functools
import json
import math
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loguru import logger

from media.errors import ChildError, ChildFailed, DeadlineExceeded, InternalError, OutOfMemory, Refused, Stopped
from media.process import memory, sandbox
from media.process.attempt import output_files, remove_abandoned
from media.process.block_server import BlockServer, PartialSource
from media.process.files import ENV_ATTEMPT_DIR, remove_temporary_files
from media.process.memory import ENV_MEMORY_BYTES, RESERVED_BYTES
from media.process.protocol import ENV_CPU_S, ENV_PARENT_PIPE, EXIT_OUT_OF_MEMORY, no_such_file
from media.process.thrashing import FaultMonitor, major_faults

__all__ = [
    "ChildError",
    "ChildFailed",
    "DeadlineExceeded",
    "InternalError",
    "OutOfMemory",
    "PartialSource",
    "Refused",
    "Stopped",
    "remove_abandoned",
    "run",
    "sandbox_report",
]

ROOT = Path(__file__).resolve().parent.parent.parent
POLL_INTERVAL_S = 0.2  # between two checks for a stop, the deadline and the memory limit
MAX_STDERR_BYTES = 8192  # the end of standard error that is kept
# The plan of a video of three hours has about 100 KB, and 1.2 MB in parts of three seconds. A hostile child's JSON may
# take 32 times as much memory as its text (measured 2026-11-29: nested empty lists).
MAX_LINE_BYTES = 2 << 20
MAX_CODE_CHARS, MAX_DETAIL_CHARS = 100, 2000  # stored with the job, shown and sent
DEFAULT_MEMORY_BYTES = 1 << 30  # limit for callers that set none
MAX_THREADS = 256  # seen: 12 on two cores; decoders and encoders start up to 16 each on more

# Thread pools of linear algebra take address space and memory, and make nothing faster here.
SINGLE_THREADED = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}


def run(
    stage: str,
    arguments: Sequence[str],
    *,
    deadline_s: float,
    cpu_s: float | None = None,
    outputs: Sequence[Path] = (),
    source: PartialSource | None = None,
    memory_bytes: int | None = None,
    on_progress: Callable[[float], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> dict[str, Any]:  # Any: a stage's result is JSON
    """Run `python -m media.<stage> *arguments --json` in a sandbox and return its result.

    Args:
        stage: name of the stage, such as "plan" or "gaze".
        arguments: command line; with absolute paths, because the child's working directory is the project's root.
        deadline_s: wall-clock time after which the child is killed.
        cpu_s: CPU time after which the kernel kills it; None allows all cores until the deadline.
        outputs: those of the arguments that are files to write. The child writes other files instead, which are renamed
            when it has succeeded. Without them it may make and replace files in the folders of its arguments.
        source: of which blocks may be missing; one of the arguments is its name.
        memory_bytes: memory of its own, without the pages of libraries, that the child may use; None allows 1 GiB.
        on_progress: called in this thread with the share done, 0 to 1.
        stop: asked every `POLL_INTERVAL_S`, in this thread; True ends the work.

    Raises:
        Refused, OutOfMemory, DeadlineExceeded, ChildFailed, InternalError, Stopped: see `media.errors`.
        Also what the source raises when it fetches a block.
    """
    cpu_s = deadline_s * (os.cpu_count() or 1) if cpu_s is None else cpu_s
    limits = _Limits(deadline_s, cpu_s, memory_bytes or DEFAULT_MEMORY_BYTES)
    _log_missing_features()
    if not outputs:
        return _run(stage, arguments, limits, {}, source, on_progress, stop)
    with contextlib.ExitStack() as stack:
        with _file_errors():
            made = stack.enter_context(output_files(outputs))
        replaced = [made.argument(argument) for argument in arguments]
        result = _run(stage, replaced, limits, {ENV_ATTEMPT_DIR: str(made.directory)}, source, on_progress, stop)
        with _file_errors():
            made.keep()
    return result


@contextlib.contextmanager
def _file_errors() -> Iterator[None]:
    """Raise errors of the output files as those of the child."""
    try:
        yield
    except FileNotFoundError as error:  # their folder was deleted, for example because the job was cancelled
        raise Refused(*no_such_file(error)) from error
    except OSError as error:
        raise ChildFailed(stderr_tail=f"no output files: {error}") from error


@dataclass(frozen=True, slots=True)
class _Limits:
    deadline_s: float
    cpu_s: float
    memory_bytes: int


def _run(
    stage: str,
    arguments: Sequence[str],
    limits: _Limits,
    environment: Mapping[str, str],
    source: PartialSource | None,
    on_progress: Callable[[float], None] | None,
    stop: Callable[[], bool] | None,
) -> dict[str, Any]:  # Any: JSON
    with BlockServer(source) as blocks:
        child = _start_or_raise(stage, arguments, limits, environment, blocks)
        reader, faults = _OutputReader(child, on_progress or _ignore_progress), FaultMonitor()
        try:
            blocks.start()
            for _ in reader.read():
                blocks.check()
                _check(child.pid, reader.began, limits, stop)
                _check_faults(child.pid, faults)
        finally:
            _kill(child)
            _remove_temporary_files(arguments, child.pid)
        blocks.check()  # before the result, which libav may have made of less
    return reader.result(limits.deadline_s, limits.memory_bytes)


def _start_or_raise(
    stage: str, arguments: Sequence[str], limits: _Limits, environment: Mapping[str, str], blocks: BlockServer
) -> subprocess.Popen[bytes]:
    try:
        return _start(stage, arguments, limits, {**environment, **blocks.environment}, blocks.descriptors)
    except OSError as error:
        if error.errno not in {errno.ENOMEM, errno.EAGAIN}:
            raise
        raise OutOfMemory("the machine cannot start another process", limit_bytes=limits.memory_bytes) from error


def sandbox_report() -> dict[str, Any]:  # Any: JSON
    """Return what this machine offers for the sandbox: `media.process.sandbox.report`."""
    return sandbox.report()


@functools.cache
def _log_missing_features() -> None:
    detail = sandbox.report().get("detail")
    if detail:
        logger.warning("Sandbox: {}", detail)


def _start(
    stage: str, arguments: Sequence[str], limits: _Limits, extra: Mapping[str, str], descriptors: Sequence[int]
) -> subprocess.Popen[bytes]:
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "TMPDIR": os.environ.get("TMPDIR", ""),
        "PYTHONNOUSERSITE": "1",
        "PYTHONDONTWRITEBYTECODE": "1" if os.environ.get("PYTHONDONTWRITEBYTECODE") else "",
        ENV_PARENT_PIPE: "1",
        ENV_MEMORY_BYTES: str(limits.memory_bytes + RESERVED_BYTES),
        ENV_CPU_S: str(math.ceil(limits.cpu_s) + 1),
        **extra,
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
        pass_fds=descriptors,
        bufsize=0,
    )


def _check(pid: int, began: float, limits: _Limits, stop: Callable[[], bool] | None) -> None:
    if stop is not None and stop():
        raise Stopped("the caller stopped the work")
    if time.monotonic() - began > limits.deadline_s:
        raise DeadlineExceeded(limits.deadline_s)
    try:
        used = memory.usage(pid)
    except OSError:
        return  # the process has just ended
    if used.memory_bytes > limits.memory_bytes:
        detail = f"{used.memory_bytes >> 20} MB held, {limits.memory_bytes >> 20} MB allowed"
        raise OutOfMemory(detail, held_bytes=used.memory_bytes, limit_bytes=limits.memory_bytes)
    if used.threads > MAX_THREADS:
        detail = f"it had {used.threads} threads, {MAX_THREADS} are allowed"
        raise ChildFailed(signal=signal.SIGKILL, stderr_tail=detail)


def _check_faults(pid: int, faults: FaultMonitor) -> None:
    with contextlib.suppress(OSError):  # the process has just ended
        if faults.is_thrashing(major_faults(pid)):
            raise OutOfMemory("it waits for its own pages, which the kernel drops for want of memory")


def _kill(child: subprocess.Popen[bytes]) -> None:
    """Kill the child and reap it. Its sandbox lets it start no other process."""
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
        match self._last:
            case {"result": dict() as result}:
                return result
            case {"refused": {"code": str() as code, "detail": str() as detail}}:
                raise Refused(code[:MAX_CODE_CHARS], detail[:MAX_DETAIL_CHARS])
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
            exception = str(self._last["internal_error"])[:MAX_DETAIL_CHARS]
            return InternalError(exception, exit_code=code, stderr_tail=stderr)
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
        if len(self._line) > MAX_LINE_BYTES:
            raise ChildFailed(stderr_tail="not the protocol: the line does not end")
        if b"\n" not in chunk:
            return
        *lines, self._line = self._line.split(b"\n")
        for line in lines:
            try:
                self._on_message(json.loads(line))
            except (ValueError, TypeError, OverflowError, RecursionError) as error:
                raise ChildFailed(stderr_tail=f"not the protocol: {line[:80]!r}") from error

    def _on_message(self, message: dict[str, Any]) -> None:  # Any: JSON, of a child that may be hostile
        if "progress" not in message:
            self._last = dict(message)
        elif 0 <= (share := float(message["progress"])) <= 1:
            self._on_progress(share)
