"""The columns of the gaze bench, each on a sequence made so that its answer is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.benchmarks.gaze.appearance import Appearance
from scripts.benchmarks.gaze.clip_groups import HEAD, Judged, line, table
from scripts.benchmarks.gaze.columns import Columns, alone, applied, compare, looks_into_lens, total, view
from scripts.benchmarks.gaze.faces import Numbers
from scripts.benchmarks.gaze.judge_bias import own
from scripts.benchmarks.gaze.measurements import Measurements

FRAMES, EVERY = 120, 3
NETWORKS = [0, 1]  # of three judges
USUAL = 0.3


def marks(gaze_deg: tuple[float, float] = (8.0, -6.0)) -> Measurements:
    """Make a film of somebody who looks 10° off the lens and glides about a little."""
    gaze = np.full((3, FRAMES, 2), np.nan)
    gaze[:, ::EVERY] = gaze_deg
    glide = np.linspace(0, 0.12, FRAMES)[:, None, None] * np.ones((1, 2, 2))
    flow, decibels = np.full(FRAMES, np.nan), np.full(FRAMES, np.nan)
    flow[::EVERY], decibels[::EVERY] = 0.002, 50.0
    return Measurements(
        head_deg=np.zeros((FRAMES, 2)),
        gaze_deg=gaze,
        opening=np.full((FRAMES, 2), USUAL),
        iris=glide,
        rim=glide.copy(),
        sharpness=np.full((FRAMES, 2), 12.0),
        light=np.full((FRAMES, 2), 80.0),
        flow=flow,
        outside_db=decibels,
        inside_db=decibels.copy(),
    )


def judged(marks: Measurements, gaze_deg: Numbers | tuple[float, float]) -> Measurements:
    """Let every judge see another gaze."""
    gaze = marks.gaze_deg.copy()
    gaze[:, ::EVERY] = gaze_deg
    return replace(marks, gaze_deg=gaze)


def test_nothing_compared_with_itself_has_changed_nothing() -> None:
    row = compare(marks(), marks(), NETWORKS)
    assert (FRAMES / EVERY, 10.0, 10.0, 0.0) == (row.frames, row.before, row.after, row.moved)
    assert (1.0, 1.0, 0.0, 0.0) == (row.sharpness, row.light, row.flow, row.spread)
    assert (1.0, 1.0) == pytest.approx((row.jitter, row.jitter_rim))


@given(st.floats(-15, 15), st.floats(-15, 15))
def test_error_is_the_length_and_sideways_the_breadth(yaw: float, pitch: float) -> None:
    row = compare(marks(), judged(marks(), (yaw, pitch)), NETWORKS)
    assert float(np.hypot(yaw, pitch)) == pytest.approx(row.after)
    assert abs(yaw) == pytest.approx(row.sideways)
    assert float(np.hypot(yaw - 8, pitch + 6)) == pytest.approx(row.moved)
    assert float(np.hypot(yaw, pitch) <= 5) == row.within


def test_the_third_judge_has_no_say() -> None:
    seen = marks()
    seen.gaze_deg[2] = 90.0
    assert 10.0 == compare(seen, seen, NETWORKS).before
    assert (90 * 2**0.5,) * 2 == pytest.approx(alone(seen, seen, NETWORKS, 2)[:2])


def test_only_correctable_frames_count() -> None:
    """A third of the judged frames looks into the lens, a third 10° off, a third 40° off."""
    thirds = np.zeros((FRAMES // EVERY, 2))
    thirds[1::3], thirds[2::3] = (10.0, 0.0), (40.0, 0.0)
    before = judged(marks(), thirds)
    row = compare(before, judged(before, thirds * 0.5), NETWORKS)
    assert (13, 10.0, 5.0) == (row.frames, row.before, row.after)
    assert (14, 0.0) == (row.lens_frames, row.lens_moved)
    assert (13, 20.0) == (row.far_frames, row.far_moved)


def test_a_turned_head_is_not_correctable() -> None:
    turned = marks()
    turned.head_deg[:60, 0] = 25.0
    assert FRAMES / EVERY / 2 == compare(turned, turned, NETWORKS).frames


def test_spread_is_the_way_from_the_films_own_middle() -> None:
    around = np.array([(23.0, 0.0), (17.0, 0.0), (20.0, 3.0), (20.0, -3.0)] * 10)
    row = compare(marks(), judged(marks(), around), NETWORKS)
    assert 3.0 == pytest.approx(row.spread)


@pytest.mark.parametrize("name", ["sharpness", "light"])
def test_a_ratio_is_the_mean_of_both_eyes_or_the_one_that_is_seen(name: str) -> None:
    before = marks()
    theirs = getattr(before, name).copy()
    theirs[:, 0] *= 0.5
    theirs[:, 1] *= 0.9
    assert 0.7 == pytest.approx(getattr(compare(before, replace(before, **{name: theirs}), NETWORKS), name))
    theirs[:, 1] = np.nan
    assert 0.5 == pytest.approx(getattr(compare(before, replace(before, **{name: theirs}), NETWORKS), name))


def test_flow_is_told_over_the_floor_in_percent_of_an_eye() -> None:
    row = compare(marks(), replace(marks(), flow=marks().flow + 0.008), NETWORKS)
    assert 0.8 == pytest.approx(row.flow)


def blinking(lowest: float) -> Numbers:
    opening = np.full((FRAMES, 2), USUAL)
    for first in (20, 70):
        opening[first : first + 6] = lowest
    opening[95:115] = 0.1  # rests its eyes for longer than any blink
    return opening


def test_blinks_are_counted_and_those_that_were_opened() -> None:
    before = replace(marks(), opening=blinking(0.05))
    half = blinking(0.05)
    half[20:26] = 0.05 + 0.26 * USUAL
    row = compare(before, replace(before, opening=half), NETWORKS)
    assert (2, 1) == (row.blinks, row.opened)
    assert (2, 0) == (compare(before, before, NETWORKS).blinks, compare(before, before, NETWORKS).opened)


def test_a_blink_of_which_a_little_is_left_is_none_opened() -> None:
    before = replace(marks(), opening=blinking(0.05))
    row = compare(before, replace(before, opening=blinking(0.05 + 0.24 * USUAL)), NETWORKS)
    assert 0 == row.opened


def test_lids_that_are_lowered_for_a_moment_are_no_blink() -> None:
    before = replace(marks(), opening=blinking(0.55 * USUAL))
    row = compare(before, replace(before, opening=np.full((FRAMES, 2), USUAL)), NETWORKS)
    assert (0, 0) == (row.blinks, row.opened)


def test_lids_that_move_alike_correlate_whatever_their_height() -> None:
    before = replace(marks(), opening=blinking(0.05))
    assert 1.0 == pytest.approx(compare(before, replace(before, opening=before.opening * 1.2 + 0.1), NETWORKS).lids)
    assert -1.0 == pytest.approx(compare(before, replace(before, opening=1 - before.opening), NETWORKS).lids)


@given(st.floats(0.2, 5))
def test_jitter_is_the_ratio_of_steps(times: float) -> None:
    before = marks()
    row = compare(before, replace(before, iris=before.iris * times, rim=before.rim * (times + 1)), NETWORKS)
    assert times == pytest.approx(row.jitter)
    assert times + 1 == pytest.approx(row.jitter_rim)


def test_a_steady_glide_shivers_not_and_a_trembling_one_does() -> None:
    trembling = marks().iris.copy()
    trembling[::2] += 0.004
    before = replace(marks(), iris=trembling, rim=trembling)
    assert 0.0 == pytest.approx(compare(before, replace(before, iris=marks().iris), NETWORKS).shiver, abs=1e-9)
    twice = marks().rim.copy()
    twice[::2] += 0.008
    assert 2.0 == pytest.approx(compare(before, replace(before, rim=twice), NETWORKS).shiver_rim)


def test_a_leap_is_a_step_that_was_not_there_before() -> None:
    """The eyes snap aside at 40 and back at 45; their own saccade at 60 is none, and that it is taken back neither."""
    before = marks()
    before.rim[60:] += 0.2
    snapping = before.rim.copy()
    snapping[40:45] += 0.06
    assert 1000 * 2 / (FRAMES - 1) == pytest.approx(compare(before, replace(before, rim=snapping), NETWORKS).leaps)
    steady = before.rim.copy()
    steady[60:] -= 0.2
    assert 0.0 == compare(before, replace(before, rim=steady), NETWORKS).leaps


def test_saccades_and_blinks_are_no_jitter() -> None:
    before = replace(marks(), opening=blinking(0.05))
    jumping = before.iris.copy()
    jumping[60:] += 0.3
    jumping[21:24] += 0.5
    assert 1.0 == pytest.approx(compare(before, replace(before, iris=jumping), NETWORKS).jitter)


def test_a_film_without_such_frames_has_no_figure_and_no_part_in_the_total() -> None:
    into_lens = judged(marks(), (1.0, 0.0))
    without = compare(into_lens, into_lens, NETWORKS)
    assert np.isnan([without.before, without.after, without.within, without.spread, without.far_moved]).all()
    joined = total([without, compare(marks(), marks(), NETWORKS)])
    assert (FRAMES / EVERY, 10.0, FRAMES / EVERY) == (joined.frames, joined.before, joined.lens_frames)


def test_counts_are_added_and_the_rest_is_the_median() -> None:
    rows = [replace(compare(marks(), marks(), NETWORKS), after=after, blinks=3.0) for after in (1.0, 2.0, 9.0)]
    joined = total(rows)
    assert (2.0, 9.0) == (joined.after, joined.blinks)
    assert isinstance(joined, Columns)


def test_a_judges_own_error_is_its_bias_its_gain_and_what_is_left() -> None:
    true = np.array([(0.0, 0.0), (10.0, 0.0), (0.0, 10.0), (-10.0, 0.0), (0.0, -10.0)])
    seen = true * (0.5, 0.8) + (3.0, -2.0)
    found = own(true, seen)
    assert [3.0, -2.0, 0.5, 0.8] == pytest.approx([*found.in_lens_deg, *found.per_degree])
    assert (5 + 2 + 5 + 2) / 5 == pytest.approx(found.error_deg)


def test_a_view_is_the_median_over_open_eyes_and_heads_that_face_us() -> None:
    seen = judged(marks(), np.array([(4.0, 1.0)] * 20 + [(90.0, 90.0)] * 20))
    seen.head_deg[60:90, 1] = 23.0
    seen.opening[90:] = 0.05
    assert (4.0, 1.0) == view(seen, seen, 0)


def test_a_step_counts_between_frames_with_open_eyes_only() -> None:
    """At 20 the eyes shut, and the strength falls; at 60 it falls by .3 with open eyes."""
    strength = np.ones(FRAMES)
    strength[20:24], strength[60] = 0.0, 0.7
    before = marks()
    before.opening[19:25] = 0.05
    assert 0.3 == pytest.approx(compare(before, before, NETWORKS, None, strength).step)
    assert np.isnan(compare(before, before, NETWORKS).step)


def test_faults_count_while_the_eyes_are_open() -> None:
    before = marks()
    before.opening[:30] = 0.05
    seen = Appearance(np.ones((FRAMES, 2)), np.ones((FRAMES, 2)), np.zeros((FRAMES, 2)))
    seen.ring[:30], seen.wholeness[:30], seen.slivers[:30] = 9.0, -9.0, 9.0
    assert (1.0, 1.0, 0.0) == _faults(compare(before, before, NETWORKS, seen))
    seen.ring[30:60], seen.wholeness[30:60], seen.slivers[30:75] = 1.5, 0.5, 1.0
    assert (1.5, 0.5, 1.0) == _faults(compare(before, before, NETWORKS, seen))


def _faults(row: Columns) -> tuple[float, float, float]:
    return row.ring, row.wholeness, row.slivers


def test_the_applied_strength_is_the_main_speakers() -> None:
    report = {
        "columns": ["index", "face", "applied"],
        "frames": [[40, 0, 0.5], [41, 0, 0.6], [41, 1, 0.1], [43, 0, 0.8]],
    }
    assert [0.5, 0.6, np.nan, 0.8] == pytest.approx(applied(report, 4), nan_ok=True)
    assert applied({}, 4) is None


def test_a_clip_looks_into_the_lens_within_the_judges_bias() -> None:
    assert looks_into_lens(judged(marks(), (3.0, -5.0)), NETWORKS)
    assert not looks_into_lens(judged(marks(), (3.0, -9.0)), NETWORKS)


def test_clips_that_look_aside_are_judged_by_what_is_left_and_others_by_what_moved() -> None:
    """Errors are of three clips that look aside; the fourth one looks into the lens and was moved by 2 degrees."""
    row = compare(marks(), marks(), NETWORKS)
    aside = [
        Judged(name, False, replace(row, after=after, moved=9.0, ring=1.0, wholeness=0.9, step=0.1))
        for name, after in (("a", 2.0), ("b", 3.0), ("c", 10.0))
    ]
    lens = Judged("d", True, replace(row, after=90.0, moved=2.0, ring=1.5, wholeness=0.7, step=0.3))
    figures = dict(zip(HEAD, line([*aside, lens]), strict=True))
    assert (3, 5.0, 3.0) == (figures["clips"], figures["error"], figures["median"])
    assert (1, 2.0, 2.0) == (figures["in lens"], figures["moved"], figures["most"])
    assert (1.5, 0.7, 0.3) == (figures["ring"], figures["whole"], figures["step"])
    lines = table({"all": [*aside, lens], "known": aside[:1]})
    assert ["a", "b", "c", "d", "all", "known"] == [text.split()[0] for text in lines[1:7]]
    assert ["looking aside: a, b, c", "into the lens: d"] == lines[7:9]
