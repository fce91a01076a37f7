"""Deliveries: signed, tried again by their own schedule, given up in the end, against a real receiver."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from standardwebhooks import Webhook

from actors import wiring
from actors.dispatch_webhook import dispatch_webhook
from actors.flow import events, job_commands
from actors.flow.webhook_delivery import MISCONFIGURED_ATTEMPTS, RETRY_DELAYS_S
from store import Store, jobs, webhooks
from store.states import DeliveryStatus, EndpointState
from tests.actors.queues import waiting
from tests.store.rows import job


class Receiver:
    """A receiver that answers as told and keeps what came."""

    def __init__(self) -> None:
        self.status = 204
        self.headers: dict[str, str] = {}
        self.got: list[tuple[dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append((dict(self.headers), body))
                self.send_response(receiver.status)
                for name, text in receiver.headers.items():
                    self.send_header(name, text)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (its own name)
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


def _announce(store: Store, receiver: Receiver) -> tuple[str, str]:
    """Let a job be created; return its delivery's id and the endpoint's secret."""
    with store.writing() as connection:
        endpoint = job_commands.add_endpoint(wiring.machine, connection, receiver.url, scope="all", events=[])
        jobs.create(connection, job())
        events.emit(wiring.machine, connection, "job.created", job())
        (delivery, _, _) = webhooks.deliveries_of(connection, endpoint.id, 1)[0]
    return delivery.id, wiring.machine.sealer.open(endpoint.secret)


def _delivery(store: Store, delivery_id: str) -> tuple[webhooks.Delivery, webhooks.Endpoint]:
    with store.reading() as connection:
        found = webhooks.get_delivery(connection, delivery_id)
    assert found is not None
    return found[0], found[2]


def _try_until_over(store: Store, delivery_id: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("actors.flow.webhook_delivery._is_early", lambda *_: False)  # time passes
    for tries in range(1, 30):
        dispatch_webhook.fn(delivery_id)
        if _delivery(store, delivery_id)[0].status is not DeliveryStatus.WAITING:
            return tries
    raise AssertionError("it never ends")


def test_an_event_arrives_with_a_signature_that_others_accept(store: Store, receiver: Receiver) -> None:
    delivery_id, secret = _announce(store, receiver)
    assert ("dispatch_webhook", (delivery_id,)) in waiting()
    dispatch_webhook.fn(delivery_id)
    headers, body = receiver.got[0]
    event = Webhook(secret).verify(body, {name.lower(): text for name, text in headers.items()})
    assert event == json.loads(body)
    assert (event["type"], event["data"]["job_id"], event["data"]["sequence"]) == ("job.created", "job", 1)
    assert _delivery(store, delivery_id)[0].status is DeliveryStatus.DELIVERED


def test_a_delivered_event_is_not_sent_again(store: Store, receiver: Receiver) -> None:
    delivery_id, _ = _announce(store, receiver)
    dispatch_webhook.fn(delivery_id)
    dispatch_webhook.fn(delivery_id)
    assert len(receiver.got) == 1


def test_an_unwell_receiver_is_tried_for_the_whole_schedule(
    store: Store, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.status = 503
    delivery_id, _ = _announce(store, receiver)
    assert _try_until_over(store, delivery_id, monkeypatch) == len(RETRY_DELAYS_S) + 1
    assert {headers["webhook-id"] for headers, _ in receiver.got} == {receiver.got[0][0]["webhook-id"]}
    assert _delivery(store, delivery_id)[0].status is DeliveryStatus.FAILED


def test_a_misconfigured_receiver_is_given_up_soon(
    store: Store, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.status = 404
    delivery_id, _ = _announce(store, receiver)
    assert _try_until_over(store, delivery_id, monkeypatch) == MISCONFIGURED_ATTEMPTS


def test_a_receiver_that_is_gone_is_told_nothing_more(store: Store, receiver: Receiver) -> None:
    receiver.status = 410
    delivery_id, _ = _announce(store, receiver)
    dispatch_webhook.fn(delivery_id)
    delivery, endpoint = _delivery(store, delivery_id)
    assert (delivery.status, endpoint.state) == (DeliveryStatus.FAILED, EndpointState.DISABLED)


def test_a_receiver_that_asks_for_time_gets_it(store: Store, receiver: Receiver) -> None:
    receiver.status, receiver.headers = 429, {"Retry-After": "3600"}
    delivery_id, _ = _announce(store, receiver)
    before = wiring.machine.now()
    dispatch_webhook.fn(delivery_id)
    next_at = _delivery(store, delivery_id)[0].next_at
    assert next_at is not None
    assert 3590 < (next_at - before).total_seconds() < 3660


def test_an_endpoint_named_by_one_job_hears_nothing_of_others(store: Store, receiver: Receiver) -> None:
    with store.writing() as connection:
        endpoint = job_commands.add_endpoint(wiring.machine, connection, receiver.url, scope="named", events=[])
        jobs.create(connection, job())
        events.emit(wiring.machine, connection, "job.created", job())
        assert webhooks.deliveries_of(connection, endpoint.id, 5) == []
