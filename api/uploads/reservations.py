"""Reservations of disk space: the room that uploads in progress and accepted jobs will still take.

An upload reserves the size of its body and the room for its parts before its first byte is received. The sum has two
sources, so that a restart of the API keeps it right:

    uploads that this process receives    `Reservation`, in memory: a restart deletes these uploads
    accepted jobs                         `disk_demand.unrendered_bytes`, from the store

A reservation becomes smaller by each byte written, because the disk then has less free room. It ends with the upload:
after the job is committed, by `release`, or when the upload is garbage-collected. For a moment a job may count twice,
but never not at all.

A resumable upload keeps one `Reservation` from its creation to its end, over many requests, and creates it again with
`written_bytes` when a new process finds the incomplete file.
"""

from __future__ import annotations

import threading
from weakref import WeakSet

from actors.flow import disk_demand
from actors.machine import Machine
from api.http.numbers import readable_bytes
from api.http.problems import Problem

RETRY_AFTER_S = 600


class Reservation:
    """The disk space that one upload still needs."""

    def __init__(self, owner: Reservations, body_bytes: int, *, written_bytes: int = 0) -> None:
        self._owner = owner
        self._body_bytes = body_bytes
        self._parts_bytes = disk_demand.video_parts_bytes(body_bytes)
        self._written_bytes = written_bytes

    @property
    def remaining_bytes(self) -> int:
        """Return the bytes that are not written yet: the rest of the body, and the parts."""
        return max(0, self._body_bytes - self._written_bytes) + self._parts_bytes

    def add_written(self, count: int) -> None:
        """Take written bytes off the reservation."""
        self._written_bytes += count

    def release(self) -> None:
        """End the reservation. A second call has no effect."""
        self._owner.discard(self)


class Reservations:
    """All reservations of this process. There is one object in each process: `api.context.Context.reservations`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: WeakSet[Reservation] = WeakSet()

    @property
    def total_bytes(self) -> int:
        """Return the bytes that the uploads in progress still need."""
        with self._lock:
            return self._total_bytes()

    def reserve(self, machine: Machine, size_bytes: int | None, *, written_bytes: int = 0) -> Reservation:
        """Reserve room for an upload and its parts.

        Args:
            machine: for its disk, store and settings.
            size_bytes: of the body; None if unknown, which reserves the maximum.
            written_bytes: of the body that are on the disk already.

        Raises:
            Problem: 413 if the disk is too small for it (411 if only its unknown size is the reason), 503 if there is
                no room at present.
            DatabaseUnavailable: the accepted jobs cannot be read.
        """
        body_bytes = machine.settings.max_upload_size if size_bytes is None else size_bytes
        new = Reservation(self, body_bytes, written_bytes=written_bytes)
        needed, capacity = new.remaining_bytes, machine.disk.capacity_bytes
        if needed + written_bytes > capacity:
            raise _length_required(capacity) if size_bytes is None else _disk_too_small(needed, capacity)
        with machine.store.reading() as connection:
            promised = disk_demand.unrendered_bytes(connection)
        with self._lock:
            reserved = promised + self._total_bytes()
            room = machine.disk.room_bytes
            if needed > room - reserved:
                raise _no_room(needed, max(0, room), reserved)
            self._open.add(new)
        return new

    def discard(self, reservation: Reservation) -> None:
        """End a reservation of an upload."""
        with self._lock:
            self._open.discard(reservation)

    def _total_bytes(self) -> int:
        return sum(reservation.remaining_bytes for reservation in self._open)


def became_full(free_bytes: int) -> Problem:
    """Return the 503 for a disk that became full during an upload."""
    detail = "the disk of the server became full during the upload; try again later"
    return Problem(503, "disk_full", detail, headers={"Retry-After": str(RETRY_AFTER_S)}, free_bytes=free_bytes)


def _no_room(needed: int, free: int, reserved: int) -> Problem:
    detail = (
        f"there is not enough disk space for this video at the moment: with its parts it needs {readable_bytes(needed)}"
        f", {readable_bytes(max(0, free - reserved))} are left; try again later"
    )
    return Problem(
        503, "disk_full", detail, headers={"Retry-After": str(RETRY_AFTER_S)},
        needed_bytes=needed, free_bytes=free, reserved_bytes=reserved,
    )  # fmt: skip


def _disk_too_small(needed: int, capacity: int) -> Problem:
    detail = (
        f"the video is too large for the disk of this server: with its parts it needs {readable_bytes(needed)}, "
        f"an empty disk has {readable_bytes(max(0, capacity))}; upload a smaller version"
    )
    return Problem(413, "disk_too_small", detail, field="file", needed_bytes=needed, capacity_bytes=max(0, capacity))


def _length_required(capacity: int) -> Problem:
    detail = (
        "send the length of the form in Content-Length: this server's disk is too small for a video of unknown size"
    )
    return Problem(411, "length_required", detail, capacity_bytes=max(0, capacity))
