"""Decides how much of the gaze is corrected in each frame, for both eyes at once, from the estimates around the frame.

All rules that judge a measured face are here: a rule returns 0 to 1 for a frame, 0 to leave the eyes alone, and has a
`Reason` (`media.gaze.reasons`). `decide` multiplies the rules after smoothing them over time, so that nothing lags and
every fade begins before its cause. While the irises are seen, strength changes by at most STEP from frame to frame; a
blink keeps it, and hides what must change. No picture is read.

Angles in degrees: yaw + to the picture's right, pitch + up, (0, 0) into the lens. "Open" and "shut" mean the lids.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from media.gaze.covered import covered
from media.gaze.easing import fade
from media.gaze.estimate.measure import GazeEstimate
from media.gaze.estimate.smoothing import frames_factor
from media.gaze.reasons import Reason

LOOK_AHEAD = 10  # frames on each side: 0.33 s at 30 fps, a whole blink; 31 MB of full HD frames are held back for it

# Largest change of strength from one frame to the next while the lids are open: a larger one is seen as a snap. A fade
# then takes nine frames, one fewer than LOOK_AHEAD: the newest frame may still be measured, and is no gap yet.
STEP = 0.12
BLINK_REACH_FRAMES = 2
UNCOVER_REACH_FRAMES = 2  # openings are averaged over so many frames on each side, as single ones are noisy
# Largest rise of the lids' share of the way, and largest change of their further lift, from one frame to the next. Lids
# that had been shut for longer than the window, or had nearly opened, went up by the whole way in a single frame.
LIFT_STEP, UNCOVER_STEP = 0.35, 0.25
WIDE = 0.9  # of the usual opening: lids that have opened so far have passed as much of their way as the lift adds
DIP_WEIGHT = 4.0  # lids of which a dip takes a fifth of their lift are not lifted off the irises
OPEN_PERCENTILE = 80  # of the window's openings: the lids are open in at least four of its frames
SHORTEST_LOOK_FRAMES = 3  # a fixation lasts a tenth of a second; a shorter one is an error of measurement
EVENLY = 1e-4  # by which the gaze passes on in each frame without open lids, where none is hidden more than others
# Weight of measured pitch against LOOKS_FAR_AWAY: the measurement overestimates it where readers look down by 25° and
# more.
PITCH_WEIGHT_FAR = 0.8
# Frames on each side from which a gaze is taken to rest or not: of seven frames, a saccade leaves four on its own side.
REST_REACH_FRAMES = 3
LEAST_OPENING = 0.55  # share of the opening in the window, below which the measured yaw may be wrong by 60°


@dataclass(frozen=True)
class Policy:
    """The thresholds; a pair says up to where the correction is whole, and from where there is none."""

    dead_zone_deg: tuple[float, float] = (2.5, 5.5)  # off the speaker's zero: not corrected … wholly corrected
    # Weight of pitch in the dead zone: it is measured less exactly than yaw, laughing and squinting are measured as
    # looking down, and viewers mind sideways errors most. With 0.5 for looks above the lens, 14 of 15 rendered degrees
    # were left there; people in the lens are moved as little with 0.75 (five recordings, at most 0.7°).
    pitch_weight: float = 0.75
    gaze_deg: tuple[float, float] = (25.0, 31.0)
    # Median distance of a few frames' gazes from their median: eyes that roll go on by 20° to 40° in each frame, those
    # that follow something by up to 3°. Rolling eyes were drawn in part at the lens, differently in each frame.
    restless_deg: tuple[float, float] = (7.0, 12.0)
    # Beyond what is usual for the speaker. Eyes that do not look the same way cannot both be turned to the lens: a part
    # of each was drawn there. Of open eyes of 18 people 98 % are within 15° of their median, but those of a child that
    # looks far aside and of two women who cross their eyes or roll them, which are 20° to 45° above it.
    crossed_deg: tuple[float, float] = (13.0, 20.0)
    head_yaw_deg: tuple[float, float] = (20.0, 30.0)
    head_pitch_deg: tuple[float, float] = (17.0, 28.0)
    # A single frame places an iris to 2.4 % of the eye's width at 44 px, to 3 % (4°) at 33 px; below, the average over
    # more frames is as exact (`media.gaze.estimate.smoothing.frames_factor`).
    eye_px: tuple[float, float] = (24.0, 16.0)
    # Share of the speaker's usual opening: lids that stay below it are shut, for however long.
    shut: tuple[float, float] = (0.50, 0.32)
    # Share of the opening in the window: below it the lids are nearly shut, and nothing of the iris is seen to move.
    hidden: tuple[float, float] = (0.44, 0.30)
    # Shares of the opening before and after: below it is a blink, in which no gaze is measured. Reading lowers the lids
    # to two thirds for long; blinks pass in 0.4 s.
    dip: tuple[float, float] = (0.86, 0.68)
    # Share of the same: closing lids are lifted less, in proportion. By a smooth fade the lift grew four times as fast
    # as the lids opened in its middle, which was seen as eyes that pop open.
    lift: tuple[float, float] = (0.95, 0.45)
    # Share of the speaker's usual opening: lids that are lower than this close, and are lifted as far as the iris only.
    # A look 20° down leaves 0.65. Without this bound, eyes that closed slowly stayed wide open and shut in one frame.
    uncover: tuple[float, float] = (0.60, 0.40)
    # How far an obstruction is spread over the frames before it and after it: eyes are released quickly and taken up
    # again gently.
    fade_sigma_frames: tuple[float, float] = (3.5, 6.0)  # the steepest step of such a fade is 0.11 a frame
    # Gaze off the lens for fewer frames than twice the first figure and one is not corrected, gaze through the lens for
    # a frame or two in between does not interrupt: what comes and goes within a third of a second is seen as flicker.
    island_reach_frames: int = 4
    gap_reach_frames: int = 1
    gaze_sigma_frames: float = 3.0
    gaze_sigma_deg: float = 4.0  # a wider jump is a saccade, across which nothing is averaged


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision about one face in one frame."""

    strength: float  # 0 to 1, share of the way from the eyes' own direction to the zero; 0 while the lids are shut
    off_deg: tuple[float, float]  # smoothed gaze minus the zero
    reason: Reason | None  # why strength is below 0.5; None where the eyes are corrected
    # Of each eye, the picture's left first, 0 to 1: the share of the way sideways and vertically. A blink keeps the
    # former as long as an iris is seen, the latter follows the lids: they are lifted with the iris.
    shares: tuple[tuple[float, float], tuple[float, float]] = ((0.0, 0.0), (0.0, 0.0))
    uncover: float = 0.0  # 0 to 1, how far upper lids may be lifted off irises that they cover too much in the lens
    hides: bool = False  # the lids hide the irises at least in part, so that a leap of the strength is not seen


