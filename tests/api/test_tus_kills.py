"""kill -9 of the API at every step of the request that completes a resumable upload."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from tests.api.conftest import AUTH, VIDEO
from tests.api.test_idempotency_kills import STEPS_AT_MOST, StartServer, count, start_server
from tests.api.test_tus import BYTES, TUS, told

__all__ = ["start_server"]  # a fixture

AFTER_A_CRASH = -1
HALF = len(VIDEO) // 2
LOST = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)


class Client:
    """A client that goes on at the offset after each lost connection."""

    def __init__(self, title: str, *, joins: bool) -> None:
        self._told = {"Upload-Metadata": told(title=title)}
        self._joins = joins
        self._paths: list[str] = []

    def send(self, method: str, url: str, headers: dict[str, str], body: bytes = b"") -> requests.Response:
        answer = requests.request(method, url, headers={**AUTH, **TUS, **headers}, data=body, timeout=30)
        assert answer.status_code < 300, answer.text
        return answer

    def begin(self, root: str) -> None:
        """Send all but the last request."""
        pieces = (VIDEO[:HALF], VIDEO[HALF:]) if self._joins else (VIDEO,)
        for piece in pieces:
            kind = {"Upload-Concat": "partial"} if self._joins else self._told
            path = self.send("POST", f"{root}/files", {"Upload-Length": str(len(piece)), **kind}).headers["Location"]
            self._paths.append(path)
            self._append(root, path, 0, piece if self._joins else piece[:HALF])

    def complete(self, root: str) -> str | None:
        """Send the last request; return the id of the job."""
        if self._joins:
            final = {"Upload-Concat": f"final;{' '.join(self._paths)}", **self._told}
            return self.send("POST", f"{root}/files", final).headers.get("X-Job-Id")
        head = self.send("HEAD", f"{root}{self._paths[0]}", {}).headers
        return head.get("X-Job-Id") or self._append(root, self._paths[0], int(head["Upload-Offset"]), VIDEO)

    def _append(self, root: str, path: str, offset: int, piece: bytes) -> str | None:
        sent = {**BYTES, "Upload-Offset": str(offset)}
        return self.send("PATCH", f"{root}{path}", sent, piece[offset:]).headers.get("X-Job-Id")


@pytest.mark.parametrize("joins", [False, True])
def test_a_killed_completion_makes_one_job_when_it_is_repeated(
    joins: bool, start_server: StartServer, tmp_path: Path
) -> None:
    database = tmp_path / "vidprod.sqlite3"
    answered = None
    outcomes = set()
    healthy = start_server(AFTER_A_CRASH)
    for steps in range(1, STEPS_AT_MOST):
        title, where = f"killed before step {steps}", f"step {steps}"
        client = Client(title, joins=joins)
        client.begin(healthy)
        try:
            answered = client.complete(start_server(steps))
        except LOST:
            answered = None
        made = count(database, "SELECT count(*) FROM jobs WHERE title = ?", title)

        healthy = start_server(AFTER_A_CRASH)
        job_id = client.complete(healthy)

        assert job_id is not None, where
        assert answered in {None, job_id}, where
        assert count(database, "SELECT count(*) FROM jobs WHERE title = ?", title) == 1, where
        assert count(database, "SELECT count(*) FROM broker_messages WHERE instr(body, ?)", job_id) == 1, where
        assert (tmp_path / "uploads" / job_id / "source").read_bytes() == VIDEO, where
        outcomes.add((bool(made), answered is not None))
        if answered is not None:
            break
    assert outcomes == {(False, False), (True, False), (True, True)}
    assert steps > 15
