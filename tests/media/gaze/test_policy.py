"""When eyes are left alone, and that nothing changes by leaps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.gaze.estimate.measure import GazeEstimate
from media.gaze.policy import LOOK_AHEAD, Decision, Policy, decide
from media.gaze.reasons import Reason
from tests.media.gaze.synthetic import an_estimate

AROUND = 2 * LOOK_AHEAD + 1


def decided(
    estimates: list[GazeEstimate | None], at: int = LOOK_AHEAD, zero: tuple[float, float] = (0.0, 0.0)
) -> Decision:
    return decide(estimates, at, zero=zero, usual_opening=0.3, policy=Policy())


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
        (an_estimate((10.0, 0.0), width=31.0), Reason.EYES_TOO_SMALL),
        (an_estimate((10.0, 0.0), opening=0.05), Reason.BLINK),
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


def test_a_blink_is_left_alone_from_before_the_lids_move() -> None:
    estimates: list[GazeEstimate | None] = [an_estimate((10.0, 0.0)) for _ in range(60)]
    for index in (29, 30, 31):
        estimates[index] = an_estimate((10.0, -8.0), opening=0.04)
    strengths = [decided(estimates[at - LOOK_AHEAD : at + LOOK_AHEAD + 1]).strength for at in range(15, 45)]
    assert max(strengths[14:17]) < 0.05  # frames 29 to 31
    assert max(strengths[13], strengths[17]) < 0.3  # the frames beside them
    assert min(strengths[9], strengths[21]) > 0.9  # frames 24 and 36


def test_eyes_are_let_go_quickly_and_taken_up_gently() -> None:
    """Around a head that turns away for a second: an eighth to seven eighths takes longer on the way back."""
    away = an_estimate((12.0, 0.0), head_deg=(40.0, 0.0))
    estimates: list[GazeEstimate | None] = [
        *[an_estimate((12.0, 0.0))] * 30,
        *[away] * 30,
        *[an_estimate((12.0, 0.0))] * 30,
    ]
    strengths = np.array([decided(estimates[at - LOOK_AHEAD : at + LOOK_AHEAD + 1]).strength for at in range(12, 78)])
    assert (strengths[19:48] < 0.9).all()  # frames 31 to 59
    leaving = int((strengths[:30] < 0.9).argmax())
    back = 36 + int((strengths[36:] > 0.9).argmax())
    assert 18 - leaving < 5  # frames before it turns, at 30
    assert back - 48 > 5  # frames after it has turned back, at 60


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
    strengths = [
        decided(estimates[at - LOOK_AHEAD : at + LOOK_AHEAD + 1]).strength
        for at in range(15, len(estimates) - LOOK_AHEAD)
    ]
    assert max(strengths) <= most
    assert most < 1 or max(strengths) > 0.9


@given(st.floats(0, 40), st.floats(0, 40))
@settings(max_examples=25, deadline=None)
def test_strength_never_leaps_when_head_or_face_go(head_yaw: float, other_yaw: float) -> None:
    """From frame to frame less than an eighth, whatever a head does, and even when the face disappears."""
    estimates: list[GazeEstimate | None] = [an_estimate((12.0, 0.0), head_deg=(head_yaw, 0.0))] * 40
    estimates += [an_estimate((12.0, 0.0), head_deg=(other_yaw, 0.0))] * 40
    strengths = [decided(estimates[at - LOOK_AHEAD : at + LOOK_AHEAD + 1]).strength for at in range(15, 65)]
    assert np.abs(np.diff(strengths)).max() < 0.125


def test_correction_has_faded_before_a_face_is_lost() -> None:
    estimates: list[GazeEstimate | None] = [*[an_estimate((12.0, 0.0))] * 40, *[None] * 30]
    strengths = [decided(estimates[at - LOOK_AHEAD : at + LOOK_AHEAD + 1]).strength for at in range(20, 40)]
    assert np.abs(np.diff([1.0, *strengths, 0.0])).max() < 0.126
    assert strengths[-1] < 0.13


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
