"""The time stamps of a video's frames, and the time grid of its output.

The time stamps are read from the packets without decoding, so they cost no more than reading the file.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from media.reading.spans import Span

MIN_RATE, MAX_RATE = Fraction(229, 10), Fraction(605, 10)  # 23 to 60 with a tolerance for inexact clocks
STANDARD = tuple(
    Fraction(rate) for rate in ("24000/1001", "24", "25", "30000/1001", "30", "48", "50", "60000/1001", "60")
)
MAX_LAST_S = 10  # duration of the last frame, such as a still at the end of a screen recording
# Sound that begins more than this before the first picture, or ends more than this after the last, is kept, and the
# picture is repeated. Smaller differences do not change the grid. Ordinary recordings differ by up to 0.05 s at either
# end (27 recordings and test files, 2026-11-28): priming and padding of the audio codec, or a picture or two.
SOUND_TOLERANCE_S = Fraction(1, 4)


@dataclass(frozen=True, slots=True)
class Timeline:
    """The presentation times of a video's frames, and its key frames."""

    times: NDArray[np.int64]  # presentation time stamps, rising, each once, in `unit`
    keys: NDArray[np.int64]  # those of the key frames
    sizes: NDArray[np.int64]  # bytes of each frame's packet, in the order of `times`; empty if unknown
    unit: Fraction  # seconds per time stamp
    last: int  # duration of the last frame, in `unit`
    rate: Fraction  # frame rate of the source, the nominal one if not constant
    constant: bool
    sound_s: tuple[Fraction, Fraction] | None = None  # beginning and end of the sound on the source's clock
    shape: tuple[int, int] | None = None  # width and height of the parts' pictures; None: from the first one
    parameters_change: bool = False  # the coded stream changes its parameter sets

    @property
    def first_picture_s(self) -> Fraction:
        """Return when the first frame is shown, on the source's clock."""
        return int(self.times[0]) * self.unit

    @property
    def last_picture_end_s(self) -> Fraction:
        """Return when the last frame ends, on the source's clock."""
        return (int(self.times[-1]) + self.last) * self.unit

    @property
    def origin_s(self) -> Fraction:
        """Return when the video begins, on the source's clock: with the first frame, or with earlier sound."""
        return self.first_picture_s - self._lead / output_rate(self.rate)

    @property
    def picture_begins_late(self) -> bool:
        """Return whether sound begins clearly before the first frame, which is repeated until its time."""
        return self._lead > 0

    @property
    def picture_ends_early(self) -> bool:
        """Return whether sound ends clearly after the last frame, which is repeated until then."""
        whole = self.grid()
        return whole.picture_end is not None and whole.picture_end < whole.total

    @property
    def _lead(self) -> int:
        """Return the number of output frames before the first picture."""
        early_s = self.first_picture_s - self.sound_s[0] if self.sound_s else Fraction(0)
        return -int(-early_s * output_rate(self.rate) // 1) if early_s > SOUND_TOLERANCE_S else 0

    def grid(self) -> Span:
        """Return the span of the whole video."""
        rate, lead, origin_s = output_rate(self.rate), self._lead, self.origin_s
        if self.constant:
            pictures = -(-len(self.times) * rate // self.rate)
        else:
            ends = np.array([self.times[-1], self.times[-1] + self.last])
            last, end = (int(tick) for tick in ticks(ends, self.first_picture_s, self.unit, rate))
            pictures = max(last + 1, end)
        total = end_of_pictures = lead + pictures
        sound_end_s = self.sound_s[1] - origin_s if self.sound_s else Fraction(0)
        if sound_end_s - end_of_pictures / rate > SOUND_TOLERANCE_S:
            total = (sound_end_s * rate + Fraction(1, 2)).__floor__()
        return Span(
            first=0,
            frames=total,
            total=total,
            rate=rate,
            origin_s=origin_s,
            seek=None,
            hold=not self.constant or rate != self.rate,
            picture_first=lead,
            picture_end=end_of_pictures,
            shape=self.shape,
            parameters_change=self.parameters_change,
        )

    def span(self, whole: Span, first: int, frames: int) -> Span:
        """Return the span that begins at a tick, with the key frame to decode from."""
        shown = ticks(self.times, whole.origin_s, self.unit, whole.rate)
        newest = max(int(np.searchsorted(shown, first, side="right")) - 1, 0)
        key = int(np.searchsorted(self.keys, self.times[newest], side="right")) - 1
        seek = int(self.keys[key]) if key > 0 and first > 0 else None
        return replace(whole, first=first, frames=frames, seek=seek)

    def key_ticks(self, whole: Span) -> list[int]:
        """Return the ticks of the key frames, in order."""
        shown = self.keys[(self.keys >= self.times[0]) & (self.keys <= self.times[-1])]
        at: list[int] = ticks(shown, whole.origin_s, self.unit, whole.rate).tolist() if len(shown) else []
        return at


def of_packets(
    times: Sequence[int], keys: Sequence[int], unit: Fraction, last: int, sizes: Sequence[int] = ()
) -> Timeline:
    """Return the timeline for packets' time stamps, with their frame rate.

    Args:
        times: presentation time stamps in any order, at least one.
        keys: those of the key frames.
        unit: seconds per time stamp.
        last: duration of the packet that is shown last, 0 if unknown.
        sizes: bytes of each packet, in the order of `times`.
    """
    shown, order = np.unique(np.array(times, dtype=np.int64), return_index=True)
    rate, constant = _rate(shown, unit)
    longest = round(Fraction(MAX_LAST_S) / unit)
    stays = min(max(last, round(1 / rate / unit)), longest)
    bytes_each = np.array(sizes, dtype=np.int64)[order] if len(sizes) else np.zeros(0, np.int64)
    return Timeline(shown, np.unique(np.array(keys, dtype=np.int64)), bytes_each, unit, stays, rate, constant)


def output_rate(rate: Fraction) -> Fraction:
    """Return the output's rate: the source's one from 23 to 60, else an integer multiple or fraction of it."""
    if rate > MAX_RATE:
        return rate / -(-rate // MAX_RATE)
    if rate < MIN_RATE:
        return rate * -(-MIN_RATE // rate)
    return rate


def ticks(times: NDArray[np.int64], origin_s: Fraction, unit: Fraction, rate: Fraction) -> NDArray[np.int64]:
    """Return the tick of each time stamp, by the same rule as `Span.tick_of`: the nearest, halves upwards."""
    origin = origin_s / unit
    finer = origin.denominator  # 1, unless the grid begins between two time stamps, before the first frame
    step = unit * rate / finer
    begins, rest = divmod(origin.numerator, finer)
    since = times - begins
    # Integers only: floats would round times in a long video to a wrong tick. Where 64 bits could overflow, which needs
    # the time scale of a hostile file, Python's integers are used.
    if ((int(np.abs(since).max()) + 1) * finer).bit_length() + step.numerator.bit_length() + 1 > 62:
        since = since.astype(object)
    since = since * finer - rest
    return np.asarray((2 * step.numerator * since + step.denominator) // (2 * step.denominator), dtype=np.int64)


def _rate(times: NDArray[np.int64], unit: Fraction) -> tuple[Fraction, bool]:
    """Return the constant rate at which each frame has its own tick and True, or the nominal rate and False."""
    if len(times) < 2:
        return Fraction(30), True
    mean = (len(times) - 1) / (int(times[-1] - times[0]) * unit)
    near = [rate for rate in STANDARD if abs(rate / mean - 1) < Fraction(1, 100)]
    near.sort(key=lambda rate: abs(rate - mean))
    fitted = [mean.limit_denominator(limit) for limit in (1, 1001, 100_000)]
    for rate in [*near, *fitted]:
        if rate > 0 and _fits(times, unit, rate):
            return rate, True
    steps = np.diff(times)
    # Longer steps are where frames were left out; the usual step is the median of the others.
    usual = Fraction(int(np.median(steps[steps <= 1.5 * np.median(steps)]))) * unit
    nominal = min(STANDARD, key=lambda rate: abs(rate * usual - 1))
    if abs(nominal * usual - 1) > Fraction(1, 20):
        nominal = (1 / usual).limit_denominator(1001)
    return nominal, False


def _fits(times: NDArray[np.int64], unit: Fraction, rate: Fraction) -> bool:
    at = ticks(times, int(times[0]) * unit, unit, rate)
    return bool(np.array_equal(at, np.arange(len(times))))
