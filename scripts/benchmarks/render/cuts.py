"""Counts the cuts inside words, by speed, room and background sound.

eSpeak NG speaks, so the time of each word is known; noise, rooms, music and other voices are added. A cut is avoidable
if there was a pause of 150 ms in its reach. "At the limit" are cuts for which no reliable pause was found.
--backgrounds mixes the speech with music, voices, traffic and reverberation at 20, 10, 5 and 0 dB, and compares
loudness alone to loudness with the voice detector. --held-out does the same with voices, texts, music and seeds that
were not used for tuning. --cost measures the voice detector.
"""

import argparse
import functools
import json
import resource
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from media.cutting import cuts
from media.cutting import speech as media_speech
from media.cutting.voice_activity import SAMPLE_RATE, VoiceDetector
from scripts.benchmarks.summary.row import Line, NotMeasured, Row
from tests.media.cutting import backgrounds, spoken
from tests.media.cutting.spoken import Speech
from tests.media.cutting.test_speech import EDGE_S, RATE, ROOMS, avoidably_inside, planned

Samples = NDArray[np.float32]

SPEEDS = (130, 175, 220, 280)  # words a minute: slow, usual, quick, hurried
LENGTHS_S = (12, 20, 60)
RATIOS_DB = (20, 10, 5, 0)
CLEAN_DB = 99
HALLS_S = {20: 0.6, 10: 1.2, 5: 2.0}  # reverberation times, shown in the columns of the ratios
COST_SOUND_S = 600  # of sound for the cost


class Voices(NamedTuple):
    """Speakers, background sounds, and a seed."""

    speakers: tuple[tuple[str, str, int], ...]  # voice, text, words a minute
    backgrounds: tuple[str, ...]
    seed: int


TUNED = Voices(
    (
        ("en-us", spoken.TALKS["en-us"], 175),
        ("de+f2", spoken.TALKS["de"], 150),
        ("en-us+f3", spoken.TALKS["en-us"], 220),
        ("de", spoken.TALKS["de"], 200),
    ),
    ("pop", "guitar", "ambient", "babble", "street"),
    5,
)
HELD_OUT = Voices(
    (
        ("fr", spoken.HELD_OUT_TALKS["fr"], 160),
        ("es", spoken.HELD_OUT_TALKS["es"], 190),
        ("en+f4", spoken.TALKS["en-us"], 210),
        ("fr+f1", spoken.HELD_OUT_TALKS["fr"], 185),
        ("es+m3", spoken.HELD_OUT_TALKS["es"], 220),
        ("de+m5", spoken.TALKS["de"], 180),
    ),
    ("piano", "electronic", "strings", "pop", "babble", "street"),
    77,
)
SHORT = Voices(HELD_OUT.speakers[:1], HELD_OUT.backgrounds, HELD_OUT.seed)  # for the table of all benchmarks


