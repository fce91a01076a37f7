"""When eyes are left alone, and that nothing changes by leaps."""

from dataclasses import replace
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.gaze.estimate.measure import GazeEstimate
from media.gaze.policy import LOOK_AHEAD, STEP, Decision, Policy, decide
from media.gaze.reasons import Reason
from tests.media.gaze.synthetic import an_estimate

POLICY = Policy()
AROUND = 2 * LOOK_AHEAD + 1


def decided(
    estimates: list[GazeEstimate | None], at: int = LOOK_AHEAD, zero: tuple[float, float] = (0.0, 0.0)
) -> Decision:
    return decide(estimates, at, zero=zero, usual_opening=0.3, policy=Policy())


@pytest.mark.parametrize("crossed_deg", [-30.0, 0.0, 12.0])
def test_eyes_that_look_the_same_way_or_apart_are_corrected(crossed_deg: float) -> None:
    """One eye of some people turns outwards."""
    assert decided(always(replace(an_estimate((10.0, 0.0)), crossed_deg=crossed_deg))).strength > 0.9


def decided_in_order(estimates: list[GazeEstimate | None], policy: Policy = POLICY) -> list[Decision]:
    """Decide on every frame of a film, as the corrector does."""
    decisions: list[Decision] = []
    for at in range(len(estimates)):
        first = max(0, at - LOOK_AHEAD)
        near = estimates[first : at + LOOK_AHEAD + 1]
        before = decisions[-1] if decisions else None
        decisions.append(decide(near, at - first, zero=(0.0, 0.0), usual_opening=0.3, policy=policy, before=before))
    return decisions


def always(look: GazeEstimate) -> list[GazeEstimate | None]:
    return [look] * AROUND


@pytest.mark.parametrize("gaze", [(10.0, 0.0), (-12.0, -5.0), (0.0, -15.0), (0.0, 14.0), (18.0, 0.0)])
def test_eyes_beside_the_lens_are_corrected_wholly(gaze: tuple[float, float]) -> None:
    decision = decided(always(an_estimate(gaze)))
    assert decision.reason is None
    assert pytest.approx(1.0, abs=0.01) == decision.strength
    assert pytest.approx(gaze) == decision.off_deg


@pytest.mark.parametrize(
    ("look", "reason"),
    [
        (an_estimate((1.0, -1.0)), Reason.INTO_LENS),
        (an_estimate((10.0, 0.0), head_deg=(35.0, 0.0)), Reason.HEAD_TURNED),
        (an_estimate((10.0, 0.0), head_deg=(0.0, -30.0)), Reason.HEAD_TURNED),
        (an_estimate((31.0, 0.0)), Reason.LOOKS_FAR_AWAY),
        (an_estimate((10.0, 0.0), width=15.0), Reason.EYES_TOO_SMALL),
        (an_estimate((10.0, 0.0), opening=0.05), Reason.BLINK),
        (replace(an_estimate((10.0, 0.0)), crossed_deg=25.0), Reason.LOOKS_FAR_AWAY),
    ],
)
def test_what_must_not_be_corrected_is_left_alone_and_says_why(look: GazeEstimate, reason: Reason) -> None:
    decision = decided(always(look))
    assert reason == decision.reason
    assert pytest.approx(0.0, abs=1e-6) == decision.strength


def test_without_a_face_nothing_is_done() -> None:
    assert Decision(0.0, (0.0, 0.0), Reason.NO_FACE) == decided([None] * AROUND)


def test_the_speakers_own_zero_counts() -> None:
    assert decided(always(an_estimate((7.0, -3.0))), zero=(7.0, -3.0)).reason == Reason.INTO_LENS
    assert pytest.approx((3.0, -3.0)) == decided(always(an_estimate((10.0, -6.0))), zero=(7.0, -3.0)).off_deg


def blinking(openings: tuple[float, ...], pitch_deg: float = -6.0) -> list[GazeEstimate | None]:
    """Make a film of eyes beside the lens; from frame 30 the lids close and open. Shut lids are measured far down."""
    shut = [an_estimate((10.0, pitch_deg - (40.0 if opening < 0.24 else 0.0)), opening=opening) for opening in openings]
    return [*[an_estimate((10.0, pitch_deg))] * 30, *shut, *[an_estimate((10.0, pitch_deg))] * 30]


