"""Who is calling, and how often they may."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network

import falcon

from api.http.problems import Problem

WINDOW = timedelta(minutes=1)
MAX_CALLERS = 10_000


def caller(request: falcon.Request, *, behind_fly: bool) -> str:
    """Return what stands for the caller: an IPv4 address, or the /64 that an IPv6 subscriber has."""
    return caller_of(request.env.get("REMOTE_ADDR", ""), request.get_header("Fly-Client-IP"), behind_fly=behind_fly)


def caller_of(peer: str, fly_client_ip: str | None, *, behind_fly: bool) -> str:
    """Return what stands for the caller.

    Args:
        peer: the address that is connected.
        fly_client_ip: the header of that name; Fly's proxy always sets it. Anywhere else anybody could.
    """
    text = (fly_client_ip if behind_fly and fly_client_ip else peer).strip()
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return text
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return str(ip_network((address, 64), strict=False))
    return str(getattr(address, "ipv4_mapped", None) or address)


class RateLimit:
    """So many a minute for each caller, counted in this process.

    Args:
        per_minute: how many, at least 1.
        what: is counted, in the singular; its plural ends in s.
        now: the clock.
    """

    def __init__(self, per_minute: int, *, what: str, now: Callable[[], datetime]) -> None:
        self._per_minute = per_minute
        self._what = what if per_minute == 1 else f"{what}s"
        self._now = now
        self._lock = threading.Lock()
        self._seen: dict[str, deque[datetime]] = {}

    def take(self, name: str) -> None:
        """Count one call.

        Raises:
            Problem: 429 with the seconds to wait.
        """
        moment = self._now()
        with self._lock:
            times = self._seen.setdefault(name, deque())
            while times and times[0] <= moment - WINDOW:
                times.popleft()
            if len(times) < self._per_minute:
                times.append(moment)
                self._forget(moment)
                return
            wait_s = int((times[0] + WINDOW - moment).total_seconds()) + 1
        detail = f"at most {self._per_minute} {self._what} a minute from one address; try again in {wait_s} s"
        raise Problem(429, "too_many", detail, headers={"Retry-After": str(wait_s)}, limit_per_minute=self._per_minute)

    def _forget(self, moment: datetime) -> None:
        # A stranger with many addresses must not fill the memory.
        if len(self._seen) > MAX_CALLERS:
            self._seen = {name: times for name, times in self._seen.items() if times and times[-1] > moment - WINDOW}
            while len(self._seen) > MAX_CALLERS:
                del self._seen[next(iter(self._seen))]
