"""Background sounds for speech: music in several styles, voices, traffic and reverberation.

All sounds are synthesised from a seed: mono, float64, unit power. `mixed` sets the ratio to the speech.
"""

import itertools
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tests.media.cutting import spoken
from tests.media.cutting.spoken import Speech

Background = NDArray[np.float64]

LOOP_BARS = 8
CHORDS = ((0, 4, 7), (-3, 0, 4), (-7, -3, 0), (-5, -1, 2))  # I vi IV V, in semitones from the key note
MINOR_CHORDS = ((0, 3, 7), (-4, 0, 3), (-9, -5, -2), (-2, 2, 5))  # i VI III VII
PENTATONIC = (0, 2, 4, 7, 9, 12, 14, 16)
CHATTER = {
    "fr": "Hier nous avons parlé longtemps de ce voyage, et personne ne savait vraiment quand il fallait partir. ",
    "es": "Mañana vamos al mercado porque mi hermana quiere comprar fruta y pan antes de que lleguen todos. ",
    "it": "Quando arriva il treno dobbiamo correre, altrimenti restiamo qui fino a domani mattina senza cena. ",
    "en": "Well, I told him that the kitchen was far too small for six people, but he would not listen. ",
    "de": "Und dann hat sie gesagt, dass der Wagen schon wieder kaputt ist und niemand etwas davon wusste. ",
    "nl": "Gisteren zijn we met de hele familie naar het strand gegaan en het regende de hele middag door. ",
}


def mixed(speech: Speech, background: Background, snr_db: float) -> Speech:
    """Mix speech with a background sound.

    Args:
        speech: with its known words.
        background: (samples,), unit power, at least as long.
        snr_db: power of the words over that of the background, in decibels.
    """
    spoken_power = float(np.mean([np.mean(_between(speech, start, end) ** 2) for start, end in speech.words]))
    gain = np.sqrt(spoken_power / 10 ** (snr_db / 10))
    sound = speech.sound + gain * background[: len(speech.sound)]
    sound *= min(1.0, 0.98 / np.abs(sound).max())
    return Speech(np.asarray(sound, np.float32), speech.rate, speech.words)


def ducked(speech: Speech, background: Background, snr_db: float, depth_db: float = 9.0) -> Speech:
    """Mix speech with music that is louder in pauses, as with automatic ducking.

    Args:
        speech: with its known words.
        background: (samples,), unit power, at least as long.
        snr_db: power of the words over power of the music while somebody speaks.
        depth_db: how much louder the music is in pauses.
    """
    talking = _follow(speech.sound, speech.rate, attack_s=0.03, release_s=0.2)
    share = np.clip(talking / (0.5 * np.sqrt(np.mean(speech.sound**2))), 0, 1)
    return mixed(speech, background[: len(share)] * 10 ** (depth_db / 20 * (1 - share)), snr_db)


def compressed(speech: Speech, ratio: float = 3.0) -> Speech:
    """Compress the dynamic range like a phone's gain control: pauses become louder."""
    level = _follow(speech.sound, speech.rate, attack_s=0.01, release_s=0.25)
    loud = np.percentile(level, 90)
    gain = (np.maximum(level, loud * 0.03) / loud) ** (1 / ratio - 1)
    sound = speech.sound * gain
    return Speech(np.asarray(sound * 0.9 / np.abs(sound).max(), np.float32), speech.rate, speech.words)


def expressive(speech: Speech, seed: int = 5) -> Speech:
    """Vary the loudness of each phrase, let it fall towards its end, and add breaths."""
    random = np.random.default_rng(seed)
    gaps = [(0.0, 0.0), *speech.gaps(0.12), (speech.seconds, speech.seconds)]
    gain_db = np.zeros(len(speech.sound))
    breath = np.zeros(len(speech.sound))
    for (_, start), (end, over) in itertools.pairwise(gaps):
        first, last = round(start * speech.rate), round(end * speech.rate)
        top = random.uniform(-4, 4)
        gain_db[first : round(over * speech.rate)] = top - random.uniform(4, 9)
        gain_db[first:last] = top - np.linspace(0, random.uniform(4, 9), last - first)
        if over - end >= 0.3 and random.random() < 0.7:
            air = _coloured(round(0.22 * speech.rate), speech.rate, random, low_hz=500, high_hz=6000, slope=0.3)
            _add_at(breath, round((over - 0.24) * speech.rate), air * np.hanning(len(air)))
    sound = speech.sound * 10 ** (gain_db / 20) + breath * 0.03 * np.std(speech.sound)
    return Speech(np.asarray(sound * min(1.0, 0.98 / np.abs(sound).max()), np.float32), speech.rate, speech.words)


