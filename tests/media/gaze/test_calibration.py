"""Where "into the lens" lies for a speaker, found among measurements."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from media.gaze import calibration
from media.gaze.calibration import Calibration
from media.gaze.estimate.measure import GazeEstimate, Usual
from tests.media.gaze.synthetic import CLIPS, NoFaces, an_estimate


def around(middle: tuple[float, float], count: int, scatter: float = 1.0, seed: int = 0) -> list[GazeEstimate]:
    rng = np.random.default_rng(seed)
    return [an_estimate((middle[0] + rng.normal(0, scatter), middle[1] + rng.normal(0, scatter))) for _ in range(count)]


def test_someone_who_returns_to_the_lens_has_the_zero_there() -> None:
    """A quarter of the looks are enough, though most go to a script."""
    found = calibration.from_estimates([*around((2.0, -3.0), 15), *around((12.0, -9.0), 45, seed=1)])
    assert found is not None
    assert (found.source, found.samples) == ("seen", 60)
    assert pytest.approx((2.0, -3.0), abs=1.2) == found.zero_deg
    assert pytest.approx(1.8, abs=0.6) == found.spread_deg


def test_a_look_into_the_lens_at_the_beginning_is_the_zero_of_someone_who_reads() -> None:
    look = [(0.15 * at, one) for at, one in enumerate(around((1.0, -2.0), 8, 0.4))]
    found = calibration.from_estimates(around((8.0, -9.0), 60), look)
    assert found is not None
    assert found.source == "seen"
    assert pytest.approx((1.0, -2.0), abs=0.4) == found.zero_deg


def test_shut_eyes_at_the_beginning_are_no_look() -> None:
    shut = [(0.15 * at, an_estimate((1.0, -2.0), opening=0.05)) for at in range(8)]
    reading = around((8.0, -9.0), 60)
    assert calibration.from_estimates(reading) == calibration.from_estimates(reading, shut)


def test_someone_who_only_reads_has_the_anatomys_zero() -> None:
    found = calibration.from_estimates(around((10.0, -12.0), 60))
    assert found is not None
    assert (found.source, found.zero_deg) == ("anatomy", (0.0, 0.0))


def test_of_a_place_just_beside_the_lens_a_part_is_taken_for_bias() -> None:
    """No step where a place is too far off to be the lens: someone at 5 degrees and someone at 6 are treated alike."""
    zeros = [calibration.from_estimates(around((yaw, 0.0), 60, 0.3)) for yaw in (4.5, 5.5, 6.5, 7.5, 9.0, 11.0, 13.0)]
    off = [yaw - one.yaw_deg for yaw, one in zip((4.5, 5.5, 6.5, 7.5, 9.0, 11.0, 13.0), zeros, strict=True) if one]
    assert len(off) == 7
    assert pytest.approx(0.0, abs=1.0) == off[0]
    assert 1.5 < off[2] < 5.0
    assert pytest.approx(13.0, abs=0.3) == off[-1]
    assert (np.diff(off) >= 0).all()


def test_a_few_stray_looks_near_the_lens_make_no_zero() -> None:
    found = calibration.from_estimates([*around((1.0, 1.0), 4), *around((13.0, -6.0), 56, seed=1)])
    assert found is not None
    assert found.source == "anatomy"


def test_shut_eyes_and_turned_heads_say_nothing() -> None:
    useless = [an_estimate((0.0, 0.0), opening=0.05)] * 10 + [an_estimate((0.0, 0.0), head_deg=(30.0, 0.0))] * 10
    found = calibration.from_estimates([*useless, *around((13.0, -6.0), 40)])
    assert found is not None
    assert found.source == "anatomy"


def test_too_few_faces_are_no_ground_for_anything() -> None:
    assert calibration.from_estimates(around((0.0, 0.0), 5)) is None


def test_a_noisy_speaker_gets_a_wider_dead_zone() -> None:
    calm, noisy = (
        calibration.from_estimates(around((1, 0), 60, 0.4)),
        calibration.from_estimates(around((1, 0), 60, 2.5)),
    )
    assert calm is not None
    assert noisy is not None
    assert calm.dead_zone_deg == (2.5, 5.5)
    assert noisy.dead_zone_deg[0] > 3.5


def test_usual_is_what_open_eyes_show_in_the_median() -> None:
    """Of somebody who laughs or crosses the eyes now and then, it is what they show otherwise."""
    kinds = [(-0.2, 5.0, 0.3, 40), (0.3, 40.0, 0.25, 10), (-0.6, -30.0, 0.08, 60)]
    looks = [
        replace(an_estimate(opening=opening), squint=squint, crossed_deg=crossed)
        for squint, crossed, opening, count in kinds
        for _ in range(count)
    ]
    found = calibration.from_estimates(looks)
    assert found is not None
    assert Usual(-0.2, 5.0) == found.usual


def lit(look: GazeEstimate) -> GazeEstimate:
    """Return the look as a ring light shows it, 14° above where it is measured without."""
    return replace(look, gaze_deg=(0.0, 0.0), apart_deg=(look.gaze_deg[0], look.gaze_deg[1]))


def test_where_a_ring_light_shows_the_bias_looks_without_it_are_measured_alike() -> None:
    into_lens = around((-2.0, -14.0), 60)
    looks = [lit(look) if number % 3 else look for number, look in enumerate(into_lens)]
    found = calibration.from_estimates(looks)
    assert found is not None
    assert found.usual is not None
    assert pytest.approx((-2.0, -14.0), abs=0.5) == found.usual.bias_deg
    assert pytest.approx((0.0, 0.0), abs=1.0) == found.zero_deg
    assert found.spread_deg < 2.5


@pytest.mark.parametrize("count", [0, 4])
def test_a_few_reflections_show_no_bias(count: int) -> None:
    looks = around((-2.0, -14.0), 60)
    found = calibration.from_estimates([*looks, *map(lit, looks[:count])])
    assert found is not None
    assert found.usual == Usual(0.0, 0.0)


def test_a_zero_survives_its_journey_as_json() -> None:
    whole = Calibration(1.25, -3.5, 0.26, "seen", 48, 2.1, Usual(-0.2, 7.5, (1.0, -14.5)))
    assert whole == Calibration.from_json(json.loads(json.dumps(whole.to_json())))


def test_a_plan_that_was_stored_earlier_is_read() -> None:
    """Fields are only ever added, with a default."""
    stored = (
        '{"yaw_deg": 1.2, "pitch_deg": -3, "usual_opening": 0.26, "source": "seen", "samples": 48, "spread_deg": 2}'
    )
    assert Calibration(1.2, -3.0, 0.26, "seen", 48, 2.0) == Calibration.from_json(json.loads(stored))


@pytest.mark.parametrize(
    "change",
    [
        {"source": "guessed"},
        {"yaw_deg": 90},
        {"usual_opening": 0},
        {"pitch_deg": "north"},
        {"spread_deg": -1},
        {"usual": {"squint": 5, "crossed_deg": 0, "bias_deg": [0, 0]}},
        {"usual": {"squint": 0, "crossed_deg": 0, "bias_deg": [0, 99]}},
        {"usual": {"squint": 0.1}},
        {"usual": {"squint": 0, "crossed_deg": 0, "bias_deg": [1]}},
    ],
)
def test_what_is_no_zero_is_refused(change: dict[str, object]) -> None:
    with pytest.raises((ValueError, KeyError)):
        Calibration.from_json(Calibration(1.0, 1.0, 0.26, "seen", 48).to_json() | change)


def test_a_video_without_faces_has_no_zero(talk: Path) -> None:
    assert calibration.calibrate(talk, finder=NoFaces()) is None


def test_the_beginning_is_looked_at_several_times_a_second(talk: Path) -> None:
    times = [frame.time_s for frame in calibration.first_frames(talk)]
    assert times[0] < 0.1
    assert 2.5 < times[-1] <= 3.1
    assert 0.14 < np.diff(times).min()
    assert np.diff(times).max() < 0.3


def test_a_sparse_look_spreads_over_the_whole_video(talk: Path) -> None:
    """Sixty pictures at most, the first and some of the last seconds among them, all upright and of one size."""
    seen = list(calibration.sparse_frames(talk, 60))
    assert 20 <= len(seen) <= 60
    assert seen[0].time_s < 1
    assert seen[-1].time_s > 14
    assert len({frame.y.shape for frame in seen}) == 1


@pytest.mark.skipif(not CLIPS.is_dir(), reason="the real recordings are not at hand")
@pytest.mark.parametrize(
    ("clip", "source"), [("08_man_glasses_into_lens", "seen"), ("01_webcam_reading_woman", "anatomy")]
)
def test_real_speakers_are_told_apart(clip: str, source: str) -> None:
    """One looks into the lens with glasses full of reflections, the other reads below it."""
    found = calibration.calibrate(CLIPS / f"{clip}.mp4")
    assert found is not None
    assert source == found.source
