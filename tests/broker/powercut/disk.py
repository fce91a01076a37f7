"""A simulated disk: computes from recorded writes and syncs the possible contents after a power cut.

Synced bytes are there. Of everything later each write may be there, whole, torn at blocks, or not, file by file on its
own; the same holds for names, until their directory is synced. That is less than any file system promises.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.broker.powercut.recording import DIRECTORY, DirectorySynced, Event, Named, Synced, Truncated, Wrote

__all__ = ["Disk"]


@dataclass(slots=True)
class _File:
    synced: bytearray = field(default_factory=bytearray)
    pending: list[Wrote | Truncated] = field(default_factory=list)

    def sync(self) -> None:
        for change in self.pending:
            _apply(self.synced, change)
        self.pending.clear()

    def after_cut(self, dice: random.Random) -> bytearray:
        content = bytearray(self.synced)
        kind = dice.choice(("nothing", "everything", "prefix", "subset"))
        if kind == "nothing":
            return content
        whole = dice.randint(0, len(self.pending)) if kind == "prefix" else 0
        for change in self.pending if kind == "everything" else self.pending[:whole]:
            _apply(content, change)
        if kind != "everything":
            share, block = dice.choice((0.1, 0.5, 0.9)), dice.choice((512, 4096))
            for change in self.pending[whole : whole + 1] if kind == "prefix" else self.pending:
                _apply_torn(content, change, share, block, dice)
        return content


class Disk:
    """The state of the recorded directory as events are played to it."""

    def __init__(self) -> None:
        self._files: dict[int, _File] = {}
        self._names: dict[Path, int] = {}
        self._pending: list[Named] = []

    @property
    def calm(self) -> bool:
        """Return whether everything is synced, so that a power cut changes nothing."""
        return not self._pending and not any(file.pending for file in self._files.values())

    def play(self, event: Event) -> None:
        match event:
            case Wrote() | Truncated():
                self._files[event.file].pending.append(event)
            case Synced():
                self._files[event.file].sync()
            case Named():
                self._pending.append(event)
                if event.file is not None and event.file != DIRECTORY:
                    self._files[event.file] = _File()
            case DirectorySynced():
                for named in [named for named in self._pending if named.path.parent == event.path]:
                    self._pending.remove(named)
                    _name(self._names, named)

    def cut(self, dice: random.Random, root: Path, target: Path) -> None:
        """Write the content of `root` after a power cut below `target`."""
        names = self._names.copy()
        share = dice.choice((0.0, 0.5, 1.0))
        for named in self._pending:
            if dice.random() < share:
                _name(names, named)
        there = {path for path, file in names.items() if file == DIRECTORY} | {root}
        for path, file in names.items():
            if not all(parent in there for parent in path.parents if parent.is_relative_to(root)):
                continue  # in a directory that is not there
            place = target / path.relative_to(root)
            if file == DIRECTORY:
                place.mkdir(parents=True, exist_ok=True)
            else:
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(self._files[file].after_cut(dice))


def _name(names: dict[Path, int], named: Named) -> None:
    if named.file is None:
        names.pop(named.path, None)
    else:
        names[named.path] = named.file


def _apply(content: bytearray, change: Wrote | Truncated) -> None:
    if isinstance(change, Truncated):
        del content[change.size :]
    else:
        _write(content, change.offset, change.data)


def _apply_torn(content: bytearray, change: Wrote | Truncated, share: float, block: int, dice: random.Random) -> None:
    if isinstance(change, Truncated):
        if dice.random() < share:
            _apply(content, change)
        return
    for start, end in _blocks(change.offset, change.offset + len(change.data), block):
        if dice.random() < share:
            _write(content, start, change.data[start - change.offset : end - change.offset])
    if dice.random() < share:  # the size without the data: zeros
        _write(content, change.offset + len(change.data), b"")


def _blocks(start: int, end: int, size: int) -> Iterable[tuple[int, int]]:
    while start < end:
        stop = min(end, (start // size + 1) * size)
        yield start, stop
        start = stop


def _write(content: bytearray, offset: int, data: bytes) -> None:
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data
