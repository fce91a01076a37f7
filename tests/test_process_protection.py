"""The secrets of a process that stays: neither other processes of its user nor the programs it starts get them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import settings
from scripts.machine import launch
from scripts.machine.child import ROOT
from tests.support.waiting import wait_for

SECRET = "hunter2-hunter2-hunter2"
# Waits until its standard input is closed, so that the test can look at it.
REPORT = """
import ctypes, json, os, subprocess, sys
import process_protection, settings
read = settings.read(os.environ)
process_protection.remove_secrets(settings.secret_names())
process_protection.forbid_inspection()
started = subprocess.run([sys.executable, "-c", "import os; print(sorted(os.environ))"], capture_output=True, text=True)
print(json.dumps({
    "key": read.secret_key.get_secret_value(), "environ": sorted(os.environ), "started": started.stdout,
    "initial": open("/proc/self/environ", errors="replace").read(), "dumpable": ctypes.CDLL(None).prctl(3, 0, 0, 0, 0),
}), flush=True)
sys.stdin.read()
"""
# As the image's user: root reads everything. A change of user forbids inspection by itself, so it is allowed again.
AS_A_USER = """
import ctypes, os, sys, process_protection
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
"""


def _report(code: str, environ: dict[str, str], **options: Any) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=environ, cwd=ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options,
    )  # fmt: skip
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())


@pytest.fixture
def environ() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "SECRET_KEY": SECRET, "API_KEYS": SECRET, "TIKTOK_CLIENT_KEY": "an id",
            "TIKTOK_CLIENT_SECRET": SECRET}  # fmt: skip


def test_secrets_are_gone_from_the_environment_after_they_were_read(environ: dict[str, str]) -> None:
    process, report = _report(REPORT, environ)
    process.communicate()
    assert report["key"] == SECRET
    assert SECRET not in report["initial"]
    assert "SECRET_KEY=" in report["initial"]  # the name stays: only the value is a secret
    assert not {"SECRET_KEY", "API_KEYS", "TIKTOK_CLIENT_SECRET"} & {*report["environ"]}
    assert "TIKTOK_CLIENT_KEY" in report["environ"]
    assert "SECRET_KEY" not in report["started"]


def test_a_secret_from_a_file_leaves_no_path_behind(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(SECRET)
    process, report = _report(REPORT, {"PATH": os.environ["PATH"], "SECRET_KEY_FILE": str(file)})
    process.communicate()
    assert report["key"] == SECRET
    assert "SECRET_KEY_FILE" not in report["environ"]


def test_every_secret_setting_is_known_as_one() -> None:
    assert {"SECRET_KEY", "API_KEYS", "SENTRY_DSN", "TIKTOK_CLIENT_SECRET"} <= settings.secret_names()
    assert not {"DATA_DIR", "PUBLIC_URL", "TIKTOK_CLIENT_KEY"} & settings.secret_names()


@pytest.mark.parametrize("name", ["environ", "mem", "maps", "fd"])
@pytest.mark.parametrize(("protect", "expected"), [("process_protection.forbid_inspection()", False), ("pass", True)])
def test_another_process_of_the_same_user_reads_nothing(name: str, protect: str, *, expected: bool) -> None:
    process, _ = _report(f"{AS_A_USER}{protect}\nprint('[]', flush=True)\nsys.stdin.read()", dict(os.environ))
    path = f"/proc/{process.pid}/{name}"
    attack = f"{AS_A_USER}os.listdir({path!r}) if os.path.isdir({path!r}) else open({path!r}, 'rb')\nprint('read')"
    attacker = subprocess.run([sys.executable, "-c", attack], cwd=ROOT, capture_output=True, text=True, check=False)
    process.communicate()
    assert ("read" in attacker.stdout, "PermissionError" in attacker.stderr) == (expected, not expected)


def test_a_service_gets_the_secrets_and_is_never_seen_with_them(environ: dict[str, str], tmp_path: Path) -> None:
    """Also at its start, before its own code runs."""
    (tmp_path / "service_on_trial.py").write_text(REPORT.replace("sys.stdin.read()", ""))
    reading, writing = os.pipe()
    log = tmp_path / "log"
    environ["PYTHONPATH"] = str(tmp_path)
    with log.open("wb") as output:
        process = launch.start(["service_on_trial"], environ, parent_pipe=reading, log=output)
    seen = Path(f"/proc/{process.pid}/environ").read_bytes()
    wait_for(lambda: process.poll() is not None, "the service")
    for end in (reading, writing):
        os.close(end)
    report = json.loads(log.read_text())
    assert (report["key"], report["dumpable"]) == (SECRET, 0)
    assert SECRET.encode() not in seen
    assert SECRET not in report["initial"]