def test_through_a_blink_the_irises_stay_turned_while_they_are_seen() -> None:
    """They would be seen to snap back beside the lens, and to return, with lids still open."""
    decisions = decided_in_order(blinking((0.28, 0.2, 0.04, 0.02, 0.16, 0.26)))
    assert [decision.strength for decision in decisions[33 - 1 : 34]] == [0.0, 0.0]
    assert decisions[32].reason == Reason.BLINK
    sideways = [decision.shares[0][0] for decision in decisions]
    assert pytest.approx(0.0) == max(sideways[32:34])
    assert min(sideways[20:32] + sideways[34:50]) > 0.97
    assert pytest.approx(10.0) == decisions[31].off_deg[0]


def test_through_a_blink_lids_are_lifted_as_far_as_they_are_open() -> None:
    decisions = decided_in_order(blinking((0.28, 0.21, 0.15, 0.04, 0.15, 0.21, 0.28)))
    vertical = [decision.shares[0][1] for decision in decisions]
    assert min(vertical[20:31] + vertical[36:50]) > 0.94
    assert 0.5 < vertical[31] < 0.9
    assert vertical[32] < 0.15
    assert pytest.approx(0.0) == vertical[33]
    assert pytest.approx(-6.0, abs=0.1) == decisions[32].off_deg[1]  # what closing lids are measured as counts nowhere


def test_the_gaze_changes_by_no_leap_while_narrowed_eyes_are_seen() -> None:
    """A squint of ten frames has a gaze before and one after it; halfway between them the irises would leap."""
    before, after = an_estimate((15.0, -4.0)), an_estimate((7.0, 8.0))
    squint = an_estimate((11.0, -30.0), opening=0.18)
    decisions = decided_in_order([*[before] * 30, *[squint] * 10, *[after] * 30])
    off = np.array([decision.off_deg for decision in decisions])
    assert min(decision.shares[0][0] for decision in decisions) > 0.9  # the irises are seen
    assert np.hypot(*np.diff(off, axis=0).T).max() < 3.5
    assert pytest.approx((15.0, -4.0), abs=0.1) == decisions[25].off_deg
    assert pytest.approx((7.0, 8.0), abs=0.1) == decisions[45].off_deg


def test_a_gaze_that_changes_in_a_blink_changes_while_the_lids_are_shut() -> None:
    """Lids close faster than they open, so the middle of a blink may show the irises."""
    before, after = an_estimate((15.0, -4.0)), an_estimate((5.0, -4.0))
    closing = [
        an_estimate((10.0, -40.0), opening=opening) for opening in (0.03, 0.02, 0.14, 0.17, 0.19, 0.2, 0.22, 0.24)
    ]
    decisions = decided_in_order([*[before] * 30, *closing, *[after] * 30])
    assert pytest.approx(15.0, abs=1.0) == decisions[29].off_deg[0]
    assert pytest.approx(5.0, abs=1.5) == decisions[33].off_deg[0]


def test_lids_open_no_faster_by_the_lift_than_they_opened() -> None:
    """Of lids that open evenly the lift grows evenly, too: a steep part of it is seen as eyes that pop open."""
    decisions = decided_in_order(blinking((0.03, 0.06, 0.09, 0.12, 0.15, 0.18, 0.21, 0.24, 0.27)))
    vertical = np.array([decision.shares[0][1] for decision in decisions[30:40]])
    assert np.diff(vertical).max() < 0.22


def test_lids_that_were_shut_for_long_are_lifted_no_faster() -> None:
    """Nothing of the opening before is in the window; the lids of a child that woke up were torn open in one frame."""
    shut = [an_estimate((10.0, -45.0), opening=0.04)] * 25
    opening = [an_estimate((10.0, -15.0), opening=opening) for opening in (0.09, 0.16, 0.2, 0.21, 0.22)]
    decisions = decided_in_order([*shut, *opening, *[an_estimate((10.0, -15.0), opening=0.24)] * 20])
    vertical = np.array([decision.shares[0][1] for decision in decisions])
    assert np.diff(vertical).max() <= 0.35 + 1e-9
    assert vertical[-10] > 0.99


