"""`python -m platforms.messages.child`: sends one message with Apprise, then ends.

Reads JSON from standard input (address, title, body, deadline_s) and writes {"error": null or text} to standard output.
The texts of Apprise's log are not passed on, because some contain tokens; only the HTTP status is taken from them.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import re
import signal
import sys
from pathlib import Path

from platforms.messages.sender import NOT_UNDERSTOOD

_STATUS = re.compile(r"\berror=(\d{3})\b")


def main() -> None:
    """Send the message of standard input."""
    request = json.loads(sys.stdin.buffer.read())
    signal.setitimer(signal.ITIMER_REAL, request["deadline_s"])  # ends this process, also if its parent was killed
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")  # short of memory, this process is the first to end
    output = sys.stdout
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        error = _send(request["address"], request["title"], request["body"])
    json.dump({"error": error}, output)


def _send(address: str, title: str, body: str) -> str | None:
    from apprise import Apprise, NotifyFormat  # noqa: PLC0415 (after the deadline was set)

    logged = io.StringIO()
    logging.getLogger("apprise").addHandler(logging.StreamHandler(logged))
    service = Apprise()
    if not service.add(address):
        return NOT_UNDERSTOOD
    if service.notify(title=title, body=body, body_format=NotifyFormat.TEXT):
        return None
    statuses = _STATUS.findall(logged.getvalue())
    return f"the service refused the message (HTTP {statuses[-1]})" if statuses else "the service was not reached"


if __name__ == "__main__":
    main()
