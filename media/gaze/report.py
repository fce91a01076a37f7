"""What a part's gaze correction did: a summary for the result, and every frame for whoever wants to know.

Collects and counts; measures and decides nothing.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from media.gaze.corrector import Timing, Told
from media.gaze.reasons import Reason

COLUMNS = (
    *("index", "time_s", "face", "yaw_deg", "pitch_deg", "head_yaw_deg", "head_pitch_deg"),
    *("applied", "after_yaw_deg", "after_pitch_deg", "reason"),
)
Facts = dict[str, Any]  # Any: JSON
CORRECTED_FROM = 0.5  # of the way that the intensity allows; less is a fade


@dataclass
class Report:
    """Everything told by a corrector, and its summary."""

    intensity: float
    rows: list[Told] = field(default_factory=list)

    def add(self, told: Told) -> None:
        """Take what was done in one frame."""
        self.rows.append(told)

    @property
    def corrected_from(self) -> float:
        """Return the share of the way from which on a frame counts as corrected."""
        return CORRECTED_FROM * self.intensity

    @property
    def is_untouched(self) -> bool:
        """Say whether no eye was moved at all."""
        return all(told.applied == 0 for told in self.rows)

    def of_main_speaker(self) -> list[Told]:
        """Return the row of each frame that tells of its main speaker, or that there is none."""
        first: dict[int, Told] = {}
        for told in self.rows:
            first.setdefault(told.index, told)
        return list(first.values())

    def summary(self, timing: Timing | None = None) -> Facts:
        """Return the figures of the part; angles are off the main speaker's zero, medians over the frames
        in which his or her eyes were corrected.

        The gaze after is measured in the changed pictures, in one frame of thirty, by the landmarks that moved it.
        """
        corrected = [told for told in self.rows if self._is_corrected(told)]
        mine = [told for told in self.of_main_speaker() if self._is_corrected(told)]
        frames = len({told.index for told in self.rows})
        share = len({told.index for told in corrected}) / max(frames, 1)
        reasons = self._reasons()
        return {
            "corrected": bool(corrected),  # even by a few frames: whoever must disclose it needs to know
            "share": round(share, 4),
            "reason": None if corrected else self._main_reason(reasons),
            "intensity": self.intensity,
            "median_before_deg": _median([_norm(told.off_deg) for told in mine if told.off_deg]),
            "median_after_deg": _median([_norm(told.after_deg) for told in mine if told.after_deg]),
            "frames": frames,
            "reasons": dict(reasons.most_common()),  # frames that kept their own eyes for it
            "faces": len({told.face for told in corrected}),
            "looked_at": round(timing.looks / max(frames, 1), 4) if timing else 0.0,  # of the frames; less when hasty
            "ms_per_frame": _ms_per_frame(timing, frames) if timing else {},
        }

    def nothing(self, reason: Reason) -> Facts:
        """Return the summary of a part that was not looked at at all."""
        return {**self.summary(), "reason": reason.value}

    def to_json(self, timing: Timing, zero: Facts | None) -> Facts:
        """Return the summary, and a row for each speaker in each frame."""
        return {
            "gaze": self.summary(timing),
            "zero": zero,
            "columns": list(COLUMNS),
            "frames": [_row(told) for told in self.rows],
        }

    def _reasons(self) -> Counter[str]:
        """Count the frames in which a reason hindered; with several speakers, in which it hindered all of them."""
        told: dict[int, list[Told]] = {}
        for one in self.rows:
            told.setdefault(one.index, []).append(one)
        kept = [frame[0].reason for frame in told.values() if all(one.reason is not None for one in frame)]
        return Counter(reason.value for reason in kept if reason is not None)

    def _is_corrected(self, told: Told) -> bool:
        return told.off_deg is not None and 0 < told.applied >= self.corrected_from

    @staticmethod
    def _main_reason(reasons: Counter[str]) -> str:
        # A blink now and then hinders nothing; it names a part only when there is nothing else to say.
        lasting = [name for name, _ in reasons.most_common() if name != Reason.BLINK.value]
        return lasting[0] if lasting else Reason.INTO_LENS.value


def _norm(angles: tuple[float, float]) -> float:
    return float(np.hypot(*angles))


def _median(values: list[float]) -> float | None:
    return round(float(np.median(values)), 2) if values else None


def _ms_per_frame(timing: Timing, frames: int) -> dict[str, float]:
    spent = {"landmarks": timing.landmarks, "decision": timing.decision, "redraw": timing.redraw}
    return {name: round(1e3 * seconds / max(frames, 1), 3) for name, seconds in spent.items()}


def _row(told: Told) -> list[float | int | str | None]:
    pairs = (told.off_deg, told.head_deg, told.after_deg)
    before, head, after = ([None, None] if pair is None else [round(angle, 2) for angle in pair] for pair in pairs)
    reason = None if told.reason is None else told.reason.value
    return [told.index, round(told.time_s, 4), told.face, *before, *head, round(told.applied, 3), *after, reason]
