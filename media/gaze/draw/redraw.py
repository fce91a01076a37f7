"""Draw a moved eye into a picture: three planes, only inside the eye's box, only what moves.

Where the movement is zero a pixel comes from its own place and stays what it was, bit for bit.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from media.frames import Planes
from media.gaze.draw import glints, spectacles, warp
from media.gaze.draw.glints import Lights
from media.gaze.draw.layers import Ball, borrowed
from media.gaze.draw.warp import Eyeball
from media.gaze.estimate.geometry import Axes, Box, Grid, Outline

DARKER = (0.40, 0.75)  # of the other side's white: no white at all … white in some shade
# A borrowed white gets this power of the sides' ratio of brightness, for what a side shows beside white is darker.
SHADE, DARKEST = 0.5, 0.72
Grids = NDArray[np.float32]  # (planes, h, w)
_Value = TypeVar("_Value", np.uint8, np.float32)
BRIGHTER_RIM = np.float32(6.0)  # grey levels that the iris' soft rim may be brighter than the white beside it
GREY = 128  # of the colour planes
SMALLEST_SHIFT_PX = 0.05  # below, eight bits show nothing


def redraw(frame: Planes, axes: Axes, outline: Outline, shift_px: tuple[float, float]) -> Box | None:
    """Move one eye in place.

    Args:
        frame: changed inside the eye's box.
        axes: where the eye lies in the frame.
        outline: its shape.
        shift_px: way of the iris, x right, y down.

    Returns:
        The box that was touched, or None when nothing was done.
    """
    if np.hypot(*shift_px) < SMALLEST_SHIFT_PX:
        return None
    area = warp.box(axes, (frame.y.shape[0], frame.y.shape[1]))
    if area is None:
        return None
    luma = frame.y[area.slices()]
    field = warp.field(axes, outline, area, shift_px, spectacles.find(luma, axes, area))
    shade = None
    if field.ball is not None and field.ball.layers is not None:
        layers, shade = _borrowing(luma, field.ball, field.ball.layers)
        field = replace(field, ball=replace(field.ball, layers=layers))
    lamps = glints.find(luma, axes, outline, area)
    _draw([luma], field, lamps, 1, shade)
    shade = None if shade is None else _area(shade)
    _draw([plane[area.slices(2)] for plane in (frame.u, frame.v)], _halve(field), lamps, 2, shade)
    return area


def _borrowing(luma: NDArray[np.uint8], ball: Eyeball, layers: Ball) -> tuple[Ball, Grid]:
    """Paint no white from a side that shows none: an eye turned far aside has iris or lid up to the corner.

    Returns:
        The layers, and what is left of the white's light where it was borrowed: a side in the shade stays so.
    """
    white = ball.open * (1 - layers.iris_share) * (1 - layers.corner)
    left = _mean(_sampled(luma, layers.left), white * (1 - layers.right_share))
    right = _mean(_sampled(luma, layers.right), white * layers.right_share)
    own = (layers.trust[0] * _trust(left / right), layers.trust[1] * _trust(right / left))
    more = borrowed(layers, *own)
    darker = min(left, right) / max(left, right)
    shade = 1 - np.abs(more) * np.float32(1 - max(DARKEST, darker**SHADE))
    return replace(layers, right_share=layers.right_share + more), np.asarray(shade, np.float32)


def _mean(values: NDArray[np.uint8], weights: Grid) -> float:
    # A grey of 1 stands in for a side that has no pixel at all.
    return float((values * weights).sum() + 1) / float(weights.sum() + 1)


def _trust(ratio: float) -> float:
    none, whole = DARKER
    return float(np.clip((ratio - none) / (whole - none), 0, 1))


def _draw(
    patches: list[NDArray[np.uint8]],
    field: warp.Field,
    lamps: Lights | None,
    subsampling: int,
    shade: Grid | None,
) -> None:
    """Draw planes of one size, each (h, w), in place."""
    skins = [_sampled(patch, field.skin) for patch in patches]
    if field.ball is not None:
        cut = field.ball.inner.slices(subsampling)
        drawn = np.array([skin[cut] for skin in skins], np.float32)
        drawn += field.ball.open * (_eyeball(patches, field.ball, lamps, subsampling, shade) - drawn)
        for skin, ball in zip(skins, np.clip(np.rint(drawn), 0, 255), strict=True):
            skin[cut] = ball
    for patch, skin in zip(patches, skins, strict=True):
        patch[...] = skin


def _eyeball(
    patches: list[NDArray[np.uint8]], ball: Eyeball, lamps: Lights | None, subsampling: int, shade: Grid | None
) -> Grids:
    without_lights = patches if lamps is None else [glints.lifted(patch, lamps, subsampling) for patch in patches]
    drawn = _sample(without_lights, ball.bent)
    if ball.layers is not None:
        drawn += np.float32(ball.anew) * (_layered(patches, without_lights, ball.layers, subsampling, shade) - drawn)
    if lamps is not None:
        lit = [patch - clean.astype(np.float32) for patch, clean in zip(patches, without_lights, strict=True)]
        drawn += ball.mirrors * _sample(lit, ball.light)
    return drawn


def _layered(
    patches: list[NDArray[np.uint8]],
    without_lights: list[NDArray[np.uint8]],
    ball: Ball,
    subsampling: int,
    shade: Grid | None,
) -> Grids:
    white = _mix(_sample(patches, ball.left), _sample(patches, ball.right), ball.right_share)
    iris = _mix(_sample(without_lights, ball.iris), _sample(without_lights, ball.filled), ball.filled_share)
    if shade is not None:  # less light, and as much less colour
        white += (1 - shade) * (np.float32(0 if subsampling == 1 else GREY) - white)
    if subsampling == 1:
        # A lit rim of white that clings to the iris, or lies in it where the iris was measured too large, would be a
        # bright arc where the new white is darker. Lamps are lifted off already: no iris is brighter than its white.
        iris = np.minimum(iris, white + BRIGHTER_RIM)
    return _mix(white, iris, ball.iris_share)


def _mix(low: Grids, high: Grids, share: Grid) -> Grids:
    return np.asarray(low + share * (high - low), np.float32)


def _sample(patches: Sequence[NDArray[_Value]], maps: tuple[Grid, Grid]) -> Grids:
    return np.array([_sampled(patch, maps) for patch in patches], np.float32)


def _sampled(patch: NDArray[_Value], maps: tuple[Grid, Grid]) -> NDArray[_Value]:
    """Fetch colours between pixels: cubic, as linear sampling alone would cost 40 % of the iris' sharpness."""
    found = cv2.remap(patch, maps[0], maps[1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, patch.dtype)


def _halve(field: warp.Field) -> warp.Field:
    """Bring the maps to the chroma planes' size."""
    ball = field.ball
    if ball is None:
        return warp.Field(_place(field.skin), None)
    layers = ball.layers and _halve_layers(ball.layers)
    mirrored = _place(ball.light), _area(ball.mirrors)
    halved = Eyeball(ball.inner, _area(ball.open), _place(ball.bent), *mirrored, layers, ball.anew)
    return warp.Field(_place(field.skin), halved)


def _halve_layers(ball: Ball) -> Ball:
    return Ball(
        left=_place(ball.left),
        right=_place(ball.right),
        right_share=_area(ball.right_share),
        trust=ball.trust,
        corner=_area(ball.corner),
        iris=_place(ball.iris),
        filled=_place(ball.filled),
        filled_share=_area(ball.filled_share),
        iris_share=_area(ball.iris_share),
    )


def _place(maps: tuple[Grid, Grid]) -> tuple[Grid, Grid]:
    """A chroma pixel's centre lies half a luma pixel further: (c + 0.5) · 2 − 0.5."""
    x, y = (_area(grid) * np.float32(0.5) - np.float32(0.25) for grid in maps)
    return x, y


def _area(grid: Grid) -> Grid:
    """Average each two by two."""
    size = (grid.shape[1] // 2, grid.shape[0] // 2)
    return np.asarray(cv2.resize(grid, size, interpolation=cv2.INTER_AREA), np.float32)
