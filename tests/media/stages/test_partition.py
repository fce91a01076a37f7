"""For any way of storing picture and sound, the parts contain each frame once, in step at both ends of every part.

Frame n of every video here was recorded at n / 30 s of its sound; a container may shift, trim or truncate both.
"""

from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest

from media.reading.inspection import inspect
from media.reading.spans import Span
from media.stages.plan import partition
from media.writing.render import render
from tests.media import films

RATE = 48_000
IN_STEP = RATE // 1000  # one millisecond, in samples; twenty are allowed
AAC_FRAME = 1024
LOOK = RATE // 2  # of sound at either end that is compared
FRAMES, SECONDS = 420, 14
SOUND = films.noise(SECONDS)

# What is done to the film, and by how much the picture comes later than its sound.
CONTAINERS: list[tuple[str, list[str], float]] = [
    ("as-it-came.mp4", ["-i", "{talk}"], 0),
    ("picture-later.mp4", ["-itsoffset", "0.7", "-i", "{talk}", "-i", "{talk}", "-map", "0:v", "-map", "1:a"], 0.7),
    ("picture-later.mkv", ["-itsoffset", "0.7", "-i", "{talk}", "-i", "{talk}", "-map", "0:v", "-map", "1:a"], 0.7),
    ("sound-later.mp4", ["-i", "{talk}", "-itsoffset", "0.7", "-i", "{talk}", "-map", "0:v", "-map", "1:a"], -0.7),
    ("late-clock.mp4", ["-i", "{talk}", "-output_ts_offset", "5"], 0),
    ("early-clock.mp4", ["-i", "{talk}", "-output_ts_offset", "-0.5", "-avoid_negative_ts", "disabled"], 0),
    ("trimmed-inside-a-gop.mp4", ["-ss", "1.9", "-i", "{talk}"], 0),
    ("trimmed-inside-a-gop.mkv", ["-ss", "1.9", "-i", "{talk}"], 0),
    ("pieces.mp4", ["-i", "{talk}", "-movflags", "frag_keyframe+empty_moov"], 0),
    ("index-without-offsets.mp4", ["-i", "{talk}", "-movflags", "negative_cts_offsets", "-use_editlist", "0"],
     -AAC_FRAME / RATE),
    ("sound-breaks-off.mp4", ["-i", "{talk}", "-t", "9", "-i", "{talk}", "-map", "0:v", "-map", "1:a"], 0),
    ("opus.mkv", ["-i", "{talk}", "-c:a", "libopus", "-b:a", "128k"], 0),
    ("opus.mp4", ["-i", "{talk}", "-c:a", "libopus", "-b:a", "128k"], 0),
    ("telephone.mp4", ["-i", "{talk}", "-c:a", "aac", "-ar", "8000"], 0),
    ("compact-disc.mov", ["-i", "{talk}", "-c:a", "pcm_s16le", "-ar", "44100", "-ac", "2"], 0),
    ("six.mp4", ["-i", "{talk}", "-filter:a", "pan=5.1|FL=c0|FR=c0|FC=c0|LFE=c0|BL=c0|BR=c0", "-c:a", "ac3"], 0),
    ("two-tracks.mp4", ["-i", "{talk}", "-f", "lavfi", "-i", "anoisesrc=d=14", "-map", "0:v", "-map", "0:a",
                        "-map", "1:a", "-c:a", "aac", "-disposition:a:0", "default", "-disposition:a:1", "0"], 0),
]  # fmt: skip


def parts_of(source: Path, folder: Path, max_part_s: float = 6) -> list[tuple[Span, films.Copy]]:
    """Cut a film at its limit, render all parts, and read them as a player does."""
    found = inspect(source)
    done = []
    for part in partition(source, found, max_part_s, exact=True, progress=lambda share: None):
        target = folder / f"part-{part.number}.mp4"
        render(source, target, span=part.span)
        done.append((part.span, films.read(target)))
    return done


