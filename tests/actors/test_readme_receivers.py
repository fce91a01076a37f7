"""The receivers of the README, run as they stand there, with real deliveries."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from actors import wiring
from actors.flow import endpoint_commands, events
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


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


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
    port = free_port()
    with endpoint(store, monkeypatch, port) as (run, endpoint_id, secret):
        program = start(secret, port)
        with store.writing() as connection:
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
    port = free_port()
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
    port = free_port()
    with endpoint(store, monkeypatch, port) as (run, endpoint_id, secret):
        program = start(secret, port)
        run.clock.move(minutes=-6)
        run.emit()
        run.attempt(endpoint_id)
        [(_, _, [attempt])] = run.deliveries(endpoint_id)

    assert (attempt.http_status, program.lines()) == (401, [])
