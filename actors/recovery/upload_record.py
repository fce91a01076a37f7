"""The record beside an uploaded file, from which its job is created again if the database has lost it.

    {"version": 1, "job_id": ..., "owner_id": ..., "received_at": ..., "name": ..., "size_bytes": ..., "options": {...},
     "sealed": ..., "answer": {...} or null}

`sealed` contains the possibly secret fields (the webhook's address may contain a token; the creator's metadata),
encrypted with SECRET_KEY. `options` are the job's own values, so a later change of a default does not change them.
`answer` is the stored answer of the upload's idempotency key, so that a repeated upload is not published twice.
"""

from __future__ import annotations

import json
import math
import unicodedata
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from platforms import registry
from store import Sealer
from store.idempotency_keys import StoredAnswer
from store.jobs import Job
from store.owners import DEFAULT_OWNER
from store.sealing import WrongKey
from store.states import JobStatus, ReviewReason

NAME = "upload.json"
VERSION = 1
UNKNOWN_NAME = "recovered video, its options were lost"
MAX_BYTES = 2**20  # records have at most 100 kB
MAX_NAME_CHARS = 200
JOINERS = "\u200c\u200d"
"""ZWNJ and ZWJ: control characters that belong to the spelling of Persian, Indic scripts and emoji."""
UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError)


@dataclass(frozen=True)
class Defaults:
    """The options of a job whose record is missing or unreadable."""

    gaze_intensity: float
    segment_seconds: float
    received_at: datetime


@dataclass(frozen=True)
class RestoredJob:
    """A job restored from a record.

    Attributes:
        job: the job to create; if its options were lost, it needs approval.
        missing: a sentence for the operator about unreadable fields; None if all were read.
        answer: the stored answer to its request; None without an idempotency key.
    """

    job: Job
    missing: str | None
    answer: StoredAnswer | None = None


def encode(job: Job, sealer: Sealer, answer: StoredAnswer | None = None) -> bytes:
    """Return the record of a new job as JSON; `answer` is given if its request has an idempotency key."""
    after = job.publish_after
    document = {
        "version": VERSION,
        "job_id": job.id,
        "owner_id": job.owner_id,
        "received_at": job.created_at.isoformat(),
        "name": job.original_name,
        "size_bytes": job.size_bytes,
        "options": {
            "title": job.title,
            "caption": job.caption,
            "platforms": job.platforms,
            "gaze_intensity": job.gaze_intensity,
            "segment_seconds": job.segment_seconds,
            "review": ReviewReason.REQUESTED in (job.review_reasons or ()),
            "dry_run": ReviewReason.DRY_RUN in (job.review_reasons or ()),
            "publish_after": None if after is None else after.isoformat(),
            "accounts": job.accounts,
            "post_options": job.post_options,
        },
        "sealed": sealer.seal({"webhook_url": job.webhook_url, "metadata": job.metadata}).decode(),
        "answer": None if answer is None else asdict(answer) | {"expires_at": answer.expires_at.isoformat()},
    }
    return json.dumps(document, ensure_ascii=False, indent=1).encode()


def original_name(directory: Path) -> str:
    """Return the original name of an uploaded file; empty without a readable record."""
    try:
        return _plain(_loaded(directory)["name"])
    except UNREADABLE:
        return ""


def restore_job(
    directory: Path, job_id: str, video: Path, sealer: Sealer, defaults: Defaults, *, size_bytes: int | None = None
) -> RestoredJob:
    """Return the job of an upload's directory, with defaults if its record is missing or unreadable.

    Args:
        directory: contains the file `source`, unless it is in a remote storage, and perhaps the record.
        job_id: the job's id.
        video: the file's future path, relative to the data directory.
        sealer: decrypts the record's secrets.
        defaults: options of a job without a record.
        size_bytes: of a file in a remote storage; None: that of the file in the directory.
    """
    if size_bytes is None:
        size_bytes = (directory / video.name).stat().st_size
    base = Job(
        id=job_id,
        owner_id=DEFAULT_OWNER,
        status=JobStatus.PENDING,
        video_path=str(video),
        created_at=defaults.received_at,
        platforms=None,
        gaze_intensity=defaults.gaze_intensity,
        segment_seconds=defaults.segment_seconds,
        original_name=UNKNOWN_NAME,
        size_bytes=size_bytes,
        review_reasons=[ReviewReason.OPTIONS_LOST],  # the options may have named one platform, or a later date
    )
    try:
        return _read(_loaded(directory), base, sealer)
    except FileNotFoundError:
        return RestoredJob(base, "it has no record of its options; the defaults are used")
    except UNREADABLE as error:
        return RestoredJob(
            base, f"the record of its options is unreadable ({type(error).__name__}); the defaults are used"
        )


