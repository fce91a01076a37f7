"""Memory of a media process: its limit, and the settings of its allocator. No video library."""

import ctypes
import gc
import os
from dataclasses import dataclass
from pathlib import Path

ENV_MEMORY_BYTES = "MEDIA_MEMORY_BYTES"
# Writable memory that is reserved and never touched, above all thread stacks, counts against the limit that a child
# sets for itself: at 330 MB mediapipe crashed on it while 226 MB were in use (measured 2026-11-22). The child's limit
# only stops allocations that are faster than the parent's polling.
RESERVED_BYTES = 256 << 20
COUNTED = {"RssAnon", "RssShmem", "VmSwap", "VmPTE", "Threads"}
# malloc.h of glibc. By default every picture of 3 MB is fresh pages from the kernel, which are returned when it is
# freed: 290 thousand page faults in twelve seconds of full HD. Kept in the heap it is 7 % less CPU and 9 MiB less at
# the peak (measured 2026-11-26); with lower thresholds CPU rises, with a higher one for trimming memory does. The luma
# of 4K, 8 MB, is better off outside the heap: decoders keep and reuse such pictures by themselves, and fragmentation
# takes 17 MiB less.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
TRIM_BYTES, MMAP_BYTES = 16 << 20, 8 << 20
PR_SET_THP_DISABLE = 41  # linux/prctl.h


def limit_bytes() -> int | None:
    """Return how much memory of its own this process may use; None if the parent set no limit."""
    limit = os.environ.get(ENV_MEMORY_BYTES)
    return int(limit) - RESERVED_BYTES if limit else None


def left_bytes() -> int | None:
    """Return how much more memory of its own this process may use; None if the parent set no limit."""
    limit = limit_bytes()
    return None if limit is None else limit - used_bytes()


@dataclass(frozen=True, slots=True)
class Usage:
    """Memory and threads of a process."""

    memory_bytes: int
    threads: int


def used_bytes() -> int:
    """Return this process's memory that the kernel cannot drop, counted as its parent counts it."""
    return usage(os.getpid()).memory_bytes


def usage(pid: int) -> Usage:
    """Return the threads of a process, and its memory that the kernel cannot drop.

    The memory is anonymous and shared memory, also where it was swapped out, and page tables, which a process can make
    large by touching few pages. The pages of libraries, some 75 MB, are not counted.

    Raises:
        OSError: the process has ended.
    """
    # Bytes, and lines as the kernel ends them: the name of a process, which it chooses itself, need not be text.
    lines = Path(f"/proc/{pid}/status").read_bytes().split(b"\n")
    counts = {
        name: int(value.split()[0])
        for line in lines
        for name, _, value in [line.decode("ascii", "replace").partition(":")]
        if name in COUNTED
    }
    threads = counts.pop("Threads", 0)
    return Usage(memory_bytes=sum(counts.values()) << 10, threads=threads)


def configure() -> None:
    """Make glibc's allocator keep freed pictures in the heap, and the kernel give no huge pages.

    x264 asks for huge pages for each of its pictures. They took 10 MiB that were never used, and saved no CPU time
    (measured 2026-11-29).
    """
    ctypes.CDLL(None).prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_TRIM_THRESHOLD, TRIM_BYTES)
        mallopt(M_MMAP_THRESHOLD, MMAP_BYTES)


def release_unused() -> None:
    """Collect garbage and return free pages to the kernel: between steps that need buffers of different sizes."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc only
    if trim is not None:
        trim(0)
