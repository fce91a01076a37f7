"""The face finder: MediaPipe's networks run directly, each face tracked from frame to frame.

The same networks in the same order as in MediaPipe's own graph, which `media.gaze.face.mediapipe_graph` runs; a test
compares the two. Points are not smoothed here: MediaPipe smooths them with a lag, `media.gaze.estimate.smoothing`
without one.
"""

from pathlib import Path
from types import TracebackType

import numpy as np

from media.frames import Planes
from media.gaze.face import model
from media.gaze.face.detector import detect
from media.gaze.face.faces import SHAPES, Face, Mode
from media.gaze.face.networks import LANDMARKS_SIDE, Networks
from media.gaze.face.region import Region
from media.gaze.face.tracking import SAME_PERSON, Person, SpeakerTracker

LEAST_PRESENCE = 0.5
# Frames from one detection in the whole frame to the next while every speaker is tracked; the detector takes 2 to 3 ms.
DETECT_EVERY = 12
MAX_FACES = 8


class Landmarker:
    """Finds the speakers' faces and tracks them.

    Args:
        mode: whether frames are consecutive.
        faces: number of speakers, at most.
        model_path: a model file to use instead of the installed one.

    Raises:
        EngineFailed: the runtime is missing, or the file holds no such networks.
        ModelMissing, ModelDamaged: see `media.gaze.face.model`.
    """

    in_any_order = True

    def __init__(self, *, mode: Mode = Mode.VIDEO, faces: int = 1, model_path: Path | None = None) -> None:
        self._networks: Networks | None = Networks(model.locate(model_path))
        self._mode = mode
        self._most = faces
        self._speakers = SpeakerTracker(faces)
        self._frames = 0  # since the first one, those that were not searched included
        self._latest = 0  # number of a frame
        self._detected_at = 0

    def find(self, frame: Planes) -> list[Face]:
        """Return the speakers' faces in a frame, the most prominent one's first.

        Raises:
            EngineFailed: a network failed.
        """
        if self._mode is Mode.SPARSE:
            self._speakers = SpeakerTracker(self._most)
        self._frames += max(1, frame.index - self._latest)
        self._latest = frame.index
        found = self._track(frame)
        if not found or self._frames - self._detected_at >= DETECT_EVERY:
            self._detect(frame)
            while new := [person for person in self._speakers.chosen if person.number not in found]:
                found |= self._confirm(frame, new)
        return [found[person.number] for person in self._speakers.chosen if person.number in found]

    def _track(self, frame: Planes) -> dict[int, Face]:
        found: dict[int, Face] = {}
        for person in self._speakers.chosen:
            face = self._locate(frame, person)
            if face is not None and all(_is_another(face, other) for other in found.values()):
                found[person.number] = face
            else:
                person.is_visible = False
        return found

    def _confirm(self, frame: Planes, people: list[Person]) -> dict[int, Face]:
        found: dict[int, Face] = {}
        for person in people:
            # The detector's crop is wider than the crop around a face's own points, which moves the measured gaze by
            # 2°: the first pass finds the points, the second one measures them in their own crop.
            face = self._locate(frame, person) and self._locate(frame, person)
            if face is not None:
                found[person.number] = face
                person.is_confirmed = True
            elif not person.is_confirmed:
                self._speakers.discard(person)  # a false positive of the detector
        return found

    def _detect(self, frame: Planes) -> None:
        assert self._networks is not None, "not closed"
        self._detected_at = self._frames
        picture = (frame.y.shape[0], frame.y.shape[1])
        self._speakers.update(self._frames, detect(self._networks, frame, MAX_FACES), picture)

    def redetect(self, frame: Planes, face: Face) -> Face | None:
        """Find a face again in its frame, which was changed since; None when it is not found.

        Raises:
            EngineFailed: a network failed.
        """
        return self._face(frame, Region.of(face.points), face.track)

    def _locate(self, frame: Planes, person: Person) -> Face | None:
        face = self._face(frame, person.region, person.number)
        person.is_visible = face is not None
        if face is not None:
            person.region = Region.of(face.points)
        return face

    def _face(self, frame: Planes, region: Region, track: int) -> Face | None:
        assert self._networks is not None, "not closed"
        points, presence = self._networks.landmarks(region.crop(frame, LANDMARKS_SIDE))
        if presence < LEAST_PRESENCE:
            return None
        placed = region.to_frame(points[:, :2], LANDMARKS_SIDE)
        values = self._networks.blendshapes(placed)
        return Face(placed, {name: float(values[at]) for name, at in SHAPES.items()}, track)

    def close(self) -> None:
        """Free the networks' memory; may be called twice."""
        self._networks = None

    def __enter__(self) -> "Landmarker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _is_another(face: Face, other: Face) -> bool:
    """Return whether two faces are different ones; the crops of two people may converge on the same face."""
    apart = np.linalg.norm(face.points.mean(axis=0) - other.points.mean(axis=0))
    return float(apart) > SAME_PERSON * float(np.ptp(other.points, axis=0).max())
