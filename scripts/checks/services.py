"""Checks of the running machine: whether it runs, and what it says about itself."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from scripts.checks.finding import Examined, Finding, error, ok, warning
from settings import LOOPBACK

TIMEOUT_S = 10
TOPIC = "machine"


def check(examined: Examined) -> Iterator[Finding]:
    """Check that the machine runs, and its own report."""
    if not examined.is_running:
        yield warning(TOPIC, "it is stopped", "start it: scripts/serve")
        return
    if not examined.is_valid:
        yield ok(TOPIC, "it is running; with other settings than these")
        return
    if "api" not in examined.settings.services:
        names = ", ".join(examined.settings.services)
        yield ok(TOPIC, f"it is running {names} (SERVICES); /health of a machine with the service api tells about all")
        return
    host = LOOPBACK.get(examined.settings.host, examined.settings.host)
    url = f"http://{f'[{host}]' if ':' in host else host}:{examined.settings.port}/health"
    try:
        yield from report(_fetched(url))
    except (OSError, ValueError) as failed:
        yield error(TOPIC, f"it is running, but {url} does not answer ({failed})", "look at the log of the service api")


def report(document: dict[str, Any]) -> Iterator[Finding]:  # Any: JSON
    """Check the document of /health."""
    failing = {name: check for name, check in document["checks"].items() if not check["ok"]}
    for name, check in failing.items():
        detail = check.get("detail") or ", ".join(f"{key}: {value}" for key, value in check.items() if key != "ok")
        yield error(TOPIC, f"/health: {name}: {detail}", "see the log")
    if not failing:
        yield ok(TOPIC, f"it is running, and all {len(document['checks'])} checks of /health succeed")


def _fetched(url: str) -> dict[str, Any]:  # Any: JSON
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=TIMEOUT_S) as answer:
            body = answer.read()
    except urllib.error.HTTPError as failing:  # 503 has the same document
        body = failing.read()
    found: dict[str, Any] = json.loads(body)
    if "checks" not in found:
        raise ValueError("another program answers")
    return found


def check_public(examined: Examined) -> Iterator[Finding]:
    """Check from this computer that the public address leads to this machine. For `--online`."""
    root = examined.settings.root_url
    try:
        document = _fetched(f"{root}/health")
    except (OSError, ValueError) as failed:
        fix = "check its name (DNS), certificate and proxy"
        yield error("public address", f"{urlsplit(root).hostname}: no answer of VidProd ({failed})", fix)
    else:
        yield ok("public address", f"{root} answers: {document['status']}")
