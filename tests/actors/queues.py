"""Lists waiting messages, and replaces fields of the actors' machine, such as its clock."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from dramatiq import Message

from actors import wiring


def waiting() -> list[tuple[str, tuple[str, ...]]]:
    """Return actor and arguments of every message that waits, in the order in which it was sent."""
    with sqlite3.connect(wiring.machine.store.path) as connection:
        bodies = [body for (body,) in connection.execute("SELECT body FROM broker_messages ORDER BY id")]
    connection.close()
    messages = [Message.decode(body) for body in bodies]
    return [(message.actor_name, tuple(message.args)) for message in messages]


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
