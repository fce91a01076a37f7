"""Where the lens is among the places at which a speaker's eyes dwell."""

import numpy as np
import pytest

from media.gaze import zero
from media.gaze.zero import ANATOMY, Sample, Zero


def around(middle: tuple[float, float], count: int, scatter: float = 1.0, seed: int = 0) -> list[Sample]:
    rng = np.random.default_rng(seed)
    return [Sample((middle[0] + rng.normal(0, scatter), middle[1] + rng.normal(0, scatter))) for _ in range(count)]


def timed(samples: list[Sample], from_s: float = 0.0, apart_s: float = 0.15) -> list[tuple[float, Sample]]:
    return [(from_s + apart_s * at, sample) for at, sample in enumerate(samples)]


@pytest.mark.parametrize("bias", [(0.0, 0.0), (2.5, 2.0), (-2.0, -3.5), (1.0, 4.0)])
def test_a_place_within_the_usual_bias_is_the_lens(bias: tuple[float, float]) -> None:
    found = zero.find(around(bias, 40))
    assert found.is_seen
    assert float(np.hypot(*np.subtract(found.gaze_deg, bias))) < 1.5


def test_a_place_far_below_the_lens_is_not_taken_for_it() -> None:
    """A telephone's lens lies some degrees above its text."""
    found = zero.find(around((0.0, -7.7), 40))
    assert not found.is_seen
    assert -5.0 < found.gaze_deg[1] < -2.0  # part of it may be bias


def test_a_measurement_with_less_bias_decides_sooner() -> None:
    exact = [Sample(sample.gaze_deg, (1.0, 1.5)) for sample in around((0.0, -7.7), 40)]
    assert pytest.approx((0.0, 0.0), abs=0.2) == zero.find(exact).gaze_deg


@pytest.mark.parametrize("seed", range(12))
def test_eyes_that_pass_a_place_near_the_lens_do_not_dwell_there(seed: int) -> None:
    """Readers' eyes go over it at every line; their gaze is nowhere as dense as that of people in the lens."""
    rng = np.random.default_rng(seed)
    found = zero.find([Sample((float(rng.uniform(-9, 14)), float(rng.uniform(-12, 1)))) for _ in range(60)])
    assert not found.is_seen
    assert float(np.hypot(*found.gaze_deg)) < 2.5


def test_a_quarter_of_the_time_in_the_lens_is_enough() -> None:
    found = zero.find([*around((2.0, -3.0), 15), *around((12.0, -9.0), 45, seed=1)])
    assert found.is_seen
    assert pytest.approx((2.0, -3.0), abs=1.2) == found.gaze_deg


def test_the_zero_moves_steadily_with_the_place() -> None:
    """No step where a place is too far off to be the lens: two speakers half a degree apart are treated alike."""
    places = np.arange(0.0, 14.0, 0.25)
    zeros = np.array([zero.find(around((float(yaw), 0.0), 60, 0.3)).gaze_deg[0] for yaw in places])
    assert np.abs(np.diff(zeros)).max() < 0.75
    assert pytest.approx(0.0, abs=0.1) == zeros[-1]


def test_few_samples_say_nothing() -> None:
    assert ANATOMY == zero.find(around((2.0, 0.0), 5))


class TestLookAtTheBeginning:
    READING = around((8.0, -9.0), 60, 1.5)

    def test_a_second_in_the_lens_is_the_zero_of_somebody_who_reads(self) -> None:
        beginning = timed([*around((1.5, -2.5), 7, 0.5), *around((8.0, -9.0), 12, 1.5)])
        assert pytest.approx((1.5, -2.5), abs=0.5) == self.found(beginning).gaze_deg
        assert self.found(beginning).is_seen

    def test_it_may_begin_after_a_second(self) -> None:
        beginning = timed([*around((14.0, -9.0), 7, 0.5), *around((1.5, -2.5), 7, 0.5)])
        assert pytest.approx((1.5, -2.5), abs=0.5) == self.found(beginning).gaze_deg

    def test_it_may_be_as_long_as_the_reading(self) -> None:
        """In a short video it is a large part of the samples itself."""
        lens = around((0.0, -5.7), 20, 0.7)
        assert pytest.approx((0.0, -5.7), abs=0.4) == zero.find([*lens, *self.READING[:20]], timed(lens)).gaze_deg

    @pytest.mark.parametrize(
        "beginning",
        [
            timed(around((1.5, -2.5), 4, 0.5)),  # half a second
            timed(around((9.0, -2.5), 10, 0.5)),  # too far from the lens
            timed(around((1.5, -2.5), 10, 4.0)),  # unsteady
            timed(around((7.0, -7.0), 10, 0.5)),  # not distinct from the rest
            [],
        ],
    )
    def test_anything_else_is_none(self, beginning: list[tuple[float, Sample]]) -> None:
        assert self.found([]) == self.found(beginning)

    def test_a_look_at_the_shutter_button_moves_nobodys_lens(self) -> None:
        """Somebody who talks into the lens, and begins with a look below it."""
        samples = around((0.5, -0.5), 60)
        assert zero.find(samples) == zero.find(samples, timed(around((1.0, -6.0), 10, 0.5)))

    def found(self, beginning: list[tuple[float, Sample]]) -> Zero:
        return zero.find(self.READING, beginning)
