"""The mock server in a process of its own, which a test may kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from platforms.http import client
from platforms.http.hosts import Roots
from platforms.mock.roots import mock_hosts

PROJECT = Path(__file__).parents[2]


class MockServer:
    """One process on one directory and one port; it can be killed and started again."""

    def __init__(self, directory: Path, *options: str) -> None:
        self._directory = directory
        self._options = options
        self._port = "0"
        self.base = ""
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "platforms.mock", "--port", self._port, "--directory", str(self._directory)]
        self._process = subprocess.Popen([*command, *self._options], cwd=PROJECT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.base = self._process.stdout.readline().strip()
        self._port = self.base.rpartition(":")[2]

    def kill(self) -> None:
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    @property
    def hosts(self) -> Roots:
        return mock_hosts(self.base)

    def get(self, path: str) -> Any:
        reply = client.request("GET", self.base + path, body_cap=10_000_000)
        assert reply.status == 200
        return json.loads(reply.body)

    def post(self, path: str, body: object) -> Any:
        reply = client.request("POST", self.base + path, json=body)
        assert reply.status == 200, reply.body
        return json.loads(reply.body)

    def fault(self, at: str, kind: str, **more: object) -> None:
        self.post("/mock/faults", {"at": at, "kind": kind, **more})

    def clear_faults(self) -> None:
        assert client.request("DELETE", f"{self.base}/mock/faults").status == 200

    def struck(self) -> int:
        return int(self.get("/mock/faults")["struck"])

    def posts(self, sha256: str) -> list[dict[str, Any]]:
        return [post for post in self.get("/mock/posts") if post["sha256"] == sha256]

    def memory_mb(self) -> float:
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS"))
