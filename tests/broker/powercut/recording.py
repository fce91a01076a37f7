"""Records SQLite's system calls in order, by a VFS that wraps the system's.

Shared memory is left out (it does not outlive the machine), so are files outside the recorded directory. What to make
of the record is `disk`'s.
"""

from __future__ import annotations

import _sqlite3
import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

__all__ = [
    "DIRECTORY",
    "DirectorySynced",
    "Event",
    "Mark",
    "Named",
    "Recording",
    "Synced",
    "Truncated",
    "Wrote",
    "recorded",
]

DIRECTORY = -1

_POINTER = ctypes.c_void_p
# Names go through as bare pointers: SQLite keeps them, and its options stand behind their ends.
_OPEN = ctypes.CFUNCTYPE(ctypes.c_int, _POINTER, _POINTER, _POINTER, ctypes.c_int, _POINTER)
_DELETE = ctypes.CFUNCTYPE(ctypes.c_int, _POINTER, _POINTER, ctypes.c_int)
_WRITE = ctypes.CFUNCTYPE(ctypes.c_int, _POINTER, _POINTER, ctypes.c_int, ctypes.c_int64)
_TRUNCATE = ctypes.CFUNCTYPE(ctypes.c_int, _POINTER, ctypes.c_int64)
_SYNC = ctypes.CFUNCTYPE(ctypes.c_int, _POINTER, ctypes.c_int)
_GET_CALL = ctypes.CFUNCTYPE(_POINTER, _POINTER, ctypes.c_char_p)
_SET_CALL = ctypes.CFUNCTYPE(ctypes.c_int, _POINTER, ctypes.c_char_p, _POINTER)
_OPEN_DIRECTORY = ctypes.CFUNCTYPE(ctypes.c_int, _POINTER, _POINTER)


class _Vfs(ctypes.Structure):
    """sqlite3_vfs, version 3 (sqlite.org/c3ref/vfs.html)."""

    _fields_ = (
        ("version", ctypes.c_int),
        ("file_size", ctypes.c_int),
        ("path_size", ctypes.c_int),
        ("next", _POINTER),
        ("name", ctypes.c_char_p),
        ("data", _POINTER),
        ("open", _POINTER),
        ("delete", _POINTER),
        ("others", _POINTER * 11),
        ("set_call", _POINTER),
        ("get_call", _POINTER),
        ("next_call", _POINTER),
    )


class _Methods(ctypes.Structure):
    """sqlite3_io_methods, version 3 (sqlite.org/c3ref/io_methods.html)."""

    _fields_ = (
        ("version", ctypes.c_int),
        ("close", _POINTER),
        ("read", _POINTER),
        ("write", _POINTER),
        ("truncate", _POINTER),
        ("sync", _POINTER),
        ("others", _POINTER * 13),
    )


@dataclass(frozen=True, slots=True)
class Wrote:
    file: int
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Truncated:
    file: int
    size: int


@dataclass(frozen=True, slots=True)
class Synced:
    file: int


@dataclass(frozen=True, slots=True)
class Named:
    """A name was created, for a file or a directory, or deleted."""

    path: Path
    file: int | None


@dataclass(frozen=True, slots=True)
class DirectorySynced:
    path: Path


@dataclass(frozen=True, slots=True)
class Mark:
    """The recorded program begins or has completed a change that stores these items here, all or none."""

    things: tuple[str, ...]
    place: str
    done: bool


Event = Wrote | Truncated | Synced | Named | DirectorySynced | Mark


