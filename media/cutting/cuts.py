"""Chooses the cuts of a video: in pauses and at scene changes late in each part, else at the limit.

Arithmetic only; `media.cutting.pauses` and `media.cutting.scenes` find pauses and scene changes.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from media.limits import MIN_SECONDS

SEARCH_SHARE = Fraction(1, 3)  # the last third of a part's maximum duration is searched first
GOOD_TAIL_S = 10  # duration of the last part if possible, so that it is not very short
LONG_PAUSE_S = 0.8  # longer pauses are no better
SHORT_PAUSE_S = 0.3  # a shorter pause may be a consonant inside a word, so its score is reduced
LATE_BONUS = 0.2  # score of a cut at the very end of the searched time
SCENE_BONUS = 0.5  # of a scene change in a pause, which hides the cut best
KEY_BONUS = 0.5  # of a key frame in a pause, at which a stream copy can begin
CERTAINTY_BONUS = 6.0  # outweighs all others: a cut in a false pause is inside a word
# Of cuts in pauses with less certainty, a tenth to a half were inside words (2026-11-28, with the sounds of
# tests/media/cutting/backgrounds.py).
RELIABLE = 0.9
# Steady noise alone has dips with a certainty of 0.41 (2026-11-28), which are worse than a key frame.
MIN_BEFORE_KEY = 0.5
# Cuts keep this distance from a pause's beginning if possible: the last sounds of a word are faint.
TAIL_S = 0.12

PAUSE, SCENE, LIMIT, END = "pause", "scene", "limit", "end"
CHOSEN = "chosen"  # by a person

SceneFinder = Callable[[int, int], Sequence[int]]
"""Returns the ticks of the scene changes from a first to a last tick, both included."""


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause in speech, in seconds after the video's first frame."""

    start_s: float
    end_s: float
    certainty: float = 1.0  # 0 to 1; below `RELIABLE` it is used only instead of a cut at the limit


@dataclass(frozen=True, slots=True)
class Cut:
    """One part, in ticks of the grid, and the reason for the cut at its end."""

    first: int
    frames: int
    reason: str  # "pause", "scene", "limit" or "end"


def tick_at(time_s: float, rate: Fraction) -> int:
    """Return the tick that is nearest to a time in seconds after the video's beginning."""
    return round(Fraction(time_s) * rate)


def one_scene(first: int, last: int) -> Sequence[int]:
    """Return no scene change."""
    del first, last
    return ()


def choose(
    total: int,
    rate: Fraction,
    max_part_s: float,
    pauses: Sequence[Pause],
    *,
    scenes: SceneFinder = one_scene,
    keys: Sequence[int] = (),
    exact: bool = False,
) -> list[Cut]:
    """Partition the ticks of a video into parts.

    Args:
        total: ticks in the video, at least 1.
        rate: ticks a second.
        max_part_s: the longest part, at least 6 s.
        pauses: in order.
        scenes: finds scene changes; called only for intervals in which a cut may lie.
        keys: ticks of the key frames at which a stream copy can begin, in order; empty if all parts are encoded.
        exact: cut at the limit only.

    Returns:
        Parts without gap or overlap from 0 to `total`; none longer than `max_part_s`, none shorter than 3 s unless the
        whole video is.
    """
    search = _CutSearch(pauses, scenes, keys, rate)
    longest = int(Fraction(max_part_s).limit_denominator(1000) * rate)
    shortest = -int(-MIN_SECONDS * rate // 1)
    cuts: list[Cut] = []
    first = 0
    while total - first > longest:
        tail = shortest if exact else max(shortest, min(round(GOOD_TAIL_S * rate), longest // 3))
        limit = min(first + longest, total - tail)
        end, reason = (limit, LIMIT) if exact else search.best((first + shortest, limit), first)
        cuts.append(Cut(first, end - first, reason))
        first = end
    cuts.append(Cut(first, total - first, END))
    return cuts


@dataclass(frozen=True, slots=True)
class _CutSearch:
    """Searches for the best cut, given a video's pauses, scene changes and key frames."""

    pauses: Sequence[Pause]
    scenes: SceneFinder
    keys: Sequence[int]
    rate: Fraction

    def best(self, reach: tuple[int, int], first: int) -> tuple[int, str]:
        """Return the best tick and its reason: in the last third of the time, else in all of it.

        A pause anywhere is preferred to a scene change outside of pauses, which may be in the middle of a word. If
        there are only unreliable pauses, the best of them is used instead of the limit.

        Args:
            reach: the earliest and the latest tick.
            first: the part's first tick.
        """
        earliest, limit = reach
        near = max(earliest, limit - int((limit - first) * SEARCH_SHARE))
        for opens in (near, earliest):
            if candidates := self._in_pauses(opens, limit, reliable=True):
                return max(candidates)[1:]
        for opens in (near, earliest):
            if changes := self.scenes(opens, limit):
                return max(changes), SCENE
        for opens in (near, earliest):
            if candidates := self._in_pauses(opens, limit, reliable=False):
                _, tick, reason = max(candidates)
                return tick, SCENE if reason == SCENE else LIMIT
        return max(self._keys(near, limit), default=limit), LIMIT

    def _in_pauses(self, earliest: int, limit: int, *, reliable: bool) -> list[tuple[float, int, str]]:
        least = MIN_BEFORE_KEY if self.keys else 0.0
        pauses = (p for p in self.pauses if (p.certainty >= RELIABLE) == reliable and p.certainty >= least)
        return [candidate for pause in pauses for candidate in self._candidates(pause, earliest, limit)]

    def _candidates(self, pause: Pause, earliest: int, limit: int) -> Iterator[tuple[float, int, str]]:
        """Yield the cuts in a pause: score, tick and reason."""
        opens = max(-int(-Fraction(pause.start_s) * self.rate // 1), earliest)
        closes = min(int(Fraction(pause.end_s) * self.rate), limit)
        if opens > closes:
            return
        length_s = pause.end_s - pause.start_s
        score = min(length_s, LONG_PAUSE_S) / LONG_PAUSE_S - max(0.0, SHORT_PAUSE_S - length_s) / (2 * SHORT_PAUSE_S)
        score += CERTAINTY_BONUS * pause.certainty

        def late(tick: int) -> float:
            return LATE_BONUS * (tick - earliest) / max(limit - earliest, 1)

        for change in self.scenes(opens, closes):
            yield score + SCENE_BONUS + late(change), change, SCENE
        after_tail = (pause.start_s + min(TAIL_S, length_s / 3)) * self.rate
        for key in self._keys(opens, closes):
            if key >= after_tail:
                yield score + KEY_BONUS + late(key), key, PAUSE
        tick = min(max(tick_at((pause.start_s + pause.end_s) / 2, self.rate), opens), closes)
        if tick >= after_tail:
            yield score + late(tick), tick, PAUSE

    def _keys(self, first: int, last: int) -> Sequence[int]:
        return self.keys[bisect_left(self.keys, first) : bisect_right(self.keys, last)]
