"""The geometry of eyes and movements, with numbers that can be checked by hand."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.gaze.corrector import iris_shift_px
from media.gaze.draw import warp
from media.gaze.draw.eyelids import BEYOND_SHARE, LOWER_LID, MOST_LIFT, SCLERA_BELOW, EyeMovement
from media.gaze.easing import fade, smootherstep
from media.gaze.estimate.geometry import Axes, Eye, Outline
from media.gaze.estimate.head_pose import fit
from media.gaze.estimate.measure import pitch_deg, yaw_deg
from media.gaze.face.model import Head
from tests.media.gaze.synthetic import an_eye

PICTURE = (200, 320)


def way_of(outline: Outline, right: float, down: float) -> tuple[float, float]:
    """Say how far an iris really goes, in eye units, of a way that is wanted."""
    scale = min(1.0, warp.MOST_SHIFT / max(float(np.hypot(right, down)), 1e-9))
    return EyeMovement.of(outline, (right * scale, down * scale)).iris_shift


def test_an_eye_turned_thirty_degrees_right_goes_half_its_radius_left() -> None:
    assert pytest.approx((-5.0, 0.0)) == iris_shift_px((30.0, 0.0), 10.0, 1.0)


def test_an_eye_turned_thirty_degrees_down_goes_half_its_radius_up() -> None:
    assert pytest.approx((0.0, -5.0)) == iris_shift_px((0.0, -30.0), 10.0, 1.0)


def test_half_the_share_is_half_the_way() -> None:
    whole, half = iris_shift_px((8.0, -6.0), 40.0, 1.0), iris_shift_px((8.0, -6.0), 40.0, 0.5)
    assert pytest.approx((whole[0] / 2, whole[1] / 2)) == half


def test_smootherstep_has_its_known_values() -> None:
    assert [smootherstep(t) for t in (-1, 0.25, 0.5, 0.75, 2)] == [0.0, 0.103515625, 0.5, 0.896484375, 1.0]


def test_a_fade_is_whole_at_its_first_bound_and_nothing_at_its_second() -> None:
    assert (fade(20, (20, 30)), fade(25, (20, 30)), fade(30, (20, 30))) == (1.0, 0.5, 0.0)
    assert (fade(36, (36, 28)), fade(28, (36, 28))) == (1.0, 0.0)


def _yaw(by_iris: float, by_shape: float, by_network: float, head: float = 0.0, pitch: float = 0.0) -> float:
    return yaw_deg(by_iris, by_shape, by_network, head_yaw_deg=head, gaze_pitch_deg=pitch)


@pytest.mark.parametrize("deg", [5.0, 10.0, 20.0])
def test_a_degree_seen_by_all_ways_counts_for_more_than_one(deg: float) -> None:
    """Iris, blendshapes, network and lids each show a part of a degree only (the lids 0.3 % of the width)."""
    sideways = _yaw(0.84 * deg, 0.7 * deg, 0.85 * deg) - _yaw(0.0, 0.0, 0.0)
    assert pytest.approx(deg, rel=0.1) == sideways
    assert pytest.approx(9.3, abs=0.6) == pitch_deg(0.0, 0.1, 0.0) - pitch_deg(-5.0, 0.07, 0.0)
    assert pytest.approx(7.8, abs=0.6) == pitch_deg(5.0, 0.13, 0.0) - pitch_deg(0.0, 0.1, 0.0)


def test_yaw_rises_evenly_where_the_network_loses_its_share() -> None:
    yaws = [_yaw(0.84 * deg, 0.7 * deg, 0.65 * deg) for deg in range(31)]
    assert all(0.7 < step < 1.5 for step in np.diff(yaws))


def test_a_turn_of_the_head_alone_is_no_gaze() -> None:
    """While the eyes of people rest on a point and the head turns by 10 degrees, the cues move by these shares."""
    assert pytest.approx(0.0, abs=0.8) == _yaw(2.4, -0.7, 2.4, head=10.0) - _yaw(0.0, 0.0, 0.0)


def test_a_nod_alone_is_no_gaze() -> None:
    """While people look into the lens and the head rises by 10 degrees, network and lids move by these shares."""
    assert pytest.approx(0.0, abs=0.8) == pitch_deg(-1.8, 0.1, 10.0) - pitch_deg(-5.0, 0.111, 0.0)


def test_lowered_eyes_are_read_sideways_without_the_network() -> None:
    """Of rendered eyes 20 degrees below the lens it says 4 degrees aside."""
    assert _yaw(0.0, 0.0, 4.0, pitch=-13.0) == _yaw(0.0, 0.0, 0.0)
    steps = [_yaw(0.0, 0.0, 4.0, pitch=-pitch) for pitch in range(20)]
    assert 2.5 < steps[0] - steps[-1] < 3.5
    assert (np.diff(steps) <= 0).all()


def test_lids_that_hang_low_count_no_further_than_the_network_allows() -> None:
    hanging = pitch_deg(0.0, 0.03, 0.0)
    assert pitch_deg(0.0, 0.1, 0.0) - hanging < 9.0
    assert pitch_deg(0.0, 0.0, 0.0) == hanging
    assert pitch_deg(-2.0, 0.0, 0.0) < hanging - 2.0


def test_far_down_the_lids_say_more_than_the_gaze() -> None:
    """Lids of 22 degrees and more below sink faster than the gaze."""
    assert pytest.approx(0.6) == (pitch_deg(-20.0, -0.05, 0.0) - pitch_deg(-20.0, -0.1, 0.0)) / 8.8


def test_outlines_put_the_corners_at_half_a_width_and_the_lids_through_their_points() -> None:
    eye = an_eye(opening=0.3)
    axes = Axes.of(eye)
    ends = axes.point(np.stack([eye.upper[0], eye.upper[-1]]))
    assert pytest.approx(np.array([[-0.5, 0.0], [0.5, 0.0]])) == ends
    outline = Outline.of(eye, axes)
    assert pytest.approx(0.2) == outline.radius
    assert pytest.approx((0.0, -0.1)) == outline.iris
    # A parabola with its top at 0.315 of the width: height = (1/4 - x²) · 4 · 0.315.
    assert pytest.approx(np.array([-1.26, 0.0, 0.0]), abs=1e-9) == outline.upper


def test_a_turned_eye_has_the_same_outline() -> None:
    """Curves are in the eye's own units, whatever the head's roll."""
    eye = an_eye()
    turn = np.array([[0.96, -0.28], [0.28, 0.96]])
    turned = type(eye)(eye.upper @ turn.T, eye.lower @ turn.T, turn @ eye.iris, eye.iris_radius)
    straight = Outline.of(eye, Axes.of(eye))
    assert pytest.approx(straight.upper, abs=1e-9) == Outline.of(turned, Axes.of(turned)).upper


@settings(deadline=None)
@given(st.floats(-14, 14), st.floats(-10, 10), st.floats(0.1, 0.45))
def test_nothing_moves_at_the_border_of_the_box(right: float, down: float, opening: float) -> None:
    eye = an_eye(opening=opening)
    axes = Axes.of(eye)
    area = warp.eye_box(axes, PICTURE)
    assert area is not None
    maps = warp.eye_maps(axes, Outline.of(eye, axes), area, (right, down)).skin
    rows, columns = np.indices(area.shape, dtype=np.float32)
    for edge in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        assert np.array_equal(columns[edge], maps[0][edge])
        assert np.array_equal(rows[edge], maps[1][edge])


@settings(deadline=None)
@given(st.floats(-14, 14), st.floats(-10, 10), st.floats(0.15, 0.45))
def test_the_middle_of_the_iris_comes_from_where_it_was(right: float, down: float, opening: float) -> None:
    eye = an_eye(opening=opening)
    axes = Axes.of(eye)
    area = warp.eye_box(axes, PICTURE)
    assert area is not None
    outline = Outline.of(eye, axes)
    ball = warp.eye_maps(axes, outline, area, (right, down)).eyeball
    assert ball is not None
    went = way_of(outline, right / axes.width, down / axes.width)
    column = round(eye.iris[0] + went[0] * axes.width) - area.left - ball.area.left
    row = round(eye.iris[1] + went[1] * axes.width) - area.top - ball.area.top
    rows, columns = ball.area.shape
    if not (0 <= row < rows and 0 <= column < columns and _is_seen(eye, ball, row, column)):
        return
    for x, y in (ball.warped, *([ball.layers.iris] if ball.layers else [])):
        assert pytest.approx(eye.iris[0] - area.left, abs=0.51) == x[row, column]
        assert pytest.approx(eye.iris[1] - area.top, abs=0.51) == y[row, column]


def _is_seen(eye: Eye, ball: warp.EyeballMaps, row: int, column: int) -> bool:
    """Return whether no lid covers the middle of the iris, before and after the movement."""
    upper, lower = eye.upper[4, 1], eye.lower[4, 1]
    return bool(ball.mask[row, column] == 1 and upper + 3 < eye.iris[1] < lower - 3)


@pytest.mark.parametrize("way", [(0.0, 0.0), (3.0, 0.0), (-4.0, 1.0), (2.0, -0.8)])
def test_small_movements_only_bend_the_picture(way: tuple[float, float]) -> None:
    """A movement of nothing leaves every pixel in its place; others never fold the white over itself."""
    eye = an_eye()
    axes = Axes.of(eye)
    area = warp.eye_box(axes, PICTURE)
    assert area is not None
    ball = warp.eye_maps(axes, Outline.of(eye, axes), area, way).eyeball
    assert ball is not None
    assert ball.layers is None
    if way == (0.0, 0.0):
        rows, columns = np.indices(ball.area.shape, dtype=np.float32)
        assert np.array_equal(columns + ball.area.left, ball.warped[0])
        assert np.array_equal(rows + ball.area.top, ball.warped[1])
    seen = (ball.mask[:, 1:] == 1) & (ball.mask[:, :-1] == 1)
    assert (np.diff(ball.warped[0], axis=1)[seen] > 0.2).all()


@given(st.floats(-0.24, 0.24), st.floats(-0.15, 0.15))
def test_larger_movements_are_drawn_anew_by_degrees(right: float, down: float) -> None:
    """Sideways from 0.08 of the eye's width on, upwards from 0.015 on; nothing at once."""
    eye = an_eye()
    axes = Axes.of(eye)
    area = warp.eye_box(axes, PICTURE)
    assert area is not None
    outline = Outline.of(eye, axes)
    ball = warp.eye_maps(axes, outline, area, (right * axes.width, down * axes.width)).eyeball
    assert ball is not None
    went = way_of(outline, right, down)
    expected = 1 - fade(abs(went[0]), warp.SIDEWAYS) * fade(-went[1], warp.UPWARDS)
    assert pytest.approx(expected, abs=1e-6) == ball.layers_share
    assert (ball.layers is None) == (ball.layers_share == 0)


