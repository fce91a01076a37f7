"""Cuts that a person moves: on exactly the frames of the plan's grid, with the sound in step."""

from dataclasses import replace
from fractions import Fraction
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.cutting.material import collect
from media.cutting.recut import BadCut, Bounds, ChosenPart, closest, shared_frames, snapped, span_of
from media.reading.inspection import inspect
from media.reading.spans import Span
from media.reading.timeline import STANDARD
from media.stages.plan import partition
from media.writing.render import render
from tests.media import films
from tests.media.stages.test_partition import CONTAINERS, FRAMES, SOUND, check_shown, check_sound, parts_of

NAMES = ("as-it-came.mp4", "picture-later.mp4", "sound-later.mp4", "early-clock.mp4", "trimmed-inside-a-gop.mp4",
         "pieces.mp4", "opus.mkv")  # fmt: skip
MOVED: tuple[Bounds, ...] = ((7, 181), (188, 186))  # seven frames are left out before, some after


def chosen(grid: Span, *bounds: Bounds) -> list[ChosenPart]:
    """Return parts in the seconds that a client reads and sends."""
    times = [(first / grid.rate, (first + frames) / grid.rate) for first, frames in bounds]
    return [ChosenPart(round(float(start), 6), round(float(end), 6)) for start, end in times]


def recut(source: Path, folder: Path, *bounds: Bounds) -> list[tuple[Span, films.Copy]]:
    """Plan a film, move its cuts, render the new parts, and read them as a player does."""
    found = inspect(source)
    spans = [part.span for part in partition(source, found, 6, exact=True, progress=lambda share: None)]
    kept = collect(found.timeline, found.timeline.grid(), [], None)
    done = []
    for number, one in enumerate(snapped(spans[0], chosen(spans[0], *bounds), ())):
        span = span_of(spans, kept.key_frames, one)
        by_timeline = found.timeline.span(found.timeline.grid(), *one)
        assert replace(span, seek=by_timeline.seek) == by_timeline
        assert span.seek is None or (by_timeline.seek is not None and span.seek <= by_timeline.seek)
        target = folder / f"moved-{number}.mp4"
        render(source, target, span=span)
        done.append((span, films.read(target)))
    return done


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return films.write(
        tmp_path_factory.mktemp("recut") / "talk.mp4", films.at_rate(30, FRAMES), sound=SOUND, options={"g": "45"}
    )


@pytest.mark.parametrize("name", NAMES)
def test_moved_parts_have_their_frames_and_their_sound(name: str, talk: Path, tmp_path: Path) -> None:
    arguments, picture_later_s = next((row[1], row[2]) for row in CONTAINERS if row[0] == name)
    source = tmp_path / name
    codecs = ["-c", "copy"] if "-c:a" not in arguments else ["-c:v", "copy"]
    films.ffmpeg(*(argument.format(talk=talk) for argument in arguments), *codecs, source)
    planned = [number for _, copy in parts_of(source, tmp_path) for number in copy.numbers]
    before = round(max(picture_later_s - 0.25, 0) and picture_later_s * 30)

    in_step = 0
    # Of the trimmed film, players show 363 frames.
    for span, copy in recut(source, tmp_path, *(((0, 181), (181, 182)) if "trimmed" in name else MOVED)):
        assert copy.numbers == planned[span.first : span.first + span.frames]
        assert copy.times[0] == 0.0
        assert abs(len(copy.sound) - span.frames / 30 * 48_000) <= 512
        in_step += check_sound(copy, (planned[0] + span.first - before) / 30 + picture_later_s, SOUND)
    assert in_step == (3 if name == "sound-later.mp4" else 4), "all ends that have sound"


def test_ntsc_rates_keep_every_frame(tmp_path: Path) -> None:
    rate = Fraction(30_000, 1001)
    source = films.write(tmp_path / "in.mp4", films.at_rate(rate, FRAMES), sound=SOUND, options={"g": "50", "bf": "2"})
    found = recut(source, tmp_path, (0, 200), (200, 220))
    assert [number for _, copy in found for number in copy.numbers] == list(range(420))
    for span, copy in found:
        assert check_sound(copy, span.start_s, SOUND) == 2


