"""A video's whole way, by real processes over real HTTP, against the mock of all three platforms."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from files.keys import SMALL_SUFFIX
from scripts.local.ports import free_ports
from tests.flows.machine import ROOT, Json, TestMachine
from tests.support.waiting import wait_for

PLATFORMS = ("instagram", "tiktok", "youtube")
ENVIRON = {"RETENTION_HOURS": "0"}
TITLE = "-rf --json"  # must not be taken for an option of a child process


def parts_by_platform(machine: TestMachine, title: str = "") -> dict[str, list[str]]:
    """Return the numbers of the parts on each platform, oldest first, as the titles of the posts say.

    Args:
        title: of the video whose parts count; by default those of all videos.
    """
    found: dict[str, list[str]] = {platform: [] for platform in PLATFORMS}
    for post in sorted(machine.posts(), key=lambda post: post["created_at"]):
        words = f"{post.get('title', '')} {post.get('caption', '')}"
        if title not in words:
            continue
        numbering = re.search(r"Part (\d+/\d+)", words)
        assert numbering is not None, f"a post without its number: {words}"
        found[post["platform"]].append(numbering[1])
    return found


def each_once_in_order(job: Json) -> dict[str, list[str]]:
    """Return what `parts_by_platform` has to find for a job of at least three parts."""
    of = len(job["segments"])
    assert of >= 3
    return {platform: [f"{number}/{of}" for number in range(1, of + 1)] for platform in PLATFORMS}


@pytest.fixture(scope="module")
def published(shared_machine: TestMachine, talk: Path) -> Json:
    """Return the status of a published video."""
    return shared_machine.finished(shared_machine.upload(talk, title=TITLE))


def test_every_file_of_a_published_video_is_for_its_owner_only(shared_machine: TestMachine, published: Json) -> None:
    """The database, the locks, the secrets, the logs, and what is left of the video."""
    assert published["status"] == "completed"
    found = {
        path.relative_to(shared_machine.data_dir): path.stat().st_mode for path in shared_machine.data_dir.rglob("*")
    }
    assert {str(path): oct(mode) for path, mode in found.items() if mode & 0o077} == {}
    assert {"vidprod.sqlite3", "vidprod.sqlite3-wal", "vidprod.sqlite3-shm", "secret.key"} <= {*map(str, found)}


def test_no_process_that_stays_shows_a_secret_in_its_environment(shared_machine: TestMachine) -> None:
    """For other users than root, the kernel refuses to show it at all."""
    stay = {"scripts.local.run", "api", "scripts.machine.network_worker", "scripts.machine.media_worker"}
    seen = set()
    for pid, line in shared_machine.processes().items():
        seen |= stay & set(line.split())
        try:
            shown = Path(f"/proc/{pid}/environ").read_bytes()
        except FileNotFoundError:
            continue  # it has just ended
        except PermissionError:
            assert os.geteuid() != 0
            continue
        assert b"test-key-of-tests" not in shown, line
    assert seen == stay


def test_a_video_becomes_parts_published_in_order_with_signed_webhooks(
    shared_machine: TestMachine, published: Json
) -> None:
    running, job = shared_machine, published
    assert job["status"] == "completed"
    assert parts_by_platform(running, TITLE) == each_once_in_order(job)
    assert [part["gaze"]["reason"] for part in job["segments"]] == ["no_face"] * len(job["segments"])
    assert sum(part["duration_s"] for part in job["segments"]) == pytest.approx(13.0, abs=0.05)

    def webhooks() -> list[Json]:
        return [hook for hook in running.webhooks() if hook["event"]["data"].get("job_id") == job["job_id"]]

    wait_for(lambda: "job.completed" in {hook["event"]["type"] for hook in webhooks()}, "the last webhook")
    parts = len(job["segments"])
    events = [hook["event"]["type"] for hook in webhooks()]
    assert {"job.created", "job.processing", "job.processed", "job.completed"} <= set(events)
    assert (events.count("segment.ready"), events.count("publication.published")) == (parts, 3 * parts)
    assert all(hook["verified"] for hook in running.webhooks())


def test_the_files_are_deleted_when_the_last_publication_ends(shared_machine: TestMachine, published: Json) -> None:
    """The small pictures stay for a month, and the status has links to them."""
    upload, parts = (shared_machine.data_dir / folder / published["job_id"] for folder in ("uploads", "jobs"))
    wait_for(
        lambda: not upload.exists() and all(file.name.endswith(SMALL_SUFFIX) for file in parts.iterdir()),
        "the files to go",
    )
    status = shared_machine.status(published["job_id"])
    assert status["status"] == "completed"
    assert [set(part["links"]) for part in status["segments"]] == [{"cover"}] * len(published["segments"])  # no face


def test_a_cut_upload_to_a_platform_goes_on_where_it_was(shared_machine: TestMachine, talk: Path) -> None:
    running = shared_machine
    for at in ("PUT .*/tiktok-upload/", "POST .*/facebook-upload/", "PUT .*/upload/youtube/"):
        running.fault(at=at, kind="cut", after_bytes=50_000)
    job = running.finished(running.upload(talk, title="Cut off"))
    assert job["status"] == "completed"
    assert parts_by_platform(running, "Cut off") == each_once_in_order(job)


def test_lost_answers_to_what_cannot_be_undone_double_nothing(shared_machine: TestMachine, talk: Path) -> None:
    running = shared_machine
    for at in ("PUT .*/tiktok-upload/", "POST .*/media_publish", "PUT .*/upload/youtube/", "POST .*/video/init/"):
        running.fault(at=at, kind="lose")
    job = running.finished(running.upload(talk, title="Lost answers"))
    assert job["status"] == "completed"
    assert parts_by_platform(running, "Lost answers") == each_once_in_order(job)
    for publication in (one for part in job["segments"] for one in part["publications"]):
        entries = running.client.call("GET", f"/publications/{publication['id']}/history")["entries"]
        assert [entry["kind"] for entry in entries].count("evidence") >= 1
        assert {entry["http_status"] for entry in entries if entry["method"]} >= {200}
    first = job["segments"][0]["publications"]
    lost = [_lost_answers(running, publication["id"]) for publication in first]
    assert min(lost) >= 1  # of each platform's first post


def _lost_answers(running: TestMachine, publication_id: str) -> int:
    entries = running.client.call("GET", f"/publications/{publication_id}/history")["entries"]
    return len([entry for entry in entries if entry["method"] and entry["http_status"] is None])


def test_a_file_that_is_no_video_is_a_job_error_with_its_reason_and_leaves_nothing(
    shared_machine: TestMachine, talk: Path, tmp_path: Path
) -> None:
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(talk.read_bytes()[:30_000])
    running = shared_machine
    job = running.finished(running.upload(cut))
    assert (job["status"], bool(job["error"])) == ("failed", True)
    kept = running.data_dir / "uploads" / job["job_id"]
    wait_for(lambda: not kept.exists(), "the file to go")
    assert running.finished(running.upload(talk))["status"] == "completed"  # the machine keeps serving


def test_the_command_brings_a_video_and_prints_what_became_of_it(talk: Path, tmp_path: Path) -> None:
    api_port, mock_port = free_ports(2)
    environ = {"PATH": "/usr/bin:/bin", "DATA_DIR": str(tmp_path / "data"), "SEGMENT_SECONDS": "6"}
    ran = subprocess.run(
        [sys.executable, "-m", "scripts.local.run", str(talk)],
        cwd=ROOT,
        env=environ | {"PORT": str(api_port), "MOCK_PORT": str(mock_port)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    parts = len(re.findall(r"^  \d/\d ", ran.stdout, flags=re.MULTILINE))
    assert parts >= 3
    for platform in PLATFORMS:
        assert ran.stdout.count(f"{platform}: http://127.0.0.1:{mock_port}/") == parts
    assert "with a valid signature" in ran.stdout


def test_a_dry_run_prints_what_each_post_would_send_and_posts_nothing(talk: Path, tmp_path: Path) -> None:
    api_port, mock_port = free_ports(2)
    environ = {"PATH": "/usr/bin:/bin", "DATA_DIR": str(tmp_path / "data"), "SEGMENT_SECONDS": "60"}
    ran = subprocess.run(
        [sys.executable, "-m", "scripts.local.run", "--dry-run", str(talk)],
        cwd=ROOT,
        env=environ | {"PORT": str(api_port), "MOCK_PORT": str(mock_port)},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert [name for name in PLATFORMS if f"part 1 on {name}, account" in ran.stdout] == [*PLATFORMS]
    assert ran.stdout.count("media_publish") == 1  # shown, as the last request to Instagram
    assert "nothing was published" in ran.stdout
    assert not [*(tmp_path / "data" / "uploads").glob("*/publishing-began")]