def test_an_iris_that_would_show_much_white_below_it_goes_less_far_than_its_lids() -> None:
    """The lower lid lies 0.105 below the corners and goes up by half of 0.15; the iris' lower rim lies at 0.125."""
    outline = replace(Outline.of(an_eye(), Axes.of(an_eye())), iris=(0.0, -0.075))
    moved = EyeMovement.of(outline, (0.0, -0.16))
    rests = 0.105 - 0.075 - 0.03 - 0.125
    assert pytest.approx((0.0, rests + 0.25 * (-0.16 - rests))) == moved.iris_shift
    laid = moved.lid_maps(np.zeros(1, np.float32))
    assert pytest.approx((-0.95 * 0.15, -0.5 * 0.15)) == (laid.upper_shift[0], laid.lower_shift[0])
    assert pytest.approx((0.02, -0.06)) == EyeMovement.of(outline, (0.02, -0.06)).iris_shift


@given(st.floats(-0.1, 0.1), st.floats(-0.2, 0.2), st.floats(-0.15, 0.0))
def test_an_iris_keeps_touching_a_lid_that_it_touched(right: float, down: float, height: float) -> None:
    outline = replace(Outline.of(an_eye(), Axes.of(an_eye())), iris=(0.0, height))
    moved = EyeMovement.of(outline, (right, down))
    assert min(down, 0.0) <= moved.iris_shift[1] <= max(down, 0.0)
    white_before = 0.105 * (1 - 4 * right**2) - (height + 0.2)
    lift = max(down, -MOST_LIFT) * (1 - 4 * right**2)
    white_after = white_before + LOWER_LID * lift - moved.iris_shift[1]
    if down < 0:
        assert white_after <= max(SCLERA_BELOW, white_before) + BEYOND_SHARE * abs(down) + 1e-6


