"""Gaze from the reflection of a ring light: a bright ring on the cornea shows where the camera is.

A ring light surrounds its camera. The reflection lies close to the centre of the cornea's curvature, the iris in front
of it: when the eye turns away from the lens, the ring stays and the iris leaves it. Ring and iris with the same centre
mean that the eye looks into the lens, whatever lids and landmarks say. Single lamps, windows and screens say less, as
they may be anywhere; they are ignored.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from media.gaze.estimate.geometry import Eye

_Grid = NDArray[np.float32]

SMALLEST_RADIUS_PX = 5.0  # of an iris; the reflection in a smaller one is a spot
RADIUS = 8  # of the iris in the patch in which rings are searched, in its pixels
HALF = 10  # the patch has 2 · HALF + 1 pixels a side
SEARCHED = 3  # pixels of the patch around the iris' centre in which the ring's centre may lie
RINGS = np.array([0.22, 0.30, 0.38, 0.46, 0.54])  # radii of the rings that are tried, over that of the iris
HALF_WIDTH, GAP, AROUND = 0.06, 0.16, 0.30  # of the ring, and of the dark beside it, over the radius of the iris
SECTORS = np.radians(np.arange(0, 360, 30))
# Grey levels by which a ring stands out from both its inside and its outside: the mean around, in the dimmest but one
# of twelve directions in the better eye, and in the other one, whose ring a lash may cross. Medians of a recording with
# a ring light: 31, 16, 10; the highest of fifteen recordings without: 31, 4, 2 (2026-11-30).
LEAST_CONTRAST, COMPLETE, OTHER_COMPLETE = 15.0, 6.0, -8.0
# Distance of the iris' plane from the centre of the cornea's curvature over the radius of the iris, 4.4 mm over 5.85 mm
# (Gullstrand's eye, see `media.gaze.draw.glints`).
DEPTH = 0.75
# Twice the noise of a ring's place, 0.04 of the iris' radius in eyes that rest in the lens.
NOISE_DEG = 6.0


@dataclass(frozen=True)
class _Ring:
    """The most ring-like reflection in an eye."""

    offset: tuple[float, float]  # from the iris' centre, x right and y down, over the iris' radius
    contrast: float  # grey levels, mean around
    completeness: float  # grey levels, in the dimmest sector but one


def gaze_deg(luma: NDArray[np.uint8], eyes: tuple[Eye, Eye]) -> tuple[float, float] | None:
    """Return yaw and pitch against the ring light around the lens; None where no ring is reflected in both eyes.

    Args:
        luma: (H, W), of the frame.
        eyes: in pixels of the frame.
    """
    rings = [_most_ring_like(luma, eye) for eye in eyes]
    found = [ring for ring in rings if ring is not None and ring.contrast >= LEAST_CONTRAST]
    if len(found) < len(eyes):
        return None
    less, more = sorted(ring.completeness for ring in found)
    if more < COMPLETE or less < OTHER_COMPLETE:
        return None
    right, down = np.mean([ring.offset for ring in found], axis=0)
    return _beyond_noise(_turn_deg(-right)), _beyond_noise(_turn_deg(down))


def _turn_deg(offset: float) -> float:
    return float(np.degrees(np.arcsin(np.clip(offset / DEPTH, -0.9, 0.9))))


def _beyond_noise(angle_deg: float) -> float:
    """Return the part of an angle that is more than the noise of its measurement."""
    return float(np.sign(angle_deg) * max(abs(angle_deg) - NOISE_DEG, 0.0))


def _most_ring_like(luma: NDArray[np.uint8], eye: Eye) -> _Ring | None:
    if eye.iris_radius < SMALLEST_RADIUS_PX:
        return None
    patch = _patch(luma, eye)
    scores = _scores(patch)
    size, row, column = (int(at) for at in np.unravel_index(int(np.argmax(scores)), scores.shape))
    score, x, y = scores[size], float(column), float(row)
    if 0 < row < score.shape[0] - 1 and 0 < column < score.shape[1] - 1:
        x, y = x + _peak(score[row, column - 1 : column + 2]), y + _peak(score[row - 1 : row + 2, column])
    x, y = x + HALF - SEARCHED, y + HALF - SEARCHED
    sectors = _sectors(patch, (x, y), float(RINGS[size]))
    offset = ((x - HALF) / RADIUS, (y - HALF) / RADIUS)
    return _Ring(offset, float(score[row, column]), float(np.sort(sectors)[1]))


def _patch(luma: NDArray[np.uint8], eye: Eye) -> _Grid:
    """Return the surroundings of an iris, scaled to RADIUS."""
    scale = eye.iris_radius / RADIUS
    start = eye.iris - 0.5 - scale * HALF  # a pixel's centre is at +0.5
    matrix = np.array([[scale, 0, start[0]], [0, scale, start[1]]])
    if scale > 1.5:  # an average over a pixel of the patch, or the ring's thin line would be missed
        luma, matrix = _shrunk(luma, eye, matrix)
    side = 2 * HALF + 1
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    found = cv2.warpAffine(luma, matrix, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, np.float32)


def _shrunk(
    luma: NDArray[np.uint8], eye: Eye, matrix: NDArray[np.float64]
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Return the surroundings of a large iris, blurred to the patch's resolution, and the matrix into them."""
    reach = round(eye.iris_radius / RADIUS * HALF) + 4
    left, top = (max(0, int(value) - reach) for value in eye.iris)
    near = luma[top : top + 2 * reach, left : left + 2 * reach]
    if near.size == 0:
        return luma, matrix
    blurred = cv2.GaussianBlur(near, (0, 0), 0.4 * eye.iris_radius / RADIUS)
    return np.asarray(blurred, np.uint8), matrix - np.array([[0, 0, left], [0, 0, top]])


