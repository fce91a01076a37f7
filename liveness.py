"""Heartbeats of a process for its supervisor (`scripts.machine.watchdog`).

A thread writes the number of the process to a pipe every few seconds, as long as all its checks succeed. A process that
is stopped, swapped out or deadlocked in C code writes nothing; one whose important threads have ended or do not go on
is found by a check.
"""

from __future__ import annotations

import logging
import os
import struct
import threading
import time
from collections.abc import Callable

__all__ = ["INTERVAL_S", "MESSAGE", "require", "start"]

INTERVAL_S = 3.0
MESSAGE = struct.Struct("=i")  # a process number; so short that the kernel writes it whole (pipe(7), PIPE_BUF)

Check = Callable[[], str | None]

logger = logging.getLogger(__name__)

_checks: list[Check] = []


def require(check: Check) -> None:
    """Add a check of this process; it returns None, or what is wrong. It runs often and must not block."""
    _checks.append(check)


def start(pipe: int, interval_s: float = INTERVAL_S) -> None:
    """Send heartbeats from now on, also in processes that this one forks.

    Args:
        pipe: writing end, which does not block.
        interval_s: between two heartbeats.
    """
    _start_thread(pipe, interval_s)
    os.register_at_fork(after_in_child=lambda: _start_thread(pipe, interval_s))


def _start_thread(pipe: int, interval_s: float) -> None:
    threading.Thread(target=_run, args=(pipe, interval_s), daemon=True, name="liveness").start()


def _run(pipe: int, interval_s: float) -> None:
    message = MESSAGE.pack(os.getpid())
    reported: str | None = None
    while True:
        wrong = next((found for check in _checks if (found := check()) is not None), None)
        if wrong is None:
            try:
                os.write(pipe, message)
            except BlockingIOError:
                pass  # the supervisor does not read: it is stopped itself
            except OSError:
                return  # there is no supervisor any more, and this process ends, too
        elif wrong != reported:
            logger.error("Process %d sends no heartbeat: %s", os.getpid(), wrong)
        reported = wrong
        time.sleep(interval_s)
