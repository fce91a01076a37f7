"""Faults that viewers see in a redrawn eye and that no angle shows: rings, torn pupils and lights, slivers.

Each is measured on the uncorrected and the corrected film side by side: the iris is found in the uncorrected one by its
rim and in the corrected one by likeness, so that an iris that went elsewhere whole has no fault. Lids come from
MediaPipe's points on the uncorrected film. An eye is brought to a width of EYE_PX; lengths are in those pixels unless
they say otherwise.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from media.frames import Planes
from media.gaze.estimate.measure import LOWER_LIDS, UPPER_LIDS
from media.gaze.face.faces import Face as Mesh
from media.gaze.face.landmarks import Landmarker
from scripts.benchmarks.gaze.faces import Numbers
from scripts.benchmarks.gaze.judges import centre, upright

Patch = NDArray[np.float32]
Box = tuple[int, int, int, int]  # left, top, right, bottom

EYE_PX, REACH = 96, (0.72, 0.5)
INSET = 0.03  # eye widths from the lids' lines within which lashes and shadows lie
IRIS_RADII = np.arange(0.15, 0.2451, 0.01)  # of an iris, in eye widths
SIDES = np.radians([*range(-35, 36, 10), *range(145, 216, 10)])  # directions in which lids seldom cover the limbus
SHOWN = 0.2  # share of the disc of an iris that lids must leave
# The iris of the corrected film is sought within so much of its old place, in eye widths: more than any correction.
SEARCH = (0.30, 0.20)
TEMPLATE = 1.2  # radii of the iris that are compared to find it again
# Rings: steps of brightness are taken from one of these radii of the iris to the next, in so many sectors; some of them
# must have shown a limbus before, a step of so many grey levels.
RADII, SECTORS, LEAST_SECTORS, LEAST_RISE, RIM_INSET = np.arange(0.6, 1.7, 0.08), 12, 2, 6.0, 0.02
# Lights: brighter than the iris by so much, within so much of its radius; the patch around them has this margin.
# Less than so many pixels are no light, or too few to compare.
LIGHT_LEVELS, LIGHT_WITHIN, LIGHT_MARGIN, LIGHT_INSET = 35.0, 0.75, 0.25, 0.07
LEAST_LIGHT, LEAST_PART = 9, 30
PUPIL = 0.55  # radii that are compared in an iris without a light
MISPLACED = 0.04  # eye widths that lights may lie beside their way
NOISE_LEVELS = 6.0  # variation that grain and encoding may have, so that a flat iris is not torn by them
# Slivers: brighter than anything that was there by so many grey levels, and narrower than so many eye widths, beside
# the corners: so far from the middle, and so far above and below it.
SLIVER_LEVELS, SLIVER_WIDTH, NEAR = 18.0, 0.09, 0.025
CORNER, BESIDE = (0.24, 0.58), 0.22
LIFTED, BROAD = 0.06, 0.15  # eye widths: lids may be opened so far; sclera that holds such a disc is no sliver


@dataclass(frozen=True)
class Appearance:
    """The faults of a film's eyes, (frames, 2) each, the picture's left eye first; NaN where nothing was measured."""

    ring: Numbers  # steepest rise of brightness across the limbus over what it was: a bright or hard ring is above 1
    wholeness: Numbers  # likeness of pupil and lights to what they were, 1 the same to 0 or less
    slivers: Numbers  # area of new bright spots at the corners, in thousandths of the squared eye width

    def save(self, path: Path) -> None:
        """Write the arrays."""
        np.savez(path, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, path: Path) -> "Appearance":
        """Read what `save` wrote."""
        with np.load(path) as arrays:
            return cls(**{field.name: arrays[field.name] for field in fields(cls)})


class Observer:
    """Measures the faults while films pass by.

    Args:
        frames: of each film.
        every: so many frames from one measured frame to the next.
    """

    def __init__(self, frames: int, every: int) -> None:
        self._every = every
        self.appearance = Appearance(*(np.full((frames, 2), np.nan) for _ in range(3)))

    def watch(self, films: Iterator[tuple[Planes, ...]]) -> Iterator[tuple[Planes, ...]]:
        """Yield the frames of three films unchanged: the source, "nothing" and the one in question."""
        with Landmarker() as finder:
            for at, (source, nothing, film) in enumerate(films):
                found = finder.find(nothing) if at % self._every == 0 else []
                for side in (0, 1) if found else ():
                    self._measure(at, side, EyePair.of(nothing.y, film.y, lids_of(found[0], side)))
                yield source, nothing, film

    def _measure(self, at: int, side: int, pair: "EyePair") -> None:
        self.appearance.slivers[at, side] = pair.slivers()
        iris = pair.iris()
        if iris is not None:
            self.appearance.ring[at, side] = pair.ring(iris)
            self.appearance.wholeness[at, side] = pair.wholeness(iris)


@dataclass(frozen=True)
class Iris:
    """An iris in the uncorrected eye, and where it is found in the corrected one."""

    x: float
    y: float
    radius: float
    moved: tuple[float, float]


@dataclass(frozen=True)
class EyePair:
    """One eye in both films, brought to EYE_PX, corners level."""

    before: Patch
    after: Patch
    x: Patch  # of each pixel from the middle between the corners
    y: Patch
    upper: Patch  # y of the lids of the uncorrected eye, for each column
    lower: Patch

    @classmethod
    def of(cls, nothing: NDArray[np.uint8], film: NDArray[np.uint8], lids: tuple[Numbers, Numbers]) -> "EyePair":
        """Cut an eye out of both films.

        Args:
            nothing: luma, (H, W).
            film: luma, (H, W).
            lids: the upper and the lower one from corner to corner, the picture's left first, (n, 2) each.
        """
        corners = lids[0][[0, -1]]
        before, after = (upright(luma, corners, EYE_PX, REACH).astype(np.float32) for luma in (nothing, film))
        rows, columns = np.indices(before.shape, dtype=np.float32)
        x, y = columns + 0.5 - before.shape[1] / 2, rows + 0.5 - before.shape[0] / 2
        along = (corners[1] - corners[0]) / EYE_PX
        across = np.array([-along[1], along[0]])
        away = [(lid - corners.mean(axis=0)) / float(along @ along) for lid in lids]
        upper, lower = (np.interp(x[0], lid @ along, lid @ across) for lid in away)
        shapes = (np.asarray(lid[None].repeat(len(x), axis=0), np.float32) for lid in (upper, lower))
        return cls(before, after, np.asarray(x, np.float32), np.asarray(y, np.float32), *shapes)

    def between_lids(self, inset: float) -> NDArray[np.bool_]:
        """Return the pixels between the lids of the uncorrected eye, so far inside of them."""
        inside = (self.y > self.upper + inset) & (self.y < self.lower - inset)
        return np.asarray(inside & (np.abs(self.x) < EYE_PX / 2), np.bool_)

    def iris(self) -> Iris | None:
        """Find the iris in both eyes; None where lids cover it."""
        grey = np.asarray(self.before, np.uint8)
        corners = (np.array(grey.shape[::-1]) + np.array([[-EYE_PX, 0], [EYE_PX, 0]])) / 2
        x, y = (EYE_PX * way for way in centre(grey, corners))
        radius = self._radius(x, y)
        seen = self._disc(x, y, radius) & self.between_lids(INSET * EYE_PX)
        if seen.sum() < SHOWN * np.pi * radius**2:
            return None
        template = self._disc(x, y, TEMPLATE * radius) & self.between_lids(INSET * EYE_PX)
        right, down = (round(share * EYE_PX) for share in SEARCH)
        return Iris(x, y, radius, self._compare(template, (-right, -down, right, down)).best_correlation())

    def _radius(self, x: float, y: float) -> float:
        """Return the radius with the steepest rise of brightness to both sides."""
        radii = IRIS_RADII * EYE_PX
        profile = [_sampled(self.before, x + r * np.cos(SIDES), y + r * np.sin(SIDES)).mean() for r in radii]
        steps = np.diff(profile)
        return float(radii[int(np.argmax(steps))] + radii[int(np.argmax(steps)) + 1]) / 2

    def _disc(self, x: float, y: float, radius: float) -> NDArray[np.bool_]:
        return np.asarray(np.hypot(self.x - x, self.y - y) <= radius, np.bool_)

    def _compare(self, mask: NDArray[np.bool_], reach: Box) -> "Comparison":
        """Compare the masked part of the uncorrected eye with the corrected one, moved within a box."""
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        left, top, right, bottom = reach
        margin = max(abs(side) for side in reach)
        wide = cv2.copyMakeBorder(self.after, *(margin,) * 4, cv2.BORDER_REPLICATE)
        around = wide[
            rows[0] + margin + top : rows[-1] + 1 + margin + bottom,
            columns[0] + margin + left : columns[-1] + 1 + margin + right,
        ]
        return Comparison.of(np.ascontiguousarray(around), self.before[part], mask[part], (left, top))

    def ring(self, iris: Iris) -> float:
        """Return how much steeper brightness rises across the limbus than it did; NaN where too little is seen."""
        angles = (np.arange(SECTORS * 8) + 0.5) * (2 * np.pi / (SECTORS * 8))
        x = iris.x + iris.radius * RADII[:, None] * np.cos(angles)
        y = iris.y + iris.radius * RADII[:, None] * np.sin(angles)
        seen = _sampled(np.asarray(self.between_lids(RIM_INSET * EYE_PX), np.float32), x, y) > 0.99
        films = _sampled(self.before, x, y), _sampled(self.after, x + iris.moved[0], y + iris.moved[1])
        before, after = (_steepest_rise(film, seen) for film in films)
        clear = before >= LEAST_RISE
        return float(np.median(after[clear] / before[clear])) if clear.sum() >= LEAST_SECTORS else np.nan

    def wholeness(self, iris: Iris) -> float:
        """Return how alike pupil and lights are to what they were, at the place that fits best."""
        within = self._disc(iris.x, iris.y, LIGHT_WITHIN * iris.radius) & self.between_lids(LIGHT_INSET * EYE_PX)
        if within.sum() < LEAST_PART:
            return np.nan
        level = float(np.median(self.before[within]))
        light = within & (self.before > level + LIGHT_LEVELS)
        if light.sum() >= LEAST_LIGHT:
            size = 2 * round(LIGHT_MARGIN * iris.radius) + 1
            ball = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
            part = (cv2.dilate(light.astype(np.uint8), ball) > 0) & within
        else:
            part = self._disc(iris.x, iris.y, PUPIL * iris.radius) & within
        if part.sum() < LEAST_PART:
            return np.nan
        # Lights stay behind the iris, as they do on a real eye: they are sought from where they were to where it is.
        right, down = (round(way) for way in iris.moved)
        more = round(MISPLACED * EYE_PX)
        reach = min(right, 0) - more, min(down, 0) - more, max(right, 0) + more, max(down, 0) + more
        return self._compare(part, reach).best_likeness()

    def slivers(self) -> float:
        """Return the area of new, narrow, bright spots beside the corners."""
        near, narrow = (
            cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * round(w * EYE_PX / 2) + 1,) * 2)
            for w in (2 * NEAR, SLIVER_WIDTH)
        )
        new = self.after - cv2.dilate(self.before, near)
        # A narrow tip of sclera at the corner may move, but a second one is new.
        stood, stands = (eye - cv2.morphologyEx(eye, cv2.MORPH_OPEN, narrow) for eye in (self.before, self.after))
        risen = stands - cv2.dilate(stood, narrow)
        aside = np.abs(self.x) / EYE_PX
        corner = (aside >= CORNER[0]) & (aside <= CORNER[1]) & (np.abs(self.y) <= BESIDE * EYE_PX)
        found = corner & (np.minimum(new, risen) > SLIVER_LEVELS) & self._apart_from_sclera()
        return 1000 * float(found.sum()) / EYE_PX**2

    def _apart_from_sclera(self) -> NDArray[np.bool_]:
        """Return the bright pixels between the corrected lids that no bright pixels join with the broad sclera."""
        within = self.between_lids(-LIFTED * EYE_PX)
        if not within.any():
            return within
        dark, white = np.percentile(self.before[within], (10, 90))
        bright = (within & (self.after > (dark + white) / 2)).astype(np.uint8)
        size = round(BROAD * EYE_PX)
        broad = cv2.morphologyEx(bright, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
        _, parts = cv2.connectedComponents(bright, connectivity=4)
        joined = np.isin(parts, np.unique(parts[broad > 0]))
        return np.asarray((bright > 0) & ~joined, np.bool_)


def lids_of(mesh: Mesh, side: int) -> tuple[Numbers, Numbers]:
    """Return an eye's lids as `EyePair.of` takes them."""
    upper, lower = (mesh.points[list(lids[side])].astype(np.float64) for lids in (UPPER_LIDS, LOWER_LIDS))
    return upper, lower


