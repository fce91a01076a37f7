"""Drawing of a moved eye into the three planes of a frame, only within the eye's box.

Where the movement is zero a pixel is its own source and stays the same, bit for bit.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from media.frames import Planes
from media.gaze.draw import glints, grain, iris_edge, lower_lid, spectacles, thin_lines, warp
from media.gaze.draw.glints import Glints
from media.gaze.draw.layers import EyeballLayers, borrowed
from media.gaze.draw.warp import EyeballMaps
from media.gaze.estimate.geometry import Axes, Box, Grid, Outline, clamp

DARKER = (0.40, 0.75)  # brightness over the other side's: certainly no sclera … sclera in some shade
# Borrowed sclera is darkened by this power of the sides' ratio of brightness, as a side shows darker things, too.
SHADE, DARKEST = 0.5, 0.72
Grids = NDArray[np.float32]  # (planes, h, w)
_Value = TypeVar("_Value", np.uint8, np.float32)
BRIGHTER_RIM = np.float32(6.0)  # grey levels by which the soft edge of the iris may exceed the sclera beside it
GREY = 128  # neutral value of the chroma planes
SMALLEST_SHIFT_PX = 0.05  # smaller movements are invisible in 8 bits


def redraw(
    frame: Planes, axes: Axes, outline: Outline, shift_px: tuple[float, float], uncover: float = 0.0
) -> Box | None:
    """Move one eye in place.

    Args:
        frame: changed within the eye's box.
        axes: of the eye in the frame.
        outline: shape of the eye.
        shift_px: movement of the iris, x right, y down.
        uncover: 0 to 1, how far an upper lid is lifted off an iris that it covers more than in eyes in the lens.

    Returns:
        The box that was changed; None for a movement too small to see and for an eye at the frame's edge.
    """
    if np.hypot(*shift_px) < SMALLEST_SHIFT_PX:
        return None
    area = warp.eye_box(axes, (frame.y.shape[0], frame.y.shape[1]))
    if area is None:
        return None
    luma = frame.y[area.slices()]
    outline = lower_lid.fit(luma, axes, outline, area, lifted=shift_px[1] < 0)
    rim, edge = spectacles.find(luma, axes, area), iris_edge.measure(luma, axes, outline, area)
    found = glints.find(luma, axes, outline, area)
    maps = warp.eye_maps(axes, outline, area, shift_px, warp.Features(rim, edge, found), uncover)
    shade = None
    if maps.eyeball is not None and maps.eyeball.layers is not None:
        layers, shade = _borrow_sclera(luma, maps.eyeball, maps.eyeball.layers)
        maps = replace(maps, eyeball=replace(maps.eyeball, layers=layers))
    _draw([luma], maps, found, 1, shade)
    shade = None if shade is None else _halve_mask(shade)
    _draw([plane[area.slices(2)] for plane in (frame.u, frame.v)], _halve(maps), found, 2, shade)
    return area


def _borrow_sclera(luma: NDArray[np.uint8], eyeball: EyeballMaps, layers: EyeballLayers) -> tuple[EyeballLayers, Grid]:
    """Borrow the sclera of a side that shows none: in an eye turned far aside, iris or lid reach up to the corner.

    Returns:
        The layers, and a factor for the brightness of the sclera: a side in the shade stays dark where it borrows.
    """
    sclera = eyeball.mask * (1 - layers.iris_share) * (1 - layers.corner)
    left = _mean(_sampled(luma, layers.left_sclera), sclera * (1 - layers.right_share))
    right = _mean(_sampled(luma, layers.right_sclera), sclera * layers.right_share)
    own = (layers.trust[0] * _trust(left / right), layers.trust[1] * _trust(right / left))
    more = borrowed(layers, *own)
    darker = min(left, right) / max(left, right)
    shade = 1 - np.abs(more) * np.float32(1 - max(DARKEST, darker**SHADE))
    return replace(layers, right_share=layers.right_share + more), np.asarray(shade, np.float32)


def _mean(values: NDArray[np.uint8], weights: Grid) -> float:
    # The 1 avoids a division by zero for a side without pixels.
    return float((values * weights).sum() + 1) / float(weights.sum() + 1)


def _trust(ratio: float) -> float:
    none, whole = DARKER
    return min(max((ratio - none) / (whole - none), 0.0), 1.0)


def _draw(
    patches: list[NDArray[np.uint8]],
    maps: warp.EyeMaps,
    found: Glints | None,
    subsampling: int,
    shade: Grid | None,
) -> None:
    """Draw planes of one size, each (h, w), in place."""
    skins = _sampled_planes(patches, maps.skin)
    if maps.eyeball is not None:
        cut = maps.eyeball.area.slices(subsampling)
        drawn = np.array([skin[cut] for skin in skins], np.float32)
        clean = patches if found is None else [glints.without_glints(patch, found, subsampling) for patch in patches]
        drawn += maps.eyeball.mask * (_eyeball(patches, clean, maps.eyeball, subsampling, shade) - drawn)
        if subsampling == 1:
            mask, (rows, columns) = maps.eyeball.mask, cut
            drawn[0] = thin_lines.remove(drawn[0], clean[0][cut], mask, maps.moved_px, maps.eye_px)
            drawn[0] = grain.restore(drawn[0], clean[0][cut], patches[0][rows.stop :, columns], mask)
        if found is not None:
            light = [patch - without.astype(np.float32) for patch, without in zip(patches, clean, strict=True)]
            drawn += maps.eyeball.mask * maps.eyeball.cornea * _sample(light, maps.eyeball.glints)
        for skin, eyeball in zip(skins, clamp(np.rint(drawn), 0, 255), strict=True):
            skin[cut] = eyeball
    for patch, skin in zip(patches, skins, strict=True):
        patch[...] = skin


def _eyeball(
    patches: list[NDArray[np.uint8]],
    without_glints: list[NDArray[np.uint8]],
    eyeball: EyeballMaps,
    subsampling: int,
    shade: Grid | None,
) -> Grids:
    """Draw the eyeball without its glints."""
    drawn = _sample(without_glints, eyeball.warped)
    if eyeball.layers is not None:
        drawn += np.float32(eyeball.layers_share) * (
            _layered(patches, without_glints, eyeball.layers, subsampling, shade) - drawn
        )
    return drawn


def _layered(
    patches: list[NDArray[np.uint8]],
    without_glints: list[NDArray[np.uint8]],
    layers: EyeballLayers,
    subsampling: int,
    shade: Grid | None,
) -> Grids:
    sclera = _mix(_sample(patches, layers.left_sclera), _sample(patches, layers.right_sclera), layers.right_share)
    filled = _mix(
        _sample(without_glints, layers.filled), _sample(without_glints, layers.filled_over), layers.over_share
    )
    iris = _mix(_sample(without_glints, layers.iris), filled, layers.filled_share)
    if shade is not None:  # darker, and less saturated by the same factor
        sclera += (1 - shade) * (np.float32(0 if subsampling == 1 else GREY) - sclera)
    if subsampling == 1:
        # A lit rim of sclera beside the iris, or in it where the iris was measured too large, would be a bright arc
        # where the new sclera is darker. Glints are removed already: no rim is brighter than its sclera.
        iris -= layers.rim * np.maximum(iris - sclera - BRIGHTER_RIM, 0)
    return _mix(sclera, iris, layers.iris_share)


def _mix(low: Grids, high: Grids, share: Grid) -> Grids:
    return np.asarray(low + share * (high - low), np.float32)


def _sample(patches: Sequence[NDArray[_Value]], maps: tuple[Grid, Grid]) -> Grids:
    return np.array(_sampled_planes(patches, maps), np.float32)


def _sampled_planes(patches: Sequence[NDArray[_Value]], maps: tuple[Grid, Grid]) -> Sequence[NDArray[_Value]]:
    """Remap planes of one size together, which takes little longer than one of them."""
    if len(patches) == 1:
        return [_sampled(patches[0], maps)]
    dtype = patches[0].dtype
    found = _sampled(np.asarray(cv2.merge(patches), dtype), maps)
    return [np.asarray(plane, dtype) for plane in cv2.split(found)]


def _sampled(patch: NDArray[_Value], maps: tuple[Grid, Grid]) -> NDArray[_Value]:
    """Remap a patch with cubic interpolation; linear would lose 40 % of the sharpness of the iris."""
    found = cv2.remap(patch, maps[0], maps[1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, patch.dtype)


def _halve(maps: warp.EyeMaps) -> warp.EyeMaps:
    """Scale the maps to the size of the chroma planes."""
    eyeball = maps.eyeball
    if eyeball is None:
        return warp.EyeMaps(_halve_map(maps.skin), None, maps.moved_px, maps.eye_px)
    layers = eyeball.layers and _halve_layers(eyeball.layers)
    reflected = _halve_map(eyeball.glints), _halve_mask(eyeball.cornea)
    warped, mask = _halve_map(eyeball.warped), _halve_mask(eyeball.mask)
    halved = EyeballMaps(eyeball.area, mask, warped, *reflected, layers, eyeball.layers_share)
    return warp.EyeMaps(_halve_map(maps.skin), halved, maps.moved_px, maps.eye_px)


def _halve_layers(layers: EyeballLayers) -> EyeballLayers:
    return EyeballLayers(
        left_sclera=_halve_map(layers.left_sclera),
        right_sclera=_halve_map(layers.right_sclera),
        right_share=_halve_mask(layers.right_share),
        trust=layers.trust,
        corner=layers.corner,  # is not drawn
        iris=_halve_map(layers.iris),
        filled=_halve_map(layers.filled),
        filled_over=_halve_map(layers.filled_over),
        over_share=_halve_mask(layers.over_share),
        filled_share=_halve_mask(layers.filled_share),
        iris_share=_halve_mask(layers.iris_share),
        rim=_halve_mask(layers.rim),
    )


def _halve_map(maps: tuple[Grid, Grid]) -> tuple[Grid, Grid]:
    """Scale a pair of maps; a chroma pixel's centre lies half a luma pixel further: (c + 0.5) · 2 − 0.5."""
    x, y = (_halve_mask(grid) * np.float32(0.5) - np.float32(0.25) for grid in maps)
    return x, y


def _halve_mask(grid: Grid) -> Grid:
    """Average each 2 × 2 pixels."""
    size = (grid.shape[1] // 2, grid.shape[0] // 2)
    return np.asarray(cv2.resize(grid, size, interpolation=cv2.INTER_AREA), np.float32)
