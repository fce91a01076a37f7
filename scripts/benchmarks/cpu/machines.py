"""Computes how long a machine of Fly.io works on an hour of video, and what that costs. Measures nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

HOUR_S, MONTH_H = 3600, 720
# fly.io/docs/machines/cpu-performance, read 2026-11-29: the share of a core that a shared CPU always gets, and the
# seconds above it that it may save up. Both are shared by the CPUs of a machine.
SHARED_CORE, MAX_BALANCE_S = 0.0625, 500.0
# fly.io/docs/about/pricing, read 2026-11-29, in dollars for 30 days in Ashburn, the cheapest region; Frankfurt costs
# 1.15 times as much. Each CPU includes 256 MB (shared) or 2 GB (performance) of memory.
SHARED_USD, PERFORMANCE_USD, GIGABYTE_USD = 2.19, 33.00, 6.00
OTHER_SHARE = 0.005  # of a core, at most: the services of an idle machine (`scripts/bench machine`)


@dataclass(frozen=True)
class FlyMachine:
    """A size of machines."""

    name: str
    cpus: int
    memory_gb: float
    is_shared: bool

    @property
    def month_usd(self) -> float:
        """Return the price of 30 days."""
        cpu_usd, included_gb = (SHARED_USD, 0.25) if self.is_shared else (PERFORMANCE_USD, 2.0)
        return self.cpus * cpu_usd + (self.memory_gb - self.cpus * included_gb) * GIGABYTE_USD

    @property
    def baseline(self) -> float:
        """Return the cores that rendering always gets: one part at a time uses no more than one."""
        cores = self.cpus * (SHARED_CORE if self.is_shared else 1.0)
        return min(1.0, cores - OTHER_SHARE)

    def hours(self, cpu_s: float, *, rested: bool = False) -> float:
        """Return the hours for some CPU seconds of rendering.

        Args:
            cpu_s: on one core.
            rested: the machine has saved up all seconds that it may, which takes two hours.
        """
        balance_s = self.cpus * MAX_BALANCE_S if rested and self.is_shared else 0.0
        burst_s = min(cpu_s, balance_s / (1 - self.baseline)) if self.baseline < 1 else 0.0
        return (burst_s + (cpu_s - burst_s) / self.baseline) / HOUR_S

    def usd(self, cpu_s: float) -> float:
        """Return the price of the time for some CPU seconds, without saved ones."""
        return self.hours(cpu_s) * self.month_usd / MONTH_H


MACHINES = (
    FlyMachine("shared-cpu-1x, 512 MB", 1, 0.5, is_shared=True),
    FlyMachine("shared-cpu-2x, 1 GB", 2, 1.0, is_shared=True),
    FlyMachine("shared-cpu-4x, 1 GB", 4, 1.0, is_shared=True),
    FlyMachine("shared-cpu-8x, 2 GB", 8, 2.0, is_shared=True),
    FlyMachine("performance-1x, 2 GB", 1, 2.0, is_shared=False),
)


def table(costs: Mapping[str, float]) -> Iterator[str]:
    """Yield the lines of a Markdown table for an hour of video.

    Args:
        costs: CPU seconds a second of video, by way of rendering; the first one is also shown for a rested machine.
    """
    first, *others = costs
    heads = ["machine", "a month", f"{first}, rested", *costs, "videos a month", f"an hour, {first}"]
    yield f"| {' | '.join(heads)} |"
    yield f"|---|{'---:|' * (len(heads) - 1)}"
    for machine in MACHINES:
        hours = {name: machine.hours(cost * HOUR_S) for name, cost in costs.items()}
        cells = [
            machine.name,
            f"${machine.month_usd:.2f}",
            f"{machine.hours(costs[first] * HOUR_S, rested=True):.1f} h",
            *(f"{hours[name]:.1f} h" for name in (first, *others)),
            f"{MONTH_H / hours[first]:.0f} h",
            f"${machine.usd(costs[first] * HOUR_S):.2f}",
        ]
        yield f"| {' | '.join(cells)} |"
