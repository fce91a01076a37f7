"""Hostile code in a real media child: nothing that `attacks` tries succeeds, and its work still gets done."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import loguru
import pytest

from media.process import landlock, runner
from tests.media.process import attacks

PROJECT = Path(runner.__file__).resolve().parents[2]
SECRET = "hunter2-hunter2-hunter2"
NOBODY = 65534
LEFT_BEHIND = (Path("/tmp/attacked"), Path("/dev/shm/attacked"))
COMMAND = """
import argparse, sys
from pathlib import Path
from media.process import child
parser = argparse.ArgumentParser()
parser.add_argument("source", type=Path)
parser.add_argument("out", type=Path)
parser.add_argument("data", type=Path)
{prepared}
sys.exit(child.run_stage(parser, "media.attacks:work", reads=["source"], writes=["out"]))
"""
# The parent of the child, as a worker is: it forbids its inspection, and had a secret in its environment.
WORKER = """
import json, sys
from pathlib import Path
import process_protection
from media.process import runner
process_protection.forbid_inspection()
root, data = map(Path, sys.argv[1:])
runner.ROOT = root
out = data / "jobs/own/part-002.mp4"
arguments = [str(data / "uploads/own/source.mp4"), str(out), str(data)]
print(json.dumps(runner.run("attacked", arguments, deadline_s=60, outputs=[out])))
"""
WITHOUT_LANDLOCK = "from media.process import landlock\nlandlock.CREATE_RULESET = 10_000"  # a call that no kernel has


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Serve HTTP on a loopback port."""
    http = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    yield http.server_address[1]
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Return a directory that other users can enter, unlike pytest's, and whose new files they can read."""
    before = os.umask(0o022)  # `actors.wiring`, which other tests import, sets 077
    made = Path(tempfile.mkdtemp(prefix="attacks-"))
    made.chmod(0o755)
    yield made
    os.umask(before)
    shutil.rmtree(made)


@pytest.fixture(scope="module", params=["this user", "the image's user"])
def attacked(request: pytest.FixtureRequest, folder: Path, port: int) -> tuple[Path, dict[str, Any]]:
    """Run all attacks; return the data directory and the child's result."""
    as_nobody = request.param == "the image's user"
    if as_nobody and os.geteuid() != 0:
        pytest.skip("only root can become another user")
    return _run(folder / request.param, port, as_nobody=as_nobody)


