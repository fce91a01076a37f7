"""Makes dead letters, on every engine."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import dramatiq

from actors import databases
from actors.machine import Machine

__all__ = ["make_dead_letter"]


def make_dead_letter(machine: Machine, queue: str, actor: str, *arguments: Any) -> int:  # Any: as messages have them
    """Send a message, which another broker of the database rejects; return the id of the dead letter."""
    machine.broker.enqueue(dramatiq.Message(queue, actor, arguments, {}, {}))
    with closing(databases.open_broker(machine.settings, [])) as worker:
        worker.declare_queue(queue)
        consumer = worker.consume(queue, timeout=10_000)
        message = next(consumer)
        assert message is not None
        consumer.nack(message)
    return machine.broker.admin.dead_letters(limit=1)[0].id
