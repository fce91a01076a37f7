"""With SENTRY_DSN, errors are sent without secrets and local variables; without it, no code of Sentry is loaded."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SECRET = "planted-secret-0123456789"
FAILURES = """
import sys
from actors import log_context, logging_setup
from settings import read
logging_setup.set_up(read({"SENTRY_DSN": sys.argv[1], "SECRET_KEY": "planted-secret-0123456789"}))
from loguru import logger
log_context.begin(message_id="m1", job_id="job_1", part=2)

def fail(token):
    unknown = {"access_token": "unknown-0123456789"}
    raise ValueError(f"refused: {token}, Authorization: Bearer unknown-0123456789")

logger.warning("before: {}", "planted-secret-0123456789")
try:
    fail("planted-secret-0123456789")
except ValueError:
    logger.exception("failed for {}", "https://u:planted-secret-0123456789@127.0.0.1/?sig=unknown-0123456789")
fail("planted-secret-0123456789")
"""


@pytest.fixture
def sentry() -> Iterator[tuple[str, list[str]]]:
    """Return the DSN of a server, and the reports that it receives."""
    received: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            zipped = self.headers.get("Content-Encoding") == "gzip"
            received.append((gzip.decompress(body) if zipped else body).decode())
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://publickey@127.0.0.1:{server.server_port}/1", received
    server.shutdown()
    thread.join()
    server.server_close()


def _events(received: list[str]) -> list[dict[str, Any]]:  # Any: JSON of Sentry
    lines = [json.loads(line) for report in received for line in report.splitlines()]
    return [line for line in lines if "level" in line]


def test_errors_arrive_without_secrets_and_variables(sentry: tuple[str, list[str]]) -> None:
    dsn, received = sentry
    command = [sys.executable, "-c", FAILURES, dsn]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    everything = "\n".join(received)
    assert [word for word in (SECRET, "unknown-0123456789", '"vars"') if word in everything] == []
    events = _events(received)
    messages = {event.get("logentry", {}).get("message", "").split("\n")[0] for event in events}
    assert "failed for https://[redacted]@127.0.0.1/?[redacted]" in messages
    assert {event["tags"]["job_id"] for event in events} == {"job_1"}
    assert "refused: [redacted], Authorization: Bearer [redacted]" in everything
    assert "before: [redacted]" in everything


def test_without_a_dsn_nothing_of_sentry_is_loaded() -> None:
    code = """
import sys
from actors import logging_setup
from settings import read
logging_setup.set_up(read({}))
print([name for name in sys.modules if name.startswith("sentry")])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
