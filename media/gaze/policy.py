"""How much of the gaze to correct in each frame, and why not: one decision for both eyes from what was measured.

Numbers in, numbers out; no picture is touched. A decision looks at frames before and after its own, so that nothing
lags and every fade begins before its cause. Angles in degrees, yaw + picture right, pitch + up, (0, 0) into the lens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from media.gaze.easing import fade
from media.gaze.estimate.measure import Look
from media.gaze.reasons import Reason

LOOK_AHEAD = 10  # frames on each side; 0.33 s at 30 fps hold a whole blink, and 31 MB of full HD pictures wait

GAP_FADE_FRAMES = 8  # two fewer than are looked ahead: a frame that is yet to be looked at, or filled in, is no gap
BLINK_REACH_FRAMES = 2
STEEP = 0.8  # of measured pitch, which errs to the far side where readers look down by 25° and more


@dataclass(frozen=True)
class Policy:
    """The thresholds, each pair from "wholly" to "not at all"."""

    dead_zone_deg: tuple[float, float] = (2.5, 5.5)  # off the speaker's zero: left alone … corrected wholly
    # Weights of upward and downward gaze in it: scripts lie beside and below the lens, seldom above; pitch is measured
    # worse than yaw, laughing and squinting look like looking down, and viewers mind sideways errors most.
    above: float = 0.5
    below: float = 0.75
    gaze_deg: tuple[float, float] = (25.0, 31.0)
    head_yaw_deg: tuple[float, float] = (20.0, 30.0)
    head_pitch_deg: tuple[float, float] = (17.0, 28.0)
    # An iris is placed to 2.4 % of the eye's width at 44 px, to 3 % (4°) at 33, where misplaced ones were seen.
    eye_px: tuple[float, float] = (40.0, 32.0)
    # Of the speaker's usual opening: lids this far down are shut, however long; and of the opening around the
    # moment: a dip this deep is a blink. Reading lowers the lids to two thirds for long, blinks pass in 0.4 s.
    shut: tuple[float, float] = (0.50, 0.32)
    dip: tuple[float, float] = (0.86, 0.68)
    # How long a hindrance is felt before it and after it: eyes are let go quickly and taken up again gently.
    fade_sigma_frames: tuple[float, float] = (3.5, 6.0)  # the steepest step of such a fade is 0.11 a frame
    blink_sigma_frames: tuple[float, float] = (1.3, 1.8)
    # Looks off the lens for less than twice this and one are left alone, looks through it in between for a frame or two
    # are not: what comes and goes within a third of a second is seen as flicker.
    island_reach_frames: int = 4
    gap_reach_frames: int = 1
    gaze_sigma_frames: float = 3.0
    gaze_sigma_deg: float = 4.0  # a jump wider than this is a saccade, over which nothing is smoothed


@dataclass(frozen=True, slots=True)
class Decision:
    """What is done in one frame."""

    strength: float  # 0 to 1, of the way from the eyes' own direction to the zero
    off_deg: tuple[float, float]  # smoothed gaze minus the zero
    reason: Reason | None  # why strength is low; None where the eyes are corrected


KEEP = Decision(0.0, (0.0, 0.0), Reason.NO_FACE)


def decide(
    looks: Sequence[Look | None], at: int, *, zero: tuple[float, float], usual_opening: float, policy: Policy
) -> Decision:
    """Decide on one frame.

    Args:
        looks: measurements of consecutive frames around the one in question, None without a face.
        at: which of them is decided.
        zero: gaze of this speaker into this lens, as measured.
        usual_opening: of this speaker's eyes, as a share of their width.
        policy: thresholds.
    """
    own = looks[at]
    if own is None:
        return KEEP
    near = _same_fixation(looks, at, policy)
    gaze = _mean_gaze(looks, near)
    off = (gaze[0] - zero[0], gaze[1] - zero[1])
    lids = _lids_open(looks, usual_opening, policy)
    trusted = [1.0 if look is None else _trust(look, lid, zero, policy) for look, lid in zip(looks, lids, strict=True)]
    trust = _spread(trusted, at, policy.fade_sigma_frames)
    open_ = _spread(lids, at, policy.blink_sigma_frames)
    # Not from the mean gaze of this one frame: at the edge of the dead zone its noise would come out threefold.
    away = float(near @ _away(looks, lids, zero, policy))
    strength = trust * open_ * away * _near_a_gap(looks, at)
    return Decision(strength, off, None if strength >= 0.5 else _reason(own, zero, open_, away, policy))


def _near_a_gap(looks: Sequence[Look | None], at: int) -> float:
    """Fade to nothing towards frames without a look, where nothing can be corrected: 1 when there is none in sight.

    In a straight line, which is the slowest way that look-ahead leaves room for.
    """
    gaps = [abs(index - at) for index, look in enumerate(looks) if look is None]
    return min(1.0, (min(gaps) - 1) / GAP_FADE_FRAMES) if gaps else 1.0


def _trust(look: Look, lid: float, zero: tuple[float, float], policy: Policy) -> float:
    limits = _limits(look.eye_px, look.head_deg, look.gaze_deg, zero, policy)
    # Lids on their way down are measured as a look far down.
    far = 1 - lid * (1 - limits[Reason.LOOKS_FAR_AWAY])
    return min(far, limits[Reason.HEAD_TURNED], limits[Reason.EYES_TOO_SMALL])


@lru_cache(maxsize=8 * LOOK_AHEAD)  # each frame is asked for once for every frame around it
def _limits(
    eye_px: float,
    head_deg: tuple[float, float],
    gaze_deg: tuple[float, float],
    zero: tuple[float, float],
    policy: Policy,
) -> dict[Reason, float]:
    off = float(np.hypot(gaze_deg[0] - zero[0], STEEP * (gaze_deg[1] - zero[1])))
    head_yaw, head_pitch = abs(head_deg[0]), abs(head_deg[1])
    return {
        Reason.EYES_TOO_SMALL: fade(eye_px, policy.eye_px),
        Reason.HEAD_TURNED: min(fade(head_yaw, policy.head_yaw_deg), fade(head_pitch, policy.head_pitch_deg)),
        Reason.LOOKS_FAR_AWAY: fade(off, policy.gaze_deg),
    }


def _reason(own: Look, zero: tuple[float, float], open_: float, away: float, policy: Policy) -> Reason | None:
    """Name the strongest hindrance of this frame; a frame that only fades towards a neighbour's names none."""
    hindrances = {
        **_limits(own.eye_px, own.head_deg, own.gaze_deg, zero, policy),
        Reason.BLINK: open_,
        Reason.INTO_LENS: away,
    }
    if open_ < 0.5:
        return Reason.BLINK  # whatever shut eyes seem to look at
    reason = min(hindrances, key=lambda key: hindrances[key])
    return reason if hindrances[reason] < 0.7 else None


