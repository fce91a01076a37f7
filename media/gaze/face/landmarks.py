"""Where the face is: MediaPipe's networks run directly, each face followed from frame to frame.

The same networks in the same order as in MediaPipe's own graph, which `media.gaze.face.mediapipe_graph` runs; a test
holds both against each other. Points come as the network gives them: smoothing, which MediaPipe does with a lag, is
done later and without one.
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
# Frames between two looks at the whole picture while every speaker is in it: 2 to 3 ms each for the detector.
SURVEY_EVERY = 12
MOST_PEOPLE = 8


class Landmarker:
    """Finds the speakers' faces and follows them.

    Args:
        mode: whether pictures follow one another.
        faces: how many speakers, at most.
        model_path: a model file of the user's own.

    Raises:
        EngineFailed: the runtime or the file does not serve.
        ModelMissing, ModelDamaged: see `media.gaze.face.model`.
    """

    in_any_order = True

    def __init__(self, *, mode: Mode = Mode.VIDEO, faces: int = 1, model_path: Path | None = None) -> None:
        self._networks: Networks | None = Networks(model.locate(model_path))
        self._mode = mode
        self._most = faces
        self._speakers = SpeakerTracker(faces)
        self._pictures = 0
        self._surveyed = 0

    def find(self, frame: Planes) -> list[Face]:
        """Return the speakers' faces in a picture, the most prominent one's first.

        Raises:
            EngineFailed: a network gave up.
        """
        if self._mode is Mode.SPARSE:
            self._speakers = SpeakerTracker(self._most)
        self._pictures += 1
        found = self._follow(frame)
        if not found or self._pictures - self._surveyed >= SURVEY_EVERY:
            self._survey(frame)
            while new := [person for person in self._speakers.chosen if person.number not in found]:
                found |= self._meet(frame, new)
        return [found[person.number] for person in self._speakers.chosen if person.number in found]

    def _follow(self, frame: Planes) -> dict[int, Face]:
        found: dict[int, Face] = {}
        for person in self._speakers.chosen:
            face = self._read(frame, person)
            if face is not None and all(_is_another(face, other) for other in found.values()):
                found[person.number] = face
            else:
                person.is_seen = False
        return found

    def _meet(self, frame: Planes, people: list[Person]) -> dict[int, Face]:
        found: dict[int, Face] = {}
        for person in people:
            # The detector frames a face more loosely than its own points do, which moves the measured gaze by 2°: the
            # first look finds the face, the second one measures it.
            face = self._read(frame, person) and self._read(frame, person)
            if face is not None:
                found[person.number] = face
                person.is_known = True
            elif not person.is_known:
                self._speakers.dismiss(person)  # the detector took something else for a face
        return found

    def _survey(self, frame: Planes) -> None:
        assert self._networks is not None, "not closed"
        self._surveyed = self._pictures
        picture = (frame.y.shape[0], frame.y.shape[1])
        self._speakers.see(self._pictures, detect(self._networks, frame, MOST_PEOPLE), picture)

    def redetect(self, frame: Planes, face: Face) -> Face | None:
        """Look once more at a face in its picture, which was changed since; None when it is none any more.

        Raises:
            EngineFailed: a network gave up.
        """
        return self._face(frame, Region.of(face.points), face.track)

    def _read(self, frame: Planes, person: Person) -> Face | None:
        face = self._face(frame, person.region, person.number)
        person.is_seen = face is not None
        if face is not None:
            person.region = Region.of(face.points)
        return face

    def _face(self, frame: Planes, region: Region, track: int) -> Face | None:
        assert self._networks is not None, "not closed"
        points, presence = self._networks.landmarks(region.look(frame, LANDMARKS_SIDE))
        if presence < LEAST_PRESENCE:
            return None
        placed = region.to_picture(points[:, :2], LANDMARKS_SIDE)
        shapes = self._networks.shapes(placed)
        return Face(placed, {name: float(shapes[at]) for name, at in SHAPES.items()}, track)

    def close(self) -> None:
        """Give the networks' memory back; harmless when done already."""
        self._networks = None

    def __enter__(self) -> "Landmarker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _is_another(face: Face, other: Face) -> bool:
    """Say that two faces are not one on which two people's frames have met."""
    apart = np.linalg.norm(face.points.mean(axis=0) - other.points.mean(axis=0))
    return float(apart) > SAME_PERSON * float(np.ptp(other.points, axis=0).max())
