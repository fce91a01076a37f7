"""The command that lists advisories, against a server with OSV's API on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from scripts.machine import advisories
from scripts.machine.advisories import Package, locked, main

ROOT = Path(__file__).resolve().parents[2]
Json = dict[str, Any]  # Any: JSON

AFFECTED = {"package": {"name": "Pillow", "ecosystem": "PyPI"}}
DETAILS: dict[str, Json] = {
    "GHSA-1": {
        "aliases": ["CVE-1"],
        "summary": "Out of bounds\nwrite",
        "affected": [AFFECTED | {"ranges": [{"events": [{"introduced": "0"}, {"fixed": "12.1.1"}]}]}],
    },
    "PYSEC-1": {"aliases": ["CVE-1", "GHSA-1"], "affected": []},
    "GHSA-2": {"summary": "Not fixed", "affected": [{"package": {"name": "other", "ecosystem": "npm"}}]},
    "GHSA-3": {"withdrawn": "2026-01-01T00:00:00Z", "summary": "A mistake"},
}


class Database:
    """Answers as OSV does: the ids of packages by pages of one, and the details of each id."""

    def __init__(self, ids: dict[str, list[str]]) -> None:
        self.ids = ids
        self.status = 200
        self.raw: bytes | None = None
        self.questions: list[Json] = []

    def answer(self, path: str, body: bytes) -> tuple[int, bytes]:
        if self.raw is not None or self.status != 200:
            return self.status, self.raw or b"{}"
        if path != "/v1/querybatch":
            return 200, json.dumps(DETAILS[path.removeprefix("/v1/vulns/")]).encode()
        queries = json.loads(body)["queries"]
        self.questions += queries
        return 200, json.dumps({"results": [self._page(query) for query in queries]}).encode()

    def _page(self, query: Json) -> Json:
        ids, at = self.ids.get(query["package"]["name"], []), int(query.get("page_token", 0))
        page: Json = {"vulns": [{"id": one} for one in ids[at : at + 1]]} if ids else {}
        return page | ({"next_page_token": str(at + 1)} if at + 1 < len(ids) else {})


@pytest.fixture
def database() -> Iterator[tuple[Database, str]]:
    made = Database({"pillow": ["GHSA-1", "PYSEC-1", "GHSA-2", "GHSA-3"]})

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, body = made.answer(self.path, self.rfile.read(int(self.headers.get("Content-Length") or 0)))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield made, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def lock_file(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.txt"
    path.write_text(
        "Pillow==11.3.0 \\\n    --hash=sha256:00\nnumpy==2.4.6 ; python_full_version < '3.12'\n# six==1.0\n"
    )
    return path


def test_each_locked_version_is_asked_for(lock_file: Path, database: tuple[Database, str]) -> None:
    main(["--url", database[1], str(lock_file)])
    first = database[0].questions[:2]
    assert [(query["package"]["name"], query["version"]) for query in first] == [
        ("numpy", "2.4.6"),
        ("pillow", "11.3.0"),
    ]
    assert {query["package"]["ecosystem"] for query in first} == {"PyPI"}


def test_the_projects_own_lock_files_are_understood() -> None:
    found = locked(ROOT / name for name in advisories.LOCK_FILES)
    text = "".join((ROOT / name).read_text() for name in advisories.LOCK_FILES)
    assert {f"{one.name}=={one.version}" for one in found} == {
        line.split()[0] for line in text.splitlines() if "==" in line.split(";")[0] and not line.startswith((" ", "#"))
    }
    assert Package("falcon", "4.4.0") in found


def test_advisories_are_listed_once_with_the_version_that_fixes_them(
    lock_file: Path, database: tuple[Database, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--url", database[1] + "/", str(lock_file)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "pillow 11.3.0: GHSA-1, CVE-1, PYSEC-1 (fixed in 12.1.1) Out of bounds write",
        "pillow 11.3.0: GHSA-2 (not fixed) Not fixed",
        "2 packages, 2 known advisories",
    ]


def test_no_advisories_are_a_success(
    lock_file: Path, database: tuple[Database, str], capsys: pytest.CaptureFixture[str]
) -> None:
    database[0].ids.clear()
    assert main(["--url", database[1], str(lock_file)]) == 0
    assert capsys.readouterr().out == "2 packages, 0 known advisories\n"


@pytest.mark.parametrize(
    ("status", "raw", "reason"),
    [
        (503, None, "HTTP 503"),
        (302, None, "HTTP 302"),
        (200, b"<html>", "not JSON"),
        (200, b"[]", "not a JSON object"),
        (200, b'{"results": [{}]}', "does not fit"),
        (200, b'{"results": [{"vulns": [{"id": "../x"}]}, {}]}', "id that is none"),
        (200, b'{"results": [{"next_page_token": "1"}, {"next_page_token": "1"}]}', "more than 50 pages"),
    ],
)
def test_an_unusable_answer_is_no_success(
    lock_file: Path, database: tuple[Database, str], capsys: pytest.CaptureFixture[str],
    status: int, raw: bytes | None, reason: str,
) -> None:  # fmt: skip
    database[0].status, database[0].raw = status, raw
    assert main(["--url", database[1], str(lock_file)]) == 2
    assert reason in capsys.readouterr().err


def test_a_server_that_cannot_be_reached_is_no_success(lock_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--url", "http://127.0.0.1:9", str(lock_file)]) == 2
    assert "nothing listens on the port" in capsys.readouterr().err


def test_a_missing_lock_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "nothing.txt")]) == 2
    assert "nothing.txt" in capsys.readouterr().err
