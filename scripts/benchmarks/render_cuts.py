"""How many cuts fall inside words, by speed of speech and by room, on speech whose every word's time is known.

eSpeak NG speaks an English and a German talk; noise, rooms, music and hum are added. A cut is avoidable when a pause of
150 ms lay in its reach. "At the limit" are cuts for which no pause was found at all.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.media import spoken
from tests.media.test_speech import EDGE_S, RATE, ROOMS, avoidably_inside, planned

SPEEDS = (130, 175, 220, 280)  # words a minute: slow, usual, quick, hurried
LENGTHS_S = (12, 20, 60)


@dataclass
class Count:
    """What became of some cuts."""

    cuts: int = 0
    inside: int = 0
    avoidable: int = 0
    at_limit: int = 0

    def add(self, other: "Count") -> None:
        """Count other cuts as well."""
        self.cuts += other.cuts
        self.inside += other.inside
        self.avoidable += other.avoidable
        self.at_limit += other.at_limit


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a row for each speed, each room, each part length and all."""
    argparse.ArgumentParser(prog="scripts/bench render_cuts", description=__doc__).parse_args(arguments)
    if spoken.is_missing():
        raise SystemExit("libespeak-ng is missing; apt-get install espeak-ng")
    rows: dict[str, Count] = defaultdict(Count)
    for names, count in _counts():
        for name in names:
            rows[name].add(count)
    print(f"{'':24}{'cuts':>6}{'inside a word':>15}{'avoidable':>11}{'at the limit':>14}")
    for name, row in sorted(rows.items()):
        print(f"{name:24}{row.cuts:6}{row.inside:15}{row.avoidable:11}{row.at_limit:14}")


def _counts() -> Iterator[tuple[list[str], Count]]:
    for voice, talk in spoken.TALKS.items():
        for speed in SPEEDS:
            for room, heard_in in ROOMS.items():
                for length_s in LENGTHS_S:
                    speech = heard_in(spoken.speak(talk * (4 if length_s == max(LENGTHS_S) else 2), voice, speed))
                    names = ["all", f"{speed} words a minute", f"in {room}", f"parts of {length_s} s", f"voice {voice}"]
                    yield names, _count(speech, length_s)


def _count(speech: spoken.Speech, length_s: float) -> Count:
    chosen = planned(speech, length_s)
    ends = [float((cut.first + cut.frames) / RATE) for cut in chosen[:-1]]
    return Count(
        cuts=len(ends),
        inside=sum(any(begin + EDGE_S < end < over - EDGE_S for begin, over in speech.words) for end in ends),
        avoidable=len(avoidably_inside(speech, chosen, length_s)),
        at_limit=sum(cut.reason == "limit" for cut in chosen[:-1]),
    )


if __name__ == "__main__":
    main()
