"""The inside of a child process: sandbox first, then the stage, then one line of JSON with its answer.

A stage's own module (`media.probe`, `media.plan` ...) is only a door: it knows the command line and names the function
that does the work. That function's module, and with it every video library, is imported after the sandbox stands.
From a shell the same stage shows a progress bar and prints its result for people.
"""

import argparse
import ctypes
import fcntl
import gc
import importlib
import json
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any, TextIO

from media.errors import OutOfMemory, Refused
from media.process import sandbox

PARENT_PIPE, MEMORY_BYTES, CPU_S = "MEDIA_PARENT_PIPE", "MEDIA_MEMORY_BYTES", "MEDIA_CPU_S"
REFUSED_EXIT, MEMORY_EXIT = 3, 4  # 2 is a wrong command line
INTERNAL_EXIT = 70  # sysexits.h: an error in the program
# Writable memory that is reserved and never touched, thread stacks above all, counts against the child's own limit: at
# 330 MB mediapipe crashed on it while 226 MB were in use (measured 2026-11-22). That limit only stops bombs that are
# quicker than our looks.
RESERVED_BYTES = 256 << 20
PROGRESS_EVERY_S = 0.25
# malloc.h of glibc. By default every picture of 3 MB is fresh pages from the kernel and goes back to it when freed: 290
# thousand page faults in twelve seconds of full HD. Kept in the heap it is 7 % less CPU and 9 MiB less at the peak
# (measured 2026-11-26); with lower thresholds CPU rises, with a higher one for trimming memory does. The luma of 4K, 8
# MB, is better off outside of the heap: decoders keep and reuse such pictures by themselves, and 17 MiB less are lost
# between them.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
TRIM_BYTES, MMAP_BYTES = 16 << 20, 8 << 20
F_SETSIG = 10  # fcntl.h; Python's fcntl has it from 3.13 on

PATH_ERRORS = {
    IsADirectoryError: "is a directory, not a file",
    NotADirectoryError: "is not possible: a part of this path is a file",
    FileExistsError: "is a file, not a directory",
    PermissionError: "may not be read or written",
}

Progress = Callable[[float], None]
# Any: a stage's result is JSON
Work = Callable[[argparse.Namespace, Progress], dict[str, Any]]


def stage(parser: argparse.ArgumentParser, work: str, arguments: Sequence[str] | None = None) -> int:
    """Run one stage as this process's only work and return its exit code.

    Args:
        parser: the stage's own arguments; `--json` is added.
        work: "module:function", imported once the sandbox stands; takes the arguments and a progress callback.
        arguments: the command line without the program; None for this process's own.
    """
    parser.add_argument("--json", action="store_true", help="JSON lines: progress, then one result")
    options = parser.parse_args(arguments)
    voice = _Lines(_private_stdout()) if options.json else _Terminal()
    _keep_pages()
    sandbox.enter(_limits())
    if os.environ.get(PARENT_PIPE):
        _follow_parent()
    return _answer(voice, work, options)


def memory_bytes() -> int | None:
    """Say how much memory of its own the parent lets this process hold; None when nobody said."""
    limit = os.environ.get(MEMORY_BYTES)
    return int(limit) - RESERVED_BYTES if limit else None


