"""API keys: of the environment, of the key file, and stored ones."""

from __future__ import annotations

import statistics
import time
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest
from falcon.testing import TestClient
from sqlalchemy import Connection, inspect, select, table, text

from api.app import create_app
from api.context import Context
from api.http.auth import MAX_AGE_S
from api.http.failed_keys import PER_MINUTE
from store import Store, api_keys
from store.api_keys import ApiKey
from store.owners import DEFAULT_OWNER
from tests.api import conftest
from tests.api.conftest import AUTH, KEY, OTHER_KEY
from tests.support.clock import Clock

PUBLIC = {"/", "/health", "/openapi.json", "/static/app.js"}


@pytest.fixture
def anonymous(context: Context) -> TestClient:
    return TestClient(create_app(context))


def add_key(context: Context, name: str = "phone") -> tuple[str, ApiKey]:
    """Store a new key; return it and its record."""
    key = api_keys.new_key()
    record = ApiKey(
        owner_id=DEFAULT_OWNER,
        id=context.new_id("key_"),
        name=name,
        key_hash=api_keys.hash_key(key),
        created_at=context.now(),
    )
    with context.store.writing(scope="everything") as connection:
        api_keys.add(connection, record)
    return key, record


def status(client: TestClient, key: str) -> int:
    return client.simulate_get("/jobs", headers={"Authorization": f"Bearer {key}"}).status_code


@pytest.mark.parametrize(
    "path", ["/jobs", "/status/x", "/accounts", "/schedule", "/webhooks", "/dead-letters", "/metrics"]
)
def test_an_anonymous_client_is_asked_for_a_key(anonymous: TestClient, path: str) -> None:
    answer = anonymous.simulate_get(path)

    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("path", sorted(PUBLIC))
def test_some_routes_are_public(anonymous: TestClient, path: str) -> None:
    assert anonymous.simulate_get(path).status_code in {200, 503}


@pytest.mark.parametrize(
    "header", ["Bearer wrong", "Bearer ", "Bearer", KEY, f"Basic {KEY}", "Bearer caf\xe9", f"Bearer {KEY}x", ""]
)
def test_a_wrong_key_is_wrong(anonymous: TestClient, header: str) -> None:
    assert anonymous.simulate_get("/jobs", headers={"Authorization": header}).status_code == 401


def test_every_key_opens(anonymous: TestClient) -> None:
    for key in (KEY, OTHER_KEY):
        assert anonymous.simulate_get("/jobs", headers={"Authorization": f"bearer {key}"}).status_code == 200


def test_a_stored_key_opens_at_once_and_its_revocation_counts_within_a_second(
    anonymous: TestClient, context: Context, clock: Clock
) -> None:
    key = api_keys.new_key()
    assert status(anonymous, key) == 401
    key, record = add_key(context)
    clock.move(seconds=0.2)
    assert status(anonymous, key) == 200

    with context.store.writing(scope="everything") as connection:
        api_keys.revoke(connection, record.id, clock())
    clock.move(seconds=MAX_AGE_S)
    assert status(anonymous, key) == 401


def test_a_copy_of_the_database_contains_no_key(context: Context) -> None:
    """Neither a stored key nor one of the environment, nor a session's token."""
    key, _ = add_key(context)
    tokens = [conftest.sign_in(context, KEY), conftest.sign_in(context, key)]

    with context.store.reading() as connection:
        names = inspect(connection).get_table_names()  # those of the broker, too
        found = [connection.execute(select(text("*")).select_from(table(name))).all() for name in names]
        dump = str(found)

    assert "phone" in dump
    for secret in (KEY, OTHER_KEY, key, key.removeprefix("vidprod_"), *tokens):
        assert secret not in dump


def test_a_key_has_256_random_bits_and_is_recognizable() -> None:
    keys = {api_keys.new_key() for _ in range(100)}
    assert len(keys) == 100
    assert {len(key) for key in keys} == {len("vidprod_") + 43}


def test_the_key_file_opens_while_it_exists(context: Context, clock: Clock, tmp_path: Path) -> None:
    file = tmp_path / "api.key"
    file.write_text("a-key-that-was-generated\n")
    changed = replace(context, keys=conftest.api_keys(context, [], key_file=file))
    client = TestClient(create_app(changed))
    assert status(client, "a-key-that-was-generated") == 200

    file.unlink()
    clock.move(seconds=MAX_AGE_S)
    assert status(client, "a-key-that-was-generated") == 401
    assert status(client, "") == 401


def test_the_identity_of_a_key_in_the_environment_is_that_of_earlier_versions(context: Context) -> None:
    """Idempotency keys of an upload that is repeated after the upgrade belong to it."""
    found = context.keys.find("test-key-of-tests")
    assert found is not None
    assert found.identity == "726c9309a1366721"


def test_wrong_keys_are_limited_for_their_address_and_valid_ones_are_not(anonymous: TestClient, clock: Clock) -> None:
    """An attacker behind the same NAT or proxy must not lock the owner out."""
    assert [status(anonymous, "wrong") for _ in range(PER_MINUTE + 1)] == [401] * PER_MINUTE + [429]
    refused = anonymous.simulate_post("/login", json={"key": "wrong"})
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "60")
    assert status(anonymous, KEY) == 200
    assert anonymous.simulate_post("/login", json={"key": KEY}).status_code == 204

    clock.move(minutes=1, seconds=1)
    assert status(anonymous, "wrong") == 401


def test_requests_without_a_key_are_no_wrong_keys(anonymous: TestClient) -> None:
    """The page asks once before it shows its sign-in; an expired session asks again and again."""
    for _ in range(3 * PER_MINUTE):
        assert anonymous.simulate_get("/jobs").status_code == 401
        assert anonymous.simulate_get("/jobs", cookies={"vidprod_session": "x" * 43}).status_code == 401


def test_failed_authentications_are_counted_in_the_metrics(anonymous: TestClient) -> None:
    for _ in range(3):
        status(anonymous, "wrong")
    shown = anonymous.simulate_get("/metrics", headers=AUTH).text
    assert "vidprod_authentication_failures_total 3.0" in shown


def test_a_wrong_key_takes_as_long_as_an_almost_right_one(context: Context, clock: Clock) -> None:
    """A comparison byte by byte would tell how much of a key is right."""
    key, _ = add_key(context)
    almost, other = key[:-1] + ("a" if key[-1] != "a" else "b"), "x" * len(key)
    context.keys.find(other)  # reads the stored keys

    def duration_ns(given: str) -> int:
        begun = time.perf_counter_ns()
        context.keys.find(given)
        return time.perf_counter_ns() - begun

    pairs = [(duration_ns(almost), duration_ns(other)) for _ in range(2000)]
    medians = [statistics.median(times) for times in zip(*pairs, strict=True)]
    assert abs(medians[0] - medians[1]) < 0.2 * max(medians)


def test_wrong_keys_do_not_read_the_database_each_time(
    context: Context, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody can send them."""
    readings: list[Store] = []
    engine = type(context.store)
    reading = engine.reading

    def counted(store: Store) -> AbstractContextManager[Connection]:
        readings.append(store)
        return reading(store)

    monkeypatch.setattr(engine, "reading", counted)
    for _ in range(50):
        assert context.keys.find("wrong") is None
    assert len(readings) == 1

    clock.move(seconds=0.2)
    assert context.keys.find("wrong") is None
    assert len(readings) == 2
