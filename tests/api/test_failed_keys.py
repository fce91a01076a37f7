"""The log of wrong keys: a line for each address and minute, without keys, however many there are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from falcon.testing import TestClient
from loguru import logger

from api.app import create_app
from api.context import Context
from api.http import failed_keys
from api.http.auth import key_needed
from api.http.failed_keys import FailedKeys
from tests.support.clock import Clock


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """Return the list of the log's messages."""
    found: list[str] = []
    sink = logger.add(lambda message: found.append(str(message.record["message"])), level="INFO")
    yield found
    logger.remove(sink)


def test_an_address_has_two_lines_a_minute(context: Context, clock: Clock, lines: list[str]) -> None:
    client = TestClient(create_app(context))
    for _ in range(500):
        client.simulate_get("/jobs", headers={"Authorization": "Bearer guess-of-a-secret"}, remote_addr="192.0.2.1")
        client.simulate_post("/login", json={"key": "guess-of-a-secret"}, remote_addr="192.0.2.1")
    assert lines == ["API key: wrong key from '192.0.2.1'"]

    clock.move(minutes=1)
    client.simulate_get("/jobs", headers={"Authorization": "Bearer test-key-of-tests"})
    assert lines[1:] == ["API key: 1000 wrong keys from '192.0.2.1' in a minute"]
    assert "guess" not in "".join(lines)


def test_many_addresses_do_not_fill_the_log_or_the_memory(
    clock: Clock, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failed_keys, "MAX_COUNTED", 1000)
    failed = FailedKeys(clock.now_s)
    for number in range(3000):
        failed.refuse(f"10.0.{number // 256}.{number % 256}", key_needed())
    clock.move(minutes=1)
    failed.log_counts()

    assert failed.total == 3000
    assert len(lines) == failed_keys.MAX_LOGGED + 1
    assert lines[-1] == "API key: 2980 wrong keys from other addresses in a minute"


def test_an_address_of_a_header_cannot_forge_lines(clock: Clock, lines: list[str]) -> None:
    FailedKeys(clock.now_s).refuse("1.2.3.4\nERROR all is lost " + "x" * 1000, key_needed())
    [line] = lines
    assert "\n" not in line
    assert len(line) < 120


def test_the_addresses_of_an_ipv6_subscriber_count_together(context: Context) -> None:
    client = TestClient(create_app(context))
    statuses = [
        client.simulate_get(
            "/jobs", headers={"Authorization": "Bearer x"}, remote_addr=f"2001:db8::{number:x}"
        ).status_code
        for number in range(1, 13)
    ]
    assert statuses == [401] * 10 + [429] * 2
