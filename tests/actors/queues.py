"""Lists and runs waiting messages, and replaces fields of the actors' machine, such as its clock."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from dramatiq import Message
from sqlalchemy import text

from actors import wiring
from actors.start_publications import start_publications


def waiting() -> list[tuple[str, tuple[str, ...]]]:
    """Return actor and arguments of every message that waits, in the order in which it was sent."""
    with wiring.machine.store.reading() as connection:
        bodies = connection.exec_driver_sql("SELECT body FROM broker_messages ORDER BY id").scalars().all()
    messages = [Message.decode(bytes(body)) for body in bodies]
    return [(message.actor_name, tuple(message.args)) for message in messages]


def start_due() -> None:
    """Run the messages that start publications now: a transaction sends them for accounts that it has not locked."""
    change = text("DELETE FROM broker_messages WHERE actor = 'start_publications' AND state = 0 RETURNING body")
    with wiring.machine.store.writing(scope="everything") as connection:
        bodies = connection.scalars(change).all()
    for body in bodies:
        start_publications.fn(*Message.decode(bytes(body)).args)


def change_machine(monkeypatch: pytest.MonkeyPatch, **fields: Any) -> None:  # Any: as many types as fields
    """Let the actors of this process work with a machine that has other fields."""
    monkeypatch.setattr(wiring, "machine", replace(wiring.machine, **fields))


def change_settings(monkeypatch: pytest.MonkeyPatch, **values: object) -> None:
    """Let the actors of this process work with other settings."""
    change_machine(monkeypatch, settings=wiring.machine.settings.model_copy(update=values))


def move_clock(monkeypatch: pytest.MonkeyPatch, ahead: timedelta) -> datetime:
    """Set the actors' clock ahead; return its time."""
    real = wiring.machine.now
    change_machine(monkeypatch, now=lambda: real() + ahead)
    return wiring.machine.now()
