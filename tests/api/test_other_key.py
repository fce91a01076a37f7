"""The API after a start with another SECRET_KEY than the data's: it says so, and answers without errors of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from falcon.testing import TestClient

from api.app import create_app
from api.context import Context
from scripts.local.ports import free_ports
from store import Sealer, heartbeats
from tests.api.conftest import AUTH, connect
from tests.support.clock import Clock
from tests.support.waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]
HOOK = "http://127.0.0.1:9/hook"


@pytest.fixture
def endpoint(client: TestClient, context: Context, clock: Clock) -> str:
    """Return an endpoint, beside an account; all is well."""
    connect(context, "tiktok")
    with context.store.writing(scope="everything") as connection:
        heartbeats.record(connection, "scheduler", clock(), clock.boot_time())
    made: str = client.simulate_post("/webhooks", json={"url": HOOK}).json["id"]
    return made


@pytest.fixture
def other(context: Context) -> TestClient:
    """Return a client of the API with another SECRET_KEY."""
    return TestClient(create_app(replace(context, sealer=Sealer("another key"))), headers=AUTH)


def test_health_is_red_and_names_nobody(client: TestClient, other: TestClient, endpoint: str) -> None:
    assert client.simulate_get("/health").status_code == 200
    answer = other.simulate_get("/health")
    check = answer.json["checks"]["secret_key"]
    assert (answer.status_code, check["ok"], check["accounts"], check["endpoints"]) == (503, False, 1, 1)
    assert "SECRET_KEY" in check["detail"]
    assert "@tiktok-1" not in answer.text
    assert client.simulate_get("/health").status_code == 200  # the key is back


def test_accounts_are_listed_as_unusable_with_the_reason(client: TestClient, other: TestClient, endpoint: str) -> None:
    [account] = other.simulate_get("/accounts").json["accounts"]
    assert (account["status"], "another SECRET_KEY" in account["reason"]) == ("reconnect", True)
    [account] = client.simulate_get("/accounts").json["accounts"]
    assert (account["status"], account["reason"]) == ("connected", None)


def test_the_secret_of_an_endpoint_is_a_clear_problem(other: TestClient, endpoint: str) -> None:
    for answer in (
        other.simulate_get(f"/webhooks/{endpoint}/secret"),
        other.simulate_post("/webhooks", json={"url": HOOK}),  # the address is known, and keeps its secret
    ):
        assert (answer.status_code, answer.json["code"]) == (409, "secret_unreadable")
        assert f"/webhooks/{endpoint}/rotate" in answer.json["detail"]
    secret = other.simulate_post(f"/webhooks/{endpoint}/rotate", json={}).json["secret"]
    assert other.simulate_get(f"/webhooks/{endpoint}/secret").json == {"secret": secret}


def test_every_page_and_listing_answers(other: TestClient, endpoint: str) -> None:
    for path in ("/", "/accounts", "/webhooks", f"/webhooks/{endpoint}", "/jobs", "/metrics", "/dead-letters"):
        assert other.simulate_get(path).status_code == 200
    assert other.simulate_get("/media/gAAAAAB").status_code == 404
    assert other.simulate_delete("/accounts/tiktok-1").status_code == 204


@contextmanager
def process(data_dir: Path, module: str, key: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    environ = {"PATH": os.environ["PATH"], "DATA_DIR": str(data_dir), "SECRET_KEY": key, "PORT": str(free_ports(1)[0])}
    with (data_dir / "log").open("w") as log:
        running = subprocess.Popen(
            [sys.executable, "-m", module, *arguments], cwd=ROOT, env=environ, stderr=log, text=True
        )
        try:
            yield running
        finally:
            running.terminate()
            running.wait(30)


MODULES = [
    ["scripts.machine.migrate"],
    ["api"],
    ["scripts.machine.network_worker"],
    ["dramatiq", "actors.worker", "--queues", "media", "--processes", "1", "--threads", "1"],
    ["scripts.machine.retry"],
]


def test_every_process_that_opens_the_database_says_so_at_its_start(tmp_path: Path) -> None:
    key, other = "hunter2-hunter2-hunter2", "hunter3-hunter3-hunter3"
    code = (
        "from dataclasses import replace; from actors import wiring; from store import accounts\n"
        "from tests.store import rows\n"
        "machine = wiring.machine; machine.store.migrate()\n"
        "with machine.store.writing(scope='everything') as connection:\n"
        "    accounts.connect(connection, replace(rows.account(), tokens=machine.sealer.seal('tokens')))\n"
    )
    environ = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path), "SECRET_KEY": key}
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environ, check=True, timeout=60)

    def said() -> str:
        return (tmp_path / "log").read_text()

    for module, *arguments in MODULES:
        with process(tmp_path, module, other, *arguments) as running:
            wait_for(
                lambda: "tiktok '@tiktok-1'" in said() or running.poll() not in {None, 0}, f"{module}: {said()}", 30
            )
            assert "SECRET_KEY is not the key of the data" in said(), module
    with process(tmp_path, "api", key):
        wait_for(lambda: "API: listening" in said(), "the API")
    assert "SECRET_KEY" not in said()
