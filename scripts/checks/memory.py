"""Checks of the memory: its limit, what is left, and swap."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from actors import machine_memory
from actors.flow import media_child
from scripts.checks.finding import Examined, Finding, error, ok, warning

MIB = 2**20
LEAST_BYTES = media_child.OTHERS_BYTES + media_child.FILE_PAGES_BYTES + media_child.MIN_CHILD_BYTES
TOPIC = "memory"


def check(examined: Examined) -> Iterator[Finding]:
    """Check the memory of this computer or container."""
    figures = {
        name: int(rest.split()[0]) * 1024
        for name, _, rest in (line.partition(":") for line in Path("/proc/meminfo").read_text().splitlines())
    }
    yield limit(machine_memory.limit_bytes(), examined.settings.worker_memory_mb)
    left = figures["MemAvailable"]
    if not examined.is_running and left < LEAST_BYTES:
        text = f"{left // MIB} MiB are left, {LEAST_BYTES // MIB} are needed"
        yield warning(TOPIC, text, "end other programs")
    else:
        yield ok(TOPIC, f"{left // MIB} MiB are left")
    swap = figures["SwapTotal"]
    yield ok(TOPIC, f"swap: {(swap - figures['SwapFree']) // MIB} of {swap // MIB} MiB used" if swap else "no swap")


def limit(machine_bytes: int, worker_memory_mb: int | None) -> Finding:
    """Check what this computer or container may use at most."""
    text = f"the limit is {machine_bytes // MIB} MiB"
    if machine_bytes < LEAST_BYTES:
        fix = f"give it {LEAST_BYTES // MIB} MiB: with less, the kernel ends processes, and parts fail"
        return error(TOPIC, text, fix)
    if worker_memory_mb is not None and worker_memory_mb * 10**6 + media_child.OTHERS_BYTES > machine_bytes:
        others = media_child.OTHERS_BYTES // MIB
        text = f"{text}, but WORKER_MEMORY_MB={worker_memory_mb} and {others} MiB of the other processes are more"
        return warning(TOPIC, text, "make it smaller, or remove it")
    return ok(TOPIC, text)
