"""Records the correction of each frame of a part, and summarizes it for the status document.

It collects and counts; it neither measures nor decides.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from media.frames import Planes
from media.gaze.reasons import Reason

COLUMNS = (
    *("index", "time_s", "face", "yaw_deg", "pitch_deg", "head_yaw_deg", "head_pitch_deg"),
    *("applied", "after_yaw_deg", "after_pitch_deg", "reason"),
)
Facts = dict[str, Any]  # Any: JSON
CORRECTED_FROM = 0.5  # share of the intensity; a frame that gets less is part of a fade


@dataclass(frozen=True, slots=True)
class FrameResult:
    """The correction of one face in one frame, or the reason for which the frame has no measured face."""

    index: int
    time_s: float
    face: int | None  # track number, the same for the same person; None when no eyes were measured
    off_deg: tuple[float, float] | None  # gaze minus the speaker's zero: yaw and pitch; None without a face
    head_deg: tuple[float, float] | None  # yaw and pitch
    applied: float  # share of the offset that was corrected, intensity included
    reason: Reason | None  # why the correction is weak; None where the eyes are corrected
    after_deg: tuple[float, float] | None = None  # offset measured in the drawn frame, where that was done

    @classmethod
    def without_face(cls, frame: Planes, reason: Reason) -> "FrameResult":
        """Describe a frame in which no eyes were measured."""
        return cls(frame.index, frame.time_s, None, None, None, 0.0, reason)


@dataclass
class Timing:
    """CPU time by step, of the thread that corrects, in seconds: the same on a machine with other load."""

    landmarks: float = 0.0
    decision: float = 0.0
    redraw: float = 0.0
    measured_frames: int = 0  # frames whose eyes were measured, even if only the iris was searched anew


@dataclass
class Report:
    """The results of a corrector's frames."""

    intensity: float
    rows: list[FrameResult] = field(default_factory=list)

    def add(self, result: FrameResult) -> None:
        """Add the result of one face in one frame."""
        self.rows.append(result)

    @property
    def corrected_from(self) -> float:
        """Return the applied share from which a frame counts as corrected."""
        return CORRECTED_FROM * self.intensity

    @property
    def is_untouched(self) -> bool:
        """Return whether no eye was moved at all."""
        return all(row.applied == 0 for row in self.rows)

    def of_main_speaker(self) -> list[FrameResult]:
        """Return one row for each frame: that of its main speaker, or that it has no face."""
        first: dict[int, FrameResult] = {}
        for row in self.rows:
            first.setdefault(row.index, row)
        return list(first.values())

    def summary(self, timing: Timing | None = None) -> Facts:
        """Return the figures of the part, as JSON.

        Medians are offsets from the main speaker's zero, over the frames in which the main speaker was corrected. The
        offset afterwards is measured in the drawn pictures, in one frame of thirty, by the same landmarks that placed
        the eyes.
        """
        corrected = [row for row in self.rows if self._is_corrected(row)]
        main = [row for row in self.of_main_speaker() if self._is_corrected(row)]
        frames = len({row.index for row in self.rows})
        share = len({row.index for row in corrected}) / max(frames, 1)
        reasons = self._reasons()
        return {
            "corrected": bool(corrected),  # even if only in a few frames: a creator who must disclose it needs to know
            "share": round(share, 4),
            "reason": None if corrected else self._main_reason(reasons),
            "intensity": self.intensity,
            "median_before_deg": _median([_norm(row.off_deg) for row in main if row.off_deg]),
            "median_after_deg": _median([_norm(row.after_deg) for row in main if row.after_deg]),
            "frames": frames,
            "reasons": dict(reasons.most_common()),  # frames left as filmed for this reason
            "faces": len({row.face for row in corrected}),
            "looked_at": round(timing.measured_frames / max(frames, 1), 4) if timing else 0.0,  # share of the frames
            "ms_per_frame": _ms_per_frame(timing, frames) if timing else {},
        }

    def nothing(self, reason: Reason) -> Facts:
        """Return the summary of a part of which no frame was measured."""
        return {**self.summary(), "reason": reason.value}

    def to_json(self, timing: Timing, zero: Facts | None) -> Facts:
        """Return the summary and a row for each face in each frame."""
        return {
            "gaze": self.summary(timing),
            "zero": zero,
            "columns": list(COLUMNS),
            "frames": [_row(result) for result in self.rows],
        }

    def _reasons(self) -> Counter[str]:
        """Count the frames of each reason; with several faces, only frames in which no face was corrected."""
        by_frame: dict[int, list[FrameResult]] = {}
        for row in self.rows:
            by_frame.setdefault(row.index, []).append(row)
        kept = [rows[0].reason for rows in by_frame.values() if all(row.reason is not None for row in rows)]
        return Counter(reason.value for reason in kept if reason is not None)

    def _is_corrected(self, row: FrameResult) -> bool:
        return row.off_deg is not None and 0 < row.applied >= self.corrected_from

    @staticmethod
    def _main_reason(reasons: Counter[str]) -> str:
        # Blinks pass; one names a part only when there is no other reason.
        lasting = [name for name, _ in reasons.most_common() if name != Reason.BLINK.value]
        return lasting[0] if lasting else Reason.INTO_LENS.value


def _norm(angles: tuple[float, float]) -> float:
    return float(np.hypot(*angles))


def _median(values: list[float]) -> float | None:
    return round(float(np.median(values)), 2) if values else None


def _ms_per_frame(timing: Timing, frames: int) -> dict[str, float]:
    spent = {"landmarks": timing.landmarks, "decision": timing.decision, "redraw": timing.redraw}
    return {name: round(1e3 * seconds / max(frames, 1), 3) for name, seconds in spent.items()}


def _row(result: FrameResult) -> list[float | int | str | None]:
    pairs = (result.off_deg, result.head_deg, result.after_deg)
    before, head, after = ([None, None] if pair is None else [round(angle, 2) for angle in pair] for pair in pairs)
    reason = None if result.reason is None else result.reason.value
    applied = round(result.applied, 3)
    return [result.index, round(result.time_s, 4), result.face, *before, *head, applied, *after, reason]
