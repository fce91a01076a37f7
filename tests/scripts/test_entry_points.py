"""Every process creates its files for its own user only, whatever umask it was started with."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from scripts.local.ports import free_ports
from tests.support.waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]
SERVICES = {"scripts.machine.serve", "api", "scripts.machine.network_worker"}
SECRET = "hunter2-hunter2-hunter2"


def umask(pid: int) -> int:
    [mask] = re.findall(r"^Umask:\t(\d+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(mask, 8)


def descendants(pid: int) -> Iterator[tuple[int, str]]:
    """Yield a process and all that descend from it, with their command lines."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
            except OSError:
                continue  # it has ended
            parents[int(entry.name)] = int(fields[1])
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        waiting += [child for child, parent in parents.items() if parent == one]
    for one in found:
        try:
            yield one, Path(f"/proc/{one}/cmdline").read_bytes().decode().replace("\0", " ")
        except FileNotFoundError:
            continue  # it has ended


def test_every_process_of_the_machine_makes_private_files(tmp_path: Path) -> None:
    api, metrics = free_ports(2)
    environ = {
        "PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path / "data"), "PORT": str(api), "METRICS_PORT": str(metrics),
        "ENVIRONMENT": "production", "PUBLIC_URL": "https://vidprod.example.com", "SECRET_KEY": SECRET,
    }  # fmt: skip
    serve = subprocess.Popen(
        [sys.executable, "-m", "scripts.machine.serve"],
        cwd=ROOT, env=environ, stderr=subprocess.PIPE, umask=0o022,
    )  # fmt: skip
    try:
        wait_for(lambda: _answers(api) and SERVICES <= _services(serve.pid), "the machine to start")
        masks = {line: umask(pid) for pid, line in descendants(serve.pid)}
    finally:
        serve.send_signal(signal.SIGTERM)
        serve.communicate(timeout=40)
    assert {line: oct(mask) for line, mask in masks.items() if mask != 0o077} == {}
    files = [path for path in (tmp_path / "data").rglob("*") if path.stat().st_mode & 0o077]
    assert files == []
    assert {"vidprod.sqlite3", "api.key", "machine.lock"} <= {path.name for path in (tmp_path / "data").iterdir()}


def _services(pid: int) -> set[str]:
    return {word for _, line in descendants(pid) for word in line.split() if word in SERVICES}


def _answers(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/health", timeout=5).status_code in {200, 503}
    except requests.RequestException:
        return False


SHOW = "print([line for line in open('/proc/self/status') if line.startswith('Umask')])"


@pytest.mark.parametrize(
    "code",
    [
        # The last thing that each does before it opens the database.
        f"from scripts.machine import adopt, command; command._run = lambda _: {SHOW} or 0; adopt.main([])",
        f"from scripts.machine import retry, command; command._run = lambda _: {SHOW} or 0; retry.main([])",
        f"import scripts.machine.migrate as migrate; migrate.main(); {SHOW}",
        f"import scripts.local.run as run; run.Machine = lambda *_: {SHOW} or exit(0); run.main()",
        f"import api.__main__; {SHOW}",
        f"import actors.worker; {SHOW}",
    ],
    ids=["adopt", "retry", "migrate", "run", "api", "worker"],
)
def test_an_entry_point_that_is_started_alone_makes_private_files(tmp_path: Path, code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT, env={"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path)}, umask=0o022,
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert "Umask:\\t0077" in done.stdout, done.stderr


@pytest.mark.parametrize("module", ["scripts.machine.serve", "scripts.local.run"])
def test_a_supervisor_does_not_import_the_wiring(module: str, tmp_path: Path) -> None:
    """The wiring builds a machine and removes the secrets from the environment, which the services then lack."""
    code = f"import sys, {module}; print('actors.wiring' in sys.modules)"
    environ = {"PATH": "/usr/bin:/bin", "DATA_DIR": str(tmp_path)}
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=True
    )
    assert ran.stdout.strip() == "False"
