"""Synthesised speech with known times of all words, by eSpeak NG, which reports when each phoneme begins.

Noise and rooms are added, so that the same words are available with and without them.
"""

import ctypes
import ctypes.util
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.float32]

# speak_lib.h of eSpeak NG 1.51
SYNCHRONOUS, PHONEME_EVENTS, POSITION_BY_CHARACTER, UTF_8 = 2, 1, 1, 1
RATE_PARAMETER = 1
LIST_END, WORD, PHONEME = 0, 1, 7

TALKS = {
    "en-us": (
        "Today I want to talk about something that took me years to learn, and that nobody told me at the start. "
        "Most people think that practice is about repeating the same thing. It is not. Practice is about noticing "
        "what went wrong, picking one small part of it, and trying that part again; slowly, until it is boring. "
        "When I began, I played every piece from the first note to the last. Every mistake stayed where it was. "
        "Then a friend, who cooks for a living, showed me how he learns to cut onions. He does not cook a whole "
        "dinner. He cuts twenty onions, looks at each of them, and asks what the knife did. That is all! So here "
        "is what you can try tomorrow. Take the task that you dread, write down its three steps, and do only the "
        "second one. Stop there. You will be surprised how quickly the rest follows. If you keep at it for a "
        "week, tell me what happened, because I read every single comment. "
    ),
    "de": (
        "Heute geht es um eine Frage, die mir fast jeden Tag gestellt wird: Wie fange ich an, wenn ich gar keine "
        "Zeit habe? Die kurze Antwort lautet, du brauchst viel weniger Zeit, als du denkst. Die lange Antwort ist "
        "etwas unbequemer. Wir schieben Dinge nicht auf, weil sie lange dauern. Wir schieben sie auf, weil wir "
        "nicht wissen, was der erste Schritt ist. Deshalb schreibe ich mir abends einen einzigen Satz auf, und "
        "zwar so klein, dass er fast albern klingt. Am Morgen lese ich ihn, bevor ich das Telefon anfasse. "
        "Probier das aus, zwei Wochen lang, und erzähl mir davon. "
    ),
}  # fmt: skip
# Never looked at while the search for pauses was tuned.
HELD_OUT_TALKS = {
    "fr": (
        "Aujourd'hui je voudrais vous parler d'une chose que j'ai mis des années à comprendre. On croit souvent que "
        "pour apprendre il faut répéter, encore et encore. C'est faux. Ce qui compte, c'est de remarquer l'erreur, "
        "d'en choisir une seule petite partie, et de la reprendre lentement. Quand j'ai commencé, je jouais chaque "
        "morceau du début à la fin, et toutes les fautes restaient à leur place. Puis un ami cuisinier m'a montré "
        "comment il coupe les oignons. Il ne prépare pas un repas entier; il en coupe vingt, et il regarde chacun "
        "d'eux. Essayez demain, et dites-moi dans les commentaires ce qui s'est passé. "
    ),
    "es": (
        "Hoy quiero hablar de algo que tardé muchos años en aprender, y que nadie me contó al principio. Casi todo "
        "el mundo piensa que practicar es repetir lo mismo. No es verdad. Practicar es darse cuenta de lo que salió "
        "mal, elegir una parte pequeña, y volver a intentarla despacio. Cuando empecé, tocaba cada pieza desde la "
        "primera nota hasta la última. Los errores se quedaban donde estaban. Después un amigo, que es cocinero, me "
        "enseñó cómo aprende a cortar cebollas. No prepara una cena completa: corta veinte, y mira cada una. "
        "Probadlo mañana, y contadme qué pasó. "
    ),
}  # fmt: skip
# Nobody breathes here: words follow one another without a pause for as long as one line lasts.
BREATHLESS = (
    "and then we went down to the river where the old man was still waiting with his boat and a basket full "
    "of bread that his daughter had baked before the sun came up because she knew how hungry everybody would "
    "be after such a long walk. "
)


@dataclass(frozen=True)
class Speech:
    """A recording and its truth."""

    sound: Sound  # -1 to 1
    rate: int
    words: list[tuple[float, float]]  # first and last moment of each word, in seconds

    @property
    def seconds(self) -> float:
        """Return the duration in seconds."""
        return len(self.sound) / self.rate

    def at_rate(self, rate: int) -> Sound:
        """Return the sound at another number of samples a second."""
        places = np.arange(int(self.seconds * rate)) / rate
        return np.asarray(np.interp(places, np.arange(len(self.sound)) / self.rate, self.sound), np.float32)

    def gaps(self, shortest_s: float = 0.15) -> list[tuple[float, float]]:
        """Return the stretches between words that are at least so long."""
        ends = [0.0, *(end for _, end in self.words)]
        starts = [*(start for start, _ in self.words), self.seconds]
        return [(a, b) for a, b in zip(ends, starts, strict=True) if b - a >= shortest_s]


