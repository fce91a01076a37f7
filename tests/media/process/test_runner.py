"""A child returns a result or an error, is killed at its limits, and never outlives its parent."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
from itertools import count
from pathlib import Path

import pytest

from media.process import runner
from media.process.protocol import EXIT_INTERNAL_ERROR
from media.process.thrashing import MAX_MAJOR_FAULTS
from tests.support.waiting import wait_for

PROJECT = Path(runner.__file__).resolve().parents[2]
STAGE_MODULE = """
import argparse, sys
from pathlib import Path
from media.process import child
parser = argparse.ArgumentParser()
parser.add_argument("what")
parser.add_argument("folder", nargs="?", type=Path)
parser.add_argument("--out", type=Path)
parser.add_argument("--text")
sys.exit(child.run_stage(parser, "media.trial_work:work", fills=["folder"], writes=["out"]))
"""
WORK = """
import ctypes, os, pathlib, sys, time
from media.errors import Refused
from media.process.files import atomic_write

def work(options, progress):
    return globals()[options.what](options, progress)

def answer(options, progress):
    progress(0.5)
    print("a library prints to standard output")
    return {"environment": sorted(os.environ), "cwd": os.getcwd(), "leader": os.getsid(0) == os.getpid(),
            "files": sorted(os.listdir("/proc/self/fd")), "badness": open("/proc/self/oom_score_adj").read().strip(),
            "huge_pages": "THP_enabled:\\t1" in open("/proc/self/status").read()}

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
    hoard = bytearray(200 << 20)  # the child's own limit is 256 MB above the parent's
    hoard[::4096] = b"x" * len(hoard[::4096])
    time.sleep(60)

def swell_by_page_tables(options, progress):
    import mmap
    nothing = mmap.mmap(-1, 1 << 38, flags=mmap.MAP_PRIVATE | 0x4000, prot=mmap.PROT_READ)  # MAP_NORESERVE
    for place in range(0, 1 << 38, 2 << 20):
        nothing[place]
    time.sleep(60)

def start_threads(options, progress):
    import threading
    threading.stack_size(32 << 10)
    for _ in range(400):
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    time.sleep(60)

def say(options, progress):
    stream = progress.__self__._stream
    stream.write(eval(options.text))
    stream.flush()
    os._exit(0)

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

def wait_in_native_code(options, progress):
    pathlib.Path(options.folder, "pid").write_text(str(os.getpid()))
    getattr(ctypes.PyDLL(None), "sleep")(60)  # keeps the interpreter lock

def take_an_odd_name(options, progress):
    for name in (b"\\xff\\xfe", b"\\x0cThreads: x", b"\\x0cVmSwap:"):
        assert ctypes.CDLL(None).prctl(15, name, 0, 0, 0) == 0  # PR_SET_NAME
        time.sleep(0.5)
    return {}

def close_the_pipe(options, progress):
    os.closerange(3, 256)
    pathlib.Path(options.folder, "pid").write_text(str(os.getpid()))
    time.sleep(60)

def write(options, progress):
    with atomic_write(pathlib.Path(options.out)) as temporary:
        temporary.write_text("whole")
    return {"path": str(options.out)}

def write_and_fail(options, progress):
    with atomic_write(pathlib.Path(options.out)) as temporary:
        temporary.write_text("half")
        raise RuntimeError("a programming error")
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
    assert not result["huge_pages"]
    assert not [name for name in result["environment"] if "SECRET" in name or "KEY" in name or name.endswith("_URL")]
    assert (
        len(result["files"]) <= 9
    )  # three standard ones, the pipe's, the protocol's, the listing's, scratch, /proc/self


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


@pytest.mark.parametrize("how", ["swell", "swell_behind_the_limit", "swell_by_page_tables"])
def test_too_much_memory_is_told_as_such(how: str) -> None:
    with pytest.raises(runner.OutOfMemory):
        runner.run("trial", [how], deadline_s=30, memory_bytes=120 << 20)


def test_a_child_that_waits_for_its_own_pages_is_short_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = count(0, MAX_MAJOR_FAULTS)
    monkeypatch.setattr(runner, "major_faults", lambda _: next(counts))
    with pytest.raises(runner.OutOfMemory, match="waits for its own pages"):
        runner.run("trial", ["wait"], deadline_s=60)


@pytest.mark.parametrize("how", ["wait", "spin"])
def test_the_deadline_really_ends_the_work(how: str) -> None:
    began = time.monotonic()
    with pytest.raises(runner.DeadlineExceeded):
        runner.run("trial", [how], deadline_s=1)
    assert time.monotonic() - began < 5


def test_the_limit_of_cpu_time_ends_the_work_before_its_deadline() -> None:
    with pytest.raises(runner.DeadlineExceeded):
        runner.run("trial", ["spin"], deadline_s=300, cpu_s=1)


def test_the_deadline_ends_a_child_that_is_stopped() -> None:
    """It answers to nothing; the parent's own clock and SIGKILL are enough."""
    children: set[int] = set()

    def stop_it() -> bool:
        for task in Path("/proc/self/task").iterdir():
            for pid in map(int, (task / "children").read_text().split()):
                if b"trial" in Path(f"/proc/{pid}/cmdline").read_bytes() and pid not in children:
                    os.kill(pid, signal.SIGSTOP)
                    children.add(pid)
        return False

    began = time.monotonic()
    with pytest.raises(runner.DeadlineExceeded):
        runner.run("trial", ["wait"], deadline_s=2, stop=stop_it)
    assert time.monotonic() - began < 6
    assert len(children) == 1
    assert not Path(f"/proc/{children.pop()}").exists()


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


