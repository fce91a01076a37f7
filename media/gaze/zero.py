"""The zero: the gaze that is measured when the eyes look into the lens, from sparse samples of one speaker.

Every measurement of gaze has a bias of some degrees for each person. Where a speaker's eyes dwell close to (0, 0), the
place is the lens and its distance the bias, or it is a script beside the lens. The zero is the mean of both weighted by
their probability, so that a place near the lens is the zero nearly whole, and a place further off less and less.
A look into the lens at the beginning of a video, distinct from where the eyes rest later, is taken at its word.

Angles in degrees, yaw + to the picture's right, pitch + up. No picture is read.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Gazes = NDArray[np.float64]  # (n, 2)

FEWEST = 6  # samples; with fewer nothing is known about where the eyes rest
KERNEL_DEG = 2.5
# Standard deviations of the measurement's bias for a person.
BIAS_DEG = (2.5, 3.5)
# Where scripts lie: beside and below the lens, seldom above. Mean pitch, and standard deviations.
SCRIPT_PITCH_DEG, SCRIPT_DEG = -6.0, (9.0, 7.0)
# How many times as likely a dwelling speaker looks into the lens as at a script beside it. Eyes in the lens that are
# moved are worse than eyes beside it that are left.
LENS_ODDS = 2.0
# The eyes dwell at a place to which many samples are close, and few are a little further off: the share of the samples
# in an ellipse, times their share of those in one of twice the size. Up to the first value they only pass there, from
# the second they dwell. Of people in the lens it is 0.27 to 0.91 (nine recordings, 2026-11-30), of eyes that go evenly
# over a text 0.12, at most 0.17.
DWELL_DEG, DWELL = (2.5, 5.0), (0.12, 0.26)
# Who looks elsewhere for this share of the samples, and returns, has a reason to: the lens is so much more likely.
ELSEWHERE_DEG, ELSEWHERE, RETURNS = 8.0, 0.3, 2.5
SEEN = 0.65  # probability from which a place counts as the lens

REST_DEG = 6.0  # samples this close to the zero belong to eyes that rest in the lens

# A look into the lens at the beginning: how early it ends, how long it is at least, how far its samples lie from their
# median, how far it lies from where the eyes rest later, and from (0, 0) in standard deviations of the bias.
BEGINNING_S, LOOK_S, LOOK_DEG = 3.0, 0.7, 2.5
DISTINCT_DEG, LOOK_SDS, FEWEST_OF_LOOK = 4.0, 2.0, 4
LATER = 0.4  # share of the samples that lie elsewhere, further from (0, 0); otherwise it is no look before the text


@dataclass(frozen=True, slots=True)
class Sample:
    """The gaze of a speaker's open eyes in one frame."""

    gaze_deg: tuple[float, float]
    bias_deg: tuple[float, float] = BIAS_DEG  # standard deviation of the bias of this way to measure


@dataclass(frozen=True, slots=True)
class Zero:
    """The zero of one speaker."""

    gaze_deg: tuple[float, float]
    is_seen: bool  # the eyes rest in it
    spread_deg: float = 0.0  # distance of samples from the zero while the eyes rest in it; 0 if they never do


ANATOMY = Zero((0.0, 0.0), is_seen=False)


def find(samples: Sequence[Sample], beginning: Sequence[tuple[float, Sample]] = ()) -> Zero:
    """Return the zero of one speaker.

    Args:
        samples: spread over the video.
        beginning: of the first BEGINNING_S, each with its time in seconds, in order.
    """
    if len(samples) < FEWEST:
        return ANATOMY
    gazes = np.array([sample.gaze_deg for sample in samples])
    bias = np.median([sample.bias_deg for sample in samples], axis=0)
    place, odds = _dwelling(gazes, bias)
    look = _look_at_beginning(beginning, bias)
    if look is not None and _is_distinct(look, gazes, bias):
        return Zero(_pair(look), is_seen=True, spread_deg=_spread(gazes, look))
    lens = odds / (1 + odds)
    if lens < SEEN:
        return Zero(_pair(lens * place), is_seen=False)
    return Zero(_pair(lens * place), is_seen=True, spread_deg=_spread(gazes, place))


