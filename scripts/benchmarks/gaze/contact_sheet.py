"""Contact sheets: eyes enlarged before and after, every tenth frame and where the correction fades.

Both films side by side, too.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from media.frames import Planes
from scripts.benchmarks.gaze.clips import Clip, Run, keep, side_by_side
from scripts.benchmarks.gaze.faces import Face, Numbers, bgr

EVERY = 10
ENLARGED, STRIP_PX = 4, (620, 190)  # an eye strip's most enlargement, and its size
COLUMNS, ROWS = 2, 4  # of pairs on a sheet
STEEP, MOST_FADES = 0.2, 32  # change of the applied share from frame to frame; pairs shown
FILM_HEIGHT = 720

Picture = NDArray[np.uint8]


def write(clip: Clip, nothing: Run, ours: Run, faces: list[Face | None], into: Path) -> list[Path]:
    """Write a clip's sheets (CLIP-N.png; CLIP-fades-N.png shows where the correction comes and goes) and its film.

    Returns:
        The sheets; CLIP.mp4, before and after side by side, lies beside them.
    """
    into.mkdir(parents=True, exist_ok=True)
    for old in into.glob(f"{clip.name}-*.png"):
        old.unlink()
    fading = fades(ours.report)
    regular, fleeting = list[Picture](), list[Picture]()
    for at, (before, after) in enumerate(side_by_side(nothing.frames(), ours.frames())):
        face = faces[at]
        if face is not None and at % EVERY == 0:
            regular.append(_pair(at, bgr(before), bgr(after), face))
        if face is not None and at in fading:
            fleeting.append(_pair(at, bgr(before), bgr(after), face))
    keep(_halves(side_by_side(nothing.frames(), ours.frames())), clip, into / f"{clip.name}.mp4")
    return _sheets(regular, into / clip.name) + _sheets(fleeting[:MOST_FADES], into / f"{clip.name}-fades")


def fades(report: dict[str, Any]) -> set[int]:  # Any: the corrector's own JSON
    """Return the frames between which the applied share changes much, and their neighbours, counted from 0."""
    if "columns" not in report:
        return set()
    index, applied = (report["columns"].index(name) for name in ("index", "applied"))
    share = {row[index]: row[applied] for row in report["frames"]}
    order = sorted(share)
    steep = [at for at in range(1, len(order)) if abs(share[order[at]] - share[order[at - 1]]) > STEEP]
    return {near for at in steep for near in (at - 2, at - 1, at, at + 1)}


def _sheets(pairs: list[Picture], stem: Path) -> list[Path]:
    size = COLUMNS * ROWS
    starts = enumerate(range(0, len(pairs), size), start=1)
    return [
        _sheet(pairs[first : first + size], stem.with_name(f"{stem.name}-{number}.png")) for number, first in starts
    ]


def _pair(at: int, before: Picture, after: Picture, face: Face) -> Picture:
    both = np.vstack([_strip(picture, face) for picture in (before, after)])
    cv2.putText(both, f"{at}", (6, 22), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (0, 255, 255), 2)
    return np.asarray(cv2.copyMakeBorder(both, 3, 3, 3, 3, cv2.BORDER_CONSTANT, value=(255, 255, 255)), np.uint8)


def _strip(picture: Picture, face: Face) -> Picture:
    """Cut both eyes out, level and enlarged."""
    outer: Numbers = np.stack([face.corners[0][0], face.corners[1][1]])
    along = outer[1] - outer[0]
    reach = float(np.hypot(*along)) * 1.25
    step = along / np.hypot(*along) * max(reach / STRIP_PX[0], 1 / ENLARGED)
    across = np.array([-step[1], step[0]])
    origin = outer.mean(axis=0) - step * (STRIP_PX[0] - 1) / 2 - across * (STRIP_PX[1] * 0.55)
    back = np.array([[step[0], across[0], origin[0]], [step[1], across[1], origin[1]]])
    return np.asarray(cv2.warpAffine(picture, back, STRIP_PX, flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP), np.uint8)


def _sheet(pairs: list[Picture], path: Path) -> Path:
    blank = np.zeros_like(pairs[0])
    full = pairs + [blank] * (-len(pairs) % COLUMNS)
    rows = [np.hstack(full[first : first + COLUMNS]) for first in range(0, len(full), COLUMNS)]
    cv2.imwrite(str(path), np.vstack(rows))
    return path


def _halves(films: Iterator[tuple[Planes, ...]]) -> Iterator[Planes]:
    for before, after in films:
        height = min(FILM_HEIGHT, before.y.shape[0]) // 4 * 4
        width = before.y.shape[1] * height // before.y.shape[0] // 4 * 4
        planes = [
            np.hstack([cv2.resize(one, (width // part, height // part), interpolation=cv2.INTER_AREA) for one in pair])
            for pair, part in (((before.y, after.y), 1), ((before.u, after.u), 2), ((before.v, after.v), 2))
        ]
        y, u, v = (np.ascontiguousarray(plane, np.uint8) for plane in planes)
        yield Planes(y, u, v, before.index, before.time_s)
