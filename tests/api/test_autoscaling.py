"""README's autoscaling expression, on the text of /metrics, gives the number of machines one would expect."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from falcon.testing import TestClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from actors import wiring
from api.context import Context
from broker.errors import DatabaseUnavailable
from store import jobs
from tests.store import rows

README = Path(__file__).resolve().parents[2] / "README.md"
DELAY_S = 3600.0

Vector = dict[tuple[tuple[str, str], ...], float]

_SELECTOR = re.compile(r"(vidprod_\w+)\{([^}]*)\}")
_LABEL = re.compile(r'(\w+)(=~|=)"([^"]*)"')


def _expression() -> str:
    [block] = re.findall(r"```promql\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    return " ".join(line.partition("#")[0].strip() for line in block.splitlines())


def _machines(*texts: str) -> int | None:
    """Evaluate the expression as Prometheus does, on the texts of so many instances; None: it has no result."""
    samples = [
        (sample.name, sample.labels | {"instance": str(instance)}, sample.value)
        for instance, shown in enumerate(texts)
        for family in text_string_to_metric_families(shown)
        for sample in family.samples
    ]

    def select(name: str, matchers: str) -> Vector:
        wanted = {label: re.escape(value) if how == "=" else value for label, how, value in _LABEL.findall(matchers)}
        return {
            tuple(sorted(labels.items())): value
            for found, labels, value in samples
            if found == name and all(re.fullmatch(regex, labels.get(key, "")) for key, regex in wanted.items())
        }

    def max_by(label: str, vector: Vector) -> Vector:
        groups: dict[str, list[float]] = {}
        for labels, value in vector.items():
            groups.setdefault(dict(labels)[label], []).append(value)
        return {((label, name),): max(values) for name, values in groups.items()}

    functions: dict[str, Any] = {  # Any: functions of several types
        "select": select,
        "max_by": max_by,
        "sum": lambda vector: sum(vector.values()) if vector else math.nan,
        "max": lambda vector: max(vector.values(), default=math.nan),
        "ceil": lambda value: value if math.isnan(value) else math.ceil(value),
        "__builtins__": {},
    }
    code = _SELECTOR.sub(lambda found: f"select({found[1]!r}, {found[2]!r})", _expression())
    code = re.sub(r"max by \((\w+)\) \(", r"max_by('\1', ", code).replace("> bool", ">")
    value: float = eval(code, functions)  # noqa: S307  # the README's
    return None if math.isnan(value) else round(value)


def _send(count: int) -> None:
    for _ in range(count):
        wiring.machine.send("split", "job")


def _wait_s(context: Context, seconds: int) -> None:
    """Let all messages be so much older."""
    with context.store.writing(scope="everything") as connection:
        connection.execute(text("UPDATE broker_messages SET eta_ms = eta_ms - :ms"), {"ms": seconds * 1000})


@contextmanager
def _busy_worker() -> Iterator[None]:
    """Have a message of the queue `media` processed for the length of a block."""
    broker = wiring.machine.broker
    consumer = broker.consume("media", timeout=60_000)
    message = next(consumer)
    assert message is not None
    yield
    consumer.ack(message)
    consumer.close()
    broker.close()  # it opens again when it is used; the tests' directory is deleted before the end of the process


@pytest.fixture
def job(context: Context) -> None:
    with context.store.writing(scope="everything") as connection:
        jobs.create(connection, rows.job())


@pytest.mark.usefixtures("job")
def test_machines_follow_the_queue(client: TestClient, context: Context) -> None:
    seen = []
    for count in (0, 1, 3, 1, 7):
        _send(count)
        seen.append(_machines(client.simulate_get("/metrics").text))
    assert seen == [0, 1, 1, 2, 3]  # 0, 1, 4, 5 and 12 messages
    _wait_s(context, 601)
    assert _machines(client.simulate_get("/metrics").text) == 4


@pytest.mark.usefixtures("job")
def test_a_machine_that_works_is_kept_and_one_that_is_stuck_gets_help(client: TestClient, context: Context) -> None:
    _send(1)
    with _busy_worker():
        _wait_s(context, 1000)
        assert _machines(client.simulate_get("/metrics").text) == 1
        _send(2)
        assert _machines(client.simulate_get("/metrics").text) == 1
        _wait_s(context, 601)
        assert _machines(client.simulate_get("/metrics").text) == 2
        wiring.machine.broker.flush("media")
    assert _machines(client.simulate_get("/metrics").text) == 0


@pytest.mark.usefixtures("job")
def test_work_that_is_due_later_needs_no_machine_before(client: TestClient, context: Context) -> None:
    wiring.machine.send("split", "job", delay_s=DELAY_S)
    assert _machines(client.simulate_get("/metrics").text) == 0
    _wait_s(context, int(DELAY_S))
    assert _machines(client.simulate_get("/metrics").text) == 1


@pytest.mark.usefixtures("job")
def test_several_machines_that_show_the_same_queue_count_once(client: TestClient) -> None:
    _send(8)
    shown = client.simulate_get("/metrics").text
    assert _machines(shown, shown) == 2


@pytest.mark.usefixtures("job")
def test_without_a_database_the_number_is_unknown_and_not_zero(
    client: TestClient, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    _send(8)

    def broken(*_: object) -> None:
        raise DatabaseUnavailable("no such server")

    monkeypatch.setattr(context.broker.admin, "queue_stats", broken)
    assert _machines(client.simulate_get("/metrics").text) is None
