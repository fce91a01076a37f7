"""Glints: reflections of lamps and windows on the cornea.

When an eye turns, a glint moves only about half as far as the iris. So glints are removed from the iris before it is
moved, and added again where they belong. That is right for the image of one lamp, a compact spot. A ring light, a wide
light or several lights lie around and across the pupil: moved by another distance, they would tear it, so they move
with the iris as one piece.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from media.gaze.draw.eyelids import INSET_UPPER
from media.gaze.easing import fade
from media.gaze.estimate.geometry import Axes, Box, Grid, Outline, PixelGrid, clamp, height

# Movement of a glint over that of the iris. The cornea's centre of curvature lies 5.6 mm, the pupil 10 mm in front of
# the point about which an eye turns (Gullstrand's eye); the image of a far lamp lies half a radius behind the cornea,
# close to that centre.
FOLLOWS = 0.55
WIDEST = 0.8  # of the iris radius; wider ones are windows over the whole eye, or the sclera itself
# Grey levels above the surroundings and the iris: no glint … a glint. In dim pictures glints are dim, too.
FAINT, BRIGHT = 7.0, 18.0
WELL_LIT, DIMMEST = (
    140.0,
    0.4,
)  # grey level of the sclera over black at which the levels hold; smallest factor for darker ones
WHITE_PERCENTILE, BLACK = 90, 16
# An iris may be bright between its dark rim and the pupil: pixels up to this percentile of it are no glint.
IRIS_PERCENTILE = 80
SOFT_EDGE = 0.13  # of the iris radius
AROUND = 0.3  # of the iris radius: sigma of the surroundings that fill in a removed glint
WITHIN = (0.80, 0.95)  # of the iris radius: beyond, the sclera is as bright as a glint
SURELY_IRIS = 0.7  # of the iris radius, which may be measured a little too large
REACHES = 0.5  # of the iris radius: the sclera cannot reach further inside
INSET = 0.035  # from the lower lid, in eye widths: its wet edge reflects, too
SMALLEST_RADIUS_PX = 4.0
# Root mean square distance of the light from its own centre, in iris radii: one lamp … a ring, a window, several
# lights. Lamps of seven recordings: 0.10 to 0.16; a ring light: 0.34; rows of lights: 0.28 to 0.33 (medians).
ONE_LAMP = (0.20, 0.28)
LIT = (0.3, 0.6)  # of the way from the iris' brightness to the light's: not of the light … of it


@dataclass(frozen=True)
class Glints:
    """The glints within an eye's box."""

    area: Box  # around the iris, in pixels of the eye's box
    mask: Grid  # over the area: 0 none to 1 glint
    disc: Grid  # over the area: 1 where the iris is visible
    follows: float = FOLLOWS  # movement over that of the iris: FOLLOWS for one lamp to 1 for what moves with the iris


def find(luma: NDArray[np.uint8], axes: Axes, outline: Outline, box: Box) -> Glints | None:
    """Detect small bright spots on an iris; None when there are none.

    Args:
        luma: (h, w), of the eye's box.
        axes: of the eye in the frame.
        outline: shape of the eye before the movement.
        box: the eye's box in the frame.
    """
    radius = outline.radius * axes.width
    if radius < SMALLEST_RADIUS_PX:
        return None
    area = _around_iris(axes, outline, box, radius)
    if area is None:
        return None
    patch = luma[area.slices()]
    grid = PixelGrid.of(_placed(area, box), axes)
    distance = _distance(grid, outline)
    above, below = height(outline.upper, grid.x) + INSET_UPPER, height(outline.lower, grid.x) - np.float32(INSET)
    between = (grid.y > above) & (grid.y < below)
    disc = _disc(distance, between)
    sure = (disc > 0.5) & (distance < SURELY_IRIS)
    certain = patch[sure]
    if not certain.size:
        return None
    iris = np.float32(_percentile(certain, IRIS_PERCENTILE))
    beyond = distance > WITHIN[1]
    sclera = _brightest(patch[beyond & between])
    around = np.maximum(_reached(np.minimum(patch, sclera), beyond | (grid.y > below), radius), iris)
    around = np.maximum(around, cv2.morphologyEx(patch, cv2.MORPH_OPEN, _kernel(radius)))
    dim = min(max((_percentile(patch, WHITE_PERCENTILE) - BLACK) / WELL_LIT, DIMMEST), 1.0)
    share = clamp((patch - around - dim * FAINT) / (dim * (BRIGHT - FAINT)), 0, 1)
    # A glint is removed with its soft edge, or a ring of it would remain on the iris.
    edge = 2 * max(1, round(SOFT_EDGE * radius)) + 1
    share = cv2.GaussianBlur(cv2.dilate(share, np.ones((edge, edge), np.uint8)), (0, 0), 0.7) * disc
    if float(share.max()) <= 0.5:
        return None
    # What shines at the rim only may be the sclera beside an iris that was measured too large.
    extent = _extent(patch, share * sure, grid, outline, _percentile(certain, 50))
    return Glints(area, np.asarray(share, np.float32), disc, 1 - (1 - FOLLOWS) * fade(extent, ONE_LAMP))


