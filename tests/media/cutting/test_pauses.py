"""Pauses are found between words, in noise and at any level; the words are synthesised, so their times are known."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from media.cutting import pauses
from media.cutting.cuts import RELIABLE, Pause, choose
from media.cutting.speech import PauseFinder, find_pauses
from media.cutting.voice_activity import SAMPLE_RATE
from media.errors import Refused
from media.process import runner
from media.reading.inspection import inspect
from media.reading.soundtrack import RATE, Soundtrack
from tests.media import films
from tests.media.cutting import backgrounds

NO_VOICE = np.zeros(2000, np.float32)  # the detector hears no difference throughout


def found_in(source: Path) -> list[Pause]:
    return pauses.find(source, inspect(source).timeline.grid(), lambda share: None)


def speech(words: list[tuple[float, float]], seconds: float, noise_db: float, seed: int = 1) -> NDArray[np.float32]:
    """Return speech-like sound: harmonic syllables of 180 ms, with noise."""
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
    assert len(gaps) >= 10
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
    assert find_pauses(levels, NO_VOICE) == []


def test_digital_silence_is_one_pause() -> None:
    levels = np.full((500, 2), -80, np.float32)
    assert [Pause(0.01, 4.99)] == find_pauses(levels, NO_VOICE)


def test_the_level_may_change_in_the_middle() -> None:
    """Someone steps back from the microphone: what is quiet is measured against the surroundings."""
    near = np.where(np.arange(6000) % 200 < 160, -20, -50)
    far = near - 18
    found = find_pauses(np.repeat(np.concatenate([near, far]).astype(np.float32)[:, None], 2, axis=1), NO_VOICE)
    assert len(found) == pytest.approx(60, abs=3)


def test_sound_that_begins_later_moves_the_pauses(tmp_path: Path) -> None:
    words = [(0.0, 2.0), (3.0, 5.0)]
    late = Fraction(5, 2)
    source = films.write(tmp_path / "in.mp4", films.at_rate(5, 40), sound=speech(words, 5, -60), sound_start_s=late)
    found = [pause for pause in found_in(source) if pause.start_s > 3]
    assert near(found, 4.5, 5.5)


def test_sound_that_cannot_be_read_is_not_taken_for_sound_without_pauses(tmp_path: Path) -> None:
    source = films.write(tmp_path / "in.mp4", films.at_rate(5, 40), sound=films.noise(8))
    whole = inspect(source).timeline.grid()
    source.write_bytes(b"nothing")
    with pytest.raises(Refused):
        pauses.find(source, whole, lambda share: None)


TALK = [(0.5, 3.0), (3.6, 6.0), (6.6, 9.5)]  # spoken words


def on_another_clock(source: Path, target: Path, moved: Callable[[Fraction], Fraction]) -> Path:
    """Copy a film and move the time stamps of its sound, in seconds."""
    with av.open(str(source)) as reader, av.open(str(target), "w") as writer:
        copies = {stream.index: writer.add_stream_from_template(stream) for stream in reader.streams}
        for packet in reader.demux():
            if packet.dts is None or packet.pts is None:
                continue
            if packet.stream.type == "audio":
                later = moved(packet.pts * packet.time_base) - packet.pts * packet.time_base
                packet.pts += round(later / packet.time_base)
                packet.dts += round(later / packet.time_base)
            packet.stream = copies[packet.stream.index]
            writer.mux(packet)
    return target


def clusters_moved(source: Path, target: Path, moved: Callable[[int], int]) -> Path:
    """Copy a Matroska film and move the clocks of its clusters, in milliseconds (RFC 9559, 5.1.3.1)."""
    data = bytearray(source.read_bytes())
    at = data.find(b"\x1f\x43\xb6\x75")
    while at >= 0:
        mark = data.index(b"\xe7", at + 4, at + 20)
        size = data[mark + 1] & 0x7F
        stamp = int.from_bytes(data[mark + 2 : mark + 2 + size])
        data[mark + 2 : mark + 2 + size] = moved(stamp).to_bytes(size)
        at = data.find(b"\x1f\x43\xb6\x75", at + 1)
    target.write_bytes(data)
    return target


def near(found: list[Pause], start_s: float, end_s: float) -> bool:
    """Return whether a pause is inside a silence and covers most of it; words fade at its ends."""
    inside = [p for p in found if start_s - 0.1 < p.start_s and p.end_s < end_s + 0.1]
    return any(pause.end_s - pause.start_s > 0.6 * (end_s - start_s) for pause in inside)


def published(source: Path) -> NDArray[np.float32]:
    return np.concatenate([block[0] for block in Soundtrack(source, inspect(source).timeline.grid())])


@pytest.mark.parametrize(
    ("moved", "expected"),
    [
        (lambda at: at if at < Fraction(43, 10) else at + 5, [(3.0, 3.6), (4.3, 9.3), (11.0, 11.6)]),  # a hole
        (lambda at: at + 2, [(0.0, 2.5), (5.0, 5.6), (8.0, 8.6)]),  # begins late
        (lambda at: at - Fraction(7, 4), [(3.0, 3.6), (6.0, 6.6)]),  # begins before the picture: so does the film
        (lambda at: at * Fraction(101, 100), [(3.03, 3.63), (6.06, 6.66)]),  # a clock that runs slow
    ],
)
def test_pauses_are_on_the_clock_of_the_sound(
    moved: Callable[[Fraction], Fraction], expected: list[tuple[float, float]], tmp_path: Path
) -> None:
    talk = films.write(tmp_path / "talk.mp4", films.at_rate(5, 80), sound=speech(TALK, 10, -60))
    source = on_another_clock(talk, tmp_path / "moved.mkv", lambda at: max(moved(at), at - 2))
    found = found_in(source)
    for start_s, end_s in expected:
        assert near(found, start_s, end_s), found
    heard = published(source)
    assert max(np.abs(heard[int(p.start_s * RATE) : int(p.end_s * RATE)]).max() for p in found) < 0.05


@pytest.mark.parametrize(
    "moved",
    [
        lambda stamp: stamp if stamp < 5000 else stamp - 700,  # overlaps what was
        lambda stamp: stamp if stamp < 5000 else stamp - 4000,  # jumps back
        lambda stamp: stamp if stamp < 5000 else stamp + 1500,
    ],
)
def test_pauses_are_where_the_parts_are_quiet_whatever_the_stamps_say(
    moved: Callable[[int], int], tmp_path: Path
) -> None:
    talk = films.write(tmp_path / "talk.mp4", films.at_rate(5, 80), sound=speech(TALK, 10, -60))
    films.ffmpeg("-i", talk, "-c", "copy", "-cluster_time_limit", "500", tmp_path / "talk.mkv")
    source = clusters_moved(tmp_path / "talk.mkv", tmp_path / "moved.mkv", moved)
    found, heard = found_in(source), published(source)
    assert near(found, 3.0, 3.6)
    assert max(np.abs(heard[int(p.start_s * RATE) : int(p.end_s * RATE)]).max() for p in found) < 0.05


@pytest.mark.parametrize(
    "arguments",
    [
        ["talk.mov", "-timecode", "01:00:00:00"],
        ["talk.mkv", "-metadata:s:a:0", "language=en-US", "-metadata:s:v:0", "language=en-US"],
        ["talk.mkv", "-live", "1"],  # as a browser's recorder: no duration
        ["talk.mkv", "-metadata:s:a:0", "title=Duration: N/A, Stream #0:0: Audio: none"],
    ],
)
def test_pauses_are_found_whatever_the_container_says_beside_the_sound(arguments: list[str], tmp_path: Path) -> None:
    talk = films.write(tmp_path / "talk.mp4", films.at_rate(25, 250), sound=speech(TALK, 10, -60))
    name, *told = arguments
    films.ffmpeg("-i", talk, "-c", "copy", *told, tmp_path / name)
    result = runner.run("split", [str(tmp_path / name), str(tmp_path / "o"), "--segment-seconds", "6"], deadline_s=60)
    assert result["facts"]["warnings"] == []
    *cuts, end = [part["cut_reason"] for part in result["parts"]]
    assert (set(cuts), end) == ({"pause"}, "end")


def test_sound_that_is_mostly_broken_is_unreadable_and_no_pause(tmp_path: Path) -> None:
    """It decodes where it was looked at, and no more after that: what is published of it is mute."""
    source = films.write(tmp_path / "in.mp4", films.at_rate(25, 500), sound=speech(TALK, 20, -60))
    data = bytearray(source.read_bytes())
    with av.open(str(source)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(audio=0) if packet.pos]
    for start, size in places[40:]:
        data[start : start + size] = b"\xff" * size
    source.write_bytes(data)
    result = runner.run("split", [str(source), str(tmp_path / "o"), "--segment-seconds", "9"], deadline_s=60)
    assert result["facts"]["warnings"] == ["sound_unreadable"]
    assert {part["cut_reason"] for part in result["parts"]} == {"limit", "end"}


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


def heard(sound: NDArray[np.float32]) -> list[Pause]:
    finder = PauseFinder()
    finder.push(sound)
    return finder.pauses()


@pytest.mark.parametrize("name", backgrounds.MUSIC)
def test_music_without_a_voice_is_cut_somewhere(name: str) -> None:
    """Nobody speaks, so nothing is wrong: only the rules for the parts must hold."""
    music = backgrounds.background(name, 40, SAMPLE_RATE)
    chosen = choose(40 * 30, Fraction(30), 12, heard((0.1 * music).astype(np.float32)))
    assert sum(cut.frames for cut in chosen) == 40 * 30
    assert all(3 * 30 <= cut.frames <= 12 * 30 for cut in chosen)


def test_steady_noise_offers_no_sure_pause() -> None:
    noise = np.random.default_rng(6).normal(0, 0.05, 40 * SAMPLE_RATE).astype(np.float32)
    assert [pause for pause in heard(noise) if pause.certainty >= RELIABLE] == []


def test_silence_between_sounds_that_are_no_voice_is_a_pause() -> None:
    """The voice detector's output for a tone must not hide silence."""
    time = np.arange(20 * SAMPLE_RATE) / SAMPLE_RATE
    tone = 0.2 * np.sin(2 * np.pi * 100 * time * (1 + time / 10)) * (time % 5 < 4.4)
    found = heard(tone.astype(np.float32))
    assert np.allclose([(p.start_s, p.end_s) for p in found], [(4.4 + k, 5.0 + k) for k in (0, 5, 10, 15)], atol=0.1)
    assert all(pause.certainty == 1 for pause in found)


@pytest.mark.parametrize("count", [0, 1, 100, 511, 513, 1600])
def test_a_sound_of_a_few_samples_is_survived(count: int) -> None:
    assert len(heard(np.zeros(count, np.float32))) <= 1
    assert len(heard(np.random.default_rng(1).normal(0, 0.1, count).astype(np.float32))) <= 1
