"""A decodable sound track is used, its absence is a warning, and left and right mono tracks become stereo."""

import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from media.container.opening import open_upload, select_video
from media.process import runner
from media.reading.facts import MediaWarning
from media.reading.inspection import inspect
from media.reading.soundtrack import RATE, Soundtrack
from media.reading.spans import Span
from media.sound import tracks
from media.writing.encode import open_mp4
from media.writing.render import render
from media.writing.sound_writers import open_sound_writer
from tests.media import films

LOW, HIGH = 400, 1000  # Hz, of the first and the second track


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return films.write(tmp_path_factory.mktemp("pictures") / "pictures.mp4", films.at_rate(25, 100))


def tones(folder: Path, pictures: Path, suffix: str, *arguments: str) -> Path:
    """Write a film of 4 s with two mono tracks, each with a tone of its own."""
    path = folder / f"film{suffix}"
    sounds = [word for hz in (LOW, HIGH) for word in ("-f", "lavfi", "-i", f"sine=f={hz}:r=48000:d=4")]
    films.ffmpeg("-i", pictures, *sounds, "-map", "0:v", "-c:v", "copy", "-strict", "-2", *arguments, path)
    return path


def heard(path: Path) -> NDArray[np.float32]:
    return np.concatenate(list(Soundtrack(path, inspect(path).timeline.grid())), axis=1)


def pitches(path: Path) -> list[set[int]]:
    """Return for each published channel which of the two tones is heard."""
    power = np.abs(np.fft.rfft(heard(path)[:, RATE : 2 * RATE], axis=1))
    return [{hz for hz in (LOW, HIGH) if row[hz - 5 : hz + 6].max() > 0.1 * row.max()} for row in power]


def spoiled(path: Path, stream: int) -> None:
    """Overwrite every packet of one track."""
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(container.streams[stream]) if packet.pos]
    for start, size in places:
        data[start : start + size] = b"\xff" * size
    path.write_bytes(data)


def renamed(path: Path, kind: bytes, to: bytes) -> None:
    """Change the codec identifier of the first track with a given one."""
    path.write_bytes(path.read_bytes().replace(kind, to, 1))


@pytest.mark.parametrize(
    ("codec", "suffix"),
    [
        *[(codec, ".mov") for codec in ("pcm_mulaw", "pcm_alaw", "pcm_s8", "pcm_u8", "pcm_f64be", "pcm_f64le")],
        *[(codec, ".mov") for codec in ("pcm_s16be", "pcm_s24le", "pcm_s32be", "pcm_f32le", "adpcm_ima_qt", "alac")],
        *[
            (codec, ".mkv")
            for codec in ("adpcm_ima_wav", "adpcm_ms", "dca", "truehd", "mlp", "mp2", "flac", "pcm_f64le")
        ],
    ],
)
def test_cheap_codecs_are_heard(codec: str, suffix: str, pictures: Path, tmp_path: Path) -> None:
    layout = ["-ac", "2"] if codec in {"dca", "truehd", "mlp"} else []
    path = tones(tmp_path, pictures, suffix, "-map", "1:a", "-c:a", codec, *layout)
    assert inspect(path).facts.warnings == ()
    assert set.union(*pitches(path)) == {LOW}


def test_sound_that_nothing_decodes_is_said(pictures: Path, tmp_path: Path) -> None:
    path = tones(tmp_path, pictures, ".mov", "-map", "1:a", "-c:a", "pcm_s16le")
    renamed(path, b"sowt", b"apac")
    facts = inspect(path).facts
    assert (facts.audio, facts.warnings) == (None, (MediaWarning.SOUND_UNREADABLE,))
    result = runner.run("split", [str(path), str(tmp_path / "out")], deadline_s=60)
    assert result["facts"]["warnings"] == ["sound_unreadable"]
    assert [part["sound"] for part in result["parts"]] == [None]


