"""Addresses under which a platform may fetch one part, for a while and without a key.

What stands in the address is sealed: nobody can make one, or read from it whose video it is.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from actors.machine import Machine
from settings import Settings
from store import Sealer
from store.sealing import WrongKey

LIFETIME = timedelta(hours=24)  # as long as Meta keeps a container that waits for its video


class BadLink(Exception):
    """The address was not made here, or its time is over."""


def create_link(settings: Settings, sealer: Sealer, job_id: str, number: int, *, expires: datetime) -> str:
    """Return the absolute address of a part; whoever has it can fetch the part until it expires."""
    sealed = sealer.seal({"use": "media", "job": job_id, "number": number, "until": expires.timestamp()})
    return f"{settings.root_url}/media/{sealed.decode()}"


def parse_token(sealer: Sealer, token: str, now: datetime) -> tuple[str, int]:
    """Return the job and the number of the part that an address stands for.

    Raises:
        BadLink: it was not made here, or its time is over.
    """
    try:
        found = sealer.open(token.encode())
    except (WrongKey, UnicodeEncodeError) as exc:
        raise BadLink("this address was not made here") from exc
    # The same key seals other things; none of them may pass for an address.
    if not isinstance(found, dict) or found.get("use") != "media" or found["until"] <= now.timestamp():
        raise BadLink("this address is no longer good")
    return str(found["job"]), int(found["number"])


def link_to_part(machine: Machine, job_id: str, number: int) -> str:
    """Return an address of a part that is good from now for `LASTS`."""
    return create_link(machine.settings, machine.sealer, job_id, number, expires=machine.now() + LIFETIME)
