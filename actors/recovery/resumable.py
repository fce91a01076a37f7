"""Deletes expired resumable uploads: those of which no byte has arrived for a day."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from loguru import logger

from actors.flow import disk_demand
from actors.machine import Machine
from actors.recovery.lost_found import INCOMING, RESUMABLE_RECORD, SOURCE, SOURCE_DELETED_MARK, errors_logged, locked

LIFETIME = timedelta(hours=24)
"""Time after the last byte for which an incomplete upload is kept."""

REMEMBERED = timedelta(days=7)
"""Time for which clients are told that their upload has expired."""


def delete_expired(machine: Machine) -> int:
    """Delete the bytes of expired uploads, and later their records; return the number of deleted files."""
    deleted = 0
    root = machine.settings.uploads_dir
    for record in root.glob(f"*/{RESUMABLE_RECORD}") if root.exists() else ():
        with errors_logged(record.parent):
            deleted += _delete_if_expired(machine, record)
    if deleted:
        logger.info("{} expired resumable uploads deleted", deleted)
    return deleted


def _delete_if_expired(machine: Machine, record: Path) -> bool:
    directory, incoming = record.parent, record.parent / INCOMING
    if (directory / SOURCE).exists() or (directory / SOURCE_DELETED_MARK).exists():
        return False  # the files of a job, which are deleted with it
    if not incoming.exists():
        if _age(machine, record) > LIFETIME + REMEMBERED:
            shutil.rmtree(directory)
        return False
    if _age(machine, incoming) <= LIFETIME:
        return False
    with locked(incoming) as acquired:
        if not acquired or _age(machine, incoming) <= LIFETIME:
            return False
        incoming.unlink()
        return True


def unreceived_bytes(machine: Machine) -> int:
    """Return the disk space that incomplete resumable uploads will still take, with their parts."""
    total = 0
    root = machine.settings.uploads_dir
    for incoming in root.glob(f"*/{INCOMING}") if root.exists() else ():
        try:
            told = json.loads((incoming.parent / RESUMABLE_RECORD).read_text())
            length = int(told["length"] or told["maximum"] or machine.settings.max_upload_size)
            total += max(0, length - incoming.stat().st_size) + disk_demand.video_parts_bytes(length)
        except (OSError, ValueError, KeyError, TypeError):
            continue  # complete or deleted meanwhile, or not resumable
    return total


def _age(machine: Machine, path: Path) -> timedelta:
    return machine.now() - datetime.fromtimestamp(path.stat().st_mtime, UTC)