WITHOUT_FACE = Decision(0.0, (0.0, 0.0), Reason.NO_FACE)


def decide(
    estimates: Sequence[GazeEstimate | None],
    at: int,
    *,
    zero: tuple[float, float],
    usual_opening: float,
    usual_steps: tuple[float, float] = (0.0, 0.0),
    policy: Policy,
    before: Decision | None = None,
) -> Decision:
    """Decide on one face in one frame.

    Args:
        estimates: of the face in consecutive frames, None where it was not found.
        at: position of the frame that is decided.
        zero: measured gaze of this speaker when looking into the lens.
        usual_opening: of this speaker's eyes, as a share of their width.
        usual_steps: of both limbi, see `covered`; 0 while unknown.
        policy: thresholds.
        before: the decision about the same face in the frame before; None in the first frame.
    """
    own = estimates[at]
    if own is None:
        return WITHOUT_FACE
    dips = _shares_of_opening(estimates)
    under = covered(estimates, usual_steps)
    # What is measured of a covered eye means nothing, and both eyes are measured together.
    lids = np.where(under.any(axis=1), 0.0, _lids_open(estimates, dips, usual_opening, policy)).tolist()
    gazes = _gazes_through_blinks(estimates, lids, dips)
    weights = _fixation_weights(estimates, gazes, lids, at, policy)
    opening = _opening_in_window(estimates)
    rests = np.minimum(_rests(estimates, gazes, opening, policy), _straight(estimates, lids, policy)).tolist()
    rules = {
        Reason.BLINK: fade(opening / usual_opening, policy.shut),  # lasting: a squint, a long wink, sleep
        Reason.INTO_LENS: _away(_off_lens_by_frame(estimates, gazes, lids, zero, policy), weights, at, policy),
    }
    target = min(
        _trust(estimates, gazes, rests, at, zero, policy) * rules[Reason.BLINK] * rules[Reason.INTO_LENS],
        _away_from_gaps(estimates, at),
    )
    opened = max(min(opening, usual_opening), 1e-6)
    seen = [
        (0.0, 0.0) if hidden else shares
        for shares, hidden in zip(_shares_seen(own, float(dips[at]), opened, policy), under[at], strict=True)
    ]
    shown = max(sideways for sideways, _ in seen)
    common = target if shown < 1 else _limited(target, before)
    rules[Reason.BLINK] = min(lids[at], rules[Reason.BLINK])
    reason = None if common * shown >= 0.5 else _reason(own, _pair(gazes[at]), rests[at], zero, rules, policy)
    left, right = (
        (common * sideways, min(common * vertical, most))
        for (sideways, vertical), most in zip(seen, _most_lifts(own, usual_opening, before), strict=True)
    )
    yaw, pitch = _pair(weights @ gazes)
    uncover = common * _uncover(estimates, dips, at, (opened, usual_opening), policy)
    if before is not None:
        uncover = min(uncover, before.uncover + UNCOVER_STEP)
    return Decision(common * shown, (yaw - zero[0], pitch - zero[1]), reason, (left, right), uncover, hides=shown < 1)


