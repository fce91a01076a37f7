"""Starts a stage of media work as a sandboxed child process and brings back its answer or the reason there is none.

Imported by workers, so no video library is imported here or below. The child is exec'd (no lock, no file of ours is
inherited), leads its own session, gets an almost empty environment, and ends with this process: its standard input is
a pipe of ours, and the end of that pipe is its end.
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
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from media.errors import ChildDied, ChildError, DeadlinePassed, InternalError, OutOfMemory, Refused, Stopped
from media.process.child import CPU_S, MEMORY_BYTES, MEMORY_EXIT, PARENT_PIPE, RESERVED_BYTES
from media.process.files import remove_leftovers

__all__ = ["ChildDied", "ChildError", "DeadlinePassed", "InternalError", "OutOfMemory", "Refused", "Stopped", "run"]

ROOT = Path(__file__).resolve().parent.parent.parent
LOOK_EVERY_S = 0.2  # how soon a stop, a deadline or a memory limit is noticed
STDERR_KEPT_BYTES = 8192
LINE_BYTES = 16 << 20  # a plan of a three-hour video takes some 100 KB
WITHOUT_LIMIT_BYTES = 1 << 30  # even a caller without a budget does not let a bomb take the machine

# Thread pools of linear algebra take address space and memory, and help nothing here.
THRIFT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}


def run(
    stage: str,
    arguments: Sequence[str],
    *,
    deadline_s: float,
    memory_bytes: int | None = None,
    on_progress: Callable[[float], None] | None = None,
    stop: threading.Event | None = None,
) -> dict[str, Any]:  # Any: a stage's result is JSON
    """Run `python -m media.<stage> *arguments --json` in a sandbox and return its result.

    Args:
        stage: a stage's name, such as "plan" or "gaze".
        arguments: its command line; paths absolute, because the child's folder is the project's root.
        deadline_s: wall-clock time after which the child and all it started are killed.
        memory_bytes: memory of its own (not the libraries' pages) that the child may hold; None allows 1 GiB.
        on_progress: called in this thread with the share done, 0 to 1.
        stop: set it from another thread to end the work.

    Raises:
        Refused, OutOfMemory, DeadlinePassed, ChildDied, InternalError, Stopped: see `media.errors`.
    """
    memory = memory_bytes or WITHOUT_LIMIT_BYTES
    try:
        child = _start(stage, arguments, deadline_s, memory)
    except OSError as error:
        if error.errno not in {errno.ENOMEM, errno.EAGAIN}:
            raise
        raise OutOfMemory("the machine cannot start another process", limit_bytes=memory) from error
    conversation = _Conversation(child, on_progress or _ignore)
    try:
        for _ in conversation.listen():
            _check(child.pid, conversation.began, deadline_s, memory, stop)
    finally:
        _end(child)
        _tidy(arguments, child.pid)
    return conversation.answer(deadline_s, memory)


def _start(stage: str, arguments: Sequence[str], deadline_s: float, memory_bytes: int) -> subprocess.Popen[bytes]:
    cores = os.cpu_count() or 1
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "PYTHONNOUSERSITE": "1",
        "PYTHONDONTWRITEBYTECODE": "1" if os.environ.get("PYTHONDONTWRITEBYTECODE") else "",
        PARENT_PIPE: "1",
        MEMORY_BYTES: str(memory_bytes + RESERVED_BYTES),
        CPU_S: str(math.ceil(deadline_s * cores) + 1),
    } | THRIFT
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


def _check(pid: int, began: float, deadline_s: float, memory_bytes: int, stop: threading.Event | None) -> None:
    if stop is not None and stop.is_set():
        raise Stopped("the caller stopped the work")
    if time.monotonic() - began > deadline_s:
        raise DeadlinePassed(deadline_s)
    if (resident := _resident_bytes(pid)) > memory_bytes:
        detail = f"{resident >> 20} MB held, {memory_bytes >> 20} MB allowed"
        raise OutOfMemory(detail, held_bytes=resident, limit_bytes=memory_bytes)


def _resident_bytes(pid: int) -> int:
    """Return what a process holds that the kernel cannot drop; the libraries' pages, some 75 MB, it can."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0  # it has just ended
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith(("RssAnon:", "RssShmem:")))


