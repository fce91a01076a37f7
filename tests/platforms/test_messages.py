"""Messages by Apprise: a real child process and a real receiver; no secret in an error, and an end in any case."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from platforms.http import fencing
from platforms.http.fencing import Fence
from platforms.messages import sender
from platforms.messages.sender import MessageOutcome, send
from tests.support.lost_lease import Fenced, lease_lost
from tests.support.receiver import receiving

ROOT = Path(sender.__file__).resolve().parents[2]


def _send(address: str, **more: float) -> MessageOutcome:
    return send(
        address, title="1 post needs you", body="“Über Blicke” fiel aus", link="https://v.example/#job=1", **more
    )


def test_a_message_arrives() -> None:
    with receiving() as receiver:
        assert _send(receiver.url.replace("http://", "json://")) == MessageOutcome()
    [(_, body)] = receiver.got
    sent = json.loads(body)
    assert (sent["title"], sent["message"]) == ("1 post needs you", "“Über Blicke” fiel aus\nhttps://v.example/#job=1")


def test_a_refusal_names_the_status_and_no_secret() -> None:
    with receiving() as receiver:
        receiver.status = 401
        outcome = _send(receiver.url.replace("http://", "json://user:s3cret-password@"))
    assert outcome == MessageOutcome("the service refused the message (HTTP 401)")


def test_a_service_that_is_not_reached_is_tried_again() -> None:
    assert _send("json://127.0.0.1:1/s3cret") == MessageOutcome("the service was not reached")


def test_an_address_that_is_not_understood_is_given_up() -> None:
    assert _send("nonsense://s3cret") == MessageOutcome(sender.NOT_UNDERSTOOD, is_final=True)


def test_a_service_that_does_not_answer_is_left() -> None:
    silent = threading.Event()
    with receiving() as receiver:
        receiver.before_answer = lambda: silent.wait(30)
        began = time.monotonic()
        outcome = _send(receiver.url.replace("http://", "json://"), deadline_s=3.0)
        silent.set()
    assert outcome == MessageOutcome(f"the sending process ended with code {-signal.SIGALRM}")
    assert time.monotonic() - began < 20


def test_no_process_is_started_after_the_lease_was_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", None)
    with lease_lost(), pytest.raises(Fenced):
        _send("json://127.0.0.1:1")


def test_a_process_that_waits_for_its_answer_ends_when_the_lease_is_lost() -> None:
    """The other side gets no answer, and the fence's exception ends the attempt."""
    before, lost, left = fencing.current(), threading.Event(), threading.Event()

    def check() -> None:
        if lost.is_set():
            raise Fenced

    fence = Fence(check)

    def lose() -> None:
        lost.set()
        fence.end_requests()
        left.wait(60)

    fencing.use(fence)
    try:
        with receiving() as receiver:
            receiver.before_answer = lose
            with pytest.raises(Fenced):
                _send(receiver.url.replace("http://", "json://"), deadline_s=600.0)
            left.set()
    finally:
        fencing.use(before)
    assert len(receiver.got) == 1


def test_the_process_ends_although_its_parent_is_killed() -> None:
    """It ends itself at its deadline."""
    silent = threading.Event()
    with receiving() as receiver:
        receiver.before_answer = lambda: silent.wait(30)
        address = receiver.url.replace("http://", "json://")
        request = json.dumps({"address": address, "title": "t", "body": "b", "deadline_s": 4.0})
        command = [sys.executable, "-m", "platforms.messages.child"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd=ROOT) as child:
            assert child.stdin is not None
            child.stdin.write(request.encode())
            child.stdin.close()
            assert child.wait(30) == -signal.SIGALRM
        silent.set()


def test_neither_the_address_nor_our_secrets_are_visible_to_other_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "s3cret-key-of-this-machine")
    seen: list[tuple[str, str]] = []

    def look() -> None:
        for process in Path("/proc").iterdir():
            if process.name.isdigit() and int(process.name) != os.getpid():
                try:
                    line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    if "platforms.messages.child" in line:
                        seen.append((line, (process / "environ").read_bytes().decode()))
                except OSError:
                    continue

    with receiving() as receiver:
        receiver.before_answer = look
        assert _send(receiver.url.replace("http://", "json://user:s3cret-password@")) == MessageOutcome()
    [(line, environment)] = seen
    assert "s3cret" not in line + environment


@pytest.mark.parametrize("module", ["api.app", "actors", "platforms.messages.sender"])
def test_apprise_is_loaded_by_no_process_that_stays(module: str, tmp_path: Path) -> None:
    """It takes 17 MB."""
    code = f"import sys, {module}; print('apprise' in sys.modules, 'aiohttp' in sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={"PATH": "/usr/bin:/bin", "DATA_DIR": str(tmp_path)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert found.stdout.strip() == "False False"
