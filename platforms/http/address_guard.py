"""The check of addresses given by users: public ones over https only, and nothing inside any network.

A name is resolved once and every address of it is checked. The connection then goes to a checked address
(`platforms.http.client` takes the addresses), so a name that resolves differently at the second look-up (DNS
rebinding) gains nothing. Addresses are compared as numbers, never as text. An egress firewall, as a second barrier, is
the operator's task.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from platforms.errors import PlatformError
from platforms.http import resolver

MAX_URL_CHARS = 2048
_VISIBLE_ASCII = re.compile(r"[\x21-\x7e]+")
_HOST_NAME = re.compile(r"(?=.{4,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")
_PRIVATE_DOMAINS = ("localhost", "local", "internal", "flycast", "home.arpa", "lan", "intranet", "corp", "arpa")
# Ports ≥ 1024 of other protocols than HTTP, or of HTTP services that trust everyone who can connect: databases,
# queues, orchestration. Below 1024 only 443 is allowed.
_FORBIDDEN_PORTS = frozenset(
    {1433, 1521, 2049, 2375, 2376, 2379, 2380, 3306, 3389, 4280, 5432, 5672, 5900, 5984, 6000, 6379, 6443, 6667}
    | {8086, 8500, 9000, 9042, 9092, 9200, 9300, 10250, 11211, 15672, 26379, 27017, 27018}
)

# IANA special-purpose registries, and two cloud services: Oracle's 192.0.0.192 lies in 192.0.0.0/24, Azure's wire
# server is 168.63.129.16. `ipaddress.IPv4Address.is_global` accepts several of these (Python 3.11.7, measured
# 2026-11-22).
_CLOSED_V4 = tuple(
    IPv4Network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16"),
        *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24"),
        *("192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4"),
        "240.0.0.0/4",
    )
)
# All that is allotted to the public; fd00::/8 (Fly's 6PN), fe80::/10 and ff00::/8 lie outside.
_OPEN_V6 = IPv6Network("2000::/3")
_CLOSED_V6 = tuple(
    IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)


class AddressRefused(PlatformError):
    """An address that must not be called.

    Attributes:
        code: "url_invalid", "scheme_refused", "port_refused", "name_refused", "address_private", "own_address".
    """


@dataclass(frozen=True)
class CheckedAddress:
    """A URL that passed the check.

    Attributes:
        addresses: its IP addresses, all checked, in the resolver's order; connect to these only.
    """

    url: str
    addresses: tuple[str, ...]


class NameUnknown(PlatformError):
    """The host name does not resolve at the moment; that may change.

    Attributes:
        code: "name_unknown", or "name_timeout" if no name server answers.
    """


def check(url: str, *, allow_private: bool, own_hosts: frozenset[str] = frozenset()) -> CheckedAddress:
    """Check an address given by a user, with one look-up of its name.

    Args:
        allow_private: for development and tests: http, any port and any address.
        own_hosts: our own public host names, in lower case; calling ourselves would create a loop.

    Raises:
        AddressRefused: the address must not be called; `code` and `detail` say why.
        NameUnknown: the host name does not resolve now.
    """
    host = _check_text(url, allow_private=allow_private, own_hosts=own_hosts)
    addresses = _resolve(host)
    if not allow_private:
        for address in addresses:
            _check_address(address)
    return CheckedAddress(url, addresses)


def check_text(url: str, *, allow_private: bool, own_hosts: frozenset[str] = frozenset()) -> None:
    """Check what the text of an address tells, without a look-up of its name. The arguments are those of `check`.

    Raises:
        AddressRefused: the address must not be called; `code` and `detail` say why.
    """
    _check_text(url, allow_private=allow_private, own_hosts=own_hosts)


def _check_text(url: str, *, allow_private: bool, own_hosts: frozenset[str]) -> str:
    """Return the host of an address whose text is acceptable."""
    host = _host(url, allow_private=allow_private)
    if host in own_hosts:
        raise AddressRefused("own_address", "The address is this service itself")
    if not allow_private:
        if _is_literal(host):
            _check_address(host)
        else:
            _check_name(host)
    return host


def _host(url: str, *, allow_private: bool) -> str:
    # Parsers disagree on backslashes, spaces and control characters; no address needs them.
    if len(url) > MAX_URL_CHARS or not _VISIBLE_ASCII.fullmatch(url) or "\\" in url:
        raise AddressRefused(
            "url_invalid", f"The address must have at most {MAX_URL_CHARS} plain characters, without spaces"
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise AddressRefused("url_invalid", "The address is malformed") from None
    if parts.scheme not in ({"http", "https"} if allow_private else {"https"}):
        raise AddressRefused("scheme_refused", "The address must begin with https://")
    # Of the authority only host and port: no user, no password, no zone id ("%eth0"), no final dot.
    if not host or "@" in parts.netloc or "%" in parts.netloc or host.endswith(".") or parts.fragment:
        raise AddressRefused(
            "url_invalid", "The address needs a plain host, without user name, zone id, final dot or fragment"
        )
    if not allow_private and port is not None and (port in _FORBIDDEN_PORTS or (port != 443 and port < 1024)):
        raise AddressRefused("port_refused", f"Port {port} is not allowed for webhooks")
    return host.lower()


def _is_literal(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _check_name(host: str) -> None:
    # The last label must begin with a letter: "0177.1", "2130706433" and "0x7f.1" are other spellings of addresses. A
    # name with letters beyond ASCII must be given in its xn-- form.
    if not _HOST_NAME.fullmatch(host):
        raise AddressRefused("name_refused", "The host must be a full public name such as hooks.example.com")
    if any(host.endswith(f".{domain}") for domain in _PRIVATE_DOMAINS):
        raise AddressRefused("name_refused", "The host name belongs to a private network")


def _resolve(host: str) -> tuple[str, ...]:
    try:
        return resolver.for_users.resolve(host)
    except resolver.NameTimeout:
        raise NameUnknown("name_timeout", "The host name cannot be resolved now: no name server answers") from None
    except OSError:
        raise NameUnknown("name_unknown", "The host name cannot be resolved") from None


def _check_address(text: str) -> None:
    if not is_public(text):
        raise AddressRefused("address_private", "The host has an address in a private or special-purpose network")


def is_public(text: str) -> bool:
    """Return whether an IP address belongs to the public Internet and does not lead into another network."""
    try:
        address = ip_address(text)
    except ValueError:  # a zone id is part of the text of link-local addresses: not public either
        return False
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _CLOSED_V4)
    return _is_public_v6(address)


def _is_public_v6(address: IPv6Address) -> bool:
    # The kernel connects a mapped address over IPv4, so it is checked as IPv4. The other embeddings of IPv4 (NAT64,
    # 6to4, Teredo, "::a.b.c.d") are all closed, whatever address they embed.
    if address.ipv4_mapped is not None:
        return is_public(str(address.ipv4_mapped))
    scoped = address.scope_id is not None
    return not scoped and address in _OPEN_V6 and not any(address in network for network in _CLOSED_V6)
