"""A child returns a result or an error, is killed at its limits, and never outlives its parent."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from media.process import runner
from media.process.child import EXIT_INTERNAL_ERROR
from tests.support.waiting import wait_for

PROJECT = Path(runner.__file__).resolve().parents[2]
STAGE_MODULE = """
import argparse, sys
from media.process import child
parser = argparse.ArgumentParser()
parser.add_argument("what")
parser.add_argument("folder", nargs="?")
sys.exit(child.run_stage(parser, "media.trial_work:work"))
"""
WORK = """
import ctypes, os, pathlib, subprocess, sys, time
from media.errors import Refused
from media.process.files import atomic_write

def work(options, progress):
    return globals()[options.what](options, progress)

def answer(options, progress):
    progress(0.5)
    print("a library prints to standard output")
    return {"environment": sorted(os.environ), "cwd": os.getcwd(), "leader": os.getsid(0) == os.getpid(),
            "files": sorted(os.listdir("/proc/self/fd")), "badness": open("/proc/self/oom_score_adj").read().strip()}

def refuse(options, progress):
    raise Refused("too_long", "The video lasts 4 hours; 3 are allowed.")

def crash(options, progress):
    sys.stderr.write("the codec is about to fail\\n")
    ctypes.string_at(0)

def fail(options, progress):
    raise RuntimeError("a programming error")

def swell(options, progress):
    hoard = [bytearray(1 << 20) for _ in range(4096)]
    return {}

def swell_behind_the_limit(options, progress):
    import mmap, resource
    shared = mmap.mmap(-1, 1 << 30)  # shared memory is not in the data segment; only the parent sees it
    for place in range(0, 1 << 30, 4096):
        shared[place] = 1
    return {}

def wait(options, progress):
    time.sleep(60)

def hang_at_the_end(options, progress):
    progress(1.0)
    time.sleep(60)

def spin(options, progress):
    while True:
        pass

def write_and_wait(options, progress):
    with atomic_write(pathlib.Path(options.folder, "out.mp4")) as temporary:
        temporary.write_bytes(b"half")
        pathlib.Path(options.folder, "ready").write_text("yes")
        time.sleep(60)

def start_and_wait(options, progress):
    other = subprocess.Popen(["sleep", "60"])
    pathlib.Path(options.folder, "pids").write_text(f"{os.getpid()} {other.pid}")
    getattr(ctypes.PyDLL(None), "sleep")(60)  # native code that keeps the interpreter lock

def start_and_answer(options, progress):
    return {"pid": subprocess.Popen(["sleep", "60"]).pid}
"""


@pytest.fixture(autouse=True)
def trial_stage(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Add a stage for these tests to a copy of the package `media`."""
    root = tmp_path_factory.mktemp("root")
    (root / "media").mkdir()
    (root / "media" / "__init__.py").write_text(f"__path__.append({str(PROJECT / 'media')!r})\n", encoding="utf-8")
    (root / "media" / "trial.py").write_text(STAGE_MODULE, encoding="utf-8")
    (root / "media" / "trial_work.py").write_text(WORK, encoding="utf-8")
    monkeypatch.setattr(runner, "ROOT", root)
    return root