def _most_lifts(own: GazeEstimate, usual_opening: float, before: Decision | None) -> tuple[float, float]:
    """Return the highest share of the vertical way for each eye, given the frame before."""
    if before is None or own.narrower >= WIDE * usual_opening:
        return 1.0, 1.0
    (_, left), (_, right) = before.shares
    return left + LIFT_STEP, right + LIFT_STEP


def _uncover(
    estimates: Sequence[GazeEstimate | None],
    dips: NDArray[np.float64],
    at: int,
    openings: tuple[float, float],
    policy: Policy,
) -> float:
    """Return how far upper lids may be lifted off the irises, 0 to 1: not in a blink, and not while they close.

    Args:
        estimates: of the eyes in consecutive frames.
        dips: share of the opening in each frame, of that before and after.
        at: position of the frame.
        openings: of this speaker's eyes, in the window and as usual.
        policy: thresholds.
    """
    whole, none = policy.uncover
    opened, usual_opening = openings
    lowest = 1.0
    for later in range(min(len(estimates) - at, round(1 / UNCOVER_STEP))):
        own = estimates[at + later]
        if own is None:
            continue
        shares = _shares_seen(own, float(dips[at + later]), opened, policy)
        follows = min(vertical - DIP_WEIGHT * (sideways - vertical) for sideways, vertical in shares)
        near = estimates[max(0, at + later - UNCOVER_REACH_FRAMES) : at + later + UNCOVER_REACH_FRAMES + 1]
        mean = sum(one.opening for one in near if one is not None) / sum(one is not None for one in near)
        open_ = min(max((mean / usual_opening - none) / (whole - none), 0.0), 1.0)
        lowest = min(lowest, max(follows, 0.0) * open_ + UNCOVER_STEP * later)
    return lowest


def _trust(
    estimates: Sequence[GazeEstimate | None],
    gazes: NDArray[np.float64],
    rests: Sequence[float],
    at: int,
    zero: tuple[float, float],
    policy: Policy,
) -> float:
    """Return how far eyes turned to the lens would look natural, 0 to 1, smoothed over time."""
    natural = [
        1.0 if one is None else min(_natural(one, gaze, zero, policy), rest)
        for one, gaze, rest in zip(estimates, map(_pair, gazes), rests, strict=True)
    ]
    return min(_smooth(natural, at, policy.fade_sigma_frames), _released_in_time(natural, at))


