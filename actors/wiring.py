"""What every actor works with, built once a process from the environment.

The broker and the store share one file: `store.writing()` takes the broker's gate and lets sends join, so that a change
of state and the messages that follow from it commit together.
"""

from __future__ import annotations

import os
import uuid
from datetime import UTC, datetime
from pathlib import Path

import dramatiq
import periodiq
from dramatiq.middleware import CurrentMessage, Retries

import settings as environment
from actors.children import StopChildren
from actors.process import RequireDatabase
from broker import SqliteBroker
from platforms.contract import Publisher
from platforms.http.hosts import Hosts
from store import Sealer, Store

try:
    settings = environment.read(os.environ)
except environment.BadSettings as _wrong:  # each process reads this module first
    raise SystemExit(f"settings: {_wrong}") from None

# Actors each state their own `max_retries`. No TimeLimit: it cannot interrupt a wait for a child and may strike inside
# a commit; `media.process.runner` keeps the deadlines and really ends the work.
broker = SqliteBroker(
    settings.database_path.resolve(),
    middleware=[
        Retries(max_retries=5, min_backoff=5_000, max_backoff=600_000),
        CurrentMessage(),
        periodiq.PeriodiqMiddleware(skip_delay=30),
        StopChildren(),
        RequireDatabase(),
    ],
    poll_interval_s=settings.queue_poll_interval,
    if_replaced="refuse",  # a new file would lack the store's tables
)
dramatiq.set_broker(broker)

store = Store(settings.database_path.resolve(), gate=broker.gate, joining=broker.joining)

hosts = Hosts(**settings.platform_roots)


def _secret_key() -> str:
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value()
    return environment.kept_secret(settings.data_dir / "secret.key")[0]


try:
    sealer = Sealer(_secret_key())
except OSError as wrong:  # the first file access of each process: exit with an error message
    raise SystemExit(f"DATA_DIR {settings.data_dir} cannot be used: {wrong.strerror} ({wrong.filename})") from None


def publisher(platform: str) -> Publisher:
    """Return the publisher of a platform, as this machine is set up."""
    from platforms import registry  # noqa: PLC0415 (8 MB that the API, which only sends messages, need not carry)

    return registry.publisher(
        platform,
        hosts,
        tiktok_mode=settings.tiktok_mode,
        disclosure=settings.ai_disclosure,
        pace=settings.publish_pace,
    )


def now() -> datetime:
    """Return the present moment in UTC."""
    return datetime.now(UTC)


def new_id(prefix: str = "") -> str:
    """Return an id that nobody can guess and nothing else has."""
    return f"{prefix}{uuid.uuid4().hex}"


def in_data(relative: str) -> Path:
    """Return the absolute path of a file whose path is stored relative to the data directory."""
    return settings.data_dir.resolve() / relative


def send(actor_name: str, *args: str, delay_s: float = 0.0, priority: int = 0) -> None:
    """Send a message to an actor by its name; inside `store.writing()` it commits with the change.

    By name, because the flow goes in circles (a part that ends may let the next one start) and modules cannot.

    Args:
        actor_name: as the actor's function is called.
        args: ids; an actor reads everything else from the store.
        delay_s: how long the message waits before it may be taken up.
        priority: higher first among waiting messages of the queue.
    """
    broker.get_actor(actor_name).send_with_options(
        args=args, delay=round(delay_s * 1000) if delay_s > 0 else None, broker_priority=priority
    )
