"""Measure the machine of `scripts/serve` in a control group with little memory, no swap and one core.

First it idles; then it renders a video with gaze correction, while another upload arrives that never ends. The mock
platforms and the client run outside of the group. Without the right to make control groups, nothing is measured.

The code is copied first, so that the pages of its libraries count for the group as on a machine of its own, and not for
processes that have read the same files before; the interpreter's own library is not copied.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from platforms import registry
from scripts.benchmarks.machine.control_group import ControlGroup, NoControlGroup, control_group
from scripts.benchmarks.machine.sampling import Activity, Sampler, activity, processes_of, service_name
from scripts.benchmarks.render.process_run import ffmpeg
from scripts.local.client import Client
from scripts.local.ports import free_ports
from scripts.local.run import development
from scripts.machine.child import ROOT

MIB = 1 << 20
START_WITHIN_S, RENDER_WITHIN_S = 120.0, 3600.0
SETTLE_S = 5.0  # after the start, before the idle machine is measured
ENDED = {"failed", "ready", "done"}
GIVEN_UP = {"memory_short", "time_short", "out_of_memory", "deadline_passed", "crashed", "detector_failed"}
KEY = "a-key-of-the-benchmark"
CODE = ("actors", "api", "broker", "files", "frontend", "media", "platforms", "scripts", "store")
UNUSED = ("mypy*", "imageio_ffmpeg", "pip", "ruff*", "*mypyc*")  # large, of development


@dataclass(frozen=True)
class Conditions:
    """One run."""

    code: Path  # the folder with the code and its .venv
    clip: Path
    memory_mib: int | None
    cores: str
    idle_s: float
    upload_mib_per_s: float


@dataclass(frozen=True)
class Outcome:
    """The result of one run."""

    took_s: float  # until all parts were rendered
    is_complete: bool  # each in full size with gaze correction, and no process was killed


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures of each run; return 1 if a part was not rendered in full or a process was killed."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # removes its processes, groups and files
    with tempfile.TemporaryDirectory(prefix="bench-machine-", dir=options.directory) as name:
        folder = Path(name)
        try:
            with control_group(None, options.cores):
                pass
        except NoControlGroup as missing:
            print(f"Not measured: {missing}")
            return 0
        code = _copy_code(folder) if options.copy else ROOT
        clip = _clip(folder, options)
        limits = [options.memory_mib, *([None] if options.compare else [])]
        outcomes = []
        for run in range(options.runs):
            for limit in limits:
                data = folder / f"data-{run}-{limit}"
                conditions = Conditions(code, clip, limit, options.cores, options.idle_s, options.upload_mib_per_s)
                outcomes.append(_measure(conditions, data))
                shutil.rmtree(data)
        if options.compare:
            ratio = sum(one.took_s for one in outcomes[::2]) / sum(one.took_s for one in outcomes[1::2])
            print(f"\nWith the limit it takes {ratio:.2f} of the time without")
    return 0 if all(one.is_complete for one in outcomes) else 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench machine", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--memory-mib", type=int, default=460, help="limit of all processes together (460)")
    parser.add_argument("--cores", default="0", help="that the processes may use (0)")
    parser.add_argument("--clip", type=Path, help="a video of your own instead of the sample in full HD")
    parser.add_argument("--seconds", type=float, default=12, help="of the sample (12)")
    parser.add_argument("--repeat", type=int, default=1, help="how many times the clip is played in the video (1)")
    parser.add_argument("--idle-s", type=float, default=60.0, help="seconds for which the idle machine is watched (60)")
    parser.add_argument("--upload-mib-per-s", type=float, default=1.0, help="rate of the other upload; 0 for none (1)")
    parser.add_argument("--compare", action="store_true", help="run alternately with and without the limit")
    parser.add_argument("--runs", type=int, default=1, help="number of runs (1)")
    parser.add_argument("--no-copy", dest="copy", action="store_false", help="use the files of this folder")
    parser.add_argument("--directory", type=Path, help="for the copy and the data, 1.5 GB, on a disk (the system's)")
    return parser.parse_args(arguments)


def _copy_code(folder: Path) -> Path:
    """Copy the code with its packages, and drop the pages of the copy."""
    target = folder / "code"
    for name in CODE:
        shutil.copytree(ROOT / name, target / name, symlinks=True)
    for module in ROOT.glob("*.py"):
        shutil.copy2(module, target)
    shutil.copytree(ROOT / ".venv", target / ".venv", symlinks=True, ignore=shutil.ignore_patterns(*UNUSED))
    os.sync()
    for path in target.rglob("*"):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return target


def _clip(folder: Path, options: argparse.Namespace) -> Path:
    source, target = options.clip, folder / "clip.mp4"
    if source is None:
        source = folder / "sample.mp4"
        command = ["-m", "media.sample", str(source), "--width", "1080", "--seconds", str(options.seconds), "--json"]
        subprocess.run([sys.executable, *command], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    ffmpeg("-stream_loop", str(options.repeat - 1), "-i", source, "-c", "copy", target)
    return target


def _measure(conditions: Conditions, data: Path) -> Outcome:
    """Run the machine once, and print its figures."""
    limit = conditions.memory_mib
    print(f"\n{'No limit' if limit is None else f'{limit} MiB'}, cores {conditions.cores}", flush=True)
    with (
        control_group(None if limit is None else limit * MIB, conditions.cores) as group,
        _machine(conditions, data, group) as client,
    ):
        _measure_idle(group, conditions.idle_s)
        with _endless_upload(client, conditions.upload_mib_per_s):
            return _measure_rendering(group, client, conditions.clip)


@contextmanager
def _machine(conditions: Conditions, data: Path, group: ControlGroup) -> Iterator[Client]:
    """Start the mock platforms outside of the group and the machine in it; connect the accounts."""
    data.mkdir()
    api_port, mock_port = free_ports(2)
    environ = development(
        {
            "PATH": os.environ["PATH"],
            "DATA_DIR": str(data),
            "PORT": str(api_port),
            "MOCK_PORT": str(mock_port),
            "API_KEYS": KEY,
            "LOG_LEVEL": "WARNING",
            "SECRET_KEY": "a secret of the benchmark",
        }
    )
    mock = ["-m", "platforms.mock", "--port", environ["MOCK_PORT"], "--directory", str(data / "mock")]
    serve = group.command([str(conditions.code / ".venv/bin/python"), "-m", "scripts.machine.serve"])
    with contextlib.ExitStack() as stack:
        stack.enter_context(_process([sys.executable, *mock], ROOT, environ))
        stack.enter_context(_process(serve, conditions.code, environ))
        client = Client(f"http://127.0.0.1:{environ['PORT']}", KEY)
        deadline = time.monotonic() + START_WITHIN_S
        while not client.healthy():
            if time.monotonic() > deadline:
                raise SystemExit("the machine does not start")
            time.sleep(0.1)
        for platform in registry.NAMES:
            client.connect(platform)
        yield client


@contextmanager
def _process(command: list[str], folder: Path, environ: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen(command, cwd=folder, env=environ)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _measure_idle(group: ControlGroup, seconds: float) -> None:
    time.sleep(SETTLE_S)
    before, began = _activities(group), time.monotonic()
    time.sleep(seconds)
    after, took_s = _activities(group), time.monotonic() - began
    print(f"Idle: anonymous {group.counts().anonymous_bytes / MIB:.1f} MiB")
    _print_processes(group)
    for name in before.keys() & after.keys():
        share = (after[name].cpu_s - before[name].cpu_s) / took_s
        wakeups = (after[name].wakeups - before[name].wakeups) / took_s
        print(f"  {name:42} {share:7.2%} of a core {wakeups:7.1f} wake-ups a second")
    share = sum(after[name].cpu_s - before[name].cpu_s for name in before.keys() & after.keys()) / took_s
    print(f"  {'all':42} {share:7.2%} of a core", flush=True)


def _activities(group: ControlGroup) -> dict[str, Activity]:
    found = {}
    for pid in group.processes():
        with contextlib.suppress(OSError, IndexError):
            found[service_name(pid)] = activity(pid)
    return found


def _print_processes(group: ControlGroup) -> None:
    for one in processes_of(group):
        print(
            f"  {one.name:42} RSS {one.rss / MIB:6.1f}  PSS {one.pss / MIB:6.1f}  anonymous PSS "
            f"{one.anonymous_pss / MIB:6.1f} MiB  {one.threads:3} threads"
        )


def _measure_rendering(group: ControlGroup, client: Client, clip: Path) -> Outcome:
    sampler, began = Sampler(group), time.monotonic()
    job_id = client.upload(clip, {"title": "A talk"}, lambda _: None)
    status = _wait_until_rendered(client, job_id)
    took_s = time.monotonic() - began
    counts = sampler.close()
    print(
        f"Rendered in {took_s:.1f} s: anonymous at the peak {sampler.peak_anonymous_bytes / MIB:.1f} MiB, "
        f"with page cache {sampler.peak_used_bytes / MIB:.1f} MiB, "
        f"{counts.refaulted_pages - sampler.begin.refaulted_pages} pages read again, "
        f"{counts.major_faults - sampler.begin.major_faults} major faults, {counts.oom_kills} killed"
    )
    for one in sampler.at_peak:
        print(f"  {one.name:42} RSS {one.rss / MIB:6.1f}  anonymous PSS {one.anonymous_pss / MIB:6.1f} MiB")
    print(f"  API, RSS at most: {sampler.peak_rss_bytes.get('api', 0) / MIB:.1f} MiB")
    for part in status["segments"]:
        print(f"  part {part['number']}: {json.dumps(_summary(part))}", flush=True)
    settings = {(part.get("rendering") or {}).get("settings") for part in status["segments"]}
    reasons = {part["gaze"]["reason"] for part in status["segments"] if part.get("gaze")}
    return Outcome(took_s, settings == {"full"} and not reasons & GIVEN_UP and counts.oom_kills == 0)


def _summary(part: dict[str, Any]) -> dict[str, Any]:  # Any: JSON
    gaze = part.get("gaze") or {}
    names = ("corrected", "share", "reason")
    return {"status": part["status"], **{name: gaze.get(name) for name in names}, "rendering": part.get("rendering")}


def _wait_until_rendered(client: Client, job_id: str) -> Any:  # Any: JSON
    deadline = time.monotonic() + RENDER_WITHIN_S
    while time.monotonic() < deadline:
        with contextlib.suppress(requests.RequestException):
            status = client.call("GET", f"/status/{job_id}")
            if status["status"] == "failed" or (
                status["segments"] and all(part["status"] in ENDED for part in status["segments"])
            ):
                return status
        time.sleep(0.5)
    raise SystemExit("the video was not rendered in time")


@contextmanager
def _endless_upload(client: Client, mib_per_s: float) -> Iterator[None]:
    """Send an upload of 500 MB at a steady pace during the block; it is abandoned afterwards."""
    over = threading.Event()

    def pieces() -> Iterator[bytes]:
        yield b"\0\0\0\x18ftypisom\0\0\2\0isomiso2\0\0\0\x08free\x1d\xcd\x64\x98mdat"
        while not over.wait(0.1):
            yield os.urandom(int(mib_per_s * MIB / 10))

    def upload() -> None:
        headers = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}
        headers |= {"Authorization": f"Bearer {KEY}"}
        created = requests.post(
            f"{client.root_url}/files", headers=headers | {"Upload-Length": "500000000"}, timeout=60
        )
        location = requests.compat.urljoin(created.url, created.headers["Location"])
        with contextlib.suppress(requests.RequestException):
            requests.patch(location, data=pieces(), headers=headers | {"Upload-Offset": "0"}, timeout=600)

    thread = threading.Thread(target=upload)
    if mib_per_s > 0:
        thread.start()
    try:
        yield
    finally:
        over.set()
        if mib_per_s > 0:
            thread.join()


if __name__ == "__main__":
    sys.exit(main())