def _rests(
    estimates: Sequence[GazeEstimate | None], gazes: NDArray[np.float64], opening: float, policy: Policy
) -> list[float]:
    """Return for each frame how far the gaze rests, or goes on slowly, 0 to 1; a saccade between two rests counts as 1.

    Args:
        estimates: in each frame.
        gazes: in each frame, (n, 2); those of a blink lie between that before and that after it.
        opening: of the narrower eye in the window.
        policy: thresholds.
    """
    # Rolling eyes open and close with every turn, which is taken for blinks. Lids do not change what is measured
    # sideways as long as an iris is seen.
    seen = np.array([
        gaze[0] if one is None or one.narrower < LEAST_OPENING * opening else one.gaze_deg[0]
        for one, gaze in zip(estimates, gazes, strict=True)
    ])  # fmt: skip
    scale = frames_factor(float(np.mean([one.eye_px for one in estimates if one is not None]))) ** 1.5
    if np.hypot(*np.ptp(gazes, axis=0)) <= policy.restless_deg[0] * scale >= np.ptp(seen):
        return [1.0] * len(estimates)  # saves a quarter of a millisecond
    around = np.stack([_neighbours(axis, REST_REACH_FRAMES) for axis in (gazes[:, 0], gazes[:, 1], seen)])
    around -= _middle(around)[:, :, None]
    apart = np.maximum(np.hypot(around[0], around[1]), np.abs(around[2]))
    level = np.array([fade(float(one), policy.restless_deg) for one in _middle(apart) / scale])
    # A saccade takes up to two frames, and a turn of rolling eyes has one or two without much of a way.
    level = _neighbours(_neighbours(level, 1).max(axis=1), 1).min(axis=1)
    return list(_neighbours(_neighbours(level, REST_REACH_FRAMES).min(axis=1), REST_REACH_FRAMES).max(axis=1))


def _straight(estimates: Sequence[GazeEstimate | None], lids: Sequence[float], policy: Policy) -> NDArray[np.float64]:
    """Return for each frame how far both eyes look the same way, 0 to 1; 1 in a blink, and around one or two frames."""
    values = np.array([
        1.0 if one is None or lid < 0.5 else fade(one.crossed_deg, policy.crossed_deg)
        for one, lid in zip(estimates, lids, strict=True)
    ])  # fmt: skip
    if values.min() == 1:
        return values
    return np.asarray(_neighbours(_neighbours(values, 1).max(axis=1), 1).min(axis=1), np.float64)


def _limited(target: float, before: Decision | None) -> float:
    """Keep a strength within a step of the frame before, whose irises were seen."""
    if before is None or before.hides:
        return target
    return min(max(target, before.strength - STEP), before.strength + STEP)


def _away_from_gaps(estimates: Sequence[GazeEstimate | None], at: int) -> float:
    """Fade to 0 towards frames without an estimate, which cannot be corrected; 1 when there is none in the window."""
    gaps = [abs(index - at) for index, one in enumerate(estimates) if one is None]
    return min(1.0, STEP * min(gaps)) if gaps else 1.0


def _released_in_time(natural: Sequence[float], at: int) -> float:
    """Return the highest strength from which no step is needed that is seen, until the eyes must be left alone."""
    reach = SHORTEST_LOOK_FRAMES // 2
    values = _neighbours(_neighbours(np.asarray(natural), reach).max(axis=1), reach).min(axis=1)
    return float((values + STEP * np.abs(np.arange(len(values)) - at)).min())


def _away(values: NDArray[np.float64], weights: NDArray[np.float64], at: int, policy: Policy) -> float:
    """Return how far the gaze is off the lens at a frame, 0 to 1, or will be so soon that the fade must begin.

    Args:
        values: the same in each frame by itself.
        weights: of the frames.
        at: position of the frame.
        policy: islands and gaps too short to be more than flicker are removed.
    """
    reach = policy.gap_reach_frames
    closed = _neighbours(_neighbours(values, reach).max(axis=1), reach).min(axis=1)
    closed[[0, -1]] = values[[0, -1]]  # a look that ended just here would go on
    # How long a look lasts that reaches the window's end is unknown: it counts as none yet.
    soon = _without_islands(np.append(closed, 0.0), policy)[at:-1]
    ahead = (soon - STEP * np.arange(len(soon)))[1:].max(initial=0.0)
    # Averaged over the frames' own values: the value of the mean gaze would triple its noise at the dead zone's edge.
    return max(float(weights @ _without_islands(closed, policy)), float(ahead))


