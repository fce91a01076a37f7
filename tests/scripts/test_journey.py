"""The progress of one video as `scripts/run FILE` prints it."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest

from media.reading.facts import MediaWarning
from scripts.local import journey
from scripts.local.client import Client
from tests.frontend import samples


class ScriptedClient(Client):
    """Answers with one status document after the other."""

    def __init__(self, documents: list[dict[str, Any]]) -> None:
        super().__init__("http://127.0.0.1:8000", "the-key")
        self.documents = documents

    def upload(self, *_: Any, **__: Any) -> str:
        return str(self.documents[0]["job_id"])

    def call_with_retries(self, *_: Any, **__: Any) -> Any:  # Any: JSON
        return self.documents.pop(0) if len(self.documents) > 1 else self.documents[0]


class QuietHandler(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def receiver_url() -> Iterator[str]:
    """Serve the webhooks that a mock receiver has got."""
    got = [{"event": {"type": "job.completed", "data": {"job_id": "job-review"}}, "verified": True}]

    def application(_: Any, start: Any) -> list[bytes]:
        start("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(got).encode()]

    with make_server("127.0.0.1", 0, application, handler_class=QuietHandler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def no_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journey, "POLL_INTERVAL_S", 0.0)


def test_a_job_in_review_says_what_to_do_and_is_watched_on(
    tmp_path: Path, receiver_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    documents = [samples.in_review(), samples.in_review(), samples.in_review() | {"status": "completed"}]
    code = journey.Journey(ScriptedClient(documents), receiver_url, tmp_path).run(Path("talk.mp4"), title="A talk")
    said = capsys.readouterr().out
    assert code == 0
    assert said.count("Nothing is published before you approve it") == 1
    assert "http://127.0.0.1:8000/videos/job-review" in said
    assert 'curl -X POST -H "Authorization: Bearer the-key" http://127.0.0.1:8000/jobs/job-review/approve' in said
    assert "warning: the sound cannot be read, so the parts are silent" in said
    assert "before/after" not in said


def test_pictures_are_named_where_there_are_any(
    tmp_path: Path, receiver_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "jobs" / "job-review").mkdir(parents=True)
    (tmp_path / "jobs" / "job-review" / "part-001.preview.jpg").touch()
    done = ScriptedClient([samples.in_review() | {"status": "completed"}])
    journey.Journey(done, receiver_url, tmp_path).run(Path("talk.mp4"), title="A talk")
    assert "before/after pictures: " in capsys.readouterr().out


def test_every_warning_has_words() -> None:
    assert set(journey.WARNINGS) == set(MediaWarning)
