"""The voice detector separates speech from other sounds, with chunks of any size, and checks its weights."""

import resource
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from media import packaged_file
from media.cutting import voice_activity
from media.cutting.voice_activity import SAMPLE_RATE, WINDOW, VoiceDetector, VoiceModelMissing, probability
from tests.media.cutting import backgrounds, spoken

Sound = NDArray[np.float32]

needs_espeak = pytest.mark.skipif(spoken.is_missing(), reason="libespeak-ng is missing; apt-get install espeak-ng")


def heard(sound: Sound, chunk: int = SAMPLE_RATE) -> Sound:
    detector = VoiceDetector()
    parts = [detector.push(sound[at : at + chunk]) for at in range(0, len(sound), chunk)]
    return probability(np.concatenate([*parts, detector.flush()]))


def chirp(seconds: float) -> Sound:
    """Sweep from 100 Hz to 4 kHz and back, as loud as a voice."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    pitch = 2050 - 1950 * np.cos(2 * np.pi * time / seconds)
    return np.asarray(0.1 * np.sin(2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE), np.float32)


def vowels(seconds: float) -> Sound:
    """Glide through vowels in syllables; no random numbers, so that all machines hear the same."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    pitch = 130 + 25 * np.sin(2 * np.pi * 0.9 * time)
    first, second = 550 + 250 * np.sin(2 * np.pi * 1.7 * time), 1500 + 600 * np.sin(2 * np.pi * 1.1 * time)
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    sound = np.zeros(len(time))
    for k in range(1, 28):
        gain = np.exp(-(((k * pitch - first) / 150) ** 2)) + 0.5 * np.exp(-(((k * pitch - second) / 200) ** 2)) + 0.02
        sound += gain * np.sin(k * phase)
    return np.asarray(0.1 * sound * np.clip(np.sin(2 * np.pi * 3 * time) + 0.5, 0, 1), np.float32)


# silero_vad.onnx of silero-vad 6.2.3 gave these for vowels(1.6), by ONNX Runtime 1.32 on 2026-11-28.
REFERENCE = (
    0.6347, 0.8646, 0.8474, 0.8801, 0.9102, 0.9809, 0.3635, 0.5343, 0.3680, 0.5685, 0.7593, 0.8165, 0.8580, 0.8590,
    0.8062, 0.8667, 0.8909, 0.6910, 0.4987, 0.2240, 0.5225, 0.7276, 0.7971, 0.8066, 0.7689, 0.7766, 0.8447, 0.8377,
    0.5646, 0.4076, 0.7654, 0.9547, 0.9740, 0.9658, 0.9565, 0.9280, 0.9608, 0.9223, 0.8016, 0.5413, 0.7007, 0.8272,
    0.8824, 0.8867, 0.8748, 0.8760, 0.9124, 0.9367, 0.8995, 0.7567,
)  # fmt: skip


def test_the_numbers_are_those_of_the_reference() -> None:
    assert REFERENCE == pytest.approx(heard(vowels(1.6)).tolist(), abs=0.001)


def test_chunks_of_any_length_give_the_same() -> None:
    sound = vowels(3.0)
    whole = heard(sound, len(sound))
    assert len(whole) == -(-len(sound) // WINDOW)
    for chunk in (100, 512, 5_000, 16_001):
        assert np.allclose(whole, heard(sound, chunk), atol=1e-4)


@needs_espeak
@pytest.mark.parametrize("name", ["de", "en-us+f3"])
def test_speech_is_told_from_noise_tone_and_silence(name: str) -> None:
    said = spoken.speak(spoken.TALKS[name.split("+", maxsplit=1)[0]], name, 175)
    during = heard(said.at_rate(SAMPLE_RATE))
    random = np.random.default_rng(3)
    others = {
        "silence": np.zeros(10 * SAMPLE_RATE, np.float32),
        "noise": random.normal(0, 0.05, 10 * SAMPLE_RATE).astype(np.float32),
        "tone": chirp(10.0),
    }
    assert float(np.median(during)) > 0.8
    for sound in others.values():
        assert float(np.median(heard(sound))) < 0.2


@pytest.mark.parametrize("name", backgrounds.MUSIC)
def test_music_alone_is_seldom_taken_for_speech(name: str) -> None:
    """A string or a piano can sound like a voice for a moment, but not most of the time."""
    music = backgrounds.background(name, 20, 22_050)
    places = np.arange(20 * SAMPLE_RATE) * (22_050 / SAMPLE_RATE)
    sound = np.interp(places, np.arange(len(music)), 0.1 * music).astype(np.float32)
    assert float(np.mean(heard(sound) > 0.5)) < 0.25


def test_nothing_and_numbers_beyond_sound_are_survived() -> None:
    assert len(heard(np.zeros(0, np.float32))) == 0
    assert np.isfinite(heard(np.full(4 * WINDOW, 30.0, np.float32))).all()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_length_of_the_sound() -> None:
    detector = VoiceDetector()
    minute = np.resize(chirp(1.0), 60 * SAMPLE_RATE)
    detector.push(minute)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(10):  # which are 38 MB
        detector.push(minute)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 4_000, "kB"


def test_a_carrier_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_such(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(packaged_file, "files", no_such)
    with pytest.raises(VoiceModelMissing, match="silero-vad"):
        voice_activity.locate()


def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voice_activity, "SHA256", "0" * 64)
    with pytest.raises(VoiceModelMissing, match=voice_activity.FILE_NAME):
        voice_activity.locate()
    for content in (b"", b"not a network", b"\x3a\x00"):
        (tmp_path / "net.onnx").write_bytes(content)
        with pytest.raises(VoiceModelMissing, match="holds no"):
            voice_activity.network(tmp_path / "net.onnx")
