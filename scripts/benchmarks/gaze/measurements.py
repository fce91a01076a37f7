"""All measurements of one film: angles by each judge, lids, position of the iris, sharpness and highlights.

Gaze is the judges' business alone. Lids, and where to look for the iris' sharpness, come from MediaPipe's points on
the film in question; its angles are used nowhere.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from media.frames import Planes
from media.gaze.estimate.measure import IRISES
from media.gaze.face.faces import Face as Mesh
from media.gaze.face.landmarks import Landmarker
from scripts.benchmarks.gaze.faces import Face, Numbers, PointDetector, bgr, follow
from scripts.benchmarks.gaze.judges import Judge, centre, upright

EAR = ((33, 160, 158, 133, 153, 144), (362, 385, 387, 263, 373, 380))  # corner, two above, corner, two below
FLOW_PX = 100  # width of an eye where flow is measured
FLOW_REACH = (1.0, 0.8)  # of that picture from the corners' middle, in eye widths
RING_AXES, RING = (0.58, 0.42), (1.0, 1.7)  # half axes in eye widths; the ring lies between so many of them
BOX = (0.60, 0.66, 0.48)  # to the sides, above and below the corners' middle: all that a correction may touch


@dataclass(frozen=True)
class Measurements:
    """The measurements of a film; arrays over frames, NaN where nothing was measured. Judges see every k-th frame."""

    head_deg: Numbers  # (frames, 2)
    gaze_deg: Numbers  # (judges, frames, 2), NaN on the frames in between
    opening: Numbers  # (frames, 2) each eye's aspect ratio
    iris: Numbers  # (frames, 2, 2) MediaPipe's iris against the corners' middle, in eye widths
    rim: Numbers  # (frames, 2, 2) the same by gradients
    sharpness: Numbers  # (frames, 2) mean strength of edges within the iris
    light: Numbers  # (frames, 2) how far the brightest within the iris stands out, in grey levels
    flow: Numbers  # (frames,) mean movement on the rings against the source, in eye widths
    outside_db: Numbers  # (frames,) PSNR against "nothing" outside the eyes' boxes, luma
    inside_db: Numbers  # (frames,) the same within the boxes

    def save(self, path: Path) -> None:
        """Write the arrays."""
        np.savez(path, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, path: Path) -> "Measurements":
        """Read what `save` wrote."""
        with np.load(path) as arrays:
            return cls(**{field.name: arrays[field.name] for field in fields(cls)})


def find_faces(frames: Iterator[Planes], keep: Path) -> list[Face | None]:
    """Follow the face through an uncorrected film; its points are kept in a file and taken from there again."""
    if keep.exists():
        with np.load(keep) as arrays:
            rows, (width, height) = arrays["points"], arrays["size"]
        return follow([None if np.isnan(row).any() else row for row in rows], (int(width), int(height)))
    pointer, points, size = PointDetector(), list[Numbers | None](), (2, 2)
    with Landmarker() as finder:
        for frame in frames:
            size = (frame.y.shape[1], frame.y.shape[0])
            found = finder.find(frame)
            points.append(pointer.points(frame.y, found[0]) if found else None)
    nowhere = np.full((68, 2), np.nan)
    np.savez(keep, points=np.array([nowhere if own is None else own for own in points]), size=np.array(size))
    return follow(points, size)


class Measurer:
    """Measures films of one clip.

    Args:
        judges: by name, in the order of the result.
        faces: of the uncorrected film.
        every: so many frames from one look of the judges to the next.
    """

    def __init__(self, judges: dict[str, Judge], faces: list[Face | None], every: int) -> None:
        self._judges, self._faces, self._every = list(judges.values()), faces, every
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)

    def measure(self, films: Iterator[tuple[Planes, ...]]) -> Measurements:
        """Measure the last of three films in step: the source, "nothing", and the one in question."""
        count, judged = len(self._faces), len(self._judges)
        marks = Measurements(
            *(np.full(shape, np.nan) for shape in ((count, 2), (judged, count, 2), (count, 2), (count, 2, 2))),
            *(np.full(shape, np.nan) for shape in ((count, 2, 2), (count, 2), (count, 2), count, count, count)),
        )
        with Landmarker() as finder:
            for at, (source, nothing, film) in enumerate(films):
                face, found = self._faces[at], finder.find(film)
                if face is None:
                    continue
                marks.head_deg[at] = face.head_deg()
                marks.rim[at] = [centre(film.y, corners) for corners in face.corners]
                if found:
                    self._eyes(marks, at, film, found[0])
                if at % self._every == 0:
                    self._judge(marks, at, film, face)
                    marks.flow[at] = np.mean([self._ring_flow(source.y, film.y, pair) for pair in face.corners])
                    marks.outside_db[at], marks.inside_db[at] = _likeness(nothing.y, film.y, face)
        return marks

    def _judge(self, marks: Measurements, at: int, film: Planes, face: Face) -> None:
        picture = bgr(film)
        for number, judge in enumerate(self._judges):
            marks.gaze_deg[number, at] = judge.gaze_deg(picture, face)

    def _eyes(self, marks: Measurements, at: int, film: Planes, mesh: Mesh) -> None:
        for side in (0, 1):
            points = mesh.points[list(EAR[side])].astype(np.float64)
            width = float(np.hypot(*(points[3] - points[0])))
            heights = np.hypot(*(points[1:3] - points[[5, 4]]).T)
            marks.opening[at, side] = heights.mean() / max(width, 1e-6)
            unit = (points[3] - points[0]) / max(width, 1e-6)
            ring = mesh.points[list(IRISES[side])].astype(np.float64)
            away = ring[0] - (points[0] + points[3]) / 2
            marks.iris[at, side] = np.array([away @ unit, away @ (-unit[1], unit[0])]) / max(width, 1e-6)
            radius = float(np.linalg.norm(ring[1:] - ring[0], axis=1).mean())
            marks.sharpness[at, side], marks.light[at, side] = _iris(film.y, ring[0], radius, points)

    def _ring_flow(self, source: NDArray[np.uint8], film: NDArray[np.uint8], corners: Numbers) -> float:
        before, after = (upright(luma, corners, FLOW_PX, FLOW_REACH) for luma in (source, film))
        way = self._flow.calc(before, after, np.zeros((*before.shape, 2), np.float32))
        return float(np.hypot(way[..., 0], way[..., 1])[_ring()].mean()) / FLOW_PX


def _ring() -> NDArray[np.bool_]:
    width, height = (2 * round(FLOW_PX * reach) for reach in FLOW_REACH)
    y, x = np.mgrid[0:height, 0:width]
    x, y = (x + 0.5 - width / 2) / FLOW_PX, (y + 0.5 - height / 2) / FLOW_PX
    away = np.hypot(x / RING_AXES[0], y / RING_AXES[1])
    return np.asarray((away >= RING[0]) & (away <= RING[1]), np.bool_)


def _iris(luma: NDArray[np.uint8], middle: Numbers, radius: float, lids: Numbers) -> tuple[float, float]:
    """Return how strong edges are within the iris, and how far its brightest spot stands out; NaN when it is hidden."""
    reach = int(radius * 1.3) + 3
    left, top = (int(value) - reach for value in middle)
    if radius < 3 or left < 0 or top < 0:
        return np.nan, np.nan
    patch = luma[top : top + 2 * reach, left : left + 2 * reach].astype(np.float32)
    rows, columns = np.indices(patch.shape, dtype=np.float32)
    x, y = columns + 0.5 + left, rows + 0.5 + top
    # Between the straight lines through the two points of each lid, a little inside: no lashes.
    above, below = (np.polyval(np.polyfit(lids[pair, 0], lids[pair, 1], 1), x) for pair in ([1, 2], [5, 4]))
    inset = 0.12 * radius
    seen = (np.hypot(x - middle[0], y - middle[1]) < 0.85 * radius) & (y > above + inset) & (y < below - inset)
    if seen.sum() < 0.25 * np.pi * radius**2:
        return np.nan, np.nan
    soft = cv2.GaussianBlur(patch, (0, 0), 0.7)
    edges = np.abs(cv2.Laplacian(soft, cv2.CV_32F))
    return float(edges[seen].mean()), float(np.percentile(patch[seen], 99) - np.median(patch[seen]))


def _likeness(nothing: NDArray[np.uint8], film: NDArray[np.uint8], face: Face) -> tuple[float, float]:
    """Return PSNR outside and inside the eyes' boxes; 99 dB where nothing differs."""
    boxes = np.zeros(nothing.shape, np.uint8)
    for corners in face.corners:
        along = corners[1] - corners[0]
        across = np.array([-along[1], along[0]])
        ways = [(-BOX[0], -BOX[1]), (BOX[0], -BOX[1]), (BOX[0], BOX[2]), (-BOX[0], BOX[2])]
        place = np.array([corners.mean(axis=0) + x * along + y * across for x, y in ways])
        cv2.fillPoly(boxes, [np.rint(place).astype(np.int32)], 1)
    apart = cv2.absdiff(nothing, film).astype(np.float32) ** 2
    return _psnr(float(apart[boxes == 0].mean())), _psnr(float(apart[boxes == 1].mean()))


def _psnr(mean_square: float) -> float:
    return 99.0 if mean_square < 1e-5 else float(10 * np.log10(255**2 / mean_square))
