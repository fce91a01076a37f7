"""Rate limit for each client address, counted in this process."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network

import falcon

from api.http.problems import Problem

WINDOW_S = 60.0
MAX_CLIENTS = 10_000


def request_client(request: falcon.Request, *, behind_fly: bool) -> str:
    """Return the client's address, as `client_address`."""
    return client_address(
        request.env.get("REMOTE_ADDR", ""), request.get_header("Fly-Client-IP"), behind_fly=behind_fly
    )


def client_address(peer: str, fly_client_ip: str | None, *, behind_fly: bool) -> str:
    """Return the client's IPv4 address, or the /64 network that an IPv6 subscriber has.

    Args:
        peer: address of the other end of the connection.
        fly_client_ip: the header Fly-Client-IP, used only behind Fly's proxy, which always sets it. Elsewhere any
            client could set it.
    """
    text = (fly_client_ip if behind_fly and fly_client_ip else peer).strip()
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return text
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return str(ip_network((address, 64), strict=False))
    return str(getattr(address, "ipv4_mapped", None) or address)


@dataclass(frozen=True)
class UploadLimits:
    """The limits of uploads, shared by the application and the server, which checks them before a body.

    Attributes:
        uploads: new ones.
        continued: requests for resumable uploads that exist.
    """

    uploads: RateLimiter
    continued: RateLimiter


class RateLimiter:
    """Limits requests for each client in a sliding window of one minute.

    Args:
        per_minute: maximum number of requests, at least 1.
        noun: of what is counted, in the singular, for the error text; its plural ends in s.
        now_s: a clock in seconds that is never set: after a wall clock is set back, clients would wait for as long.
    """

    def __init__(self, per_minute: int, *, noun: str, now_s: Callable[[], float]) -> None:
        self._per_minute = per_minute
        self._noun = noun if per_minute == 1 else f"{noun}s"
        self._now_s = now_s
        self._lock = threading.Lock()
        self._hits: dict[str, deque[float]] = {}

    def hit(self, client: str) -> None:
        """Count one request.

        Raises:
            Problem: 429 with Retry-After in seconds, if the limit is exceeded.
        """
        moment_s = self._now_s()
        with self._lock:
            times = self._hits.setdefault(client, deque())
            while times and times[0] <= moment_s - WINDOW_S:
                times.popleft()
            if len(times) < self._per_minute:
                times.append(moment_s)
                self._evict(moment_s)
                return
            wait_s = int(times[0] + WINDOW_S - moment_s) + 1
        detail = f"at most {self._per_minute} {self._noun} a minute from one address; try again in {wait_s} s"
        raise Problem(429, "too_many", detail, headers={"Retry-After": str(wait_s)}, limit_per_minute=self._per_minute)

    def _evict(self, moment_s: float) -> None:
        # A client with many addresses must not fill the memory.
        if len(self._hits) > MAX_CLIENTS:
            self._hits = {
                client: times for client, times in self._hits.items() if times and times[-1] > moment_s - WINDOW_S
            }
            while len(self._hits) > MAX_CLIENTS:
                del self._hits[next(iter(self._hits))]
