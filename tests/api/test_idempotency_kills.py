"""kill -9 of the API at every step of a keyed upload."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import requests

from tests.api.conftest import KEY
from tests.api.test_idempotency import upload

ROOT = Path(__file__).parents[2]
STEPS_AT_MOST = 200

StartServer = Callable[[int], str]


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """Return a function that starts a server which is killed before its n-th step, and returns its root address."""
    environ = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path), "API_KEYS": KEY, "UPLOAD_RATE_LIMIT": "100000"}
    command = [sys.executable, "-m", "tests.api.killed_server"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as forks:
        assert forks.stdin is not None
        assert forks.stdout is not None
        stdin, stdout = forks.stdin, forks.stdout

        def start(steps: int) -> str:
            stdin.write(f"{steps}\n")
            stdin.flush()
            return f"http://127.0.0.1:{int(stdout.readline())}"

        yield start
        stdin.close()
        forks.wait(30)


def count(database: Path, sql: str, *of: str) -> int:
    with closing(sqlite3.connect(database)) as opened:
        return int(opened.execute(sql, of).fetchone()[0])


def test_a_killed_upload_leaves_no_job_or_the_job_with_its_answer(start_server: StartServer, tmp_path: Path) -> None:
    database = tmp_path / "vidprod.sqlite3"
    healthy = start_server(0)
    assert upload(healthy, None).status_code == 202  # so that the file has the broker's tables, too
    outcomes = set()
    for steps in range(1, STEPS_AT_MOST):
        key = str(uuid.uuid4())
        root = start_server(steps)
        try:
            told = upload(root, key, title=key).json()
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
            told = None
        made = count(database, "SELECT count(*) FROM jobs WHERE title = ?", key)
        again = upload(healthy, key, title=key)

        where = f"killed before step {steps}"
        assert again.status_code == 202, f"{where}: {again.text}"
        assert bool(made) == (again.headers.get("Idempotent-Replayed") == "true"), where
        assert told in (None, again.json()), where
        assert count(database, "SELECT count(*) FROM jobs WHERE title = ?", key) == 1, where
        job_id = again.json()["job_id"]
        assert count(database, "SELECT count(*) FROM broker_messages WHERE instr(body, ?)", job_id) == 1, where
        assert (tmp_path / "uploads" / job_id / "source").is_file(), where
        outcomes.add((bool(made), told is not None))
        if told is not None:
            break
    assert {(False, False), (True, False), (True, True)} == outcomes
    assert steps > 15  # the steps are really counted
    adopted = sweep_and_adopt_all(tmp_path)
    assert adopted.count("the client got no answer") > 3  # uploads that were complete when the process was killed
    assert count(database, "SELECT count(*) - count(DISTINCT title) FROM jobs WHERE title != ''") == 0, adopted


def sweep_and_adopt_all(data_dir: Path) -> str:
    """Sweep as at a start, then adopt all; return the output of the command."""
    environ = {"PATH": os.environ["PATH"], "DATA_DIR": str(data_dir), "API_KEYS": KEY}
    sweep = (
        "from api import __main__; from api.uploads import incomplete; incomplete.delete_incomplete(__main__.context())"
    )
    subprocess.run([sys.executable, "-c", sweep], cwd=ROOT, env=environ, check=True, capture_output=True)
    command = [sys.executable, "-m", "scripts.machine.adopt", "--all"]
    ran = subprocess.run(command, cwd=ROOT, env=environ, check=False, capture_output=True, text=True)
    assert (ran.returncode, "Traceback" in ran.stderr) == (0, False), ran.stderr
    return ran.stdout
