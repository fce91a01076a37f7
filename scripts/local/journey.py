"""Uploads one video to a running machine, prints its progress, and prints a table of the parts at the end."""

from __future__ import annotations

import json
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

from scripts.local.client import Client

if TYPE_CHECKING:
    from api.resources.documents import JobDocument, SegmentDocument

POLL_INTERVAL_S = 0.5
OVER = {"completed", "completed_with_errors", "failed", "cancelled"}
WARNINGS = {
    "sound_unreadable": "the sound cannot be read, so the parts are silent",
    "pauses_not_found": "the sound could not be searched for pauses; parts may end in the middle of a sentence",
    "picture_ends_early": "the sound continues after the last picture, which stays on screen",
    "picture_begins_late": "the first picture is shown from the start, because the sound begins earlier",
    "end_missing": "the end of the file is missing; the video is used as far as it goes",
    "size_changes": "the picture changes its size; all of it is shown, on black where it does not fill the frame",
}
"""A sentence for each code of `media.reading.facts.MediaWarning`; those of the page are in `frontend/words.js`."""
Json = dict[str, Any]  # Any: the API's answers


class JourneyFailed(Exception):
    """The job failed, or the webhook about its end did not arrive."""


class Journey:
    """Uploads a video, follows its job, and prints the progress."""

    def __init__(self, client: Client, mock_url: str, data_dir: Path) -> None:
        self._client = client
        self._mock_url = mock_url
        self._data_dir = data_dir
        self._printed: dict[str, str] = {}

    def run(self, video: Path, *, title: str) -> int:
        """Upload a video and wait until its job and its webhooks have ended; return the exit code.

        Raises:
            JourneyFailed: the job failed, or the webhook about its end did not arrive.
        """
        began = time.monotonic()
        job_id = self._client.upload(
            video, {"title": title}, lambda share: self._print_change("upload", f"{share:.0%}")
        )
        self._print_change("job", job_id)
        job = self._follow(job_id)
        if job["status"] == "failed":
            raise JourneyFailed(f"The job failed: {job['error'] or _reasons(job)}")
        if job["dry_run"]:
            return self._print_payloads(job_id)
        webhooks = self._await_webhooks(job_id)
        self._print_result(job, webhooks, time.monotonic() - began)
        return 0 if job["status"] == "completed" else 1

    def _follow(self, job_id: str) -> JobDocument:
        while True:
            job = self._client.status(job_id)
            self._print_progress(job)
            if job["status"] in OVER or (job["dry_run"] and job["status"] == "review"):
                return job
            time.sleep(POLL_INTERVAL_S)

    def _print_progress(self, job: JobDocument) -> None:
        self._print_change("status", job["status"])
        if job["status"] == "review" and not job["dry_run"]:
            self._print_review(job["job_id"])
        if job["segments"]:
            self._print_change("split", _count(len(job["segments"]), "part"))
        for part in job["segments"]:
            name = f"part {part['number']}/{part['of']}"
            rendering = f" {25 * int(4 * part.get('progress', 0))} %" if part["status"] == "rendering" else ""
            self._print_change(f"{name} gaze", f"{part['status']}{rendering}")
            for publication in part["publications"]:
                if publication["status"] != "waiting":
                    self._print_change(f"{name} {publication['platform']}", publication["status"])

    def _print_review(self, job_id: str) -> None:
        """Print once how to approve a job in review."""
        if "review" in self._printed:
            return
        self._printed["review"] = job_id
        root = self._client.root_url
        print("\n  Nothing is published before you approve it:")
        print(f"    {root}/videos/{job_id}     (API key: {self._client.api_key})")
        print("  or")
        print(f'    curl -X POST -H "Authorization: Bearer {self._client.api_key}" {root}/jobs/{job_id}/approve')
        print("  Waiting for your approval ...\n", flush=True)

    def _print_change(self, subject: str, state: str) -> None:
        """Print the state of something, unless it was printed before."""
        if self._printed.get(subject) == state:
            return
        self._printed[subject] = state
        if subject == "upload" and sys.stdout.isatty():
            print(f"\r  upload {state}", end="\n" if state == "100%" else "", flush=True)
        elif subject != "upload" or state == "100%":
            print(f"  {subject:<20} {state}", flush=True)

    def _print_payloads(self, job_id: str) -> int:
        """Print the requests that the posts would send; return the exit code: 1 if a post would be kept back."""
        found = self._client.payloads(job_id)["publications"]
        for post in found:
            print(f"\npart {post['part']} on {post['platform']}, account {post['account']}")
            for step in post["steps"]:
                print(f"  {step['step']}: {step['method']} {step['url']}")
                print(textwrap.indent(json.dumps(step["body"], indent=2, ensure_ascii=False), "    "))
            for problem in post["problems"]:
                print(f"  PROBLEM: {problem['reason']}")
        print(f"\nA dry run: nothing was published. Headers are in the answer of GET /jobs/{job_id}/payloads.")
        return 1 if any(post["problems"] for post in found) else 0

    def _await_webhooks(self, job_id: str) -> list[Json]:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            received: list[Json] = requests.get(f"{self._mock_url}/mock/webhooks", timeout=10).json()
            mine = [hook for hook in received if hook["event"]["data"].get("job_id") == job_id]
            if any(hook["event"]["type"] in {"job.completed", "job.failed"} for hook in mine):
                return mine
            time.sleep(POLL_INTERVAL_S)
        raise JourneyFailed("The webhook about the job's end did not arrive within a minute.")

    def _print_result(self, job: JobDocument, webhooks: list[Json], took_s: float) -> None:
        print(f"\n{job['title']}: {job['status']} after {took_s:.0f} s\n")
        print(f"  {'part':<6}{'seconds':>8}  {'gaze':<34} published")
        for part in job["segments"]:
            links = [f"{p['platform']}: {p['link'] or p['status']}" for p in part["publications"]]
            of, seconds = f"{part['number']}/{part['of']}", f"{part['duration_s']:.2f}"
            print(f"  {of:<6}{seconds:>8}  {_gaze(part):<34} {links[0] if links else '-'}")
            for link in links[1:]:
                print(f"  {'':<50} {link}")
        for code in filter(None, job.get("warnings") or ()):
            print(f"\n  warning: {WARNINGS.get(code, code.replace('_', ' '))}")
        verified = sum(1 for hook in webhooks if hook["verified"])
        print(f"\n  webhooks: {len(webhooks)} received, {verified} with a valid signature")
        pictures = self._data_dir / "jobs" / job["job_id"]
        if any(pictures.glob("part-*.preview.jpg")):
            print(f"  before/after pictures: {pictures}/part-*.preview.jpg")
        print("  to open the links and the page, start ./scripts/run without a video: all services have stopped now")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _gaze(part: SegmentDocument) -> str:
    gaze = part.get("gaze")
    if gaze is not None and gaze["corrected"]:
        return f"corrected in {gaze['share']:.0%} of the frames"
    because = None if gaze is None else gaze.get("reason")
    return f"as filmed ({because or part.get('reason') or part['status']})"


def _reasons(job: JobDocument) -> str:
    found = [one.get("reason") for part in job["segments"] for one in [part, *part["publications"]]]
    return "; ".join(dict.fromkeys(reason for reason in found if reason)) or "no reason given"
