"""Catch-lights: lamps and windows mirrored in the cornea. They belong to the room, not to the iris.

When an eye turns, its iris goes the whole way, a mirrored lamp only about half: so lights are lifted off the iris
before it is moved, and laid on again where they belong.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from media.gaze.draw.eyelids import INSET_UPPER
from media.gaze.estimate.geometry import Axes, Box, Grid, Outline, PixelGrid, height

# Of the iris' way. The cornea's centre of curvature lies 5.6 mm, the pupil 10 mm before the point about which an eye
# turns (Gullstrand's eye); a far lamp is mirrored half a radius behind the cornea, close to that centre.
FOLLOWS = 0.55
WIDEST = 0.8  # of the iris' radius; what is wider is a window over the whole eye, or the white itself
# Grey levels above what is around, and above the iris: no light … a light. In dim pictures lights are dim, too.
FAINT, BRIGHT = 7.0, 18.0
WELL_LIT, DIMMEST = 140.0, 0.4  # grey level of an eye's white above black; the least that the levels come down to
WHITE_PERCENTILE, BLACK = 90, 16
# An iris may itself be bright between its dark rim and the pupil: as bright as this share of its pixels is no light.
IRIS_PERCENTILE = 80
SOFT_EDGE = 0.13  # of the iris' radius
AROUND = 0.3  # of the iris' radius: from this far comes what is painted below a light
WITHIN = (0.80, 0.95)  # of the iris' radius: beyond its rim the white is brighter anyway
SURELY_IRIS = 0.7  # of its radius, which may be measured a little too large
REACHES = 0.5  # of its radius: from this far inside no white can be
INSET = 0.035  # from the lower lid, in eye widths: its wet edge shines, too
SMALLEST_RADIUS_PX = 4.0


@dataclass(frozen=True)
class Lights:
    """Where lights lie within an eye's box."""

    area: Box  # around the iris, in pixels of the eye's box
    share: Grid  # over the area: 0 none to 1 nothing but light
    disc: Grid  # over the area: 1 where the iris is seen


def find(luma: NDArray[np.uint8], axes: Axes, outline: Outline, box: Box) -> Lights | None:
    """Look for small bright spots on an iris.

    Args:
        luma: the eye's box.
        axes: where the eye lies in the picture.
        outline: its shape before any movement.
        box: the eye's box in the picture.

    Returns:
        None when there are no lights.
    """
    radius = outline.radius * axes.width
    if radius < SMALLEST_RADIUS_PX:
        return None
    area = _around_iris(axes, outline, box, radius)
    if area is None:
        return None
    patch = luma[area.slices()]
    place = PixelGrid.of(_placed(area, box), axes)
    distance = _distance(place, outline)
    disc = _disc(place, outline, distance)
    sure = (disc > 0.5) & (distance < SURELY_IRIS)
    if not sure.any():
        return None
    iris = np.float32(np.percentile(patch[sure], IRIS_PERCENTILE))
    white = (distance > WITHIN[1]) | (place.y > height(outline.lower, place.x) - np.float32(INSET))
    around = np.maximum(_reached(np.minimum(patch, _brightest(patch, place, outline, distance)), white, radius), iris)
    around = np.maximum(around, cv2.morphologyEx(patch, cv2.MORPH_OPEN, _kernel(radius)))
    dim = float(np.clip((np.percentile(patch, WHITE_PERCENTILE) - BLACK) / WELL_LIT, DIMMEST, 1))
    share = np.clip((patch - around - dim * FAINT) / (dim * (BRIGHT - FAINT)), 0, 1)
    # A light's soft edge goes with it, else a ring of it would stay on the iris.
    edge = 2 * max(1, round(SOFT_EDGE * radius)) + 1
    share = cv2.GaussianBlur(cv2.dilate(share, np.ones((edge, edge), np.uint8)), (0, 0), 0.7) * disc
    return Lights(area, np.asarray(share, np.float32), disc) if float(share.max()) > 0.5 else None


