"""The README's curl commands do what the README says, as they stand there."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import update

from api.context import Context
from store import accounts, jobs, publications, segments, tables
from store.states import JobStatus, PublicationStatus, SegmentStatus
from tests.api.conftest import KEY, ROOT, VIDEO, connect
from tests.store import rows

ADDRESS = "http://127.0.0.1:8000"
# No name server in a test; the address is not reached, as nothing sends here.
RECEIVER = ("https://hooks.example.com/vidprod", "http://127.0.0.1:9/vidprod")

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def commands() -> Iterator[str]:
    """Yield each command with curl in the README, with its comment."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for block in re.findall(r"^```sh\n(.*?)^```", readme, re.MULTILINE | re.DOTALL):
        for command in re.sub(r"\\\n\s*", "", block).splitlines():
            if command.startswith("curl ") and "…" not in command.partition("#")[0]:  # it is to be filled in
                yield command


def render(context: Context, job_id: str) -> str:
    """Let a job have two parts: the first is out, the second waits for approval and its time; return its post's id."""
    with context.store.writing(scope="everything") as connection:
        job = jobs.get(connection, job_id)
        assert job is not None
        values = {"status": JobStatus.REVIEW, "segment_count": 2, "review_reasons": ["requested"]}
        change = update(tables.jobs).where(tables.jobs.c.id == job_id)
        connection.execute(change.values(publish_after=context.now() + timedelta(days=300), **values))
        owners = accounts.list_all(connection)
        for number, status in ((1, PublicationStatus.PUBLISHED), (2, PublicationStatus.WAITING)):
            part = rows.segment(number, job_id=job_id, status=SegmentStatus.READY)
            segments.create(connection, [part])
            posts = [rows.publication(part, owner, status=status) for owner in owners]
            publications.create(connection, [replace(post, created_at=context.now()) for post in posts])
    return f"{job_id}-2-tiktok-1"


def test_each_command_of_the_readme_works(serve: Callable[..., str], context: Context, tmp_path: Path) -> None:
    """Ids that a command needs are those that the commands before it have printed."""
    connect(context, "tiktok", "youtube")
    (tmp_path / "talk.mp4").write_bytes(VIDEO)
    root = serve(webhook_allow_private=True, notice_urls=(SecretStr("json://127.0.0.1:9"),))
    known = {"KEY": KEY, "ACCOUNT": "tiktok-1"}
    run = 0
    for command in commands():
        if "$ENDPOINT/" in command and "ENDPOINT" not in known:
            pytest.fail(f"no command before it prints the id of an endpoint: {command}")
        literal = command.replace(ADDRESS, root).replace(*RECEIVER)
        done = subprocess.run(
            ["bash", "-c", literal],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], **known},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        shown = done.stdout.rpartition("\n\n")[2] or done.stdout  # without the head that -i shows
        assert shown.startswith("{"), f"{command}: {done.stdout}"
        answer = json.loads(shown)
        assert "urn:vidprod:problem" not in str(answer.get("type")), f"{command}: {done.stdout}"
        if "job_id" in answer and known.get("JOB") != answer["job_id"]:
            known["JOB"] = answer["job_id"]
            known["POST"] = render(context, answer["job_id"])
        if str(answer.get("id", "")).startswith("ep_"):
            known["ENDPOINT"] = answer["id"]
        members = re.findall(r'"(\w+)":', command.partition("#")[2])
        assert set(members) <= answer.keys(), f"{command}: {done.stdout}"
        run += 1
    assert run >= 6
