"""Starts servers on loopback, on free ports, each in a directory of its own; stops them by process id."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from broker.postgresql import PostgresqlBroker
from scripts.benchmarks.broker.candidates import program

__all__ = ["STARTERS", "Server", "ServerFailed"]

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0


class ServerFailed(Exception):
    """A server did not start; the text contains the end of its log."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    url: str
    pid: int


@contextmanager
def redis(directory: Path) -> Iterator[Server]:
    """Run Redis with its default settings: occasional snapshots, no append-only file."""
    port = _free_port()
    command = [_path("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(directory)]
    with _running(command, directory, port) as pid:
        yield Server(f"redis://127.0.0.1:{port}/0", pid)


@contextmanager
def rabbitmq(directory: Path) -> Iterator[Server]:
    """Run RabbitMQ, with a port mapper of its own, which is stopped with it."""
    port, mapper_port = _free_port(), _free_port()
    environment = {
        "HOME": str(directory),  # where Erlang keeps its cookie
        "ERL_EPMD_PORT": str(mapper_port),
        "RABBITMQ_NODENAME": "bench@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(_free_port()),
        "RABBITMQ_MNESIA_BASE": str(directory / "mnesia"),
        "RABBITMQ_LOG_BASE": str(directory / "log"),
        "RABBITMQ_PID_FILE": str(directory / "pid"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "plugins"),
        "RABBITMQ_CONF_ENV_FILE": str(directory / "none"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        "RUNNING_UNDER_SYSTEMD": "true",  # the script is replaced by the Erlang process
    }
    mapper = [_path("epmd"), "-address", "127.0.0.1", "-port", str(mapper_port)]
    with (
        _running(mapper, directory, mapper_port),
        _running([_path("rabbitmq-server")], directory, port, environment=environment) as pid,
    ):
        yield Server(f"amqp://guest:guest@127.0.0.1:{port}/", pid)


@contextmanager
def postgres(directory: Path) -> Iterator[Server]:
    """Run PostgreSQL with its default settings; as another user if this one is root, which it refuses."""
    user = _unprivileged()
    cluster = directory / "cluster"
    if user is not None:
        shutil.chown(directory, user)
    subprocess.run(
        [_path("initdb"), "--auth=trust", "--username=bench", "--encoding=UTF8", "--pgdata", str(cluster)],
        check=True,
        stdout=subprocess.DEVNULL,
        user=user,
        cwd=directory,
    )
    port = _free_port()
    command = [_path("postgres"), "-D", str(cluster), "-p", str(port), "-h", "127.0.0.1", "-k", ""]
    # SIGINT is its fast shutdown, which does not wait for clients.
    with _running(command, directory, port, user=user, stop=signal.SIGINT) as pid:
        yield Server(f"postgresql://bench@127.0.0.1:{port}/postgres", pid)


@contextmanager
def relayed(transport: Callable[[Path], AbstractContextManager[Server]], directory: Path) -> Iterator[Server]:
    """Run PostgreSQL, a transport, and a relay between them; the URL has both, separated by a space.

    CPU time and memory of the server are PostgreSQL's alone.
    """
    folders = directory / "postgres", directory / "transport"
    for folder in folders:
        folder.mkdir()
    with postgres(folders[0]) as database, transport(folders[1]) as carrier:
        broker = PostgresqlBroker(database.url)
        broker.admin.queue_stats()  # creates the tables, without which a relay waits
        broker.close()
        command = [sys.executable, "-m", "scripts.benchmarks.broker.relay", database.url, carrier.url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                if process.stdout is None or process.stdout.readline() != "active\n":
                    raise ServerFailed("the relay did not start")
                yield Server(f"{database.url} {carrier.url}", database.pid)
            finally:
                process.terminate()


STARTERS: dict[str, Callable[[Path], AbstractContextManager[Server]]] = {
    "redis": redis,
    "rabbitmq": rabbitmq,
    "postgres": postgres,
    "relayed-redis": partial(relayed, redis),
    "relayed-rabbitmq": partial(relayed, rabbitmq),
}


@contextmanager
def _running(
    command: list[str],
    directory: Path,
    port: int,
    *,
    environment: dict[str, str] | None = None,
    user: str | None = None,
    stop: signal.Signals = signal.SIGTERM,
) -> Iterator[int]:
    log = directory / f"{Path(command[0]).name}.log"
    with log.open("wb") as log_file:
        process = subprocess.Popen(
            command,
            cwd=directory,
            env=os.environ | (environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=log_file,
            stderr=subprocess.STDOUT,
            user=user,
            start_new_session=True,  # Ctrl-C reaches only the benchmark, which then stops the server
        )
    try:
        _wait_until_it_answers(process, port, log)
        yield process.pid
    finally:
        process.send_signal(stop)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_it_answers(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline_s:
                raise ServerFailed(f"{process.args!r} did not start: {log.read_text()[-500:]}") from None
            time.sleep(0.05)
        else:
            return


def _path(name: str) -> str:
    path = program(name)
    if path is None:
        raise ServerFailed(f"there is no program {name}")
    return path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _unprivileged() -> str | None:
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
