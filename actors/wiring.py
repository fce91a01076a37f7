"""Builds the `Machine` of a process from its environment.

The broker and the store share one database: `store.writing()` lets sends join its transaction, so that a change of
state and the messages that follow from it commit together.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping

import dramatiq
from dramatiq.middleware import CurrentMessage

import process_protection
import redaction
import settings as environment
from actors import databases, logging_setup
from actors.database_check import RequireDatabase
from actors.disk import Disk
from actors.fenced_requests import FencedRequests
from actors.locked_database import RetriesUnlessLocked, waits_again
from actors.log_context import LogContext
from actors.machine import Machine, publishing_options
from actors.stop_children import LostLeases, StopChildren
from actors.storage import open_files
from broker import MessageBroker, WriteLock
from platforms import registry
from platforms.contract import Publisher
from platforms.http.fencing import Fence
from settings import Settings
from store import Sealer


def build(environ: Mapping[str, str]) -> Machine:
    """Build the machine that an environment describes. The database is opened at its first use.

    Raises:
        BadSettings: a variable has no usable value.
        OSError: the data directory cannot be used.
    """
    settings = environment.read(environ)
    stopping = threading.Event()
    disk = Disk(settings.data_dir.resolve())
    disk.release_ballast_if_full()  # a start makes small files
    # Each actor states `max_retries` or `retry_when`. No TimeLimit: it cannot interrupt a wait for a child and may
    # strike inside a commit; `media.process.runner` keeps the deadlines and ends the child.
    WriteLock.process_name = logging_setup.process_name()
    lost_leases = LostLeases()
    fence = Fence()

    def end_work(message_ids: list[str]) -> None:
        lost_leases.add(message_ids)
        fence.end_requests()

    hooks = databases.Hooks(disk.release_ballast_if_full, waits_again(stopping), end_work)
    middleware = [
        RetriesUnlessLocked(max_retries=5, min_backoff=5_000, max_backoff=600_000),
        CurrentMessage(),
        StopChildren(stopping, lost_leases),
        FencedRequests(fence),
    ]
    broker = databases.open_broker(settings, middleware, hooks)
    fence.check = _lease_check(lost_leases, broker)
    store = databases.open_store(settings, broker, hooks)
    key = _secret_key(settings)
    redaction.add([key])
    sealer = Sealer(key, on_plain=redaction.add_sealed)
    broker.add_middleware(RequireDatabase(store, sealer))
    broker.add_middleware(LogContext(store), before=RetriesUnlessLocked)
    return Machine(
        settings=settings,
        store=store,
        broker=broker,
        sealer=sealer,
        hosts=settings.platform_roots,
        publisher=lambda platform: _publisher(platform, settings),
        stopping=stopping,
        lost_leases=lost_leases,
        disk=disk,
        files=open_files(settings),
    )


def _lease_check(lost_leases: LostLeases, broker: MessageBroker) -> Callable[[], None]:
    """Return what raises `LeaseLost` in a worker thread that must not go on with its message."""

    def check() -> None:
        lost_leases.check()
        broker.check_lease()

    return check


def _secret_key(settings: Settings) -> str:
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value()
    return environment.kept_secret(settings.data_dir / "secret.key")[0]


def _publisher(platform: str, settings: Settings) -> Publisher:
    return registry.publisher(platform, settings.platform_roots, publishing_options(settings))


def _build_or_exit() -> Machine:
    """Build the machine of this process; exit with an error message if that is impossible."""
    process_protection.make_files_private()  # before the first file is created; also in a process that is started alone
    try:
        built = build(os.environ)
    except environment.BadSettings as wrong:
        raise SystemExit(wrong.report()) from None
    except OSError as wrong:
        data_dir = environment.read(os.environ).data_dir
        raise SystemExit(f"DATA_DIR {data_dir} cannot be used: {wrong.strerror} ({wrong.filename})") from None
    process_protection.remove_secrets(environment.secret_names())
    return built


machine = _build_or_exit()
"""The machine of this process. Only actors and the entry points of processes use it."""

dramatiq.set_broker(machine.broker)

# All actors but the periodic ones, so that a message can be sent to any of them. Last: they need the broker. Not in the
# package itself, whose other modules are also imported where there is no machine yet (`scripts.machine.preload`).
from actors import (  # noqa: E402
    back_up,
    delete_files,
    dispatch_webhook,
    gaze,
    publish,
    refresh_token,
    send_notices,
    split,
    start_publications,
)

__all__ = [
    "back_up",
    "build",
    "delete_files",
    "dispatch_webhook",
    "gaze",
    "machine",
    "publish",
    "refresh_token",
    "send_notices",
    "split",
    "start_publications",
]
