"""The frame rate of time stamps, and the time grid of the parts."""

import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.reading import timeline
from media.reading.spans import Span

KEPT = [
    Fraction(24000, 1001),
    Fraction(24),
    Fraction(25),
    Fraction(30000, 1001),
    Fraction(30),
    Fraction(50),
    Fraction(60),
]
UNITS = [Fraction(1, 1000), Fraction(1, 600), Fraction(1, 90_000), Fraction(1, 12_800)]


def stamps(rate: Fraction, frames: int, unit: Fraction, start: int = 0) -> list[int]:
    return [start + round(number / rate / unit) for number in range(frames)]


@given(st.sampled_from(KEPT), st.sampled_from(UNITS), st.integers(75, 4000), st.integers(-100_000, 100_000))
def test_a_constant_rate_is_known_whatever_the_clock_rounds(
    rate: Fraction, unit: Fraction, frames: int, start: int
) -> None:
    found = timeline.of_packets(stamps(rate, frames, unit, start), [start], unit, 0)
    whole = found.grid()
    assert found.constant
    assert whole.frames == whole.total == frames
    assert not whole.hold
    # Half a frame over the whole film is all that the rounded times can tell.
    assert abs(found.rate / rate - 1) <= Fraction(1, frames)
    ticks = timeline.ticks(found.times, whole.origin_s, unit, whole.rate)
    assert np.array_equal(ticks, np.arange(frames))


@given(
    st.lists(st.integers(1, 500_000), min_size=1, max_size=60),
    st.sampled_from(UNITS),
    st.sampled_from(KEPT),
    st.integers(-(10**9), 10**9),
)
def test_both_ways_to_find_a_tick_agree(steps: list[int], unit: Fraction, rate: Fraction, start: int) -> None:
    """One counts millions of frames with numpy, the other single frames while they are decoded."""
    times = np.cumsum([start, *steps])
    span = Span(0, 1, 1, rate, start * unit, None)
    one_by_one = [span.tick_of(int(time) * unit) for time in times]
    assert one_by_one == timeline.ticks(times, span.origin_s, unit, rate).tolist()


def test_ticks_stay_exact_with_a_time_scale_that_only_an_attacker_has() -> None:
    unit = Fraction(1, (1 << 32) - 1)
    times = np.array([0, round(Fraction(10_800) / unit)])
    assert timeline.ticks(times, Fraction(0), unit, Fraction(60)).tolist() == [0, 10_800 * 60]


def test_a_phone_that_runs_a_little_slow_still_gives_each_frame_once() -> None:
    """Real clocks make 29.98 of 30; a grid of exactly 30 would repeat a picture now and then."""
    rate, unit = Fraction(2998, 100), Fraction(1, 600)
    found = timeline.of_packets(stamps(rate, 9000, unit), [0], unit, 20)
    assert (found.constant, found.grid().total) == (True, 9000)


def test_left_out_frames_make_it_variable_at_the_nominal_rate() -> None:
    times = [number * 20 for number in range(900) if number % 7]
    found = timeline.of_packets(times, times[:1], Fraction(1, 600), 20)
    assert (found.constant, found.rate) == (False, Fraction(30))
    assert found.grid().hold


@pytest.mark.parametrize(
    ("rate", "kept"),
    [("10", "30"), ("15", "30"), ("12", "24"), ("5", "25"), ("120", "60"), ("240", "60"), ("100", "50"), ("60", "60")],
)
def test_other_rates_are_multiplied_or_divided(rate: str, kept: str) -> None:
    assert Fraction(kept) == timeline.output_rate(Fraction(rate))


def test_decoding_begins_at_the_key_frame_before_what_is_shown_first() -> None:
    times = stamps(Fraction(30), 900, Fraction(1, 600))
    found = timeline.of_packets(times, times[::120], Fraction(1, 600), 20)
    whole = found.grid()
    assert found.span(whole, 0, 100).seek is None
    assert found.span(whole, 250, 100).seek == times[240]
    assert found.span(whole, 240, 100).seek == times[240]


def test_a_span_travels_as_json_unchanged() -> None:
    span = Span(
        30, 60, 900, Fraction(30000, 1001), Fraction(-1, 3), 12_345, hold=True, picture_first=12, picture_end=800,
        shape=(1080, 1920), parameters_change=True,
    )  # fmt: skip
    assert span == Span.from_json(json.loads(json.dumps(span.to_json())))
    waiting = {name: span.to_json()[name] for name in ("first", "frames", "total", "rate", "origin_s", "seek", "hold")}
    assert Span.from_json(waiting).shape is None  # a plan from before there were shapes
    for shape in ([0, 2], [1080, 1921], [3, 2], [99_999, 2]):
        with pytest.raises(ValueError, match="not the size"):
            Span.from_json(span.to_json() | {"shape": shape})
    with pytest.raises(ValueError, match="not a span"):
        Span.from_json(span.to_json() | {"frames": 901})