def _lids_open(looks: Sequence[Look | None], usual: float, policy: Policy) -> list[float]:
    """Say for each frame how far its lids are from a blink, 0 shut to 1 open; a lost face is no blink."""
    widest = [look.wider for look in looks if look is not None]
    if not widest:
        return [0.0] * len(looks)
    around = float(np.median(widest))
    level = np.array([
        # A wink shuts one eye, which must stay so; half closed, one eye squints.
        1.0 if look is None else min(fade(look.narrower / usual, policy.shut), fade(look.wider / around, policy.dip))
        for look in looks
    ])  # fmt: skip
    # Frames beside a closing one are closing, too: eyes that are let go in a single frame are seen to snap.
    return list(_around(level, BLINK_REACH_FRAMES).min(axis=1))


def _same_fixation(looks: Sequence[Look | None], at: int, policy: Policy) -> NDArray[np.float64]:
    """Weigh the frames around one by how much they tell of its gaze: close in time, and on its side of any saccade."""
    own = looks[at]
    assert own is not None
    values = np.array([own.gaze_deg if look is None else look.gaze_deg for look in looks])
    present = np.array([look is not None for look in looks], dtype=np.float64)
    centre = np.median(values[max(0, at - 1) : at + 2], axis=0)
    apart = np.hypot(*(values - centre).T) / policy.gaze_sigma_deg
    weights = present * _bell(len(looks), at, (policy.gaze_sigma_frames,) * 2) * np.exp(-0.5 * apart**2)
    if weights.sum() < 1e-6:
        weights = np.zeros(len(looks))
        weights[at] = 1.0
    return np.asarray(weights / weights.sum(), np.float64)


def _mean_gaze(looks: Sequence[Look | None], weights: NDArray[np.float64]) -> tuple[float, float]:
    values = np.array([(0.0, 0.0) if look is None else look.gaze_deg for look in looks])
    yaw, pitch = weights @ values
    return float(yaw), float(pitch)


def _away(
    looks: Sequence[Look | None], lids: Sequence[float], zero: tuple[float, float], policy: Policy
) -> NDArray[np.float64]:
    """Say for each frame how far its gaze is off the lens, 0 to 1, without islands too short to be more than flicker.

    Frames in a blink, and without a face, say nothing and are taken for what lies around them.
    """
    seen = [at for at, (look, lid) in enumerate(zip(looks, lids, strict=True)) if look is not None and lid >= 0.5]
    if not seen:
        return np.zeros(len(looks))
    off = [_off_lens(look.gaze_deg, zero, policy) for look in (looks[at] for at in seen) if look is not None]
    values = np.interp(np.arange(len(looks)), seen, off)
    without_gaps = _around(_around(values, policy.gap_reach_frames).max(axis=1), policy.gap_reach_frames).min(axis=1)
    reach = policy.island_reach_frames
    return np.asarray(_around(_around(without_gaps, reach).min(axis=1), reach).max(axis=1), np.float64)


def _around(values: NDArray[np.float64], reach: int) -> NDArray[np.float64]:
    """Return for each value those around it; the first and the last one stand for what lies beyond."""
    return np.lib.stride_tricks.sliding_window_view(np.pad(values, reach, mode="edge"), 2 * reach + 1)


@lru_cache(maxsize=8 * LOOK_AHEAD)
def _off_lens(gaze_deg: tuple[float, float], zero: tuple[float, float], policy: Policy) -> float:
    """Say how far a gaze is outside of the dead zone: 0 in the lens to 1."""
    yaw, pitch = gaze_deg[0] - zero[0], gaze_deg[1] - zero[1]
    weight = policy.above if pitch > 0 else policy.below
    return 1 - fade(float(np.hypot(yaw, pitch * weight)), policy.dead_zone_deg)


def _spread(values: Sequence[float], at: int, sigmas: tuple[float, float]) -> float:
    """Smooth over time, with less haste after a low value than before it."""
    quick, gentle = sigmas
    bells = (_bell(len(values), at, (quick, quick)), _bell(len(values), at, (gentle, quick)))
    return min(float(bell @ np.asarray(values) / bell.sum()) for bell in bells)


@lru_cache(maxsize=256)
def _bell(count: int, at: int, sigmas: tuple[float, float]) -> NDArray[np.float64]:
    """Weigh the frames around one by a bell whose sides, earlier and later frames, may be of different width."""
    apart = np.arange(count) - at
    weights: NDArray[np.float64] = np.exp(-0.5 * (apart / np.where(apart < 0, *sigmas)) ** 2)
    return weights
