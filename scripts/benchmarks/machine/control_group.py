"""A control group (cgroups(7)) of version 1 or 2 that limits the memory, without swap, and the cores of processes."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
NAME = "vidprod-bench"


class NoControlGroup(Exception):
    """This process cannot make control groups; the message says why."""


@dataclass(frozen=True)
class MemoryCounts:
    """The kernel's counts for a control group: bytes, and pages since it was made."""

    used_bytes: int  # with the page cache and the kernel's own memory
    anonymous_bytes: int  # that cannot be dropped without swap
    refaulted_pages: int  # of files, read again after they were dropped: the sign of thrashing
    major_faults: int
    oom_kills: int


@dataclass(frozen=True)
class ControlGroup:
    """The folders of one group: one for all controllers in version 2, one each in version 1."""

    memory: Path
    folders: Sequence[Path]
    is_unified: bool

    def command(self, arguments: Sequence[str]) -> list[str]:
        """Return the command that runs another one in this group."""
        joins = " && ".join(f"echo $$ > {folder}/cgroup.procs" for folder in self.folders)
        return ["sh", "-c", f'{joins} && exec "$@"', "sh", *arguments]

    def processes(self) -> list[int]:
        """Return the numbers of its processes."""
        return [int(line) for line in (self.memory / "cgroup.procs").read_text().split()]

    def counts(self) -> MemoryCounts:
        """Return the current counts."""
        stat = _table(self.memory / "memory.stat")
        if self.is_unified:
            return MemoryCounts(
                used_bytes=int((self.memory / "memory.current").read_text()),
                anonymous_bytes=stat["anon"],
                refaulted_pages=stat["workingset_refault_file"],
                major_faults=stat["pgmajfault"],
                oom_kills=_table(self.memory / "memory.events")["oom_kill"],
            )
        return MemoryCounts(
            used_bytes=int((self.memory / "memory.usage_in_bytes").read_text()),
            anonymous_bytes=stat["total_rss"],
            refaulted_pages=stat["total_workingset_refault_file"],
            major_faults=stat["total_pgmajfault"],
            oom_kills=_table(self.memory / "memory.oom_control")["oom_kill"],
        )


@contextmanager
def control_group(memory_bytes: int | None, cores: str) -> Iterator[ControlGroup]:
    """Make a group, and remove it when its processes have ended.

    Args:
        memory_bytes: limit; None for none.
        cores: list of the cores that its processes may use, as "0" or "0-1".

    Raises:
        NoControlGroup: it cannot be made.
    """
    group = _group()
    try:
        for folder in group.folders:
            folder.mkdir()
        _limit(group, memory_bytes, cores)
    except OSError as error:
        _remove(group)
        raise NoControlGroup(f"no control group: {error}") from error
    try:
        yield group
    finally:
        _remove(group)


def _group() -> ControlGroup:
    name = f"{NAME}-{os.getpid()}"
    controllers = ROOT / "cgroup.controllers"
    if controllers.exists():
        missing = {"memory", "cpuset"} - set(controllers.read_text().split())
        if missing:
            raise NoControlGroup(f"no control group: {', '.join(sorted(missing))} not available")
        return ControlGroup(ROOT / name, [ROOT / name], is_unified=True)
    if not (ROOT / "memory" / "cgroup.procs").exists():
        raise NoControlGroup(f"no control group: {ROOT} is not mounted")
    return ControlGroup(ROOT / "memory" / name, [ROOT / "memory" / name, ROOT / "cpuset" / name], is_unified=False)


def _limit(group: ControlGroup, memory_bytes: int | None, cores: str) -> None:
    if group.is_unified:
        with contextlib.suppress(OSError):  # on already
            (ROOT / "cgroup.subtree_control").write_text("+memory +cpuset")
        (group.memory / "cpuset.cpus").write_text(cores)
        if memory_bytes is not None:
            (group.memory / "memory.max").write_text(str(memory_bytes))
            (group.memory / "memory.swap.max").write_text("0")
        return
    cpuset = group.folders[1]
    (cpuset / "cpuset.mems").write_text((ROOT / "cpuset" / "cpuset.mems").read_text())
    (cpuset / "cpuset.cpus").write_text(cores)
    if memory_bytes is not None:
        (group.memory / "memory.limit_in_bytes").write_text(str(memory_bytes))
        with contextlib.suppress(OSError):  # the kernel does not account swap, or there is none
            (group.memory / "memory.memsw.limit_in_bytes").write_text(str(memory_bytes))


def _remove(group: ControlGroup) -> None:
    for folder in group.folders:
        for _ in range(100):  # a process that has exited leaves its group a moment later
            try:
                folder.rmdir()
            except FileNotFoundError:
                break
            except OSError:
                time.sleep(0.1)
            else:
                break


def _table(path: Path) -> dict[str, int]:
    return {name: int(value) for name, value in (line.split() for line in path.read_text().splitlines())}
