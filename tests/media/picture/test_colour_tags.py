"""The colour tags of container and bit stream are merged by one rule, and the rendered colours follow them."""

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest

from media.container.opening import open_upload, select_video
from media.picture import conversion
from media.picture.colour_tags import ColourTags
from media.reading.frame_reader import FrameReader
from media.reading.inspection import inspect
from media.writing.stream_copy import Obstacle, obstacle
from tests.media import films
from tests.media.picture.test_matrix import CODES_OFF, PATCHES, coded

SIDE = 64
BT709, BT601, UNTAGGED = 1, 6, 2
NAMES = {BT709: "bt709", BT601: "smpte170m"}
SIGNAL = PATCHES[0]


@dataclass(frozen=True)
class Film:
    """A codec whose bit stream and container are tagged independently."""

    encoder: tuple[str, ...]
    suffix: str
    coded: int  # the bit stream's matrix, primaries and transfer
    container: int  # the container's

    def write(self, folder: Path, matrix: int) -> Path:
        """Write three seconds of one colour, in a matrix whatever the tags say."""
        y, u, v = np.round(coded(SIGNAL, matrix)).astype(int)
        bare, path = folder / f"bare{self.suffix}", folder / f"film{self.suffix}"
        raw = folder / "film.yuv"
        half = (SIDE // 2) ** 2
        raw.write_bytes((bytes([y]) * SIDE**2 + bytes([u]) * half + bytes([v]) * half) * 30)
        films.ffmpeg(
            "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{SIDE}x{SIDE}", "-r", "10", "-i", raw,
            "-vf", self._filter(), "-c:v", *self.encoder, bare,
        )  # fmt: skip
        if self.container == UNTAGGED:
            return bare
        return tagged_again(bare, path, self.container)

    def _filter(self) -> str:
        if self.coded == UNTAGGED:
            return "null"
        name = NAMES[self.coded]
        return f"setparams=colorspace={name}:color_primaries={name}:color_trc={name}:range=tv"


@dataclass(frozen=True)
class Context:
    """A decoder's context before the first frame."""

    name: str
    colorspace: int
    color_primaries: int
    color_trc: int
    color_range: int


@dataclass(frozen=True)
class Stream:
    """A stream with nothing but its context."""

    codec_context: Context


VP8 = ("libvpx", "-crf", "4", "-b:v", "2M", "-deadline", "realtime")
VP9 = ("libvpx-vp9", "-lossless", "1", "-deadline", "realtime")
H264 = ("libx264", "-qp", "0", "-preset", "ultrafast")
HEVC = ("libx265", "-preset", "ultrafast", "-x265-params", "log-level=error:lossless=1", "-tag:v", "hvc1")
MPEG4 = ("mpeg4", "-q:v", "2")
FILMS = {
    "a browser's VP8": (Film(VP8, ".webm", UNTAGGED, BT709), BT709),
    "VP8 tagged BT.601": (Film(VP8, ".webm", UNTAGGED, BT601), BT601),
    "VP8 without tags": (Film(VP8, ".webm", UNTAGGED, UNTAGGED), BT601),
    "VP9 tagged by the container only": (Film(VP9, ".webm", UNTAGGED, BT709), BT709),
    "VP9 tagged again": (Film(VP9, ".webm", BT709, BT601), BT601),
    "VP9 tagged twice": (Film(VP9, ".webm", BT709, BT709), BT709),
    "H.264 tagged by the container only": (Film(H264, ".mp4", UNTAGGED, BT709), BT709),
    "H.264 tagged again": (Film(H264, ".mp4", BT601, BT709), BT601),
    "H.264 without tags": (Film(H264, ".mp4", UNTAGGED, UNTAGGED), BT601),
    "H.264 in Matroska, tagged again": (Film(H264, ".mkv", BT709, BT601), BT709),
    "HEVC tagged by the container only": (Film(HEVC, ".mp4", UNTAGGED, BT709), BT709),
    "HEVC tagged again": (Film(HEVC, ".mp4", BT709, BT601), BT709),
    "MPEG-4 tagged by the container only": (Film(MPEG4, ".mp4", UNTAGGED, BT709), BT709),
}


@pytest.mark.parametrize("name", FILMS)
def test_colours_are_read_by_the_right_tags(name: str, tmp_path: Path) -> None:
    """The film is written in the matrix that counts, so the signal must come back."""
    film, matrix = FILMS[name]
    path = film.write(tmp_path, matrix)
    planes = next(iter(FrameReader(path, inspect(path).timeline.grid())))
    found = np.array([plane.mean() for plane in (planes.y, planes.u, planes.v)])
    assert np.abs(found - coded(SIGNAL, BT709)).max() <= CODES_OFF + 1  # the codec's own loss


def tagged_again(source: Path, path: Path, container: int) -> Path:
    """Copy a film's streams into a container with other tags."""
    name = NAMES[container]
    films.ffmpeg(
        "-i", source, "-c", "copy", "-colorspace", name, "-color_primaries", name, "-color_trc", name,
        "-color_range", "tv", path,
    )  # fmt: skip
    return path


def tagged_frame(tags: tuple[int, int, int, int], form: str = "yuv420p") -> av.VideoFrame:
    """Return a frame with matrix, primaries, transfer and range."""
    frame = av.VideoFrame(SIDE, SIDE, form)
    frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range = tags
    return frame


def tags_of(frame: av.VideoFrame) -> tuple[int, int, int, int]:
    return frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range


@pytest.mark.parametrize(
    ("decoder", "container", "decoded", "chosen"),
    [
        ("vp8", (1, 1, 1, 2), (5, 2, 2, 1), (1, 1, 1, 2)),
        ("vp8", (2, 2, 2, 0), (5, 2, 2, 1), (5, 2, 2, 1)),
        ("vp8", (2, 12, 2, 0), (5, 2, 2, 1), (5, 12, 2, 1)),
        ("vp9", (1, 1, 1, 1), (2, 1, 1, 2), (1, 1, 1, 2)),  # a game console: the bit stream's range is right
        ("vp9", (9, 9, 16, 1), (9, 9, 2, 1), (9, 9, 16, 1)),  # VP9's bit stream has no transfer
        ("mjpeg", (1, 1, 1, 1), (5, 1, 1, 2), (1, 1, 1, 2)),
        ("mjpeg", (2, 2, 2, 0), (5, 2, 2, 2), (5, 2, 2, 2)),
        ("hevc", (1, 12, 1, 2), (2, 2, 2, 0), (1, 12, 1, 2)),
        ("hevc", (1, 1, 1, 1), (9, 9, 18, 2), (9, 9, 18, 2)),
        ("h264", (1, 1, 1, 1), (0, 0, 0, 0), (1, 1, 1, 1)),  # YCbCr tagged RGB, reserved numbers
        ("h264", (3, 3, 3, 0), (3, 3, 3, 0), (2, 2, 2, 0)),
        ("prores", (1, 1, 1, 1), (2, 9, 2, 1), (1, 9, 1, 1)),
    ],
)
def test_each_tag_is_chosen_by_itself(
    decoder: str, container: tuple[int, int, int, int], decoded: tuple[int, int, int, int],
    chosen: tuple[int, int, int, int],
) -> None:  # fmt: skip
    stream = Stream(Context(decoder, *container))
    assert tags_of(ColourTags(stream).apply(tagged_frame(decoded))) == chosen  # type: ignore[arg-type]  # a stand-in


def test_rgb_stays_rgb() -> None:
    stream = Stream(Context("h264", 2, 2, 2, 0))
    tags = ColourTags(stream)  # type: ignore[arg-type]  # a stand-in
    assert tags.apply(tagged_frame((0, 1, 1, 2), "gbrp")).colorspace == 0


@pytest.mark.parametrize("name", ["rec_vp8.webm", "reschange.webm"])
def test_a_browser_s_recording_has_the_browser_s_colours(name: str, recorded: Path) -> None:
    """Chromium shows its test patches as 199, 31, 32 and 29, 200, 35 (measured 2026-11-28)."""
    path = recorded / name
    rgb = conversion.to_rgb(next(iter(FrameReader(path, inspect(path).timeline.grid()))))
    red, green = (rgb[500:540, left : left + 50].mean(axis=(0, 1)) for left in (20, 110))
    assert red == pytest.approx([199, 31, 32], abs=3)
    assert green == pytest.approx([29, 200, 35], abs=8)  # blue is 29 by exact calculation from Y, U, V


def test_tags_do_not_depend_on_where_decoding_begins(tmp_path: Path) -> None:
    path = FILMS["a browser's VP8"][0].write(tmp_path, BT709)
    with open_upload(path) as container:
        stream = select_video(container)
        tags = ColourTags(stream)
        container.seek(1000, stream=stream)
        assert {tags_of(tags.apply(frame))[0] for frame in container.decode(stream)} == {BT709}


@pytest.mark.parametrize(
    ("container", "found"), [(UNTAGGED, None), (BT709, None), (BT601, Obstacle.COLOUR)], ids=["none", "same", "other"]
)
def test_a_stream_with_contradictory_tags_is_not_copied(
    container: int, found: Obstacle | None, tmp_path: Path
) -> None:  # fmt: skip
    """A copy would look different in players that follow the container."""
    x264 = "keyint=25:scenecut=0:colorprim=bt709:transfer=bt709:colormatrix=bt709:range=tv"
    path = films.write(
        tmp_path / "in.mp4", films.at_rate(25, 100), options={"preset": "ultrafast", "x264-params": x264}
    )
    if container != UNTAGGED:
        path = tagged_again(path, tmp_path / "out.mp4", container)
    assert obstacle(path, inspect(path).timeline.grid()) is found
