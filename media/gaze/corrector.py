"""The frame stage that corrects the gaze: find, estimate, interpolate, decide, draw, emit.

Holds LOOK_AHEAD frames back so that each decision knows the frames after its own. Memory does not grow with the length
of the video.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Protocol

import numpy as np

from media.frames import Planes
from media.gaze.draw import bounds
from media.gaze.draw.redraw import redraw
from media.gaze.errors import EngineFailed
from media.gaze.estimate.interpolation import interpolate
from media.gaze.estimate.measure import GazeEstimate, Usual, as_usual, estimate
from media.gaze.estimate.smoothing import smooth_axes, smooth_outlines
from media.gaze.estimate.visibility import EyeVisibility
from media.gaze.face.faces import Face, FaceTracker
from media.gaze.face.model import Head
from media.gaze.following import EyeFollower
from media.gaze.policy import LOOK_AHEAD, WITHOUT_FACE, Decision, Policy, decide
from media.gaze.reasons import Reason
from media.gaze.report import FrameResult, Timing
from media.gaze.time_budget import TimeBudget
from media.gaze.window import FrameWindow, Slot

# Irises moved sideways by warping are seen to move by as much as they are moved (0.97 of it by two networks' common
# opinion). Up and down the gain makes up for the 0.8 of a degree that is measured. Of eyes of six people that were
# lifted by what they were measured off, the networks see 0.42 at a gain of 0.8 and 0.64 at 1.3, the iris' rim 0.76 and
# 1.16; of a rendered degree they see 0.61 and 0.93. With 1.2 a reader looks a little over the lens (contact sheet) and
# irises tremble more (0.94 against 0.86), with 1.0, 1.1 and 1.2 the networks see the same (2026-11-30).
YAW_GAIN, PITCH_GAIN = 1.0, 1.1
RECHECK_EVERY = 30  # frames from one remeasurement of the main speaker's drawn eyes to the next; 0.2 ms a frame
LONGEST_GAP = 3  # frames without an estimate that are interpolated
USUAL_OPENING = 0.25  # of the eye's width, until the clip itself gives a better figure
USUAL_PERCENTILE = 65  # of the openings seen so far: some people close their eyes for half of a talk
KEPT_FRAMES = 300  # of which openings and limbi are kept


class FrameObserver(Protocol):
    """Receives every frame that has a face, before and after its eyes are drawn."""

    def before(self, frame: Planes, estimate: GazeEstimate, decision: Decision) -> None:
        """Receive a frame before drawing; the arrays must be neither kept nor changed."""
        ...

    def after(self, frame: Planes, estimate: GazeEstimate, decision: Decision) -> None:
        """Receive the same frame after drawing."""
        ...


@dataclass
class _Track:
    """The state of one person's face across frames."""

    is_main: bool  # the main speaker of the first frame in which the face was found
    visibility: EyeVisibility = field(default_factory=EyeVisibility)
    openings: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT_FRAMES))
    limbus_steps: tuple[deque[float], deque[float]] = field(  # of the picture's left and right eye
        default_factory=lambda: (deque(maxlen=KEPT_FRAMES), deque(maxlen=KEPT_FRAMES))
    )
    latest: Decision | None = None  # in the latest frame that shows the face