def is_gone(pid: int, within_s: float = 10.0) -> bool:
    """Return whether a process ends in time; a zombie has ended."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def test_a_result_comes_back_with_progress(monkeypatch: pytest.MonkeyPatch, trial_stage: Path) -> None:
    monkeypatch.setenv("SECRET_KEY", "not for the child")
    shares: list[float] = []
    result = runner.run("trial", ["answer"], deadline_s=20, on_progress=shares.append)
    assert shares == [0.5]
    assert result["cwd"] == str(trial_stage)
    assert result["leader"]
    assert result["badness"] == "1000"
    assert not [name for name in result["environment"] if "SECRET" in name or "KEY" in name or name.endswith("_URL")]
    assert len(result["files"]) <= 7  # the three standard ones, the pipe's, the protocol's, the listing's own


def test_a_refusal_keeps_its_code_and_sentence() -> None:
    with pytest.raises(runner.Refused) as refusal:
        runner.run("trial", ["refuse"], deadline_s=20)
    assert (refusal.value.code, refusal.value.detail) == ("too_long", "The video lasts 4 hours; 3 are allowed.")


def test_a_crash_is_told_with_its_signal_and_last_words() -> None:
    with pytest.raises(runner.ChildFailed) as death:
        runner.run("trial", ["crash"], deadline_s=20)
    assert death.value.signal == signal.SIGSEGV
    assert "about to fail" in death.value.stderr_tail


def test_a_mistake_is_told_with_its_traceback() -> None:
    """An exception in the program is neither a refusal nor a crash in a codec."""
    with pytest.raises(runner.InternalError) as death:
        runner.run("trial", ["fail"], deadline_s=20)
    assert (death.value.exit_code, death.value.signal) == (EXIT_INTERNAL_ERROR, None)
    assert "a programming error" in death.value.stderr_tail


@pytest.mark.parametrize("how", ["swell", "swell_behind_the_limit"])
def test_too_much_memory_is_told_as_such(how: str) -> None:
    with pytest.raises(runner.OutOfMemory):
        runner.run("trial", [how], deadline_s=30, memory_bytes=120 << 20)


@pytest.mark.parametrize("how", ["wait", "spin"])
def test_the_deadline_really_ends_the_work(how: str) -> None:
    began = time.monotonic()
    with pytest.raises(runner.DeadlineExceeded):
        runner.run("trial", [how], deadline_s=1)
    assert time.monotonic() - began < 5


def test_a_stop_ends_the_work_and_removes_what_was_half_written(tmp_path: Path) -> None:
    stop = threading.Event()
    (tmp_path / ".out.mp4.999999999.part").write_bytes(b"of a process that was killed with its parent")

    def stop_when_ready() -> None:
        wait_for((tmp_path / "ready").exists, "the child")
        stop.set()

    watcher = threading.Thread(target=stop_when_ready)
    watcher.start()
    with pytest.raises(runner.Stopped):
        runner.run("trial", ["write_and_wait", str(tmp_path)], deadline_s=30, stop=stop.is_set)
    watcher.join()
    assert [path.name for path in tmp_path.iterdir()] == ["ready"]


def test_what_a_child_started_ends_with_it() -> None:
    assert is_gone(runner.run("trial", ["start_and_answer"], deadline_s=20)["pid"])


def test_kill_nine_of_the_parent_leaves_no_child(trial_stage: Path, tmp_path: Path) -> None:
    """Neither the child, though native code holds its interpreter, nor the program that it started."""
    code = (
        "import sys; from pathlib import Path; from media.process import runner; runner.ROOT = Path(sys.argv[1]);"
        "runner.run('trial', ['start_and_wait', sys.argv[2]], deadline_s=60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(trial_stage), str(tmp_path)], cwd=PROJECT)
    pids = tmp_path / "pids"
    wait_for(lambda: pids.exists() and len(pids.read_text(encoding="ascii").split()) == 2, "two processes")
    child, other = map(int, pids.read_text(encoding="ascii").split())
    assert not is_gone(child, within_s=0.1)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    assert is_gone(child)
    assert is_gone(other)


def test_the_runner_loads_no_video_library() -> None:
    code = "import sys, media.process.runner; print(sorted({n.split('.')[0] for n in sys.modules} & set(sys.argv[1:])))"
    heavy = ["av", "cv2", "mediapipe", "moviepy", "numpy"]
    said = subprocess.run([sys.executable, "-c", code, *heavy], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


@pytest.mark.parametrize("number", [errno.ENOMEM, errno.EAGAIN])
def test_a_machine_without_room_for_a_child_is_short_of_memory(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def no_room(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(subprocess, "Popen", no_room)
    with pytest.raises(runner.OutOfMemory):
        runner.run("trial", ["answer"], deadline_s=20)


def test_a_child_that_is_done_and_does_not_end_is_ended() -> None:
    with pytest.raises(runner.DeadlineExceeded):
        runner.run("trial", ["hang_at_the_end"], deadline_s=2)


def test_what_is_known_of_a_lack_of_memory_is_told() -> None:
    with pytest.raises(runner.OutOfMemory) as over:
        runner.run("trial", ["swell_behind_the_limit"], deadline_s=20, memory_bytes=100 << 20)
    assert (over.value.limit_bytes, (over.value.held_bytes or 0) > 100 << 20) == (100 << 20, True)


def test_a_wrong_command_line_is_our_own_mistake() -> None:
    with pytest.raises(runner.ChildFailed) as death:
        runner.run("trial", [], deadline_s=20)
    assert death.value.exit_code == 2
