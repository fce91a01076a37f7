"""A machine with wrong settings of its storage does not start, and says which; one whose storage is down starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.machine.launch import NO_STORAGE
from scripts.machine.serve import NoStorage, migrate
from tests.support.object_store import ObjectStore

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def environ(server: ObjectStore, tmp_path: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path / "data"), **server.environ("start")}


def _migrate(environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    Path(environ["DATA_DIR"]).mkdir(exist_ok=True)
    command = [sys.executable, "-m", "scripts.machine.migrate"]
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=120)


def test_a_storage_in_order_starts_in_silence(environ: dict[str, str]) -> None:
    ran = _migrate(environ)
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"FILES_URL": "s3://another-bucket/start"}, "NoSuchBucket"),
        ({"AWS_SECRET_ACCESS_KEY": "another-secret"}, "SignatureDoesNotMatch"),
    ],
)
def test_wrong_settings_are_refused_with_the_reason(
    environ: dict[str, str], changes: dict[str, str], reason: str
) -> None:
    ran = _migrate(environ | changes)
    assert ran.returncode == NO_STORAGE
    assert ran.stderr.startswith(f"FILES_URL {(environ | changes)['FILES_URL']} cannot be used: ")
    assert reason in ran.stderr
    assert "another-secret" not in ran.stderr


def test_a_start_ends_there(environ: dict[str, str], capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(NoStorage):
        migrate(environ | {"FILES_URL": "s3://another-bucket/start"})
    assert "NoSuchBucket" in capfd.readouterr().err


def test_a_storage_that_does_not_answer_is_waited_for(environ: dict[str, str]) -> None:
    ran = _migrate(environ | {"S3_ENDPOINT_URL": "http://127.0.0.1:1"})
    assert ran.returncode == 0
    assert "does not answer" in ran.stderr
