"""Facts of good files, and a stable code with a sentence for every kind of bad one."""

import lzma
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from media import limits
from media.errors import Refused
from media.reading.inspection import inspect
from tests.media import films

BOMB = Path(__file__).parent / "bomb_16000x16000.mp4.xz"  # one black picture, made with ffmpeg and x264


def test_the_facts_of_an_ordinary_film(talk: Path) -> None:
    found = inspect(talk).facts
    assert found.to_json() | {"size_bytes": 0} == {
        "container": "mp4",
        "video_codec": "h264",
        "width": films.WIDTH,
        "height": films.HEIGHT,
        "rotation": 0,
        "mirrored": False,
        "pixel_format": "yuv420p",
        "hdr": None,
        "frame_rate": "30",
        "output_rate": "30",
        "vfr": False,
        "frames": 600,
        "duration_s": 20.0,
        "size_bytes": 0,
        "audio": {"stream": 1, "codec": "aac", "sample_rate": 48_000, "channels": 1, "start_s": 0.0, "tracks": 1},
        "warnings": (),
    }


def empty(talk: Path, to: Path) -> None:
    to.write_bytes(b"")


def text(talk: Path, to: Path) -> None:
    to.write_text("This is not a video, whatever its name says.\n" * 50, encoding="ascii")


def playlist(talk: Path, to: Path) -> None:
    to.write_text(f"#EXTM3U\n#EXTINF:10,\n{talk}\n#EXT-X-ENDLIST\n", encoding="ascii")


def concat_script(talk: Path, to: Path) -> None:
    to.write_text(f"ffconcat version 1.0\nfile '{talk}'\n", encoding="ascii")


def still_picture(talk: Path, to: Path) -> None:
    to.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(4000))