def test_the_further_lift_comes_and_goes_over_several_frames() -> None:
    """With lids that had nearly opened it came in one frame, by half of the irises' way."""
    down = an_estimate((0.0, -20.0), opening=0.2)
    blink = [an_estimate((0.0, -45.0), opening=opening) for opening in (0.14, 0.05, 0.02, 0.09, 0.15, 0.16)]
    decisions = decided_in_order([*[down] * 30, *blink, *[down] * 30])
    uncover = np.array([decision.uncover for decision in decisions])
    assert uncover[25] > 0.95
    assert uncover[31:34].max() == 0
    assert uncover[-15] > 0.95
    assert np.abs(np.diff(uncover)).max() <= 0.25 + 1e-9


def test_shut_eyes_stay_shut_for_however_long() -> None:
    decisions = decided_in_order(blinking((0.04,) * 40))
    assert max(decision.strength for decision in decisions[30:70]) < 0.01
    assert {decision.reason for decision in decisions[30:70]} == {Reason.BLINK}


def test_of_a_wink_the_open_eye_stays_turned() -> None:
    both, shut = an_estimate((10.0, 0.0)), an_estimate((10.0, 0.0), opening=0.03)
    wink = GazeEstimate.of((both.eyes[0], shut.eyes[1]), (10.0, 0.0), (0.0, 0.0), 27.0)
    left, right = decided_in_order([*[both] * 30, *[wink] * 5, *[both] * 30])[32].shares
    assert pytest.approx((1.0, 1.0), abs=0.01) == left
    assert pytest.approx((0.0, 0.0)) == right


looks = st.builds(
    an_estimate,
    st.tuples(st.floats(-40, 40), st.floats(-40, 20)),
    head_deg=st.tuples(st.floats(-35, 35), st.floats(-30, 30)),
    opening=st.sampled_from([0.02, 0.08, 0.12, 0.16, 0.3, 0.3, 0.3]),
    width=st.floats(14, 60),
)
runs = st.tuples(st.one_of(st.none(), looks, looks, looks), st.integers(1, 14))


@given(st.lists(runs, min_size=2, max_size=8), st.integers(0, 1000))
@settings(max_examples=150, deadline=None)
def test_no_step_is_seen_whatever_eyes_and_heads_do(films: list[tuple[GazeEstimate | None, int]], seed: int) -> None:
    """Saccades, glances, blinks, turning heads, eyes that shrink, lost faces, all of it with noise."""
    rng = Random(seed)
    estimates = [noisy(look, rng) for look, frames in films for _ in range(frames)]
    decisions = decided_in_order(estimates)
    for (one, before), (other, after) in pairwise(zip(estimates, decisions, strict=True)):
        if all(look is None or look.narrower > 0.27 for look in (one, other)):
            assert abs(after.strength - before.strength) <= STEP + 1e-9
            assert np.abs(np.array(after.shares) - np.array(before.shares)).max() <= STEP + 1e-9


def noisy(look: GazeEstimate | None, rng: Random) -> GazeEstimate | None:
    if look is None:
        return None
    yaw, pitch = look.gaze_deg
    return GazeEstimate.of(look.eyes, (yaw + rng.gauss(0, 1), pitch + rng.gauss(0, 1)), look.head_deg, look.radius_px)


def test_a_far_look_is_left_alone_from_its_first_frame() -> None:
    """A saccade takes a frame or two; what is seen of a look far away must be all as filmed."""
    far = an_estimate((36.0, -4.0))
    decisions = decided_in_order([*[an_estimate((12.0, -4.0))] * 30, *[far] * 20, *[an_estimate((12.0, -4.0))] * 30])
    assert max(decision.strength for decision in decisions[30:50]) < 0.01
    assert decisions[15].strength > 0.99
    assert decisions[65].strength > 0.99


