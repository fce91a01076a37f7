"""What tests look at and move: the messages that wait, and the clock."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta

import pytest
from dramatiq import Message

from actors import wiring


def waiting() -> list[tuple[str, tuple[str, ...]]]:
    """Return actor and arguments of every message that waits, in the order in which it was sent."""
    with sqlite3.connect(wiring.store.path) as connection:
        bodies = [body for (body,) in connection.execute("SELECT body FROM broker_messages ORDER BY id")]
    connection.close()
    messages = [Message.decode(body) for body in bodies]
    return [(message.actor_name, tuple(message.args)) for message in messages]


def move_clock(monkeypatch: pytest.MonkeyPatch, ahead: timedelta) -> datetime:
    """Let the actors' clock run ahead; return its present."""
    real = wiring.now
    monkeypatch.setattr(wiring, "now", lambda: real() + ahead)
    return wiring.now()
