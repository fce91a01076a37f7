"""The text of a report about rows of given numbers."""

import pytest

from media.gaze.reasons import Reason
from media.gaze.report import COLUMNS, FrameResult, Report, Timing


def row(index: int, face: int | None, off: float | None, applied: float, **more: object) -> FrameResult:
    reason, after = more.get("reason"), more.get("after")
    assert reason is None or isinstance(reason, Reason)
    assert after is None or isinstance(after, float)
    off_deg, after_deg = (None if angle is None else (0.0, angle) for angle in (off, after))
    return FrameResult(index, index / 30, face, off_deg, None, applied, reason, after_deg)


def test_a_frame_counts_once_however_many_speak_in_it_and_angles_are_the_main_ones() -> None:
    report = Report(0.8)
    for result in (
        row(0, 5, 10.0, 0.8, after=3.0),
        row(0, 7, 30.0, 0.8),
        row(1, 5, 12.0, 0.8),
        row(1, 7, 40.0, 0.0, reason=Reason.LOOKS_FAR_AWAY),
        row(2, 5, 14.0, 0.0, reason=Reason.BLINK),
        row(2, 7, 20.0, 0.8),
        row(3, None, None, 0.0, reason=Reason.NO_FACE),
    ):
        report.add(result)
    said = report.summary(Timing(landmarks=0.02, decision=0.004, redraw=0.008, measured_frames=2))
    assert (True, 0.75, None, 4, 2) == tuple(said[key] for key in ("corrected", "share", "reason", "frames", "faces"))
    assert (11.0, 3.0) == (said["median_before_deg"], said["median_after_deg"])
    assert {"no_face": 1} == said["reasons"], "who is corrected beside somebody who blinks is corrected"
    assert 0.5 == said["looked_at"]
    assert {"landmarks": 5.0, "decision": 1.0, "redraw": 2.0} == said["ms_per_frame"]


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ([(0.0, Reason.BLINK)] * 9 + [(0.0, Reason.SUNGLASSES)], "sunglasses"),  # a blink hinders nothing for long
        ([(0.0, Reason.BLINK)] * 10, "into_lens"),
        ([(0.0, Reason.TOO_DARK)] * 6 + [(0.0, Reason.NO_FACE)] * 4, "too_dark"),
        ([(0.39, None)] * 10, "into_lens"),  # less than half of what was asked for is a fade
        ([], "into_lens"),
    ],
)
def test_a_part_as_filmed_names_its_lasting_reason(result: list[tuple[float, Reason | None]], reason: str) -> None:
    report = Report(0.8)
    for index, (applied, why) in enumerate(result):
        report.add(row(index, 0, 8.0, applied, reason=why))
    assert (False, 0.0, reason) == tuple(report.summary()[key] for key in ("corrected", "share", "reason"))


def test_every_row_has_every_column() -> None:
    report = Report(1.0)
    report.add(row(0, 0, 8.123456, 1.0, after=2.0))
    report.add(row(1, None, None, 0.0, reason=Reason.NO_FACE))
    said = report.to_json(Timing(), None)
    assert list(COLUMNS) == said["columns"]
    assert [0, 0.0, 0, 0.0, 8.12, None, None, 1.0, 0.0, 2.0, None] == said["frames"][0]
    assert {len(COLUMNS)} == {len(line) for line in said["frames"]}
