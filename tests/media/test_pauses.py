"""Pauses are found where nobody speaks, in noise and at any level; words are made here, so their times are known."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from media import pauses
from media.cuts import Pause, choose
from media.errors import Refused
from media.inspection import inspect
from media.sound import RATE, Soundtrack
from tests.media import films


def found_in(source: Path) -> list[Pause]:
    return pauses.find(source, inspect(source).timeline.grid(), lambda share: None)


def speech(words: list[tuple[float, float]], seconds: float, noise_db: float, seed: int = 1) -> NDArray[np.float32]:
    """Make something like speech: syllables of 180 ms on a pitch, in a room with noise."""
    random = np.random.default_rng(seed)
    time = np.arange(round(seconds * films.SOUND_RATE)) / films.SOUND_RATE
    voice = np.zeros_like(time)
    for harmonic in (1, 2, 3, 5, 8, 13, 21):
        voice += np.sin(2 * np.pi * 130 * harmonic * time) / harmonic**0.5
    envelope = np.zeros_like(time)
    for start, end in words:
        here = slice(round(start * films.SOUND_RATE), round(end * films.SOUND_RATE))
        since, left = time[here] - start, end - time[here]
        edges = np.minimum(since / 0.03, left / 0.05).clip(0, 1)
        envelope[here] = edges * (0.55 + 0.45 * np.cos(2 * np.pi * since / 0.18))
    room = random.normal(0, 10 ** (noise_db / 20), len(time))
    return np.asarray(0.1 * voice * envelope + room, np.float32)


def sentences(seconds: float, seed: int) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """Return words and the gaps of 150 ms and more between them."""
    random = np.random.default_rng(seed)
    words, gaps, at = [], [], 0.4
    while at < seconds - 2:
        length = random.uniform(0.25, 0.8)
        words.append((at, at + length))
        gap = random.choice([0.02, 0.05, 0.3, 0.7], p=[0.5, 0.25, 0.15, 0.1])
        gaps += [(at + length, at + length + gap)] if gap >= 0.15 else []
        at += length + gap
    return words, gaps


@pytest.mark.parametrize("noise_db", [-80, -50, -38])
def test_pauses_lie_between_words(noise_db: float, tmp_path: Path) -> None:
    words, gaps = sentences(40, seed=4)
    source = films.write(tmp_path / "in.mp4", films.at_rate(5, 200), sound=speech(words, 40, noise_db))
    found = found_in(source)
    for pause in found:
        assert not [word for word in words if word[0] + 0.02 < (pause.start_s + pause.end_s) / 2 < word[1] - 0.02]
    met = [gap for gap in gaps if any(p.start_s < gap[1] and p.end_s > gap[0] for p in found)]
    assert len(met) >= 0.8 * len(gaps)


@pytest.mark.parametrize("noise_db", [-80, -45])
def test_no_cut_falls_into_a_word(noise_db: float, tmp_path: Path) -> None:
    words, _ = sentences(60, seed=9)
    source = films.write(tmp_path / "in.mp4", films.at_rate(5, 300), sound=speech(words, 60, noise_db))
    found = found_in(source)
    cuts = choose(60 * 30, Fraction(30), 12, found)
    assert len(cuts) >= 5
    for cut in cuts[:-1]:
        at = float((cut.first + cut.frames) / 30)
        assert not [word for word in words if word[0] < at < word[1]]


def test_steady_noise_has_no_pauses() -> None:
    levels = np.random.default_rng(2).normal(-30, 1.5, (6000, 2)).astype(np.float32)
    assert pauses.quiet(levels) == []


def test_digital_silence_is_one_pause() -> None:
    levels = np.full((500, 2), -80, np.float32)
    assert np.allclose(pauses.quiet(levels), [(0.03, 4.97)])


def test_the_level_may_change_in_the_middle() -> None:
    """Someone steps back from the microphone: what is quiet is measured against the surroundings."""
    near = np.where(np.arange(6000) % 200 < 160, -20, -50)
    far = near - 18
    found = pauses.quiet(np.repeat(np.concatenate([near, far]).astype(np.float32)[:, None], 2, axis=1))
    assert len(found) == pytest.approx(60, abs=3)


def test_sound_that_begins_later_moves_the_pauses(tmp_path: Path) -> None:
    words = [(0.0, 2.0), (3.0, 5.0)]
    late = Fraction(5, 2)
    source = films.write(tmp_path / "in.mp4", films.at_rate(5, 40), sound=speech(words, 5, -60), sound_start_s=late)
    found = [pause for pause in found_in(source) if pause.start_s > 3]
    assert np.allclose((found[0].start_s, found[0].end_s), (4.5, 5.5), atol=0.1)


def test_sound_that_cannot_be_read_is_not_taken_for_sound_without_pauses(tmp_path: Path) -> None:
    source = films.write(tmp_path / "in.mp4", films.at_rate(5, 40), sound=films.noise(8))
    whole = inspect(source).timeline.grid()
    source.write_bytes(b"nothing")
    with pytest.raises(Refused):
        pauses.find(source, whole, lambda share: None)


@pytest.mark.parametrize(
    "second_track",
    [
        ["-map", "0:a", "-map", "1:a", "-c:a:0", "aac", "-c:a:1", "aac", "-ac:a:1", "2"],  # others take the stereo one
        ["-map", "1:a", "-map", "0:a", "-c:a:0", "wavpack", "-c:a:1", "aac"],  # the first is of no use to us
    ],
)
def test_pauses_are_those_of_the_sound_that_is_published(second_track: list[str], tmp_path: Path) -> None:
    words, gaps = sentences(20, seed=4)
    talk = films.write(tmp_path / "talk.mp4", films.at_rate(5, 100), sound=speech(words, 20, -60))
    source = tmp_path / "two.mkv"
    roar = ["-f", "lavfi", "-i", "anoisesrc=d=20:a=0.3"]
    films.ffmpeg("-i", talk, *roar, "-map", "0:v", "-c:v", "copy", *second_track, "-disposition:a", "default", source)
    found = inspect(source)
    assert found.facts.audio is not None
    silent = found_in(source)
    met = [gap for gap in gaps if any(p.start_s < gap[1] and p.end_s > gap[0] for p in silent)]
    assert len(met) >= 0.8 * len(gaps)
    sound = Soundtrack(source, found.timeline.grid())
    heard = np.concatenate([block[0] for block in sound])
    during = [np.abs(heard[int(p.start_s * RATE) : int(p.end_s * RATE)]).max() for p in silent]
    assert max(during) < 0.1 < np.abs(heard).max(), "it is quiet there in the parts, too"
