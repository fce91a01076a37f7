"""Protects a process: its secrets from other processes of its user, its files from other users."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Collection
from pathlib import Path

PR_SET_DUMPABLE = 4
ENV_START, ENV_END = 50 - 3, 51 - 3  # fields of /proc/PID/stat (proc(5) counts from 1), counted after the name


def protect() -> None:
    """Protect this process and those that it starts; the first statement of each command and service."""
    make_files_private()
    forbid_inspection()


def make_files_private() -> None:
    """Create all files for their owner only: databases, locks, videos, secrets, logs. Programs inherit it."""
    os.umask(0o077)


def forbid_inspection() -> None:
    """Make the environment, memory and open files of this process unreadable for others of its user. On Linux only.

    The kernel then gives /proc/PID to root and refuses ptrace(2) and core dumps. Forked processes inherit it; a program
    started with exec does not. Debuggers and profilers need root.
    """
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def remove_secrets(names: Collection[str]) -> None:
    """Remove variables, and those that name their files, from this process's environment.

    Their values in its initial environment are overwritten: the kernel shows it in /proc/PID/environ, also after a
    variable was removed. Programs started from now on do not inherit the secrets.
    """
    found = [name for name in names if os.environ.pop(name, None) is not None]
    for name in names:
        os.environ.pop(f"{name}_FILE", None)
    if found and sys.platform.startswith("linux"):
        _overwrite(found)


def overwrite_memory(first_field: int, last_field: int, text: bytes) -> None:
    """Overwrite what the kernel shows of this process, such as its command line; rest and excess are cut.

    Args:
        first_field: of /proc/PID/stat, counted after the name: the address of the beginning.
        last_field: the address of the end.
        text: the new text.
    """
    start, end = _addresses(first_field, last_field)
    if start < end:
        ctypes.memmove(start, text[: end - start - 1].ljust(end - start, b"\0"), end - start)


def _addresses(first_field: int, last_field: int) -> tuple[int, int]:
    fields = Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    return int(fields[first_field]), int(fields[last_field])


def _overwrite(names: list[str]) -> None:
    start, end = _addresses(ENV_START, ENV_END)
    if not start < end:
        return  # not shown to this process
    at = start
    for entry in ctypes.string_at(start, end - start).split(b"\0"):
        name, separator, value = entry.partition(b"=")
        if separator and os.fsdecode(name) in names:
            ctypes.memset(at + len(name) + 1, 0, len(value))
        at += len(entry) + 1
