"""`Machine`: the objects that actors work with. Flow functions take it as their first argument."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from actors.disk import Disk
from actors.stop_children import LostLeases
from broker import MessageBroker
from files.storage import Storage
from platforms.contract import Publisher
from platforms.definition import PublishingOptions
from platforms.http.hosts import Roots
from settings import Settings
from store import Sealer, Store, boot_clock
from store.boot_clock import BootTime


def utc_now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


def random_id(prefix: str) -> str:
    """Return a unique id that cannot be guessed: the prefix and 122 random bits in hexadecimal."""
    return f"{prefix}{uuid.uuid4().hex}"


def publishing_options(settings: Settings) -> PublishingOptions:
    """Return the options of publishing that the settings choose."""
    return PublishingOptions(
        tiktok_mode=settings.tiktok_mode,
        requires_choice=settings.environment == "production",  # nobody sees a post on a development machine's mocks
        disclosure=settings.ai_disclosure,
        pace=settings.publish_pace,
    )


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The settings of a process and the objects built from them.

    Attributes:
        settings: the validated environment.
        store: the database of jobs; `store.writing()` also commits the messages sent inside.
        broker: the message broker, in the same database.
        sealer: encrypts and decrypts stored secrets.
        hosts: roots that replace those of the real platforms.
        publisher: returns the publisher of a platform, by the platform's name.
        now: the clock; returns an aware time in UTC.
        boot_time: the clock that is never set, for what is measured rather than told.
        new_id: returns a new unique id with the given prefix.
        stopping: set once this worker process is asked to stop.
        lost_leases: messages that this process must not go on with.
        disk: the disk of the data directory, and its ballast file.
        files: the files of jobs, by key.
    """

    settings: Settings
    store: Store
    broker: MessageBroker
    sealer: Sealer
    hosts: Roots
    publisher: Callable[[str], Publisher]
    disk: Disk
    files: Storage
    now: Callable[[], datetime] = utc_now
    boot_time: Callable[[], BootTime] = boot_clock.boot_time
    new_id: Callable[[str], str] = random_id
    stopping: threading.Event = field(default_factory=threading.Event)
    lost_leases: LostLeases = field(default_factory=LostLeases)

    @property
    def publishing_options(self) -> PublishingOptions:
        """The options of publishing."""
        return publishing_options(self.settings)

    def in_data(self, relative: str) -> Path:
        """Return the path of a key in the local directory of files; for recovery, which moves folders there."""
        return self.settings.files_dir.resolve() / relative

    def send(
        self,
        actor_name: str,
        *args: str,
        delay_s: float = 0.0,
        priority: int = 0,
        message_id: str | None = None,
        concurrency_key: str | None = None,
    ) -> None:
        """Send a message to an actor by its name; inside `store.writing()` it commits with the change.

        By name, because the flow is circular (the end of a part may start the next one), and imports cannot be.

        Args:
            actor_name: name of the actor's function.
            args: ids; an actor reads everything else from the store.
            delay_s: seconds before the message can be delivered.
            priority: waiting messages of a queue with a higher number are delivered first.
            message_id: of messages that may be cancelled by it; None makes a unique one.
            concurrency_key: at most one message with the same key is processed at a time.
        """
        key: dict[str, Any] = {} if concurrency_key is None else {"concurrency_key": concurrency_key}  # Any: options
        actor = self.broker.get_actor(actor_name)
        message = actor.message_with_options(args=args, broker_priority=priority, **key)
        if message_id is not None:
            message = message.copy(message_id=message_id)
        self.broker.enqueue(message, delay=round(delay_s * 1000) if delay_s > 0 else None)
