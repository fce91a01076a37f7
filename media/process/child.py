"""Runs one stage as the only work of a child process: sandbox, work, result.

The module of a command (`media.probe`, `media.plan` …) only parses the command line and names the function that does
the work. That function's module, and with it every video library, is imported after the sandbox has been entered. From
a shell the same command shows a progress bar and prints its result as text.
"""

import argparse
import ctypes
import fcntl
import importlib
import os
import select
import signal
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

from media.errors import OutOfMemory, Refused
from media.process import files, memory, sandbox, source_file
from media.process.landlock import FileAccess
from media.process.output import JsonLinesOutput, Output, Progress, TerminalOutput
from media.process.protocol import (
    ENV_CPU_S,
    ENV_PARENT_PIPE,
    EXIT_INTERNAL_ERROR,
    EXIT_OUT_OF_MEMORY,
    EXIT_REFUSED,
    no_such_file,
)

F_SETSIG = 10  # fcntl.h; Python's fcntl has it from 3.13 on
PR_SET_PDEATHSIG = 1  # sys/prctl.h

PATH_ERRORS = {
    IsADirectoryError: "is a directory, not a file",
    NotADirectoryError: "is not possible: a part of this path is a file",
    FileExistsError: "is a file, not a directory",
    PermissionError: "may not be read or written",
}

# Any: a stage's result is JSON
Work = Callable[[argparse.Namespace, Progress], dict[str, Any]]


def run_stage(
    parser: argparse.ArgumentParser,
    work: str,
    arguments: Sequence[str] | None = None,
    *,
    reads: Sequence[str] = (),
    writes: Sequence[str] = (),
    fills: Sequence[str] = (),
) -> int:
    """Run one stage and return the exit code of the process.

    Args:
        parser: the stage's own arguments; `--json` is added.
        work: "module:function", imported inside the sandbox; called with the arguments and a progress callback.
        arguments: the command line without the program; None for this process's own.
        reads: names of the arguments that are files to read.
        writes: of those that are files to write.
        fills: of those that are directories for files to write; they are made if they do not exist.
    """
    parser.add_argument("--json", action="store_true", help="JSON lines: progress, then one result")
    options = parser.parse_args(arguments)
    output: Output = JsonLinesOutput(_private_stdout()) if options.json else TerminalOutput()
    memory.configure()
    if os.environ.get(ENV_PARENT_PIPE):
        _end_with_parent()
    read, written, filled = (_paths(options, names) for names in (reads, writes, fills))
    return _run_work(output, work, options, read=read, written=written, filled=filled)


def _paths(options: argparse.Namespace, names: Sequence[str]) -> list[Path]:
    return [path.absolute() for name in names if (path := getattr(options, name)) is not None]


def _file_access(read: Sequence[Path], written: Sequence[Path], filled: Sequence[Path]) -> FileAccess:
    """Return the files that the work may open: written ones alone if the parent has made them, else with their folders.

    Without a parent, a file is written beside its target and renamed (`media.process.files`).
    """
    made = [path for path in written if files.is_made_by_parent(path)]
    folders = {path.parent for path in written if path not in made}
    return FileAccess(read=read, write=made, create=[*folders, *filled])


def _run_work(
    output: Output,
    work: str,
    options: argparse.Namespace,
    *,
    read: Sequence[Path],
    written: Sequence[Path],
    filled: Sequence[Path],
) -> int:
    module, _, function = work.partition(":")
    try:
        for folder in filled:
            folder.mkdir(parents=True, exist_ok=True)
        source_file.attach()
        sandbox.enter(_limits(), _file_access(read, written, filled))
        # Any: looked up by name
        run: Work = getattr(importlib.import_module(module), function)
        result = run(options, output.progress)
    except Refused as error:
        return _refuse(output, error.code, error.detail)
    except FileNotFoundError as error:
        return _refuse(output, *no_such_file(error))
    except (MemoryError, OutOfMemory):
        output.write({"out_of_memory": True})
        return EXIT_OUT_OF_MEMORY
    except Exception as error:  # noqa: BLE001  # the edge of the process: any other exception is an internal error
        detail = _path_error(error)
        if detail and not options.json:  # the paths of a parent process are not a user's mistake
            return _refuse(output, "unusable_path", detail)
        traceback.print_exc()
        output.write({"internal_error": f"{type(error).__name__}: {error}"})
        return EXIT_INTERNAL_ERROR
    output.write({"result": result})
    return 0


def _refuse(output: Output, code: str, detail: str) -> int:
    output.write({"refused": {"code": code, "detail": detail}})
    return EXIT_REFUSED


def _path_error(error: Exception) -> str:
    """Return what is wrong with a path of the command line; "" for any other error."""
    words = [words for kind, words in PATH_ERRORS.items() if isinstance(error, kind)]
    return f"{error.filename} {words[0]}" if words and isinstance(error, OSError) and error.filename else ""


def _limits() -> sandbox.Limits:
    memory_bytes, cpu_s = os.environ.get(memory.ENV_MEMORY_BYTES), os.environ.get(ENV_CPU_S)
    return sandbox.Limits(memory_bytes=int(memory_bytes) if memory_bytes else None, cpu_s=int(cpu_s) if cpu_s else None)


def _private_stdout() -> TextIO:
    """Return a stream to standard output, and redirect what libraries print there to standard error."""
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return lines


def _end_with_parent() -> None:
    """Make the kernel kill this process when the parent ends.

    Standard input is a pipe whose other end only the parent holds and into which nothing is ever written. The kernel
    signals its end to this process. A thread that waits for the end of the pipe would not run while native code holds
    the interpreter lock.

    Hostile code can close the pipe, but not take back the parent-death signal (prctl(2)), because the sandbox refuses
    the call. It is sent when the parent's thread ends: `media.process.runner` waits in the thread that starts a child.
    """
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    pipe = os.dup(0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(pipe, F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([pipe], [], [], 0)[0]:  # the parent ended before the signal was set
        os.kill(os.getpid(), signal.SIGKILL)
