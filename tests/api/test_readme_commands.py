"""The README's curl commands do what the README says, as they stand there."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from api.context import Context
from tests.api.conftest import KEY, ROOT, VIDEO, connect

ADDRESS = "http://127.0.0.1:8000"
# No name server in a test; the address is not reached, as nothing sends here.
RECEIVER = ("https://hooks.example.com/vidprod", "http://127.0.0.1:9/vidprod")

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def commands() -> Iterator[str]:
    """Yield each command with curl in the README, with its comment."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for block in re.findall(r"^```sh\n(.*?)^```", readme, re.MULTILINE | re.DOTALL):
        for command in re.sub(r"\\\n\s*", "", block).splitlines():
            if command.startswith("curl "):
                yield command


def test_each_command_of_the_readme_works(serve: Callable[..., str], context: Context, tmp_path: Path) -> None:
    """Ids that a command needs are those that the commands before it have printed."""
    connect(context, "tiktok", "youtube")
    (tmp_path / "talk.mp4").write_bytes(VIDEO)
    root = serve(webhook_allow_private=True, notice_urls=(SecretStr("json://127.0.0.1:9"),))
    known = {"KEY": KEY}
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
        answer = json.loads(done.stdout)
        assert "urn:vidprod:problem" not in str(answer.get("type")), f"{command}: {done.stdout}"
        if "job_id" in answer:
            known["JOB"] = answer["job_id"]
        if str(answer.get("id", "")).startswith("ep_"):
            known["ENDPOINT"] = answer["id"]
        members = re.findall(r'"(\w+)":', command.partition("#")[2])
        assert set(members) <= answer.keys(), f"{command}: {done.stdout}"
        run += 1
    assert run >= 6
