"""The headers of tus 1.0.0: constants, parsers, and the errors that it names.

Source: https://tus.io/protocols/resumable-upload, version 1.0.0 of 2016-03-25, read 2026-11-29.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import falcon

from api.http.problems import Problem

VERSION = "1.0.0"
EXTENSIONS = (
    "creation",
    "creation-with-upload",
    "creation-defer-length",
    "checksum",
    "expiration",
    "termination",
    "concatenation",
)
ROOT = "/files"
"""Path under which uploads are created; those with a slash at the end are the same."""

CONTENT_TYPE = "application/offset+octet-stream"
ALGORITHMS = ("sha1", "sha256")
VERSION_HEADERS = {"Tus-Resumable": VERSION}
"""Headers of every response but that of OPTIONS, errors included."""

CHECKSUM_MISMATCH = 460
MAX_PARTIAL_UPLOADS = 100
"""Maximum number of uploads that one final upload joins."""

Headers = Callable[[str], str | None]
"""Returns the value of a header by its name, or None."""

_NUMBER = re.compile(r"[0-9]{1,18}")
_KEY = re.compile(r"[\x21-\x2b\x2d-\x7e]+")
_UPLOAD_ID = re.compile(r"job_[0-9a-f]{32}")


@dataclass(frozen=True)
class Checksum:
    """The checksum that a client sends with a request's body."""

    algorithm: str
    digest: bytes

    def new(self) -> Any:  # Any: hashlib's type has no name
        """Return a hash object for the body."""
        return hashlib.new(self.algorithm, usedforsecurity=False)


@dataclass(frozen=True)
class Concatenation:
    """The header Upload-Concat: a partial upload, or the final one of the named partial ones."""

    header: str
    partial_ids: tuple[str, ...]  # of a final upload; empty for a partial one

    @property
    def is_final(self) -> bool:
        """Return whether this is a final upload."""
        return bool(self.partial_ids)


@contextmanager
def version_on_errors() -> Iterator[None]:
    """Add the protocol's version to the error responses of a block."""
    try:
        yield
    except falcon.HTTPError as error:
        error.headers = {**dict(error.headers or {}), **VERSION_HEADERS}
        raise


def check_version(headers: Headers) -> None:
    """Refuse another version of the protocol.

    Raises:
        Problem: 412.
    """
    if headers("Tus-Resumable") != VERSION:
        detail = f"send `Tus-Resumable: {VERSION}`; this server speaks no other version"
        raise Problem(412, "tus_version", detail, headers={"Tus-Version": VERSION})


def method(sent: str, headers: Headers) -> str:
    """Return the method of a request: that of X-HTTP-Method-Override, for clients that can send GET and POST only."""
    override = (headers("X-HTTP-Method-Override") or "").strip().upper()
    return override if sent == "POST" and override in {"PATCH", "DELETE", "HEAD"} else sent


def upload_id(path: str) -> str | None:
    """Return the upload that a path names; None for another path."""
    found = path.removeprefix(f"{ROOT}/").rstrip("/")
    return found if path.startswith(f"{ROOT}/") and _UPLOAD_ID.fullmatch(found) else None


def length(headers: Headers) -> int | None:
    """Return the Upload-Length of a new upload in bytes; None if the client will tell it later.

    Raises:
        Problem: 400 without a usable length.
    """
    given, deferred = headers("Upload-Length"), headers("Upload-Defer-Length")
    if given is not None and deferred is None:
        return number("Upload-Length", given)
    if given is None and (deferred or "").strip() == "1":
        return None
    raise Problem(400, "tus_header", "send either Upload-Length, in bytes, or `Upload-Defer-Length: 1`")


def maximum(pairs: dict[str, bytes]) -> int | None:
    """Return the maximum size in bytes that a client expects, from the metadata `size`; None without a usable one.

    This goes beyond tus. Without it an upload with a deferred length reserves the largest size that is allowed.
    """
    told = pairs.get("size", b"").decode("ascii", "replace")
    return int(told) if _NUMBER.fullmatch(told) else None


def number(name: str, value: str | None) -> int:
    """Return the number in a header.

    Raises:
        Problem: 400 if it is missing or not a whole number.
    """
    if value is None or not _NUMBER.fullmatch(value.strip()):
        raise Problem(400, "tus_header", f"{name}: send a whole number of bytes")
    return int(value)


def metadata(header: str | None) -> dict[str, bytes]:
    """Return the pairs of an Upload-Metadata header. An empty header has none: tuspy sends it so.

    Raises:
        Problem: 400 if it is malformed.
    """
    found: dict[str, bytes] = {}
    for pair in (header or "").split(",") if (header or "").strip() else ():
        key, _, encoded = pair.strip(" \t").partition(" ")
        if not _KEY.fullmatch(key) or key in found:
            raise Problem(400, "tus_header", "Upload-Metadata: each key must be printable ASCII and given once")
        try:
            found[key] = base64.b64decode(encoded.strip(" \t"), validate=True)
        except (binascii.Error, ValueError) as exc:
            raise Problem(400, "tus_header", f"Upload-Metadata: the value of {key[:80]} is not Base64") from exc
    return found


def checksum(header: str | None) -> Checksum | None:
    """Return the checksum in an Upload-Checksum header; None without one.

    Raises:
        Problem: 400 for an unknown algorithm or a malformed digest.
    """
    if header is None:
        return None
    algorithm, _, encoded = header.strip().partition(" ")
    if algorithm not in ALGORITHMS:
        raise Problem(400, "tus_checksum", f"Upload-Checksum: use one of {', '.join(ALGORITHMS)}")
    try:
        found = Checksum(algorithm, base64.b64decode(encoded.strip(), validate=True))
    except (binascii.Error, ValueError):
        found = Checksum(algorithm, b"")
    if len(found.digest) != found.new().digest_size:
        raise Problem(400, "tus_checksum", f"Upload-Checksum: the digest is not one of {algorithm} in Base64")
    return found


def concatenation(header: str | None) -> Concatenation | None:
    """Return the content of an Upload-Concat header; None without one.

    Raises:
        Problem: 400 if it is malformed.
    """
    if header is None:
        return None
    kind, semicolon, urls = header.strip().partition(";")
    if kind == "partial" and not semicolon:
        return Concatenation("partial", ())
    found = [upload_id(_path(url)) for url in urls.split()] if kind == "final" else []
    ids = tuple(name for name in found if name is not None)
    if not ids or len(ids) != len(found) or not len(set(ids)) == len(ids) <= MAX_PARTIAL_UPLOADS:
        final = f"`final;` with 1 to {MAX_PARTIAL_UPLOADS} addresses of partial uploads"
        raise Problem(400, "tus_concat", f"Upload-Concat: send `partial`, or {final}")
    return Concatenation("final;" + " ".join(f"{ROOT}/{name}" for name in ids), ids)


def require_content_type(headers: Headers) -> None:
    """Refuse a body of another type than the protocol's.

    Raises:
        Problem: 415.
    """
    if (headers("Content-Type") or "").partition(";")[0].strip().lower() != CONTENT_TYPE:
        raise Problem(415, "not_tus", f"send the bytes with `Content-Type: {CONTENT_TYPE}`")


def _path(url: str) -> str:
    try:
        return urlsplit(url).path
    except ValueError:
        return ""