@dataclass(eq=False)
class Recording:
    """The system calls below a directory, in order."""

    root: Path
    events: list[Event] = field(default_factory=list)
    _files: int = 0
    _names: dict[Path, int] = field(default_factory=dict)
    _open: dict[int, int] = field(default_factory=dict)  # address of sqlite3_file → file
    _thread: threading.local = field(default_factory=threading.local)
    _kept: list[Any] = field(default_factory=list)  # Any: ctypes keeps nothing alive by itself
    _methods: dict[int, _Methods] = field(default_factory=dict)

    @contextmanager
    def promised(self, *things: str, place: str) -> Iterator[None]:
        """Mark that items are being stored during this block, and are stored after it."""
        self.events.append(Mark(things, place, done=False))
        yield
        self.events.append(Mark(things, place, done=True))

    def vfs(self, real: _Vfs) -> _Vfs:
        """Return a VFS that calls the real one and records the calls."""
        really_open, really_delete = _OPEN(real.open), _DELETE(real.delete)

        def opened(vfs: int, name: int | None, file: int, flags: int, out_flags: int) -> int:
            path = _path(name) if name else None
            new = path is not None and not path.exists()
            code: int = really_open(vfs, name, file, flags, out_flags)
            if code == 0 and path is not None and path.is_relative_to(self.root):
                if new or path not in self._names:
                    self._files += 1
                    self._names[path] = self._files
                    self.events.append(Named(path, self._files))
                self._open[file] = self._names[path]
                self._interpose(file)
            return code

        def deleted(vfs: int, name: int, sync: int) -> int:
            code: int = really_delete(vfs, name, sync)
            path = _path(name)
            if code == 0 and self._names.pop(path, None) is not None:
                self.events.append(Named(path, None))
            self._tell_directories()
            return code

        copy = _Vfs.from_buffer_copy(real)
        copy.name = b"recorder"
        copy.open = self._pointer(_OPEN(opened))
        copy.delete = self._pointer(_DELETE(deleted))
        return copy

    def directory_opener(self, real: int) -> int:
        """Return a function with which SQLite opens a directory, only to sync it; the sync is recorded."""
        really = _OPEN_DIRECTORY(real)

        def opened(name: int, out: int) -> int:
            self._thread.__dict__.setdefault("directories", []).append(_path(name).parent)
            code: int = really(name, out)
            return code

        return self._pointer(_OPEN_DIRECTORY(opened))

    def _tell_directories(self) -> None:
        self.events += [DirectorySynced(path) for path in self._thread.__dict__.pop("directories", [])]

    def _interpose(self, file: int) -> None:
        """Put our methods before the real ones; all others (locks, shared memory, reading) stay what they are."""
        address = _POINTER.from_address(file)
        assert address.value is not None
        if address.value not in self._methods:
            self._methods[address.value] = self._noting(_Methods.from_address(address.value))
        address.value = ctypes.addressof(self._methods[address.value])

    def _noting(self, real: _Methods) -> _Methods:
        really_write, really_truncate, really_sync = _WRITE(real.write), _TRUNCATE(real.truncate), _SYNC(real.sync)

        def wrote(file: int, data: int, size: int, offset: int) -> int:
            code: int = really_write(file, data, size, offset)
            self.events.append(Wrote(self._open[file], offset, ctypes.string_at(data, size)))
            return code

        def truncated(file: int, size: int) -> int:
            code: int = really_truncate(file, size)
            self.events.append(Truncated(self._open[file], size))
            return code

        def synced(file: int, flags: int) -> int:
            code: int = really_sync(file, flags)
            self.events.append(Synced(self._open[file]))
            self._tell_directories()
            return code

        copy = _Methods.from_buffer_copy(real)
        copy.write = self._pointer(_WRITE(wrote))
        copy.truncate = self._pointer(_TRUNCATE(truncated))
        copy.sync = self._pointer(_SYNC(synced))
        return copy

    def _pointer(self, function: Any) -> int:  # Any: ctypes makes a type for every signature
        self._kept.append(function)
        pointer = ctypes.cast(function, _POINTER).value
        assert pointer is not None
        return pointer


@contextmanager
def recorded(root: Path) -> Iterator[Recording]:
    """Record what SQLite does below a directory that holds no files yet; all files are closed before the end."""
    library = ctypes.CDLL(getattr(_sqlite3, "__file__", None))
    try:
        find, register, unregister = (
            library.sqlite3_vfs_find,
            library.sqlite3_vfs_register,
            library.sqlite3_vfs_unregister,
        )
    except AttributeError:
        pytest.skip("missing: SQLite's C interface (Python hides the symbols of the library inside it)")
    find.restype = ctypes.POINTER(_Vfs)
    register.argtypes, unregister.argtypes = (_POINTER, ctypes.c_int), (_POINTER,)
    recording = Recording(root)
    real = find(None).contents
    get_call, set_call = _GET_CALL(real.get_call), _SET_CALL(real.set_call)
    address = ctypes.addressof(real)
    opener = get_call(address, b"openDirectory")
    ours = recording.vfs(real)
    with pytest.MonkeyPatch.context() as patch:
        _note_directories(recording, patch)
        assert set_call(address, b"openDirectory", recording.directory_opener(opener)) == 0
        assert register(ctypes.addressof(ours), 1) == 0
        try:
            yield recording
        finally:
            assert unregister(ctypes.addressof(ours)) == 0
            assert register(address, 1) == 0
            assert set_call(address, b"openDirectory", opener) == 0


def _path(name: int) -> Path:
    return Path(os.fsdecode(ctypes.string_at(name)))


def _note_directories(recording: Recording, patch: pytest.MonkeyPatch) -> None:
    """Record the directories that the broker itself creates and syncs."""
    really_make, really_sync = os.mkdir, os.fsync

    def made(path: str | os.PathLike[str], mode: int = 0o777) -> None:
        really_make(path, mode)
        if Path(path).is_relative_to(recording.root):
            recording.events.append(Named(Path(path), DIRECTORY))

    def synced(fd: int) -> None:
        really_sync(fd)
        path = Path(f"/proc/self/fd/{fd}").readlink()
        if path.is_dir():
            recording.events.append(DirectorySynced(path))

    patch.setattr(os, "mkdir", made)
    patch.setattr(os, "fsync", synced)