def is_missing() -> bool:
    """Return whether eSpeak NG's library is not installed."""
    return ctypes.util.find_library("espeak-ng") is None


class _Name(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),  # milliseconds
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Name),
    )


@lru_cache(maxsize=1)
def _library() -> tuple[ctypes.CDLL, int]:
    # Once for all: the library hangs when it is ended and begun again.
    library = ctypes.CDLL(ctypes.util.find_library("espeak-ng"))
    rate = library.espeak_Initialize(SYNCHRONOUS, 500, None, PHONEME_EVENTS)
    assert rate > 0
    return library, rate


@lru_cache(maxsize=32)
def speak(text: str, voice: str = "en-us", words_a_minute: int = 175) -> Speech:
    """Return a spoken text; equal arguments give equal samples."""
    library, rate = _library()
    blocks: list[NDArray[np.int16]] = []
    marks: list[tuple[float, str | None]] = []  # when a phoneme begins; None: a word begins

    def take(samples: int, count: int, events: int) -> int:
        if samples and count:
            blocks.append(np.ctypeslib.as_array(ctypes.cast(samples, ctypes.POINTER(ctypes.c_int16)), (count,)).copy())
        event = ctypes.cast(events, ctypes.POINTER(_Event))
        place = 0
        while event[place].type != LIST_END:
            if event[place].type == WORD:
                marks.append((event[place].audio_position / 1000, None))
            elif event[place].type == PHONEME:
                marks.append((event[place].audio_position / 1000, event[place].id.string.decode("utf-8", "replace")))
            place += 1
        return 0

    callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)(take)
    library.espeak_SetSynthCallback(callback)
    assert library.espeak_SetVoiceByName(voice.encode()) == 0
    library.espeak_SetParameter(RATE_PARAMETER, words_a_minute, 0)
    encoded = text.encode()
    assert library.espeak_Synth(encoded, len(encoded) + 1, 0, POSITION_BY_CHARACTER, 0, UTF_8, None, None) == 0
    sound = np.concatenate(blocks).astype(np.float32) / 32768
    return Speech(np.asarray(sound, np.float32), rate, _words(marks, len(sound) / rate))


def in_noise(speech: Speech, decibels: float, seed: int = 5) -> Speech:
    """Add the noise of a street, louder the lower its pitch, at a level relative to full scale."""
    length = 1 << len(speech.sound).bit_length()
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(size=length))
    pink = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 1)), length)[: len(speech.sound)]
    return _with(speech, speech.sound + pink / np.std(pink) * 10 ** (decibels / 20))


def in_room(speech: Speech, reverberation_s: float, seed: int = 5) -> Speech:
    """Add the reverberation of an empty room, with the time in which it falls by 60 dB."""
    count = int(reverberation_s * speech.rate)
    echo = np.random.default_rng(seed).normal(size=count) * 10 ** (-3 * np.arange(count) / count) * 0.05
    echo[0] = 1.0
    length = 1 << (len(speech.sound) + count).bit_length()
    heard = np.fft.irfft(np.fft.rfft(speech.sound, length) * np.fft.rfft(echo, length), length)[: len(speech.sound)]
    return _with(speech, heard * (np.std(speech.sound) / np.std(heard)))


def with_music(speech: Speech, decibels: float, seed: int = 5) -> Speech:
    """Add two plucked strings a second."""
    random, beat = np.random.default_rng(seed), speech.rate // 2
    time = np.arange(beat) / speech.rate
    notes = 220 * 2 ** (random.choice([0, 3, 5, 7, 10, 12], len(speech.sound) // beat + 1) / 12)
    beats = [sum(np.sin(2 * np.pi * note * k * time) / k for k in (1, 2, 3)) * np.exp(-3 * time) for note in notes]
    music = np.concatenate(beats)[: len(speech.sound)]
    return _with(speech, speech.sound + music / np.std(music) * 10 ** (decibels / 20))


def with_hum(speech: Speech) -> Speech:
    """Add the mains' fifty hertz, as a bad cable does."""
    return _with(speech, speech.sound + 0.05 * np.sin(2 * np.pi * 50 * np.arange(len(speech.sound)) / speech.rate))


def _with(speech: Speech, sound: NDArray[np.float32] | NDArray[np.float64]) -> Speech:
    return Speech(np.asarray(sound, np.float32), speech.rate, speech.words)


def _words(marks: list[tuple[float, str | None]], seconds: float) -> list[tuple[float, float]]:
    """Join the phonemes of each word; what is called a pause or nothing is between words."""
    words: list[tuple[float, float]] = []
    begins_word = True
    times = [at for at, _ in marks[1:]] + [seconds]
    for (at, name), until in zip(marks, times, strict=True):
        if name is None or name.startswith("_") or not name:
            begins_word = True
        elif until > at:
            if begins_word or not words:
                words.append((at, until))
            else:
                words[-1] = (words[-1][0], until)
            begins_word = False
    return words