def test_a_look_far_down_is_left_alone_although_it_lowers_the_lids() -> None:
    """It begins like a blink; that it is none must be known in time."""
    down: list[GazeEstimate | None] = [an_estimate((10.0, -42.0), opening=0.2)] * 20
    beside: list[GazeEstimate | None] = [an_estimate((10.0, -6.0))] * 30
    decisions = decided_in_order([*beside, *down, *beside])
    assert max(decision.strength for decision in decisions[30:50]) < 0.1
    assert Reason.LOOKS_FAR_AWAY == decisions[40].reason


def test_a_newest_frame_that_is_not_measured_yet_changes_nothing() -> None:
    """Every other one is measured after the next; the eyes sink slowly, and no frame may be taken for a dip."""
    film = [an_estimate((4.0, -10.0 - 0.6 * at), opening=0.3 - 0.006 * at) for at in range(32)]
    whole: list[GazeEstimate | None] = list(film[: 2 * LOOK_AHEAD + 1])
    one, other = decided(whole), decided([*whole[:-1], None])
    assert pytest.approx(one.off_deg, abs=0.05) == other.off_deg
    assert pytest.approx(one.strength, abs=0.02) == other.strength
    assert pytest.approx(np.array(one.shares), abs=0.02) == np.array(other.shares)


def test_a_single_wrong_measurement_lets_nothing_go() -> None:
    decisions = decided_in_order(
        [*[an_estimate((12.0, 0.0))] * 30, an_estimate((45.0, 0.0)), *[an_estimate((12.0, 0.0))] * 30]
    )
    assert min(decision.strength for decision in decisions) > 0.85


def rolling(frames: int, per_turn: float) -> list[GazeEstimate | None]:
    """Eyes that roll, 30° aside, 20° up and 30° down; the lids follow, so that the lowered eyes look like a blink."""
    angles = 2 * np.pi * np.arange(frames) / per_turn
    return [
        an_estimate(
            (30 * float(np.cos(angle)), -5 + 25 * float(np.sin(angle))), opening=0.3 + 0.1 * float(np.sin(angle))
        )
        for angle in angles
    ]


@pytest.mark.parametrize("per_turn", [3.3, 5.0, 7.0, 9.0])
def test_eyes_that_roll_are_left_alone(per_turn: float) -> None:
    """Nothing of them can rest in the lens: they were drawn in part there, differently in each frame."""
    beside: list[GazeEstimate | None] = [an_estimate((12.0, -4.0))] * 30
    decisions = decided_in_order([*beside, *rolling(30, per_turn), *beside])
    assert max(decision.strength for decision in decisions[33:56]) < 0.15
    assert {decision.reason for decision in decisions[33:56]} <= {Reason.LOOKS_FAR_AWAY, Reason.BLINK}
    assert min(decisions[15].strength, decisions[75].strength) > 0.99


@pytest.mark.parametrize(("frames", "way"), [(4, (-14.0, 14.0)), (6, (-8.0, 12.0)), (9, (-16.0, 16.0))])
def test_eyes_that_leap_from_rest_to_rest_are_corrected(frames: int, way: tuple[float, float]) -> None:
    """A reader's eyes, or some that go to and fro between two people: each leap takes two frames."""
    one, other = ([an_estimate((yaw, -8.0))] * frames for yaw in way)
    between = an_estimate((sum(way) / 2, -8.0))
    film: list[GazeEstimate | None] = [*one, between, *other, between] * 6
    assert min(decision.strength for decision in decided_in_order(film)[10:-10]) > 0.8


@pytest.mark.parametrize("degrees_a_frame", [0.5, 1.5, 3.0])
def test_eyes_that_follow_something_are_corrected(degrees_a_frame: float) -> None:
    yaws = np.abs(np.arange(90) * degrees_a_frame % 40 - 20) + 4  # to and fro
    film: list[GazeEstimate | None] = [an_estimate((float(min(yaw, 20.0)), -4.0)) for yaw in yaws]
    assert min(decision.strength for decision in decided_in_order(film)[10:-10]) > 0.9


