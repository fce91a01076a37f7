"""Builds the `Machine` of a process from its environment.

The broker and the store share one file: `store.writing()` takes the broker's write lock and lets sends join its
transaction, so that a change of state and the messages that follow from it commit together.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping

import dramatiq
from dramatiq.middleware import CurrentMessage

import process_protection
import redaction
import settings as environment
from actors import logging_setup
from actors.database_check import RequireDatabase
from actors.disk import Disk
from actors.locked_database import RetriesUnlessLocked, waits_again
from actors.log_context import LogContext
from actors.machine import Machine, publishing_options
from actors.stop_children import StopChildren
from broker import SqliteBroker, WriteLock
from platforms import registry
from platforms.contract import Publisher
from settings import Settings
from store import Sealer, Store


def build(environ: Mapping[str, str]) -> Machine:
    """Build the machine that an environment describes. The database is opened at its first use.

    Raises:
        BadSettings: a variable has no usable value.
        OSError: the data directory cannot be used.
    """
    settings = environment.read(environ)
    stopping = threading.Event()
    path = settings.database_path.resolve()
    disk = Disk(settings.data_dir.resolve())
    disk.release_ballast_if_full()  # a start makes small files
    # Each actor states `max_retries` or `retry_when`. No TimeLimit: it cannot interrupt a wait for a child and may
    # strike inside a commit; `media.process.runner` keeps the deadlines and ends the child.
    WriteLock.process_name = logging_setup.process_name()
    broker = SqliteBroker(
        path,
        middleware=[
            RetriesUnlessLocked(max_retries=5, min_backoff=5_000, max_backoff=600_000),
            CurrentMessage(),
            StopChildren(stopping),
        ],
        poll_interval_s=settings.queue_poll_interval,
        if_replaced="refuse",  # a new file would lack the store's tables
        before_write=disk.release_ballast_if_full,
        redact=redaction.redact,
    )
    store = Store(
        path,
        write_lock=broker.write_lock,
        joining=broker.joining,
        before_write=disk.release_ballast_if_full,
        waits_again=waits_again(stopping),
    )
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
        disk=disk,
    )


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
