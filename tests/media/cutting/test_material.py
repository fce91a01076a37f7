"""A plan keeps, to move its cuts by, bounded facts on the clock of the parts."""

import base64
import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from media.cutting.cuts import Pause
from media.cutting.material import collect
from media.limits import MAX_KEY_FRAMES, MAX_PAUSES
from media.process import runner
from media.reading.timeline import of_packets
from tests.media import films

SOUND_RATE = films.SOUND_RATE


def talk(seconds: int, pauses: list[tuple[float, float]]) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Return noise like speech, with silence in the pauses."""
    sound = np.random.default_rng(3).normal(0, 0.1, seconds * SOUND_RATE).astype(np.float32)
    for start_s, end_s in pauses:
        sound[round(start_s * SOUND_RATE) : round(end_s * SOUND_RATE)] = 0
    return sound


@pytest.mark.parametrize("seconds", [10, 20])
def test_a_plan_keeps_pauses_and_peaks_also_of_a_video_that_is_one_part(seconds: int, tmp_path: Path) -> None:
    source = films.write(tmp_path / "in.mp4", films.at_rate(seconds, 80), sound=talk(seconds, [(4, 5.5)]))
    kept = runner.run("plan", [str(source), "--segment-seconds", "12"], deadline_s=120)["cutting"]
    assert [pause for pause in kept["pauses"] if pause[0] < 4.75 < pause[1]]
    values = base64.b64decode(kept["peaks"]["values"])
    assert len(values) / kept["peaks"]["per_s"] == pytest.approx(seconds, abs=0.1)
    at = round(4.75 * kept["peaks"]["per_s"])
    assert max(values[at - 20 : at + 20]) < 10
    assert min(values[at - 150 : at - 100]) > 100


def test_sound_that_begins_later_has_its_peaks_later(tmp_path: Path) -> None:
    source = films.write(tmp_path / "in.mp4", films.at_rate(8, 80), sound=films.noise(4), sound_start_s=Fraction(5, 2))
    peaks = runner.run("plan", [str(source)], deadline_s=120)["cutting"]["peaks"]
    values = base64.b64decode(peaks["values"])
    loud = [at / peaks["per_s"] for at, value in enumerate(values) if value > 100]
    assert (min(loud), max(loud)) == (pytest.approx(2.5, abs=0.06), pytest.approx(6.5, abs=0.06))
    assert len(values) / peaks["per_s"] == pytest.approx(10, abs=0.1)


def test_a_video_without_sound_has_no_peaks(tmp_path: Path) -> None:
    source = films.write(tmp_path / "in.mp4", films.at_rate(8, 80))
    kept = runner.run("plan", [str(source)], deadline_s=120)["cutting"]
    assert (kept["pauses"], kept["peaks"]) == ([], None)


def test_three_hours_are_kept_in_less_than_a_hundred_kilobytes() -> None:
    """In the worst case: each picture is a key frame, and there is a pause each second."""
    frames = 3 * 3600 * 60
    stamps = [1001 * number for number in range(frames)]
    timeline = of_packets(stamps, stamps, Fraction(1, 60_000), 1001)
    pauses = [Pause(float(at), at + 0.2 + at % 7 / 100) for at in range(3 * 3600)]
    found = collect(timeline, timeline.grid(), pauses, None)
    assert len(found.pauses) == MAX_PAUSES
    assert min(pause.end_s - pause.start_s for pause in found.pauses) > 0.24, "the longest ones are kept"
    assert list(found.pauses) == sorted(found.pauses, key=lambda pause: pause.start_s)
    assert 0.9 * MAX_KEY_FRAMES < len(found.key_frames) <= MAX_KEY_FRAMES
    assert all(timeline.times[tick] == stamp for tick, stamp in found.key_frames)
    assert len(json.dumps(found.to_json())) < 100_000


def test_uncertain_pauses_are_not_kept() -> None:
    timeline = of_packets(range(300), [0], Fraction(1, 30), 1)
    pauses = [Pause(1, 2, 0.5), Pause(3, 4, 0.95)]
    assert list(collect(timeline, timeline.grid(), pauses, None).pauses) == [Pause(3, 4, 0.95)]
