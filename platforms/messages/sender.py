"""Sends one message to one address, in a child process. One call is one attempt."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from platforms.http import fencing

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 60.0
NOT_UNDERSTOOD = "Apprise does not understand the address"  # another attempt would fail, too

# The child inherits these variables only, so that no secret of this process reaches a library or a service.
_INHERITED = (
    "HTTP_PROXY", "HTTPS_PROXY", "LANG", "LC_ALL", "NO_PROXY", "PATH", "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR",
    "SSL_CERT_FILE", "TZ",
)  # fmt: skip


@dataclass(frozen=True)
class MessageOutcome:
    """The outcome of one attempt.

    Attributes:
        error: None if the service has accepted the message; contains no part of the address.
        is_final: another attempt would fail, too.
    """

    error: str | None = None
    is_final: bool = False


def send(address: str, *, title: str, body: str, link: str, deadline_s: float = DEADLINE_S) -> MessageOutcome:
    """Send a message to one of Apprise's addresses; every failure is an outcome.

    Args:
        address: such as "ntfy://topic"; may contain passwords, so it goes through a pipe.
        link: address of the page; follows the text.
        deadline_s: then the child ends itself.

    Raises:
        BaseException: that of the fence of the calling thread, which also ends the child.
    """
    request = {"address": address, "title": title, "body": f"{body}\n{link}", "deadline_s": deadline_s}
    fence = fencing.current()
    fence.check()
    try:
        returncode, output = _run_child(json.dumps(request).encode(), deadline_s, fence)
    except subprocess.TimeoutExpired:
        return MessageOutcome("no answer in time")
    except OSError as error:
        return MessageOutcome(f"no process can be started ({type(error).__name__})")
    if returncode < 0:
        fence.check()  # which may have ended it
    return _outcome(returncode, output)


def _run_child(request: bytes, deadline_s: float, fence: fencing.Fence) -> tuple[int, bytes]:
    """Run a child under a fence; return its return code and its output. It sends nothing before it has the request."""
    with subprocess.Popen(
        [sys.executable, "-m", "platforms.messages.child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
        env={name: os.environ[name] for name in _INHERITED if name in os.environ},
    ) as child:
        try:
            with fence.ending(child.kill):
                output, _ = child.communicate(request, deadline_s + 5)  # a child that cannot end itself is killed
        except BaseException:
            child.kill()
            raise
    return child.returncode, output


def _outcome(returncode: int, output: bytes) -> MessageOutcome:
    try:
        error = json.loads(output)["error"]
    except (ValueError, KeyError, TypeError):
        # Negative: ended by a signal; SIGALRM is its own deadline, SIGKILL mostly a lack of memory.
        return MessageOutcome(f"the sending process ended with code {returncode}")
    return MessageOutcome(error, is_final=error == NOT_UNDERSTOOD)
