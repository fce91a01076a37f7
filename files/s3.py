"""Files in an S3-compatible storage, through obstore; copies of them in the scratch directory.

    uploads/JOB/chunks/00000000 …    the bytes of an uploaded video, in equal pieces (`files.transfer`)
    uploads/JOB/record               of a resumable upload, beside its first piece: what its client told
    uploads/JOB/source               what the pieces are; written last, so a video that exists is whole
    jobs/JOB/part-001.ATTEMPT.mp4    all other files are one object each

An upload is received in the local directory first, as with local files; what the storage lacks is looked for there.
`actors.wiring` imports this module if the settings ask for it; obstore takes memory.
"""

from __future__ import annotations

import hashlib
import math
import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING

import obstore
from obstore import exceptions
from obstore.store import S3Store

from files import keys
from files.errors import FilesError, Gone, Refused, TryLater
from files.local import FileSlice, LocalFiles
from files.read_ahead import ReadAhead
from files.scratch import BLOCK_BYTES, Copy, Scratch
from files.storage import PartialCopy, StoredFile, UnfinishedUpload, none_kept
from files.transfer import CHUNK_BYTES, ChunkTransfer, chunk_key, chunks_folder, record_key, size_of, whole_chunks

PARALLEL = 4
BUCKET_CHECKED_FOR_S = 60.0
PATIENT_RETRIES, PATIENCE_S = 12, 120.0  # with their delays about 90 s
STREAM_BYTES = 2**20  # pieces in which a response is written to the scratch directory
CHECKS = "checks/"  # prefix of files that `S3Files.check` writes
MAX_MANIFEST_BYTES = 10_000
MAX_RECORD_BYTES = 200_000  # heads of requests are shorter
_CONFIGURATION = (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError, exceptions.NotSupportedError)
_CONFIGURATION_CODES = frozenset(
    {
        "NoSuchBucket", "InvalidBucketName", "InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied",
        "AuthorizationHeaderMalformed", "RequestTimeTooSkewed", "PermanentRedirect",
    }
)  # fmt: skip
"""Error codes of S3 (Error responses, Amazon S3 API Reference, read 2026-11-30) that a person has to deal with."""

_REGION = "incorrectly configured region"  # obstore's words for a redirect without an address
_CODE, _MESSAGE = re.compile(r"<Code>(\w+)</Code>"), re.compile(r"<Message>([^<]+)</Message>")
_KINDS = {".mp4": "video/mp4", ".jpg": "image/jpeg", ".json": "application/json"}
_NOT_IN_TAGS = re.compile(r"[^0-9A-Za-z-]")

if TYPE_CHECKING:
    from obstore import Attributes, GetOptions
    from obstore.store import S3Config


@dataclass(frozen=True)
class S3Options:
    """How to reach a storage.

    Attributes:
        bucket: its name.
        prefix: before all keys; may be empty.
        endpoint: address of a storage that is not Amazon's; empty for Amazon's.
        region: of the bucket.
        access_key_id: of the credentials.
        secret_access_key: likewise.
        timeout_s: of one request with its answer.
    """

    bucket: str
    prefix: str
    endpoint: str
    region: str
    access_key_id: str
    secret_access_key: str
    timeout_s: float = 60.0


def open_store(options: S3Options, *, is_patient: bool = False) -> S3Store:
    """Return the client of a storage; it connects at its first use.

    Args:
        options: how to reach it.
        is_patient: repeat a request for more than a minute before it has failed.
    """
    retries, retry_s = (PATIENT_RETRIES, PATIENCE_S) if is_patient else (2, options.timeout_s)
    config: S3Config = {
        "region": options.region,
        "access_key_id": options.access_key_id,
        "secret_access_key": options.secret_access_key,
    }
    if options.endpoint:
        config["endpoint"] = options.endpoint
    return S3Store(
        options.bucket,
        prefix=options.prefix or None,
        config=config,
        client_options={
            "allow_http": options.endpoint.startswith("http://"),
            "timeout": timedelta(seconds=options.timeout_s),
            "connect_timeout": timedelta(seconds=min(5.0, options.timeout_s)),
        },
        retry_config={"max_retries": retries, "retry_timeout": timedelta(seconds=retry_s)},
    )


