"""Creates and parses URLs under which a platform fetches one part without an API key.

The token in the URL is encrypted: it cannot be forged, and does not reveal the job.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from actors.machine import Machine
from settings import Settings
from store import Sealer
from store.sealing import WrongKey

LIFETIME = timedelta(hours=24)  # as long as Meta keeps a container that has no video yet


class BadLink(Exception):
    """The token is not one of ours, or has expired."""


def create_link(settings: Settings, sealer: Sealer, job_id: str, number: int, *, expires: datetime) -> str:
    """Return the absolute URL of a part, which needs no key and is valid until it expires."""
    sealed = sealer.seal({"use": "media", "job": job_id, "number": number, "until": expires.timestamp()})
    return f"{settings.root_url}/media/{sealed.decode()}"


def parse_token(sealer: Sealer, token: str, now: datetime) -> tuple[str, int]:
    """Return the job id and the part number of a token.

    Raises:
        BadLink: the token is not one of ours, or has expired.
    """
    try:
        found = sealer.open(token.encode())
    except (WrongKey, UnicodeEncodeError) as exc:
        raise BadLink("this link is not one of this machine") from exc
    # The same key encrypts other values; none of them may be accepted as a token.
    if not isinstance(found, dict) or found.get("use") != "media" or found["until"] <= now.timestamp():
        raise BadLink("this link has expired")
    return str(found["job"]), int(found["number"])


def link_to_part(machine: Machine, job_id: str, number: int) -> str:
    """Return the URL of a part, valid for `LIFETIME` from now."""
    return create_link(machine.settings, machine.sealer, job_id, number, expires=machine.now() + LIFETIME)
