"""Makes the files of an installation private at its start: nobody but its user can read, change or replace them.

A directory that others can write is worse than a file that they can read, because they could put another database or a
lock of their own there. So the directories above the data are checked as well, as sshd checks those of its keys. They
are not VidProd's to change: it refuses to start. What is its own is repaired with chmod.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

from loguru import logger

OPEN_TO_OTHERS = 0o077
WRITABLE_BY_OTHERS = 0o022
SECRETS = ("secret.key", "api.key")
LOCKS = ("machine.lock", "receiving.lock", "clean-up.lock")
SIDE_FILES = ("", "-wal", "-shm", "-journal", "-gate", "-broker")  # of the database, by the end of their names
SHOWN = 5  # paths in a message


class NotPrivate(Exception):
    """Others can read or replace the installation's files; the message says what its operator can do."""


def make_private(data_dir: Path, database: Path | None) -> None:
    """Create the data directory, and take all rights of others from it, from the database, and from their files.

    Args:
        data_dir: may be a symbolic link, and so may the entries of the directory.
        database: the SQLite file, here or elsewhere; need not exist. None: there is none.

    Raises:
        NotPrivate: a file belongs to another user, or others can replace a directory above the data.
        OSError: a file cannot be examined or changed.
    """
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    if database is not None:
        database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _require_safe_parents(data_dir)
    data = _target(data_dir)
    opened = _repaired(data, required=True)  # first: from here on nobody else can put anything into it
    required = set() if database is None else _database_files(database, data)
    required |= {data / name for name in (*SECRETS, *LOCKS)}
    for path in sorted(required):
        opened += _repaired(path, required=True)
    for path, is_linked in _entries(data):
        if path not in required:
            opened += _repaired(path, required=is_linked)
    _report(opened)


def _database_files(database: Path, data: Path) -> set[Path]:
    """Check the directories of a database, and return its files."""
    _require_safe_parents(database)
    if not (directory := _target(database).parent).is_relative_to(data):
        _require_own_directory(directory)
    return {Path(f"{_target(database)}{end}") for end in SIDE_FILES}


def _report(opened: list[Path]) -> None:
    if not opened:
        return
    shown = ", ".join(map(str, opened[:SHOWN])) + (f" and {len(opened) - SHOWN} more" if len(opened) > SHOWN else "")
    logger.warning("Files: other users could access {}; their rights were removed", shown)
    for path in opened:
        if path.name in SECRETS:
            logger.warning("Files: {} could be read by other users; if it was, replace the secret", path)


def _entries(directory: Path) -> Iterator[tuple[Path, bool]]:
    """Yield all paths below a directory, and whether they are targets of its links; deeper links are not followed.

    A link within the data, such as of the uploads to a larger disk, is the operator's.
    """
    for entry in sorted(directory.iterdir()):
        target = _target(entry)
        if entry.is_symlink():
            _require_safe_parents(entry)
        yield target, entry.is_symlink() and not target.is_symlink()  # not of links in a circle
        for folder, folders, files in os.walk(target):
            yield from ((Path(folder, name), False) for name in (*folders, *files))


def _target(path: Path) -> Path:
    return Path(os.path.realpath(path))  # Path.resolve fails for links in a circle


def _repaired(path: Path, *, required: bool) -> list[Path]:
    """Remove the rights of others from a file or directory.

    Args:
        path: without symbolic links; need not exist.
        required: its owner must be this process's user. Other files may have other owners, such as root, because only
            this user and root can reach them.

    Returns:
        The path if others had rights.

    Raises:
        NotPrivate: it belongs to another user, and is `required`.
    """
    try:
        found = path.lstat()
    except FileNotFoundError:
        return []  # deleted meanwhile, or not made yet
    if stat.S_ISLNK(found.st_mode):
        if required:
            raise NotPrivate(f"{path} is a symbolic link; replace it by the file")
        return []
    if found.st_uid != os.geteuid():
        if required:
            raise NotPrivate(_other_owner(path, found))
        return []
    if not stat.S_IMODE(found.st_mode) & OPEN_TO_OTHERS:
        return []
    try:
        path.chmod(stat.S_IMODE(found.st_mode) & ~OPEN_TO_OTHERS)
    except PermissionError as error:
        raise NotPrivate(f"{path} can be accessed by other users, and chmod fails: {error.strerror}") from error
    if stat.S_IMODE(path.lstat().st_mode) & OPEN_TO_OTHERS:  # a file system without modes, such as vfat
        raise NotPrivate(f"{path} can be accessed by other users, and its file system keeps no modes; use another one")
    return [path]


def _require_own_directory(directory: Path) -> None:
    """Check the directory of a database outside of the data directory: the side files are created in it."""
    found = directory.stat()
    if found.st_uid not in {0, os.geteuid()} or _is_writable_by_others(found):
        raise NotPrivate(
            f"{directory} can be written by other users, who could put their own files beside the database. Give the "
            f"database a directory of its own: sudo install -d -m 700 -o {_own_name()} DIRECTORY"
        )


def _require_safe_parents(path: Path) -> None:
    """Check the directories in which a path, and each link on the way to its target, could be replaced."""
    for place in {path.absolute(), _target(path)}:
        for directory in place.parents:
            with contextlib.suppress(FileNotFoundError):  # of a link to nothing
                _require_safe(directory, directory.stat(), path)
    for link in (place for place in (path.absolute(), *path.absolute().parents) if place.is_symlink()):
        if (found := link.lstat()).st_uid not in {0, os.geteuid()}:
            raise NotPrivate(f"{link} is a symbolic link of {_name(found.st_uid)}; replace it by a directory")


def _require_safe(directory: Path, found: os.stat_result, path: Path) -> None:
    if found.st_uid not in {0, os.geteuid()}:
        raise NotPrivate(
            f"{path}: {directory} belongs to {_name(found.st_uid)}, who could replace it, but VidProd runs as "
            f"{_own_name()}; start it as that user, or use another directory"
        )
    if _is_writable_by_others(found) and not found.st_mode & stat.S_ISVTX:
        raise NotPrivate(f"{path}: other users can write {directory}, and replace it; run: chmod go-w {directory}")


def _is_writable_by_others(found: os.stat_result) -> bool:
    writable = found.st_mode & WRITABLE_BY_OTHERS
    return bool(writable & stat.S_IWOTH) or (bool(writable) and _has_other_members(found.st_gid))


def _has_other_members(gid: int) -> bool:
    """Return whether a group has members besides this process's user: many systems give each user a group."""
    own = {"root", _own_name()}
    try:
        members = {*grp.getgrgid(gid).gr_mem}
    except KeyError:
        return True  # unknown
    members |= {user.pw_name for user in pwd.getpwall() if user.pw_gid == gid}
    return bool(members - own)


def _other_owner(path: Path, found: os.stat_result) -> str:
    return (
        f"{path} belongs to {_name(found.st_uid)}, but VidProd runs as {_own_name()}: start it as that user, or run "
        f"as root: chown -R {os.geteuid()}:{os.getegid()} {path}"
    )


def _own_name() -> str:
    return _name(os.geteuid())


def _name(uid: int) -> str:
    with contextlib.suppress(KeyError):
        return pwd.getpwuid(uid).pw_name
    return f"user {uid}"