def test_uneven_times_stay_within_half_a_frame(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    steps = zip(random.choice([1, 1, 1, 2, 3], 420), random.integers(-6, 7, 420), strict=True)
    times = [Fraction(0), *accumulate(Fraction(int(a), 30) + Fraction(int(b), 1000) for a, b in steps)]
    while times[-1] > 13:
        times.pop()
    source = films.write(tmp_path / "in.mp4", times, sound=SOUND, options={"preset": "ultrafast", "bf": "3", "g": "20"})
    for span, copy in recut(source, tmp_path, (0, 185), (185, 190)):
        check_shown(times, span, copy)
        assert check_sound(copy, span.start_s, SOUND) == 2


def grid(rate: Fraction, total: int = 100_000) -> Span:
    return Span(first=0, frames=total, total=total, rate=rate, origin_s=Fraction(0), seek=None)


@given(
    rate=st.sampled_from([*STANDARD, Fraction(2997, 100), Fraction(10_000_000, 333_667)]),
    first=st.integers(0, 90_000),
    frames=st.integers(361, 1438),
)
def test_the_seconds_of_a_plan_are_its_frames(rate: Fraction, first: int, frames: int) -> None:
    """Also after a client has rounded them to milliseconds."""
    one = grid(rate)
    for digits in (6, 3):
        part = ChosenPart(round(float(first / rate), digits), round(float((first + frames) / rate), digits))
        assert snapped(one, [part], ()) == [(first, frames)]


@given(
    rate=st.sampled_from(STANDARD),
    cuts=st.lists(st.floats(6, 60), min_size=2, max_size=20),
    start_s=st.floats(0, 30),
)
def test_parts_that_touch_lose_no_frame(rate: Fraction, cuts: list[float], start_s: float) -> None:
    """Whatever the limits demand of the single parts."""
    times = list(accumulate([start_s, *cuts]))
    parts = [ChosenPart(begin, end) for begin, end in pairwise(times)]
    found = snapped(grid(rate), parts, ())
    assert all(sum(one) == other[0] for one, other in pairwise(found))
    assert all(6 * rate <= frames <= 60 * rate for _, frames in found)
    assert all(abs(first / rate - Fraction(part.start_s)) < 1 for (first, _), part in zip(found, parts, strict=True))


@pytest.mark.parametrize("rate", STANDARD)
def test_exactly_the_limits_are_possible_at_each_rate(rate: Fraction) -> None:
    for start_s in (0.0, 0.013, 1 / 3, 7.777777):
        for length_s in (6.0, 60.0):
            ((_, frames),) = snapped(grid(rate), [ChosenPart(start_s, start_s + length_s)], ())
            assert 6 * rate <= frames <= 60 * rate


def test_a_kept_part_may_be_shorter_than_a_chosen_one() -> None:
    one = grid(Fraction(30), 1890)
    parts = [ChosenPart(0, 60), ChosenPart(60, 63)]
    assert snapped(one, parts, {(1800, 90)}) == [(0, 1800), (1800, 90)]
    with pytest.raises(BadCut, match=r"part 2 would last 3\.00 s"):
        snapped(one, parts, ())


def test_without_key_frames_those_of_the_parts_are_used() -> None:
    """As of a job that was planned by an earlier version."""
    spans = [Span(first=first, frames=300, total=900, rate=Fraction(30), origin_s=Fraction(0), seek=seek)
             for first, seek in ((0, None), (300, 280), (600, 590))]  # fmt: skip
    assert [span_of(spans, (), (first, 200)).seek for first in (0, 299, 300, 500, 700)] == [None, None, 280, 280, 590]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), min_size=1, max_size=12), st.integers(0, 200))
def test_the_closest_part_is_that_of_a_comparison_with_all(lengths: list[tuple[int, int]], first: int) -> None:
    ends = [*accumulate(gap + frames for gap, frames in lengths)]
    parts = [(end - frames, frames) for end, (_, frames) in zip(ends, lengths, strict=True)]
    for frames in (1, 5, 50):
        bounds = (first, frames)
        assert closest(parts, bounds) == max((shared_frames(bounds, other), other) for other in parts)
