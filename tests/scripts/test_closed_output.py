"""Commands whose output is read by another one that ends early, such as `head`, say nothing about it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.machine import command
from tests.scripts.test_doctor import KEY, ROOT, data

__all__ = ["data"]

CLOSED = 141  # what a shell reports of a program that ends by SIGPIPE


def run_unread(data: Path, module: str, *arguments: str, unbuffered: str = "") -> tuple[int, str]:
    """Run a command without a reader of its output; return its exit code and its error messages."""
    reading, writing = os.pipe()
    os.close(reading)
    environ = {"PATH": os.environ["PATH"], "DATA_DIR": str(data), "SECRET_KEY": KEY, "PYTHONUNBUFFERED": unbuffered}
    try:
        ran = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT, env=environ, stdout=writing, stderr=subprocess.PIPE, text=True, check=False, timeout=120,
        )  # fmt: skip
    finally:
        os.close(writing)
    return ran.returncode, ran.stderr


@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("name", ["keys", "doctor"])
def test_a_command_ends_in_silence(data: Path, name: str, unbuffered: str) -> None:
    (data / "api.key").write_text("key-of-the-machine-in-the-test")  # something to list
    (data / "api.key").chmod(0o600)
    assert run_unread(data, f"scripts.machine.{name}", unbuffered=unbuffered) == (CLOSED, "")


def test_the_command_of_the_queue_ends_in_silence(data: Path) -> None:
    assert run_unread(data, "broker", str(data / "vidprod.sqlite3"), "stats") == (CLOSED, "")


def test_a_finished_restore_is_not_called_a_failure(data: Path) -> None:
    kept = data.parent / "kept.sqlite3"
    assert run_unread(data, "scripts.machine.backup", str(kept))[0] == CLOSED
    code, errors = run_unread(data, "scripts.machine.restore", str(kept), unbuffered="1")
    assert (code, errors) == (CLOSED, "")
    assert list(data.glob("vidprod.sqlite3?*")), "no database was put aside"


def test_the_exit_code_of_a_command_is_kept() -> None:
    with pytest.raises(SystemExit) as ended:
        command.exit_with(lambda: 3)
    assert ended.value.code == 3
