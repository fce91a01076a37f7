"""Resolves host names within a deadline.

getaddrinfo(3) has none: with glibc's defaults it waits for a silent name server 5 s, twice, for each server that
/etc/resolv.conf lists (resolv.conf(5)), and for each search domain again. Nothing can interrupt it. So each look-up has
a thread of its own, whose result is awaited for at most `DEADLINE_S`. The number of these threads is bounded: while all
of them hang, further names are not resolved, and their callers are told at once. A name is looked up by one thread at a
time, so one silent server holds one of them, however many callers ask.

The names in users' addresses and those of the platforms have separate threads: webhooks below a silent name server
delay neither publishing nor logins.
"""

from __future__ import annotations

import os
import socket
import threading
from dataclasses import dataclass, field
from ipaddress import ip_address

DEADLINE_S = 2.0  # public resolvers answer in milliseconds; the second attempt of glibc comes after 5 s
USER_THREADS = 16
PLATFORM_THREADS = 8


class NameTimeout(socket.gaierror):
    """No name server has answered in time, or all look-ups wait for one; that may change."""

    def __init__(self, reason: str) -> None:
        super().__init__(socket.EAI_AGAIN, reason)


@dataclass
class _LookUp:
    """One call of getaddrinfo, by one thread.

    Attributes:
        ended: set once `addresses` or `error` is.
    """

    ended: threading.Event = field(default_factory=threading.Event)
    addresses: tuple[str, ...] = ()
    error: OSError | None = None


class Resolver:
    """A bounded number of look-ups at a time."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._look_ups: dict[str, _LookUp] = {}  # by host; those that have not ended

    def resolve(self, host: str, within_s: float = DEADLINE_S) -> tuple[str, ...]:
        """Return the IP addresses of a host, in the resolver's order.

        Args:
            host: a name, or an address, which is returned as it is.
            within_s: at most so long.

        Raises:
            NameTimeout: no answer in time, or all threads wait for answers.
            socket.gaierror: the name does not exist, or cannot be resolved now.
        """
        if _is_address(host):
            return (host,)
        look_up = self._begin(host)
        if not look_up.ended.wait(within_s):
            raise NameTimeout(f"no name server answered within {within_s:g} s")
        if look_up.error is not None:
            raise socket.gaierror(*look_up.error.args)  # a new one: several callers may raise it
        return look_up.addresses

    def _begin(self, host: str) -> _LookUp:
        """Return the look-up of a host that is in progress; begin one if there is none."""
        with self._lock:
            if (found := self._look_ups.get(host)) is not None:
                return found
            if len(self._look_ups) >= self._threads:
                raise NameTimeout(f"{self._threads} look-ups of other names wait for name servers")
            look_up = self._look_ups[host] = _LookUp()
            # A daemon: a process that stops does not wait for name servers.
            thread = threading.Thread(target=self._run, args=(host, look_up), daemon=True, name="resolver")
            try:
                thread.start()
            except RuntimeError as error:  # the limit of threads of this user or cgroup
                del self._look_ups[host]
                raise NameTimeout("no thread can be started") from error
            return look_up

    def _run(self, host: str, look_up: _LookUp) -> None:
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            look_up.addresses = tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
        except OSError as error:
            look_up.error = error
        except UnicodeError:
            look_up.error = socket.gaierror(socket.EAI_NONAME, "not a host name")
        finally:
            with self._lock:
                self._look_ups.pop(host, None)
            look_up.ended.set()


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


for_users = Resolver(USER_THREADS)
"""Resolves the names in addresses given by users."""

for_platforms = Resolver(PLATFORM_THREADS)
"""Resolves the names of the platforms."""