def _end(child: subprocess.Popen[bytes]) -> None:
    """Kill the child's whole session and collect it; what it started may outlive it, so this runs in any case."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    for pipe in (child.stdin, child.stdout, child.stderr):
        if pipe is not None:
            pipe.close()


def _tidy(arguments: Sequence[str], pid: int) -> None:
    """Remove what the child had half written beside the files, or in the folders, that it was told of."""
    paths = [Path(argument) for argument in arguments if argument.startswith("/")]
    for folder in {path if path.is_dir() else path.parent for path in paths}:
        remove_leftovers(folder, pid)


def _ignore(share: float) -> None:
    """Take progress that nobody wants to hear of."""


class _Conversation:
    """What one child says, until it closes both its mouths."""

    def __init__(self, child: subprocess.Popen[bytes], on_progress: Callable[[float], None]) -> None:
        self.began = time.monotonic()
        self._child = child
        self._on_progress = on_progress
        self._line = bytearray()
        self._stderr = bytearray()
        self._last: dict[str, Any] = {}  # Any: JSON

    def listen(self) -> Iterator[None]:
        """Read until the child has ended, giving the caller a turn several times a second."""
        assert self._child.stdout is not None
        assert self._child.stderr is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._child.stdout, selectors.EVENT_READ, self._take_lines)
            selector.register(self._child.stderr, selectors.EVENT_READ, self._take_stderr)
            while selector.get_map() and not self._ended():
                for key, _ in selector.select(LOOK_EVERY_S):
                    self._read(selector, key)
                yield
            # It has ended or closed its pipes; what it said last may still lie in them.
            while selector.get_map() and (ready := selector.select(0)):
                for key, _ in ready:
                    self._read(selector, key)
        while not self._ended():
            time.sleep(LOOK_EVERY_S / 10)
            yield

    def _ended(self) -> bool:
        # Not reaped yet: as long as it is a zombie its number, and so its group's, belongs to nobody else.
        return os.waitid(os.P_PID, self._child.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None

    def answer(self, deadline_s: float, memory_bytes: int) -> dict[str, Any]:  # Any: JSON
        """Return the result, or raise what the child's end means."""
        if "result" in self._last:
            result = self._last["result"]
            assert isinstance(result, dict)
            return result
        if "refused" in self._last:
            raise Refused(self._last["refused"]["code"], self._last["refused"]["detail"])
        self._explain_end(deadline_s, memory_bytes)
        raise AssertionError("an end without an answer always raises")

    def _explain_end(self, deadline_s: float, memory_bytes: int) -> None:
        code = self._child.returncode
        said = self._stderr.decode("utf-8", "replace")
        if code in {MEMORY_EXIT, -signal.SIGKILL} or "std::bad_alloc" in said:
            # Nobody here killed it (that raises elsewhere), so a SIGKILL was the kernel's, short of memory.
            how = {"signal": -code} if code < 0 else {"exit_code": code}
            raise OutOfMemory("the child ran out of memory", limit_bytes=memory_bytes, stderr_tail=said, **how)
        if code == -signal.SIGXCPU:
            raise DeadlinePassed(deadline_s)
        if "internal_error" in self._last:
            raise InternalError(self._last["internal_error"], exit_code=code, stderr_tail=said)
        if code < 0:
            raise ChildDied(signal=-code, stderr_tail=said)
        raise ChildDied(exit_code=code, stderr_tail=said)

    def _read(self, selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
        chunk = os.read(key.fd, 65536)
        if chunk:
            key.data(chunk)
        else:
            selector.unregister(key.fileobj)

    def _take_stderr(self, chunk: bytes) -> None:
        self._stderr += chunk
        del self._stderr[:-STDERR_KEPT_BYTES]

    def _take_lines(self, chunk: bytes) -> None:
        self._line += chunk
        *lines, rest = self._line.split(b"\n")
        self._line = rest[:LINE_BYTES]
        for line in lines:
            try:
                self._take(json.loads(line))
            except ValueError as error:
                raise ChildDied(stderr_tail=f"not the protocol: {line[:80]!r}") from error

    def _take(self, line: dict[str, Any]) -> None:  # Any: JSON
        if "progress" in line:
            self._on_progress(float(line["progress"]))
        else:
            self._last = line