def _loaded(directory: Path) -> Any:  # Any: JSON
    with (directory / NAME).open("rb") as file:
        text = file.read(MAX_BYTES + 1)
    if len(text) > MAX_BYTES:
        raise ValueError("too large")
    return json.loads(text)


def _read(document: Any, base: Job, sealer: Sealer) -> RestoredJob:  # Any: JSON
    options = document["options"]
    after = options["publish_after"]
    hidden, missing = _unsealed(document["sealed"], sealer)
    platforms = options["platforms"]
    if platforms is not None and not (isinstance(platforms, list) and platforms):
        raise TypeError("no list of platforms")
    if platforms is not None and not set(platforms) <= set(registry.NAMES):
        raise ValueError("an unknown platform")
    job = Job(
        id=base.id,
        owner_id=_text(document.get("owner_id", DEFAULT_OWNER)),  # records of earlier versions have none
        status=base.status,
        video_path=base.video_path,
        size_bytes=base.size_bytes,
        created_at=_moment(document["received_at"]),
        original_name=_plain(document["name"]),
        platforms=None if platforms is None else [str(name) for name in platforms],
        gaze_intensity=_number(options["gaze_intensity"], 0, 1),
        segment_seconds=_number(options["segment_seconds"], 1, 3600),
        review_reasons=_review_reasons(options),
        title=_text(options["title"]),
        caption=_text(options["caption"]),
        publish_after=None if after is None else _moment(after),
        accounts=_accounts(options.get("accounts")),
        post_options=_post_options(options.get("post_options")),
        webhook_url=hidden.get("webhook_url"),
        metadata=hidden.get("metadata"),
    )
    return RestoredJob(job, missing, _answer(document.get("answer")))


def _accounts(stored: Any) -> list[str] | None:  # Any: JSON
    if stored is not None and not (isinstance(stored, list) and stored):
        raise TypeError("no list of accounts")
    return None if stored is None else [_text(one) for one in stored]


def _post_options(stored: Any) -> dict[str, dict[str, Any]] | None:  # Any: JSON
    """Return the options of posts as they were accepted; one that a platform does not offer is refused when it is sent.

    Raises:
        TypeError: they are not objects by platform.
        ValueError: a platform is unknown.
    """
    if stored is None:
        return None
    if not set(stored) <= set(registry.NAMES):
        raise ValueError("an unknown platform")
    if not all(isinstance(stored[name], dict) for name in stored):
        raise TypeError("no options")
    return {name: dict(stored[name]) for name in stored}


def _answer(stored: Any) -> StoredAnswer | None:  # Any: JSON
    try:
        if stored is None or not isinstance(stored["status"], int):
            return None
        texts = {name: _text(stored[name]) for name in ("key_hash", "fingerprint", "job_id", "body")}
        headers = {_text(name): _text(value) for name, value in stored["headers"].items()}
        return StoredAnswer(
            **texts, status=stored["status"], headers=headers, expires_at=_moment(stored["expires_at"])
        )  # fmt: skip
    except UNREADABLE:
        return None  # the job is restored without an idempotency key


def _unsealed(sealed: str, sealer: Sealer) -> tuple[dict[str, Any], str | None]:  # Any: JSON
    try:
        return dict(sealer.open(sealed.encode())), None
    except WrongKey:
        return {}, "its webhook address and metadata were encrypted with another SECRET_KEY and are left out"


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without its zone")
    return moment.astimezone(UTC)  # OverflowError near the years 1 and 9999


def _number(value: Any, least: float, most: float) -> float:  # Any: JSON
    if not (isinstance(value, int | float) and math.isfinite(value) and least <= value <= most):
        raise ValueError("a number out of its range")
    return float(value)


def _review_reasons(options: Any) -> list[str] | None:  # Any: JSON
    """Return for what reasons the upload asked for approval; records of earlier versions name none."""
    asked = {ReviewReason.REQUESTED: options.get("review", False), ReviewReason.DRY_RUN: options.get("dry_run", False)}
    if not all(isinstance(value, bool) for value in asked.values()):
        raise TypeError("neither true nor false")
    return [reason for reason, is_asked in asked.items() if is_asked] or None


def _text(value: Any) -> str:  # Any: JSON
    if not isinstance(value, str):
        raise TypeError("no text")
    return value.encode(errors="replace").decode()


def _plain(value: Any) -> str:  # Any: JSON
    """Return a name without control characters, so that it can be printed to a terminal."""
    signs = (sign for sign in _text(value) if sign in JOINERS or unicodedata.category(sign)[0] != "C")
    return "".join(signs)[:MAX_NAME_CHARS]