def test_a_folder_that_was_deleted_is_told_as_a_missing_file(tmp_path: Path) -> None:
    """As it is when the folder is deleted while the child runs: the job was cancelled."""
    target = tmp_path / "deleted" / "part-001.mp4"
    with pytest.raises(runner.Refused, match="no_such_file"):
        runner.run("trial", ["write", "--out", str(target)], deadline_s=20, outputs=[target])


def test_output_files_that_cannot_be_made_are_a_failed_attempt(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    target = tmp_path / "file" / "part-001.mp4"
    with pytest.raises(runner.ChildFailed, match="no output files"):
        runner.run("trial", ["write", "--out", str(target)], deadline_s=20, outputs=[target])


@pytest.mark.parametrize(
    "text",
    [
        "'word\\n'",
        "'5\\n'",
        "'[' * 200_000 + '\\n'",
        "'{\"progress\": {}}\\n'",
        "'{\"progress\": 1' + '0' * 400 + '}\\n'",
        "'x' * (17 << 20)",
    ],
)
def test_a_child_that_speaks_another_language_has_failed(text: str) -> None:
    """Not the worker: code in a decoder could write anything."""
    with pytest.raises(runner.ChildFailed, match="not the protocol"):
        runner.run("trial", ["say", "--text", text], deadline_s=30)


def test_a_line_that_would_need_much_memory_is_not_read() -> None:
    """Empty lists in JSON take 24 times as much memory as their text: 16 MB of them took 400 MB of the worker."""
    text = "'{\"result\": {\"a\": [' + '[],' * (1 << 20) + '0]}}\\n'"
    tracemalloc.start()
    try:
        with pytest.raises(runner.ChildFailed, match="not the protocol"):
            runner.run("trial", ["say", "--text", text], deadline_s=30)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_sentences_of_a_child_have_a_length_that_can_be_stored_and_shown() -> None:
    message = "'{\"refused\": {\"code\": \"' + 'c' * 10_000 + '\", \"detail\": \"' + 'd' * 500_000 + '\"}}\\n'"
    with pytest.raises(runner.Refused) as refused:
        runner.run("trial", ["say", "--text", message], deadline_s=30)
    assert len(refused.value.code) <= 100
    assert len(refused.value.detail) <= 2000
    internal = "'{\"internal_error\": \"' + 'e' * 500_000 + '\"}\\n'"
    with pytest.raises(runner.InternalError) as error:
        runner.run("trial", ["say", "--text", internal], deadline_s=30)
    assert len(error.value.exception) <= 2000


@pytest.mark.parametrize(
    "message",
    ['{"result": 5}', '{"refused": {"code": []}}', '{"progress": -1}', '{"progress": NaN}', "[]", '{"else": {}}'],
)
def test_a_message_without_its_content_is_no_result(message: str) -> None:
    with pytest.raises(runner.ChildFailed):
        runner.run("trial", ["say", "--text", repr(message + chr(10))], deadline_s=30)


def test_a_child_with_too_many_threads_is_ended() -> None:
    with pytest.raises(runner.ChildFailed, match="threads"):
        runner.run("trial", ["start_threads"], deadline_s=30)


def test_an_output_is_written_elsewhere_and_renamed_when_the_child_has_ended(tmp_path: Path) -> None:
    target = tmp_path / "part-001.mp4"
    target.write_text("of the attempt before")
    result = runner.run("trial", ["write", "--out", str(target)], deadline_s=20, outputs=[target])
    assert Path(result["path"]).parent.parent == tmp_path
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("part-001.mp4", "whole")]


def test_a_failed_attempt_leaves_the_output_of_the_one_before(tmp_path: Path) -> None:
    target = tmp_path / "part-001.mp4"
    target.write_text("of the attempt before")
    with pytest.raises(runner.InternalError):
        runner.run("trial", ["write_and_fail", "--out", str(target)], deadline_s=20, outputs=[target])
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("part-001.mp4", "of the attempt before")]


def test_a_name_that_is_no_text_does_not_disturb_the_measurement() -> None:
    """The kernel shows the name of a process in the file with its memory."""
    assert runner.run("trial", ["take_an_odd_name"], deadline_s=30) == {}


@pytest.mark.parametrize("what", ["wait_in_native_code", "close_the_pipe"])
def test_kill_nine_of_the_parent_leaves_no_child(trial_stage: Path, tmp_path: Path, what: str) -> None:
    """Though native code holds its interpreter, or hostile code has closed the pipe of the parent."""
    code = (
        "import sys; from pathlib import Path; from media.process import runner; runner.ROOT = Path(sys.argv[1]);"
        "runner.run('trial', [sys.argv[3], sys.argv[2]], deadline_s=60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(trial_stage), str(tmp_path), what], cwd=PROJECT)
    pid = tmp_path / "pid"
    wait_for(lambda: pid.exists() and pid.read_text(encoding="ascii") != "", "the child")
    child = int(pid.read_text(encoding="ascii"))
    assert not is_gone(child, within_s=0.1)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    assert is_gone(child)


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