def _annuli(inner: float, outer: float) -> _Grid:
    """Return, for each centre that is searched, the weights of the patch's pixels that average an annulus.

    Args:
        inner: radius over that of the iris.
        outer: likewise.
    """
    rows, columns = np.mgrid[-HALF : HALF + 1, -HALF : HALF + 1]
    centres = range(-SEARCHED, SEARCHED + 1)
    distance = np.array([np.hypot(rows - y, columns - x) for y in centres for x in centres]).reshape(
        len(centres) ** 2, -1
    )
    weights = np.clip(distance - inner * RADIUS + 0.5, 0, 1) * np.clip(outer * RADIUS - distance + 0.5, 0, 1)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


# For each size: the ring, its inside, its outside. One product with the patch gives all means, in a tenth of the time
# of fifteen filters.
_WEIGHTS = np.concatenate([
    weights
    for size in RINGS
    for weights in (
        _annuli(size - HALF_WIDTH, size + HALF_WIDTH),
        _annuli(-1, max(size - GAP, HALF_WIDTH)),
        _annuli(size + GAP, size + AROUND),
    )
])  # fmt: skip


def _scores(patch: _Grid) -> _Grid:
    """Return how far a ring stands out from the brighter of its sides, (sizes, rows, columns) of its centre."""
    side = 2 * SEARCHED + 1
    ring, inside, outside = (_WEIGHTS @ patch.ravel()).reshape(len(RINGS), 3, side, side).swapaxes(0, 1)
    return np.asarray(ring - np.maximum(inside, outside), np.float32)


def _sectors(patch: _Grid, centre: tuple[float, float], size: float) -> _Grid:
    """Return how far a ring stands out from what is beside it in each direction, (12,)."""
    radii = RADIUS * np.array([size, size - GAP, size + (GAP + AROUND) / 2])[:, None]
    columns = np.asarray(centre[0] + radii * np.cos(SECTORS), np.float32)
    rows = np.asarray(centre[1] + radii * np.sin(SECTORS), np.float32)
    ring, inside, outside = cv2.remap(patch, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(ring - np.maximum(inside, outside), np.float32)


def _peak(line: _Grid) -> float:
    """Return how far the maximum of a parabola through three values lies from the middle one."""
    low, mid, high = (float(value) for value in line)
    bend = low - 2 * mid + high
    return 0.5 * (low - high) / bend if bend < 0 else 0.0
