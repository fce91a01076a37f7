"""Lengths and edit lists are corrected before the demuxer reads them, and a missing index gives a clear error."""

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from media.container import structure
from media.container.opening import open_upload, select_video
from media.container.patched import Patch, PatchedFile
from media.errors import Refused
from media.reading.facts import MediaWarning
from media.reading.inspection import inspect
from tests.media import films
from tests.media.container import box_editing


@pytest.mark.parametrize(("start", "length"), [(0, 20), (3, 2), (4, 3), (5, 1), (7, -1), (19, 5), (20, 4)])
def test_a_patched_file_reads_as_if_its_bytes_were_others(start: int, length: int, tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(bytes(range(20)))
    expected = bytearray(range(20))
    expected[4:8], expected[18:20] = b"abcd", b"yz"
    with PatchedFile(path, [Patch(18, b"yz"), Patch(4, b"abcd")]) as file:
        assert file.seek(start) == start
        assert file.read(length) == bytes(expected[start : start + length if length >= 0 else None])
    assert path.read_bytes() == bytes(range(20))


def fragments(talk: Path, folder: Path) -> bytes:
    path = folder / "fragments.mp4"
    films.ffmpeg("-i", talk, "-c", "copy", "-movflags", "frag_keyframe+empty_moov+default_base_moof", path)
    return path.read_bytes()


@pytest.mark.parametrize("wrong_by", [8, 3, -5, 1 << 20])
def test_a_length_that_misses_the_next_fragment_loses_nothing(wrong_by: int, talk: Path, tmp_path: Path) -> None:
    data = bytearray(fragments(talk, tmp_path))
    at = data.index(b"mdat", data.index(b"mdat") + 4) - 4  # of the second fragment
    data[at : at + 4] = struct.pack(">I", max(int.from_bytes(data[at : at + 4]) + wrong_by, 8))
    path = tmp_path / "wrong.mp4"
    path.write_bytes(data)
    assert inspect(path).facts.frames == 600


def test_a_recording_that_breaks_off_is_used_as_far_as_it_goes(talk: Path, tmp_path: Path) -> None:
    """A fragmented file does not declare its intended duration; only the missing end of its last fragment is known."""
    data = fragments(talk, tmp_path)
    last = data.rindex(b"mdat") - 4
    path = tmp_path / "cut.mp4"
    path.write_bytes(data[: last + 2000])
    found = inspect(path).facts
    assert 17 < found.duration_s < 20
    assert found.warnings == (MediaWarning.END_MISSING,)


def test_a_second_index_is_found_behind_an_empty_one(talk: Path, tmp_path: Path) -> None:
    data = talk.read_bytes()
    empty = box_editing.box(b"moov", box_editing.box(b"mvhd", bytes(100)))
    path = tmp_path / "two.mp4"
    path.write_bytes(box_editing.prefixed(data, empty))
    assert inspect(path).facts.frames == 600


def segment_only(data: bytes) -> bytes:
    return data[data.index(b"moof") - 4 :]


def not_finished(data: bytes) -> bytes:
    return box_editing.box(b"ftyp", b"isom\0\0\0\0") + struct.pack(">I4s", 0, b"mdat") + bytes(5000)


def half_an_index(data: bytes) -> bytes:
    return data[: data.index(b"moov") + 400]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (half_an_index, "in the middle of its table"),
        (segment_only, "without its beginning"),
        (not_finished, "not finished, or the end of it"),
    ],
)
def test_a_file_without_an_index_is_told_so(
    spoil: Callable[[bytes], bytes], says: str, talk: Path, tmp_path: Path
) -> None:
    path = tmp_path / "no.mp4"
    path.write_bytes(spoil(fragments(talk, tmp_path)))
    with pytest.raises(Refused, match=says) as refusal:
        inspect(path)
    assert refusal.value.code == "truncated"


def test_a_truncated_film_tells_how_much_is_there(talk: Path, tmp_path: Path) -> None:
    path = tmp_path / "half.mp4"
    data = box_editing.index_first(talk.read_bytes())
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(Refused, match=r" 1\d\.\d seconds of pictures .* last \d+\.\d seconds"):
        inspect(path)


def test_a_lost_sound_is_a_truncated_film(talk: Path, tmp_path: Path) -> None:
    """Its pictures may all be there when the two lie one after the other."""
    apart = tmp_path / "apart.mp4"
    films.ffmpeg("-i", talk, "-c", "copy", "-movflags", "+faststart", "-max_interleave_delta", "0", apart)
    nodes = box_editing.parsed(apart.read_bytes())
    whole = b"".join(node.to_bytes() for node in nodes)
    sound = list(nodes[1].all(b"stco"))[1]
    offsets = [at for (at,) in struct.iter_unpack(">I", sound.payload[8:])]
    end = len(whole)
    # The chunks of sound are said to lie behind the film; nothing is there.
    moved = whole.replace(sound.payload[8:], b"".join(struct.pack(">I", end + at) for at in offsets))
    path = tmp_path / "mute.mp4"
    path.write_bytes(moved)
    with pytest.raises(Refused) as refusal:
        inspect(path)
    assert refusal.value.code == "truncated"


def test_a_few_missing_samples_do_not_matter(talk: Path, tmp_path: Path) -> None:
    path = tmp_path / "almost.mp4"
    data = box_editing.index_first(talk.read_bytes())
    path.write_bytes(data[:-1500])
    assert inspect(path).facts.duration_s > 19.7


def photo_and_film(talk: Path, folder: Path, suffix: str) -> Path:
    """Write a bigger still first, marked default, and the film after it, as motion photos do."""
    still, path = folder / "still.mp4", folder / f"motion.{suffix}"
    films.write(still, films.at_rate(1, 1), size=(640, 480))
    films.ffmpeg(
        "-i", still, "-i", talk, "-map", "0:v", "-map", "1:v", "-map", "1:a", "-c", "copy",
        "-disposition:v:0", "default", "-disposition:v:1", "0", path,
    )  # fmt: skip
    return path


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
def test_the_film_is_taken_and_not_the_still_beside_it(suffix: str, talk: Path, tmp_path: Path) -> None:
    path = photo_and_film(talk, tmp_path, suffix)
    found = inspect(path).facts
    assert (found.width, found.frames) == (films.WIDTH, 600)
    with open_upload(path) as container:
        stream = select_video(container)
        first = next(frame for packet in container.demux(stream) for frame in packet.decode())
        assert films.number_of(films.grey(first)) == 0


@pytest.mark.parametrize("first", [b"\xff\xd8\xff\xe1photo", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"])
def test_a_motion_photo_is_a_still_picture(first: bytes, talk: Path, tmp_path: Path) -> None:
    path = tmp_path / "MVIMG.jpg"
    path.write_bytes(first + talk.read_bytes() + b"MotionPhoto_Data")
    with pytest.raises(Refused, match="still picture") as refusal:
        inspect(path)
    assert refusal.value.code == "not_a_video"


def test_the_structure_is_read_once_for_many_openings(talk: Path) -> None:
    assert structure.of(talk, "mp4") is structure.of(talk, "mp4")
