"""The output files of one attempt: made before its child starts, taken over after the child was killed.

The child may write these files and make no others. It never has a name in the folder of the results, where the other
parts of the job are.
"""

import contextlib
import fcntl
import os
import secrets
import shutil
import stat
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from media.errors import ChildFailed


class OutputFiles:
    """The files that a child writes, and the targets that they are renamed to."""

    def __init__(self, directory: Path, targets: Sequence[Path]) -> None:
        self.directory = directory
        self._temporary = {target: directory / f"{number}{target.suffix}" for number, target in enumerate(targets)}
        for path in self._temporary.values():
            path.touch(exist_ok=False)

    def argument(self, text: str) -> str:
        """Return an argument of the command line; for a target, the path that the child writes instead."""
        return str(self._temporary.get(Path(text), text)) if text.startswith("/") else text

    def keep(self) -> None:
        """Sync the files that were written and rename them to their targets, the first target last.

        The child must have ended. Files that it left empty are not kept.

        Raises:
            ChildFailed: it has put something else in place of a file.
            FileNotFoundError: a file or its folder was deleted.
        """
        for target, temporary in reversed(self._temporary.items()):
            if _is_written(temporary):
                temporary.rename(target)
        for folder in {target.parent for target in self._temporary}:
            _sync_directory(folder)


@contextlib.contextmanager
def output_files(targets: Sequence[Path]) -> Iterator[OutputFiles]:
    """Make the output files of an attempt in a hidden directory beside the first target; remove it at the end.

    Directories that killed processes left for files with the same stem (their names up to the first dot) are removed
    first. A living process has a lock on its own.

    Args:
        targets: in one file system; their folders exist.

    Raises:
        OSError: they cannot be made.
    """
    folder, name = targets[0].parent, targets[0].name
    for stale in folder.glob(f".{name.partition('.')[0]}.*.attempt"):
        _remove_unlocked(stale)
    directory = folder / f".{name}.{secrets.token_hex(8)}.attempt"
    directory.mkdir(mode=0o700)
    try:
        with _locked(directory):
            yield OutputFiles(directory, targets)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def remove_abandoned(folder: Path, wanted_stems: Collection[str]) -> None:
    """Remove the directories that killed processes left for targets that nobody will make any more.

    Args:
        folder: of the targets.
        wanted_stems: names of targets, up to their first dot, that may still be made.
    """
    for path in folder.glob(".*.attempt"):
        if path.name.removeprefix(".").partition(".")[0] not in wanted_stems:
            _remove_unlocked(path)


def _remove_unlocked(directory: Path) -> None:
    with contextlib.suppress(OSError), _locked(directory):
        shutil.rmtree(directory)


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _is_written(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ChildFailed(stderr_tail=f"an output file was replaced: {error.strerror}") from error
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode) or facts.st_nlink != 1:
            raise ChildFailed(stderr_tail="an output file was replaced")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return facts.st_size > 0


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
