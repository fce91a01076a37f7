"""The curve of a part's gaze: few points, and nothing that was not measured."""

import json
from fractions import Fraction

from media.gaze.curve import MAX_POINTS, MAX_SPANS, of_rows
from media.gaze.reasons import Reason
from media.gaze.report import FrameResult


def row(index: int, off: float | None, applied: float, reason: Reason | None = None, after: float | None = None,
        ) -> FrameResult:  # fmt: skip
    before, later = (None if angle is None else (0.0, angle) for angle in (off, after))
    return FrameResult(index, index / 30, 0, before, None, applied, reason, later)


def test_a_point_has_the_medians_of_its_frames() -> None:
    rows = [row(0, 10, 0.8), row(1, 12, 0.8, after=2), row(2, 14, 0.8),
            row(3, 40, 0.0, Reason.BLINK), row(4, 8, 0.0, Reason.BLINK), row(5, 20, 0.0, Reason.LOOKS_FAR_AWAY),
            row(6, None, 0.0, Reason.NO_FACE)]  # fmt: skip
    found = of_rows(rows, Fraction(30), 0.4)
    assert found == {
        "per_s": 10.0,
        "angle_before_deg": [12.0, 20.0, None],
        "angle_after_deg": [2.0, None, None],
        "strength": [0.8, 0.0, 0.0],
        "reasons": [
            {"start_s": 0.1, "end_s": 0.167, "code": "blink"},
            {"start_s": 0.167, "end_s": 0.2, "code": Reason.LOOKS_FAR_AWAY.value},
            {"start_s": 0.2, "end_s": 0.233, "code": "no_face"},
        ],
    }


def test_a_frame_that_fades_is_left_alone_for_its_reason_only() -> None:
    rows = [row(0, 10, 0.2), row(1, 10, 0.2, Reason.TURNED_OFF), row(2, 10, 0.5, Reason.TURNED_OFF)]
    assert [span["end_s"] for span in of_rows(rows, Fraction(30), 0.4)["reasons"]] == [0.067]


def test_the_longest_part_of_the_fastest_rate_is_a_small_file() -> None:
    rows = [row(index, 10, 0.0, Reason.BLINK if index % 2 else Reason.NO_FACE, 1.0) for index in range(3600)]
    found = of_rows(rows, Fraction(60), 0.4)
    assert len(found["strength"]) == MAX_POINTS
    assert len(found["reasons"]) == MAX_SPANS
    assert len(json.dumps(found)) < 30_000


def test_ntsc_rates_have_their_own_step() -> None:
    rows = [row(index, 10, 0.8) for index in range(1798)]
    found = of_rows(rows, Fraction(30_000, 1001), 0.4)
    assert (len(found["strength"]), found["per_s"]) == (600, 9.99001)
    assert of_rows([], Fraction(30), 0.4)["strength"] == []