def _extent(patch: NDArray[np.uint8], share: Grid, grid: PixelGrid, outline: Outline, iris: float) -> float:
    """Return the root mean square distance of the light from its own centre, in radii of the iris."""
    brightest = max(float(np.where(share > 0.5, patch, 0).max()), iris + FAINT)
    bright = (patch - np.float32(iris)) / np.float32(brightest - iris)
    light = share * clamp((bright - np.float32(LIT[0])) / np.float32(LIT[1] - LIT[0]), 0, 1)
    light /= light.sum() + np.float32(1e-6)
    x, y = float((light * grid.x).sum()), float((light * grid.y).sum())
    return (
        float(np.sqrt((light * ((grid.x - np.float32(x)) ** 2 + (grid.y - np.float32(y)) ** 2)).sum())) / outline.radius
    )


def without_glints(plane: NDArray[np.uint8], found: Glints, subsampling: int) -> NDArray[np.uint8]:
    """Return a plane of the eye's box with its glints filled in from the iris around them."""
    clean = plane.copy()
    cut = found.area.slices(subsampling)
    share, disc = found.mask, found.disc
    if subsampling == 2:
        share, disc = _halved(share), _halved(disc)
    patch = plane[cut].astype(np.float32)
    weights = disc * (1 - share)
    sigma = AROUND * min(patch.shape) / 2
    total, weight = (cv2.GaussianBlur(grid, (0, 0), sigma) for grid in (patch * weights, weights))
    mean = np.float32((patch * weights).sum() / max(float(weights.sum()), 1e-6))
    below = (total + 1e-3 * mean) / (weight + 1e-3)  # far from the visible iris, its mean
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


def _distance(grid: PixelGrid, outline: Outline) -> Grid:
    """Return each pixel's distance from the centre of the iris, in radii."""
    x, y = grid.x - np.float32(outline.iris[0]), grid.y - np.float32(outline.iris[1])
    return np.asarray(np.hypot(x, y) / np.float32(outline.radius), np.float32)


def _brightest(beside: NDArray[np.uint8]) -> np.uint8:
    """Return the brightness of the sclera; a brighter lamp that lies half on the iris counts as sclera."""
    return np.uint8(_percentile(beside, WHITE_PERCENTILE) if beside.size else 255)


def _percentile(values: NDArray[np.uint8], percentile: float) -> float:
    """Return the nearest value; NumPy's interpolation takes five times as long on so few."""
    at = round((values.size - 1) * percentile / 100)
    return float(np.partition(values, at, axis=None)[at])


def _reached(patch: NDArray[np.uint8], start: NDArray[np.bool_], radius: float) -> NDArray[np.uint8]:
    """Return for each pixel the greatest brightness that is connected with the sclera.

    This is sclera, or a lit rim where the iris was measured too large; a glint is isolated.
    Source: morphological reconstruction by dilation, Vincent 1993.
    """
    reached, square = np.where(start, patch, np.uint8(0)), np.ones((3, 3), np.uint8)
    for _ in range(round(REACHES * radius)):
        reached = np.minimum(cv2.dilate(reached, square), patch)
    return np.asarray(reached, np.uint8)


def _disc(distance: Grid, between: NDArray[np.bool_]) -> Grid:
    full, none = WITHIN
    return np.asarray(clamp((none - distance) / (none - full), 0, 1) * between, np.float32)


def _kernel(radius: float) -> NDArray[np.uint8]:
    size = 2 * round(WIDEST * radius / 2) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), np.uint8)


def _halved(grid: Grid) -> Grid:
    return np.asarray(cv2.resize(grid, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.float32)
