"""The alert rules and the dashboard use only metrics that /metrics gives, and each alert fires."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # its types are a package of their own
from falcon.testing import TestClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Connection, text

from actors import machine_memory, wiring
from actors.disk import Disk
from api.context import Context
from store import accounts, heartbeats, jobs, publications, segments, stage_durations, tables
from store.states import AccountStatus, DeliveryStatus, PublicationStatus
from tests.store import rows
from tests.support.clock import Clock
from tests.support.dead_letters import make_dead_letter

MONITORING = Path(__file__).resolve().parents[2] / "scripts/monitoring"
RULES: dict[str, dict[str, Any]] = {  # Any: YAML
    rule["alert"]: rule
    for group in yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
}
COMPARISONS = {"==": operator.eq, ">": operator.gt, "<": operator.lt}
OF_PROMETHEUS = {"VidprodDown"}  # `up` is Prometheus' own metric

_EXPRESSION = re.compile(r"(?P<name>\w+)(?:\{(?P<labels>[^}]*)\})? (?P<operator>==|>|<) (?P<number>\d+)")
_LABEL = re.compile(r'(\w+)(=~|!=|=)"([^"]*)"')
_METRIC = re.compile(r"\b(?:vidprod|process)_\w+")
_MATCHES: dict[str, Callable[[str, str], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "=~": lambda value, pattern: re.fullmatch(pattern, value) is not None,
}


def _fires(alert: str, text: str) -> bool:
    """Evaluate the expression of an alert on the text of /metrics, as Prometheus does for such a simple one."""
    found = _EXPRESSION.fullmatch(RULES[alert]["expr"])
    assert found is not None, "an expression that this test cannot evaluate"
    wanted = _LABEL.findall(found["labels"] or "")
    compare = COMPARISONS[found["operator"]]
    return any(
        compare(sample.value, float(found["number"]))
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == found["name"]
        and all(_MATCHES[how](sample.labels.get(label, ""), value) for label, how, value in wanted)
    )


def _wait_s(seconds: float) -> Callable[[Context, Clock], None]:
    return lambda _, clock: clock.move(seconds=seconds)


def _queue_waits(queue_actor: str, seconds: float) -> Callable[[Context, Clock], None]:
    def change(context: Context, clock: Clock) -> None:
        del clock
        wiring.machine.send(queue_actor, "job")
        with context.store.writing(scope="everything") as connection:
            connection.execute(text("UPDATE broker_messages SET eta_ms = eta_ms - :ms"), {"ms": round(seconds * 1000)})

    return change


def _sql(statement: str) -> Callable[[Context, Clock], None]:
    def change(context: Context, clock: Clock) -> None:
        del clock
        with context.store.writing(scope="everything") as connection:
            connection.exec_driver_sql(statement)

    return change


def _dead_letter(context: Context, clock: Clock) -> None:
    del clock
    make_dead_letter(context, "media", "gaze", "part")


def _late_delivery(context: Context, clock: Clock) -> None:
    with context.store.writing(scope="everything") as connection:
        at = clock() - timedelta(seconds=901)
        _insert(connection, "endpoints", id="e", url="https://x.test", scope="all", events=[], state="enabled",
                secret=context.sealer.seal("x"), created_at=at)  # fmt: skip
        _insert(connection, "events", id="v", type="job.created", body="{}", created_at=at)
        _insert(
            connection, "deliveries", id="d", event_id="v", endpoint_id="e", status=DeliveryStatus.WAITING, next_at=at
        )


def _late_notice(context: Context, clock: Clock) -> None:
    with context.store.writing(scope="everything") as connection:
        at = clock() - timedelta(seconds=901)
        _insert(connection, "notices", id="n", subject="test", kind="test", status="sent", created_at=at, due_at=at)
        _insert(connection, "notice_deliveries", id="d", notice_id="n", target="t", status="waiting", next_at=at)


def _insert(connection: Connection, table: str, **values: Any) -> None:  # Any: columns
    connection.execute(tables.metadata.tables[table].insert().values(**values))


def _account(**values: Any) -> Callable[[Context, Clock], None]:  # Any: columns
    def change(context: Context, clock: Clock) -> None:
        del clock
        with context.store.writing(scope="everything") as connection:
            connection.execute(tables.accounts.update().values(**values))

    return change


def _outcome_unknown(context: Context, clock: Clock) -> None:
    del clock
    with context.store.writing(scope="everything") as connection:
        connection.execute(tables.publications.update().values(status=PublicationStatus.OUTCOME_UNKNOWN))


def _outage(context: Context, clock: Clock) -> None:
    with context.store.writing(scope="everything") as connection:
        _insert(connection, "platform_states", platform="tiktok", failures_in_a_row=3, since=clock(),
                paused_until=clock() + timedelta(hours=1))  # fmt: skip


CHANGES: dict[str, Callable[[Context, Clock], None]] = {
    "VidprodUnhealthy": _wait_s(120),
    "VidprodSchedulerSilent": _wait_s(181),
    "VidprodQueueStuck": _queue_waits("start_publications", 301),
    "VidprodRenderingLate": _queue_waits("split", 21601),
    "VidprodDeadLetters": _dead_letter,
    "VidprodQueuePaused": _sql("INSERT INTO broker_paused VALUES ('media', 0)"),
    "VidprodBackupLate": _wait_s(172801),
    "VidprodLoginExpires": _account(refresh_expires_at=rows.NOON + timedelta(days=6)),
    "VidprodAccountUnusable": _account(status=AccountStatus.RECONNECT),
    "VidprodPlatformPaused": _outage,
    "VidprodOutcomeUnknown": _outcome_unknown,
    "VidprodWebhooksLate": _late_delivery,
    "VidprodNoticesLate": _late_notice,
}
PATCHES = {
    "VidprodWriteLockHeld": ("held_s", 31.0),
    "VidprodDiskAlmostFull": ("free_bytes", 2**30 - 1),
    "VidprodMemoryLow": ("free_bytes", 2**25 - 1),
}  # what a test cannot bring about: name of the function, value


@pytest.fixture
def well(context: Context, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Context:
    """Return a machine that has what each metric needs, and nothing is wrong with it."""
    clock.correct(seconds=(rows.NOON - clock()).total_seconds())
    monkeypatch.setattr(Disk, "free_bytes", property(lambda _: 2**40))
    monkeypatch.setattr(machine_memory, "free_bytes", lambda: 2**30)
    part, owner = rows.segment(1), rows.account()
    with context.store.writing(scope="everything") as connection:
        for name in ("scheduler", "backup"):
            heartbeats.record(connection, name, clock(), clock.boot_time())
        jobs.create(connection, rows.job())
        segments.create(connection, [part])
        accounts.connect(connection, owner)
        publications.create(connection, [rows.publication(part, owner)])
        connection.execute(
            tables.accounts.update().values(
                refresh_expires_at=clock() + timedelta(days=8), tokens=context.sealer.seal("{}")
            )
        )
        stage_durations.observe(connection, stage_durations.RENDER, 1.0)
    return context


LOCK_ALERT = pytest.param("VidprodWriteLockHeld", marks=pytest.mark.sqlite_only("a server has no write lock"))


@pytest.mark.parametrize("alert", [*sorted(RULES.keys() - OF_PROMETHEUS - {"VidprodWriteLockHeld"}), LOCK_ALERT])
def test_each_alert_fires_for_its_reason_and_not_before(
    alert: str,
    well: Context,
    client: TestClient,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert not _fires(alert, client.simulate_get("/metrics").text)
    if alert in PATCHES:
        name, value = PATCHES[alert]
        if alert == "VidprodWriteLockHeld":
            monkeypatch.setattr(well.broker.write_lock, name, lambda: value)
        elif alert == "VidprodDiskAlmostFull":
            monkeypatch.setattr(Disk, name, property(lambda _: value))
        else:
            monkeypatch.setattr(machine_memory, name, lambda: value)
    else:
        CHANGES[alert](well, clock)
    assert _fires(alert, client.simulate_get("/metrics").text)


def test_dashboard_and_alerts_use_only_metrics_that_exist(well: Context, client: TestClient) -> None:
    text = client.simulate_get("/metrics").text
    declared = {name for family in text_string_to_metric_families(text) for name in _names(family)}
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    expressions += [rule["expr"] for name, rule in RULES.items() if name not in OF_PROMETHEUS]
    used = {name for expression in expressions for name in _METRIC.findall(expression)}
    assert used - declared == (set() if well.broker.write_lock else {"vidprod_write_lock_held_seconds"})
    assert len(used) > 15


def _names(family: Any) -> set[str]:  # Any: prometheus_client's Metric is untyped here
    return {family.name, *(sample.name for sample in family.samples)}
