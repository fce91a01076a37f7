"""Events: what is sent has the documented schema, and a sequence that rises with each event about a subject."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from actors import wiring
from actors.flow import events
from api.resources import openapi
from platforms.webhook_events import EVENT_TYPES, UnknownEvent, checked
from store import Store, jobs
from store.states import JobStatus
from store.tables import events as recorded
from tests.store.rows import job

ROOT = Path(__file__).resolve().parents[2]


def _data(store: Store, kind: str, **facts: Any) -> dict[str, Any]:
    with store.writing(scope="everything") as connection:
        return dict(json.loads(events.create_event(wiring.machine, connection, kind, **facts).body)["data"])


def test_events_about_a_job_are_numbered_together(store: Store) -> None:
    with store.writing(scope="everything") as connection:
        jobs.create(connection, job())
        jobs.create(connection, job("other"))

    assert _data(store, "job.created", job=job())["sequence"] == 1
    assert _data(store, "job.completed", job=job(), status=JobStatus.COMPLETED)["sequence"] == 2
    assert _data(store, "job.created", job=job("other"))["sequence"] == 1


def test_events_without_a_job_are_numbered_by_their_subject(store: Store) -> None:
    account = {"platform": "tiktok", "name": "@me", "code": "reconnect_needed", "reason": "the grant was revoked"}
    paused = {"platform": "tiktok", "code": "outage", "reason": "no answer", "until": wiring.machine.now()}

    assert _data(store, "account.reconnect_needed", account_id="a", **account)["sequence"] == 1
    assert _data(store, "account.reconnect_needed", account_id="b", **account)["sequence"] == 1
    assert _data(store, "account.reconnect_needed", account_id="a", **account)["sequence"] == 2
    assert _data(store, "platform.paused", **paused)["sequence"] == 1


def test_all_members_of_the_model_are_sent(store: Store) -> None:
    """Receivers need not distinguish a missing member from null."""
    with store.writing(scope="everything") as connection:
        jobs.create(connection, job())

    assert _data(store, "job.created", job=job()) == {
        "job_id": "job", "sequence": 1, "title": "A talk", "metadata": None,
    }  # fmt: skip


@pytest.mark.parametrize("facts", [{"mood": "good"}, {"status": "asleep"}, {}])
def test_data_that_no_schema_describes_is_an_error(facts: dict[str, object]) -> None:
    with pytest.raises(UnknownEvent, match=r"event job\.completed does not fit"):
        checked("job.completed", {"job_id": "job", "sequence": 1, "title": "A talk", "metadata": None, **facts})
    with pytest.raises(UnknownEvent, match="no such type"):
        checked("job.exploded", {})


@pytest.mark.logs_errors("loguru")
def test_such_data_does_not_undo_the_change_that_it_reports(store: Store) -> None:
    """A wrong event must not undo the record of a post, which would then be sent again."""
    with store.writing(scope="everything") as connection:
        jobs.create(connection, job())
        events.emit(wiring.machine, connection, "job.completed", job(), status="asleep")

    with store.reading() as connection:
        assert connection.execute(recorded.select()).one().type == "job.completed"


@pytest.mark.parametrize("text", ["\x1b[1m", "a\u2028b", "👩‍👩‍👧", "half \ud83d", "\udc80", "nul \x00"])
def test_any_text_can_be_sent(store: Store, text: str) -> None:
    """Reasons come from platforms, which may cut a surrogate pair in half."""
    with store.writing(scope="everything") as connection:
        jobs.create(connection, job())
        event = events.create_event(wiring.machine, connection, "job.failed", job(), code="x", reason=text)

    sent = json.loads(event.body.encode())["data"]["reason"]
    assert sent == text.encode(errors="replace").decode()


def test_every_emitted_type_has_a_model() -> None:
    """Types are literals in calls of `emit` and of functions that pass them on."""
    code = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "actors").rglob("*.py")))
    types = set(re.findall(r'"((?:job|segment|publication|platform|account|endpoint)\.[a-z_]+)"', code))

    assert {"job.created", "segment.ready", "publication.published", "endpoint.disabled"} <= types
    assert sorted(types - EVENT_TYPES.keys()) == []


def test_the_openapi_document_has_the_schema_of_each_event() -> None:
    document = openapi.document(wiring.machine.settings)

    assert document["webhooks"].keys() == EVENT_TYPES.keys()
    for kind, operation in document["webhooks"].items():
        body = operation["post"]["requestBody"]["content"]["application/json"]["schema"]
        assert body["properties"]["type"] == {"const": kind}
        name = body["properties"]["data"]["$ref"].rpartition("/")[2]
        schema = document["components"]["schemas"][name]
        assert (schema["additionalProperties"], "sequence" in schema["required"]) == (False, True)
        assert set(schema["required"]) == set(schema["properties"])