def test_a_track_whose_packets_are_all_broken_is_found_at_once(pictures: Path, tmp_path: Path) -> None:
    path = tones(tmp_path, pictures, ".mp4", "-map", "1:a", "-c:a", "aac")
    spoiled(path, 1)
    facts = inspect(path).facts
    assert (facts.audio, facts.warnings) == (None, (MediaWarning.SOUND_UNREADABLE,))


def half_spoiled(path: Path, kept: range) -> None:
    """Overwrite the packets of the sound but for some."""
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(container.streams.audio[0]) if packet.pos]
    for number, (start, size) in enumerate(places):
        if number not in kept:
            data[start : start + size] = b"\xff" * size
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("kept", "unreadable"),
    [(range(10), True), (range(60, 10**6), False), (range(10**6), False)],
    ids=["only the beginning decodes", "a second is broken", "whole"],
)
@pytest.mark.parametrize("codec", ["aac", "ac3"])
def test_sound_that_breaks_off_behind_its_beginning_is_said(
    kept: range, unreadable: bool, codec: str, pictures: Path, tmp_path: Path
) -> None:
    """The look at the track finds it good; its parts would be published mute, also as a copy that nothing plays."""
    path = tones(tmp_path, pictures, ".mp4", "-map", "1:a", "-c:a", codec, "-ac", "2", "-b:a", "128k")
    half_spoiled(path, kept)
    assert inspect(path).facts.warnings == ()
    whole = inspect(path).timeline.grid()
    rendered = render(path, tmp_path / "part.mp4", span=whole)
    assert (rendered.sound == "unreadable") is unreadable
    assert _as_it_is(path, tmp_path / "same.mp4", whole) is unreadable


def _as_it_is(path: Path, target: Path, whole: Span) -> bool:
    with open_upload(path) as reader, open_mp4(target, "negative_cts_offsets") as writer:
        writer.add_stream_from_template(select_video(reader))
        sound = open_sound_writer(path, writer, whole)
        sound.close()
    return sound.outcome == "unreadable"


def test_an_empty_sound_track_is_said(pictures: Path, tmp_path: Path) -> None:
    path = tmp_path / "empty.mkv"
    with av.open(str(pictures)) as source, av.open(str(path), "w") as target:
        copied = target.add_stream_from_template(source.streams.video[0])
        target.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = copied
                target.mux(packet)
    assert inspect(path).facts.warnings == (MediaWarning.SOUND_UNREADABLE,)


def test_a_film_without_a_sound_track_is_no_warning(pictures: Path) -> None:
    assert inspect(pictures).facts.warnings == ()


@pytest.mark.parametrize(
    ("codec", "spoil"),
    [("aac", lambda path: spoiled(path, 1)), ("pcm_s16le", lambda path: renamed(path, b"sowt", b"apac"))],
)
def test_a_track_that_does_not_decode_gives_way_to_the_next(
    codec: str, spoil: Callable[[Path], None], pictures: Path, tmp_path: Path
) -> None:
    path = tones(tmp_path, pictures, ".mov", "-map", "1:a", "-map", "2:a", "-c:a:0", codec, "-c:a:1", "alac")
    spoil(path)
    facts = inspect(path).facts
    assert facts.warnings == ()
    assert facts.audio is not None
    assert (facts.audio.stream, facts.audio.tracks) == (2, 2)
    assert pitches(path) == [{HIGH}]


BOTH_PLAY = ["-disposition:a", "default"]
STEREO, FIRST = [{LOW}, {HIGH}], [{LOW}]


