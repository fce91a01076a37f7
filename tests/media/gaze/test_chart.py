"""The picture of a part's gaze over time: read back pixel by pixel where that is exact."""

import numpy as np
import pytest

from media.gaze import chart
from media.gaze.reasons import Reason
from media.gaze.report import FrameResult

WIDTH = 1000
PLOT = np.s_[chart.TOP : chart.HEIGHT_PX - chart.BOTTOM, chart.LEFT : WIDTH - chart.RIGHT]


def result(index: int, off: float | None, applied: float = 0.0, **more: object) -> FrameResult:
    reason, after = more.get("reason"), more.get("after")
    assert reason is None or isinstance(reason, Reason)
    assert after is None or isinstance(after, float)
    after_deg = None if after is None else (after, 0.0)
    return FrameResult(
        index, index / 30, 0, None if off is None else (off, 0.0), (0.0, 0.0), applied, reason, after_deg
    )


def share_of(picture: chart.Picture, colour: chart.Colour) -> float:
    """Return the share of the columns in which a colour stands."""
    return float((picture[PLOT] == colour).all(axis=2).any(axis=0).mean())


def test_what_was_corrected_is_shaded() -> None:
    rows = [result(index, 8.0, 0.8 if 100 <= index < 150 else 0.1) for index in range(200)]
    assert pytest.approx(0.25, abs=0.01) == share_of(chart.draw(rows, WIDTH, 0.4), chart.CORRECTED)


def test_the_line_stands_at_its_angle() -> None:
    rows = [result(index, 10.0) for index in range(100)]
    picture = chart.draw(rows, WIDTH, 0.4)
    row = chart.HEIGHT_PX - chart.BOTTOM - round(10 / chart.LEAST_DEG * (chart.HEIGHT_PX - chart.TOP - chart.BOTTOM))
    assert chart.BEFORE == tuple(picture[row, WIDTH // 2])


def test_shut_and_unseen_eyes_leave_a_gap_in_the_line() -> None:
    rows = [result(index, 8.0) for index in range(40)]
    rows += [result(index, 30.0, reason=Reason.BLINK) for index in range(40, 60)]
    rows += [result(index, None, reason=Reason.NO_FACE) for index in range(60, 80)]
    rows += [result(index, 8.0) for index in range(80, 100)]
    assert pytest.approx(0.6, abs=0.03) == share_of(chart.draw(rows, WIDTH, 0.4), chart.BEFORE)


def test_a_dot_stands_where_it_was_measured_again() -> None:
    rows = [result(index, 12.0, 1.0, after=5.0 if index == 50 else None) for index in range(101)]
    picture = chart.draw(rows, WIDTH, 0.4)
    marked = np.argwhere((picture[PLOT] == chart.AFTER).all(axis=2)).mean(axis=0)
    height, width = picture[PLOT].shape[:2]
    assert pytest.approx((height * (1 - 5 / chart.LEAST_DEG), width / 2), abs=2) == tuple(marked)


@pytest.mark.parametrize("frames", [0, 1, 2, 40_000])
def test_parts_of_any_length_have_a_chart(frames: int) -> None:
    rows = [result(index, 50.0 * (index % 2)) for index in range(frames)]
    assert (chart.HEIGHT_PX, WIDTH, 3) == chart.draw(rows, WIDTH, 0.4).shape
