"""A test skips if a tool is missing; with CI=true, where all tools are installed, it fails."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
EVERY_WAY = """
import pytest

@pytest.fixture
def tool():
    pytest.skip("{reason}")

@pytest.mark.skipif(True, reason="{reason}")
def test_marked(): ...

def test_in_its_middle():
    pytest.skip("{reason}")

def test_by_a_fixture(tool): ...
"""


@pytest.mark.parametrize(
    ("reason", "ci", "expected"),
    [
        ("libespeak-ng is missing; apt-get install espeak-ng", "true", "1 failed, 2 errors"),
        ("libespeak-ng is missing; apt-get install espeak-ng", "", "3 skipped"),
        ("the real recordings are not at hand", "true", "3 skipped"),
    ],
)
def test_a_missing_tool_fails_where_all_are_to_be_there(reason: str, ci: str, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "test_tools.py"  # in a folder whose name says "missing", which decides nothing
    path.write_text(EVERY_WAY.format(reason=reason), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-p", "no:cacheprovider", str(path)]
    environment = os.environ | {"CI": ci, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.stdout.strip().splitlines()[-1].split(" in ")[0] == expected