@pytest.mark.parametrize(
    ("suffix", "arguments", "expected"),
    [
        (".mov", BOTH_PLAY, STEREO),
        (".mp4", BOTH_PLAY, STEREO),
        (".mov", [], FIRST),  # the second is not enabled: an alternative
        (".mkv", BOTH_PLAY, FIRST),  # Matroska says so of every track
        (".mkv", ["-metadata:s:a:0", "title=Left", "-metadata:s:a:1", "title=Right"], STEREO),
        (".mkv", ["-metadata:s:a:0", "title=Mic R", "-metadata:s:a:1", "title=Mic L"], [{HIGH}, {LOW}]),
        (".mov", [*BOTH_PLAY, "-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=deu"], FIRST),
        (".mov", [*BOTH_PLAY, "-metadata:s:a:1", "handler_name=Commentary"], FIRST),
        (".mkv", ["-metadata:s:a:0", "title=Left", "-metadata:s:a:1", "title=Right", "-ar:a:1", "44100"], FIRST),
        (".mkv", ["-metadata:s:a:0", "title=Left", "-metadata:s:a:1", "title=Lost"], FIRST),
        (".mkv", ["-metadata:s:a:0", "title=Left", "-metadata:s:a:1", "title=Right", "-ac:a:1", "2"], FIRST),
    ],
)
def test_two_mono_tracks_become_stereo_when_they_are_left_and_right(
    suffix: str, arguments: list[str], expected: list[set[int]], pictures: Path, tmp_path: Path
) -> None:
    path = tones(tmp_path, pictures, suffix, "-map", "1:a", "-map", "2:a", "-c:a", "pcm_s16le", *arguments)
    assert pitches(path) == expected
    audio = inspect(path).facts.audio
    assert audio is not None
    assert audio.channels == len(expected)


def test_alternates_are_not_put_together(pictures: Path, tmp_path: Path) -> None:
    """Both play by themselves, and the file says that only one of them is to."""
    path = tones(tmp_path, pictures, ".mov", "-map", "1:a", "-map", "2:a", "-c:a", "pcm_s16le", *BOTH_PLAY)
    data = bytearray(path.read_bytes())
    at = -1
    for _ in range(3):
        at = data.index(b"tkhd", at + 1)
        data[at + 38 : at + 40] = struct.pack(">H", 7)
    path.write_bytes(data)
    assert pitches(path) == FIRST


def test_a_pair_is_stereo_in_the_parts_and_is_not_copied(pictures: Path, tmp_path: Path) -> None:
    path = tones(tmp_path, pictures, ".mp4", "-map", "1:a", "-map", "2:a", "-c:a", "aac", *BOTH_PLAY)
    result = runner.run("split", [str(path), str(tmp_path / "out"), "--loudness", "-16"], deadline_s=60)
    part = Path(result["parts"][0]["path"])
    with av.open(str(part)) as container:
        assert container.streams.audio[0].codec_context.channels == 2
    assert pitches(part) == STEREO


def test_the_second_of_a_pair_may_be_broken(pictures: Path, tmp_path: Path) -> None:
    path = tones(tmp_path, pictures, ".mov", "-map", "1:a", "-map", "2:a", "-c:a", "aac", *BOTH_PLAY)
    spoiled(path, 2)
    assert pitches(path) == FIRST


def test_rates_that_would_fill_the_memory_are_not_read(pictures: Path, tmp_path: Path) -> None:
    path = tones(tmp_path, pictures, ".mkv", "-map", "1:a", "-c:a", "pcm_s16le")
    data = path.read_bytes()
    rate = b"\xb5\x88" + struct.pack(">d", 48_000)
    assert rate in data
    for hz in (1, 1_500_000_000):
        path.write_bytes(data.replace(rate, b"\xb5\x88" + struct.pack(">d", hz)))
        assert tracks.choose(path) is None


def test_the_choice_is_the_same_each_time(pictures: Path, tmp_path: Path) -> None:
    path = tones(tmp_path, pictures, ".mov", "-map", "1:a", "-map", "2:a", "-c:a", "aac", *BOTH_PLAY)
    assert tracks.choose(path) == tracks.choose(path)
    sound = tracks.choose(path)
    assert sound is not None
    assert [track.start_s for track in sound.tracks] == [Fraction(0), Fraction(0)]
