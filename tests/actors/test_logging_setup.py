"""One log contains the records of loguru and of the standard library."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

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
    record = json.loads(line)["record"]
    assert record["message"] == "broker.consumer: Message m1 was lost"
    assert (record["extra"]["message_id"], record["extra"]["queue"]) == ("m1", "media")
