"""`python -m scripts.machine.child FD SECRETS MODULE ARGS`: run a module of the supervisor.

SECRETS is the descriptor of a file with the secret settings (`scripts.machine.launch`). The environment that the
process is started with has none, because others of its user can read it until `forbid_inspection` was called.

FD is the reading end of a pipe. Only the supervisor has the writing end, so the kernel closes it when the supervisor
exits, also after SIGKILL. Programs that the module starts are not covered; media children have a pipe to their worker.

The services are started by forking (`scripts.machine.fork_server`), which uses `run`.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import liveness
import process_protection

ROOT = Path(__file__).resolve().parent.parent.parent


def run(argv: Sequence[str], *, parent_pipe: int, liveness_pipe: int = -1, liveness_interval_s: float = 0.0) -> None:
    """Run a module as `python -m MODULE ARGS` would.

    Args:
        argv: the module and its arguments.
        parent_pipe: the process is killed when its writing end is closed.
        liveness_pipe: writing end of a pipe for heartbeats (`liveness`); -1 for none.
        liveness_interval_s: between two of them.
    """
    exit_with_parent(parent_pipe)
    if liveness_pipe >= 0:
        liveness.start(liveness_pipe, liveness_interval_s)  # before the module, whose import may take seconds
    sys.argv = list(argv)
    runpy.run_module(argv[0], run_name="__main__", alter_sys=True)


def exit_with_parent(parent_pipe: int) -> None:
    """Kill this process when the writing end of the pipe is closed."""
    threading.Thread(target=_wait, args=(parent_pipe,), daemon=True, name="parent-pipe").start()


def _wait(parent_pipe: int) -> None:
    os.read(parent_pipe, 1)  # nothing is ever written: returns when the writing end is closed
    os.kill(os.getpid(), signal.SIGKILL)  # unfinished work is resumed after the next start


def main() -> None:
    """Run the module of the command line, with the secrets of the file."""
    process_protection.protect()
    with open(int(sys.argv[2]), encoding="utf-8") as secrets:  # noqa: PTH123 (a descriptor)
        os.environ.update(json.load(secrets))
    run(sys.argv[3:], parent_pipe=int(sys.argv[1]))


if __name__ == "__main__":
    main()