def check_sound(copy: films.Copy, begins_s: float, sound: np.ndarray[tuple[int], np.dtype[np.float32]]) -> int:
    """Compare both ends of a part's sound with the recorded sound; return how many ends were in step.

    Args:
        copy: one part.
        begins_s: where its first picture lies in the sound; may be before its beginning.
        sound: all of it.
    """
    assert copy.sound_start_s == 0.0
    padded = np.concatenate([np.zeros(RATE, np.float32), sound, np.zeros(SECONDS * RATE, np.float32)])
    first = round((begins_s + 1) * RATE)
    should = padded[first : first + len(copy.sound)]
    in_step = 0
    for place in (0, len(copy.sound) - LOOK):
        there = slice(place, place + LOOK)
        if np.abs(should[there]).mean() > 0.05:
            assert abs(films.lag_of(copy.sound[there], should[there], reach=RATE // 10)) <= IN_STEP
            in_step += 1
        elif not should[there].any():
            assert np.abs(copy.sound[there][AAC_FRAME:]).max() < 1e-3
    return in_step


@pytest.fixture(scope="session")
def talk(clip_dir: Path) -> Path:
    """Return a video like the shared `talk`, but shorter: three parts are enough here."""
    return films.write(clip_dir / "partition.mp4", films.at_rate(30, FRAMES), sound=SOUND)


@pytest.mark.parametrize(("name", "arguments", "picture_later_s"), CONTAINERS, ids=[row[0] for row in CONTAINERS])
def test_every_frame_once_and_the_sound_in_step(
    name: str, arguments: list[str], picture_later_s: float, talk: Path, tmp_path: Path
) -> None:
    source = tmp_path / name
    codecs = ["-c", "copy"] if "-c:a" not in arguments else ["-c:v", "copy"]
    films.ffmpeg(*(argument.format(talk=talk) for argument in arguments), *codecs, source)
    parts = parts_of(source, tmp_path)
    numbers = [number for _, copy in parts for number in copy.numbers]
    # A trim that no player shows, and frames that every player shows: the last frames are always the same.
    before, after = (round(max(sign * picture_later_s - 0.25, 0) and sign * picture_later_s * 30) for sign in (1, -1))
    pictures = range(numbers[0], FRAMES)
    assert numbers == [pictures[0]] * before + [*pictures] + [FRAMES - 1] * after
    assert numbers[0] == 0 or "trimmed" in name or "early" in name
    heard = SOUND[: 9 * RATE] if "breaks-off" in name else SOUND
    in_step = 0
    for span, copy in parts:
        assert copy.times[0] == 0.0
        assert abs(len(copy.sound) - len(copy.numbers) / 30 * RATE) <= AAC_FRAME / 2
        in_step += check_sound(copy, (numbers[0] + span.first - before) / 30 + picture_later_s, heard)
    assert in_step >= (2 if "breaks-off" in name else 2 * len(parts) - 2), "most ends have sound to compare"


def test_pictures_that_matroska_cannot_time_are_left_out(talk: Path, tmp_path: Path) -> None:
    """Half a second before zero: its pictures come without times, so there is no saying when to show them."""
    source = tmp_path / "early.mkv"
    films.ffmpeg(
        "-i", talk, "-output_ts_offset", "-0.5", "-avoid_negative_ts", "disabled", "-c", "copy", source
    )  # fmt: skip
    numbers = [number for _, copy in parts_of(source, tmp_path) for number in copy.numbers]
    assert numbers == [15] * 15 + list(range(15, FRAMES))  # the sound there has its times: it is kept


@pytest.mark.parametrize("seed", range(3))
def test_uneven_times_stay_within_half_a_frame_and_in_step(seed: int, tmp_path: Path) -> None:
    """A phone's own clock, with B-frames and frames left out, across the cuts and with its sound."""
    random = np.random.default_rng(seed)
    steps = zip(random.choice([1, 1, 1, 2, 3], 420), random.integers(-6, 7, 420), strict=True)
    times = [Fraction(0), *accumulate(Fraction(int(a), 30) + Fraction(int(b), 1000) for a, b in steps)]
    while times[-1] > SECONDS - 1:
        times.pop()
    source = films.write(tmp_path / "in.mp4", times, sound=SOUND, options={"preset": "ultrafast", "bf": "3"})
    parts = parts_of(source, tmp_path)
    assert len(parts) == 3
    for span, copy in parts:
        check_shown(times, span, copy)
        assert check_sound(copy, span.start_s, SOUND) == 2


def check_shown(times: Sequence[Fraction], span: Span, copy: films.Copy) -> None:
    half = float(1 / span.rate) / 2 + 1e-4
    assert copy.times == pytest.approx([tick / span.rate for tick in range(span.frames)], abs=1e-3)
    for time, number in zip(copy.times, copy.numbers, strict=True):
        assert float(times[number]) <= span.start_s + time + half
        assert number + 1 == len(times) or float(times[number + 1]) >= span.start_s + time - half
