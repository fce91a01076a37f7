"""The rules of counters, against a model that is a dictionary and a clock."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from hypothesis import given
from hypothesis import strategies as st

from broker import rate_limits as counters
from broker.storage.schema import BACKEND_SCHEMA

KEYS = st.sampled_from(["a", "b", "c"])
AMOUNTS = st.integers(0, 4)
BOUNDS = st.integers(0, 6)
TTLS_MS = st.integers(1, 30)
STEPS = st.one_of(
    st.tuples(st.just("add"), KEYS, AMOUNTS, st.just(0), TTLS_MS),
    st.tuples(st.just("incr"), KEYS, AMOUNTS, BOUNDS, TTLS_MS),
    st.tuples(st.just("decr"), KEYS, AMOUNTS, BOUNDS, TTLS_MS),
    st.tuples(st.just("pass"), KEYS, AMOUNTS, st.just(0), TTLS_MS),
    st.tuples(st.just("purge"), KEYS, AMOUNTS, st.just(0), TTLS_MS),
)


class Model:
    """Counters as they should be."""

    def __init__(self) -> None:
        self.now_ms = 1000
        self._counters: dict[str, tuple[int, int]] = {}

    def value(self, key: str) -> int | None:
        value, expires_ms = self._counters.get(key, (0, 0))
        return value if expires_ms > self.now_ms else None

    def do(self, verb: str, key: str, amount: int, bound: int, ttl_ms: int) -> bool:
        present = self.value(key)
        if verb == "add":
            allowed, value = present is None, amount
        elif verb == "incr":
            value = (present or 0) + amount
            allowed = value <= bound
        else:
            value = (present or 0) - amount
            allowed = value >= bound
        if allowed:
            self._counters[key] = (value, self.now_ms + ttl_ms)
        return allowed


def do(connection: sqlite3.Connection, now_ms: int, verb: str, key: str, amount: int, bound: int, ttl_ms: int) -> bool:
    if verb == "add":
        return counters.add(connection, key, amount, ttl_ms=ttl_ms, now_ms=now_ms)
    if verb == "incr":
        return counters.change(connection, key, amount, maximum=bound, ttl_ms=ttl_ms, now_ms=now_ms)
    return counters.change(connection, key, -amount, minimum=bound, ttl_ms=ttl_ms, now_ms=now_ms)


@given(st.lists(STEPS, max_size=40))
def test_counters_follow_their_rules(steps: list[tuple[str, str, int, int, int]]) -> None:
    model = Model()
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        BACKEND_SCHEMA.migrate(connection)
        for verb, key, amount, bound, ttl_ms in steps:
            if verb == "pass":
                model.now_ms += ttl_ms
            elif verb == "purge":
                counters.purge(connection, limit=amount, now_ms=model.now_ms)
            else:
                expected = model.do(verb, key, amount, bound, ttl_ms)
                assert expected == do(connection, model.now_ms, verb, key, amount, bound, ttl_ms)
            for keys in (["a"], ["b"], ["c"], ["a", "b", "c", "none"]):
                total = counters.total(connection, keys, now_ms=model.now_ms)
                assert sum(model.value(key) or 0 for key in keys) == total


@given(value=st.integers(1, 5), amount=st.integers(1, 5), minimum=st.integers(1, 5))
def test_what_is_undone_was_not_done(value: int, amount: int, minimum: int) -> None:
    now_ms, ttl_ms = 1000, 100
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        BACKEND_SCHEMA.migrate(connection)
        counters.add(connection, "other", value, ttl_ms=ttl_ms, now_ms=now_ms)
        counters.undo(connection, "other", value)
        assert counters.add(connection, "other", value, ttl_ms=ttl_ms, now_ms=now_ms)
        if counters.change(connection, "other", -amount, minimum=minimum, ttl_ms=ttl_ms, now_ms=now_ms):
            counters.undo(connection, "other", -amount)
        counters.change(connection, "other", amount, maximum=10, ttl_ms=ttl_ms, now_ms=now_ms)
        counters.undo(connection, "other", amount)
        assert counters.total(connection, ["other"], now_ms=now_ms) == value
