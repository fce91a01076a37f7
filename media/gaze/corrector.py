"""The stage that a render is given: frames in, the same frames out with the eyes turned to the lens.

Holds back a few frames to look ahead; memory does not grow with the length of the video.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from media.frames import Planes
from media.gaze.decide import LOOK_AHEAD, Decision, Policy, Reason, decide
from media.gaze.errors import EngineFailed
from media.gaze.faces import Face, FaceFinder
from media.gaze.measure import Look, look
from media.gaze.model import Head
from media.gaze.pace import Pace
from media.gaze.redraw import redraw
from media.gaze.steady import steady, steady_axes

# A geometrically exact movement is seen as less than itself, for lids and sclera follow only in part. Sideways 1.2
# brings the eyes of the sample clip and of recordings into the lens by measurement and by eye; up and down the lids
# carry most of it, and from 1.1 on readers look over the lens (seen on contact sheets, 2026-11-22).
YAW_GAIN, PITCH_GAIN = 1.2, 1.03
USUAL_OPENING = 0.25  # of the eye's width, until the clip itself has told better


@dataclass(frozen=True, slots=True)
class Told:
    """What was done in one frame, for the report."""

    index: int
    time_s: float
    off_deg: tuple[float, float] | None  # gaze minus the speaker's zero, None without a face
    head_deg: tuple[float, float] | None
    applied: float  # share of the way that was corrected, intensity included
    reason: Reason | None


class Watch(Protocol):
    """Whoever wants to see frames with a face before and after."""

    def before(self, frame: Planes, look: Look, decision: Decision) -> None:
        """See a frame as it came; not to be kept or changed."""
        ...

    def after(self, frame: Planes, look: Look, decision: Decision) -> None:
        """See the same frame with its eyes moved."""
        ...


@dataclass
class Timing:
    """Seconds spent, by step."""

    landmarks: float = 0.0
    decision: float = 0.0
    redraw: float = 0.0


@dataclass
class Corrector:
    """A FrameStage that turns the speaker's eyes to the lens.

    Args:
        finder: finds faces; owned by the caller.
        head: the average head that the finder's points belong to.
        intensity: 0 to 1, scales every correction; 0 passes frames through untouched.
        zero: gaze of this speaker into this lens, as measured.
        usual_opening: of this speaker's eyes, if known.
        told: called once a frame, in order.
        watch: shown every frame with a face before and after.
        pace: says when time is too short to look at every frame, or at any.
    """

    finder: FaceFinder
    head: Head
    intensity: float = 0.8
    zero: tuple[float, float] = (0.0, 0.0)
    usual_opening: float | None = None
    policy: Policy = field(default_factory=Policy)
    gain: tuple[float, float] = (YAW_GAIN, PITCH_GAIN)  # sideways, up and down
    told: Callable[[Told], None] = lambda _: None
    watch: Watch | None = None
    pace: Pace = field(default_factory=Pace)
    timing: Timing = field(default_factory=Timing)

    def __post_init__(self) -> None:
        self._waiting: deque[Planes] = deque()
        self._looks: deque[Look | None] = deque(maxlen=2 * LOOK_AHEAD + 1)
        self._failures: dict[int, Reason] = {}
        self._openings: deque[float] = deque(maxlen=300)

    def push(self, frame: Planes) -> list[Planes]:
        """Take one frame; return the one that is finished by it, if any."""
        if self.intensity <= 0:
            self.told(Told(frame.index, frame.time_s, None, None, 0.0, Reason.TURNED_OFF))
            return [frame]
        self._waiting.append(frame)
        self._looks.append(self._measure(frame))
        if len(self._waiting) <= LOOK_AHEAD:
            return []
        return [self._finish(len(self._looks) - 1 - LOOK_AHEAD)]

    def drain(self) -> list[Planes]:
        """Finish what waits."""
        return [self._finish(len(self._looks) - len(self._waiting)) for _ in range(len(self._waiting))]

    def _measure(self, frame: Planes) -> Look | None:
        every = self.pace.every(frame.index)
        if every == 0:
            self._failures[frame.index] = Reason.TIME_SHORT
            return None
        if frame.index % every and self._looks:
            return self._looks[-1]  # between the frames that are looked at the eyes are taken to rest
        began = time.perf_counter()
        found = self._look(frame)
        self.timing.landmarks += time.perf_counter() - began
        if found is not None:
            self._openings.append(found.narrower)
        return found

    def _look(self, frame: Planes) -> Look | None:
        try:
            faces = self.finder.find(frame)
        except EngineFailed:
            self._failures[frame.index] = Reason.DETECTOR_FAILED
            return None
        return look(_speaker(faces), self.head, frame.y) if faces else None

    def _finish(self, at: int) -> Planes:
        frame = self._waiting.popleft()
        began = time.perf_counter()
        looks = list(self._looks)
        own = looks[at]
        decision = decide(looks, at, zero=self.zero, usual_opening=self._usual(), policy=self.policy)
        now = time.perf_counter()
        self.timing.decision += now - began
        if own is not None:
            self._redraw(frame, looks, at, decision)
        self.timing.redraw += time.perf_counter() - now
        self._tell(frame, own, decision)
        return frame

    def _usual(self) -> float:
        if self.usual_opening is not None:
            return self.usual_opening
        return float(np.percentile(self._openings, 65)) if self._openings else USUAL_OPENING

    def _redraw(self, frame: Planes, looks: list[Look | None], at: int, decision: Decision) -> None:
        own = looks[at]
        assert own is not None
        if self.watch is not None:
            self.watch.before(frame, own, decision)
        right, down = shift_px(decision.off_deg, own.radius_px, self.intensity * decision.strength)
        shift = (right * self.gain[0], down * self.gain[1])
        if decision.strength > 0:
            for axes, outline in zip(steady_axes(looks, at), steady(looks, at), strict=True):
                redraw(frame, axes, outline, shift)
        if self.watch is not None:
            self.watch.after(frame, own, decision)

    def _tell(self, frame: Planes, own: Look | None, decision: Decision) -> None:
        reason = self._failures.pop(frame.index, decision.reason)
        off, head = (None, None) if own is None else (decision.off_deg, own.head_deg)
        self.told(Told(frame.index, frame.time_s, off, head, decision.strength * self.intensity, reason))


def shift_px(off_deg: tuple[float, float], radius_px: float, share: float) -> tuple[float, float]:
    """Return the way of the iris, x right and y down, that takes a share of a gaze's offset back.

    Args:
        off_deg: yaw and pitch off the lens.
        radius_px: of the eyeball.
        share: 1 turns the eye wholly into the lens.
    """
    yaw, pitch = np.radians(off_deg)
    return (float(-share * radius_px * np.sin(yaw) * np.cos(pitch)), float(share * radius_px * np.sin(pitch)))


def _speaker(faces: list[Face]) -> Face:
    """Choose the largest face."""
    return max(faces, key=lambda face: float(np.prod(np.ptp(face.points, axis=0))))
