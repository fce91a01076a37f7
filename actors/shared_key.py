"""Finds machines with another SECRET_KEY than this one's on the same PostgreSQL server.

    marks: secret_key:FINGERPRINT     when a machine with that key was last seen; by each start and each tick

Tokens that one of them encrypts cannot be read by the other, so posts and events would wait on half of the machines.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Connection

from actors.machine import Machine
from store import heartbeats

PREFIX = "secret_key:"
SILENT_AFTER = timedelta(minutes=3)  # three ticks; then the key may be changed


def record(machine: Machine, connection: Connection) -> None:
    """Record that a machine with this key runs."""
    heartbeats.record(connection, _name(machine), machine.now(), machine.boot_time())


def is_another_in_use(machine: Machine, connection: Connection) -> bool:
    """Return whether a machine with another key was seen within `SILENT_AFTER`."""
    seen = heartbeats.names_since(connection, PREFIX, machine.now() - SILENT_AFTER)
    return any(name != _name(machine) for name in seen)


def _name(machine: Machine) -> str:
    """Return the name of the heartbeat of this key, of which nobody can compute the key."""
    return f"{PREFIX}{machine.sealer.keyed_hash('fingerprint')[:16]}"
