"""Eyes that turn towards each other are measured as crossed, whatever is usual for the speaker."""

from dataclasses import replace

import numpy as np
import pytest

from media.gaze.estimate.interpolation import interpolate
from media.gaze.estimate.measure import IRISES, GazeEstimate, Usual, as_usual, estimate
from media.gaze.face.faces import Face
from media.gaze.face.landmarks import Landmarker
from media.gaze.face.model import Head
from media.sample.portrait import Portrait
from tests.media.gaze.synthetic import an_estimate, portrait_frame


def measured(face: Face, head: Head, towards: float) -> GazeEstimate:
    """Measure a face whose irises lie so many eye widths further towards the nose, in a picture without a limbus."""
    points = face.points.copy()
    width = float(np.linalg.norm(points[33] - points[133]))
    for side, way in ((0, towards), (1, -towards)):
        points[list(IRISES[side]), 0] += way * width
    found = estimate(replace(face, points=points), head, np.full((720, 960), 128, np.uint8))
    assert found is not None
    return found


@pytest.mark.parametrize("towards", [-0.1, 0.05, 0.1])
def test_irises_nearer_to_the_nose_are_crossed(
    portrait: Portrait, head: Head, finder: Landmarker, towards: float
) -> None:
    (face,) = finder.find(portrait_frame(portrait, (0.0, 0.0)))
    straight, crossed = measured(face, head, 0.0), measured(face, head, towards)
    more = crossed.crossed_deg - straight.crossed_deg
    assert 0.7 < more / (towards * 290) < 1.4, "both irises move, and a tenth of an eye's width is 14 degrees"
    assert crossed.gaze_deg[0] == pytest.approx(straight.gaze_deg[0], abs=2.0)


def test_of_a_speaker_who_is_known_only_what_is_more_than_usual_counts() -> None:
    found = as_usual(replace(an_estimate(), crossed_deg=40.0), Usual(squint=0.0, crossed_deg=32.0), 0.0)
    assert found.crossed_deg == 8.0


def test_between_two_measured_frames_it_passes_on_evenly() -> None:
    one, other = replace(an_estimate(), crossed_deg=0.0), replace(an_estimate(), crossed_deg=20.0)
    assert interpolate(one, other, 0.25).crossed_deg == pytest.approx(5.0)
