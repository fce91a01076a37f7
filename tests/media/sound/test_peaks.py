"""Peaks show where a sound is loud; their number is bounded, and chunks of any size give the same."""

from fractions import Fraction

import numpy as np
import pytest

from media.limits import MAX_PEAKS
from media.sound.peaks import PeakMeter, Peaks

RATE = 16_000


def measured(sound: np.ndarray[tuple[int], np.dtype[np.float32]], chunk: int = RATE) -> Peaks | None:
    meter = PeakMeter(RATE)
    for at in range(0, len(sound), chunk):
        meter.push(sound[at : at + chunk])
    return meter.peaks()


def test_a_peak_is_the_loudest_sample_of_its_time() -> None:
    sound = np.zeros(10 * RATE, np.float32)
    sound[3 * RATE + 5], sound[7 * RATE + 9000] = -0.2, 0.1
    found = measured(sound)
    assert found is not None
    assert (found.per_s, len(found.values)) == (Fraction(50), 500)
    assert {at: value for at, value in enumerate(found.values) if value} == {150: 255, 378: 128}


@pytest.mark.parametrize("chunk", [7, 160, 1_601, RATE])
def test_chunks_of_any_size_give_the_same(chunk: int) -> None:
    sound = np.random.default_rng(1).normal(0, 0.1, 3 * RATE + 77).astype(np.float32)
    assert measured(sound, chunk) == measured(sound, len(sound))


def test_a_long_sound_has_no_more_peaks_than_allowed() -> None:
    meter = PeakMeter(RATE)
    second = np.full(RATE, 0.5, np.float32)
    for _ in range(3 * 3600):
        meter.push(second)
    found = meter.peaks()
    assert found is not None
    assert len(found.values) <= MAX_PEAKS
    assert len(found.values) / found.per_s == pytest.approx(3 * 3600, rel=0.001)
    assert set(found.values) == {255}


def test_silence_is_flat_and_no_sound_has_no_peaks() -> None:
    silent = measured(np.zeros(RATE, np.float32))
    assert silent is not None
    assert set(silent.values) == {0}
    assert PeakMeter(RATE).peaks() is None
