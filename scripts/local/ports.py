"""Free ports of the loopback network, for processes that a command starts."""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Iterator
from functools import cache
from random import Random

PORTS = range(10_000, 30_000)
"""Below those that the kernel gives to connections and to port 0 (32768 and up on Linux)."""


def free_ports(count: int) -> list[int]:
    """Return ports on which nothing listens, each of them once in a process.

    A port that the kernel chose could become that of a connection before the process that it is meant for listens.
    """
    return list(itertools.islice((port for port in _candidates() if _is_free(port)), count))


@cache
def _candidates() -> Iterator[int]:
    """Yield all ports, in an order of this process: several look for free ones at the same time."""
    return itertools.cycle(Random(os.getpid()).sample(PORTS, len(PORTS)))  # noqa: S311  # no secret


def _is_free(port: int) -> bool:
    with socket.socket() as one:
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
