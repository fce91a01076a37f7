"""Sends one message to one address, in a child process. One call is one attempt."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

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
    """
    request = {"address": address, "title": title, "body": f"{body}\n{link}", "deadline_s": deadline_s}
    try:
        ran = subprocess.run(
            [sys.executable, "-m", "platforms.messages.child"],
            input=json.dumps(request).encode(),
            capture_output=True,
            cwd=ROOT,
            env={name: os.environ[name] for name in _INHERITED if name in os.environ},
            timeout=deadline_s + 5,  # a child that cannot end itself is killed
            check=False,
        )
    except subprocess.TimeoutExpired:
        return MessageOutcome("no answer in time")
    except OSError as error:
        return MessageOutcome(f"no process can be started ({type(error).__name__})")
    return _outcome(ran)


def _outcome(ran: subprocess.CompletedProcess[bytes]) -> MessageOutcome:
    try:
        error = json.loads(ran.stdout)["error"]
    except (ValueError, KeyError, TypeError):
        # Negative: ended by a signal; SIGALRM is its own deadline, SIGKILL mostly a lack of memory.
        return MessageOutcome(f"the sending process ended with code {ran.returncode}")
    return MessageOutcome(error, is_final=error == NOT_UNDERSTOOD)
