"""The CPU time that was refused: read from files of either version of control groups, and from a real one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from actors import machine_cpu
from actors.machine_cpu import RefusedTime
from tests.support.cpu_quota import cpu_quota

STAT = "cpu  100 0 100 9000 0 0 0 450 0 0\ncpu0 100 0 100 9000 0 0 0 450 0 0\n"
BUSY = """
import time
from actors import machine_cpu
while time.process_time() < 0.3:
    pass
print(machine_cpu.refused().throttled_s)
"""


def _machine(root: Path, named: str, group: str, counts: str) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/stat").write_text(STAT)
    (root / "proc/self/cgroup").write_text(named)
    (root / group).mkdir(parents=True)
    (root / group / "cpu.stat").write_text(counts)
    return root


@pytest.mark.parametrize(
    ("named", "group", "counts"),
    [
        ("0::/app\n", "sys/fs/cgroup/app", "usage_usec 5\nnr_throttled 3\nthrottled_usec 2500000\n"),
        ("1:cpu,cpuacct:/app\n0::/\n", "sys/fs/cgroup/cpu/app", "nr_throttled 3\nthrottled_time 2500000000\n"),
        ("0::/outside\n", "sys/fs/cgroup", "throttled_usec 2500000\n"),
    ],
)
def test_both_versions_of_control_groups_are_read(tmp_path: Path, named: str, group: str, counts: str) -> None:
    root = _machine(tmp_path, named, group, counts)
    ticks = os.sysconf("SC_CLK_TCK")
    assert RefusedTime(2.5, 450 / ticks) == machine_cpu.refused(root)


def test_a_machine_that_counts_nothing_refused_nothing(tmp_path: Path) -> None:
    assert RefusedTime(0.0, 0.0) == machine_cpu.refused(tmp_path)


def test_a_real_quota_is_noticed() -> None:
    """A tenth of a core: 0.3 CPU seconds take three. The kernel counts less where other processes wait as well."""
    with cpu_quota(0.1) as group:
        joined = ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh", sys.executable, "-c", BUSY]
        done = subprocess.run(joined, capture_output=True, text=True, timeout=120, check=True)
    assert float(done.stdout) > 0.1
