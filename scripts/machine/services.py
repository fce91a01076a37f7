"""The services of one machine: the command of each process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from broker import WriteLock
from broker.storage.lock_file import read_holder
from scripts.machine.supervisor import Service
from scripts.machine.watchdog import Watchdog
from settings import Settings


def api() -> Service:
    """Return the service of the API."""
    return Service("api", ["api"], without_database=True)


def network_worker() -> Service:
    """Return the scheduler and worker for platforms, webhooks and the deletion of files."""
    return Service("network", ["scripts.machine.network_worker"])


def media_worker(wanted: Callable[[], bool] = lambda: True) -> Service:
    """Return the worker that starts media children, one per thread."""
    return Service("media", ["scripts.machine.media_worker"], wanted=wanted)


def relay(settings: Settings) -> list[Service]:
    """Return the service that wakes the workers of all machines, if BROKER_URL names RabbitMQ or Redis; else nothing.

    Each machine has one: the first is active, and the others take over.
    """
    return [] if settings.transport_url is None else [Service("relay", ["scripts.machine.relay"])]


def watchdog(settings: Settings) -> Watchdog:
    """Return the watchdog of the services."""
    if settings.database_path is None:
        return Watchdog()
    write_lock_file = WriteLock.file_of(settings.database_path)
    return Watchdog(lock_holder=lambda: read_holder(write_lock_file))


def mock_platforms(port: int, directory: Path) -> Service:
    """Return the service that mocks all platforms, on loopback."""
    return Service(
        "mock", ["platforms.mock", "--port", str(port), "--directory", str(directory)], without_database=True
    )
