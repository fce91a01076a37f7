"""One run: start the machine, upload while faults are injected, wait until all has ended, judge, print."""

from __future__ import annotations

import contextlib
import random
import subprocess
import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from actors.flow import endpoint_health
from scripts.fault_injection import checks, clips, evidence
from scripts.fault_injection.clips import Clip
from scripts.fault_injection.clock import WallClock
from scripts.fault_injection.evidence import Evidence
from scripts.fault_injection.faults import Injector, Target
from scripts.fault_injection.machine import Machine, NotReached, wait_until
from scripts.fault_injection.small_disk import mounted
from scripts.fault_injection.timeline import Timeline
from scripts.fault_injection.uploads import Sender, Upload
from scripts.local.client import ApiError
from scripts.local.ports import free_ports

DISK_BYTES = 320 * 2**20
END_WITHIN_S = 300.0  # after the faults, until all jobs have ended
# After that, for messages, deliveries and deletions; an endpoint that has failed five times is tried once an interval.
SETTLE_WITHIN_S = endpoint_health.PROBE_INTERVAL.total_seconds() + 120.0
OWNER_INTERVAL_S = 15.0
CLIENTS = 3
HOSTILE_SHARE = 0.25  # of the uploads
CORRECTED_SHARE = 0.15  # of the uploads, with gaze correction, which looks for a face in every frame
SHOWN = 12  # findings of a check


@dataclass(frozen=True)
class Options:
    """The options of a run."""

    minutes: float
    seed: int
    uploads: int = 6  # at the same time
    files: Path | None = None  # more files to upload
    without: frozenset[str] = frozenset()  # lanes of faults


