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
from media.gaze.draw.redraw import redraw
from media.gaze.errors import EngineFailed
from media.gaze.estimate.interpolation import between, halfway, rested, unchanged
from media.gaze.estimate.measure import Look, look
from media.gaze.estimate.smoothing import steady, steady_axes
from media.gaze.estimate.visibility import Sight
from media.gaze.face.faces import Face, FaceFollower
from media.gaze.face.model import Head
from media.gaze.policy import LOOK_AHEAD, Decision, Policy, decide
from media.gaze.reasons import Reason
from media.gaze.time_budget import Pace

# Bent sideways, eyes are seen to move by as much as they are moved (0.97 of it by two networks' common opinion). Up and
# down they see half to three quarters, for brows and skin follow only in part; but by eye, readers looked over the lens
# when their irises were lifted by 19 degrees and more (contact sheets, 2026-11-26).
YAW_GAIN, PITCH_GAIN = 1.0, 0.8
CHECK_EVERY = 30  # frames between two in which the main speaker's eyes are measured again; 0.2 ms a frame
PASSED_OVER = 2  # every so manyth frame is first passed over, and looked at once the next one shows that eyes moved
LONGEST_GAP = 3  # frames without a look that are filled in from both sides
USUAL_OPENING = 0.25  # of the eye's width, until the clip itself has told better


@dataclass(frozen=True, slots=True)
class Told:
    """What was done to one speaker in one frame, or why nobody was there, for the report."""

    index: int
    time_s: float
    face: int | None  # the same number for the same person; None when no eyes were measured
    off_deg: tuple[float, float] | None  # gaze minus the speaker's zero, None without a face
    head_deg: tuple[float, float] | None
    applied: float  # share of the way that was corrected, intensity included
    reason: Reason | None
    after_deg: tuple[float, float] | None = None  # gaze in the changed picture, where it was measured again


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
    looks: int = 0  # frames that were looked at, be it only at their irises


Looks = dict[int, Look]  # of one frame, by the face's number, the main speaker first


@dataclass
class _Person:
    is_main: bool  # of the first picture in which he was
    sight: Sight = field(default_factory=Sight)
    openings: deque[float] = field(default_factory=lambda: deque(maxlen=300))


