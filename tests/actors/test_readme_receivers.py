"""The receivers of the README, run as they stand there, with real deliveries."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from actors import wiring
from actors.flow import endpoint_commands, events
from platforms import webhook
from scripts.local.ports import free_ports
from store import Store, webhooks
from store.states import DeliveryStatus
from tests.actors.queues import change_machine
from tests.actors.webhook_run import WebhookRun
from tests.store.rows import job
from tests.support.clock import Clock
from tests.support.waiting import wait_for

README = Path(__file__).resolve().parents[2] / "README.md"
TITLE = (
    "Über Blicke \u2028 \x1b[1m 👩‍👩‍👧 <&\"'"  # encoders of JSON differ in these: only the bytes as they came verify
)


def code(first_line: str) -> str:
    """Return the code block of the README that begins like this."""
    blocks = re.findall(r"^```\w+\n(.*?)^```$", README.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    [block] = [block for block in blocks if block.startswith(first_line)]
    return str(block)


@dataclass(frozen=True)
class Program:
    """A receiver that runs."""

    url: str
    output: Path

    def lines(self) -> list[str]:
        return self.output.read_bytes().decode().split("\n")[:-1]  # `splitlines` would split at U+2028, too


Start = Callable[[str, int], Program]


@pytest.fixture(params=["python", "node"])
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Start]:
    """Return what starts the receiver of the README with a secret on a port."""
    if request.param == "node" and shutil.which("node") is None:
        pytest.skip("Node.js is not installed")
    name, first_line = (
        ("receiver.py", "# receiver.py") if request.param == "python" else ("receiver.mjs", "// receiver")
    )
    command = [sys.executable] if request.param == "python" else ["node"]
    (tmp_path / name).write_text(code(first_line), encoding="utf-8")
    processes = []

    def run(secret: str, port: int) -> Program:
        output = tmp_path / f"output-{port}"
        with output.open("wb") as target:
            environ = {"PATH": os.environ["PATH"], "WEBHOOK_SECRET": secret, "PORT": str(port)}
            processes.append(
                subprocess.Popen([*command, tmp_path / name], env=environ, stdout=target, stderr=subprocess.DEVNULL)
            )
        wait_for(lambda: is_open(port), "the receiver to listen")
        return Program(f"http://127.0.0.1:{port}/", output)

    yield run
    for process in processes:
        process.kill()
        process.wait()


def is_open(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def endpoint(store: Store, monkeypatch: pytest.MonkeyPatch, port: int) -> Iterator[tuple[WebhookRun, str, str]]:
    clock = Clock(wiring.machine.now())
    change_machine(monkeypatch, now=clock)
    run = WebhookRun(store, clock)
    endpoint_id = run.add(f"http://127.0.0.1:{port}/")
    yield run, endpoint_id, endpoint_commands.signing_secret(wiring.machine, run.endpoint(endpoint_id))


def test_a_receiver_of_the_readme_processes_each_event_once(
    store: Store, monkeypatch: pytest.MonkeyPatch, start: Start
) -> None:
    [port] = free_ports(1)
    with endpoint(store, monkeypatch, port) as (run, endpoint_id, secret):
        program = start(secret, port)
        with store.writing(scope="everything") as connection:
            events.emit(wiring.machine, connection, "job.failed", job(), code="x", reason=TITLE)
        run.run(endpoint_id)
        assert run.statuses(endpoint_id) == [DeliveryStatus.DELIVERED]
        endpoint_commands.replay(wiring.machine, endpoint_id, since=run.clock.moment - timedelta(days=1), failed=False)
        run.emit()
        run.run(endpoint_id)
        wait_for(lambda: len(program.lines()) == 2, "two events")
        with store.reading() as connection:
            attempts = [len(one) for _, _, one in webhooks.deliveries_of(connection, endpoint_id, 5)]

    assert sorted(attempts) == [1, 2]
    kind, _, data = program.lines()[0].partition(" ")
    assert (kind, json.loads(data)["reason"]) == ("job.failed", TITLE)


def test_a_receiver_of_the_readme_accepts_both_secrets_while_one_is_replaced_and_no_other(
    store: Store, monkeypatch: pytest.MonkeyPatch, start: Start
) -> None:
    [port] = free_ports(1)
    with endpoint(store, monkeypatch, port) as (run, endpoint_id, old):
        endpoint_commands.rotate_secret(wiring.machine, endpoint_id, timedelta(hours=1))
        start(old, port)
        run.emit()
        run.attempt(endpoint_id)
        run.clock.move(hours=2)
        run.emit()
        run.attempt(endpoint_id)
        first, second = run.deliveries(endpoint_id)

    assert first[0].status is DeliveryStatus.DELIVERED
    assert [attempt.http_status for attempt in second[2]] == [401]


def test_a_receiver_of_the_readme_refuses_old_events(
    store: Store, monkeypatch: pytest.MonkeyPatch, start: Start
) -> None:
    """Somebody else may have recorded them."""
    [port] = free_ports(1)
    with endpoint(store, monkeypatch, port) as (run, endpoint_id, secret):
        program = start(secret, port)
        run.clock.move(minutes=-6)
        run.emit()
        run.attempt(endpoint_id)
        [(_, _, [attempt])] = run.deliveries(endpoint_id)

    assert (attempt.http_status, program.lines()) == (401, [])


N8N = """
const code = require("node:fs").readFileSync(0, "utf8");
const [json, body] = [JSON.parse(process.argv[1]), Buffer.from(process.argv[2], "base64")];
const AsyncFunction = Object.getPrototypeOf(async () => {}).constructor;
const node = new AsyncFunction("$input", "$env", "require", code);
const helpers = { getBinaryDataBuffer: async () => body };
node.call({ helpers }, { first: () => ({ json }) }, { VIDPROD_WEBHOOK_SECRET: process.argv[3] }, require).then(
  ([item]) => console.log(JSON.stringify(item.json)),
  (error) => { console.log(error.message); process.exitCode = 1; });
