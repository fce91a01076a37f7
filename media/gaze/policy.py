"""Decides how much of the gaze is corrected in each frame, for both eyes at once, from the estimates around the frame.

All rules that judge a measured face are here: a rule returns 0 to 1 for a frame, 0 to leave the eyes alone, and has a
`Reason` (`media.gaze.reasons`). `decide` multiplies the rules after smoothing them over time, so that nothing lags and
every fade begins before its cause. No picture is read.

Angles in degrees: yaw + to the picture's right, pitch + up, (0, 0) into the lens. "Open" and "shut" mean the lids.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from media.gaze.easing import fade
from media.gaze.estimate.measure import GazeEstimate
from media.gaze.reasons import Reason

LOOK_AHEAD = 10  # frames on each side: 0.33 s at 30 fps, a whole blink; 31 MB of full HD frames are held back for it

GAP_FADE_FRAMES = 8  # two fewer than LOOK_AHEAD: a frame that may still be measured or interpolated is no gap yet
BLINK_REACH_FRAMES = 2
# Weight of measured pitch against LOOKS_FAR_AWAY: the measurement overestimates it where readers look down by 25° and
# more.
PITCH_WEIGHT_FAR = 0.8


@dataclass(frozen=True)
class Policy:
    """The thresholds; a pair says up to where the correction is whole, and from where there is none."""

    dead_zone_deg: tuple[float, float] = (2.5, 5.5)  # off the speaker's zero: not corrected … wholly corrected
    # Weights of upward and downward gaze in the dead zone: scripts lie beside and below the lens, seldom above; pitch
    # is measured less exactly than yaw, laughing and squinting are measured as looking down, and viewers mind sideways
    # errors most.
    above: float = 0.5
    below: float = 0.75
    gaze_deg: tuple[float, float] = (25.0, 31.0)
    head_yaw_deg: tuple[float, float] = (20.0, 30.0)
    head_pitch_deg: tuple[float, float] = (17.0, 28.0)
    # An iris is placed to 2.4 % of the eye's width at 44 px, to 3 % (4°) at 33 px, where misplaced ones were seen.
    eye_px: tuple[float, float] = (40.0, 32.0)
    # `shut` is a share of the speaker's usual opening: lids below it are shut, for however long. `dip` is a share of
    # the opening in the window: below it is a blink. Reading lowers the lids to two thirds for long; blinks pass in
    # 0.4 s.
    shut: tuple[float, float] = (0.50, 0.32)
    dip: tuple[float, float] = (0.86, 0.68)
    # How far an obstruction is spread over the frames before it and after it: eyes are released quickly and taken up
    # again gently.
    fade_sigma_frames: tuple[float, float] = (3.5, 6.0)  # the steepest step of such a fade is 0.11 a frame
    blink_sigma_frames: tuple[float, float] = (1.3, 1.8)
    # Gaze off the lens for fewer frames than twice the first figure and one is not corrected, gaze through the lens for
    # a frame or two in between does not interrupt: what comes and goes within a third of a second is seen as flicker.
    island_reach_frames: int = 4
    gap_reach_frames: int = 1
    gaze_sigma_frames: float = 3.0
    gaze_sigma_deg: float = 4.0  # a wider jump is a saccade, across which nothing is averaged


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision about one face in one frame."""

    strength: float  # 0 to 1, share of the way from the eyes' own direction to the zero
    off_deg: tuple[float, float]  # smoothed gaze minus the zero
    reason: Reason | None  # why strength is below 0.5; None where the eyes are corrected


WITHOUT_FACE = Decision(0.0, (0.0, 0.0), Reason.NO_FACE)