def lifted(plane: NDArray[np.uint8], lights: Lights, subsampling: int) -> NDArray[np.uint8]:
    """Return a plane of the eye's box without its lights: below them lies what the iris is like around them."""
    clean = plane.copy()
    cut = lights.area.slices(subsampling)
    share, disc = lights.share, lights.disc
    if subsampling == 2:
        share, disc = _halved(share), _halved(disc)
    patch = plane[cut].astype(np.float32)
    weights = disc * (1 - share)
    sigma = AROUND * min(patch.shape) / 2
    total, weight = (cv2.GaussianBlur(grid, (0, 0), sigma) for grid in (patch * weights, weights))
    mean = np.float32((patch * weights).sum() / max(float(weights.sum()), 1e-6))
    below = (total + 1e-3 * mean) / (weight + 1e-3)  # far from all that is seen of the iris, its mean
    clean[cut] = np.rint(patch + share * (below - patch))
    return clean


def _around_iris(axes: Axes, outline: Outline, box: Box, radius: float) -> Box | None:
    unit = axes.along / axes.width
    x, y = outline.iris
    middle = axes.origin + axes.width * (x * unit + y * np.array([-unit[1], unit[0]])) - (box.left, box.top)
    left, top = (max(0, int((value - radius) // 2) * 2) for value in middle)
    rows, columns = box.shape
    right, bottom = (int(-((-value - radius) // 2)) * 2 for value in middle)
    area = Box(left, top, min(right, columns), min(bottom, rows))
    return area if min(area.shape) >= SMALLEST_RADIUS_PX else None


def _placed(area: Box, box: Box) -> Box:
    return Box(area.left + box.left, area.top + box.top, area.right + box.left, area.bottom + box.top)


def _distance(place: PixelGrid, outline: Outline) -> Grid:
    """Return how far each pixel lies from the middle of the iris, in radii."""
    x, y = place.x - np.float32(outline.iris[0]), place.y - np.float32(outline.iris[1])
    return np.asarray(np.hypot(x, y) / np.float32(outline.radius), np.float32)


def _brightest(patch: NDArray[np.uint8], place: PixelGrid, outline: Outline, distance: Grid) -> np.uint8:
    """Return how bright white is: a lamp that is brighter, half on the iris and half beside it, is none."""
    above, below = height(outline.upper, place.x) + INSET_UPPER, height(outline.lower, place.x) - INSET
    beside = (distance > WITHIN[1]) & (place.y > above) & (place.y < below)
    return np.uint8(np.percentile(patch[beside], WHITE_PERCENTILE) if beside.any() else 255)


def _reached(patch: NDArray[np.uint8], start: NDArray[np.bool_], radius: float) -> NDArray[np.uint8]:
    """Return how bright one can stay at most on a way from the white to each pixel.

    Light that is reached so is white or a lit rim, where the iris was measured too large; a lamp lies alone.
    Source: morphological reconstruction by dilation, Vincent 1993.
    """
    reached, square = np.where(start, patch, np.uint8(0)), np.ones((3, 3), np.uint8)
    for _ in range(round(REACHES * radius)):
        reached = np.minimum(cv2.dilate(reached, square), patch)
    return np.asarray(reached, np.uint8)


def _disc(place: PixelGrid, outline: Outline, distance: Grid) -> Grid:
    full, none = WITHIN
    inside = np.clip((none - distance) / (none - full), 0, 1)
    above, below = height(outline.upper, place.x) + INSET_UPPER, height(outline.lower, place.x) - INSET
    return np.asarray(np.where((place.y > above) & (place.y < below), inside, 0), np.float32)


def _kernel(radius: float) -> NDArray[np.uint8]:
    size = 2 * round(WIDEST * radius / 2) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), np.uint8)


def _halved(grid: Grid) -> Grid:
    return np.asarray(cv2.resize(grid, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.float32)
