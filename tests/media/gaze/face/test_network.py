"""The gaze child uses no network, and its sandbox forbids it."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from media.process import runner

PROJECT = runner.ROOT
# The sandbox's own filter, but a call that it refuses ends the process at once instead of failing.
DEADLY = """
from pathlib import Path
from media.process import sandbox, syscall_filter
syscall_filter.REFUSE = syscall_filter.KILL_PROCESS
sandbox.enter(sandbox.Limits(), sandbox.FileAccess(read=[Path("/")], create=[Path("/")]))
"""


def under_the_deadly_filter(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", DEADLY + code]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("attempt", ["socket.socket()", "socket.getaddrinfo('example.com', 443)"])
def test_an_attempt_would_be_noticed(attempt: str) -> None:
    assert -signal.SIGSYS == under_the_deadly_filter(f"import socket\n{attempt}").returncode


def test_a_part_is_corrected_without_one_attempt(glance: Path, tmp_path: Path) -> None:
    arguments = [str(glance), str(tmp_path / "o.mp4"), "--report", str(tmp_path / "r.json")]
    arguments += ["--preview", str(tmp_path / "p.jpg"), "--cover", str(tmp_path / "c.jpg")]
    code = (
        "import sys\nfrom media.stages import gaze\nfrom media.gaze.__main__ import parser\n"
        f"facts = gaze.correct(parser().parse_args({arguments!r}), lambda _: None)\n"
        "print(facts['gaze']['corrected'], 'mediapipe' in sys.modules)"
    )
    done = under_the_deadly_filter(code)
    assert (0, "True False") == (done.returncode, done.stdout.strip()), done.stderr


@pytest.mark.slow
def test_mediapipes_own_graph_works_in_the_child_though_it_cannot_call_home(glance: Path, tmp_path: Path) -> None:
    """MediaPipe 1.2 looks up a host of its maker's after start."""
    arguments = [str(glance), str(tmp_path / "o.mp4"), "--engine", "mediapipe"]
    result = runner.run("gaze", arguments, deadline_s=120)
    assert result["gaze"]["corrected"]
    assert result["gaze"]["median_after_deg"] is None, "what MediaPipe is shown twice it follows twice"
