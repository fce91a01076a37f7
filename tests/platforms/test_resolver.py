"""Silent name servers hold a bounded number of threads, none of which does the work."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from platforms import webhook
from platforms.http import client, resolver
from platforms.http.resolver import NameTimeout, Resolver
from tests.support.waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]
ADDRESS = "192.0.2.7"
SHORT_S = 0.2
Hang = Callable[[str], None]


class NameServers:
    """Answers look-ups, except of the names below silent.example until `release` is set."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.asked: list[str] = []

    def getaddrinfo(self, host: str, *_: Any, **__: Any) -> list[Any]:  # Any: the resolver's own shapes
        self.asked.append(host)
        if host.endswith("silent.example"):
            self.release.wait(60)
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        if host.endswith("unknown.example"):
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ADDRESS, 0))]


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServers]:
    answering = NameServers()
    monkeypatch.setattr(socket, "getaddrinfo", answering.getaddrinfo)
    yield answering
    answering.release.set()
    both = (resolver.for_users, resolver.for_platforms)
    wait_for(lambda: not any(one._look_ups for one in both), "the look-ups to end")


def test_a_name_is_resolved(servers: NameServers) -> None:
    assert Resolver(1).resolve("hooks.example.com") == (ADDRESS,)
    assert servers.asked == ["hooks.example.com"]


@pytest.mark.parametrize("address", ["192.0.2.9", "::1"])
def test_an_address_is_not_looked_up(servers: NameServers, address: str) -> None:
    assert Resolver(0).resolve(address) == (address,)
    assert servers.asked == []


@pytest.mark.parametrize("name", ["unknown.example", "a" * 70 + ".example", "\udc80.example"])
def test_a_name_that_does_not_exist_is_refused_as_unknown(servers: NameServers, name: str) -> None:
    servers.release.set()
    with pytest.raises(socket.gaierror) as caught:
        Resolver(1).resolve(name) if name == "unknown.example" else _real_look_up(name)
    assert not isinstance(caught.value, NameTimeout)


def _real_look_up(name: str) -> None:
    """Resolve a name that is refused before any name server is asked."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", socket._socket.getaddrinfo)  # type: ignore[attr-defined]
        Resolver(1).resolve(name)


def test_a_silent_name_server_is_given_up_at_the_deadline(servers: NameServers) -> None:
    started = time.monotonic()
    with pytest.raises(NameTimeout):
        Resolver(1).resolve("silent.example", SHORT_S)
    assert time.monotonic() - started < SHORT_S + 1


def test_callers_of_one_name_share_its_look_up(servers: NameServers) -> None:
    one = Resolver(2)
    with ThreadPoolExecutor(8) as callers:
        refused = list(callers.map(lambda _: _outcome(one, "silent.example"), range(8)))
    assert refused == ["NameTimeout"] * 8
    assert servers.asked == ["silent.example"]
    assert one.resolve("hooks.example.com") == (ADDRESS,)  # the other thread is free


def test_further_names_are_refused_at_once_while_all_threads_hang(servers: NameServers) -> None:
    one = Resolver(2)
    for number in range(2):
        with pytest.raises(NameTimeout):
            one.resolve(f"{number}.silent.example", SHORT_S)
    started = time.monotonic()
    with pytest.raises(NameTimeout, match="2 look-ups of other names"):
        one.resolve("hooks.example.com")
    assert time.monotonic() - started < SHORT_S
    servers.release.set()
    wait_for(lambda: _outcome(one, "hooks.example.com") == ADDRESS, "a free thread")


def _outcome(one: Resolver, name: str) -> str:
    try:
        return one.resolve(name, SHORT_S)[0]
    except socket.gaierror as error:
        return type(error).__name__


def test_a_forked_child_begins_without_the_look_ups_of_its_parent(servers: NameServers) -> None:
    one = Resolver(1)
    _outcome(one, "silent.example")
    child = os.fork()
    if child == 0:  # pragma: no cover (in the child)
        os._exit(0 if _outcome(one, "hooks.example.com") == ADDRESS else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_process_ends_while_a_look_up_hangs() -> None:
    """Executors of the standard library would wait for it at the exit."""
    code = (
        "import socket, time; socket.getaddrinfo = lambda *_, **__: time.sleep(600)\n"
        "from platforms.http.resolver import NameTimeout, Resolver\n"
        "try: Resolver(1).resolve('silent.example', 0.1)\n"
        "except NameTimeout: print('refused')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "refused\n"


def test_silent_names_of_users_do_not_delay_platforms(servers: NameServers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty endpoints below a silent server, while a platform is asked."""
    monkeypatch.setattr(resolver, "DEADLINE_S", SHORT_S)
    with ThreadPoolExecutor(40) as senders:
        refused = list(senders.map(_deliver, [f"https://h{number}.silent.example/x" for number in range(40)]))
    assert {*refused} == {"name_timeout"}
    assert len(servers.asked) == resolver.USER_THREADS
    assert _deliver("https://hooks.example.com/") == "name_timeout"  # all threads of users hang
    started = time.monotonic()
    assert _asked_platform("http://platform.example.com/") in {"connect_timeout", "no_route"}  # it was resolved
    assert _asked_platform("http://unknown.example/") == "name_unknown"
    assert _asked_platform("http://silent.example/") == "name_timeout"
    assert time.monotonic() - started < 5


