"""`python -m scripts.machine.child FD SECRETS LIVENESS INTERVAL MODULE ARGS`: run a module of the supervisor.

SECRETS is the descriptor of a file with the secret settings (`scripts.machine.launch`). The environment that the
process is started with has none, because others of its user can read it until `forbid_inspection` was called.

FD is the reading end of a pipe. Only the supervisor has the writing end, so the kernel closes it when the supervisor
exits, also after SIGKILL. A thread waits for this in the process and in every process that it forks (dramatiq forks its
workers). Programs started with exec are not covered; media children have a pipe to their worker.

LIVENESS is the writing end of another pipe, for heartbeats every INTERVAL seconds; -1 for none (`liveness`).
"""

from __future__ import annotations

import json
import multiprocessing
import os
import runpy
import signal
import sys
import threading

import liveness
import process_protection


def exit_with_parent(parent_pipe: int) -> None:
    """Kill this process when the writing end of the pipe is closed."""
    threading.Thread(target=_wait, args=(parent_pipe,), daemon=True, name="parent-pipe").start()


def _wait(parent_pipe: int) -> None:
    os.read(parent_pipe, 1)  # nothing is ever written: returns when the writing end is closed
    os.kill(os.getpid(), signal.SIGKILL)  # unfinished work is resumed after the next start


def main() -> None:
    """Run the module as `python -m MODULE ARGS` would."""
    process_protection.protect()
    parent_pipe, pipe, interval_s, module = int(sys.argv[1]), int(sys.argv[3]), float(sys.argv[4]), sys.argv[5]
    with open(int(sys.argv[2]), encoding="utf-8") as secrets:  # noqa: PTH123 (a descriptor)
        os.environ.update(json.load(secrets))
    exit_with_parent(parent_pipe)
    os.register_at_fork(after_in_child=lambda: exit_with_parent(parent_pipe))
    if pipe >= 0:
        liveness.start(pipe, interval_s)  # before the module, whose import takes seconds on a small machine
    multiprocessing.set_start_method("fork")  # the default before Python 3.14; the hook above runs in forked children
    sys.argv = sys.argv[5:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