def _without_islands(values: NDArray[np.float64], policy: Policy) -> NDArray[np.float64]:
    reach = policy.island_reach_frames
    return np.asarray(_neighbours(_neighbours(values, reach).min(axis=1), reach).max(axis=1), np.float64)


def _natural(one: GazeEstimate, gaze_deg: tuple[float, float], zero: tuple[float, float], policy: Policy) -> float:
    """Return how far eyes turned to the lens would look natural in a frame, 0 to 1."""
    return min(_limits(one.eye_px, one.head_deg, gaze_deg, zero, policy).values())


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


def _reason(
    own: GazeEstimate,
    gaze_deg: tuple[float, float],
    rests: float,
    zero: tuple[float, float],
    rules: dict[Reason, float],
    policy: Policy,
) -> Reason | None:
    """Return the strongest rule against correcting this frame; None where it only fades towards a neighbour's."""
    if rules[Reason.BLINK] < 0.5:
        return Reason.BLINK  # the gaze of shut eyes is meaningless
    rules = {**_limits(own.eye_px, own.head_deg, gaze_deg, zero, policy), **rules}
    rules[Reason.LOOKS_FAR_AWAY] = min(rules[Reason.LOOKS_FAR_AWAY], rests)
    reason = min(rules, key=lambda key: rules[key])
    return reason if rules[reason] < 0.7 else None


def _lids_open(
    estimates: Sequence[GazeEstimate | None], dips: NDArray[np.float64], usual: float, policy: Policy
) -> list[float]:
    """Return for each frame how far its lids are open, 0 shut or in a blink to 1; a missed face counts as open."""
    level = np.array([
        # One half-closed eye squints: the other one decides whether it is a blink.
        1.0 if one is None else min(fade(one.narrower / usual, policy.shut), fade(share, policy.dip))
        for one, share in zip(estimates, map(float, dips), strict=True)
    ])  # fmt: skip
    # Frames beside a closing one count as closing, too: their gaze is measured with it.
    return list(_neighbours(level, BLINK_REACH_FRAMES).min(axis=1))


def _shares_of_opening(estimates: Sequence[GazeEstimate | None]) -> NDArray[np.float64]:
    """Return the opening in each frame as a share of that before and after it; below 1 in a dip only.

    Lids that sink and stay low, as in a look far down, are none: the release of such a look must begin in time.
    """
    # A frame without an estimate, as the newest one may be that is not measured yet, is no opening and no dip.
    present = [index for index, one in enumerate(estimates) if one is not None]
    opening = np.interp(np.arange(len(estimates)), present, [one.wider for one in estimates if one is not None])
    before, after = np.maximum.accumulate(opening), np.maximum.accumulate(opening[::-1])[::-1]
    return np.asarray(opening / np.maximum(np.minimum(before, after), 1e-6), np.float64)


def _opening_in_window(estimates: Sequence[GazeEstimate | None]) -> float:
    """Return the opening of the narrower eye between blinks."""
    return float(np.percentile([one.narrower for one in estimates if one is not None], OPEN_PERCENTILE))


