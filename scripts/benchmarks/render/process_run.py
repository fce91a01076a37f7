"""Run a process to its end and measure its CPU time, its memory and its output."""

import json
import os
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import imageio_ffmpeg

from media.process.runner import SINGLE_THREADED

ROOT = Path(__file__).resolve().parents[3]
LOOK_EVERY_S = 0.02
STAGES = ("decode", "stage", "encode", "sound")  # of the gaze child's own count; they do not overlap


@dataclass(frozen=True)
class Run:
    """CPU time, memory and output of one process."""

    cpu_s: float
    wall_s: float
    peak_rss_mib: float
    peak_own_mib: float  # memory that the kernel cannot drop, which is what a small machine runs out of
    said: dict[str, Any] = field(default_factory=dict)  # Any: the process's JSON

    def a_minute_s(self, duration_s: float) -> float:
        """Return the CPU seconds for a minute of such video: the start once, the work scaled."""
        work_s = self.said.get("work_s", self.cpu_s)
        return float((self.cpu_s - work_s) + work_s * 60 / duration_s)


def ffmpeg(*arguments: str | Path, loud: bool = False) -> str:
    """Run the ffmpeg of imageio-ffmpeg and return its error output; raise an exception if it fails."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "info" if loud else "error", *map(str, arguments)]
    done = subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return done.stderr


def measured(command: list[str]) -> Run:
    """Run a process to its end, with the environment of media children; exit with its errors if it fails."""
    began = time.monotonic()
    environment = os.environ | SINGLE_THREADED
    child = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    peak = _Peak(child.pid)
    assert child.stdout is not None
    assert child.stderr is not None
    errors: list[str] = []
    listener = threading.Thread(target=lambda: errors.append(child.stderr.read() if child.stderr else ""))
    listener.start()
    lines = child.stdout.read().splitlines()
    listener.join()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    peak.stop()
    if child.returncode:
        raise SystemExit(f"{' '.join(command)} failed: {errors[0][-2000:]}")
    return Run(
        cpu_s=usage.ru_utime + usage.ru_stime,
        wall_s=time.monotonic() - began,
        peak_rss_mib=usage.ru_maxrss / 1024,
        peak_own_mib=peak.mib,
        said=_result(lines),
    )


def _result(lines: list[str]) -> dict[str, Any]:  # Any: JSON
    if not lines or not lines[-1].startswith("{"):
        return {}
    said: dict[str, Any] = json.loads(lines[-1])
    said = said.get("result", said)
    if "stages_s" in said:
        said["work_s"] = sum(said["stages_s"][name] for name in STAGES)
    return said


class _Peak:
    """Samples the private memory of a process while it runs."""

    def __init__(self, pid: int) -> None:
        self.mib = 0.0
        self._status = Path(f"/proc/{pid}/status")
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        while not self._over.wait(LOOK_EVERY_S):
            try:
                lines = self._status.read_text().splitlines()
            except OSError:
                return
            held = sum(int(line.split()[1]) for line in lines if line.startswith(("RssAnon:", "RssShmem:")))
            self.mib = max(self.mib, held / 1024)

    def stop(self) -> None:
        """Stop sampling."""
        self._over.set()
        self._thread.join()
