"""Spans: ranges of output frames on the one time grid of a video.

The grid begins at the video's first frame, or at the beginning of its sound if that is clearly earlier, and has one
tick for each output frame. A video of constant rate has exactly one source frame on every tick between its first and
its last picture. Any other video shows, at each tick, the newest frame whose time rounds to that tick or an earlier
one. Where there is only sound, the nearest picture is repeated. So spans that partition the ticks partition the frames.
Arithmetic only, no video library.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import isfinite
from typing import Any

LONGEST_SIDE = 1920  # of a part's picture, in pixels, as in `media.picture.conversion`


@dataclass(frozen=True, slots=True)
class Span:
    """The range of output frames of one planned part; converts to JSON and back without loss."""

    first: int  # the span's first tick, from 0
    frames: int  # ticks in the span, at least 1
    total: int  # ticks in the whole video
    rate: Fraction  # ticks a second, 23 to 60
    origin_s: Fraction  # beginning of the grid on the source's clock: of the first frame, or of the sound
    seek: int | None  # time stamp of the key frame to decode from, in the stream's time base; None: from the start
    hold: bool = False  # the source's times do not fit the grid: some frames are repeated or left out
    gain_db: float = 0.0  # of the sound, the same for all parts of a video
    picture_first: int = 0  # tick of the video's first picture, which is repeated during earlier sound
    picture_end: int | None = None  # tick of the end of the last picture; None: the end of the video
    shape: tuple[int, int] | None = None  # width and height of all parts' pictures; None: from the first one
    parameters_change: bool = False  # the coded stream changes its parameter sets, so no part can be copied

    @property
    def start_s(self) -> float:
        """Return when the span begins, in seconds after the video's beginning."""
        return float(self.first / self.rate)

    @property
    def duration_s(self) -> float:
        """Return the duration of the span in seconds."""
        return float(self.frames / self.rate)

    @property
    def is_first(self) -> bool:
        """Return whether the span begins where the video begins."""
        return self.first == 0

    @property
    def is_last(self) -> bool:
        """Return whether the span ends where the video ends."""
        return self.first + self.frames == self.total

    @property
    def holds_pictures(self) -> bool:
        """Return whether the first or last picture is repeated, because the span reaches beyond the pictures."""
        end = self.total if self.picture_end is None else self.picture_end
        return self.first < self.picture_first or self.first + self.frames > end

    @property
    def held_s(self) -> Fraction:
        """Return how many seconds of the whole video have sound but no pictures of their own."""
        end = self.total if self.picture_end is None else self.picture_end
        return (self.picture_first + self.total - end) / self.rate

    def tick_of(self, time_s: Fraction) -> int:
        """Return the tick of a time on the source's clock: the nearest one, halves upwards."""
        return ((time_s - self.origin_s) * self.rate + Fraction(1, 2)).__floor__()

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """Return the span as plain values for a message or a command line."""
        return {
            "first": self.first,
            "frames": self.frames,
            "total": self.total,
            "rate": str(self.rate),
            "origin_s": str(self.origin_s),
            "seek": self.seek,
            "hold": self.hold,
            "gain_db": self.gain_db,
            "picture_first": self.picture_first,
            "picture_end": self.picture_end,
            "shape": self.shape,
            "parameters_change": self.parameters_change,
        }

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "Span":  # Any: JSON
        """Return the span for the values of `to_json`; raise KeyError or ValueError for other values."""
        span = cls(
            first=int(fields["first"]),
            frames=int(fields["frames"]),
            total=int(fields["total"]),
            rate=Fraction(fields["rate"]),
            origin_s=Fraction(fields["origin_s"]),
            seek=_optional_int(fields["seek"]),
            hold=bool(fields["hold"]),
            gain_db=float(fields.get("gain_db", 0.0)),  # plans in the queue may be older
            picture_first=int(fields.get("picture_first", 0)),
            picture_end=_optional_int(fields.get("picture_end")),
            shape=_shape(fields.get("shape")),
            parameters_change=bool(fields.get("parameters_change", False)),
        )
        lies_inside = span.first >= 0 and 1 <= span.frames <= span.total - span.first
        if not (lies_inside and span.rate > 0 and isfinite(span.gain_db)):
            raise ValueError(f"not a span of a video: {fields}")
        return span


def _optional_int(value: Any) -> int | None:  # Any: JSON
    return None if value is None else int(value)


def _shape(value: Any) -> tuple[int, int] | None:  # Any: JSON
    if value is None:
        return None
    width, height = (int(side) for side in value)
    if not (2 <= width <= LONGEST_SIDE and 2 <= height <= LONGEST_SIDE and width % 2 == height % 2 == 0):
        raise ValueError(f"not the size of a part's pictures: {value}")
    return width, height