@dataclass(frozen=True)
class Comparison:
    """A masked part of one picture, compared with another picture at each place of a rectangle."""

    first: tuple[int, int]  # shift, x and y, at the first place
    together: Patch  # covariance with the part, times the number of pixels
    other: Patch  # variance of the other picture there, likewise
    own: float  # variance of the part, likewise
    count: float  # pixels

    @classmethod
    def of(cls, around: Patch, part: Patch, mask: NDArray[np.bool_], first: tuple[int, int]) -> "Comparison":
        """Compare at every place of the part within its surroundings."""
        weights = mask.astype(np.float32)
        own = (part - float(part[mask].mean())) * weights
        sums, squares = (cv2.matchTemplate(one, weights, cv2.TM_CCORR) for one in (around, around**2))
        together = np.asarray(cv2.matchTemplate(around, own, cv2.TM_CCORR), np.float32)
        count = float(weights.sum())
        other = np.asarray(np.maximum(squares - sums**2 / count, 1.0), np.float32)
        return cls(first, together, other, float((own**2).sum()), count)

    def best_correlation(self) -> tuple[float, float]:
        """Return the shift with the greatest correlation."""
        score = self.together / np.sqrt(self.other)
        y, x = np.unravel_index(int(np.argmax(score)), score.shape)
        return float(x + self.first[0]), float(y + self.first[1])

    def best_likeness(self) -> float:
        """Return 1 minus the least mean square difference, over the part's own variance and that of noise."""
        apart = self.own + self.other - 2 * self.together
        return 1 - float(apart.min()) / (self.own + self.count * NOISE_LEVELS**2)


def _steepest_rise(profiles: Patch, seen: NDArray[np.bool_]) -> Numbers:
    """Return each sector's greatest step from one radius to the next, outwards, of what is seen of it."""
    within = seen.reshape(len(RADII), SECTORS, -1)
    values = np.where(within, profiles.reshape(within.shape), 0).sum(axis=2) / np.maximum(within.sum(axis=2), 1)
    known = np.asarray(within.any(axis=2), np.bool_)
    steps = np.where(known[1:] & known[:-1], np.diff(values, axis=0), 0)
    return np.asarray(steps.max(axis=0), np.float64)


def _sampled(patch: Patch, x: Numbers | Patch, y: Numbers | Patch) -> Patch:
    """Sample a patch at places from its middle, at least (n,)."""
    height, width = patch.shape
    columns, rows = x + (width / 2 - 0.5), y + (height / 2 - 0.5)
    maps = [np.atleast_2d(np.asarray(value, np.float32)) for value in (columns, rows)]
    found = cv2.remap(patch, maps[0], maps[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found.reshape(np.shape(x)), np.float32)
