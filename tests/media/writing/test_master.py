"""The master has the format, bit rate and colours that every platform accepts, and no private metadata."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from media import limits
from media.frames import Planes
from media.reading.frame_reader import FrameReader
from media.reading.inspection import inspect
from media.writing import sound_writers
from media.writing.encode import BUFFER_BITS, PEAK_BITS_S
from media.writing.render import render
from media.writing.stream_copy import obstacle
from tests.media import films

INSTAGRAM_BYTES_A_MINUTE = 60_000_000


def sizes(path: Path) -> list[int]:
    with av.open(str(path)) as container:
        return [packet.size for packet in container.demux(video=0) if packet.size]


@pytest.fixture(scope="module")
def noisy(clip_dir: Path) -> Path:
    """Return ten seconds of what compresses worst."""
    path = clip_dir / "noisy.mkv"
    films.ffmpeg(
        "-f", "lavfi", "-i", "nullsrc=s=640x360:d=10:r=30,format=gray,geq=random(1)*255",
        "-c:v", "libx264", "-preset", "ultrafast", "-qp", "20", "-pix_fmt", "yuv420p", path,
    )  # fmt: skip
    return path


def test_the_worst_picture_stays_under_the_peak(noisy: Path, tmp_path: Path) -> None:
    """The bits leak at the peak rate from a buffer that never runs over: any minute is less than Instagram's limit."""
    render(noisy, tmp_path / "out.mp4")
    level = 0.0
    for size in sizes(tmp_path / "out.mp4"):
        level = max(0.0, level + size * 8 - PEAK_BITS_S / 30)
        assert level <= BUFFER_BITS
    assert sum(sizes(tmp_path / "out.mp4")) * 8 > 0.9 * PEAK_BITS_S * 10, "the cap was reached, or this proves nothing"
    assert (60 * PEAK_BITS_S + BUFFER_BITS) / 8 + 60 * 128_000 / 8 * 1.1 < INSTAGRAM_BYTES_A_MINUTE


def test_a_master_could_go_through_again_untouched(talk: Path, tmp_path: Path) -> None:
    """Codec, profile, square pixels, colour tags, closed groups of pictures, bits: what we ask of others we keep."""
    render(talk, tmp_path / "out.mp4")
    assert obstacle(tmp_path / "out.mp4", inspect(tmp_path / "out.mp4").timeline.grid()) is None
    with av.open(str(tmp_path / "out.mp4")) as container:
        video = container.streams.video[0]
        assert (video.profile, video.sample_aspect_ratio) == ("High", Fraction(1))


def test_nothing_private_is_told(talk: Path, tmp_path: Path) -> None:
    secrets = {"title": "secret-title", "comment": "secret-comment", "location": "+52.5186+013.4081/", "make": "secret"}
    tagged = tmp_path / "tagged.mov"
    words = [word for name, value in secrets.items() for word in ("-metadata", f"{name}={value}")]
    stream = ["-metadata:s:v", "handler_name=secret-handler", "-metadata", "creation_time=2026-11-22T10:00:00Z"]
    films.ffmpeg("-i", talk, "-c", "copy", "-movflags", "use_metadata_tags", *words, *stream, tagged)
    assert all(value.encode() in tagged.read_bytes() for value in secrets.values())
    render(tagged, tmp_path / "out.mp4")
    data = (tmp_path / "out.mp4").read_bytes()
    assert not any(value.encode() in data for value in (*secrets.values(), "secret-handler"))
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert set(container.metadata) <= {"major_brand", "minor_version", "compatible_brands"}
        assert container.streams.video[0].metadata.get("creation_time") is None


@pytest.mark.parametrize("curve", ["arib-std-b67", "smpte2084"])
def test_what_was_brought_into_high_dynamic_range_comes_back(curve: str, tmp_path: Path) -> None:
    """zimg's own conversion of a BT.709 picture to HLG or PQ is the truth; above the knee tones are rolled off."""
    plain, bright = tmp_path / "plain.mkv", tmp_path / "bright.mp4"
    source = ["-f", "lavfi", "-i", "testsrc2=s=192x108:d=4:r=25", "-pix_fmt", "yuv420p"]
    bt709 = [
        "-vf",
        "scale=out_color_matrix=bt709:out_range=tv",
        "-x264-params",
        "colorprim=bt709:transfer=bt709:colormatrix=bt709:range=tv",
    ]
    films.ffmpeg(*source, *bt709, "-c:v", "libx264", "-preset", "ultrafast", "-qp", "2", plain)
    to_hdr = (
        "zscale=tin=bt709:pin=bt709:min=bt709:rin=tv:t=linear:npl=203,format=gbrpf32le,"
        f"zscale=p=bt2020:t={curve}:m=bt2020nc:r=tv:npl=203,format=yuv420p10le"
    )
    tags = f"colorprim=bt2020:transfer={curve}:colormatrix=bt2020nc:range=limited"
    films.ffmpeg(
        "-i", plain, "-vf", to_hdr, "-c:v", "libx265", "-preset", "ultrafast",
        "-x265-params", f"log-level=error:qp=4:{tags}", bright,
    )  # fmt: skip
    assert inspect(bright).facts.hdr == {"arib-std-b67": "hlg", "smpte2084": "pq"}[curve]
    was, became = (next(iter(FrameReader(path, inspect(path).timeline.grid()))) for path in (plain, bright))
    mid = (was.y > 30) & (was.y < 150) & _colourless(was)
    assert mid.sum() > 500
    assert np.abs(was.y[mid].astype(float) - became.y[mid]).mean() < 3
    assert became.y.max() <= 237


def _colourless(frame: Planes) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    near = (np.abs(frame.u.astype(int) - 128) < 40) & (np.abs(frame.v.astype(int) - 128) < 40)
    return np.asarray(np.repeat(np.repeat(near, 2, axis=0), 2, axis=1), np.bool_)


@pytest.mark.parametrize(
    ("rate", "frames", "becomes"), [(Fraction(240), 960, Fraction(60)), (Fraction(15), 60, Fraction(30))]
)
def test_slow_motion_and_slow_cameras_get_a_rate_that_platforms_take(
    rate: Fraction, frames: int, becomes: Fraction, tmp_path: Path
) -> None:
    source = films.write(tmp_path / "in.mp4", films.at_rate(rate, frames))
    result = render(source, tmp_path / "out.mp4")
    assert (result.frames, result.duration_s) == (round(4 * becomes), 4.0)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].average_rate == becomes


def test_the_room_reserved_for_a_part_covers_what_the_encoder_may_write() -> None:
    """At the peak rate for the whole part, after a full buffer, with the largest sound that is copied."""
    assert PEAK_BITS_S + sound_writers.MAX_BITS_S <= limits.MAX_PART_BITS_S
    beside_bytes = 2**20  # index (16 bytes a picture), cover, preview and report
    assert BUFFER_BITS / 8 + beside_bytes <= limits.PART_EXTRA_BYTES
