"""Eyes that squint, frown or laugh are not measured as lowered ones."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.gaze.estimate.measure import SQUINT, Lids, estimate
from media.gaze.face.faces import Face
from media.gaze.face.landmarks import Landmarker
from media.gaze.face.model import Head
from media.sample.portrait import Portrait
from tests.media.gaze.synthetic import portrait_frame

USUAL = Lids(height=0.1, squint=-0.2)
heights, squints = st.floats(-0.2, 0.3), st.floats(-1.0, 1.3)


@pytest.mark.parametrize(
    ("more", "expected"), [(-0.5, 0.02), (SQUINT[0], 0.02), (sum(SQUINT) / 2, 0.06), (SQUINT[1], 0.1), (0.9, 0.1)]
)
def test_the_more_eyes_squint_the_less_their_lids_count(more: float, expected: float) -> None:
    assert pytest.approx(expected) == Lids(0.02, USUAL.squint + more).without_squint(USUAL).height


@given(heights, squints)
def test_lids_count_as_being_between_where_they_are_and_where_they_usually_are(height: float, squint: float) -> None:
    found = Lids(height, squint).without_squint(USUAL).height
    assert height <= found <= max(height, USUAL.height)


@given(heights, squints, squints)
def test_a_stronger_squint_never_lowers_the_lids(height: float, one: float, other: float) -> None:
    less, more = sorted((one, other))
    assert Lids(height, less).without_squint(USUAL).height <= Lids(height, more).without_squint(USUAL).height + 1e-12


NARROWED = {
    "a squint": {"eyeSquint": 0.5},
    "a laugh": {"eyeSquint": 0.2, "mouthSmile": 0.9},
    "a look down while laughing": {"eyeSquint": 0.2, "mouthSmile": 0.9, "eyeLookDown": 0.6},
    "a look down": {"eyeLookDown": 0.6},
}


@pytest.mark.parametrize("name", NARROWED)
def test_lids_of_eyes_that_do_not_look_down_are_no_look_down(
    portrait: Portrait, head: Head, finder: Landmarker, name: str
) -> None:
    """The picture is the same: only the network that reads expressions says what narrows the eyes."""
    opened, narrowed = portrait_frame(portrait, (0.0, 0.0)), portrait_frame(portrait, (0.0, 0.0), closed=0.4, index=1)
    first, second = finder.find(opened)[0], finder.find(narrowed)[0]
    usual = estimate(_with(first, {}), head, opened.y)
    face = _with(second, NARROWED[name])
    measured, known = estimate(face, head, narrowed.y), usual and estimate(face, head, narrowed.y, usual.lids)
    assert usual is not None
    assert measured is not None
    assert known is not None
    lowered = usual.gaze_deg[1] - measured.gaze_deg[1]
    assert lowered > 6.0, "lids that sink are a look down, as long as nothing else is known"
    still_lowered = usual.gaze_deg[1] - known.gaze_deg[1]
    assert still_lowered == pytest.approx(lowered) if "look down" in name else still_lowered < 0.6 * lowered


def _with(face: Face, shapes: dict[str, float]) -> Face:
    """Return a face of which only these expressions are seen."""
    seen = dict.fromkeys(face.blendshapes, 0.0)
    return replace(
        face, blendshapes=seen | {f"{name}{side}": v for name, v in shapes.items() for side in ("Left", "Right")}
    )
