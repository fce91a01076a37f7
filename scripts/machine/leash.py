"""`python -m scripts.machine.leash FD MODULE ARGS`: run a module that ends when the supervisor does, however that died.

FD is the reading end of a pipe whose writing end only the supervisor holds, so the kernel closes it with the
supervisor. A thread waits for that in this process and in every process that it forks (dramatiq forks its workers).
What is exec'd is on its own: media children have such a pipe to their worker.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import sys
import threading


def hold(leash: int) -> None:
    """Let this process end when nobody holds the pipe's writing end any more."""
    threading.Thread(target=_wait, args=(leash,), daemon=True, name="leash").start()


def _wait(leash: int) -> None:
    os.read(leash, 1)  # nobody writes: it returns when the last writing end is closed
    os.kill(os.getpid(), signal.SIGKILL)  # what is in flight is taken up again by the next start


def main() -> None:
    """Run the module as if it had been started itself."""
    leash, module = int(sys.argv[1]), sys.argv[2]
    os.umask(0o077)  # videos, tokens and logs are nobody else's
    hold(leash)
    os.register_at_fork(after_in_child=lambda: hold(leash))
    multiprocessing.set_start_method("fork")  # from Python 3.14 on not the default: workers would not be on the leash
    sys.argv = sys.argv[2:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