def _dwelling(gazes: Gazes, bias: Gazes) -> tuple[Gazes, float]:
    """Return the place that is most likely the lens, (2,), and its odds."""
    modes = _modes(gazes)
    apart = modes[:, None, :] - gazes[None, :, :]
    elsewhere = (np.hypot(apart[..., 0], apart[..., 1]) > ELSEWHERE_DEG).mean(axis=1)
    odds = _dwells(apart) * (1 + (RETURNS - 1) * np.minimum(elsewhere / ELSEWHERE, 1))
    odds *= [_lens_odds(mode, bias) for mode in modes]
    best = int(np.argmax(odds))
    return modes[best], float(odds[best])


def _dwells(apart: Gazes) -> NDArray[np.float64]:
    """Return how far the eyes dwell at places, 0 to 1, from the gazes' distances, (places, gazes, 2)."""
    distance = np.hypot(apart[..., 0] / DWELL_DEG[0], apart[..., 1] / DWELL_DEG[1])
    close, closer = (distance <= 2).sum(axis=1), (distance <= 1).sum(axis=1)
    density = closer / distance.shape[1] * closer / np.maximum(close, 1)
    passing, dwelling = DWELL
    return np.asarray(np.clip((density - passing) / (dwelling - passing), 0, 1), np.float64)


def _lens_odds(place: Gazes, bias: Gazes) -> float:
    """Return how many times as likely as a script a place where the eyes dwell is the lens, measured with a bias."""
    script = (place - (0.0, SCRIPT_PITCH_DEG)) / SCRIPT_DEG
    lens = place / bias
    likelihood = np.prod(SCRIPT_DEG) / np.prod(bias) * np.exp((script @ script - lens @ lens) / 2)
    return LENS_ODDS * float(likelihood)


def _modes(gazes: Gazes) -> Gazes:
    """Return the mode to which each gaze belongs: mean shift with a Gaussian kernel."""
    places = gazes.copy()
    for _ in range(30):
        apart = ((places[:, None, :] - gazes[None, :, :]) ** 2).sum(axis=2)
        weights = np.exp(-0.5 * apart / KERNEL_DEG**2)
        places = weights @ gazes / weights.sum(axis=1, keepdims=True)
    return places


def _look_at_beginning(beginning: Sequence[tuple[float, Sample]], bias: Gazes) -> Gazes | None:
    """Return the median gaze, (2,), of a steady look near the lens at the beginning; None without one."""
    for first, (start_s, _) in enumerate(beginning):
        long_enough = [at for at, (time_s, _) in enumerate(beginning) if time_s - start_s >= LOOK_S]
        if not long_enough:
            break
        gazes = np.array([sample.gaze_deg for _, sample in beginning[first : long_enough[0] + 1]])
        middle = np.median(gazes, axis=0)
        if (
            len(gazes) >= FEWEST_OF_LOOK
            and np.hypot(*(gazes - middle).T).max() <= LOOK_DEG
            and _sds(middle, bias) <= LOOK_SDS
        ):
            return np.asarray(middle, np.float64)
    return None


def _is_distinct(look: Gazes, gazes: Gazes, bias: Gazes) -> bool:
    """Return whether the eyes rest further from the lens later."""
    later = gazes[np.hypot(*(gazes - look).T) >= DISTINCT_DEG]
    return len(later) >= LATER * len(gazes) and _sds(look, bias) < _sds(np.median(later, axis=0), bias)


def _spread(gazes: Gazes, place: Gazes) -> float:
    apart = np.hypot(*(gazes - place).T)
    return float(np.percentile(apart[apart <= REST_DEG], 80)) if (apart <= REST_DEG).any() else 0.0


def _sds(place: Gazes, bias: Gazes) -> float:
    """Return the distance of a place from (0, 0) in standard deviations of the bias."""
    return float(np.hypot(*(place / bias)))


def _pair(place: Gazes) -> tuple[float, float]:
    return float(place[0]), float(place[1])
