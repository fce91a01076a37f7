"""How much memory a media child may take on this machine."""

from __future__ import annotations

from pathlib import Path

from settings import Settings

WORKER_BYTES = 60 * 2**20  # measured: a media worker without its child
OTHERS_BYTES = 190 * 2**20  # API, scheduler, network worker and the master processes, measured at rest and rounded up
LEAST_CHILD_BYTES = 200 * 2**20  # less than that and no video can be decoded and encoded at all


def child_budget_bytes(settings: Settings) -> int:
    """Return the memory one media child may take: WORKER_MEMORY_MB, or what the machine leaves, for each worker."""
    if settings.worker_memory_mb is not None:
        return max(LEAST_CHILD_BYTES, settings.worker_memory_mb * 10**6 - WORKER_BYTES)
    share = (machine_bytes() - OTHERS_BYTES) // max(1, settings.worker_concurrency)
    return max(LEAST_CHILD_BYTES, share - WORKER_BYTES)


def machine_bytes() -> int:
    """Return the memory of this machine, or of the control group it runs in."""
    total = next(
        int(line.split()[1]) * 1024
        for line in Path("/proc/meminfo").read_text().splitlines()
        if line.startswith("MemTotal:")
    )
    limit = Path("/sys/fs/cgroup/memory.max")
    text = limit.read_text().strip() if limit.exists() else "max"
    return total if text == "max" else min(total, int(text))
