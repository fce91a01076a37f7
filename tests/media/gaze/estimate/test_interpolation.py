"""Estimates between two others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.gaze.estimate.interpolation import interpolate
from media.gaze.estimate.measure import GazeEstimate
from tests.media.gaze.synthetic import an_estimate


@given(st.floats(0, 1))
def test_everything_is_as_far_on_its_way(share: float) -> None:
    start, end = an_estimate((4.0, -2.0), opening=0.3), an_estimate((8.0, 6.0), opening=0.2, width=62.0)
    found = interpolate(start, end, share)
    assert pytest.approx((4 + 4 * share, -2 + 8 * share)) == found.gaze_deg
    assert pytest.approx(60 + 2 * share) == found.eye_px
    for eye, one, other in zip(found.eyes, start.eyes, end.eyes, strict=True):
        assert np.allclose(one.upper + share * (other.upper - one.upper), eye.upper)


def test_outlines_and_openings_agree_with_the_lids_between() -> None:
    found = interpolate(an_estimate(opening=0.3), an_estimate(opening=0.26), 0.5)
    anew = GazeEstimate.of(found.eyes, found.gaze_deg, found.head_deg, found.radius_px)
    assert pytest.approx(anew.opening, abs=1e-3) == found.opening
    assert pytest.approx(anew.outlines[0].upper, abs=1e-3) == found.outlines[0].upper
    assert pytest.approx(anew.outlines[1].iris, abs=1e-3) == found.outlines[1].iris