def test_small_eyes_whose_measurement_is_noisy_are_not_taken_for_restless() -> None:
    rng = Random(5)
    film = [an_estimate((12.0 + rng.gauss(0, 4), -6.0 + rng.gauss(0, 4)), width=26.0) for _ in range(80)]
    assert min(decision.strength for decision in decided_in_order([*film])[10:-10]) > 0.8


def test_eyes_of_24_pixels_are_corrected() -> None:
    assert decided(always(an_estimate((10.0, 0.0), width=24.0))).strength > 0.99
    assert 0.1 < decided(always(an_estimate((10.0, 0.0), width=20.0))).strength < 0.9


def test_the_gaze_of_small_eyes_is_averaged_over_more_frames() -> None:
    """Twice the noise, and not much more of it left."""

    def shiver(width: float, noise: float) -> float:
        rng = np.random.default_rng(4)
        film: list[GazeEstimate | None] = [
            an_estimate((10.0 + rng.normal(0, noise), 0.0), width=width) for _ in range(120)
        ]
        return float(np.std(np.diff([decision.off_deg[0] for decision in decided_in_order(film)[15:105]])))

    assert shiver(24.0, 1.4) < 1.3 * shiver(60.0, 0.7)


def test_eyes_are_let_go_before_a_head_turns_and_taken_up_after_it() -> None:
    """Around a head that turns away for a second: the eyes are as filmed all that time, and no fade is a leap."""
    away = an_estimate((12.0, 0.0), head_deg=(40.0, 0.0))
    beside = an_estimate((12.0, 0.0))
    film: list[GazeEstimate | None] = [*[beside] * 30, *[away] * 30, *[beside] * 30]
    strengths = np.array([decision.strength for decision in decided_in_order(film)])
    assert max(strengths[30:60]) < 0.01
    leaving = 30 - int((strengths < 0.9).argmax())
    back = int((strengths[60:] > 0.9).argmax())
    assert 6 <= leaving <= 9
    assert 6 <= back <= 12


def test_lids_lowered_for_reading_are_no_blink() -> None:
    assert decided(always(an_estimate((0.0, -15.0), opening=0.19))).strength > 0.9


def test_a_wink_counts_as_a_blink() -> None:
    both = an_estimate((10.0, 0.0))
    shut = an_estimate((10.0, 0.0), opening=0.03)
    wink = GazeEstimate.of((both.eyes[0], shut.eyes[1]), (10.0, 0.0), (0.0, 0.0), 27.0)
    assert decided(always(wink)).reason == Reason.BLINK


def test_one_squinting_eye_lets_nothing_go() -> None:
    """The other one is open and would be seen to leap."""
    both, squint = an_estimate((10.0, 0.0)), an_estimate((10.0, 0.0), opening=0.18)
    squinting = GazeEstimate.of((both.eyes[0], squint.eyes[1]), (10.0, 0.0), (0.0, 0.0), 27.0)
    estimates: list[GazeEstimate | None] = [*[both] * 30, *[squinting] * 5, *[both] * 30]
    assert min(decided(estimates[at - LOOK_AHEAD : at + LOOK_AHEAD + 1]).strength for at in range(15, 50)) > 0.9


def test_lids_on_their_way_down_are_no_look_far_away() -> None:
    """A shut eye is measured as one that looks far down; the fade around a blink stays as short as a blink's."""
    estimates: list[GazeEstimate | None] = [
        *[an_estimate((10.0, 0.0))] * 30,
        *[an_estimate((10.0, -60.0), opening=0.03)] * 3,
    ]
    estimates += [an_estimate((10.0, 0.0))] * 30
    strengths = [decided(estimates[at - LOOK_AHEAD : at + LOOK_AHEAD + 1]).strength for at in range(15, 45)]
    assert min(strengths[9], strengths[22]) > 0.9  # frames 24 and 37
    assert decided(estimates[31 - LOOK_AHEAD : 32 + LOOK_AHEAD]).reason == Reason.BLINK