@dataclass
class Count:
    """The numbers of cuts by outcome."""

    cuts: int = 0
    inside: int = 0
    avoidable: int = 0
    at_limit: int = 0

    def add(self, other: "Count") -> None:
        """Add the numbers of other cuts."""
        self.cuts += other.cuts
        self.inside += other.inside
        self.avoidable += other.avoidable
        self.at_limit += other.at_limit


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table by speed, room and part length; or by background; or the cost."""
    parser = argparse.ArgumentParser(prog="scripts/bench render_cuts", description=__doc__)
    parser.add_argument("--backgrounds", action="store_true", help="by background sound: music, voices, traffic, halls")
    parser.add_argument("--held-out", action="store_true", help="likewise, with sounds that were not used for tuning")
    parser.add_argument("--cost", action="store_true", help="CPU time and memory of the voice detector")
    parser.add_argument("--cost-child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.cost_child:
        print(json.dumps(_cost()))
    elif options.cost:
        _print_cost()
    elif spoken.is_missing():
        raise SystemExit("libespeak-ng is missing; apt-get install espeak-ng")
    elif options.backgrounds or options.held_out:
        _print_backgrounds(HELD_OUT if options.held_out else TUNED)
    else:
        _print_rooms()


def _print_rooms() -> None:
    counts: dict[str, Count] = defaultdict(Count)
    for names, count in _counts():
        for name in names:
            counts[name].add(count)
    print(f"{'':24}{'cuts':>6}{'inside a word':>15}{'avoidable':>11}{'at the limit':>14}")
    for name, row in sorted(counts.items()):
        print(f"{name:24}{row.cuts:6}{row.inside:15}{row.avoidable:11}{row.at_limit:14}")


def _counts() -> Iterator[tuple[list[str], Count]]:
    for voice, talk in spoken.TALKS.items():
        for speed in SPEEDS:
            for room, heard_in in ROOMS.items():
                for length_s in LENGTHS_S:
                    speech = heard_in(spoken.speak(talk * (4 if length_s == max(LENGTHS_S) else 2), voice, speed))
                    names = ["all", f"{speed} words a minute", f"in {room}", f"parts of {length_s} s", f"voice {voice}"]
                    yield names, _count(speech, planned(speech, length_s), length_s)


def _count(speech: Speech, chosen: list[cuts.Cut], length_s: float) -> Count:
    ends = [float((cut.first + cut.frames) / RATE) for cut in chosen[:-1]]
    return Count(
        cuts=len(ends),
        inside=sum(any(begin + EDGE_S < end < over - EDGE_S for begin, over in speech.words) for end in ends),
        avoidable=len(avoidably_inside(speech, chosen, length_s)),
        at_limit=sum(cut.reason == "limit" for cut in chosen[:-1]),
    )


def rows(folder: Path) -> Iterator[Line]:
    """Compare the cuts of one speaker, in and before sounds that were not used for tuning, to loudness alone."""
    del folder
    if spoken.is_missing():
        yield NotMeasured("cuts inside words", "libespeak-ng is missing; apt-get install espeak-ng")
        return
    loudness_only, with_voice = (_sum(one) for one in _count_mixtures(SHORT))
    what = f"of {with_voice.cuts} cuts of speech in music, voices, traffic and halls, inside a word"
    yield Row(what, with_voice.inside, "cuts", "by loudness alone", loudness_only.inside)


def _count_mixtures(voices: Voices) -> tuple[dict[tuple[str, int], Count], dict[tuple[str, int], Count]]:
    """Return the cuts by background and ratio: by loudness alone, and with the voice detector."""
    loudness_only: dict[tuple[str, int], Count] = defaultdict(Count)
    with_voice: dict[tuple[str, int], Count] = defaultdict(Count)
    for name, ratio_db, speech in _mixtures(voices):
        levels, log_odds = _curves(speech)
        for voice, counts in ((np.zeros_like(log_odds), loudness_only), (log_odds, with_voice)):
            pauses = media_speech.find_pauses(levels, voice)
            for length_s in LENGTHS_S:
                chosen = cuts.choose(int(speech.seconds * RATE), RATE, length_s, pauses)
                counts[name, ratio_db].add(_count(speech, chosen, length_s))
    return loudness_only, with_voice


def _sum(counts: dict[tuple[str, int], Count]) -> Count:
    total = Count()
    for count in counts.values():
        total.add(count)
    return total


def _print_backgrounds(voices: Voices) -> None:
    """Print for each background and ratio the cuts inside words, all cuts, and the cuts without a reliable pause."""
    loudness_only, with_voice = _count_mixtures(voices)
    print(f"{'':24}{'ratio':>6}{'loudness alone':>24}{'with the voice detector':>26}")
    for (name, ratio_db), row in loudness_only.items():
        ratio = "" if ratio_db == CLEAN_DB else f"{ratio_db} dB"
        print(f"{name:24}{ratio:>6}{_cell(row):>24}{_cell(with_voice[name, ratio_db]):>26}")
    for counts, title in ((loudness_only, "loudness alone"), (with_voice, "with the voice detector")):
        total = _sum(counts)
        print(f"all, {title}: {total.inside} of {total.cuts} inside a word, {total.avoidable} avoidable")


def _cell(row: Count) -> str:
    return f"{row.inside:3} of {row.cuts:3} ({row.at_limit} limit)"


def _mixtures(voices: Voices) -> Iterator[tuple[str, int, Speech]]:
    """Yield each speaker with each background; music also ducked, and all also with automatic gain control."""
    for voice, talk, speed in voices.speakers:
        plain = spoken.speak(talk * 2, voice, speed)
        said = backgrounds.expressive(plain, voices.seed)
        yield "clean", CLEAN_DB, plain
        yield "lively", CLEAN_DB, said
        yield "levelled", CLEAN_DB, backgrounds.compressed(spoken.in_noise(said, -45))
        for hall_db, ringing_s in HALLS_S.items():
            yield "hall", hall_db, backgrounds.in_hall(said, ringing_s, seed=voices.seed)
        for name in voices.backgrounds:
            background = backgrounds.background(name, int(said.seconds) + 1, said.rate, voices.seed)
            mixes: list[tuple[str, Callable[..., Speech], Sequence[int]]] = [(name, backgrounds.mixed, RATIOS_DB)]
            if name in backgrounds.MUSIC:
                mixes.append((f"{name}, ducked", backgrounds.ducked, RATIOS_DB[:3]))
            for title, mix, ratios in mixes:
                for ratio_db in ratios:
                    yield title, ratio_db, mix(said, background, ratio_db)
            yield f"{name}, levelled", 10, backgrounds.compressed(backgrounds.mixed(said, background, 10))


def _curves(speech: Speech) -> tuple[Samples, Samples]:
    sound = speech.at_rate(SAMPLE_RATE)
    detector = VoiceDetector()
    whole = len(sound) - len(sound) % round(SAMPLE_RATE * media_speech.STEP_S)
    log_odds = np.concatenate([detector.push(sound), detector.flush()])
    return media_speech.loudness(sound[:whole]), log_odds


def _print_cost() -> None:
    """Measure in a separate process, in which nothing else is loaded."""
    child = [sys.executable, "-m", "scripts.benchmarks.render.cuts", "--cost-child"]
    costs = json.loads(subprocess.run(child, check=True, capture_output=True, text=True).stdout)
    for name, value in costs.items():
        print(f"{name:40}{value:10.2f}")


def _cost() -> dict[str, float]:
    sound = np.random.default_rng(1).normal(0, 0.05, 10 * SAMPLE_RATE).astype(np.float32)
    peak = functools.partial(resource.getrusage, resource.RUSAGE_SELF)
    sound @ sound  # the BLAS library allocates its buffers at the first product
    before_kb, began = peak().ru_maxrss, time.process_time()
    detector = VoiceDetector()
    loaded = time.process_time() - began
    began = time.process_time()
    for _ in range(COST_SOUND_S // 10):
        detector.push(sound)
    took = time.process_time() - began
    return {
        "loading the weights, CPU ms": 1000 * loaded,
        "CPU seconds an hour of sound": took * 3600 / COST_SOUND_S,
        "peak memory above numpy's, MB": (peak().ru_maxrss - before_kb) / 1024,
    }


if __name__ == "__main__":
    main()
