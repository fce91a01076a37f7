"""Decides where a video is cut: in pauses and at changes of scene near the end of each part's time, else at the limit.

Pure arithmetic; where nobody speaks and where a scene changes is for others to find.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from media.limits import MIN_SECONDS

SEGMENT_SECONDS_MIN = 6  # two parts of the platforms' minimum
SEARCH_SHARE = Fraction(1, 3)  # the last third of a part's time is searched first
GOOD_TAIL_S = 10  # the last part gets this much when it can, so that it is not a scrap
LONG_PAUSE_S = 0.8  # a longer one is no better
SHORT_PAUSE_S = 0.3  # below it what was heard may be a consonant inside a word: worth less than its length says
LATE_BONUS = 0.2  # how much a cut at the very end of the time is worth beside a longer pause
SCENE_BONUS = 0.5  # a pause in which the picture changes, too, hides the cut best
KEY_BONUS = 0.5  # a pause in which a part can begin without being encoded anew
CERTAINTY_BONUS = 6.0  # outweighs length, lateness and scene: a cut in a false pause is inside a word
# Of cuts in pauses with less certainty, a tenth to a half were inside words (tests/media/backgrounds.py, 2026-11-28).
RELIABLE = 0.9
MIN_BEFORE_KEY = 0.5  # steady noise alone has dips with a certainty of 0.41 (2026-11-28); a key frame is better then
TAIL_S = 0.12  # the last sounds of a word are faint: a cut keeps this far from a pause's beginning if it can

PAUSE, SCENE, LIMIT, END = "pause", "scene", "limit", "end"

Scenes = Callable[[int, int], Sequence[int]]
"""Return the ticks, from the first to the last of a stretch, at which another scene begins."""


@dataclass(frozen=True, slots=True)
class Pause:
    """A quiet stretch, in seconds after the video's first frame."""

    start_s: float
    end_s: float
    certainty: float = 1.0  # 0 to 1; below `RELIABLE` it is used only where the alternative is the limit


@dataclass(frozen=True, slots=True)
class Cut:
    """One part: where it begins and how long it is, in ticks of the grid, and why it ends there."""

    first: int
    frames: int
    reason: str  # "pause", "scene", "limit" or "end"


def one_scene(first: int, last: int) -> Sequence[int]:
    """Say that the scene never changes."""
    del first, last
    return ()


def choose(
    total: int,
    rate: Fraction,
    segment_s: float,
    pauses: Sequence[Pause],
    *,
    scenes: Scenes = one_scene,
    keys: Sequence[int] = (),
    exact: bool = False,
) -> list[Cut]:
    """Partition the ticks of a video into parts.

    Args:
        total: ticks in the video, at least 1.
        rate: ticks a second.
        segment_s: the longest part, at least 6 s.
        pauses: where nobody speaks, in order.
        scenes: where the picture changes; asked only for stretches in which a cut may lie.
        keys: ticks at which a part can begin without being encoded anew, in order; none if it is encoded anyway.
        exact: cut at the limit only.

    Returns:
        Parts that follow one another without gap or overlap from 0 to `total`; none longer than `segment_s`, none
        shorter than 3 s unless the whole video is.
    """
    film = _Film(pauses, scenes, keys, rate)
    longest = int(Fraction(segment_s).limit_denominator(1000) * rate)
    shortest = -int(-MIN_SECONDS * rate // 1)
    cuts: list[Cut] = []
    first = 0
    while total - first > longest:
        tail = shortest if exact else max(shortest, min(round(GOOD_TAIL_S * rate), longest // 3))
        limit = min(first + longest, total - tail)
        end, reason = (limit, LIMIT) if exact else film.best((first + shortest, limit), first)
        cuts.append(Cut(first, end - first, reason))
        first = end
    cuts.append(Cut(first, total - first, END))
    return cuts


@dataclass(frozen=True, slots=True)
class _Film:
    """What is known of a video's moments."""

    pauses: Sequence[Pause]
    scenes: Scenes
    keys: Sequence[int]
    rate: Fraction

    def best(self, reach: tuple[int, int], first: int) -> tuple[int, str]:
        """Return the best tick and its reason: of the last third of the time, else of all of it.

        A pause anywhere comes before a change of scene outside of pauses, where somebody may be in the middle of a
        word. If there are only unreliable pauses, the best of them is used instead of the limit.
        """
        earliest, limit = reach
        near = max(earliest, limit - int((limit - first) * SEARCH_SHARE))
        for opens in (near, earliest):
            if places := self._in_pauses(opens, limit, reliable=True):
                return max(places)[1:]
        for opens in (near, earliest):
            if changes := self.scenes(opens, limit):
                return max(changes), SCENE
        for opens in (near, earliest):
            if places := self._in_pauses(opens, limit, reliable=False):
                _, tick, reason = max(places)
                return tick, SCENE if reason == SCENE else LIMIT
        return max(self._keys(near, limit), default=limit), LIMIT

    def _in_pauses(self, earliest: int, limit: int, *, reliable: bool) -> list[tuple[float, int, str]]:
        least = MIN_BEFORE_KEY if self.keys else 0.0
        pauses = (p for p in self.pauses if (p.certainty >= RELIABLE) == reliable and p.certainty >= least)
        return [place for pause in pauses for place in self._places(pause, earliest, limit)]

    def _places(self, pause: Pause, earliest: int, limit: int) -> Iterator[tuple[float, int, str]]:
        """Give how good a cut in this pause is, its tick and its reason."""
        opens = max(-int(-Fraction(pause.start_s) * self.rate // 1), earliest)
        closes = min(int(Fraction(pause.end_s) * self.rate), limit)
        if opens > closes:
            return
        length_s = pause.end_s - pause.start_s
        worth = min(length_s, LONG_PAUSE_S) / LONG_PAUSE_S - max(0.0, SHORT_PAUSE_S - length_s) / (2 * SHORT_PAUSE_S)
        worth += CERTAINTY_BONUS * pause.certainty

        def late(tick: int) -> float:
            return LATE_BONUS * (tick - earliest) / max(limit - earliest, 1)

        for change in self.scenes(opens, closes):
            yield worth + SCENE_BONUS + late(change), change, SCENE
        silent_from = (pause.start_s + min(TAIL_S, length_s / 3)) * self.rate
        for key in self._keys(opens, closes):
            if key >= silent_from:
                yield worth + KEY_BONUS + late(key), key, PAUSE
        tick = min(max(round(Fraction(pause.start_s + pause.end_s) / 2 * self.rate), opens), closes)
        if tick >= silent_from:
            yield worth + late(tick), tick, PAUSE

    def _keys(self, first: int, last: int) -> Sequence[int]:
        return self.keys[bisect_left(self.keys, first) : bisect_right(self.keys, last)]
