"""Addresses given by users that must not be called."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from platforms import webhook
from platforms.http import address_guard
from platforms.http.address_guard import AddressRefused, NameUnknown, check, is_public

INSIDE = [
    *("0.0.0.0", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.254", "168.63.129.16", "169.254.169.254"),  # noqa: S104 - judged, not bound to
    *("172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.31.196.1", "192.52.193.1", "192.88.99.1"),
    *("192.168.1.1", "192.175.48.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1"),
    *("255.255.255.255", "::", "::1", "::10.0.0.1", "::ffff:10.0.0.1", "::ffff:a00:1", "::ffff:127.0.0.1"),
    *("64:ff9b::a00:1", "64:ff9b::8.8.8.8", "64:ff9b:1::a00:1", "100::1", "2001::1", "2001:db8::1", "2002:a00:1::"),
    *("2002:808:808::", "2620:4f:8000::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fdaa::3", "fe80::1"),
    *("fe80::1%eth0", "febf::1", "fec0::1", "ff02::1", "not an address"),
]
OUTSIDE = ["1.1.1.1", "8.8.8.8", "93.184.216.34", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1"]


@pytest.mark.parametrize("address", INSIDE)
def test_addresses_inside_any_network_are_not_public(address: str) -> None:
    """Several of these are "global" for Python 3.11's ipaddress (measured 2026-11-22)."""
    assert not is_public(address)


@pytest.mark.parametrize("address", [*OUTSIDE, "::ffff:8.8.8.8"])
def test_addresses_of_the_public_internet_are_public(address: str) -> None:
    """Networks next to the closed ones stay open."""
    assert is_public(address)


Answers = Callable[[list[str]], None]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Answers:
    """Return a function that sets the addresses of the next look-up; the last list repeats."""
    pending: list[list[str]] = []

    def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:  # Any: the resolver's own shapes
        addresses = pending.pop(0) if len(pending) > 1 else pending[0]
        if not addresses:
            raise socket.gaierror("no such name")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return pending.append


@pytest.mark.parametrize("address", INSIDE)
def test_a_name_with_a_private_address_is_refused(address: str, resolver: Answers) -> None:
    """A name with a single private address is refused."""
    resolver([address])
    with pytest.raises(AddressRefused) as caught:
        check("https://hooks.example.com/x", allow_private=False)
    assert caught.value.code == "address_private"


def test_one_private_address_among_public_ones_is_refused(resolver: Answers) -> None:
    """Otherwise a retry could connect to it."""
    resolver(["93.184.216.34", "8.8.8.8", "127.0.0.1"])
    with pytest.raises(AddressRefused):
        check("https://hooks.example.com/x", allow_private=False)


def test_a_public_name_is_returned_with_its_checked_addresses(resolver: Answers) -> None:
    """The connection goes to these addresses, not to the name."""
    resolver(["93.184.216.34", "2606:4700::1111", "93.184.216.34"])
    assert check("https://hooks.example.com/x", allow_private=False).addresses == ("93.184.216.34", "2606:4700::1111")


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://hooks.example.com/", "scheme_refused"),
        ("ftp://hooks.example.com/", "scheme_refused"),
        ("file:///etc/passwd", "scheme_refused"),
        ("hooks.example.com", "scheme_refused"),
        ("https:///x", "url_invalid"),
        ("https://user@hooks.example.com/", "url_invalid"),
        ("https://user:pass@hooks.example.com/", "url_invalid"),
        ("https://hooks.example.com./", "url_invalid"),
        ("https://hooks.example.com/#f", "url_invalid"),
        ("https://hooks.example.com\\@evil/", "url_invalid"),
        ("https://hooks.example.com/ x", "url_invalid"),
        ("https://hooks.example.com/\n", "url_invalid"),
        ("https://[fe80::1%25eth0]/", "url_invalid"),
        ("https://[::1", "url_invalid"),
        ("https://hooks.example.com:99999/", "url_invalid"),
        ("https://hooks.example.com/" + "x" * 2048, "url_invalid"),
        ("https://bücher.example/", "url_invalid"),
        ("https://hooks.example.com:80/", "port_refused"),
        ("https://hooks.example.com:22/", "port_refused"),
        ("https://hooks.example.com:6379/", "port_refused"),
        ("https://hooks.example.com:4280/", "port_refused"),
        ("https://localhost/", "name_refused"),
        ("https://intranet/", "name_refused"),
        ("https://x.localhost/", "name_refused"),
        ("https://_api.internal:8443/", "name_refused"),
        ("https://top1.nearest.of.app.internal/", "name_refused"),
        ("https://app.flycast/", "name_refused"),
        ("https://printer.local/", "name_refused"),
        ("https://box.home.arpa/", "name_refused"),
        ("https://0177.1/", "name_refused"),
        ("https://2130706433/", "name_refused"),
        ("https://0x7f.0.0.1/", "name_refused"),
        ("https://127.1/", "name_refused"),
        ("https://127.0.0.1/", "address_private"),
        ("https://[::1]/", "address_private"),
        ("https://[::ffff:a00:1]/", "address_private"),
        ("https://[64:ff9b::a00:1]:8443/", "address_private"),
    ],
)
def test_every_forbidden_spelling_is_refused(url: str, code: str) -> None:
    """The refusal needs no look-up; literal addresses need none either."""
    with pytest.raises(AddressRefused) as caught:
        check(url, allow_private=False)
    assert caught.value.code == code