def _deliver(url: str) -> str:
    secret = "whsec_" + "a" * 32
    try:
        webhook.deliver(url, message_id="msg_1", timestamp=1, body=b"{}", secrets=[secret], allow_private=False)
    except webhook.Unreachable as error:
        return error.code
    return "delivered"


def _asked_platform(url: str) -> str:
    try:
        client.request("GET", url, timeout_s=(SHORT_S, SHORT_S))
    except client.NeverSent as error:
        return error.failure.code
    return "answered"


# In a mount namespace of its own, /etc/resolv.conf names a server that never answers.
AGAINST_A_SILENT_SERVER = """
import json, threading, time
from platforms.http import address_guard, client, resolver
def check(number):
    began = time.monotonic()
    try:
        address_guard.check(f"https://h{number}.silent-{number}.example.com/", allow_private=False)
    except address_guard.NameUnknown as error:
        seconds.append((error.code, time.monotonic() - began))
seconds = []
threads = [threading.Thread(target=check, args=(number,)) for number in range(40)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
began = time.monotonic()
try:
    client.request("GET", "http://api.platform.example.com/")
except client.NeverSent as error:
    platform = (error.failure.code, time.monotonic() - began)
print(json.dumps({"users": seconds, "platform": platform, "local": resolver.for_platforms.resolve("localhost")}))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can replace /etc/resolv.conf for one process")
def test_a_real_silent_name_server_is_given_up_after_two_seconds(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        try:
            silent.bind(("127.0.0.53", 53))
        except OSError as error:
            pytest.skip(f"no name server can listen here: {error}")
        (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.53\n")
        mounted = f"mount --bind {tmp_path / 'resolv.conf'} /etc/resolv.conf"
        process = subprocess.run(
            ["unshare", "--mount", "sh", "-c", f'{mounted} || exit 77; exec "$0" -c "$1"', sys.executable,
             AGAINST_A_SILENT_SERVER],
            cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        if process.returncode in {1, 77} and not process.stdout and "Traceback" not in process.stderr:
            pytest.skip(f"no mount namespace: {process.stderr.strip()}")
        assert process.returncode == 0, process.stderr
        silent.settimeout(1)
        assert b"silent-" in silent.recv(512)  # it was asked
    report = json.loads(process.stdout)
    assert {code for code, _ in report["users"]} == {"name_timeout"}
    assert len(report["users"]) == 40
    assert max(seconds for _, seconds in report["users"]) < resolver.DEADLINE_S + 1
    assert report["platform"][0] == "name_timeout"
    assert report["platform"][1] < resolver.DEADLINE_S + 1
    assert set(report["local"]) & {"127.0.0.1", "::1"}
