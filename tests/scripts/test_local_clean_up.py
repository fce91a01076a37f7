"""Each process that a machine may consist of deletes the given up uploads of its disk, with several machines."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.local.ports import free_ports
from tests.postgresql_server import PostgresqlServer
from tests.support.postgresql_machine import SECRETS, database_url, make_template
from tests.support.waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]
DAY_S = 86_400
NO_ANSWER = "http://127.0.0.1:1"  # nothing of this needs the storage


@pytest.fixture(scope="module")
def database(postgresql_server: PostgresqlServer) -> str:
    return database_url(postgresql_server, make_template(postgresql_server))


@pytest.fixture
def environ(database: str, tmp_path: Path) -> dict[str, str]:
    return {
        **SECRETS, "PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path), "DATABASE_URL": database,
        "PORT": str(free_ports(1)[0]),
        "FILES_URL": "s3://videos/local-clean-up", "S3_ENDPOINT_URL": NO_ANSWER,
        "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret",
    }  # fmt: skip


def _upload(data_dir: Path, name: str, age_s: float) -> Path:
    """Return the received bytes of a resumable upload that nothing has arrived of for some time."""
    directory = data_dir / "uploads" / f"job_{name * 32}"
    directory.mkdir(parents=True)
    (directory / ".tus.json").write_text('{"length": 1000, "metadata": null, "concat": null, "maximum": null}')
    incoming = directory / ".incoming"
    incoming.write_bytes(b"video")
    os.utime(incoming, (time.time() - age_s,) * 2)
    return incoming


@contextlib.contextmanager
def _running(module: str, environ: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", module], cwd=ROOT, env=environ, stdout=output, stderr=output
        )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.parametrize("module", ["api", "scripts.machine.network_worker", "scripts.machine.media_worker"])
def test_a_machine_with_one_service_deletes_its_given_up_uploads(
    module: str, environ: dict[str, str], tmp_path: Path
) -> None:
    given_up, recent = _upload(tmp_path, "0", 1.1 * DAY_S), _upload(tmp_path, "1", 0.9 * DAY_S)
    log = tmp_path / "process.log"
    with _running(module, environ, log) as process:
        wait_for(lambda: not given_up.exists() or process.poll() is not None, "the upload to be deleted", 30)
    assert not given_up.exists(), log.read_text()
    assert recent.exists()
    assert process.returncode == 0, log.read_text()
