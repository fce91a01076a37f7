"""Where the face is: MediaPipe's networks run directly, each face followed from frame to frame.

The same networks in the same order as in MediaPipe's own graph, which `media.gaze.reference` runs; a test holds both
against each other. Points come as the network gives them: smoothing, which MediaPipe does with a lag, is done later
and without one.
"""

from pathlib import Path
from types import TracebackType

import numpy as np

from media.frames import Planes
from media.gaze import model
from media.gaze.detector import detect
from media.gaze.faces import SHAPES, Face, Mode
from media.gaze.networks import LANDMARKS_SIDE, Networks
from media.gaze.region import Region

LEAST_PRESENCE = 0.5
SEARCH_EVERY = 12  # frames between searches while fewer faces are followed than wanted, but one is
SAME_FACE = 0.5  # of a face's extent: closer middles are one face


class Landmarker:
    """Finds and follows faces.

    Args:
        mode: whether pictures follow one another.
        faces: how many to follow at most.
        model_path: a model file of the user's own.

    Raises:
        EngineFailed: the runtime or the file does not serve.
        ModelMissing, ModelDamaged: see `media.gaze.model`.
    """

    def __init__(self, *, mode: Mode = Mode.VIDEO, faces: int = 1, model_path: Path | None = None) -> None:
        self._networks = Networks(model.locate(model_path))
        self._mode = mode
        self._most = faces
        self._followed: dict[int, Region] = {}
        self._named = 0
        self._since_search = 0

    def find(self, frame: Planes) -> list[Face]:
        """Return the faces of a picture, those that were seen before first.

        Raises:
            EngineFailed: a network gave up.
        """
        if self._mode is Mode.SPARSE:
            self._followed.clear()
        found = [face for track, region in self._followed.items() if (face := self._read(frame, region, track))]
        found = _distinct(found)
        self._since_search += 1
        if not found or (len(found) < self._most and self._since_search >= SEARCH_EVERY):
            found = self._with_new(frame, found)
        self._followed = {face.track: Region.of(face.points) for face in found}
        return found

    def _with_new(self, frame: Planes, found: list[Face]) -> list[Face]:
        self._since_search = 0
        for region in detect(self._networks, frame, self._most + len(found)):
            first = self._read(frame, region, self._named)
            # The detector frames a face more loosely than its own points do, which moves the measured gaze by 2°: the
            # first look finds the face, the second one measures it.
            face = first and self._read(frame, Region.of(first.points), self._named)
            if face and len(found) < self._most and len(_distinct([*found, face])) > len(found):
                found = [*found, face]
                self._named += 1
        return found

    def _read(self, frame: Planes, region: Region, track: int) -> Face | None:
        points, presence = self._networks.landmarks(region.look(frame, LANDMARKS_SIDE))
        if presence < LEAST_PRESENCE:
            return None
        placed = region.to_picture(points[:, :2], LANDMARKS_SIDE)
        shapes = self._networks.shapes(placed)
        return Face(placed, {name: float(shapes[at]) for name, at in SHAPES.items()}, track)

    def close(self) -> None:
        """Forget the faces; the networks go with this object."""
        self._followed.clear()

    def __enter__(self) -> "Landmarker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _distinct(faces: list[Face]) -> list[Face]:
    """Leave out faces that lie where an earlier one does."""
    kept: list[Face] = []
    for face in faces:
        middle, extent = face.points.mean(axis=0), float(np.ptp(face.points, axis=0).max())
        if all(float(np.linalg.norm(middle - other.points.mean(axis=0))) > SAME_FACE * extent for other in kept):
            kept.append(face)
    return kept