@dataclass
class Corrector:
    """A FrameStage that turns the speakers' eyes to the lens.

    Args:
        finder: finds and tracks the speakers' faces. The caller owns it; it is closed early when the time budget ends.
        head: the average head that the finder's points belong to.
        intensity: 0 to 1, scales every correction; 0 passes frames through untouched.
        zero: measured gaze of the main speaker when looking into the lens, yaw and pitch in degrees; (0, 0) for others.
        usual_opening: of the main speaker's eyes, as a share of their width; None when unknown.
        usual: for the main speaker; None when unknown.
        policy: thresholds of the decision.
        gain: movement of the iris for a degree of gaze against the eyeball's geometry, sideways and vertical.
        on_result: called in the order of the frames, once for each face in a frame, once for a frame without any.
        observer: receives the main speaker of every frame before and after drawing.
        budget: how many frames may be measured in the time and memory that are left.
    """

    finder: FaceTracker
    head: Head
    intensity: float = 0.8
    zero: tuple[float, float] = (0.0, 0.0)
    usual_opening: float | None = None
    usual: Usual | None = None
    policy: Policy = field(default_factory=Policy)
    gain: tuple[float, float] = (YAW_GAIN, PITCH_GAIN)
    on_result: Callable[[FrameResult], None] = lambda _: None
    observer: FrameObserver | None = None
    budget: TimeBudget = field(default_factory=TimeBudget)
    timing: Timing = field(default_factory=Timing)

    def __post_init__(self) -> None:
        self._window = FrameWindow(LOOK_AHEAD)
        self._follower = EyeFollower()
        self._tracks: dict[int, _Track] = {}

    def push(self, frame: Planes) -> list[Planes]:
        """Take one frame; return the frame that is finished by it, if any."""
        if self.intensity <= 0:
            self.on_result(FrameResult.without_face(frame, Reason.TURNED_OFF))
            return [frame]
        self._measure(frame)
        return [self._finish()] if self._window.held > LOOK_AHEAD else []

    def drain(self) -> list[Planes]:
        """Finish the frames that are held back."""
        self._repeat_last_estimates(len(self._window.newest_skipped()))
        return [self._finish() for _ in range(self._window.held)]

    def _repeat_last_estimates(self, count: int) -> None:
        for at in range(len(self._window) - count, len(self._window)):
            self._window[at].estimates = self._window[at - 1].estimates  # no later frame to interpolate from

    def _measure(self, frame: Planes) -> None:
        """Add a frame to the window, and measure or skip it as the time budget allows."""
        interval = self.budget.interval(frame.index)
        previous = self._window[-1] if len(self._window) else None
        slot = Slot(frame)
        self._window.append(slot)
        if interval == 0:
            self.finder.close()  # frees its memory
            slot.failure = self.budget.stopped or Reason.TIME_SHORT
        elif previous is not None and frame.index % interval:
            slot.skipped, slot.failure = True, previous.failure
        else:
            began = time.thread_time()
            if not (self.finder.in_any_order and self._follow(slot)):
                self._find(slot)
                self._estimate(slot)
                self._follower.restart(slot)
            self._interpolate(len(self._window) - 1)
            spent_s = time.thread_time() - began
            self.timing.measured_frames += 1
            self.timing.landmarks += spent_s
            self.budget.record_measuring(spent_s)

    def _follow(self, slot: Slot) -> bool:
        """Estimate the eyes from those of an earlier frame, if they look the same; return whether they do."""
        faces = self._follower.follow(slot.picture)
        if not faces or any(self._obstruction(slot, face) for face in faces.values()):
            return False
        slot.faces = faces
        self._follower.add(slot)
        for rank, (number, found) in enumerate(slot.estimates.items()):
            self._note(slot, rank, number, found)
        return True

    def _find(self, slot: Slot) -> None:
        try:
            slot.faces = {face.track: face for face in self.finder.find(slot.picture)}
        except EngineFailed:
            slot.failure = Reason.DETECTOR_FAILED

    def _estimate(self, slot: Slot) -> None:
        for rank, (number, face) in enumerate(slot.faces.items()):
            self._tracks.setdefault(number, _Track(is_main=rank == 0))
            if obstruction := self._obstruction(slot, face):
                slot.failure = obstruction
            elif (found := self._estimated(face, slot.picture)) is not None:
                slot.estimates[number] = found
                self._note(slot, rank, number, found)

    def _estimated(self, face: Face, picture: Planes) -> GazeEstimate | None:
        found = estimate(face, self.head, picture.y)
        if found is None:
            return None
        if self.usual is None or not self._tracks[face.track].is_main:
            return replace(found, crossed_deg=0.0)
        return as_usual(found, self.usual, self.zero[1])

    def _obstruction(self, slot: Slot, face: Face) -> Reason | None:
        return self._tracks[face.track].visibility.obstruction(slot.picture.y, face)

    def _note(self, slot: Slot, rank: int, number: int, found: GazeEstimate) -> None:
        if rank == 0 and slot.picture.index % RECHECK_EVERY == 0:
            slot.recheck = slot.faces[number]
        track = self._tracks[number]
        track.openings.append(found.narrower)
        for kept, eye in zip(track.limbus_steps, found.eyes, strict=True):
            if eye.limbus_step is not None:
                kept.append(eye.limbus_step)

    def _interpolate(self, last: int) -> None:
        """Fill in frames that were skipped, or in which a face was missed briefly, before a frame that shows it."""
        window = self._window
        for number, end in window[last].estimates.items():
            before = range(last - 1, max(-1, last - 2 - LONGEST_GAP), -1)
            first = next((at for at in before if number in window[at].estimates), last)
            for step, missing in enumerate(range(first + 1, last), start=1):
                start = window[first].estimates[number]
                window[missing].estimates[number] = interpolate(start, end, step / (last - first))

    def _finish(self) -> Planes:
        """Decide on the next frame, draw its eyes and emit it."""
        at, began = self._window.next_out, time.thread_time()
        slot = self._window[at]
        if not slot.estimates:
            self.on_result(FrameResult.without_face(slot.picture, slot.failure or Reason.NO_FACE))
            return self._window.release()
        tracks = {number: self._window.estimates_of(number) for number in slot.estimates}
        decisions = {number: self._decide(number, estimates, at) for number, estimates in tracks.items()}
        decided = time.thread_time()
        self.timing.decision += decided - began
        self._draw(slot, decisions, tracks, at)
        self.timing.redraw += time.thread_time() - decided
        frame = self._emit(slot, decisions)
        self.budget.record_drawing(time.thread_time() - began)
        return frame

    def _decide(self, number: int, estimates: list[GazeEstimate | None], at: int) -> Decision:
        track = self._tracks[number]
        usual, zero = self._usual_opening_of(track), self._zero_of(number)
        before = track.latest if at == 0 or estimates[at - 1] is not None else WITHOUT_FACE
        left, right = (median(steps) if steps else 0.0 for steps in track.limbus_steps)
        track.latest = decide(
            estimates,
            at,
            zero=zero,
            usual_opening=usual,
            usual_steps=(left, right),
            policy=self.policy,
            before=before,
        )
        return track.latest

    def _zero_of(self, number: int) -> tuple[float, float]:
        return self.zero if self._tracks[number].is_main else (0.0, 0.0)

    def _usual_opening_of(self, track: _Track) -> float:
        if self.usual_opening is not None and track.is_main:
            return self.usual_opening
        return float(np.percentile(track.openings, USUAL_PERCENTILE)) if track.openings else USUAL_OPENING

    def _draw(
        self, slot: Slot, decisions: dict[int, Decision], tracks: dict[int, list[GazeEstimate | None]], at: int
    ) -> None:
        frame, main = slot.picture, next(iter(decisions))
        if self.observer is not None:
            self.observer.before(frame, slot.estimates[main], decisions[main])
        for number, decision in decisions.items():
            if decision.strength > 0:
                self._draw_eyes(frame, tracks[number], at, decision)
        if self.observer is not None:
            self.observer.after(frame, slot.estimates[main], decisions[main])

    def _draw_eyes(self, frame: Planes, estimates: list[GazeEstimate | None], at: int, decision: Decision) -> None:
        own = estimates[at]
        assert own is not None
        right, down = iris_shift_px(decision.off_deg, own.radius_px, self.intensity)
        right, down = right * self.gain[0], down * self.gain[1]
        both = zip(smooth_axes(estimates, at), smooth_outlines(estimates, at), decision.shares, strict=True)
        eyes = [(axes, outline, shares) for axes, outline, shares in both if shares[0] > 0]  # others are hidden
        share = bounds.share_for_all(
            [(axes, outline) for axes, outline, _ in eyes], (right * decision.strength, down * decision.strength)
        )
        for axes, outline, (sideways, vertical) in eyes:
            shift_px = share * right * sideways, share * down * vertical
            redraw(frame, axes, outline, shift_px, uncover=share * self.intensity * decision.uncover)

    def _emit(self, slot: Slot, decisions: dict[int, Decision]) -> Planes:
        """Report what was done in a frame and let it go."""
        after_deg = self._remeasure(slot, decisions)
        for number, decision in decisions.items():
            self.on_result(
                FrameResult(
                    slot.picture.index,
                    slot.picture.time_s,
                    number,
                    decision.off_deg,
                    slot.estimates[number].head_deg,
                    decision.strength * self.intensity,
                    decision.reason,
                    after_deg if slot.recheck is not None and slot.recheck.track == number else None,
                )
            )
        return self._window.release()

    def _remeasure(self, slot: Slot, decisions: dict[int, Decision]) -> tuple[float, float] | None:
        """Measure the drawn eyes: the gaze that is seen is not always the gaze that was intended."""
        face = slot.recheck
        if face is None or face.track not in decisions:
            return None
        if decisions[face.track].strength <= 0 or self.budget.stopped is not None:
            return None
        began = time.thread_time()
        try:
            found = self.finder.redetect(slot.picture, face)
        except EngineFailed:
            found = None
        seen = None if found is None else self._estimated(found, slot.picture)
        self.timing.landmarks += time.thread_time() - began
        zero = self._zero_of(face.track)
        return None if seen is None else (seen.gaze_deg[0] - zero[0], seen.gaze_deg[1] - zero[1])


def iris_shift_px(off_deg: tuple[float, float], radius_px: float, share: float) -> tuple[float, float]:
    """Return the iris movement, x right and y down, that undoes a share of a gaze's offset.

    Args:
        off_deg: yaw and pitch off the lens, in degrees.
        radius_px: of the eyeball.
        share: 1 turns the eye wholly into the lens.
    """
    yaw, pitch = np.radians(off_deg)
    return (float(-share * radius_px * np.sin(yaw) * np.cos(pitch)), float(share * radius_px * np.sin(pitch)))