def decide(
    estimates: Sequence[GazeEstimate | None],
    at: int,
    *,
    zero: tuple[float, float],
    usual_opening: float,
    policy: Policy,
) -> Decision:
    """Decide on one face in one frame.

    Args:
        estimates: of the face in consecutive frames, None where it was not found.
        at: position of the frame that is decided.
        zero: measured gaze of this speaker when looking into the lens.
        usual_opening: of this speaker's eyes, as a share of their width.
        policy: thresholds.
    """
    own = estimates[at]
    if own is None:
        return WITHOUT_FACE
    weights = _fixation_weights(estimates, at, policy)
    gaze = _mean_gaze(estimates, weights)
    off = (gaze[0] - zero[0], gaze[1] - zero[1])
    lids = _lids_open(estimates, usual_opening, policy)
    natural = [
        1.0 if one is None else _natural(one, lid, zero, policy) for one, lid in zip(estimates, lids, strict=True)
    ]
    trust = _smooth(natural, at, policy.fade_sigma_frames)
    open_ = _smooth(lids, at, policy.blink_sigma_frames)
    # Averaged over the frames' own values: the value of the mean gaze would triple its noise at the dead zone's edge.
    away = float(weights @ _off_lens_by_frame(estimates, lids, zero, policy))
    strength = trust * open_ * away * _away_from_gaps(estimates, at)
    return Decision(strength, off, None if strength >= 0.5 else _reason(own, zero, open_, away, policy))


def _away_from_gaps(estimates: Sequence[GazeEstimate | None], at: int) -> float:
    """Fade to 0 towards frames without an estimate, which cannot be corrected; 1 when there is none in the window.

    In a straight line, the slowest fade for which the look-ahead suffices.
    """
    gaps = [abs(index - at) for index, one in enumerate(estimates) if one is None]
    return min(1.0, (min(gaps) - 1) / GAP_FADE_FRAMES) if gaps else 1.0


def _natural(one: GazeEstimate, lid: float, zero: tuple[float, float], policy: Policy) -> float:
    """Return how far eyes turned to the lens would look natural in a frame, 0 to 1."""
    limits = _limits(one.eye_px, one.head_deg, one.gaze_deg, zero, policy)
    # Closing lids are measured as gaze that goes far down.
    far = 1 - lid * (1 - limits[Reason.LOOKS_FAR_AWAY])
    return min(far, limits[Reason.HEAD_TURNED], limits[Reason.EYES_TOO_SMALL])


@lru_cache(maxsize=8 * LOOK_AHEAD)  # each frame is decided upon in the window of every frame around it
def _limits(
    eye_px: float,
    head_deg: tuple[float, float],
    gaze_deg: tuple[float, float],
    zero: tuple[float, float],
    policy: Policy,
) -> dict[Reason, float]:
    """Return the rules on size, head and gaze: 1 correct … 0 leave alone."""
    off = float(np.hypot(gaze_deg[0] - zero[0], PITCH_WEIGHT_FAR * (gaze_deg[1] - zero[1])))
    head_yaw, head_pitch = abs(head_deg[0]), abs(head_deg[1])
    return {
        Reason.EYES_TOO_SMALL: fade(eye_px, policy.eye_px),
        Reason.HEAD_TURNED: min(fade(head_yaw, policy.head_yaw_deg), fade(head_pitch, policy.head_pitch_deg)),
        Reason.LOOKS_FAR_AWAY: fade(off, policy.gaze_deg),
    }


def _reason(own: GazeEstimate, zero: tuple[float, float], open_: float, away: float, policy: Policy) -> Reason | None:
    """Return the strongest rule against correcting this frame; None where it only fades towards a neighbour's."""
    rules = {
        **_limits(own.eye_px, own.head_deg, own.gaze_deg, zero, policy),
        Reason.BLINK: open_,
        Reason.INTO_LENS: away,
    }
    if open_ < 0.5:
        return Reason.BLINK  # the gaze of shut eyes is meaningless
    reason = min(rules, key=lambda key: rules[key])
    return reason if rules[reason] < 0.7 else None


def _lids_open(estimates: Sequence[GazeEstimate | None], usual: float, policy: Policy) -> list[float]:
    """Return for each frame how far its lids are open, 0 shut or in a blink to 1; a missed face counts as open."""
    widest = [one.wider for one in estimates if one is not None]
    if not widest:
        return [0.0] * len(estimates)
    around = float(np.median(widest))
    level = np.array([
        # A wink shuts one eye, which must stay shut. One half-closed eye squints: the other one decides.
        1.0 if one is None else min(fade(one.narrower / usual, policy.shut), fade(one.wider / around, policy.dip))
        for one in estimates
    ])  # fmt: skip
    # Frames beside a closing one count as closing, too: eyes that are released within a single frame seem to snap.
    return list(_neighbours(level, BLINK_REACH_FRAMES).min(axis=1))


