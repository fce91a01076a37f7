"""The promises of a recorded run by time, and the power cuts after which they are checked."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.broker.powercut.disk import Disk
from tests.broker.powercut.recording import Mark, Recording, Wrote

__all__ = ["GONE", "Cut", "Promises", "State", "cuts"]

GONE = "gone"
DRAWS = 4  # states of the disk at each moment; amid a series of writes one will do, since its end may tear it anywhere

State = dict[str, str]  # thing → place; what is GONE is left out


@dataclass(slots=True)
class Promises:
    """The completed changes up to a moment, and those under way."""

    kept: list[State] = field(default_factory=lambda: [{}])  # after each thing done, in order
    under_way: list[Mark] = field(default_factory=list)

    def note(self, mark: Mark) -> None:
        if mark.done:
            self.under_way.remove(Mark(mark.things, mark.place, done=False))
            self.kept.append(_after(self.kept[-1], mark))
        else:
            self.under_way.append(mark)

    def allow(self, found: State) -> bool:
        """Return whether all completed changes are there, and each change under way wholly or not at all."""
        return found == self._with_under_way(self.kept[-1], found)

    def allow_lost_end(self, found: State) -> bool:
        """Return whether at most the last changes are missing: all up to some moment are there, none after it."""
        return self.allow(found) or found in self.kept

    def _with_under_way(self, state: State, found: State) -> State:
        for mark in self.under_way:
            if all(found.get(thing, GONE) == mark.place for thing in mark.things):
                state = _after(state, mark)
        return state


@dataclass(frozen=True, slots=True)
class Cut:
    """A simulated power cut."""

    where: str
    promises: Promises
    path: Path  # of the database; it may be missing

    def __str__(self) -> str:
        return f"{self.where}; done {self.promises.kept[-1]}, under way {self.promises.under_way}"


def cuts(recording: Recording, path: Path, target: Path, *, moments: int | None) -> Iterator[Cut]:
    """Play a recording to a disk and cut the power repeatedly; each cut's files are deleted before the next.

    Args:
        path: of the database in the recorded directory.
        target: where what is left is put.
        moments: at how many moments, drawn with a fixed seed; None for all.
    """
    dice = random.Random(1)
    everywhere = range(len(recording.events))
    chosen = set(everywhere if moments is None else dice.sample(everywhere, min(moments, len(everywhere))))
    disk, promises = Disk(), Promises()
    for number, event in enumerate(recording.events):
        if isinstance(event, Mark):
            promises.note(event)
        else:
            disk.play(event)
        ends_writing = not isinstance(recording.events[min(number + 1, len(recording.events) - 1)], Wrote)
        for draw in range(DRAWS if ends_writing and not disk.calm else 1) if number in chosen else ():
            shutil.rmtree(target, ignore_errors=True)
            disk.cut(dice, recording.root, target)
            where = f"after event {number} ({type(event).__name__}), draw {draw}"
            yield Cut(where, promises, target / path.relative_to(recording.root))


def _after(state: State, mark: Mark) -> State:
    return {thing: place for thing, place in (state | dict.fromkeys(mark.things, mark.place)).items() if place != GONE}
