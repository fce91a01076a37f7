"""Real servers of RabbitMQ and Redis in temporary directories, for tests, which may stop and start them."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import pika
import pytest
import redis

from tests.support.waiting import wait_for

__all__ = ["RabbitmqServer", "RedisServer", "TransportServer", "running_transport"]

RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


class TransportServer(ABC):
    """One server."""

    url: str

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def command(self) -> list[str]:
        """The program and its arguments."""

    @property
    def environ(self) -> dict[str, str]:
        """The environment of the program."""
        return dict(os.environ)

    @abstractmethod
    def answers(self) -> bool:
        """Return whether the server can be used."""

    @abstractmethod
    def clear(self) -> None:
        """Delete all tokens, and the queues with them."""

    def start(self) -> None:
        """Start and wait until it can be used."""
        with (self.directory / "log").open("ab") as log:
            # A group of its own: RabbitMQ's script starts further processes.
            self._process = subprocess.Popen(
                self.command, env=self.environ, cwd=self.directory, stdout=log, stderr=log, start_new_session=True
            )
        wait_for(self.answers, f"{type(self).__name__} to answer")

    def stop(self) -> None:
        """Kill the server and what it has started."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._process = None

    def close(self) -> None:
        """Stop for good."""
        self.stop()


class RedisServer(TransportServer):
    """Redis without persistence: what it held is lost when it is stopped."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        [self._port] = _free_ports(1)
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self.client = redis.Redis.from_url(self.url)

    @property
    def command(self) -> list[str]:
        return ["redis-server", "--port", str(self._port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]

    def answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.RedisError:
            return False

    def clear(self) -> None:
        self.client.flushall()

    def tokens_put(self) -> int:
        """Return how many tokens have been put since the start."""
        return int(self.client.info("commandstats").get("cmdstat_rpush", {"calls": 0})["calls"])

    def close(self) -> None:
        super().close()
        self.client.close()


class RabbitmqServer(TransportServer):
    """RabbitMQ on one scheduler thread, without plugins."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._port, self._distribution_port, self._name_port = _free_ports(3)
        self.url = f"amqp://guest:guest@127.0.0.1:{self._port}/%2F"
        self._starts = 0
        self._name_server: subprocess.Popen[bytes] | None = None
        (directory / "plugins").write_text("[].")

    @property
    def command(self) -> list[str]:
        return [str(RABBITMQ)]

    @property
    def environ(self) -> dict[str, str]:
        directory = self.directory
        return os.environ | {
            "HOME": str(directory),  # the cookie of Erlang
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._name_port),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": str(directory / "rabbitmq"),
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "plugins"),
            "RABBITMQ_LOGS": str(directory / "rabbitmq.log"),
            "RABBITMQ_MNESIA_BASE": str(directory / "data"),
            "RABBITMQ_NODENAME": "test@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self._port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none",
        }

    def answers(self) -> bool:
        # Not by a connection: pika does not close the socket of one that is refused while the server starts.
        log = self.directory / "rabbitmq.log"
        return log.exists() and log.read_text().count("Server startup complete") == self._starts

    def start(self) -> None:
        # Its name server, which it would start as a daemon that stays.
        command = ["epmd", "-port", str(self._name_port), "-address", "127.0.0.1"]
        if self._name_server is None:
            self._name_server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._starts += 1
        super().start()

    def close(self) -> None:
        super().close()
        if self._name_server is not None:
            self._name_server.kill()
            self._name_server.wait()

    def connection(self) -> pika.BlockingConnection:
        """Return a new connection."""
        return pika.BlockingConnection(pika.URLParameters(self.url))

    def clear(self) -> None:
        self.delete("relay.default")

    def delete(self, queue: str) -> None:
        """Delete a queue with its tokens."""
        connection = self.connection()
        connection.channel().queue_delete(queue)
        connection.close()

    def consumers(self, queue: str) -> int:
        """Return how many consumers a queue has."""
        connection = self.connection()
        declared = connection.channel().queue_declare(queue, passive=True)
        connection.close()
        return int(declared.method.consumer_count)


@contextlib.contextmanager
def running_transport(kind: str) -> Iterator[TransportServer]:
    """Run a server for the length of a block; skips the test if it is not installed."""
    installed = RABBITMQ.exists() if kind == "rabbitmq" else shutil.which("redis-server")
    if not installed:
        pytest.skip(f"{kind}-server is missing")
    directory = Path(tempfile.mkdtemp(prefix=f"{kind}-", dir="/tmp"))
    server = RabbitmqServer(directory) if kind == "rabbitmq" else RedisServer(directory)
    try:
        server.start()
        yield server
    finally:
        server.close()
        shutil.rmtree(directory, ignore_errors=True)
