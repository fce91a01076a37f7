"""One log contains the records of loguru and of the standard library."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_what_libraries_log_keeps_its_facts_in_the_json_log() -> None:
    """The id of a message is a field of its own, by which a log can be searched."""
    code = """
import logging
from actors import logging_setup
from settings import read
logging_setup.set_up(read({"LOG_FORMAT": "json"}))
logging.getLogger("broker.consumer").warning("Message %s was lost", "m1", extra={"message_id": "m1", "queue": "media"})
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    [line] = done.stderr.splitlines()
    record = json.loads(line)
    assert record["message"] == "broker.consumer: Message m1 was lost"
    assert (record["level"], record["message_id"], record["queue"]) == ("WARNING", "m1", "media")


SECRET = "planted-secret-0123456789"
FAILURES = """
import logging, sys, threading, warnings
from actors import log_context, logging_setup
from settings import read
import redaction
logging_setup.set_up(read({"LOG_FORMAT": sys.argv[1], "SECRET_KEY": "planted-secret-0123456789"}))
from loguru import logger
log_context.begin(message_id="m1", job_id="job_1", part=2)

class Unprintable:
    def __repr__(self):
        return "Unprintable(planted-secret-0123456789)"

def fail(token="planted-secret-0123456789"):
    raise ValueError(f"refused: {token}")

try:
    fail()
except ValueError:
    logger.exception("failed for {}", "planted-secret-0123456789")
    logging.getLogger("library").exception("failed")
logging.getLogger("library").warning("facts", extra={"facts": Unprintable(), "text": "planted-secret-0123456789"})
warnings.warn("planted-secret-0123456789", stacklevel=1)
thread = threading.Thread(target=fail, name="planted-secret-0123456789")
thread.start()
thread.join()
print("printed", file=sys.stderr)
fail()
"""


def _failures(log_format: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", FAILURES, log_format], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.count("[redacted]") >= 7
    assert SECRET not in done.stderr
    return done.stderr.splitlines()


def test_each_json_line_is_an_object_with_the_ids_and_without_secrets() -> None:
    """Also those of exceptions that nobody handles, in a thread and at the end of the process."""
    lines = [json.loads(line) for line in _failures("json") if line != "printed"]
    assert [line["level"] for line in lines] == ["ERROR", "ERROR", "WARNING", "WARNING", "CRITICAL", "CRITICAL"]
    assert [line["job_id"] for line in lines if line["level"] != "CRITICAL"] == ["job_1"] * 4
    assert [line["exception"].splitlines()[-1] for line in lines if "exception" in line] == [
        "ValueError: refused: [redacted]"
    ] * 4
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}[+-]\d\d:\d\d", line["time"]) for line in lines)


def test_a_text_line_ends_with_the_ids_that_its_message_lacks() -> None:
    lines = _failures("text")
    assert lines[0].endswith("failed for [redacted] [message_id=m1 job_id=job_1 part=2]")
    assert "Traceback (most recent call last):" in lines


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_line_of_a_closed_terminal_ends_no_process(log_format: str) -> None:
    code = """
import os, sys
from actors import logging_setup
from settings import read
logging_setup.set_up(read({"LOG_FORMAT": sys.argv[1]}))
from loguru import logger
os.close(2)
logger.warning("lost")
print("went on")
"""
    done = subprocess.run(
        [sys.executable, "-c", code, log_format], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "went on\n"
