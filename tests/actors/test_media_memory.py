"""A media child gets what its machine or control group has left, by either version of control groups."""

from __future__ import annotations

from pathlib import Path

import pytest

import settings as environment
from actors import machine_memory
from actors.flow.media_child import (
    ENOUGH_BYTES,
    FILE_PAGES_BYTES,
    GROWTH_BYTES,
    MIN_CHILD_BYTES,
    OTHERS_BYTES,
    SETTLE_CHECKS,
    budget_bytes,
    settled_budget_bytes,
)

MIB = 1 << 20
MACHINE, AVAILABLE = 8000, 6000
V1, V2 = "4:memory:/group/inner\n3:cpuset:/\n", "0::/group/inner\n"
V1_FOLDER, V2_FOLDER = "sys/fs/cgroup/memory", "sys/fs/cgroup"


def _root(root: Path, groups: str = "0::/\n", available: int = AVAILABLE) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/meminfo").write_text(f"MemTotal: {MACHINE * 1024} kB\nMemAvailable: {available * 1024} kB\n")
    (root / "proc/self/cgroup").write_text(groups)
    return root


def _limit_v1(folder: Path, limit: int, usage: int, file_pages: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.limit_in_bytes").write_text(f"{limit * MIB}\n")
    (folder / "memory.usage_in_bytes").write_text(f"{usage * MIB}\n")
    stat = f"cache 1\ntotal_active_file {file_pages * MIB - 5}\ntotal_inactive_file 5\n"
    (folder / "memory.stat").write_text(stat)


def _limit_v2(folder: Path, limit: str, usage: int, file_pages: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{usage * MIB}\n")
    (folder / "memory.stat").write_text(f"anon 1\nactive_file {file_pages * MIB - 5}\ninactive_file 5\n")


def _budget(root: Path, **variables: str) -> int:
    return budget_bytes(environment.read({"DATA_DIR": str(root), **variables}), root)


def test_without_a_control_group_it_is_what_the_machine_has_left(tmp_path: Path) -> None:
    root = _root(tmp_path)
    assert machine_memory.limit_bytes(root) == MACHINE * MIB
    assert machine_memory.free_bytes(root) == AVAILABLE * MIB
    assert _budget(root) == AVAILABLE * MIB - FILE_PAGES_BYTES - GROWTH_BYTES


@pytest.mark.parametrize("folder", ["group/inner", "group", ""])
def test_a_limit_of_version_1_counts_where_it_is(tmp_path: Path, folder: str) -> None:
    """Also of an outer group; in a container, the group is mounted in the place of the root."""
    root = _root(tmp_path, V1)
    _limit_v1(root / V1_FOLDER / folder, limit=460, usage=400, file_pages=250)
    assert machine_memory.limit_bytes(root) == 460 * MIB
    assert machine_memory.free_bytes(root) == 310 * MIB


@pytest.mark.parametrize("folder", ["group/inner", "group", ""])
def test_a_limit_of_version_2_counts_where_it_is(tmp_path: Path, folder: str) -> None:
    root = _root(tmp_path, V2)
    _limit_v2(root / V2_FOLDER / "group", "max", usage=1, file_pages=0)
    _limit_v2(root / V2_FOLDER / folder, str(460 * MIB), usage=400, file_pages=250)
    assert machine_memory.limit_bytes(root) == 460 * MIB
    assert machine_memory.free_bytes(root) == 310 * MIB


def test_a_kernel_without_control_groups_has_no_limit(tmp_path: Path) -> None:
    root = _root(tmp_path)
    (root / "proc/self/cgroup").unlink()
    assert machine_memory.limit_bytes(root) == MACHINE * MIB


def test_a_group_outside_of_the_namespace_is_not_looked_for(tmp_path: Path) -> None:
    """As the kernel names it to a process that was moved into another namespace, and version 1 names no limit."""
    root = _root(tmp_path, "4:memory:/../../other\n0::/../other\n")
    _limit_v1(root / V1_FOLDER, limit=9223372036854771712 // MIB, usage=1, file_pages=0)
    _limit_v2(root / V2_FOLDER, "max", usage=1, file_pages=0)
    assert machine_memory.limit_bytes(root) == MACHINE * MIB


def test_what_others_hold_is_not_given_away(tmp_path: Path) -> None:
    """A program beside VidProd takes as much from the child as VidProd's own processes do."""
    root = _root(tmp_path, V1)
    _limit_v1(root / V1_FOLDER, limit=500, usage=240, file_pages=100)
    before = _budget(root)
    _limit_v1(root / V1_FOLDER, limit=500, usage=270, file_pages=100)
    assert before - _budget(root) == 30 * MIB


def test_a_child_gets_enough_to_begin_with(tmp_path: Path) -> None:
    root = _root(tmp_path, V1)
    _limit_v1(root / V1_FOLDER, limit=300, usage=290, file_pages=10)
    assert _budget(root) == MIN_CHILD_BYTES


def test_the_memory_of_a_child_that_has_just_ended_is_waited_for(tmp_path: Path) -> None:
    """Sleeping is replaced by the kernel's progress: it frees 20 MiB each time."""
    root, usage = _root(tmp_path, V1), [320]
    chosen = environment.read({"DATA_DIR": str(root)})

    def free(_: float) -> None:
        usage.append(usage[-1] - 20)
        _limit_v1(root / V1_FOLDER, limit=460, usage=usage[-1], file_pages=0)

    _limit_v1(root / V1_FOLDER, limit=460, usage=320, file_pages=0)
    enough = settled_budget_bytes(chosen, root, free)
    assert ENOUGH_BYTES <= enough < ENOUGH_BYTES + 20 * MIB
    assert enough == _budget(root)
    assert settled_budget_bytes(chosen, root, free) == enough  # at once
    assert len(usage) == 8


def test_a_machine_that_stays_short_does_not_wait_for_long(tmp_path: Path) -> None:
    root, waits = _root(tmp_path, V1), list[float]()
    _limit_v1(root / V1_FOLDER, limit=300, usage=290, file_pages=10)
    assert settled_budget_bytes(environment.read({"DATA_DIR": str(root)}), root, waits.append) == MIN_CHILD_BYTES
    assert len(waits) == SETTLE_CHECKS
    given = environment.read({"DATA_DIR": str(root), "WORKER_MEMORY_MB": "201"})
    assert settled_budget_bytes(given, root, waits.append) == MIN_CHILD_BYTES
    assert len(waits) == SETTLE_CHECKS, "nothing to wait for"


def test_several_children_share_what_the_other_services_leave(tmp_path: Path) -> None:
    expected = (MACHINE * MIB - OTHERS_BYTES) // 4 - FILE_PAGES_BYTES - GROWTH_BYTES
    assert _budget(_root(tmp_path), WORKER_CONCURRENCY="4") == expected


def test_a_given_limit_is_taken(tmp_path: Path) -> None:
    root = _root(tmp_path, available=100)
    assert _budget(root, WORKER_MEMORY_MB="400") == _budget(root, WORKER_MEMORY_MB="401") - 10**6