def pop(seconds: float, rate: int, seed: int) -> Background:
    """Play kick, snare, hi-hat, bass and a chord pad."""
    random = np.random.default_rng(seed)
    beat = 60 / random.uniform(92, 124)
    track = _Track(LOOP_BARS * 4 * beat, rate)
    key = 110 * 2 ** (random.integers(0, 12) / 12)
    for step in range(LOOP_BARS * 8):
        at = step * beat / 2
        chord = CHORDS[step // 8 % 4]
        if step % 4 == 0 or random.random() < 0.1:
            track.add(at, _kick(rate), 1.0)
        if step % 4 == 2:
            track.add(at, _snare(rate, random), 0.6)
        track.add(at, _hat(rate, random), 0.18)
        track.add(at, _pluck(key / 2 * 2 ** (chord[0] / 12), beat / 2, rate, decay=4, partials=6), 0.5)
        if step % 8 == 0:
            for tone in chord:
                track.add(at, _pad(key * 2 * 2 ** (tone / 12), 4 * beat, rate, vibrato_cents=8), 0.16)
    return track.filled(seconds)


def guitar(seconds: float, rate: int, seed: int) -> Background:
    """Pluck broken chords on steel strings."""
    random = np.random.default_rng(seed)
    beat = 60 / random.uniform(70, 110)
    track = _Track(LOOP_BARS * 4 * beat, rate)
    key = 147 * 2 ** (random.integers(0, 8) / 12)
    for step in range(LOOP_BARS * 8):
        chord = CHORDS[step // 8 % 4]
        tone = chord[random.integers(0, 3)] + 12 * random.integers(0, 2)
        late = random.uniform(0, 0.012)
        track.add(step * beat / 2 + late, _string(key * 2 ** (tone / 12), 1.6, rate, random), random.uniform(0.6, 1))
        if step % 8 == 0:
            track.add(step * beat / 2, _string(key / 2 * 2 ** (chord[0] / 12), 2.5, rate, random), 1.0)
    return track.filled(seconds)


def ambient(seconds: float, rate: int, seed: int) -> Background:
    """Hold slow chords that swell and fade."""
    random = np.random.default_rng(seed)
    bar = random.uniform(3.5, 5.5)
    track = _Track(LOOP_BARS * bar, rate)
    key = 130 * 2 ** (random.integers(0, 10) / 12)
    for step in range(LOOP_BARS):
        for tone in MINOR_CHORDS[step % 4]:
            pitch = key * 2 ** ((tone + 12 * random.integers(0, 2)) / 12)
            track.add(step * bar, _pad(pitch, bar * 1.3, rate, vibrato_cents=12, rise_s=bar / 3), 0.5)
    return track.filled(seconds)


def piano(seconds: float, rate: int, seed: int) -> Background:
    """Play a melody of hammered strings over a left hand."""
    random = np.random.default_rng(seed)
    beat = 60 / random.uniform(66, 100)
    track = _Track(LOOP_BARS * 4 * beat, rate)
    key = 262 * 2 ** (random.integers(-5, 6) / 12)
    for step in range(LOOP_BARS * 8):
        chord = CHORDS[step // 8 % 4]
        if random.random() < 0.6:
            tone = PENTATONIC[random.integers(0, len(PENTATONIC))]
            track.add(step * beat / 2, _hammered(key * 2 ** (tone / 12), 1.8, rate), random.uniform(0.4, 1))
        if step % 4 == 0:
            for tone in chord:
                track.add(step * beat / 2, _hammered(key / 2 * 2 ** (tone / 12), 2.0, rate), 0.5)
    return track.filled(seconds)


def electronic(seconds: float, rate: int, seed: int) -> Background:
    """Play a four-on-the-floor beat that ducks a saw-tooth bass and chord stabs."""
    random = np.random.default_rng(seed)
    beat = 60 / random.uniform(118, 134)
    track, ducked = _Track(LOOP_BARS * 4 * beat, rate), _Track(LOOP_BARS * 4 * beat, rate)
    key = 110 * 2 ** (random.integers(0, 10) / 12)
    for step in range(LOOP_BARS * 16):
        at, chord = step * beat / 4, MINOR_CHORDS[step // 16 % 4]
        if step % 4 == 0:
            track.add(at, _kick(rate), 1.0)
        if step % 4 == 2:
            track.add(at, _hat(rate, random), 0.3)
        if step % 8 == 4:
            track.add(at, _snare(rate, random), 0.4)
        ducked.add(at, _pluck(key / 2 * 2 ** (chord[0] / 12), beat / 4, rate, decay=3, partials=14), 0.5)
        if step % 16 in (3, 6, 11, 14):
            for tone in chord:
                ducked.add(at, _pluck(key * 4 * 2 ** (tone / 12), beat / 2, rate, decay=6, partials=10), 0.25)
    phase = np.arange(len(ducked.sound)) / rate % beat / beat
    track.sound += ducked.sound * np.minimum(1, phase * 2)
    return track.filled(seconds)


def strings(seconds: float, rate: int, seed: int) -> Background:
    """Bow a melody with vibrato over a drone, near the pitch of a voice."""
    random = np.random.default_rng(seed)
    beat = 60 / random.uniform(60, 84)
    track = _Track(LOOP_BARS * 4 * beat, rate)
    key = 196 * 2 ** (random.integers(-4, 5) / 12)
    at = 0.0
    while at < LOOP_BARS * 4 * beat:
        length = beat * random.choice([0.5, 1, 1, 2])
        tone = PENTATONIC[random.integers(0, len(PENTATONIC))]
        track.add(at, _pad(key * 2 ** (tone / 12), length * 1.1, rate, vibrato_cents=35, rise_s=0.08), 1.0)
        at += length
    for step in range(LOOP_BARS):
        track.add(step * 4 * beat, _pad(key / 2, 4.2 * beat, rate, vibrato_cents=5, rise_s=0.4), 0.5)
    return track.filled(seconds)


def babble(seconds: float, rate: int, seed: int, voices: int = 6) -> Background:
    """Mix several distant voices that talk at once."""
    random = np.random.default_rng(seed)
    count = round(seconds * rate)
    total = np.zeros(count)
    for number, (language, text) in enumerate(list(CHATTER.items())[:voices]):
        variant = ("", "+f2", "+m3", "+f4", "+m5", "+f1")[number % 6]
        said = spoken.speak(text * 6, language + variant, int(random.integers(150, 200)))
        assert said.rate == rate, "eSpeak NG speaks at one rate"
        looped = np.resize(np.roll(said.sound, int(random.integers(0, len(said.sound)))), count)
        total += looped / np.std(looped) * random.uniform(0.6, 1.0)
    return _with_reverberation(_unit(total), rate, 0.5, 0.0, seed)


def street(seconds: float, rate: int, seed: int) -> Background:
    """Mix city noise, passing cars and occasional horns."""
    random = np.random.default_rng(seed)
    count = round(seconds * rate)
    time = np.arange(count) / rate
    hum = _coloured(count, rate, random, low_hz=30, high_hz=2500, slope=1.0)
    hum *= 1 + 0.3 * np.sin(2 * np.pi * 0.15 * time + random.uniform(0, 6))
    at = random.uniform(0, 3)
    while at < seconds:
        width = random.uniform(0.6, 2.0)
        tyres = _coloured(round(8 * width * rate), rate, random, low_hz=120, high_hz=5000, slope=0.5)
        place = np.arange(len(tyres)) / rate - 4 * width
        _add_at(hum, round((at - 4 * width) * rate), tyres * random.uniform(0.8, 2.2) / (1 + (place / width) ** 2))
        at += random.exponential(4) + 1
    for _ in range(int(seconds / 25)):
        pitch, length = random.uniform(330, 480), random.uniform(0.15, 0.6)
        horn = _pluck(pitch, length, rate, decay=0.5, partials=8) + _pluck(pitch * 1.26, length, rate, 0.5, 8)
        _add_at(hum, round(random.uniform(0, seconds) * rate), horn * 0.7)
    return _unit(hum)


def in_hall(speech: Speech, reverberation_s: float, direct_db: float = 0.0, seed: int = 5) -> Speech:
    """Add reverberation to speech.

    Args:
        speech: recorded without a room.
        reverberation_s: the time in which the reverberation falls by 60 dB.
        direct_db: power of the direct sound over that of the reflections, in decibels.
        seed: of the room.
    """
    heard = _with_reverberation(speech.sound.astype(np.float64), speech.rate, reverberation_s, direct_db, seed)
    heard *= np.std(speech.sound) / np.std(heard)
    return Speech(np.asarray(heard, np.float32), speech.rate, speech.words)


MUSIC: dict[str, Callable[[float, int, int], Background]] = {
    "pop": pop, "guitar": guitar, "ambient": ambient, "piano": piano, "electronic": electronic, "strings": strings,
}  # fmt: skip
BACKGROUNDS: dict[str, Callable[[float, int, int], Background]] = MUSIC | {"babble": babble, "street": street}


@lru_cache(maxsize=64)
def background(name: str, seconds: int, rate: int, seed: int = 5) -> Background:
    """Return a background of a whole number of seconds; equal seeds give equal sounds."""
    return BACKGROUNDS[name](seconds, rate, seed)


class _Track:
    """A loop of music: notes beyond its end continue at its beginning."""

    def __init__(self, seconds: float, rate: int) -> None:
        self.rate = rate
        self.sound = np.zeros(round(seconds * rate))

    def add(self, at_s: float, note: Background, gain: float) -> None:
        places = (round(at_s * self.rate) + np.arange(len(note))) % len(self.sound)
        self.sound[places] += gain * note

    def filled(self, seconds: float) -> Background:
        return _unit(np.resize(self.sound, round(seconds * self.rate)))


def _kick(rate: int) -> Background:
    time = np.arange(round(0.25 * rate)) / rate
    return np.asarray(np.sin(2 * np.pi * (45 * time - 8 * np.exp(-20 * time))) * np.exp(-12 * time))


def _snare(rate: int, random: np.random.Generator) -> Background:
    time = np.arange(round(0.18 * rate)) / rate
    return np.asarray((random.normal(0, 0.5, len(time)) + np.sin(2 * np.pi * 185 * time)) * np.exp(-22 * time))


def _hat(rate: int, random: np.random.Generator) -> Background:
    time = np.arange(round(0.06 * rate)) / rate
    return np.asarray(np.diff(random.normal(size=len(time) + 1)) * np.exp(-70 * time))


def _pluck(pitch: float, length_s: float, rate: int, decay: float, partials: int) -> Background:
    time = np.arange(round(length_s * rate)) / rate
    tones = [np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, partials + 1) if pitch * k < rate / 2]
    return np.asarray(sum(tones) * np.exp(-decay * time) * _edges(len(time), rate))


def _string(pitch: float, length_s: float, rate: int, random: np.random.Generator) -> Background:
    time = np.arange(round(length_s * rate)) / rate
    where = random.uniform(0.12, 0.25)  # the place at which the string is plucked leaves partials out
    tones = [
        np.sin(np.pi * k * where) / k * np.sin(2 * np.pi * pitch * k * np.sqrt(1 + 1e-4 * k * k) * time)
        * np.exp(-(1.2 + 0.5 * k) * time)
        for k in range(1, 16)
        if pitch * k < rate / 2
    ]  # fmt: skip
    return np.asarray(sum(tones) * _edges(len(time), rate, 0.002))


def _hammered(pitch: float, length_s: float, rate: int) -> Background:
    time = np.arange(round(length_s * rate)) / rate
    tones = [
        k**-1.3 * np.sin(2 * np.pi * pitch * k * np.sqrt(1 + 4e-4 * k * k) * time) * np.exp(-(1.5 + 0.7 * k) * time)
        for k in range(1, 11)
        if pitch * k < rate / 2
    ]
    return np.asarray(sum(tones) * _edges(len(time), rate, 0.004))


def _pad(pitch: float, length_s: float, rate: int, vibrato_cents: float, rise_s: float = 0.15) -> Background:
    time = np.arange(round(length_s * rate)) / rate
    bend = vibrato_cents / 1200 * np.log(2) * np.sin(2 * np.pi * 5.3 * time) / (2 * np.pi * 5.3)
    tones = [np.sin(2 * np.pi * pitch * k * (time + bend)) / k for k in range(1, 9) if pitch * k < rate / 2]
    return np.asarray(sum(tones) * _edges(len(time), rate, rise_s))


def _follow(sound: NDArray[np.float32], rate: int, attack_s: float, release_s: float) -> Background:
    """Return a sound's amplitude, quick to rise and slow to fall, at each sample."""
    hop = rate // 200
    steps = np.sqrt(np.mean(np.resize(sound, (len(sound) // hop, hop)) ** 2, axis=1))
    rise, fall = np.exp(-0.005 / attack_s), np.exp(-0.005 / release_s)
    level, levels = 0.0, []
    for step in steps:
        keep = rise if step > level else fall
        level = keep * level + (1 - keep) * step
        levels.append(level)
    return np.asarray(np.interp(np.arange(len(sound)) / hop, np.arange(len(levels)), levels))


def _edges(count: int, rate: int, rise_s: float = 0.005) -> Background:
    since = np.arange(count) / rate
    return np.asarray(np.minimum(np.minimum(since, since[::-1]) / rise_s, 1))


def _coloured(
    count: int, rate: int, random: np.random.Generator, low_hz: float, high_hz: float, slope: float
) -> Background:
    """Return noise between two pitches whose amplitude falls as pitch to the power of `slope`, at unit power."""
    size = 1 << max(count - 1, 1).bit_length()
    pitch = np.fft.rfftfreq(size, 1 / rate)
    shape = np.where((pitch > low_hz) & (pitch < high_hz), np.maximum(pitch, low_hz) ** -slope, 0)
    return _unit(np.fft.irfft(np.fft.rfft(random.normal(size=size)) * shape, size)[:count])


def _with_reverberation(
    sound: Background, rate: int, reverberation_s: float, direct_db: float, seed: int
) -> Background:
    """Add early reflections and decaying reverberation."""
    random = np.random.default_rng(seed)
    count = int(reverberation_s * rate)
    fading = random.normal(size=count) * 10 ** (-3 * np.arange(count) / count)
    fading[: round(0.004 * rate)] = 0
    early = random.integers(round(0.004 * rate), round(0.04 * rate), 8)
    fading[early] += random.uniform(2, 6, 8) * random.choice([-1, 1], 8)
    room = fading / np.sqrt(np.sum(fading**2)) * 10 ** (-direct_db / 20)
    room[0] = 1
    size = 1 << (len(sound) + count).bit_length()
    return np.asarray(np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(room, size), size)[: len(sound)])


def _between(speech: Speech, start_s: float, end_s: float) -> NDArray[np.float32]:
    return speech.sound[
        round(start_s * speech.rate) : max(round(end_s * speech.rate), round(start_s * speech.rate) + 1)
    ]


def _add_at(ground: Background, at: int, sound: Background) -> None:
    first, last = max(at, 0), min(at + len(sound), len(ground))
    if first < last:
        ground[first:last] += sound[first - at : last - at]


def _unit(sound: Background) -> Background:
    return np.asarray(sound / np.sqrt(np.mean(sound**2)))
