"""Atomic writes: a file that exists under its name is complete. And a file for temporary content."""

import contextlib
import os
import secrets
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

ENV_ATTEMPT_DIR = "MEDIA_ATTEMPT_DIR"
# A file without a name can be opened again as /proc/self/fd/NUMBER. But libav tells the kind of a table by the end of
# its name, so there is a link with the right one, to a fixed number below the limit of open files.
SCRATCH_DESCRIPTOR = 199
SCRATCH_LINK = Path(__file__).with_name("scratch.cube")
_scratch_is_open = threading.Event()
_scratch_lock = threading.Lock()


@contextlib.contextmanager
def atomic_write(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside the target; at the end of the block, sync the file and rename it.

    The temporary name contains the process id, so two attempts at the same target never write to the same file; the
    last one to finish replaces the other's file. An exception removes the temporary file. Temporary files that killed
    processes left for this target are removed first.

    A target that the parent process has made (`media.process.attempt`) is itself temporary: it is written in place,
    and the parent renames it.
    """
    if is_made_by_parent(target):
        yield target
        _sync(target)
        return
    for stale in target.parent.glob(f".{target.name}.*.part"):
        if not Path("/proc", stale.name.split(".")[-2]).exists():
            stale.unlink(missing_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        yield temporary
        _sync(temporary)
        temporary.replace(target)
        _sync(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


def is_made_by_parent(target: Path) -> bool:
    """Return whether a file is one that the parent process has made for this attempt."""
    return os.environ.get(ENV_ATTEMPT_DIR) == str(target.parent)


def open_scratch_file() -> None:
    """Open a file without a name, for `scratch_file` in a process that will not be allowed to make files."""
    name = Path(os.environ.get("TMPDIR") or tempfile.gettempdir(), f".scratch-{secrets.token_hex(8)}")
    with contextlib.suppress(OSError):  # without it, only the conversion of high dynamic range fails
        descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        name.unlink()
        os.dup2(descriptor, SCRATCH_DESCRIPTOR, inheritable=False)
        os.close(descriptor)
        _scratch_is_open.set()


def scratch_descriptor() -> int | None:
    """Return the descriptor of the scratch file; None if it was not opened."""
    return SCRATCH_DESCRIPTOR if _scratch_is_open.is_set() else None


@contextlib.contextmanager
def scratch_file(content: str) -> Iterator[Path]:
    """Yield the path of a .cube file with some content, for libraries that read files only. One thread has it."""
    if not _scratch_is_open.is_set():
        with tempfile.NamedTemporaryFile("w", suffix=SCRATCH_LINK.suffix) as file:
            file.write(content)
            file.flush()
            yield Path(file.name)
        return
    with _scratch_lock:
        os.ftruncate(SCRATCH_DESCRIPTOR, 0)
        os.lseek(SCRATCH_DESCRIPTOR, 0, os.SEEK_SET)
        with open(SCRATCH_DESCRIPTOR, "w", encoding="utf-8", closefd=False) as file:
            file.write(content)
        yield SCRATCH_LINK


def remove_temporary_files(folder: Path, pid: int) -> None:
    """Remove the temporary files that an ended process left in a folder."""
    for temporary in folder.glob(f".*.{pid}.part"):
        temporary.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
