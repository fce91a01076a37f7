"""The frames around the one being corrected, and what was found in each.

A slot holds its frame until the frame is emitted, and its estimates until it leaves the window: decisions and filters
need the estimates of frames that were emitted already, but not their pictures.
"""

from collections import deque
from dataclasses import dataclass, field

from media.frames import Planes
from media.gaze.estimate.measure import GazeEstimate
from media.gaze.face.faces import Face
from media.gaze.reasons import Reason

Estimates = dict[int, GazeEstimate]  # of one frame, by the face's track number, the main speaker first


@dataclass
class Slot:
    """One frame and what is known about it."""

    frame: Planes | None  # None once emitted
    faces: dict[int, Face] = field(default_factory=dict)  # by track number, the main speaker first
    estimates: Estimates = field(default_factory=dict)
    failure: Reason | None = None  # why a face, or all of them, could not be measured
    recheck: Face | None = None  # the main speaker's face, to be measured again after drawing
    skipped: bool = False  # not searched for faces (yet)

    @property
    def picture(self) -> Planes:
        """Return the frame, which must not have been emitted yet."""
        assert self.frame is not None
        return self.frame


class FrameWindow:
    """The newest frames in order; at most `ahead` of them and one more still hold their picture.

    Positions count from 0, the oldest slot in the window.

    Args:
        ahead: frames that are known on each side of the frame being corrected.
    """

    def __init__(self, ahead: int) -> None:
        self._slots: deque[Slot] = deque(maxlen=2 * ahead + 1)
        self._held = 0

    def __len__(self) -> int:
        return len(self._slots)

    def __getitem__(self, at: int) -> Slot:
        return self._slots[at]

    @property
    def held(self) -> int:
        """Return how many frames were appended and not emitted."""
        return self._held

    @property
    def next_out(self) -> int:
        """Return the position of the frame that is emitted next."""
        return len(self._slots) - self._held

    def append(self, slot: Slot) -> None:
        """Add the newest frame; the oldest slot leaves a full window."""
        self._slots.append(slot)
        self._held += 1

    def release(self) -> Planes:
        """Return the frame that is emitted next; its slot drops it."""
        slot = self._slots[self.next_out]
        frame, slot.frame = slot.picture, None
        self._held -= 1
        return frame

    def newest_skipped(self) -> list[Slot]:
        """Return the run of skipped slots at the end of the window, oldest first."""
        first = len(self._slots)
        while first > 0 and self._slots[first - 1].skipped:
            first -= 1
        return [self._slots[at] for at in range(first, len(self._slots))]

    def estimates_of(self, track: int) -> list[GazeEstimate | None]:
        """Return one face's estimate in each slot, None where it has none."""
        return [slot.estimates.get(track) for slot in self._slots]
