"""`scripts/chaos` for some seconds: faults of all kinds on a whole machine, and a right result."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.fault_injection.run import Options, Run

pytestmark = pytest.mark.slow


def test_a_machine_under_faults_publishes_what_it_has_accepted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = Options(minutes=0.3, seed=20261129, uploads=3)
    assert Run(options, tmp_path).execute() == 0, capsys.readouterr().out
    report = capsys.readouterr().out
    assert "talk: completed" in report  # else nothing was judged
    assert "faults\n" in report
