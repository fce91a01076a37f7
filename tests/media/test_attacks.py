"""Malicious files are refused with a reason, or rendered, within the limits of memory and time.

Every attack goes through the runner, as an upload does; nothing of it is decoded in the test process.
"""

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from media.process import runner
from tests.media import films

MEMORY = 330 << 20
DEADLINE_S = 60
SECRET = b"the neighbour's secret"


@pytest.fixture(scope="session")
def talk(clip_dir: Path) -> Path:
    """Return a video like the shared `talk`, but of four seconds: what is harmless is rendered."""
    return films.write(clip_dir / "attacked.mp4", films.at_rate(30, 120), sound=films.noise(4))


def split(source: Path, folder: Path) -> str:
    """Return "rendered", or the code of the refusal; whatever else happens is a failure."""
    folder.mkdir()
    try:
        result = runner.run("split", [str(source), str(folder)], deadline_s=DEADLINE_S, memory_bytes=MEMORY)
    except runner.Refused as refused:
        refusal = refused
    else:
        assert 0 < max(part["size_bytes"] for part in result["parts"]) < 60_000_000
        return "rendered"
    assert refusal.detail.endswith(".")
    assert list(folder.iterdir()) == []
    return refusal.code


def boxes(data: bytes, kind: bytes) -> list[int]:
    """Return where boxes of a kind begin: at their size."""
    found, at = [], data.find(kind)
    while at >= 0:
        found.append(at - 4)
        at = data.find(kind, at + 1)
    return found


def patched(data: bytes, kind: bytes, offset: int, value: bytes) -> bytes:
    """Overwrite bytes in every box of a kind, counted from the box's size field."""
    spoiled = bytearray(data)
    for start in boxes(data, kind):
        spoiled[start + offset : start + offset + len(value)] = value
    return bytes(spoiled)


