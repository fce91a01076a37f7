"""The record beside an uploaded file: what a job is made of again when the database has no row of it.

    {"version": 1, "job_id": ..., "received_at": ..., "name": ..., "size_bytes": ..., "options": {...}, "sealed": ...}

`sealed` holds what may be secret (a token in the webhook's address, the creator's own metadata), encrypted with
SECRET_KEY. The options are those of the job, so a default that is changed later does not change them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from store import Sealer
from store.jobs import Job
from store.sealing import WrongKey
from store.states import JobStatus

NAME = "upload.json"
VERSION = 1
UNKNOWN_NAME = "recovered video, its options were lost"


@dataclass(frozen=True)
class Defaults:
    """What a job gets whose record is missing or unreadable."""

    gaze_intensity: float
    segment_seconds: float
    received_at: datetime


@dataclass(frozen=True)
class Remade:
    """A job made of a record.

    Attributes:
        lost: what could not be read of the record, for its operator; None when nothing is missing.
    """

    job: Job
    lost: str | None


def encode(job: Job, sealer: Sealer) -> bytes:
    """Return the record of a new job as JSON."""
    after = job.publish_after
    document = {
        "version": VERSION,
        "job_id": job.id,
        "received_at": job.created_at.isoformat(),
        "name": job.original_name,
        "size_bytes": job.size_bytes,
        "options": {
            "title": job.title,
            "caption": job.caption,
            "platforms": job.platforms,
            "gaze_intensity": job.gaze_intensity,
            "segment_seconds": job.segment_seconds,
            "publish_after": None if after is None else after.isoformat(),
        },
        "sealed": sealer.seal({"webhook_url": job.webhook_url, "metadata": job.metadata}).decode(),
    }
    return json.dumps(document, ensure_ascii=False, indent=1).encode()


def shown_name(directory: Path) -> str:
    """Return the file's name as its sender called it; empty without a readable record."""
    try:
        name = json.loads((directory / NAME).read_bytes())["name"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return str(name)


def remake(directory: Path, job_id: str, video: Path, sealer: Sealer, defaults: Defaults) -> Remade:
    """Return the job that an upload's directory stands for; with defaults where its record is missing or unreadable.

    Args:
        directory: holds the file `source` and perhaps the record.
        job_id: the job's id.
        video: the file's path as it will be, relative to the data directory.
    """
    size_bytes = (directory / video.name).stat().st_size
    base = Job(
        id=job_id,
        status=JobStatus.PENDING,
        video_path=str(video),
        created_at=defaults.received_at,
        platforms=None,
        gaze_intensity=defaults.gaze_intensity,
        segment_seconds=defaults.segment_seconds,
        original_name=UNKNOWN_NAME,
        size_bytes=size_bytes,
    )
    try:
        return _read(json.loads((directory / NAME).read_bytes()), base, sealer)
    except FileNotFoundError:
        return Remade(base, "it has no record of its options; the defaults are taken")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return Remade(base, f"the record of its options is unreadable ({type(error).__name__}); the defaults are taken")


def _read(document: Any, base: Job, sealer: Sealer) -> Remade:  # Any: JSON
    options = document["options"]
    after = options["publish_after"]
    hidden, lost = _opened(document["sealed"], sealer)
    platforms = options["platforms"]
    job = Job(
        id=base.id,
        status=base.status,
        video_path=base.video_path,
        size_bytes=base.size_bytes,
        created_at=_moment(document["received_at"]),
        original_name=str(document["name"]),
        platforms=None if platforms is None else [str(name) for name in platforms],
        gaze_intensity=float(options["gaze_intensity"]),
        segment_seconds=float(options["segment_seconds"]),
        title=str(options["title"]),
        caption=str(options["caption"]),
        publish_after=None if after is None else _moment(after),
        webhook_url=hidden.get("webhook_url"),
        metadata=hidden.get("metadata"),
    )
    return Remade(job, lost)


def _opened(sealed: str, sealer: Sealer) -> tuple[dict[str, Any], str | None]:  # Any: JSON
    try:
        return dict(sealer.open(sealed.encode())), None
    except WrongKey:
        return {}, "its webhook address and metadata were encrypted with another SECRET_KEY and are left out"


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without its zone")
    return moment