@dataclass
class Corrector:
    """A FrameStage that turns the speaker's eyes to the lens.

    Args:
        finder: finds the speakers' faces; owned by the caller, closed early when time or memory are over.
        head: the average head that the finder's points belong to.
        intensity: 0 to 1, scales every correction; 0 passes frames through untouched.
        zero: gaze of the main speaker into this lens, as measured; for others the anatomy decides.
        usual_opening: of the main speaker's eyes, if known.
        told: called in the frames' order, once for each speaker in a frame, once for a frame without any.
        watch: shown the main speaker of every frame before and after.
        pace: says when time or memory are too short to look at every frame, or at any.
    """

    finder: FaceFollower
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
        self._looks: deque[Looks] = deque(maxlen=2 * LOOK_AHEAD + 1)
        self._faces: deque[dict[int, Face]] = deque(maxlen=PASSED_OVER + 1)  # of the newest frames, beside their looks
        self._unlooked = 0  # how many of the newest frames were not looked at
        self._people: dict[int, _Person] = {}
        self._failures: dict[int, Reason] = {}
        self._to_check: dict[int, Face] = {}

    def push(self, frame: Planes) -> list[Planes]:
        """Take one frame; return the one that is finished by it, if any."""
        if self.intensity <= 0:
            self.told(Told(frame.index, frame.time_s, None, None, None, 0.0, Reason.TURNED_OFF))
            return [frame]
        self._waiting.append(frame)
        self._measure(frame)
        if len(self._waiting) <= LOOK_AHEAD:
            return []
        return [self._finish(len(self._looks) - 1 - LOOK_AHEAD)]

    def drain(self) -> list[Planes]:
        """Finish what waits."""
        if self._unlooked == 1 and self.pace.stopped is None and self.finder.in_any_order:
            faces = self._find(self._waiting[-1])
            self._looks[-1], self._unlooked = self._look(self._waiting[-1], faces), 0
        for at in range(len(self._looks) - self._unlooked, len(self._looks)):
            self._looks[at] = self._looks[at - 1]  # nothing comes any more that would tell better
        self._unlooked = 0
        return [self._finish(len(self._looks) - len(self._waiting)) for _ in range(len(self._waiting))]

    def _measure(self, frame: Planes) -> None:
        every = self.pace.every(frame.index)
        in_sight = bool(self._looks and self._looks[-1])
        passed_over = PASSED_OVER if in_sight and self.finder.in_any_order else 1
        if every == 0:
            self.finder.close()  # gives its memory back
            self._failures[frame.index] = self.pace.stopped or Reason.TIME_SHORT
            self._take({}, {})
            self._unlooked = 0
        elif self._looks and frame.index % max(every, passed_over):
            if frame.index - 1 in self._failures:
                self._failures[frame.index] = self._failures[frame.index - 1]
            self._take({}, {})
            self._unlooked += 1
        else:
            began, looks = time.perf_counter(), self.timing.looks
            faces = self._find(frame)
            self._take(faces, self._look(frame, faces))
            if every == 1 and self._unlooked == 1:
                self._catch_up()
            self._bridge(len(self._looks) - 1)
            self._unlooked = 0
            seconds = time.perf_counter() - began
            self.timing.landmarks += seconds
            self.pace.looked(seconds, self.timing.looks - looks)

    def _take(self, faces: dict[int, Face], looks: Looks) -> None:
        self._faces.append(faces)
        self._looks.append(looks)

    def _catch_up(self) -> None:
        """Look at the frame that was passed over; where eyes rested meanwhile, its face is known from both sides.

        The networks are most of a look's time. The iris is found in each frame's own picture all the same.
        """
        frame, (before, _, after) = self._waiting[-2], list(self._looks)[-3:]
        pictures = [one.y for one in list(self._waiting)[-3:]]
        if after.keys() == before.keys() != set() and all(
            rested(before[who], look) and unchanged(pictures, look) for who, look in after.items()
        ):
            faces = {who: halfway(self._faces[0][who], self._faces[2][who]) for who in after}
        else:
            faces = self._find(frame)
        self._faces[1], self._looks[-2] = faces, self._look(frame, faces)
        self._bridge(len(self._looks) - 2)

    def _bridge(self, last: int) -> None:
        """Fill in frames in which a face was not looked at, or missed for a moment, before one in which it was."""
        for number, end in self._looks[last].items():
            before = range(last - 1, max(-1, last - 2 - LONGEST_GAP), -1)
            at = next((at for at in before if number in self._looks[at]), last)
            for step, missing in enumerate(range(at + 1, last), start=1):
                self._looks[missing][number] = between(self._looks[at][number], end, step / (last - at))

    def _find(self, frame: Planes) -> dict[int, Face]:
        try:
            return {face.track: face for face in self.finder.find(frame)}
        except EngineFailed:
            self._failures[frame.index] = Reason.DETECTOR_FAILED
            return {}

    def _look(self, frame: Planes, faces: dict[int, Face]) -> Looks:
        self.timing.looks += 1
        found: Looks = {}
        for rank, (number, face) in enumerate(faces.items()):
            person = self._people.setdefault(number, _Person(is_main=rank == 0))
            if hindrance := person.sight.hindrance(frame.y, face):
                self._failures[frame.index] = hindrance
            elif (one := look(face, self.head, frame.y)) is not None:
                if rank == 0 and frame.index % CHECK_EVERY == 0:
                    self._to_check[frame.index] = face
                person.openings.append(one.narrower)
                found[number] = one
        return found

    def _finish(self, at: int) -> Planes:
        frame, looks, began = self._waiting.popleft(), list(self._looks), time.perf_counter()
        reason, face = self._failures.pop(frame.index, None), self._to_check.pop(frame.index, None)
        if not looks[at]:
            self.told(Told(frame.index, frame.time_s, None, None, None, 0.0, reason or Reason.NO_FACE))
            return frame
        decisions = {number: self._decide(number, looks, at) for number in looks[at]}
        decided = time.perf_counter()
        self.timing.decision += decided - began
        self._draw(frame, decisions, looks, at)
        self.timing.redraw += time.perf_counter() - decided
        after_deg = None if face is None else self._measure_again(frame, face, decisions)
        for number, decision in decisions.items():
            self.told(
                Told(
                    frame.index,
                    frame.time_s,
                    number,
                    decision.off_deg,
                    looks[at][number].head_deg,
                    decision.strength * self.intensity,
                    decision.reason,
                    after_deg if face is not None and face.track == number else None,
                )
            )
        self.pace.drew(time.perf_counter() - began)
        return frame

    def _decide(self, number: int, looks: list[Looks], at: int) -> Decision:
        usual, zero = self._usual(self._people[number]), self._zero(number)
        own = [one.get(number) for one in looks]
        return decide(own, at, zero=zero, usual_opening=usual, policy=self.policy)

    def _draw(self, frame: Planes, decisions: dict[int, Decision], looks: list[Looks], at: int) -> None:
        main = next(iter(decisions))
        if self.watch is not None:
            self.watch.before(frame, looks[at][main], decisions[main])
        for number, decision in decisions.items():
            self._redraw(frame, [one.get(number) for one in looks], at, decision)
        if self.watch is not None:
            self.watch.after(frame, looks[at][main], decisions[main])

    def _measure_again(self, frame: Planes, face: Face, decisions: dict[int, Decision]) -> tuple[float, float] | None:
        """Measure eyes once more after they were moved: what was meant to happen is not what is seen."""
        if face.track not in decisions or decisions[face.track].strength <= 0 or self.pace.stopped is not None:
            return None
        began = time.perf_counter()
        try:
            found = self.finder.again(frame, face)
        except EngineFailed:
            found = None
        seen = None if found is None else look(found, self.head, frame.y)
        self.timing.landmarks += time.perf_counter() - began
        zero = self._zero(face.track)
        return None if seen is None else (seen.gaze_deg[0] - zero[0], seen.gaze_deg[1] - zero[1])

    def _zero(self, number: int) -> tuple[float, float]:
        return self.zero if self._people[number].is_main else (0.0, 0.0)

    def _usual(self, person: _Person) -> float:
        if self.usual_opening is not None and person.is_main:
            return self.usual_opening
        return float(np.percentile(person.openings, 65)) if person.openings else USUAL_OPENING

    def _redraw(self, frame: Planes, looks: list[Look | None], at: int, decision: Decision) -> None:
        own = looks[at]
        assert own is not None
        if decision.strength <= 0:
            return
        right, down = shift_px(decision.off_deg, own.radius_px, self.intensity * decision.strength)
        shift = (right * self.gain[0], down * self.gain[1])
        for axes, outline in zip(steady_axes(looks, at), steady(looks, at), strict=True):
            redraw(frame, axes, outline, shift)


def shift_px(off_deg: tuple[float, float], radius_px: float, share: float) -> tuple[float, float]:
    """Return the way of the iris, x right and y down, that takes a share of a gaze's offset back.

    Args:
        off_deg: yaw and pitch off the lens.
        radius_px: of the eyeball.
        share: 1 turns the eye wholly into the lens.
    """
    yaw, pitch = np.radians(off_deg)
    return (float(-share * radius_px * np.sin(yaw) * np.cos(pitch)), float(share * radius_px * np.sin(pitch)))