@pytest.mark.parametrize(("frames", "most"), [(2, 0.1), (8, 0.1), (12, 1.0)])
def test_a_glance_off_the_lens_too_short_to_be_more_than_flicker_is_left_alone(frames: int, most: float) -> None:
    estimates: list[GazeEstimate | None] = [
        *[an_estimate()] * 30,
        *[an_estimate((8.0, 0.0))] * frames,
        *[an_estimate()] * 30,
    ]
    strengths = [decision.strength for decision in decided_in_order(estimates)]
    assert max(strengths) <= most
    assert most < 1 or max(strengths) > 0.9


@given(st.floats(0, 40), st.floats(0, 40))
@settings(max_examples=25, deadline=None)
def test_strength_never_leaps_when_head_or_face_go(head_yaw: float, other_yaw: float) -> None:
    """From frame to frame at most a step, whatever a head does, and even when the face disappears."""
    estimates: list[GazeEstimate | None] = [an_estimate((12.0, 0.0), head_deg=(head_yaw, 0.0))] * 40
    estimates += [an_estimate((12.0, 0.0), head_deg=(other_yaw, 0.0))] * 40
    strengths = [decision.strength for decision in decided_in_order(estimates)]
    assert np.abs(np.diff(strengths)).max() <= STEP + 1e-9


def test_correction_has_faded_before_a_face_is_lost() -> None:
    estimates: list[GazeEstimate | None] = [*[an_estimate((12.0, 0.0))] * 40, *[None] * 30]
    strengths = [decided(estimates[at - LOOK_AHEAD : at + LOOK_AHEAD + 1]).strength for at in range(20, 40)]
    assert np.abs(np.diff([1.0, *strengths, 0.0])).max() <= STEP + 1e-9
    assert strengths[-1] <= STEP


def test_saccades_are_not_smoothed_away() -> None:
    """Reading eyes leap; the frame after a leap already has the new direction."""
    estimates: list[GazeEstimate | None] = [*[an_estimate((5.0, 0.0))] * 30, *[an_estimate((17.0, 0.0))] * 30]
    after = decided(estimates[30 - LOOK_AHEAD : 31 + LOOK_AHEAD])
    assert pytest.approx(17.0, abs=1.0) == after.off_deg[0]


def test_noise_is_smoothed_away() -> None:
    rng = np.random.default_rng(3)
    estimates: list[GazeEstimate | None] = [an_estimate((10.0 + rng.normal(0, 0.7), 0.0)) for _ in range(120)]
    yaws = [decided(estimates[at - LOOK_AHEAD : at + LOOK_AHEAD + 1]).off_deg[0] for at in range(15, 105)]
    assert float(np.std(np.diff(yaws))) < 0.25 * 0.7


def test_lids_of_eyes_that_look_down_are_lifted_off_their_irises() -> None:
    assert pytest.approx(1.0, abs=0.01) == decided(always(an_estimate((0.0, -20.0), opening=0.2))).uncover


def test_lids_that_close_slowly_are_lifted_as_far_as_the_irises_only() -> None:
    """Otherwise the eyes stay wide open over shutting lids, and shut in one frame."""
    closing = [an_estimate((0.0, -20.0), opening=float(opening)) for opening in np.linspace(0.2, 0.04, 24)]
    film: list[GazeEstimate | None] = [
        *[an_estimate((0.0, -20.0), opening=0.2)] * 20,
        *closing,
        *[an_estimate((0.0, -50.0), opening=0.03)] * 20,
    ]
    decisions = decided_in_order(film)
    assert decisions[10].uncover > 0.95
    for look, decision in zip(film, decisions, strict=True):
        assert look is not None
        assert look.opening >= 0.4 * 0.3 - 0.02 or decision.uncover < 0.1
    assert max(abs(b.uncover - a.uncover) for a, b in pairwise(decisions)) < 0.2


def test_the_lids_of_a_blink_are_not_lifted_off_the_irises() -> None:
    for look, decision in zip(
        *((film := blinking((0.27, 0.2, 0.1, 0.1, 0.2, 0.27))), decided_in_order(film)), strict=True
    ):
        assert look is not None
        assert look.opening > 0.25 or decision.uncover == 0