@pytest.mark.parametrize("port", ["", ":443", ":8443", ":1024", ":65535"])
def test_ordinary_ports_are_accepted(port: str, resolver: Answers) -> None:
    """Port 443 and most ports from 1024 on are accepted."""
    resolver(["93.184.216.34"])
    check(f"https://hooks.example.com{port}/x?y=1", allow_private=False)


def test_a_name_without_an_address_is_not_refused_for_good(resolver: Answers) -> None:
    """It may resolve tomorrow, so this is a different error."""
    resolver([])
    with pytest.raises(NameUnknown):
        check("https://hooks.example.com/", allow_private=False)


def test_we_do_not_call_ourselves(resolver: Answers) -> None:
    """A webhook to this service itself would create a loop of events."""
    resolver(["93.184.216.34"])
    with pytest.raises(AddressRefused) as caught:
        check("https://Vidprod.example.com/hook", allow_private=False, own_hosts=frozenset({"vidprod.example.com"}))
    assert caught.value.code == "own_address"


def test_in_development_private_addresses_are_accepted() -> None:
    """The setting WEBHOOK_ALLOW_PRIVATE allows private addresses, but no malformed ones."""
    assert check("http://127.0.0.1:9100/x", allow_private=True).addresses == ("127.0.0.1",)
    for url in ("file:///etc/passwd", "http://user@127.0.0.1/", "http:///"):
        with pytest.raises(AddressRefused):
            check(url, allow_private=True)


def test_a_name_that_resolves_differently_later_gains_nothing(
    resolver: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: public when checked, loopback afterwards. The call goes to the checked address."""
    resolver(["93.184.216.34"])
    resolver(["127.0.0.1"])
    connected_to: list[str] = []

    def create_connection(address: tuple[str, int], *_: Any, **__: Any) -> socket.socket:  # Any: unused
        connected_to.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", create_connection)

    with pytest.raises(webhook.Unreachable) as caught:
        webhook.deliver(
            "https://rebind.example.com/x",
            message_id="msg_1",
            timestamp=1,
            body=b"{}",
            secrets=["whsec_" + "YWJj" * 8],
            allow_private=False,
        )

    assert connected_to == ["93.184.216.34"]
    assert not caught.value.sent


def test_the_address_is_checked_at_every_attempt(resolver: Answers) -> None:
    """An endpoint that was public when it was saved may be private today."""
    resolver(["10.0.0.1"])
    with pytest.raises(AddressRefused):
        webhook.deliver(
            "https://hooks.example.com/x",
            message_id="msg_1",
            timestamp=1,
            body=b"{}",
            secrets=["whsec_" + "YWJj" * 8],
            allow_private=False,
        )


def test_the_list_of_closed_networks_is_parsed() -> None:
    """A typing error in the list would open a network."""
    assert len(address_guard._CLOSED_V4) == 19
    assert len(address_guard._CLOSED_V6) == 5
