"""The progress of one video through a running machine, printed, and a table at its end."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import requests

from scripts.local.client import Client

LOOK_EVERY_S = 0.5
OVER = {"completed", "completed_with_errors", "failed", "cancelled"}
WARNINGS = {
    "sound_unreadable": "the sound cannot be read, so the parts are silent",
    "pauses_not_found": "the sound could not be searched for pauses; parts may end in the middle of a sentence",
    "picture_ends_early": "the sound continues after the last picture, which stays on screen",
    "picture_begins_late": "the first picture is shown from the start, because the sound begins earlier",
    "end_missing": "the end of the file is missing; the video is used as far as it goes",
    "size_changes": "the picture changes its size; all of it is shown, on black where it does not fill the frame",
}
"""Codes of `media.reading.facts.MediaWarning`, as sentences; the page has its own in `frontend/words.js`."""
Json = dict[str, Any]  # Any: what the API answers


class JourneyFailed(Exception):
    """The video did not come through; the message says what happened."""


class Journey:
    """Uploads, watches, and prints."""

    def __init__(self, client: Client, mock_url: str, data_dir: Path) -> None:
        self._client = client
        self._mock_url = mock_url
        self._data_dir = data_dir
        self._said: dict[str, str] = {}

    def bring(self, video: Path, *, title: str) -> int:
        """Bring a video the whole way; return the exit code.

        Raises:
            JourneyFailed: it was refused, or something did not arrive.
        """
        began = time.monotonic()
        job_id = self._client.upload(video, {"title": title}, lambda share: self._say("upload", f"{share:.0%}"))
        self._say("job", job_id)
        job = self._watch(job_id)
        if job["status"] == "failed":
            raise JourneyFailed(f"The job failed: {job['error'] or _reasons(job)}")
        webhooks = self._await_webhooks(job_id)
        self._print(job, webhooks, time.monotonic() - began)
        return 0 if job["status"] == "completed" else 1

    def _watch(self, job_id: str) -> Json:
        while True:
            job: Json = self._client.patient("GET", f"/status/{job_id}")
            self._tell(job)
            if job["status"] in OVER:
                return job
            time.sleep(LOOK_EVERY_S)

    def _tell(self, job: Json) -> None:
        self._say("status", job["status"])
        if job["status"] == "review":
            self._ask(job["job_id"])
        if job["segments"]:
            self._say("split", _count(len(job["segments"]), "part"))
        for part in job["segments"]:
            name = f"part {part['number']}/{part['of']}"
            rendering = f" {25 * int(4 * part.get('progress', 0))} %" if part["status"] == "rendering" else ""
            self._say(f"{name} gaze", f"{part['status']}{rendering}")
            for publication in part["publications"]:
                if publication["status"] != "waiting":
                    self._say(f"{name} {publication['platform']}", publication["status"])

    def _ask(self, job_id: str) -> None:
        """Say once how to approve or cancel a job in review."""
        if "review" in self._said:
            return
        self._said["review"] = job_id
        root = self._client.root_url
        print("\n  Nothing is published before you approve it:")
        print(f"    {root}/#job={job_id}     (API key: {self._client.api_key})")
        print("  or")
        print(f'    curl -X POST -H "Authorization: Bearer {self._client.api_key}" {root}/jobs/{job_id}/approve')
        print("  Waiting for your answer ...\n", flush=True)

    def _say(self, about: str, what: str) -> None:
        if self._said.get(about) == what:
            return
        self._said[about] = what
        if about == "upload" and sys.stdout.isatty():
            print(f"\r  upload {what}", end="\n" if what == "100%" else "", flush=True)
        elif about != "upload" or what == "100%":
            print(f"  {about:<20} {what}", flush=True)

    def _await_webhooks(self, job_id: str) -> list[Json]:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            received: list[Json] = requests.get(f"{self._mock_url}/mock/webhooks", timeout=10).json()
            mine = [hook for hook in received if hook["event"]["data"].get("job_id") == job_id]
            if any(hook["event"]["type"] in {"job.completed", "job.failed"} for hook in mine):
                return mine
            time.sleep(LOOK_EVERY_S)
        raise JourneyFailed("The webhook about the job's end did not arrive within a minute.")

    def _print(self, job: Json, webhooks: list[Json], took_s: float) -> None:
        print(f"\n{job['title']}: {job['status']} after {took_s:.0f} s\n")
        print(f"  {'part':<6}{'seconds':>8}  {'gaze':<34} published")
        for part in job["segments"]:
            links = [f"{p['platform']}: {p['link'] or p['status']}" for p in part["publications"]]
            of, seconds = f"{part['number']}/{part['of']}", f"{part['duration_s']:.2f}"
            print(f"  {of:<6}{seconds:>8}  {_gaze(part):<34} {links[0] if links else '-'}")
            for link in links[1:]:
                print(f"  {'':<50} {link}")
        for code in job.get("warnings") or ():
            print(f"\n  warning: {WARNINGS.get(code, code.replace('_', ' '))}")
        verified = sum(1 for hook in webhooks if hook["verified"])
        print(f"\n  webhooks: {len(webhooks)} received, {verified} with a valid signature")
        pictures = self._data_dir / "jobs" / job["job_id"]
        if any(pictures.glob("part-*.preview.jpg")):
            print(f"  before/after pictures: {pictures}/part-*.preview.jpg")
        print("  the links open while ./scripts/run is running")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _gaze(part: Json) -> str:
    gaze = part.get("gaze") or {}
    if gaze.get("corrected"):
        return f"corrected in {gaze['share']:.0%} of the frames"
    return f"as filmed ({gaze.get('reason') or part.get('reason') or part['status']})"


def _reasons(job: Json) -> str:
    reasons = [p.get("reason") for part in job["segments"] for p in [part, *part["publications"]] if p.get("reason")]
    return "; ".join(dict.fromkeys(reasons)) or "no reason given"
