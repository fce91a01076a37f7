"""The price of an hour of video: computed from the seconds in the README, which `scripts/bench cpu` measured."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.benchmarks.cpu.__main__ import EXAMINE, IN_HOURS, WAYS
from scripts.benchmarks.cpu.machines import MACHINES, FlyMachine, table

README = Path(__file__).resolve().parents[2] / "README.md"
SHARED, PERFORMANCE = MACHINES[0], MACHINES[-1]


@pytest.mark.parametrize(
    ("machine", "usd"),
    [
        (FlyMachine("", 1, 0.25, is_shared=True), 2.19),
        (FlyMachine("", 1, 0.5, is_shared=True), 3.69),
        (FlyMachine("", 1, 1.0, is_shared=True), 6.70),
        (FlyMachine("", 2, 2.0, is_shared=True), 13.39),
        (FlyMachine("", 1, 2.0, is_shared=False), 33.00),
        (FlyMachine("", 2, 4.0, is_shared=False), 66.00),
    ],
)
def test_prices_are_those_of_the_price_page(machine: FlyMachine, usd: float) -> None:
    assert machine.month_usd == pytest.approx(usd, abs=0.011)


def test_a_rested_shared_core_runs_at_full_speed_until_its_balance_is_used_up() -> None:
    """The page's own example: 500 seconds last for 533, less what the services take here."""
    assert SHARED.hours(500, rested=True) * 3600 == pytest.approx(500)
    assert SHARED.hours(533 + 100, rested=True) * 3600 == pytest.approx(533 + 100 / 0.0575, rel=0.03)
    assert SHARED.hours(100) * 3600 == pytest.approx(100 / 0.0575)


@given(st.floats(1, 1e6), st.floats(1, 1e6))
def test_more_work_takes_longer_and_a_rest_never_does(cpu_s: float, more_s: float) -> None:
    for machine in MACHINES:
        assert machine.hours(cpu_s) <= machine.hours(cpu_s + more_s)
        assert machine.hours(cpu_s, rested=True) <= machine.hours(cpu_s) * (1 + 1e-9)
        assert machine.hours(cpu_s, rested=True) <= machine.hours(cpu_s + more_s, rested=True)
    assert PERFORMANCE.hours(cpu_s) <= min(machine.hours(cpu_s) for machine in MACHINES)


def test_the_hours_in_the_readme_follow_from_its_seconds() -> None:
    text = README.read_text(encoding="utf-8")
    measured = {
        name: float(cell) for name, cell in re.findall(r"^\| ([a-z, ]+?) \| ([0-9.]+) \| [0-9.]+ \|$", text, re.M)
    }
    assert {EXAMINE, *(name for name, _, _ in WAYS)} == measured.keys()
    costs = {name: round(measured[name] + measured[EXAMINE], 2) for name in IN_HOURS}
    assert "\n".join(table(costs)) in text
