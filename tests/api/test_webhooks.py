"""Webhook endpoints, their deliveries, and redelivery."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import dramatiq
import pytest
from falcon.testing import TestClient

from actors import wiring
from actors.flow import job_commands
from actors.flow.events import emit
from api.app import create_app
from api.context import Context
from api.resources import webhooks as webhook_resources
from store import jobs, webhooks
from store.endpoints import save_health
from store.owners import DEFAULT_OWNER
from store.states import DeliveryStatus
from store.webhooks import Attempt, Endpoint
from tests.api.conftest import AUTH, with_settings
from tests.store import rows

HOOK = "http://127.0.0.1:9/hook"


def add(client: TestClient, url: str = HOOK, **more: object) -> dict[str, str]:
    answer = client.simulate_post("/webhooks", json={"url": url, **more})
    assert answer.status_code == 201, answer.text
    found: dict[str, str] = answer.json
    return found


def tell(context: Context) -> None:
    with context.store.writing(scope="everything") as connection:
        jobs.create(connection, rows.job())
        emit(wiring.machine, connection, "job.created", rows.job())


def test_an_endpoints_secret_is_told_when_it_is_added_and_never_listed(client: TestClient) -> None:
    made = add(client)

    assert made["secret"].startswith("whsec_")
    [listed] = client.simulate_get("/webhooks").json["endpoints"]
    assert listed == {name: value for name, value in made.items() if name != "secret"}
    assert client.simulate_get(f"/webhooks/{made['id']}").json == listed


def test_a_known_address_keeps_its_secret(client: TestClient) -> None:
    assert add(client) == add(client)


def test_an_address_named_by_a_job_hears_of_all_once_it_is_added(client: TestClient, context: Context) -> None:
    with context.store.writing(scope="everything") as connection:
        job_commands.add_endpoint(context, connection, DEFAULT_OWNER, HOOK, scope="named", events=[])

    assert add(client)["scope"] == "all"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "url"),
        ({"url": 7}, "url"),
        ({"url": ""}, "url"),
        ({"url": "https://x.example/" + "y" * 2048}, "url"),
        ({"url": HOOK, "events": ["job.exploded"]}, "events.0"),
        ({"url": HOOK, "secret": "mine"}, "secret"),
    ],
)
def test_a_wrong_endpoint_is_named(client: TestClient, body: dict[str, object], field: str) -> None:
    answer = client.simulate_post("/webhooks", json=body)

    assert (answer.status_code, answer.json["field"]) == (422, field)


@pytest.mark.parametrize(
    "url",
    ["http://hooks.example.com/x", "https://localhost/x", "https://10.0.0.1/x", "https://[::ffff:10.0.0.1]/x",
     "https://user@hooks.example.com/", "https://2130706433/", "file:///etc/passwd"],
)  # fmt: skip
def test_an_address_that_we_shall_not_call_is_refused(context: Context, url: str) -> None:
    client = TestClient(create_app(with_settings(context, webhook_allow_private=False)), headers=AUTH)

    answer = client.simulate_post("/webhooks", json={"url": url})

    assert (answer.status_code, answer.json["field"]) == (422, "url")
    assert client.simulate_get("/webhooks").json == {"endpoints": [], "next": None}


def test_there_is_an_end_to_endpoints(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook_resources, "MAX_ENDPOINTS", 1)
    add(client)

    assert client.simulate_post("/webhooks", json={"url": HOOK + "2"}).status_code == 409


def test_an_endpoint_can_choose_other_events(client: TestClient) -> None:
    made = add(client)

    changed = client.simulate_patch(f"/webhooks/{made['id']}", json={"events": ["job.failed"]})

    assert (changed.json["events"], changed.json["state"]) == (["job.failed"], "enabled")


def test_an_endpoint_is_switched_off_and_on(client: TestClient) -> None:
    made = add(client)

    for state in ("disabled", "enabled"):
        changed = client.simulate_patch(f"/webhooks/{made['id']}", json={"state": state})
        assert (changed.status_code, changed.json["state"]) == (200, state)
    assert client.simulate_patch(f"/webhooks/{made['id']}", json={"state": "asleep"}).status_code == 422


def test_a_deleted_endpoint_is_gone_with_its_history(client: TestClient, context: Context) -> None:
    made = add(client)
    tell(context)

    assert client.simulate_delete(f"/webhooks/{made['id']}").status_code == 204
    assert client.simulate_get(f"/webhooks/{made['id']}").status_code == 404
    assert client.simulate_delete(f"/webhooks/{made['id']}").status_code == 404


def test_each_try_of_a_delivery_is_shown(client: TestClient, context: Context) -> None:
    made = add(client)
    tell(context)
    address = f"/webhooks/{made['id']}/deliveries"
    [waiting] = client.simulate_get(address).json["deliveries"]
    assert (waiting["type"], waiting["status"], waiting["attempts"]) == ("job.created", "waiting", [])

    attempt = Attempt(
        delivery_id=waiting["id"], at=rows.NOON, duration_ms=12, http_status=500, error=None, excerpt="oops"
    )
    with context.store.writing(scope="everything") as connection:
        webhooks.record_attempt(connection, attempt, status=DeliveryStatus.FAILED, next_at=None, tries=1)

    [failed] = client.simulate_get(address).json["deliveries"]
    assert failed["status"] == "failed"
    assert failed["attempts"] == [
        {"at": "2026-11-22T12:00:00.000Z", "duration_ms": 12, "http_status": 500, "error": None, "excerpt": "oops"}
    ]


def test_what_is_over_is_told_again_on_request(client: TestClient, context: Context) -> None:
    made = add(client)
    tell(context)
    [delivery] = client.simulate_get(f"/webhooks/{made['id']}/deliveries").json["deliveries"]
    again = f"/webhooks/{made['id']}/deliveries/{delivery['id']}/redeliver"
    assert client.simulate_post(again).status_code == 409  # it is under way

    attempt = Attempt(
        delivery_id=delivery["id"], at=rows.NOON, duration_ms=1, http_status=None, error="refused", excerpt=None
    )
    with context.store.writing(scope="everything") as connection:
        webhooks.record_attempt(connection, attempt, status=DeliveryStatus.FAILED, next_at=None, tries=1)
    wiring.machine.broker.flush_all()

    assert client.simulate_post(again).status_code == 202
    assert [stats.ready for stats in context.broker.admin.queue_stats() if stats.queue == "webhooks"] == [1]
    other = add(client, HOOK + "2")
    assert client.simulate_post(f"/webhooks/{other['id']}/deliveries/{delivery['id']}/redeliver").status_code == 404


def test_enabling_an_endpoint_says_what_it_has_missed(client: TestClient, context: Context) -> None:
    made = add(client)
    address = f"/webhooks/{made['id']}"
    tell(context)
    disabled = client.simulate_patch(address, json={"state": "disabled"}).json
    assert (disabled["disabled_code"], disabled["waiting"]) == ("requested", 0)
    assert client.simulate_post(f"{address}/replay", json={"failed": True}).status_code == 409

    enabled = client.simulate_patch(address, json={"state": "enabled"}).json

    [event] = client.simulate_get(f"{address}/deliveries").json["deliveries"]
    assert (event["status"], event["reason"]) == ("missed", "endpoint_disabled")
    assert enabled["missed"] == {"count": 1, "since": event["created_at"]}
    answer = client.simulate_post(f"{address}/replay", json={"since": event["created_at"]})
    assert (answer.status_code, answer.json) == (202, {"replayed": 1})
    assert client.simulate_get(address).json["missed"] == {"count": 0, "since": None}


def test_health_counts_endpoints_in_trouble_and_is_not_red_for_them(client: TestClient, context: Context) -> None:
    """Without their addresses: anybody may read it."""
    made, failing = add(client), add(client, HOOK + "2")
    client.simulate_patch(f"/webhooks/{made['id']}", json={"state": "disabled"})
    with context.store.writing(scope="everything") as connection:
        save_health(connection, replace(endpoint_of(context, failing["id"]), failures=1))

    check = client.simulate_get("/health").json["checks"]["webhooks"]

    assert check["detail"].startswith(f"disabled, events are missed: {made['id']};")
    assert check | {"detail": None} == {"ok": True, "disabled": 1, "failing": 1, "detail": None}
    assert HOOK not in str(check)


def endpoint_of(context: Context, endpoint_id: str) -> Endpoint:
    with context.store.reading() as connection:
        found = webhooks.get_endpoint(connection, endpoint_id)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 422, "since"),
        ({"since": None, "failed": False}, 422, "since"),
        ({"since": "2026-11-22T12:00:00"}, 422, "since"),
        ({"since": "2026-11-22T12:00:00Z", "as_new": "maybe"}, 422, "as_new"),
        ({"failed": True}, 202, None),
        ({"since": "2026-11-22T12:00:00+01:00", "failed": True, "as_new": True}, 202, None),
    ],
)
def test_a_replay_needs_a_time_or_the_wish_for_what_failed(
    client: TestClient, body: dict[str, object], status: int, field: str | None
) -> None:
    made = add(client)

    answer = client.simulate_post(f"/webhooks/{made['id']}/replay", json=body)

    assert (answer.status_code, answer.json.get("field")) == (status, field)


def test_the_secret_can_be_read_without_more_events(client: TestClient, context: Context) -> None:
    """An upload has named the address; its owner needs the secret, and shall not receive the events of other jobs."""
    with context.store.writing(scope="everything") as connection:
        named = job_commands.add_endpoint(context, connection, DEFAULT_OWNER, HOOK, scope="named", events=[])

    answer = client.simulate_get(f"/webhooks/{named.id}/secret")

    assert answer.json == {"secret": context.sealer.open(named.secret)}
    assert answer.headers["cache-control"] == "no-store"
    assert client.simulate_get(f"/webhooks/{named.id}").json["scope"] == "named"


def test_a_secret_is_replaced_while_the_old_one_is_valid(client: TestClient) -> None:
    made = add(client)
    address = f"/webhooks/{made['id']}"

    rotated = client.simulate_post(f"{address}/rotate", json={})

    assert rotated.json["secret"] != made["secret"]
    assert client.simulate_get(f"{address}/secret").json == {"secret": rotated.json["secret"]}
    assert rotated.json["previous_secret_until"] is not None
    again = client.simulate_post(f"{address}/rotate", json={"overlap_hours": 1})
    assert (again.status_code, again.json["code"]) == (409, "rotation_in_progress")
    leaked = client.simulate_post(f"{address}/rotate", json={"overlap_hours": 0})
    assert leaked.json["secret"] not in {made["secret"], rotated.json["secret"]}
    assert client.simulate_post(f"{address}/rotate", json={"overlap_hours": 169}).status_code == 422


def test_a_ping_is_a_delivery(client: TestClient) -> None:
    made = add(client)

    answer = client.simulate_post(f"/webhooks/{made['id']}/ping")

    assert answer.status_code == 202
    [delivery] = client.simulate_get(f"/webhooks/{made['id']}/deliveries").json["deliveries"]
    assert (delivery["id"], delivery["type"], delivery["status"]) == (answer.json["delivery_id"], "ping", "waiting")


@pytest.mark.parametrize(
    ("method", "action"), [("GET", "secret"), ("POST", "rotate"), ("POST", "ping"), ("POST", "replay")]
)
def test_an_unknown_endpoint_is_not_found(client: TestClient, method: str, action: str) -> None:
    body = {"failed": True} if action == "replay" else {}

    assert client.simulate_request(method, f"/webhooks/ep_none/{action}", json=body).status_code == 404


@pytest.fixture
def given_up(context: Context) -> Iterator[int]:
    """A message that gave up."""

    @dramatiq.actor(
        broker=wiring.machine.broker, queue_name="network", actor_name="sulk", max_retries=0, throws=ValueError
    )
    def sulk(name: str) -> None:
        raise ValueError(f"not for {name}")

    worker = dramatiq.Worker(wiring.machine.broker, queues={"network"}, worker_threads=1)
    sulk.send("you")
    worker.start()
    wiring.machine.broker.join("network", timeout=10_000)
    worker.stop()
    [letter] = context.broker.admin.dead_letters("network")
    yield letter.id
    del wiring.machine.broker.actors["sulk"]


def test_what_gave_up_is_listed_and_tried_again(client: TestClient, context: Context, given_up: int) -> None:
    [letter] = client.simulate_get("/dead-letters").json["dead_letters"]
    assert (letter["id"], letter["actor"], letter["args"], letter["queue"]) == (given_up, "sulk", ["you"], "network")
    assert "not for you" in letter["error"]
    assert client.simulate_get("/dead-letters", params={"queue": "media"}).json == {"dead_letters": [], "next": None}

    assert client.simulate_post(f"/dead-letters/{given_up}/retry").status_code == 202

    assert client.simulate_get("/dead-letters").json == {"dead_letters": [], "next": None}
    assert client.simulate_post(f"/dead-letters/{given_up}/retry").status_code == 404
    assert client.simulate_post("/dead-letters/x/retry").status_code == 404
