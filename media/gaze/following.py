"""Follows measured eyes into the frames after, so that the landmark networks need not run on each of them.

The networks take most of the time of measuring. Eyes that look the same but for a movement of the head have moved with
their picture, which its alignment places more exactly than landmarks do; the iris is searched in each frame's own.
"""

import numpy as np

from media.frames import Planes
from media.gaze.estimate import limbus
from media.gaze.estimate.alignment import ALIKE, START, Alignment, EyeTemplate
from media.gaze.estimate.geometry import Eye
from media.gaze.estimate.interpolation import interpolate
from media.gaze.estimate.measure import eye_of
from media.gaze.estimate.propagation import moved, with_irises
from media.gaze.face.faces import Face
from media.gaze.window import Slot

STRIDE = 4  # every so manyth frame is measured, even if the eyes look the same: they may turn slowly
# Eyes that look the same by less than AT_REST of ALIKE do not turn, and every so manyth frame suffices. At most
# LOOK_AHEAD of `media.gaze.policy`: followed frames are corrected by the next measured one before they are emitted.
RESTING_STRIDE, AT_REST = 8, 0.6


class EyeFollower:
    """The eyes of the newest measured frame, and the frames after it into which they were followed."""

    def __init__(self) -> None:
        self._key: Slot | None = None
        self._key_index = 0
        self._templates: dict[int, EyeTemplate] = {}  # by track number
        self._aligned: dict[int, Alignment] = {}  # the newest frame
        self._followed: list[tuple[Slot, dict[int, Alignment]]] = []

    def restart(self, slot: Slot) -> None:
        """Begin anew with a frame that was measured; correct those before it into which its eyes were followed."""
        self._settle(slot)
        self._key, self._key_index, self._aligned, self._followed = slot, slot.picture.index, {}, []
        complete = slot.estimates.keys() == slot.faces.keys()
        self._templates = (
            {track: EyeTemplate(slot.picture.y, one.eyes) for track, one in slot.estimates.items()} if complete else {}
        )

    def follow(self, frame: Planes) -> dict[int, Face]:
        """Return the faces of a frame that shows the same eyes; none where they must be measured."""
        self._aligned = {}
        for track, template in self._templates.items():
            latest = self._followed[-1][1][track].moved if self._followed else START
            self._aligned[track] = template.align(frame.y, latest)
        unlike = max((one.unlike for one in self._aligned.values()), default=0.0)
        if self._key is None or unlike > ALIKE:
            self._aligned = {}
        stride = RESTING_STRIDE if unlike <= AT_REST * ALIKE else STRIDE
        if self._key is None or frame.index - self._key_index >= stride:
            return {}
        return {track: _moved_face(self._key.faces[track], one) for track, one in self._aligned.items()}

    def add(self, slot: Slot) -> None:
        """Estimate the eyes of a followed frame from those of the measured one."""
        assert self._key is not None
        for track, aligned in self._aligned.items():
            estimate = moved(self._key.estimates[track], aligned.similarity)
            slot.estimates[track] = with_irises(estimate, _irises(slot, track))
        self._followed.append((slot, self._aligned))

    def _settle(self, newest: Slot) -> None:
        """Interpolate the followed frames between two measured ones that show the same eyes."""
        if self._key is None or newest.estimates.keys() != self._aligned.keys():
            return
        for track, arrived in self._aligned.items():
            start = self._key.estimates[track]
            end = moved(newest.estimates[track], arrived.similarity.inverse())
            for slot, aligned in self._followed:
                share = (slot.picture.index - self._key_index) / (newest.picture.index - self._key_index)
                between = interpolate(start, end, share)
                own = slot.estimates[track]
                slot.estimates[track] = with_irises(moved(between, aligned[track].similarity), own.eyes)


def _irises(slot: Slot, track: int) -> tuple[Eye, Eye]:
    luma, points = slot.picture.y, slot.faces[track].points
    return limbus.refine(luma, (eye_of(points, 0), eye_of(points, 1)))


def _moved_face(face: Face, aligned: Alignment) -> Face:
    return Face(np.asarray(aligned.similarity.points(face.points), np.float32), face.blendshapes, face.track)
