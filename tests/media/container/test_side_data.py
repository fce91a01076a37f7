"""Numbers that libav knows and PyAV does not cause no errors, and do not hide other side data."""

import struct
from enum import Enum
from pathlib import Path

import av
import pytest

from media.container.libav_enums import FROM_FILES
from media.container.opening import open_upload, select_video
from media.process import runner
from media.reading.inspection import inspect
from tests.media import films
from tests.media.container import box_editing

# x' = a x + c y, y' = b x + d y, as 16.16 fixed point (ISO/IEC 14496-12, 6.2.2): a quarter turn clockwise, mirrored.
ONE, TURNED, MIRRORED = 1 << 16, (0, 1, -1, 0), (-1, 0, 0, 1)


def with_matrix(data: bytes, matrix: tuple[int, int, int, int]) -> bytes:
    """Write a display matrix into every track's header."""
    a, b, c, d = (value * ONE for value in matrix)
    nodes = box_editing.parsed(data)
    for top in nodes:
        for head in top.all(b"tkhd"):
            fields = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
            head.payload = head.payload[:40] + fields + head.payload[76:]
    return box_editing.joined(nodes)


@pytest.mark.parametrize("kind", FROM_FILES)
def test_an_unknown_number_has_a_name_of_its_own(kind: type[Enum]) -> None:
    member = kind(4321)
    assert member.name == "UNKNOWN_4321"
    assert kind(next(iter(kind)).value) is next(iter(kind))


@pytest.mark.parametrize(("matrix", "turn"), [((1, 0, 0, 1), (0, False)), (TURNED, (90, False)), (MIRRORED, (0, True))])
def test_spatial_video_stands_upright(
    matrix: tuple[int, int, int, int], turn: tuple[int, bool], recorded: Path, tmp_path: Path
) -> None:
    """Each of its frames carries the number of its view, which PyAV 18.1 has no name for."""
    path = tmp_path / "spatial.mov"
    path.write_bytes(with_matrix((recorded / "mvhevc.mov").read_bytes(), matrix))
    found = inspect(path).facts
    assert (found.rotation, found.mirrored) == turn


def exif(orientation: int) -> bytes:
    """Return the metadata segment of a JPEG (EXIF 2.32) with an orientation."""
    tiff = b"MM\0*\0\0\0\x08" + struct.pack(">HHHIHH", 1, 0x0112, 3, 1, orientation, 0) + bytes(4)
    return b"\xff\xe1" + struct.pack(">H", 8 + len(tiff)) + b"Exif\0\0" + tiff


def test_a_motion_jpeg_with_exif_is_taken(tmp_path: Path) -> None:
    plain, path = tmp_path / "plain.mov", tmp_path / "exif.mov"
    films.write(plain, films.at_rate(25, 100), codec="mjpeg", options={"strict": "unofficial"})
    with av.open(str(plain)) as reader, av.open(str(path), "w") as writer:
        stream = reader.streams.video[0]
        target = writer.add_stream_from_template(stream)
        for packet in reader.demux(stream):
            if packet.size:
                data = bytes(packet)
                marked = av.Packet(data[:2] + exif(1) + data[2:])
                marked.pts, marked.dts, marked.time_base = packet.pts, packet.dts, packet.time_base
                marked.duration, marked.stream, marked.is_keyframe = packet.duration, target, True
                writer.mux(marked)
    with open_upload(path) as container:
        stream = select_video(container)
        frame = next(frame for packet in container.demux(stream) for frame in packet.decode())
        assert len(frame.side_data) >= 1, "the test shows nothing: no side data"
    assert inspect(path).facts.frames == 100


@pytest.mark.parametrize("number", [0, 3, 13, 19, 22, 99, 255])
def test_unknown_colours_are_taken_for_ordinary_ones(number: int, tmp_path: Path) -> None:
    """Numbers of ITU-T H.273 that are reserved, or newer than libav's lists."""
    path = tmp_path / "colour.mp4"
    films.write(path, films.at_rate(25, 80), size=(64, 48))
    tagged = tmp_path / "tagged.mp4"
    changes = "=".join(["h264_metadata", f"colour_primaries={number}"])
    films.ffmpeg(
        "-i", path, "-c", "copy", "-bsf:v",
        f"{changes}:transfer_characteristics={number}:matrix_coefficients={number}", tagged,
    )  # fmt: skip
    out = tmp_path / "out"
    result = runner.run("split", [str(tagged), str(out)], deadline_s=60)
    assert result["parts"][0]["frames"] == 80