def give_back_pages() -> None:
    """Return to the kernel what nobody holds any more: between pieces of work, whose sizes would not fit together."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's alone
    if trim is not None:
        trim(0)


def _answer(voice: "_Lines | _Terminal", work: str, options: argparse.Namespace) -> int:
    module, _, function = work.partition(":")
    try:
        # Any: looked up by name
        run: Work = getattr(importlib.import_module(module), function)
        result = run(options, voice.progress)
    except Refused as refusal:
        voice.say({"refused": {"code": refusal.code, "detail": refusal.detail}})
        return REFUSED_EXIT
    except FileNotFoundError as missing:
        voice.say({"refused": {"code": "no_such_file", "detail": f"there is no file {missing.filename}"}})
        return REFUSED_EXIT
    except (MemoryError, OutOfMemory):
        voice.say({"out_of_memory": True})
        return MEMORY_EXIT
    except Exception as error:  # noqa: BLE001  # the process's edge: any other exception is an error of ours
        sentence = _path_sentence(error)
        if sentence and isinstance(
            voice, _Terminal
        ):  # the parent gives paths of its own, which are no person's mistake
            voice.say({"refused": {"code": "unusable_path", "detail": sentence}})
            return REFUSED_EXIT
        traceback.print_exc()
        voice.say({"internal_error": f"{type(error).__name__}: {error}"})
        return INTERNAL_EXIT
    voice.say({"result": result})
    return 0


def _path_sentence(error: Exception) -> str:
    """Return what is wrong with a path of the command line; '' for any other error."""
    words = [words for kind, words in PATH_ERRORS.items() if isinstance(error, kind)]
    return f"{error.filename} {words[0]}" if words and isinstance(error, OSError) and error.filename else ""


def _keep_pages() -> None:
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc's alone
    if mallopt is not None:
        mallopt(M_TRIM_THRESHOLD, TRIM_BYTES)
        mallopt(M_MMAP_THRESHOLD, MMAP_BYTES)


def _limits() -> sandbox.Limits:
    memory, cpu = os.environ.get(MEMORY_BYTES), os.environ.get(CPU_S)
    return sandbox.Limits(memory_bytes=int(memory) if memory else None, cpu_s=int(cpu) if cpu else None)


def _private_stdout() -> TextIO:
    """Keep standard output for the protocol; whatever a library prints goes to standard error."""
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return lines


def _follow_parent() -> None:
    """Have the kernel kill this process and all it started as soon as the parent is gone.

    Standard input is a pipe whose other end only the parent holds and into which nothing is ever written. The kernel
    signals its end to our process group. A thread that waits for it was tried: native code may keep the interpreter
    lock, and the parent-death signal ends this process before the thread can end what it started.
    """
    pipe = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)  # a program that we start must not inherit the pipe
    os.close(nothing)
    # The parent made this process a session leader, so its group is everything it started.
    fcntl.fcntl(pipe, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(pipe, F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([pipe], [], [], 0)[0]:  # it was gone before the kernel knew whom to tell
        os.killpg(0, signal.SIGKILL)


class _Lines:
    """Speaks to the parent: one JSON object a line."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._last = 0.0

    def progress(self, share: float) -> None:
        now = time.monotonic()
        if now - self._last >= PROGRESS_EVERY_S:
            self._last = now
            self.say({"progress": round(share, 4)})

    def say(self, line: dict[str, Any]) -> None:  # Any: JSON
        self._out.write(json.dumps(line, allow_nan=False) + "\n")
        self._out.flush()


class _Terminal:
    """Speaks to a person: a bar while there is a terminal, then the result."""

    WIDTH = 40

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._last = 0.0

    def progress(self, share: float) -> None:
        now = time.monotonic()
        if not sys.stderr.isatty() or (share < 1 and now - self._last < PROGRESS_EVERY_S):
            return
        self._last = now
        left_s = (now - self._began) * (1 - share) / share if share > 0 else 0.0
        bar = "#" * round(self.WIDTH * share)
        sys.stderr.write(f"\r{bar:<{self.WIDTH}} {share:6.1%}  {left_s:5.0f} s left ")
        sys.stderr.flush()

    def say(self, line: dict[str, Any]) -> None:  # Any: JSON
        if sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K")
        if "result" in line:
            sys.stdout.write(json.dumps(line["result"], indent=2) + "\n")
        elif "refused" in line:
            sys.stderr.write(f"refused ({line['refused']['code']}): {line['refused']['detail']}\n")
        elif "internal_error" in line:
            sys.stderr.write("internal error: the program failed, not the file\n")
        else:
            sys.stderr.write("not enough memory\n")
