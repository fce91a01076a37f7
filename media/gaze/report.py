"""What a part's gaze correction did: a summary for the result, and every frame for whoever wants to know.

Collects and counts; measures and decides nothing.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from media.gaze.corrector import Timing, Told
from media.gaze.decide import Reason

CORRECTED_FROM = 0.5  # of the way that the intensity allows; less is a fade


@dataclass
class Report:
    """Everything told by a corrector, and its summary."""

    intensity: float
    frames: list[Told] = field(default_factory=list)

    def add(self, told: Told) -> None:
        """Take what was done in one frame."""
        self.frames.append(told)

    @property
    def is_untouched(self) -> bool:
        """Say whether no eye was moved at all."""
        return all(told.applied == 0 for told in self.frames)

    def summary(self) -> dict[str, Any]:  # Any: JSON
        """Return the figures of the part; angles are off the speaker's zero, medians over the corrected frames."""
        corrected = [told for told in self.frames if self._is_corrected(told)]
        share = len(corrected) / len(self.frames) if self.frames else 0.0
        reasons = Counter(told.reason.value for told in self.frames if told.reason is not None)
        before = [_off(told) for told in corrected]
        after = [_off(told) * (1 - told.applied) for told in corrected]
        return {
            "corrected": bool(corrected),  # even by a few frames: whoever must disclose it needs to know
            "share": round(share, 4),
            "reason": None if corrected else self._main_reason(reasons),
            "intensity": self.intensity,
            "median_before_deg": _median(before),
            "median_after_deg": _median(after),
            "reasons": dict(reasons.most_common()),
        }

    def nothing(self, reason: Reason) -> dict[str, Any]:  # Any: JSON
        """Return the summary of a part that was not looked at at all."""
        return {**self.summary(), "reason": reason.value}

    def to_json(self, timing: Timing, zero: dict[str, Any] | None) -> dict[str, Any]:  # Any: JSON
        """Return the summary, milliseconds a frame by step, and a row per frame."""
        count = max(len(self.frames), 1)
        return {
            "gaze": self.summary(),
            "zero": zero,
            "ms_per_frame": {
                "landmarks": round(1e3 * timing.landmarks / count, 3),
                "decision": round(1e3 * timing.decision / count, 3),
                "redraw": round(1e3 * timing.redraw / count, 3),
            },
            "columns": [
                "index",
                "time_s",
                "yaw_deg",
                "pitch_deg",
                "head_yaw_deg",
                "head_pitch_deg",
                "applied",
                "reason",
            ],
            "frames": [_row(told) for told in self.frames],
        }

    def _is_corrected(self, told: Told) -> bool:
        return told.off_deg is not None and self.intensity > 0 and told.applied >= CORRECTED_FROM * self.intensity

    @staticmethod
    def _main_reason(reasons: Counter[str]) -> str:
        # A blink now and then hinders nothing; it names a part only when there is nothing else to say.
        lasting = [name for name, _ in reasons.most_common() if name != Reason.BLINK.value]
        return lasting[0] if lasting else Reason.INTO_LENS.value


def _off(told: Told) -> float:
    assert told.off_deg is not None
    return float(np.hypot(*told.off_deg))


def _median(values: list[float]) -> float | None:
    return round(float(np.median(values)), 2) if values else None


def _row(told: Told) -> list[float | int | str | None]:
    yaw, pitch = told.off_deg or (None, None)
    head_yaw, head_pitch = told.head_deg or (None, None)
    reason = None if told.reason is None else told.reason.value
    numbers = [None if value is None else round(value, 2) for value in (yaw, pitch, head_yaw, head_pitch)]
    return [told.index, round(told.time_s, 4), *numbers, round(told.applied, 3), reason]