"""
"""What n8n gives a Code node, as far as the README's code uses it."""


def in_n8n(headers: dict[str, str], body: bytes, secret: str) -> tuple[int, str]:
    """Run the README's Code node; return its exit code and what it hands on, or its error."""
    if shutil.which("node") is None:
        pytest.skip("Node.js is not installed")
    arguments = [json.dumps({"headers": headers}), base64.b64encode(body).decode(), secret]
    ran = subprocess.run(
        ["node", "-e", N8N, *arguments], input=code("// n8n"), capture_output=True, text=True, timeout=30, check=False
    )
    return ran.returncode, ran.stdout.strip()


def signed(body: bytes, secret: str, age_s: int = 0) -> dict[str, str]:
    """Return the headers of a delivery."""
    timestamp = int(time.time()) - age_s
    signature = webhook.sign([secret], "msg_1", timestamp, body)
    return {"webhook-id": "msg_1", "webhook-timestamp": str(timestamp), "webhook-signature": signature}


def test_the_code_for_n8n_hands_on_events_of_vidprod_only() -> None:
    secret, other = endpoint_commands.new_signing_secret(), endpoint_commands.new_signing_secret()
    body = json.dumps({"type": "job.completed", "data": {"title": TITLE}}, ensure_ascii=False).encode()
    exit_code, handed_on = in_n8n(signed(body, secret), body, secret)
    assert (exit_code, json.loads(handed_on)) == (0, json.loads(body))
    refused = (1, "not from VidProd")
    assert in_n8n(signed(body, other), body, secret) == refused
    assert in_n8n(signed(body, secret), body + b" ", secret) == refused
    assert in_n8n(signed(body, secret, age_s=301), body, secret) == refused
    assert in_n8n({}, body, secret) == refused
