"""The parts of any video with any pauses contain each tick once, and none is too long or too short."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from media.cutting.cuts import END, LIMIT, PAUSE, Cut, Pause, choose

RATES = st.sampled_from([Fraction(24000, 1001), Fraction(25), Fraction(30000, 1001), Fraction(30), Fraction(60)])
PAUSES = st.lists(st.tuples(st.floats(0, 900), st.floats(0.09, 3)), max_size=60).map(
    lambda pairs: [Pause(start, start + length) for start, length in sorted(pairs)]
)

DOUBTED = st.tuples(PAUSES, st.lists(st.floats(0, 1), min_size=60, max_size=60)).map(
    lambda drawn: [Pause(pause.start_s, pause.end_s, doubt) for pause, doubt in zip(*drawn, strict=False)]
)


@given(
    total=st.integers(1, 60 * 900),
    rate=RATES,
    max_part_s=st.floats(6, 120),
    pauses=DOUBTED,
    exact=st.booleans(),
)
def test_the_parts_partition_the_video(
    total: int, rate: Fraction, max_part_s: float, pauses: list[Pause], exact: bool
) -> None:
    cuts = choose(total, rate, max_part_s, pauses, exact=exact)
    assert cuts[0].first == 0
    assert [cut.first + cut.frames for cut in cuts] == [*(cut.first for cut in cuts[1:]), total]
    assert all(cut.frames / rate <= max_part_s + 1e-3 for cut in cuts)
    assert len(cuts) == 1 or all(cut.frames / rate >= 3 for cut in cuts)
    assert [cut.reason == END for cut in cuts] == [False] * (len(cuts) - 1) + [True]


@given(more_s=st.floats(10, 800), rate=RATES, max_part_s=st.floats(6, 120), at=st.floats(0, 1), pauses=PAUSES)
def test_a_cut_for_a_pause_lies_in_one(
    more_s: float, rate: Fraction, max_part_s: float, at: float, pauses: list[Pause]
) -> None:
    """One pause always lies in reach of the first cut, so there is at least one cut to judge."""
    start_s = 3.1 + at * (max_part_s - 3.8)
    known = sorted([*pauses, Pause(start_s, start_s + 0.5)], key=lambda pause: pause.start_s)
    cuts = choose(round((max_part_s + more_s) * rate), rate, max_part_s, known)
    assert cuts[0].reason == PAUSE
    for cut in [cut for cut in cuts if cut.reason == PAUSE]:
        end_s = (cut.first + cut.frames) / rate
        assert any(pause.start_s <= end_s <= pause.end_s for pause in known)


@given(more_s=st.floats(10, 800), rate=RATES, pauses=PAUSES)
def test_a_limit_is_only_cut_where_no_pause_lies_in_reach(more_s: float, rate: Fraction, pauses: list[Pause]) -> None:
    """All pauses lie behind the first part, so there is at least one cut at the limit."""
    later = [Pause(pause.start_s + 60, pause.end_s + 60) for pause in pauses]
    cuts = choose(round((60 + more_s) * rate), rate, 60, later)
    assert cuts[0].reason == LIMIT
    for cut in [cut for cut in cuts if cut.reason == LIMIT]:
        earliest_s = float(cut.first / rate) + 3.1
        end_s = float((cut.first + cut.frames) / rate)
        inside = [p for p in later if earliest_s <= p.start_s <= p.end_s <= end_s and p.end_s - p.start_s > 0.1]
        assert inside == []


def test_the_tail_is_not_a_scrap() -> None:
    cuts = choose(61 * 30, Fraction(30), 60, [])
    assert cuts == [Cut(0, 51 * 30, LIMIT), Cut(51 * 30, 10 * 30, END)]


def test_exact_cuts_at_the_limit_and_shortens_only_for_a_tail_under_three_seconds() -> None:
    pauses = [Pause(50, 51)]
    assert choose(90 * 30, Fraction(30), 60, pauses, exact=True)[0].frames == 60 * 30
    assert [cut.frames for cut in choose(62 * 30, Fraction(30), 60, pauses, exact=True)] == [59 * 30, 3 * 30]


def test_the_longer_of_two_pauses_near_each_other_wins() -> None:
    cuts = choose(90 * 30, Fraction(30), 60, [Pause(52, 52.6), Pause(55, 55.2)])
    assert cuts[0] == Cut(0, round(52.3 * 30), PAUSE)


def test_a_pause_early_in_the_part_is_better_than_a_cut_in_speech() -> None:
    cuts = choose(90 * 30, Fraction(30), 60, [Pause(20, 21)])
    assert cuts[0] == Cut(0, round(20.5 * 30), PAUSE)


def test_a_doubtful_pause_is_better_than_the_limit_and_worse_than_a_sure_one() -> None:
    doubtful, sure = Pause(50, 50.4, 0.6), Pause(20, 21)
    assert choose(90 * 30, Fraction(30), 60, [doubtful])[0] == Cut(0, round(50.2 * 30), LIMIT)
    assert choose(90 * 30, Fraction(30), 60, [sure, doubtful])[0] == Cut(0, round(20.5 * 30), PAUSE)


def test_the_surer_of_two_pauses_wins_over_the_longer() -> None:
    assert choose(90 * 30, Fraction(30), 60, [Pause(50, 50.3, 1.0), Pause(55, 55.6, 0.91)])[0].frames < 51 * 30
    assert choose(90 * 30, Fraction(30), 60, [Pause(50, 50.3, 0.8), Pause(55, 55.6, 0.4)])[0].frames < 51 * 30