ALL_ONES = b"\xff\xff\xff\xff"
# ISO/IEC 14496-12: where in a version 0 box the field stands, counted from the size.
LIES: dict[str, tuple[bytes, int, bytes]] = {
    "a movie of 136 years": (b"mvhd", 24, ALL_ONES),
    "a track of 136 years": (b"mdhd", 24, ALL_ONES),
    "a clock that stands still": (b"mdhd", 20, bytes(4)),
    "a clock of four billion": (b"mdhd", 20, ALL_ONES),
    "a movie clock that stands still": (b"mvhd", 20, bytes(4)),
    "a track of 65535 pixels a side": (b"tkhd", 84, ALL_ONES + ALL_ONES),
    "a picture of 65535 pixels a side": (b"avc1", 32, b"\xff\xff\xff\xff"),
    "a picture without size": (b"avc1", 32, bytes(4)),
    "four billion entries of time": (b"stts", 12, ALL_ONES),
    "four billion pictures in one entry": (b"stts", 16, ALL_ONES),
    "pictures that last for years": (b"stts", 20, b"\x7f\xff\xff\xff"),
    "four billion sizes": (b"stsz", 16, ALL_ONES),
    "pictures of two gigabytes": (b"stsz", 12, b"\x7f\xff\xff\xff"),
    "four billion chunks": (b"stco", 12, ALL_ONES),
    "chunks beyond the file": (b"stco", 16, b"\x7f\xff\xff\xff"),
    "four billion runs": (b"stsc", 12, ALL_ONES),
    "four billion key frames": (b"stss", 12, ALL_ONES),
    "four billion offsets": (b"ctts", 12, ALL_ONES),
    "offsets of years": (b"ctts", 20, b"\x7f\xff\xff\xff"),
    "four billion edits": (b"elst", 12, ALL_ONES),
    "an edit that begins after the end": (b"elst", 20, b"\x7f\xff\xff\xff"),
    "an edit a million times as fast": (b"elst", 24, ALL_ONES),
    "a parameter set that lies": (b"avcC", 14, b"\xff" * 16),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lying_index_is_refused_or_harmless(lie: str, talk: Path, tmp_path: Path) -> None:
    kind, offset, value = LIES[lie]
    data = talk.read_bytes()
    assert boxes(data, kind), "the attack has nothing to spoil"
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(patched(data, kind, offset, value))
    assert split(bad, tmp_path / "out")


def nested(talk: Path, folder: Path) -> Path:
    """Write sixty thousand nested boxes."""
    depth = 60_000
    inner = b"".join(struct.pack(">I4s", 8 * (depth - level), b"moov") for level in range(depth))
    path = folder / "nested.mp4"
    path.write_bytes(struct.pack(">I4s8s", 16, b"ftyp", b"isom\0\0\0\0") + inner)
    return path


def many_boxes(talk: Path, folder: Path) -> Path:
    path = folder / "many.mp4"
    path.write_bytes(talk.read_bytes() + struct.pack(">I4s", 8, b"free") * 300_000)
    return path


def index_behind_half_a_gigabyte(talk: Path, folder: Path) -> Path:
    """Write a sparse file with a hole between samples and index."""
    data = talk.read_bytes()
    index = boxes(data, b"moov")[0]
    path = folder / "far.mp4"
    with path.open("wb") as file:
        file.write(data[:index] + struct.pack(">I4s", 500 << 20, b"free"))
        file.seek(index + (500 << 20))
        file.write(data[index:])
    return path


def many_tracks(talk: Path, folder: Path) -> Path:
    """Repeat one track in the index four thousand times."""
    data = talk.read_bytes()
    start = boxes(data, b"moov")[0]
    trak = boxes(data, b"trak")[0]
    track = data[trak : trak + int.from_bytes(data[trak : trak + 4])]
    size = int.from_bytes(data[start : start + 4])
    moov = data[start + 4 : start + size] + track * 4000
    path = folder / "tracks.mp4"
    path.write_bytes(data[:start] + struct.pack(">I", len(moov) + 4) + moov + data[start + size :])
    return path


def external_data(talk: Path, folder: Path) -> Path:
    """Refer to another file of this machine for the samples (ISO/IEC 14496-12, 8.7.2)."""
    secret = folder / "secret.bin"
    secret.write_bytes(SECRET * 5000)
    data = talk.read_bytes()
    url = b"file://" + str(secret).encode() + b"\0"
    path = folder / "external.mp4"
    spoiled = bytearray(data)
    for start in reversed(boxes(data, b"url ")):
        spoiled[start : start + 12] = struct.pack(">I4sI", 12 + len(url), b"url ", 0) + url
        for name in (b"dref", b"dinf", b"minf", b"mdia", b"trak", b"moov"):
            outer = max(at for at in boxes(bytes(spoiled), name) if at < start)
            spoiled[outer : outer + 4] = struct.pack(">I", int.from_bytes(spoiled[outer : outer + 4]) + len(url))
    path.write_bytes(spoiled)
    return path


def subtitles_and_attachments(talk: Path, folder: Path) -> Path:
    """Add subtitles and a font, through which players were attacked; neither is read."""
    words, font = folder / "words.srt", folder / "font.ttf"
    words.write_text("1\n00:00:00,000 --> 00:00:05,000\n<font color=%n%n%n>hello</font>\n", encoding="ascii")
    font.write_bytes(SECRET * 1000)
    path = folder / "extras.mkv"
    films.ffmpeg(
        "-i", talk, "-i", words, "-map", "0", "-map", "1", "-c", "copy", "-attach", font,
        "-metadata:s:t", "mimetype=font/ttf", path,
    )  # fmt: skip
    return path


def named_like_an_option(talk: Path, folder: Path) -> Path:
    path = folder / "-i %d concat:secret|..mp4"
    path.write_bytes(talk.read_bytes())
    return path


def playlist_behind_a_box(talk: Path, folder: Path) -> Path:
    """Begin like a video and continue like a playlist."""
    path = folder / "behind.mp4"
    path.write_bytes(struct.pack(">I4s", 8, b"free") + f"#EXTM3U\n#EXTINF:9,\n{talk}\n".encode())
    return path


def stereo_of_a_thousand(talk: Path, folder: Path) -> Path:
    path = folder / "channels.mp4"
    path.write_bytes(patched(talk.read_bytes(), b"mp4a", 24, b"\x03\xe8"))
    return path


@pytest.mark.parametrize(
    ("attack", "ends"),
    [
        (nested, {"damaged", "truncated"}),
        (many_boxes, {"damaged"}),
        (index_behind_half_a_gigabyte, {"rendered"}),
        (many_tracks, {"too_many_streams", "index_too_big"}),
        (external_data, {"rendered", "damaged", "truncated"}),
        (subtitles_and_attachments, {"rendered"}),
        (named_like_an_option, {"rendered"}),
        (playlist_behind_a_box, {"damaged", "truncated"}),
        (stereo_of_a_thousand, {"rendered", "damaged"}),
    ],
)
def test_a_harmful_file_does_no_harm(
    attack: Callable[[Path, Path], Path], ends: set[str], talk: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert split(attack(talk, tmp_path), out) in ends
    assert not any(SECRET in part.read_bytes() for part in out.iterdir())


def test_a_picture_that_grows_in_the_middle_is_refused(tmp_path: Path) -> None:
    """The first frames are small, and so is what the index says; then comes one of 16,000 pixels a side."""
    small, big, joined = (tmp_path / name for name in ("small.h264", "big.h264", "joined.mkv"))
    x264 = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]
    films.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x64:d=4:r=25", *x264, small)
    films.ffmpeg("-f", "lavfi", "-i", "color=black:s=8192x8192:r=25", "-frames:v", "2", *x264, big)
    (tmp_path / "both.h264").write_bytes(small.read_bytes() + big.read_bytes())
    films.ffmpeg("-r", "25", "-i", tmp_path / "both.h264", "-c", "copy", joined)
    assert split(joined, tmp_path / "out") in {"rendered", "too_many_pixels", "damaged"}