@settings(deadline=None)
@given(st.floats(-10, 10))
def test_the_skin_never_folds_over(down: float) -> None:
    """Rows of the skin keep their order: the map back rises from top to bottom."""
    eye = an_eye()
    axes = Axes.of(eye)
    area = warp.eye_box(axes, PICTURE)
    assert area is not None
    rows = warp.eye_maps(axes, Outline.of(eye, axes), area, (0.0, down)).skin[1]
    lid_top = 60 - 0.315 * 60 + 0.95 * down - area.top  # below it the eyeball covers the skin
    assert (np.diff(rows[: int(lid_top)], axis=0) > 0).all()
    assert (np.diff(rows[int(60 + 0.105 * 60 + 0.5 * down) + 2 - area.top :], axis=0) > 0).all()


def test_a_box_across_the_edge_of_the_picture_is_none() -> None:
    assert warp.eye_box(Axes.of(an_eye(middle=(20.0, 60.0))), PICTURE) is None


def test_a_box_lies_on_even_pixels() -> None:
    area = warp.eye_box(Axes.of(an_eye(middle=(101.3, 60.7), width=55.5)), PICTURE)
    assert area is not None
    assert (area.left % 2, area.top % 2, area.right % 2, area.bottom % 2) == (0, 0, 0, 0)


@pytest.mark.parametrize(("yaw", "pitch"), [(0.0, 0.0), (20.0, 0.0), (-15.0, 10.0), (0.0, -25.0)])
def test_a_head_is_found_in_the_pose_in_which_it_was_drawn(head: Head, yaw: float, pitch: float) -> None:
    """The average head, turned and projected by hand, is measured to a tenth of a degree."""
    picture, focal = (1280, 720), 0.9 * 1280
    y, p = np.radians([yaw, pitch])
    turn_yaw = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    turn_pitch = np.array([[1, 0, 0], [0, np.cos(p), np.sin(p)], [0, -np.sin(p), np.cos(p)]])
    turned = head.vertices @ (turn_yaw @ turn_pitch).T
    camera = turned * (1, -1, -1) + (0, 0, 60)
    points = np.zeros((478, 2), np.float32)
    points[:468] = camera[:, :2] / camera[:, 2:] * focal + (360, 640)
    pose = fit(points, head, picture)
    assert pose is not None
    assert pytest.approx((yaw, pitch), abs=0.1) == pose.angles_deg()
    assert pytest.approx(focal / 60, rel=0.01) == pose.px_per_cm(np.zeros(3))
