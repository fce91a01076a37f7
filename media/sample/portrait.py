"""The portrait of the sample clip, with eyes that can be moved and closed.

NASA's portrait of the astronaut Eileen Collins, public domain; the package scikit-image carries it and is located,
never imported. Coordinates are pixels of the original picture of 512 × 512 unless they say otherwise.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from media import packaged_file
from media.errors import Refused
from media.packaged_file import PackagedFileMissing

Picture = NDArray[np.uint8]  # (H, W, 3), blue green red
Patch = NDArray[np.float32]  # the same as numbers

PACKAGE, FILE_NAME = "scikit-image", "astronaut.png"
SHA256 = "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5"
SCALE = 4  # the eyes are drawn on a copy this much larger
IRIS_RADIUS = 4.05
PX_PER_DEG = 0.17  # way of the iris for a degree: 11.7 mm of iris are 8.1 px, the eyeball turns on 12 mm
# The person looks a little past the photographer; this much brings her into the lens.
TO_LENS_DEG = (4.0, 4.0)
LASH_UP, LASH_DOWN = 1.5, 0.5  # the dark band of lashes around the upper lid's line moves as one
FOLD = 5.0  # skin down to this far above the lid is drawn down with it
FEATHER = 0.45


@dataclass(frozen=True)
class EyeContour:
    """The contours of one eye, traced by hand."""

    upper: tuple[tuple[float, float], ...]  # from the picture's left corner to its right one
    lower: tuple[tuple[float, float], ...]
    iris: tuple[float, float]


_Line = tuple[tuple[float, float], ...]
_LEFT_UPPER: _Line = (
    *((195.6, 101.2), (197.5, 99.7), (200.0, 98.4), (203.3, 97.8)),
    *((207.0, 98.5), (210.5, 100.4), (214.2, 103.8)),
)
_LEFT_LOWER: _Line = (
    *((195.6, 101.2), (198.5, 103.1), (202.0, 104.3), (205.0, 104.7)),
    *((208.5, 104.6), (211.5, 104.4), (214.2, 103.8)),
)
_RIGHT_UPPER: _Line = (
    *((236.8, 105.3), (239.5, 103.1), (242.5, 101.2), (246.0, 100.1)),
    *((249.5, 100.3), (252.8, 101.6), (256.0, 104.0)),
)
_RIGHT_LOWER: _Line = (
    *((236.8, 105.3), (240.0, 105.9), (243.5, 106.5), (247.0, 106.9)),
    *((250.5, 106.6), (253.2, 105.7), (256.0, 104.0)),
)
EYES = (
    EyeContour(_LEFT_UPPER, _LEFT_LOWER, iris=(203.9, 101.2)),
    EyeContour(_RIGHT_UPPER, _RIGHT_LOWER, iris=(246.8, 103.4)),
)


def locate() -> Path:
    """Find the portrait.

    Raises:
        Refused: the package with the portrait is not installed, or contains another picture.
    """
    try:
        path = packaged_file.locate(PACKAGE, FILE_NAME)
    except PackagedFileMissing as exc:
        raise Refused("no_portrait", f"The sample clip cannot be made: {exc}.") from exc
    if not packaged_file.has_sha256(path, SHA256):
        raise Refused("no_portrait", f"The installed package {PACKAGE} does not contain the known {FILE_NAME}.")
    return path


class Portrait:
    """The enlarged portrait, whose eyes can be posed."""

    def __init__(self) -> None:
        original = cv2.imread(str(locate()))
        assert original is not None
        large = cv2.resize(np.asarray(original, np.uint8), None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_LANCZOS4)
        soft = cv2.GaussianBlur(large, (0, 0), 2.2)
        self.picture: Picture = np.asarray(cv2.addWeighted(large, 1.5, soft, -0.5, 0), np.uint8)
        self._eyes = [_Eye(self.picture, contour) for contour in EYES]

    def pose(self, gaze_deg: tuple[float, float], closed: float) -> Picture:
        """Turn the eyes and lower the lids; return the picture, which the next call overwrites.

        Args:
            gaze_deg: yaw and pitch; (0, 0) is into the lens.
            closed: 0 open to 1 shut.
        """
        for eye in self._eyes:
            eye.draw(self.picture, gaze_deg, closed)
        return self.picture


class _Eye:
    """One eye in layers, skin, white, iris and highlight, which are composed for each pose."""

    def __init__(self, picture: Picture, contour: EyeContour) -> None:
        left, right = (int(contour.upper[end][0]) + shift for end, shift in ((0, -5), (-1, 6)))
        top, bottom = int(min(y for _, y in contour.upper)) - 9, int(max(y for _, y in contour.lower)) + 6
        self._area = np.s_[top * SCALE : bottom * SCALE, left * SCALE : right * SCALE]
        self._skin = picture[self._area].astype(np.float32)
        grid = np.indices(self._skin.shape[:2], dtype=np.float32)
        self._rows, self._columns = np.asarray(grid[0], np.float32), np.asarray(grid[1], np.float32)
        # Centres of large pixels, in pixels of the original.
        self._x: Patch = np.asarray((self._columns + 0.5) / SCALE + left, np.float32)
        self._y: Patch = np.asarray((self._rows + 0.5) / SCALE + top, np.float32)
        self._upper, self._lower = _curve(contour.upper, self._x), _curve(contour.lower, self._x)
        self._iris_at = contour.iris
        distance = np.hypot(self._x - contour.iris[0], self._y - contour.iris[1])
        self._disc: Patch = np.clip((IRIS_RADIUS * 1.12 - distance) / 0.7 + 0.5, 0, 1).astype(np.float32)
        self._iris, self._light = _without_highlight(self._whole_iris(), distance)
        self._white = self._white_of_eye()

    def _whole_iris(self) -> Patch:
        """Return the iris, with the part under the upper lid filled by the mirrored lower part."""
        middle = (self._iris_at[1] - self._y[0, 0]) * SCALE
        mirrored = cv2.remap(self._skin, self._columns, 2 * np.float32(middle) - self._rows, cv2.INTER_LINEAR)
        hidden = np.clip((self._upper + 1.6 - self._y) / 0.8 + 0.5, 0, 1)[..., None]
        return np.asarray(self._skin + hidden * (mirrored - self._skin), np.float32)

    def _white_of_eye(self) -> Patch:
        """Return the eye without its iris: each row is interpolated between the white on both sides."""
        white = self._skin.copy()
        x = self._x[0]
        gap = np.flatnonzero(np.abs(x - self._iris_at[0]) < IRIS_RADIUS * 1.3)
        first, last = gap[0] - 1, gap[-1] + 1
        share = ((x[gap] - x[first]) / (x[last] - x[first]))[None, :, None]
        ends = [cv2.GaussianBlur(self._skin[:, end - 3 : end + 4], (0, 0), 2.0)[:, 3:4] for end in (first, last)]
        white[:, gap] = ends[0] * (1 - share) + ends[1] * share
        return white

    def draw(self, picture: Picture, gaze_deg: tuple[float, float], closed: float) -> None:
        """Compose the eye in its place in the picture."""
        right = PX_PER_DEG * (gaze_deg[0] + TO_LENS_DEG[0])
        down = -PX_PER_DEG * (gaze_deg[1] + TO_LENS_DEG[1])
        ball = _over(self._white, self._moved(self._iris, right, down), self._moved(self._disc, right, down))
        # A lamp's image on the cornea goes half as far as the iris.
        ball += self._moved(self._light, right / 2, down / 2)
        opening = self._lower - self._upper
        drop = np.clip(closed * opening + (1 - closed) * max(0.0, 0.75 * down), 0, opening)
        below_lid = self._y - self._upper - drop
        lid = np.clip((LASH_DOWN - below_lid) / FEATHER + 0.5, 0, 1).astype(np.float32)
        skin = _over(self._skin, self._lowered(drop), lid)
        inside = np.minimum(below_lid - LASH_DOWN * 0.5, self._lower - self._y)
        shown = np.clip(inside / FEATHER + 0.5, 0, 1) * (opening > 0.3)
        picture[self._area] = np.clip(np.rint(_over(skin, ball, shown.astype(np.float32))), 0, 255).astype(np.uint8)

    def _moved(self, layer: Patch, right: float, down: float) -> Patch:
        shift = np.array([[1, 0, right * SCALE], [0, 1, down * SCALE]], np.float32)
        size = (layer.shape[1], layer.shape[0])
        return np.asarray(cv2.warpAffine(layer, shift, size, flags=cv2.INTER_CUBIC), np.float32)

    def _lowered(self, drop: NDArray[np.float32]) -> Patch:
        """Return the lowered upper lid: the lashes move as one, the skin above them is stretched."""
        edge = self._upper - LASH_UP
        top = edge - FOLD
        share = np.clip((self._y - top) / np.maximum(edge + drop - top, 0.1), 0, 1)
        stretched = np.where(self._y < edge + drop, top + share * (edge - top), self._y - drop)
        source = np.where(self._y < top, self._y, stretched)
        rows = (source - self._y[0, 0]) * SCALE
        return np.asarray(cv2.remap(self._skin, self._columns, rows.astype(np.float32), cv2.INTER_LINEAR), np.float32)


def _curve(line: tuple[tuple[float, float], ...], x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a smooth curve through the points; it is constant beyond the corners."""
    points = np.array(line)
    fitted = np.polynomial.Polynomial.fit(points[:, 0], points[:, 1], 4)
    return np.asarray(fitted(np.clip(x, points[0, 0], points[-1, 0])), np.float32)


def _over(below: Patch, above: Patch, share: Patch) -> Patch:
    return np.asarray(below + share[..., None] * (above - below), np.float32)


def _without_highlight(iris: Patch, distance: NDArray[np.float32]) -> tuple[Patch, Patch]:
    """Separate the lamp's reflection from the iris, because it moves differently."""
    grey = iris.mean(axis=2)
    within = distance < IRIS_RADIUS
    bright = (within & (grey > np.median(grey[within]) + 45)).astype(np.uint8)
    bright = cv2.dilate(bright, np.ones((5, 5), np.uint8)) * within.astype(np.uint8)
    plain = cv2.inpaint(np.clip(iris, 0, 255).astype(np.uint8), bright, 4, cv2.INPAINT_TELEA).astype(np.float32)
    soft = cv2.GaussianBlur(bright.astype(np.float32), (0, 0), 1.0)[..., None]
    return np.asarray(plain, np.float32), np.asarray(np.maximum(iris - plain, 0) * soft, np.float32)
