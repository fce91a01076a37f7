"""Who speaks: which of the people in a picture are corrected, by size, place and steadiness, over time.

Places and sizes in, people out; no picture is looked at. Nobody takes a speaker's place for being larger in one
picture: what counts is averaged over a second, and whoever speaks is given up only for somebody clearly more prominent.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from media.gaze.face.region import LOOSE, Region

SETTLE_FRAMES = 30.0  # prominence is averaged over about as many frames
NEWCOMER = 0.3  # of their prominence counts before anybody new has been seen for a while
STAYS = 1.3  # times more prominent than a speaker who is in the picture somebody must be to take the turn
ASIDE = 0.4  # of the prominence is lost at the picture's left and right edges
SAME_PERSON, SAME_AGAIN = 0.5, 1.0  # of the face's extent: closer middles are one person; so after having been away
FORGOTTEN = 0.02  # prominence below which nobody is remembered: four seconds after a large face went


@dataclass
class Person:
    """Somebody who is, or was a moment ago, in the picture."""

    number: int  # from 0, in the order of being seen first; never given again
    region: Region  # the face when last seen
    prominence: float  # size and place, averaged over time; about 0 to 1
    is_seen: bool = True
    is_known: bool = False  # was really a face; kept by whoever looks


class SpeakerTracker:
    """Knows the people of a video and says who speaks.

    Args:
        wanted: how many are chosen at most.
    """

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._people: list[Person] = []
        self._chosen: list[Person] = []
        self._named = 0
        self._at: int | None = None

    @property
    def chosen(self) -> list[Person]:
        """Return the speakers that are in the picture, the most prominent first."""
        return [person for person in self._chosen if person.is_seen]

    def see(self, at: int, faces: Sequence[Region], picture: tuple[int, int]) -> dict[int, Region]:
        """Take all faces of one picture, and choose.

        Args:
            at: number of the frame.
            faces: in any order; those of people who are followed may be missing.
            picture: height and width.

        Returns:
            Each face by its person's number.
        """
        share = 1.0 if self._at is None else 1 - math.exp((self._at - at) / SETTLE_FRAMES)
        self._at = at
        found = self._match(faces, picture)
        for person in self._people:
            if person.number not in found:
                # Whoever is followed says himself whether he is there.
                person.is_seen = person.is_seen and person in self._chosen
            face = found.get(person.number, person.region)
            now = _prominence(face, picture) if person.is_seen else 0.0
            person.prominence += share * (now - person.prominence)
        self._people = [person for person in self._people if person.prominence > FORGOTTEN]
        self._choose()
        return found

    def dismiss(self, person: Person) -> None:
        """Forget somebody who turned out to be no face, and choose anew."""
        self._people.remove(person)
        self._choose()

    def _choose(self) -> None:
        self._chosen = sorted(self._people, key=self._rank, reverse=True)[: self._wanted]

    def _match(self, faces: Sequence[Region], picture: tuple[int, int]) -> dict[int, Region]:
        """Give every face, the largest first, to whoever was nearest, or to a newcomer."""
        found: dict[int, Region] = {}
        for face in sorted(faces, key=lambda one: one.side, reverse=True):
            near = [person for person in self._people if _apart(person, face) < 1]
            if not near:
                near = [Person(self._named, face, NEWCOMER * _prominence(face, picture))]
                self._people += near
                self._named += 1
            person = min(near, key=lambda one: _apart(one, face))
            if person.number not in found:  # else a second look at the same one
                found[person.number] = face
                self._meet(person, face)
        return found

    def _meet(self, person: Person, face: Region) -> None:
        # A followed face's own points frame it better than the detector does.
        if not (person.is_seen and person in self._chosen):
            person.region = face
        person.is_seen = True

    def _rank(self, person: Person) -> float:
        return person.prominence * (STAYS if person in self._chosen and person.is_seen else 1.0)


def _prominence(face: Region, picture: tuple[int, int]) -> float:
    height, width = picture
    aside = abs(face.centre[0] - width / 2) / (width / 2)
    return face.side / LOOSE / min(height, width) * (1 - ASIDE * min(aside, 1.0))


def _apart(person: Person, face: Region) -> float:
    """Return how far a face lies from where a person was; from 1 on it is somebody else."""
    reach = (SAME_PERSON if person.is_seen else SAME_AGAIN) * max(person.region.side, face.side) / LOOSE
    return float(np.hypot(*np.subtract(person.region.centre, face.centre))) / reach
