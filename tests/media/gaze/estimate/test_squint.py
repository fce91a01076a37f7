"""Eyes that squint, frown or laugh are not measured as lowered ones."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.gaze.estimate.measure import SQUINT, estimate, without_squint
from media.gaze.face.faces import Face
from media.gaze.face.landmarks import Landmarker
from media.gaze.face.model import Head
from media.sample.portrait import Portrait
from tests.media.gaze.synthetic import an_estimate, portrait_frame

USUAL = -0.2
LENS_DEG = -2.0
pitches, squints = st.floats(-40, 20), st.floats(-1.0, 1.6)


def pitch_of(pitch: float, squint: float) -> float:
    return without_squint(replace(an_estimate((5.0, pitch)), squint=squint), USUAL, LENS_DEG).gaze_deg[1]


@pytest.mark.parametrize(
    ("more", "expected"), [(-0.5, -12), (SQUINT[0], -12), (sum(SQUINT) / 2, -7), (SQUINT[1], -2), (0.9, -2)]
)
def test_the_more_eyes_squint_the_less_they_are_lowered(more: float, expected: float) -> None:
    assert pytest.approx(expected) == pitch_of(-12.0, USUAL + more)


@given(pitches, squints)
def test_a_squint_never_lowers_eyes_and_raises_them_to_the_lens_at_most(pitch: float, squint: float) -> None:
    assert pitch <= pitch_of(pitch, squint) <= max(pitch, LENS_DEG)


@given(pitches, squints, squints)
def test_a_stronger_squint_lowers_eyes_less(pitch: float, one: float, other: float) -> None:
    less, more = sorted((one, other))
    assert pitch_of(pitch, less) <= pitch_of(pitch, more) + 1e-9


NARROWED = {
    "a squint": {"eyeSquint": 0.5},
    "a laugh": {"eyeSquint": 0.2, "mouthSmile": 0.9},
    "a look down while laughing": {"eyeSquint": 0.2, "mouthSmile": 0.9, "eyeLookDown": 0.7},
    "a look down": {"eyeLookDown": 0.6},
}


@pytest.mark.parametrize("name", NARROWED)
def test_expressions_tell_what_narrows_the_eyes(portrait: Portrait, head: Head, finder: Landmarker, name: str) -> None:
    """The picture is the same: only the network that reads expressions says whether the eyes look down."""
    opened, narrowed = portrait_frame(portrait, (0.0, 0.0)), portrait_frame(portrait, (0.0, 0.0), closed=0.4, index=1)
    first, second = finder.find(opened)[0], finder.find(narrowed)[0]
    usual = estimate(_with(first, {}), head, opened.y)
    found = estimate(_with(second, NARROWED[name]), head, narrowed.y)
    assert usual is not None
    assert found is not None
    lens = usual.gaze_deg[1]
    assert found.gaze_deg[1] < lens - 6.0, "narrowed eyes are measured as lowered"
    expected = found.gaze_deg[1] if "look down" in name else lens
    assert pytest.approx(expected) == without_squint(found, usual.squint, lens).gaze_deg[1]


def _with(face: Face, shapes: dict[str, float]) -> Face:
    """Return a face of which only these expressions are seen."""
    seen = {f"{name}{side}": value for name, value in shapes.items() for side in ("Left", "Right")}
    return replace(face, blendshapes=dict.fromkeys(face.blendshapes, 0.0) | seen)