def _fixation_weights(estimates: Sequence[GazeEstimate | None], at: int, policy: Policy) -> NDArray[np.float64]:
    """Weight the frames by how much they say about the gaze at one of them; the sum is 1.

    Close in time, and on the same side of any saccade.
    """
    own = estimates[at]
    assert own is not None
    values = np.array([own.gaze_deg if one is None else one.gaze_deg for one in estimates])
    present = np.array([one is not None for one in estimates], dtype=np.float64)
    centre = np.median(values[max(0, at - 1) : at + 2], axis=0)
    distance = np.hypot(*(values - centre).T) / policy.gaze_sigma_deg
    weights = present * _gaussian(len(estimates), at, (policy.gaze_sigma_frames,) * 2) * np.exp(-0.5 * distance**2)
    if weights.sum() < 1e-6:
        weights = np.zeros(len(estimates))
        weights[at] = 1.0
    return np.asarray(weights / weights.sum(), np.float64)


def _mean_gaze(estimates: Sequence[GazeEstimate | None], weights: NDArray[np.float64]) -> tuple[float, float]:
    values = np.array([(0.0, 0.0) if one is None else one.gaze_deg for one in estimates])
    yaw, pitch = weights @ values
    return float(yaw), float(pitch)


def _off_lens_by_frame(
    estimates: Sequence[GazeEstimate | None], lids: Sequence[float], zero: tuple[float, float], policy: Policy
) -> NDArray[np.float64]:
    """Return for each frame how far its gaze is off the lens, 0 to 1, closed and opened over time.

    Islands and gaps too short to be more than flicker are removed. Frames in a blink and without a face are
    interpolated.
    """
    seen = [at for at, (one, lid) in enumerate(zip(estimates, lids, strict=True)) if one is not None and lid >= 0.5]
    if not seen:
        return np.zeros(len(estimates))
    off = [_off_lens(one.gaze_deg, zero, policy) for one in (estimates[at] for at in seen) if one is not None]
    values = np.interp(np.arange(len(estimates)), seen, off)
    dilated = _neighbours(values, policy.gap_reach_frames).max(axis=1)
    closed = _neighbours(dilated, policy.gap_reach_frames).min(axis=1)
    eroded = _neighbours(closed, policy.island_reach_frames).min(axis=1)
    return np.asarray(_neighbours(eroded, policy.island_reach_frames).max(axis=1), np.float64)


def _neighbours(values: NDArray[np.float64], reach: int) -> NDArray[np.float64]:
    """Return for each value the values around it, (n, 2 reach + 1); beyond the ends the first or last is repeated."""
    return np.lib.stride_tricks.sliding_window_view(np.pad(values, reach, mode="edge"), 2 * reach + 1)


@lru_cache(maxsize=8 * LOOK_AHEAD)
def _off_lens(gaze_deg: tuple[float, float], zero: tuple[float, float], policy: Policy) -> float:
    """Return how far a gaze is outside of the dead zone: 0 in the lens to 1."""
    yaw, pitch = gaze_deg[0] - zero[0], gaze_deg[1] - zero[1]
    weight = policy.above if pitch > 0 else policy.below
    return 1 - fade(float(np.hypot(yaw, pitch * weight)), policy.dead_zone_deg)


def _smooth(values: Sequence[float], at: int, sigmas: tuple[float, float]) -> float:
    """Average over time around one frame, so that values fall quickly and rise gently."""
    quick, gentle = sigmas
    kernels = (_gaussian(len(values), at, (quick, quick)), _gaussian(len(values), at, (gentle, quick)))
    return min(float(kernel @ np.asarray(values) / kernel.sum()) for kernel in kernels)


@lru_cache(maxsize=256)
def _gaussian(count: int, at: int, sigmas: tuple[float, float]) -> NDArray[np.float64]:
    """Return Gaussian weights around one frame, with one sigma for earlier and one for later frames."""
    apart = np.arange(count) - at
    weights: NDArray[np.float64] = np.exp(-0.5 * (apart / np.where(apart < 0, *sigmas)) ** 2)
    return weights