class Run:
    """One run."""

    def __init__(self, options: Options, directory: Path) -> None:
        self._options = options
        self._directory = directory
        self._rng = random.Random(options.seed)
        self._timeline = Timeline(directory / "timeline.jsonl")
        self._over = threading.Event()
        self._uploads: list[Upload] = []
        self._reconnected: Counter[str] = Counter()  # accounts, by platform
        self._lock = threading.Lock()

    def execute(self) -> int:
        """Run; return 0 if everything holds."""
        print(f"seed {self._options.seed}, faults for {self._options.minutes:g} minutes", flush=True)
        files = self._directory / "files"
        files.mkdir(exist_ok=True)
        talks = clips.render_talks(files)
        others = clips.write_hostile(files, talks[0], self._rng)
        if self._options.files is not None:
            others += clips.files_of(self._options.files)
        with ExitStack() as opened:
            mount = self._directory / "disk"
            mount.mkdir(exist_ok=True)
            disk = opened.enter_context(mounted(mount, DISK_BYTES))
            clock = self._clock()
            api_port, mock_port = free_ports(2)
            machine = Machine(
                self._directory, mount / "data", (api_port, mock_port), clock.environ if clock else {}, self._timeline
            )
            opened.callback(machine.kill)
            machine.start()
            target = Target(machine, disk, clock, self._timeline, self._over)
            found = self._under_faults(target, talks, others)
            print(self.report(found), flush=True)
        self._timeline.close()
        return 1 if any(list(check(found)) for check in checks.CHECKS.values()) else 0

    def _clock(self) -> WallClock | None:
        try:
            return WallClock(self._directory)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"the clock is left alone: {error}")
            return None

    def _under_faults(self, target: Target, talks: list[Clip], others: list[Clip]) -> Evidence:
        if target.disk is None:
            print("the disk is not filled: no right to mount a small one (try: unshare -Urm scripts/chaos)")
        machine = target.machine
        before = evidence.footprints(machine)
        injector = Injector(target, self._options.seed, self._options.without)
        clients = [
            threading.Thread(
                target=self._client,
                args=(machine, random.Random(f"{self._options.seed} {n}"), talks, others),
                daemon=True,
            )
            for n in range(CLIENTS)
        ]
        owner = threading.Thread(target=self._reconnect_accounts, args=(machine,), daemon=True)
        for thread in (*clients, owner):
            thread.start()
        injector.start()
        try:
            time.sleep(self._options.minutes * 60)
        finally:  # also after Ctrl-C: each fault ends what it has begun
            self._over.set()
            injector.join()
        machine.mock.clear_faults()
        self._timeline.event("faults over")
        for client in clients:
            client.join()
        owner.join()
        self._wait_for_the_end(machine)
        found = evidence.collect(machine, self._uploads, before)
        return replace(found, processes_left=machine.stop())

    def _reconnect_accounts(self, machine: Machine) -> None:
        """Do what the page asks an owner for: a login whose newest token was lost with an answer must be made again."""
        over = False
        while not over:
            over = self._over.wait(OWNER_INTERVAL_S)  # once more after the faults
            with contextlib.suppress(ApiError, OSError):
                for platform in machine.reconnect_accounts():
                    self._timeline.event("connected again", platform)
                    self._reconnected[platform] += 1

    def _client(self, machine: Machine, rng: random.Random, talks: list[Clip], others: list[Clip]) -> None:
        sender = Sender(machine.client.root_url, machine.client.api_key, rng, self._over)
        while not self._over.wait(rng.uniform(0.5, 3)):
            if self._open_jobs(machine) >= self._options.uploads:
                continue
            upload = self._new_upload(rng, talks, others)
            options = {"gaze_intensity": "0.8" if rng.random() < CORRECTED_SHARE else "0"}
            sender.send(upload, options)
            self._timeline.event(
                "upload", f"{upload.title} {upload.clip.path.name} {upload.way}: {upload.job_id or upload.refusal}"
            )

    def _new_upload(self, rng: random.Random, talks: list[Clip], others: list[Clip]) -> Upload:
        clip = rng.choice(others if rng.random() < HOSTILE_SHARE else talks)
        with self._lock:
            upload = Upload(f"Talk {self._options.seed}-{len(self._uploads):04d}.", clip, rng.choice(["form", "tus"]))
            self._uploads.append(upload)
        return upload

    def _open_jobs(self, machine: Machine) -> int:
        """Return the number of jobs in progress; if nobody knows, as many as may be."""
        try:
            found = machine.client.call("GET", "/jobs?limit=50")["jobs"]
        except (ApiError, OSError):
            return self._options.uploads
        return sum(job["status"] not in checks.ENDED | {"review"} for job in found)

    def _wait_for_the_end(self, machine: Machine) -> None:
        """Wait until all jobs have ended and nothing more happens; the checks find what has not."""

        def ended() -> bool:
            return all(
                job["status"] in checks.ENDED or checks.waits_for_a_person(job)
                for job in evidence.jobs(machine).values()
            )

        def settled() -> bool:
            found = evidence.collect(machine, self._uploads, {})
            settling = (
                "no_video_is_left",
                "nothing_is_in_flight",
                "webhooks_tell_each_event_once",
                "machine_is_healthy",
            )
            return not any(list(getattr(checks, name)(found)) for name in settling)

        for condition, within_s in ((ended, END_WITHIN_S), (settled, SETTLE_WITHIN_S)):
            began_s = time.monotonic()
            try:
                wait_until(condition, condition.__name__, within_s, interval_s=2.0)
            except (NotReached, ApiError) as error:
                self._timeline.event("not reached", str(error))
            self._timeline.event(condition.__name__, f"after {time.monotonic() - began_s:.0f} s")

    def report(self, found: Evidence) -> str:
        """Return the table."""
        lines = ["", *_table("faults", self._timeline.counts)]
        lines += [
            "",
            *_table("uploads", _outcomes(found)),
            "",
            *_table("posts", Counter(p.platform for p in found.posts)),
        ]
        if self._reconnected:
            lines += ["", *_table("accounts that their owner had to connect again", self._reconnected)]
        if reasons := _reasons(found):
            lines += ["", *_table("failures of whole videos, by reason", reasons)]
        if found.errors:
            lines += ["", *_table("exceptions in the log", Counter(found.errors))]
        lines += ["", "services: open descriptors and MB of memory, after the start and at the end"]
        for name, after in found.after.items():
            before = found.before.get(name, after)
            numbers = f"{before.descriptors:3d} {after.descriptors:3d} {before.memory_mb:6.1f} {after.memory_mb:6.1f}"
            lines.append(f"  {numbers}  {name}")
        lines += [""]
        for name, check in checks.CHECKS.items():
            wrong = list(check(found))
            lines.append(f"{'ok  ' if not wrong else 'FAIL'} {name}" + (f": {len(wrong)}" if wrong else ""))
            lines += [f"       {one.subject}: {one.detail}" for one in wrong[:SHOWN]]
        return "\n".join(lines)


def _outcomes(found: Evidence) -> Counter[str]:
    counts: Counter[str] = Counter()
    for upload in found.uploads:
        kind = "talk" if upload.clip.is_talk else "other file"
        job = found.jobs.get(upload.job_id or "")
        counts[f"{kind}: {job['status'] if job else 'refused'}"] += 1
    return counts


def _reasons(found: Evidence) -> Counter[str]:
    counts: Counter[str] = Counter()
    talks = {upload.job_id for upload in found.uploads if upload.clip.is_talk}
    for job_id, job in found.jobs.items():
        if job_id in talks and job["status"] != "completed":
            counts[f"job {job['status']}: {job['error']}"] += 1
            for part in job["segments"]:
                counts[f"part {part['status']}: {part['reason']}"] += part["status"] == "failed"
                for post in part["publications"]:
                    text = f"{post['platform']} {post['status']}: {post['code']} {post['reason']}"
                    counts[text] += post["status"] not in {"published", "waiting"}
    return +counts


def _table(head: str, counts: Counter[str]) -> list[str]:
    return [head, *(f"  {number:5d}  {name}" for name, number in sorted(counts.items()))]