def without_its_end(talk: Path, to: Path) -> None:
    data = talk.read_bytes()  # the index is at the end, as cameras write it
    to.write_bytes(data[: len(data) * 2 // 3])


def index_first_without_its_end(talk: Path, to: Path) -> None:
    whole = to.with_name("faststart.mp4")
    films.ffmpeg("-i", talk, "-c", "copy", "-movflags", "+faststart", whole)
    to.write_bytes(whole.read_bytes()[:-20_000])


def live_recording_without_its_end(talk: Path, to: Path) -> None:
    whole = to.with_name("whole.mkv")
    films.ffmpeg("-i", talk, "-c", "copy", whole)
    to.write_bytes(whole.read_bytes()[:-20_000])


def sound_only(talk: Path, to: Path) -> None:
    films.ffmpeg("-i", talk, "-c", "copy", "-vn", to)


def sound_with_a_cover(talk: Path, to: Path) -> None:
    cover = to.with_name("cover.jpg")
    films.ffmpeg("-f", "lavfi", "-i", "color=red:s=64x64", "-frames:v", "1", cover)
    films.ffmpeg(
        "-i", talk, "-i", cover, "-map", "0:a", "-map", "1:v", "-c", "copy", "-disposition:v:0", "attached_pic", to
    )


def too_many_pixels(talk: Path, to: Path) -> None:
    to.write_bytes(lzma.decompress(BOMB.read_bytes()))


def panorama(talk: Path, to: Path) -> None:
    films.ffmpeg("-f", "lavfi", "-i", "color=red:s=7680x64:d=4:r=25", "-preset", "ultrafast", to)


def too_short(talk: Path, to: Path) -> None:
    films.write(to, films.at_rate(30, 89))


def one_frame(talk: Path, to: Path) -> None:
    films.write(to, films.at_rate(30, 1))


def too_long(talk: Path, to: Path) -> None:
    films.write(to, [Fraction(index) for index in range(0, limits.MAX_SECONDS + 300, 100)], unit=Fraction(1, 1000))


def hours_of_stills(talk: Path, to: Path) -> None:
    films.write(to, [Fraction(index) for index in range(0, 4000, 1000)], unit=Fraction(1, 1000))


def old_codec(talk: Path, to: Path) -> None:
    films.ffmpeg("-i", talk, "-an", "-c:v", "mpeg2video", "-t", "4", to)


def many_tracks(talk: Path, to: Path) -> None:
    films.ffmpeg("-i", talk, *("-map", "0:v") * (limits.MAX_STREAMS + 1), "-c", "copy", "-t", "4", to)


def wrong_first_box(talk: Path, to: Path) -> None:
    to.write_bytes(struct.pack(">I4s", 4, b"ftyp") + talk.read_bytes())


def ebml_and_nothing(talk: Path, to: Path) -> None:
    to.write_bytes(bytes.fromhex("1A45DFA3") + bytes(200))


def index_of_rubbish(talk: Path, to: Path) -> None:
    data = bytearray(talk.read_bytes())
    start = data.index(b"moov") + 4
    data[start : start + 4000] = bytes(index * 37 % 251 for index in range(4000))
    to.write_bytes(data)


@pytest.mark.parametrize(
    ("spoil", "code", "says"),
    [
        (empty, "empty_file", "0 bytes"),
        (text, "not_a_video", "neither MP4"),
        (playlist, "not_a_video", "playlist"),
        (concat_script, "not_a_video", "playlist"),
        (still_picture, "not_a_video", "still picture"),
        (without_its_end, "truncated", "end of it is missing"),
        (index_first_without_its_end, "truncated", "seconds of pictures are there"),
        (live_recording_without_its_end, "truncated", "seconds of pictures are there"),
        (sound_only, "no_video", "only sound"),
        (sound_with_a_cover, "no_video", "cover image"),
        (too_many_pixels, "too_many_pixels", "16000 x 16000 .* 4096 a side"),
        (panorama, "too_many_pixels", "7680 x 64"),
        (too_short, "too_short", "2.97 seconds; the platforms require at least 3"),
        (one_frame, "too_short", "at least 3"),
        (too_long, "too_long", "3 are allowed"),
        (hours_of_stills, "too_few_frames", "4 pictures"),
        (old_codec, "codec_not_supported", "mpeg2video"),
        (many_tracks, "too_many_streams", "33 tracks; 32 are allowed"),
        (wrong_first_box, "damaged", "byte 0"),
        (ebml_and_nothing, "damaged", "cannot be read"),
        (index_of_rubbish, "damaged", "cannot be read"),
    ],
)
def test_a_bad_file_is_refused_with_its_code(
    spoil: Callable[[Path, Path], None], code: str, says: str, talk: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "innocent.mp4"
    spoil(talk, bad)
    with pytest.raises(Refused, match=says) as refusal:
        inspect(bad)
    assert code == refusal.value.code


@pytest.mark.parametrize("name", ["in.mkv", "in.webm", "in.mov"])
def test_other_containers_are_taken(name: str, tmp_path: Path) -> None:
    codec, options = ("libvpx", {"deadline": "realtime"}) if name == "in.webm" else ("libx264", None)
    path = films.write(
        tmp_path / name,
        films.at_rate(30, 120),
        sound=films.noise(4),
        codec=codec,
        options=options,
        unit=Fraction(1, 1000),
    )
    found = inspect(path).facts
    assert (found.frames, found.frame_rate, found.vfr) == (120, Fraction(30), False)


def test_real_recordings_are_taken(clips: Path) -> None:
    durations_s = [inspect(clip).facts.duration_s for clip in sorted(clips.glob("*.mp4"))]
    assert len(durations_s) > 0
    assert min(durations_s) > 3


def test_an_encrypted_video_is_told_as_such(talk: Path, tmp_path: Path) -> None:
    key = ("-encryption_scheme", "cenc-aes-ctr", "-encryption_key", "00" * 16, "-encryption_kid", "11" * 16)
    films.ffmpeg("-i", talk, "-c", "copy", *key, tmp_path / "locked.mp4")
    with pytest.raises(Refused) as refusal:
        inspect(tmp_path / "locked.mp4")
    assert refusal.value.code == "encrypted"


@pytest.mark.parametrize("share", [0.001, 0.01, 0.2, 0.5, 0.9])
def test_a_file_that_ends_within_its_index_is_truncated(share: float, talk: Path, tmp_path: Path) -> None:
    films.ffmpeg("-i", talk, "-c", "copy", "-movflags", "+faststart", tmp_path / "whole.mp4")
    data = (tmp_path / "whole.mp4").read_bytes()
    begins, ends = data.index(b"moov"), data.index(b"mdat")
    (tmp_path / "cut.mp4").write_bytes(data[: round(begins + 4 + share * (ends - begins - 8))])
    with pytest.raises(Refused) as refusal:
        inspect(tmp_path / "cut.mp4")
    assert refusal.value.code == "truncated"
