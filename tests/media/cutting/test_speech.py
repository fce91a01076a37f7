"""No cut is inside a word if a pause is in reach, in synthesised speech with known times of all words."""

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from media.cutting import cuts
from media.cutting.speech import PauseFinder
from media.cutting.voice_activity import SAMPLE_RATE
from tests.media.cutting import backgrounds, spoken
from tests.media.cutting.spoken import Speech

pytestmark = pytest.mark.skipif(spoken.is_missing(), reason="libespeak-ng is missing; apt-get install espeak-ng")

RATE = Fraction(30)
EDGE_S = 0.005  # accuracy of the words' times
SLOWEST_SPEECH, USUAL_SPEECH, QUICK_SPEECH, HURRIED_SPEECH = 130, 175, 220, 280  # words a minute

ROOMS: dict[str, Callable[[Speech], Speech]] = {
    "studio": lambda speech: speech,
    "quiet room": lambda speech: spoken.in_noise(speech, -50),
    "street": lambda speech: spoken.in_noise(speech, -34),
    "builder": lambda speech: spoken.in_noise(spoken.in_room(speech, 0.6), -50),
    "music": lambda speech: spoken.with_music(speech, -40),
    "bad cable": spoken.with_hum,
}


def heard(speech: Speech) -> list[cuts.Pause]:
    finder = PauseFinder()
    finder.push(speech.at_rate(SAMPLE_RATE))
    return finder.pauses()


def planned(speech: Speech, max_part_s: float) -> list[cuts.Cut]:
    return cuts.choose(int(speech.seconds * RATE), RATE, max_part_s, heard(speech))


def avoidably_inside(speech: Speech, chosen: list[cuts.Cut], max_part_s: float) -> list[float]:
    """Return the cuts inside words that could have gone to a pause of 150 ms."""
    wrong = []
    for cut in chosen[:-1]:
        at, begins = float((cut.first + cut.frames) / RATE), float(cut.first / RATE)
        inside = any(start + EDGE_S < at < end - EDGE_S for start, end in speech.words)
        reach = (begins + 3, begins + max_part_s)
        if inside and any(reach[0] <= start and end <= reach[1] for start, end in speech.gaps()):
            wrong.append(at)
    return wrong


@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize("speed", [SLOWEST_SPEECH, USUAL_SPEECH, QUICK_SPEECH])
@pytest.mark.parametrize("voice", ["en-us", "de"])
def test_words_are_left_whole(voice: str, speed: int, room: str) -> None:
    speech = ROOMS[room](spoken.speak(spoken.TALKS[voice] * 2, voice, speed))
    chosen = planned(speech, 12)
    assert len(chosen) >= 4
    assert avoidably_inside(speech, chosen, 12) == []


def test_a_hurried_speaker_without_a_breath_is_cut_at_the_few_pauses() -> None:
    """In a street the closure of a consonant may sound like the shortest of pauses; so one of the cuts may be wrong."""
    text = (spoken.TALKS["en-us"] + spoken.BREATHLESS) * 2
    wrong = []
    for heard_in in ROOMS.values():
        speech = heard_in(spoken.speak(text, "en-us", HURRIED_SPEECH))
        wrong += avoidably_inside(speech, planned(speech, 20), 20)
    assert len(wrong) <= 1


@pytest.mark.parametrize("room", ROOMS)
def test_most_pauses_of_a_usual_speaker_are_found(room: str) -> None:
    speech = ROOMS[room](spoken.speak(spoken.TALKS["en-us"], "en-us", USUAL_SPEECH))
    found = heard(speech)
    clear = speech.gaps(0.25)
    met = [gap for gap in clear if any(pause.start_s < gap[1] and pause.end_s > gap[0] for pause in found)]
    assert len(met) >= 0.8 * len(clear)


@pytest.mark.parametrize("background", ["pop", "strings", "guitar", "street"])
def test_words_are_left_whole_over_music_and_traffic(background: str) -> None:
    """At 10 dB loudness alone cuts one word in twelve; the voice detector hears the gaps."""
    said = backgrounds.expressive(spoken.speak(spoken.TALKS["en-us"], "en-us", USUAL_SPEECH))
    speech = backgrounds.mixed(said, backgrounds.background(background, int(said.seconds) + 1, said.rate, 11), 10)
    assert cut_words(speech, planned(speech, 12)) == []


def test_words_are_left_whole_where_music_rises_in_the_pauses() -> None:
    """Automatic ducking makes pauses as loud as words: there is nothing for loudness to find."""
    said = spoken.speak(spoken.TALKS["de"], "de", USUAL_SPEECH)
    speech = backgrounds.ducked(said, backgrounds.background("strings", int(said.seconds) + 1, said.rate, 11), 5)
    assert cut_words(speech, planned(speech, 12)) == []


def test_words_are_left_whole_in_a_hall() -> None:
    speech = backgrounds.in_hall(
        backgrounds.expressive(spoken.speak(spoken.TALKS["en-us"], "en-us", USUAL_SPEECH)), 1.2
    )
    assert cut_words(speech, planned(speech, 12)) == []


def test_a_muted_microphone_does_not_hide_the_pauses_beside_it() -> None:
    """Three seconds of nothing at all must not be taken for the room's floor, against which pauses sound loud."""
    said = backgrounds.expressive(spoken.speak(spoken.HELD_OUT_TALKS["es"], "es+f2", USUAL_SPEECH))
    sound = spoken.in_noise(said, -54).sound.copy()
    sound[20 * said.rate : 23 * said.rate] = 0
    speech = Speech(sound, said.rate, [word for word in said.words if not 19 < word[1] < 24])
    chosen = planned(speech, 12)
    assert cut_words(speech, chosen) == []
    assert {cut.reason for cut in chosen} == {cuts.PAUSE, cuts.END}


def test_chunks_of_any_length_give_the_same_pauses() -> None:
    sound = spoken.speak(spoken.TALKS["de"], "de", USUAL_SPEECH).at_rate(SAMPLE_RATE)[: 20 * SAMPLE_RATE]
    whole = PauseFinder()
    whole.push(sound)
    pieces = PauseFinder()
    for at in range(0, len(sound), 7_777):
        pieces.push(sound[at : at + 7_777])
    expected, actual = whole.pauses(), pieces.pauses()
    assert np.allclose([(p.start_s, p.end_s) for p in expected], [(p.start_s, p.end_s) for p in actual], atol=0.011)


def cut_words(speech: Speech, chosen: list[cuts.Cut]) -> list[float]:
    """Return the moments at which a word was cut."""
    ends = [float((cut.first + cut.frames) / RATE) for cut in chosen[:-1]]
    assert len(ends) >= 2
    return [end for end in ends if any(start + EDGE_S < end < over - EDGE_S for start, over in speech.words)]