class S3Files:
    """A `Storage` in a bucket."""

    def __init__(
        self,
        store: S3Store,
        scratch: Scratch,
        received: LocalFiles,
        *,
        patient: S3Store | None = None,
        brief: S3Store | None = None,
        before_deletion: Callable[[], None] = lambda: None,
    ) -> None:
        """Use a bucket.

        Args:
            store: its client, which adds the prefix.
            scratch: for copies of its files.
            received: where uploads are received.
            brief: a client that gives up soon, for questions that threads of the API wait for; None: the same.
            patient: a client that repeats requests for longer, for what took minutes to make; None: the same.
            before_deletion: called on the calling thread before each request that deletes; raises what ends the work of
                a worker that has lost its lease. What it found out before may be wrong by now.
        """
        self._store = store
        self._patient, self._brief = patient or store, brief or store
        self._before_deletion = before_deletion
        self._bucket_seen_s = -math.inf
        self._scratch = scratch
        self._received = received
        self._executor = ThreadPoolExecutor(PARALLEL, thread_name_prefix="files")

    @contextmanager
    def borrow(self, key: str) -> Iterator[Path]:
        """Yield the path of a copy, or of the received upload."""
        with self._copy_or_received(key) as found:
            if isinstance(found, Path):
                yield found
                return
            file, copy = found
            self._fetch(file, copy, copy.missing())
            yield copy.path

    @contextmanager
    def borrow_partly(self, key: str) -> Iterator[Path | PartialCopy]:
        """Yield the path of a complete copy, or of the received upload; else a copy that lacks blocks."""
        with self._copy_or_received(key) as found:
            if isinstance(found, Path):
                yield found
                return
            file, copy = found
            if not copy.missing():
                yield copy.path
                return
            name, fetch = copy.folder / "partial", partial(self._fetch_block, file, ReadAhead())
            yield PartialCopy(name, copy.path, copy.marks, BLOCK_BYTES, fetch)

    @contextmanager
    def _copy_or_received(self, key: str) -> Iterator[Path | tuple[StoredFile, Copy]]:
        file = self._stat(key)
        if file is not None:
            with self._copy(file) as copy:
                yield file, copy
            return
        if self._received.stat(key) is None:
            raise Gone(key, "the storage has no such file")
        with self._received.borrow(key) as path:
            yield path

    def _copy(self, file: StoredFile) -> AbstractContextManager[Copy]:
        return self._scratch.copy(self._name(file), file.size_bytes)

    def _name(self, file: StoredFile) -> str:
        return f"{self._store.config.get('bucket')}\0{self._store.prefix}\0{file.key}\0{file.version}"

    def _fetch(self, file: StoredFile, copy: Copy, missing: Sequence[int], store: S3Store | None = None) -> None:
        if missing:
            self._scratch.reserve(copy, missing)
            self._all(lambda block: copy.fill(block, self._block(file, *copy.bounds(block), store)), missing)

    def _fetch_block(self, file: StoredFile, ahead: ReadAhead, block: int) -> None:
        """Fetch a block, and maybe the next ones, while a child waits; patiently: an error costs the child's work.

        The borrower may give up meanwhile. So this has a lock of its own on the copy: in a folder that was evicted and
        made again, a block would be marked without its bytes.
        """
        with self._copy(file) as copy:
            wanted = range(block, block + ahead.count(block))
            self._fetch(file, copy, [one for one in copy.missing() if one in wanted], self._patient)

    def _all(self, run: Callable[[int], None], numbers: Iterable[int]) -> None:
        """Run a request for each number, several at once; raise the first error after all have ended."""
        futures = [self._executor.submit(run, number) for number in numbers]
        errors = [error for future in futures if (error := future.exception()) is not None]
        if errors:
            raise errors[0]

    def _block(self, file: StoredFile, first: int, last: int, store: S3Store | None = None) -> Iterator[bytes]:
        """Yield the bytes of a block, by default through the usual client."""
        key, options = file.key, obstore_options(first, last)
        if is_chunked(key):
            key, options = chunk_key(key, first // CHUNK_BYTES), obstore_options(0, last - first)
        with _errors_of(key):
            for piece in obstore.get(store or self._store, key, options=options).stream(min_chunk_size=STREAM_BYTES):
                yield bytes(piece)

    @contextmanager
    def outputs(self, names: Sequence[str]) -> Iterator[list[Path]]:
        """Yield paths in a folder of the scratch directory; their files are stored at the end, the first last."""
        with self._scratch.workspace() as folder:
            paths = [folder / PurePosixPath(key).name for key in names]
            yield paths
            for key, path in reversed(list(zip(names, paths, strict=True))):
                if path.exists():
                    self.put(key, path)

    def put(self, key: str, path: Path) -> None:
        """Store a local file under a key, in several pieces if it is large; it appears whole."""
        with _errors_of(key):
            obstore.put(
                self._patient, key, path, attributes=_attributes(key), chunk_size=CHUNK_BYTES, max_concurrency=2
            )

    def digest(self, key: str) -> str | None:
        """Return the SHA-256 of a stored file, in hexadecimal, by reading all of it; None if it is not whole."""
        file, found = self._stat(key), hashlib.sha256()
        if file is None:
            return None
        try:
            for first in range(0, file.size_bytes, CHUNK_BYTES):
                for piece in self._block(file, first, min(first + CHUNK_BYTES, file.size_bytes) - 1):
                    found.update(piece)
        except Gone:  # a piece
            return None
        return found.hexdigest()

    def put_bytes(self, key: str, content: bytes, *, is_new: bool = False) -> bool:
        """Store bytes under a key; with `is_new`, return False if the key exists already."""
        with _errors_of(key):
            try:
                mode = "create" if is_new else "overwrite"
                obstore.put(self._store, key, content, mode=mode, use_multipart=False)  # type: ignore[arg-type]  # both
            except exceptions.AlreadyExistsError:
                return False
        return True

    def get_bytes(self, key: str, limit_bytes: int = MAX_MANIFEST_BYTES) -> bytes:
        """Return the content of a small file.

        Raises:
            Gone: there is none.
            Refused: it is larger than the limit.
        """
        with _errors_of(key):
            found = obstore.get(self._store, key)
            if found.meta["size"] > limit_bytes:
                raise Refused(key, f"has {found.meta['size']} bytes, at most {limit_bytes} are expected")
            return bytes(found.bytes())

    def transfer(self, key: str, path: Path) -> ChunkTransfer:
        """Return a transfer in equal pieces, some of which are sent at once."""
        return ChunkTransfer(self, key, path)

    def unfinished(self, key: str) -> UnfinishedUpload | None:
        """Return what any machine can read of an upload."""
        try:
            record = self.get_bytes(record_key(key), MAX_RECORD_BYTES)
        except Gone:
            return None
        chunks = whole_chunks(key, self.list_files(chunks_folder(key)))
        return UnfinishedUpload(record, lambda: (self._chunk(chunk) for chunk in chunks))

    def _chunk(self, chunk: StoredFile) -> bytes:
        content = self.get_bytes(chunk.key, CHUNK_BYTES)
        if len(content) != chunk.size_bytes:
            raise TryLater(chunk.key, f"has {len(content)} bytes, {chunk.size_bytes} were listed")
        return content

    def settle(self, key: str, path: Path) -> bool:
        """Make the received file of a stored upload the copy in the scratch directory: it is needed at once."""
        file = self._stat(key)
        if file is None:
            return False
        self._scratch.take_over(self._name(file), path)
        return True

    def stat(self, key: str) -> StoredFile | None:
        """Return the facts of a file, or of the received upload; None if there is no such file."""
        return self._stat(key) or self._received.stat(key)

    def _stat(self, key: str) -> StoredFile | None:
        try:
            with _errors_of(key):
                found = obstore.head(self._brief, key)
        except Gone:
            self._require_bucket()
            return None
        size = size_of(key, self.get_bytes(key)) if is_chunked(key) else found["size"]
        return StoredFile(key, size, found["last_modified"], _version(found["e_tag"], size))

    def _require_bucket(self) -> None:
        """Tell a missing bucket from a missing file: the answers to HEAD are the same.

        Raises:
            Refused: there is no such bucket.
        """
        if time.monotonic() - self._bucket_seen_s < BUCKET_CHECKED_FOR_S:
            return
        try:
            with _errors_of(""):
                obstore.list_with_delimiter(self._brief, CHECKS)
        except Gone as error:
            raise Refused("", f"there is no bucket {self._store.config.get('bucket')!r}") from error
        self._bucket_seen_s = time.monotonic()

    def check(self) -> None:
        """Check that the bucket can be listed, written, read, written under a condition, and deleted from."""
        self._require_bucket()
        key, content = f"{CHECKS}{secrets.token_hex(8)}", b"VidProd checks that it can use this bucket."
        self.put_bytes(key, content, is_new=True)
        try:
            if self.put_bytes(key, b"another", is_new=True):
                raise Refused(key, "the storage ignores If-None-Match, which keeps two machines apart")
            if self.get_bytes(key) != content:
                raise Refused(key, "the storage returns other bytes than were written")
        finally:
            self.delete(key)

    def open_range(self, file: StoredFile, first: int, last: int) -> IO[bytes]:
        """Fetch a range into the scratch directory, and open it. The open file outlasts the copy's eviction."""
        with self._copy_or_received(file.key) as found:
            if isinstance(found, Path):
                return FileSlice(found, first, last)
            stored, copy = found
            first, last = min(first, stored.size_bytes - 1), min(last, stored.size_bytes - 1)
            self._fetch(stored, copy, copy.missing(first, last) if stored.size_bytes else [])
            return FileSlice(copy.path, first, last)

    def link(self, key: str, valid_for: timedelta) -> str | None:
        """Return an address from which anybody can fetch the file for some time."""
        return obstore.sign(self._store, "GET", key, valid_for)

    def list_files(self, prefix: str) -> list[StoredFile]:
        """Return the files whose keys begin with a prefix, by key; an uploaded video with its pieces."""
        folder, _, beginning = prefix.rpartition("/")
        with _errors_of(prefix):
            found = obstore.list(self._brief, f"{folder}/").collect()
        files = [
            StoredFile(one["path"], one["size"], one["last_modified"], _version(one["e_tag"], one["size"]))
            for one in found
            if PurePosixPath(one["path"]).is_relative_to(folder)
            and one["path"][len(folder) + 1 :].startswith(beginning)
        ]
        return sorted(files, key=lambda file: file.key)

    def folders(self, prefix: str) -> list[str]:
        """Return the names of the folders directly below a folder, here and where uploads are received."""
        with _errors_of(prefix):
            found = obstore.list_with_delimiter(self._brief, prefix)["common_prefixes"]
        return sorted({PurePosixPath(name).name for name in found} | set(self._received.folders(prefix)))

    def delete(self, key: str) -> None:
        """Delete a file; nothing if there is none. Of an uploaded video its description first, then the pieces."""
        self._before_deletion()
        with _errors_of(key):
            obstore.delete(self._store, key)
        if is_chunked(key):
            self._delete_below(chunks_folder(key))
        self._received.delete(key)

    def delete_folder(self, folder: str, keeps: Callable[[str], bool] = none_kept) -> bool:
        """Delete all files of a folder but those that are kept, here and where uploads are received."""
        is_found = self._delete_below(folder, keeps)
        return self._received.delete_folder(folder, keeps) or is_found

    def _delete_below(self, folder: str, keeps: Callable[[str], bool] = none_kept) -> bool:
        gone = [file.key for file in self.list_files(folder) if not keeps(file.key)]
        self._before_deletion()
        with _errors_of(folder):
            if gone:
                obstore.delete(self._store, gone)
        return bool(gone)

    def remove_abandoned(self, folder: str, wanted_stems: frozenset[str]) -> None:
        """Do nothing: what is not complete is in the scratch directory, which removes it by itself."""


def _attributes(key: str) -> Attributes:
    """Return how a file is served by its link: Meta takes videos only."""
    return {"Content-Type": _KINDS.get(PurePosixPath(key).suffix, "application/octet-stream")}


def obstore_options(first: int, last: int) -> GetOptions:
    """Return the options of a request for a range of bytes (inclusive)."""
    return {"range": (first, last + 1)}


def is_chunked(key: str) -> bool:
    """Return whether a file is stored in pieces: uploaded videos are."""
    return key.startswith(keys.UPLOADS) and PurePosixPath(key).name == "source"


def _version(tag: str | None, size_bytes: int) -> str:
    return f"{_NOT_IN_TAGS.sub('', tag or '')}-{size_bytes:x}"


@contextmanager
def _errors_of(key: str) -> Iterator[None]:
    """Raise the errors of obstore as those of this package; their first line is the detail, the others repeat it."""
    try:
        yield
    except FilesError:
        raise
    except (exceptions.BaseError, OSError) as error:
        if _is_refusal(error):
            raise Refused(key, _detail(error)) from error
        if isinstance(error, FileNotFoundError):
            raise Gone(key, "the storage has no such file") from error
        raise TryLater(key, _detail(error)) from error


def _is_refusal(error: BaseException) -> bool:
    """Return whether the configuration is wrong."""
    text = str(error)
    codes = set(_CODE.findall(text))
    return isinstance(error, _CONFIGURATION) or bool(codes & _CONFIGURATION_CODES) or _REGION in text


def _detail(error: BaseException) -> str:
    """Return the storage's own words if it has answered, else the first line of obstore's."""
    text = str(error)
    answered = [found[1] for pattern in (_CODE, _MESSAGE) if (found := pattern.search(text)) is not None]
    return ": ".join(answered)[:300] if answered else f"{type(error).__name__}: {text.partition(chr(10))[0][:300]}"
