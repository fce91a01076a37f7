"""Tracking people over time, and the choice of the speakers among them: by size, place and steadiness.

Regions in, people out; no picture is read. Prominence is averaged over a second, so that nobody replaces a speaker by
being larger in one frame; a speaker is replaced only by somebody clearly more prominent.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from media.gaze.face.region import MARGIN, Region

SETTLE_FRAMES = 30.0  # prominence is averaged over about as many frames
NEWCOMER = 0.3  # share of the prominence with which a new person starts
HYSTERESIS = 1.3  # a visible speaker is replaced by somebody this many times more prominent
ASIDE = 0.4  # share of the prominence that is lost at the frame's left and right edges
# Of the face's extent: regions with closer centres are the same person, while visible and after an absence.
SAME_PERSON, SAME_AGAIN = 0.5, 1.0
DROPPED_BELOW = 0.02  # prominence below which a person is dropped: four seconds after a large face has left


@dataclass
class Person:
    """A person who is, or was a moment ago, in the frame."""

    number: int  # from 0, in the order of first detection; never reused
    region: Region  # of the face when last visible
    prominence: float  # size and place, averaged over time; about 0 to 1
    is_visible: bool = True
    is_confirmed: bool = False  # the landmark network has found a face there; set by the finder


class SpeakerTracker:
    """Keeps the people of a video and chooses the speakers.

    Args:
        wanted: number of speakers, at most.
    """

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._people: list[Person] = []
        self._chosen: list[Person] = []
        self._next_number = 0
        self._updated_at: int | None = None

    @property
    def chosen(self) -> list[Person]:
        """Return the speakers who are visible, the most prominent first."""
        return [person for person in self._chosen if person.is_visible]

    def update(self, at: int, faces: Sequence[Region], picture: tuple[int, int]) -> dict[int, Region]:
        """Match the faces of one frame with the people, and choose the speakers.

        Args:
            at: number of the frame.
            faces: in any order; those of tracked people may be missing.
            picture: height and width of the frame.

        Returns:
            Each face by its person's number.
        """
        share = 1.0 if self._updated_at is None else 1 - math.exp((self._updated_at - at) / SETTLE_FRAMES)
        self._updated_at = at
        found = self._match(faces, picture)
        for person in self._people:
            if person.number not in found:
                # The visibility of a tracked speaker is set by the finder.
                person.is_visible = person.is_visible and person in self._chosen
            face = found.get(person.number, person.region)
            now = _prominence(face, picture) if person.is_visible else 0.0
            person.prominence += share * (now - person.prominence)
        self._people = [person for person in self._people if person.prominence > DROPPED_BELOW]
        self._choose()
        return found

    def discard(self, person: Person) -> None:
        """Drop a person whose region holds no face, and choose anew."""
        self._people.remove(person)
        self._choose()

    def _choose(self) -> None:
        self._chosen = sorted(self._people, key=self._rank, reverse=True)[: self._wanted]

    def _match(self, faces: Sequence[Region], picture: tuple[int, int]) -> dict[int, Region]:
        """Assign every face, the largest first, to the nearest person, or to a new one."""
        found: dict[int, Region] = {}
        for face in sorted(faces, key=lambda one: one.side, reverse=True):
            near = [person for person in self._people if _apart(person, face) < 1]
            if not near:
                near = [Person(self._next_number, face, NEWCOMER * _prominence(face, picture))]
                self._people += near
                self._next_number += 1
            person = min(near, key=lambda one: _apart(one, face))
            if person.number not in found:  # else a second detection of the same face
                found[person.number] = face
                self._place(person, face)
        return found

    def _place(self, person: Person, face: Region) -> None:
        # The region of a tracked face comes from its own landmarks, which are more exact than the detector.
        if not (person.is_visible and person in self._chosen):
            person.region = face
        person.is_visible = True

    def _rank(self, person: Person) -> float:
        return person.prominence * (HYSTERESIS if person in self._chosen and person.is_visible else 1.0)


def _prominence(face: Region, picture: tuple[int, int]) -> float:
    height, width = picture
    aside = abs(face.centre[0] - width / 2) / (width / 2)
    return face.side / MARGIN / min(height, width) * (1 - ASIDE * min(aside, 1.0))


def _apart(person: Person, face: Region) -> float:
    """Return the distance of a face from a person's region; from 1 on it is somebody else."""
    reach = (SAME_PERSON if person.is_visible else SAME_AGAIN) * max(person.region.side, face.side) / MARGIN
    return float(np.hypot(*np.subtract(person.region.centre, face.centre))) / reach
