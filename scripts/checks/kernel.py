"""Checks of the kernel: the sandbox of media processes, memory files, control groups."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

from media.process import runner
from scripts.checks.finding import Examined, Finding, error, ok, warning

CLONE_NEWUSER = 0x10000000
CGROUP = Path("/sys/fs/cgroup")
TOPIC = "kernel"
NO_GROUPS = "no control groups for memory are mounted"


def check(examined: Examined) -> Iterator[Finding]:
    """Check what the kernel offers."""
    del examined
    release = os.uname()
    yield ok(TOPIC, f"{release.sysname} {release.release} on {release.machine}")
    yield sandbox(runner.sandbox_report())
    yield _memory_files()
    yield ok(TOPIC, f"user namespaces are {'available' if _has_user_namespaces() else 'not available'}; not needed")
    yield control_groups(CGROUP)


def sandbox(report: dict[str, object]) -> Finding:
    """Check the report about the sandbox of media processes."""
    if not report["ok"]:
        fix = "use a kernel with seccomp, and allow it in the container's profile"
        return error(TOPIC, str(report["detail"]), fix)
    if "detail" in report:
        return warning(TOPIC, str(report["detail"]), "use Linux 5.13 or newer with Landlock among its security modules")
    return ok(TOPIC, f"system-call filter and Landlock (version {report['landlock']}) for media processes")


def _memory_files() -> Finding:
    try:
        os.close(os.memfd_create("check"))
    except OSError as failed:
        return error(TOPIC, f"memfd_create fails: {failed.strerror}", "allow it in the container's profile")
    return ok(TOPIC, "memory files work")


def _has_user_namespaces() -> bool:
    child = os.fork()
    if child == 0:
        os._exit(0 if ctypes.CDLL(None).unshare(CLONE_NEWUSER) == 0 else 1)
    return os.waitpid(child, 0)[1] == 0


def control_groups(root: Path) -> Finding:
    """Check which version the kernel has mounted; the memory limits of both are read (`scripts.checks.memory`)."""
    if (root / "cgroup.controllers").exists():
        return ok(TOPIC, "control groups version 2")
    return ok(TOPIC, "control groups version 1" if (root / "memory").is_dir() else NO_GROUPS)
