"""Decides where a video is cut: at pauses near the end of each part's time, else at the limit. Pure arithmetic."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from media.facts import MIN_SECONDS

SEGMENT_SECONDS_MIN = 6  # two parts of the platforms' minimum
SEARCH_SHARE = Fraction(1, 3)  # the last third of a part's time is searched first
GOOD_TAIL_S = 10  # the last part gets this much when it can, so that it is not a scrap
LONG_PAUSE_S = 0.8  # a longer one is no better
LATE_BONUS = 0.35  # how much a cut at the very end of the time is worth beside a longer pause

PAUSE, LIMIT, END = "pause", "limit", "end"


@dataclass(frozen=True, slots=True)
class Pause:
    """A quiet stretch, in seconds after the video's first frame."""

    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Cut:
    """One part: where it begins and how long it is, in ticks of the grid, and why it ends there."""

    first: int
    frames: int
    reason: str  # "pause", "limit" or "end"


def choose(total: int, rate: Fraction, segment_s: float, pauses: Sequence[Pause], *, exact: bool = False) -> list[Cut]:
    """Partition the ticks of a video into parts.

    Args:
        total: ticks in the video, at least 1.
        rate: ticks a second.
        segment_s: the longest part, at least 6 s.
        pauses: where nobody speaks, in order.
        exact: cut at the limit only.

    Returns:
        Parts that follow one another without gap or overlap from 0 to `total`; none longer than `segment_s`, none
        shorter than 3 s unless the whole video is.
    """
    longest = int(Fraction(segment_s).limit_denominator(1000) * rate)
    shortest = -int(-MIN_SECONDS * rate // 1)
    cuts: list[Cut] = []
    first = 0
    while total - first > longest:
        tail = shortest if exact else max(shortest, min(round(GOOD_TAIL_S * rate), longest // 3))
        limit = min(first + longest, total - tail)
        found = None if exact else _at_pause(pauses, rate, first, limit, shortest)
        end = limit if found is None else found
        cuts.append(Cut(first, end - first, LIMIT if found is None else PAUSE))
        first = end
    cuts.append(Cut(first, total - first, END))
    return cuts


def _at_pause(pauses: Sequence[Pause], rate: Fraction, first: int, limit: int, shortest: int) -> int | None:
    """Return the best tick inside a pause: of the last third of the time, else of all of it."""
    near = max(first + shortest, limit - int((limit - first) * SEARCH_SHARE))
    for earliest in (near, first + shortest):
        places = [place for pause in pauses if (place := _place(pause, rate, earliest, limit)) is not None]
        if places:
            return max(places)[1]
    return None


def _place(pause: Pause, rate: Fraction, earliest: int, limit: int) -> tuple[float, int] | None:
    """Return how good a cut in this pause is, and its tick: as near to the pause's middle as the window allows."""
    opens = max(-int(-Fraction(pause.start_s) * rate // 1), earliest)
    closes = min(int(Fraction(pause.end_s) * rate), limit)
    if opens > closes:
        return None
    middle = round(Fraction(pause.start_s + pause.end_s) / 2 * rate)
    tick = min(max(middle, opens), closes)
    length = min(pause.end_s - pause.start_s, LONG_PAUSE_S) / LONG_PAUSE_S
    lateness = (tick - earliest) / max(limit - earliest, 1)
    return length + LATE_BONUS * lateness, tick