def _run(folder: Path, port: int, *, as_nobody: bool, prepared: str = "") -> tuple[Path, dict[str, Any]]:
    python = _system_python() if as_nobody else sys.executable
    root, data = folder / "root", folder / f"data-{port}"
    _write_stage(root, prepared)
    _write_data(data)
    for path in LEFT_BEHIND:
        path.unlink(missing_ok=True)
    before = []
    if as_nobody:
        subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", str(data)], check=True)
        before = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    packages = Path(loguru.__file__).parents[1]
    done = subprocess.run(
        [*before, python, "-c", WORKER, str(root), str(data)],
        cwd=PROJECT,
        env={"PATH": os.environ["PATH"], "SECRET_KEY": SECRET, "PYTHONPATH": f"{PROJECT}:{packages}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    assert result["uid"] == (NOBODY if as_nobody else os.getuid())
    return data, result


def _system_python() -> str:
    """Return a Python that another user can run; this one may be in a home directory."""
    found = shutil.which("python3", path="/usr/bin")
    if found is None or shutil.which("setpriv") is None:
        pytest.skip("setpriv or a Python for all users is missing")
    version = subprocess.run([found, "-c", "import sys; print(sys.version_info >= (3, 11))"], capture_output=True)  # noqa: PLW1510
    if version.stdout.strip() != b"True":
        pytest.skip("the Python for all users is older than 3.11")
    return found


def _write_stage(root: Path, prepared: str) -> None:
    package = root / "media"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(f"__path__.append({str(PROJECT / 'media')!r})\n", encoding="utf-8")
    (package / "attacked.py").write_text(COMMAND.format(prepared=prepared), encoding="utf-8")
    shutil.copy(attacks.__file__, package / "attacks.py")


def _write_data(data: Path) -> None:
    for name in ("uploads/own/source.mp4", "uploads/other/source.mp4", "jobs/own/part-001.mp4",
                 "jobs/other/part-001.mp4", "secret.key"):  # fmt: skip
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_text(f"content of {name}")
    connection = sqlite3.connect(data / "vidprod.sqlite3")
    connection.execute("CREATE TABLE jobs (id)")
    connection.close()


@pytest.mark.skipif(landlock.missing() is not None, reason="Landlock is missing in this kernel")
def test_no_attack_succeeds(attacked: tuple[Path, dict[str, Any]]) -> None:
    found = attacked[1]["attacks"]
    assert len(found) > 100
    assert {name: why for name, why in found.items() if why is None} == {}


def test_the_refusals_are_the_systems(attacked: tuple[Path, dict[str, Any]]) -> None:
    """An attack with a mistake of its own would be refused as well."""
    others = {
        name: why
        for name, why in attacked[1]["attacks"].items()
        if why is not None
        and not any(words in why for words in ("[Errno 1]", "[Errno 13]", "[Errno 38]", "not allowed to raise"))
    }
    assert others == {
        "make_giant_sparse_file": "OSError: [Errno 27] File too large",
        "write_far_behind_the_end": "OSError: [Errno 27] File too large",
        "write_database": "OperationalError: unable to open database file",
    }


def test_the_child_has_no_secret_and_does_its_work(attacked: tuple[Path, dict[str, Any]]) -> None:
    data, result = attacked
    assert SECRET not in json.dumps(result["environ"])
    assert (data / "jobs/own/part-002.mp4").read_text() == "content of uploads/own/source.mp4"


def test_nothing_has_changed_and_nothing_is_left(attacked: tuple[Path, dict[str, Any]]) -> None:
    data, result = attacked
    files = {str(path.relative_to(data)): path for path in data.rglob("*") if path.is_file()}
    assert set(files) == {
        "uploads/own/source.mp4", "uploads/other/source.mp4", "jobs/own/part-001.mp4", "jobs/own/part-002.mp4",
        "jobs/other/part-001.mp4", "secret.key", "vidprod.sqlite3",
    }  # fmt: skip
    assert [name for name, path in files.items() if b"attacked" in path.read_bytes()] == []
    assert not Path("/proc", str(result["pid"])).exists()
    assert not [path for path in LEFT_BEHIND if path.exists()]


def test_without_landlock_files_are_open_and_all_else_is_refused(folder: Path, port: int) -> None:
    """It also shows that the attacks on files work where nothing refuses them."""
    _, result = _run(folder / "without", port, as_nobody=False, prepared=WITHOUT_LANDLOCK)
    for path in LEFT_BEHIND:
        path.unlink(missing_ok=True)
    succeeded = {name for name, why in result["attacks"].items() if why is None}
    on_files = {
        "read_database", "read_another_upload", "read_secret_key", "read_passwords", "list_data",
        "list_the_project", "overwrite_part_of_another_job", "overwrite_other_part_of_this_job",
        "add_file_to_another_job", "change_the_source", "make_directory_in_another_job",
        "make_ten_thousand_files", "make_file_in_tmp", "make_file_in_shared_memory", "attack_from_a_thread",
    }  # fmt: skip
    assert on_files <= succeeded
    others = {
        "delete_part_of_another_job", "move_part_of_another_job", "rename_the_output", "remove_the_attempt_directory",
        "use_a_device", "make_file_without_a_name", "parent's cmdline", "parent's status", "parent's task",
        "parent's fd",  # as root, and no more than its numbers
    }  # fmt: skip
    assert succeeded - on_files - others == set()