def _shares_seen(
    own: GazeEstimate, opening_share: float, opening: float, policy: Policy
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return for each eye how far its lids let the iris move sideways, and the lids be lifted with it, 0 to 1.

    Args:
        own: the eyes.
        opening_share: of the wider eye, over its opening before and after.
        opening: of the narrower eye in the window.
        policy: thresholds.
    """
    whole, none = policy.lift
    lift = min(max((opening_share - none) / (whole - none), 0.0), 1.0)
    seen = [fade(eye.opening / opening, policy.hidden) for eye in own.eyes]
    lifted = [min(lift, fade(eye.opening / opening, policy.shut)) for eye in own.eyes]
    return (seen[0], seen[0] * lifted[0]), (seen[1], seen[1] * lifted[1])


def _gazes_through_blinks(
    estimates: Sequence[GazeEstimate | None], lids: Sequence[float], dips: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the gaze in each frame, (n, 2); in a blink, one between that before it and that after it.

    Closing lids are measured as gaze that goes far down. The gaze passes on while the lids hide the irises: in the
    frames of a blink in which they are shut, and evenly over the whole of a squint, in which a leap would be seen.
    Frames without a face are interpolated, too.
    """
    present = [index for index, one in enumerate(estimates) if one is not None]
    open_ = [index for index in present if lids[index] >= 0.5] or present
    values = np.array([one.gaze_deg for one in (estimates[index] for index in open_) if one is not None])
    hidden = (1 - dips) ** 3 + EVENLY
    passed = np.cumsum(hidden) - hidden / 2
    ways = [np.interp(passed, passed[open_], values[:, axis]) for axis in (0, 1)]
    return np.asarray(np.stack(ways, axis=1), np.float64)


def _fixation_weights(
    estimates: Sequence[GazeEstimate | None],
    gazes: NDArray[np.float64],
    lids: Sequence[float],
    at: int,
    policy: Policy,
) -> NDArray[np.float64]:
    """Weight the frames by how much they say about the gaze at one of them; the sum is 1.

    Close in time, and on the same side of any saccade.
    """
    own = estimates[at]
    assert own is not None
    longer = frames_factor(own.eye_px)
    # In a blink, the gaze that passes from before it to after it counts; outside, only what was measured.
    least = 0.5 if lids[at] >= 0.5 else 0.0
    measured = np.array([one is not None and lid >= least for one, lid in zip(estimates, lids, strict=True)])
    reach = round(longer)
    centre = np.median(gazes[max(0, at - reach) : at + reach + 1], axis=0)
    distance = np.hypot(*(gazes - centre).T) / (policy.gaze_sigma_deg * longer**1.5)
    near = _gaussian(len(estimates), at, (policy.gaze_sigma_frames * longer,) * 2)
    weights = measured * near * np.exp(-0.5 * distance**2)
    if weights.sum() < 1e-6:
        weights = np.zeros(len(estimates))
        weights[at] = 1.0
    return np.asarray(weights / weights.sum(), np.float64)


def _pair(values: NDArray[np.float64]) -> tuple[float, float]:
    return float(values[0]), float(values[1])


def _off_lens_by_frame(
    estimates: Sequence[GazeEstimate | None],
    gazes: NDArray[np.float64],
    lids: Sequence[float],
    zero: tuple[float, float],
    policy: Policy,
) -> NDArray[np.float64]:
    """Return for each frame how far its gaze is off the lens, 0 to 1.

    Frames in a blink and without a face are interpolated.
    """
    seen = [at for at, (one, lid) in enumerate(zip(estimates, lids, strict=True)) if one is not None and lid >= 0.5]
    if not seen:
        return np.zeros(len(estimates))
    return np.interp(np.arange(len(estimates)), seen, [_off_lens(_pair(gazes[at]), zero, policy) for at in seen])


def _neighbours(values: NDArray[np.float64], reach: int) -> NDArray[np.float64]:
    """Return for each value the values around it, (n, 2 reach + 1); beyond the ends the first or last is repeated."""
    return np.asarray(values[_places(len(values), reach)], np.float64)


def _middle(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the median along the last axis, of an odd length; NumPy's own takes three times as long on so few."""
    at = values.shape[-1] // 2
    return np.asarray(np.partition(values, at, axis=-1)[..., at], np.float64)


@lru_cache(maxsize=256)
def _places(count: int, reach: int) -> NDArray[np.intp]:
    around = np.arange(count)[:, None] + np.arange(-reach, reach + 1)
    return np.asarray(np.clip(around, 0, count - 1), np.intp)


@lru_cache(maxsize=8 * LOOK_AHEAD)
def _off_lens(gaze_deg: tuple[float, float], zero: tuple[float, float], policy: Policy) -> float:
    """Return how far a gaze is outside of the dead zone: 0 in the lens to 1."""
    yaw, pitch = gaze_deg[0] - zero[0], gaze_deg[1] - zero[1]
    return 1 - fade(float(np.hypot(yaw, pitch * policy.pitch_weight)), policy.dead_zone_deg)


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
