"""The sample clip is reproducible, with a face that is detected and audible pauses."""

import argparse
from pathlib import Path

import av
import numpy as np
import pytest

from media.errors import Refused
from media.gaze.face.faces import Mode
from media.gaze.face.landmarks import Landmarker
from media.sample import acting, film, portrait, voice
from media.sample.portrait import Portrait
from tests.media.gaze.synthetic import planes

SIZE = (540, 960)


@pytest.fixture(scope="module")
def face() -> Portrait:
    return Portrait()


def test_a_moment_looks_the_same_whenever_it_is_drawn(face: Portrait) -> None:
    first = film.picture_at(face, 6.3, SIZE)
    film.picture_at(face, 2.0, SIZE)
    assert np.array_equal(first, film.picture_at(face, 6.3, SIZE))


def test_she_looks_into_the_lens_for_some_seconds_and_reads_beside_it_for_more() -> None:
    times = np.arange(0, 74, 1 / 30)
    into = np.array([acting.is_into_lens(time) for time in times])
    off = np.array([np.hypot(*acting.gaze_deg(time)) for time in times])
    assert 0.2 < into.mean() < 0.35
    assert (off[~into] < 22).all()
    assert float(np.median(off[~into])) > 8


def test_she_blinks_every_few_seconds_for_a_quarter_of_a_second() -> None:
    lids = np.array([acting.closed(time) for time in np.arange(0, 74, 1 / 30)])
    blinks = int((np.diff((lids > 0).astype(int)) == 1).sum())
    assert 14 <= blinks <= 20
    assert lids.max() == 1.0
    assert 0.04 < (lids > 0).mean() < 0.08


def test_landmarks_find_her_at_every_moment(face: Portrait) -> None:
    with Landmarker(mode=Mode.SPARSE) as finder:
        for index, time_s in enumerate(np.arange(0.3, 74, 5.1)):
            frame = planes(film.picture_at(face, float(time_s), SIZE), index)
            assert len(finder.find(frame)) == 1, f"no face at {time_s:.1f} s"


def test_the_voice_is_the_same_every_time_and_pauses() -> None:
    sound = voice.speak(30)
    assert np.array_equal(sound, voice.speak(30))
    windows = sound[: len(sound) // 4800 * 4800].reshape(-1, 4800)
    loud = np.sqrt((windows**2).mean(axis=1)) > 0.01
    pauses = np.diff(np.flatnonzero(np.diff(np.concatenate([[1], loud, [1]])))[::1])[::2]
    assert (pauses >= 4).sum() >= 4  # tenths of a second
    assert 0.6 < loud.mean() < 0.95


def test_a_short_clip_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "sample.mp4"
    result = film.film(argparse.Namespace(target=target, seconds=1.5, width=360), lambda _: None)
    assert (result["frames"], result["width"], result["height"]) == (45, 360, 640)
    with av.open(str(target)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 45
    with av.open(str(target)) as container:
        heard = sum(frame.samples for frame in container.decode(audio=0))
    assert 1.5 <= heard / voice.RATE < 1.6


def test_without_the_portrait_it_is_said_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portrait, "SHA256", "0" * 64)
    with pytest.raises(Refused, match="scikit-image"):
        portrait.locate()
