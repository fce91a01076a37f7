"""Something passes over the eyes: a hand, a sleeve, a sheet of paper. Nothing is drawn onto it."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from media.frames import Planes
from media.gaze.corrector import Corrector
from media.gaze.covered import CLEAR_STEP, FLAT_STEP, covered
from media.gaze.estimate.measure import GazeEstimate
from media.gaze.face.landmarks import Landmarker
from media.gaze.face.model import Head
from media.gaze.report import FrameResult
from media.sample.portrait import EYES, Portrait
from tests.media.gaze.synthetic import an_estimate, copied, corrected, portrait_frame, shares, to_frame_px

ASIDE = (11.0, -3.0)
FIRST, LAST = 14, 38  # frames in which the object moves from one side of the face to the other
FRAMES = 50
OBJECTS = {"hand": (135, 112, 150), "sleeve": (32, 128, 128), "paper": (205, 126, 130)}  # y, u, v
CLEAR = (50.0, 50.0)


def with_object(frame: Planes, colour: tuple[int, int, int]) -> tuple[Planes, NDArray[np.bool_]]:
    """Paint an object over the face, and return which pixels show it."""
    middle = to_frame_px(*np.mean([EYES[0].upper[0], EYES[1].upper[-1]], axis=0))
    width = to_frame_px(*EYES[1].upper[-1])[0] - to_frame_px(*EYES[0].upper[0])[0]
    centre = middle[0] + (3.2 * (frame.index - FIRST) / (LAST - FIRST) - 1.6) * width
    shown = np.zeros(frame.y.shape, np.uint8)
    if FIRST <= frame.index <= LAST:
        axes = round(0.45 * width), round(0.9 * width)
        cv2.ellipse(shown, (round(centre), round(middle[1])), axes, 15, 0, 360, 1, -1)
    for plane, level in zip((frame.y, frame.u, frame.v), colour, strict=True):
        size = plane.shape[1], plane.shape[0]
        plane[cv2.resize(shown, size, interpolation=cv2.INTER_NEAREST) > 0] = level
    return frame, shown > 0


@pytest.mark.parametrize("name", OBJECTS)
def test_nothing_is_drawn_onto_what_passes_over_the_eyes(
    portrait: Portrait, head: Head, finder: Landmarker, name: str
) -> None:
    """The landmark network puts open eyes onto it, whose irises were drawn anew there."""
    painted = [with_object(portrait_frame(portrait, ASIDE, index=index), OBJECTS[name]) for index in range(FRAMES)]
    results: list[FrameResult] = []
    stage = Corrector(finder, head, intensity=1.0, usual_opening=0.26, on_result=results.append)
    out = corrected(stage, [copied(frame) for frame, _ in painted])
    changed = [
        int((np.abs(after.y.astype(int) - before.y)[shown] > 16).sum())
        for after, (before, shown) in zip(out, painted, strict=True)
    ]
    assert max(changed) <= 12, "pixels of the object"
    beside = shares(results)[: FIRST + 3] + shares(results)[LAST - 2 :]
    assert min(beside) > 0.9, "the eyes are corrected before it and after it"


def film(*steps: float | None, side: int = 0) -> list[GazeEstimate | None]:
    """Return estimates of a face whose limbus on one side has these steps."""
    made: list[GazeEstimate | None] = []
    for step in steps:
        one = an_estimate((0.0, 0.0))
        eyes = [replace(eye, limbus_step=CLEAR[0]) for eye in one.eyes]
        eyes[side] = replace(eyes[side], limbus_step=step)
        made.append(replace(one, eyes=(eyes[0], eyes[1])))
    return made


FLAT = FLAT_STEP / 2
SEEN = CLEAR_STEP


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([SEEN, SEEN, FLAT, FLAT, FLAT, SEEN, SEEN], [0, 1, 1, 1, 1, 1, 0]),
        ([SEEN, FLAT, FLAT, SEEN, FLAT, SEEN, FLAT], [0, 0, 0, 0, 0, 0, 0]),  # single frames are errors of measurement
        ([SEEN, FLAT, None, FLAT, SEEN, SEEN, SEEN], [1, 1, 1, 1, 1, 0, 0]),  # lids that were found on the object
        ([SEEN, None, None, None, None, SEEN, SEEN], [0, 0, 0, 0, 0, 0, 0]),  # a blink
        ([None, None, None, None, None, None, None], [0, 0, 0, 0, 0, 0, 0]),
        ([SEEN, FLAT, FLAT, None, None, SEEN, SEEN], [0, 0, 0, 0, 0, 0, 0]),
        ([SEEN, SEEN, FLAT, FLAT, FLAT, FLAT, None], [0, 1, 1, 1, 1, 1, 1]),  # and on beyond the window
    ],
)
@pytest.mark.parametrize("side", [0, 1])
def test_an_eye_is_covered_while_its_limbus_is_flat(steps: list[float | None], expected: list[int], side: int) -> None:
    found = covered(film(*steps, side=side), CLEAR)
    assert expected == found[:, side].astype(int).tolist()
    assert not found[:, 1 - side].any()


@pytest.mark.parametrize("usual", [0.0, CLEAR_STEP - 1])
def test_soft_and_dark_eyes_are_never_taken_for_covered(usual: float) -> None:
    assert not covered(film(*[FLAT] * 9), (usual, usual)).any()


def test_a_frame_without_a_face_is_not_covered_by_itself() -> None:
    estimates = [*film(SEEN, SEEN), None, *film(SEEN, SEEN)]
    assert not covered(estimates, CLEAR).any()
