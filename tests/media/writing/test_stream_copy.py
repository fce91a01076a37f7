"""Parts that need no change are stream-copied: their packets are the source's, bit for bit."""

from fractions import Fraction
from pathlib import Path

import av
import pytest

from media.cutting.cuts import Cut, Pause, choose
from media.frames import Planes
from media.gaze.__main__ import parser
from media.reading.inspection import inspect
from media.reading.spans import Span
from media.stages.gaze import correct
from media.stages.plan import partition
from media.writing.render import Rendered, render
from media.writing.stream_copy import Obstacle, obstacle
from tests.media import films

TAGS = "colorprim=bt709:transfer=bt709:colormatrix=bt709:range=tv"
PLAIN = f"keyint=50:min-keyint=50:scenecut=0:bframes=2:{TAGS}"
SECONDS, RATE = 14, 25


def filmed(path: Path, x264: str = PLAIN, *, rate: int = RATE, size: tuple[int, int] = (192, 108)) -> Path:
    """Write what a good encoder makes: BT.709 said to be so, a key frame each two seconds, an edit list."""
    return films.write(
        path,
        films.at_rate(rate, SECONDS * rate),
        sound=films.noise(SECONDS),
        options={"preset": "ultrafast", "profile": "high", "x264-params": x264},
        size=size,
    )


@pytest.fixture(scope="module")
def film(clip_dir: Path) -> Path:
    return filmed(clip_dir / "plain.mp4")


def packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def parts(source: Path, folder: Path, *firsts: int) -> list[tuple[Span, Rendered, Path]]:
    """Render the parts that begin at these ticks."""
    timeline = inspect(source).timeline
    whole = timeline.grid()
    done = []
    for first, end in zip(firsts, (*firsts[1:], whole.total), strict=True):
        span, target = timeline.span(whole, first, end - first), folder / f"{first}.mp4"
        done.append((span, render(source, target, span=span), target))
    return done


@pytest.mark.parametrize("name", ["film.mp4", "film.mkv", "film.mov"])
def test_parts_cut_at_key_frames_are_the_source_bit_for_bit(name: str, film: Path, tmp_path: Path) -> None:
    source = tmp_path / name
    films.ffmpeg("-i", film, "-c", "copy", source)
    done = parts(source, tmp_path, 0, 100, 250)
    assert [result.picture for _, result, _ in done] == ["copied"] * 3
    assert packets(source) == [packet for *_, target in done for packet in packets(target)]


def test_copied_parts_hold_each_frame_once_in_step_and_in_the_master_s_form(film: Path, tmp_path: Path) -> None:
    shown: list[int] = []
    for span, result, target in parts(film, tmp_path, 0, 100, 250):
        copy = films.read(target)
        shown += copy.numbers
        assert copy.times == pytest.approx([number / RATE for number in range(span.frames)])
        assert result.sound == "encoded"
        should = films.noise(SECONDS)[round(span.start_s * 48_000) :][: len(copy.sound)]
        assert abs(films.lag_of(copy.sound[: 2 * 48_000], should[: 2 * 48_000])) <= 48
        tail = len(should) - 2 * 48_000
        assert abs(films.lag_of(copy.sound[tail:], should[tail:])) <= 48
        data = target.read_bytes()
        assert b"elst" not in data
        assert data.index(b"moov") < data.index(b"mdat")
    assert shown == list(range(SECONDS * RATE))


def test_a_whole_video_keeps_its_sound_too(film: Path, tmp_path: Path) -> None:
    ((span, result, target),) = parts(film, tmp_path, 0)
    assert (result.picture, result.sound, result.encoded_because) == ("copied", "copied", None)
    copy = films.read(target)
    assert abs(films.lag_of(copy.sound, films.noise(SECONDS))) <= 48
    assert abs(len(copy.sound) / 48_000 - span.duration_s) < 0.02
    with av.open(str(film)) as one, av.open(str(target)) as other:
        sent = [bytes(packet) for packet in one.demux(audio=0) if packet.size]
        kept = [bytes(packet) for packet in other.demux(audio=0) if packet.size]
    assert sent[1 : len(kept) + 1] == kept  # all but the encoder's priming


def test_a_part_between_key_frames_is_encoded_as_a_whole(film: Path, tmp_path: Path) -> None:
    done = parts(film, tmp_path, 0, 110, 250)
    assert [(result.picture, result.encoded_because) for _, result, _ in done] == [
        ("encoded", "cut_off_key_frame"),
        ("encoded", "cut_off_key_frame"),
        ("copied", None),
    ]
    assert [n for *_, target in done for n in films.read(target).numbers] == list(range(SECONDS * RATE))


@pytest.mark.parametrize(
    ("x264", "size", "why"),
    [
        (PLAIN.replace("keyint=50:min-keyint=50", "keyint=350:min-keyint=350"), (192, 108), Obstacle.GOP),
        (f"{PLAIN}:open-gop=1", (192, 108), Obstacle.GOP),
        (PLAIN.replace("bt709", "bt470bg"), (192, 108), Obstacle.COLOUR),
        (PLAIN.replace(TAGS, "range=tv"), (192, 108), Obstacle.COLOUR),
        (f"{PLAIN}:sar=4/3", (192, 108), Obstacle.SHAPE),
        (PLAIN, (2048, 128), Obstacle.SHAPE),
        (f"{PLAIN}:interlaced=1", (192, 108), Obstacle.CODEC),
        (f"{PLAIN}:fake-interlaced=1", (192, 108), Obstacle.CODEC),  # later pictures may be, whatever the first is
    ],
)
def test_what_the_platforms_would_not_take_is_encoded(
    x264: str, size: tuple[int, int], why: Obstacle, tmp_path: Path
) -> None:
    source = filmed(tmp_path / "in.mp4", x264, size=size)
    assert why == obstacle(source, inspect(source).timeline.grid())


def test_pictures_that_lie_on_their_side_or_say_full_range_are_encoded(film: Path, tmp_path: Path) -> None:
    turned, full = tmp_path / "turned.mp4", tmp_path / "full.mp4"
    films.ffmpeg("-display_rotation", "90", "-i", film, "-c", "copy", turned)
    films.ffmpeg("-i", film, "-c", "copy", "-bsf:v", "h264_metadata=video_full_range_flag=1", full)
    assert obstacle(turned, inspect(turned).timeline.grid()) is Obstacle.SHAPE
    assert obstacle(full, inspect(full).timeline.grid()) is Obstacle.CODEC  # libav calls it another pixel format


def test_what_a_camera_tells_between_the_pictures_is_not_passed_on(film: Path, tmp_path: Path) -> None:
    """Camcorders write place and serial number there; the encoder's own settings, which x264 writes, do no harm."""
    telling, target = tmp_path / "telling.mp4", tmp_path / "out.mp4"
    own = "h264_metadata=sei_user_data=17ee8c60-f84d-11d9-8cd6-0800200c9a66+N52.51-E13.40"
    films.ffmpeg("-i", film, "-c", "copy", "-bsf:v", own, telling)
    assert b"N52.51-E13.40" in telling.read_bytes()
    assert b"x264 - core" in film.read_bytes()
    assert render(telling, target).encoded_because is Obstacle.PRIVATE
    assert b"N52.51" not in target.read_bytes()


def test_a_copy_tells_nothing_private(film: Path, tmp_path: Path) -> None:
    tagged, target = tmp_path / "tagged.mov", tmp_path / "out.mp4"
    secrets = [word for name in ("title", "location", "make") for word in ("-metadata", f"{name}=secret-{name}")]
    handler = ["-metadata:s:v", "handler_name=secret-handler", "-metadata", "creation_time=2026-11-22T10:00:00Z"]
    films.ffmpeg("-i", film, "-c", "copy", "-movflags", "use_metadata_tags", *secrets, *handler, tagged)
    assert tagged.read_bytes().count(b"secret-") >= 4
    assert render(tagged, target).picture == "copied"
    assert b"secret-" not in target.read_bytes()
    with av.open(str(target)) as container:
        told = [container.metadata, *(stream.metadata for stream in container.streams)]
    assert not any("creation_time" in metadata for metadata in told)


def test_other_codecs_and_uneven_times_are_encoded(tmp_path: Path) -> None:
    uneven = [Fraction(number + number // 7, 25) for number in range(100)]
    source = films.write(tmp_path / "uneven.mp4", uneven, options={"x264-params": PLAIN})
    assert obstacle(source, inspect(source).timeline.grid()) is Obstacle.RATE
    old = films.write(
        tmp_path / "old.mp4", films.at_rate(25, 100), codec="mpeg4", options={"g": "50"}, unit=Fraction(1, 25)
    )
    assert obstacle(old, inspect(old).timeline.grid()) is Obstacle.CODEC


def test_more_bits_than_the_platforms_take_are_encoded(tmp_path: Path) -> None:
    source = tmp_path / "noisy.mp4"
    films.ffmpeg(
        "-f", "lavfi", "-i", "nullsrc=s=320x240:d=6:r=25,geq=random(1)*255:128:128", "-c:v", "libx264",
        "-preset", "ultrafast", "-qp", "4", "-g", "50", "-pix_fmt", "yuv420p", "-x264-params", TAGS, source,
    )  # fmt: skip
    assert obstacle(source, inspect(source).timeline.grid()) is Obstacle.BITS


def test_a_stage_always_encodes(film: Path, tmp_path: Path) -> None:
    class Same:
        def push(self, frame: Planes) -> list[Planes]:
            return [frame]

        def drain(self) -> list[Planes]:
            return []

    result = render(film, tmp_path / "out.mp4", stage=Same())
    assert (result.picture, result.encoded_because) == ("encoded", "changed")


def test_a_part_whose_eyes_were_left_alone_is_copied_after_all(film: Path, tmp_path: Path) -> None:
    options = parser().parse_args([str(film), str(tmp_path / "out.mp4"), "--cover", str(tmp_path / "cover.jpg")])
    result = correct(options, lambda share: None)
    assert (result["gaze"]["reason"], result["rendering"]["picture"]) == ("no_face", "copied")
    assert packets(film) == packets(tmp_path / "out.mp4")


def test_watchers_see_every_picture_of_a_copied_part(film: Path, tmp_path: Path) -> None:
    watched: list[int] = []
    render(film, tmp_path / "out.mp4", on_frame=lambda frame: watched.append(frame.index))
    assert list(range(SECONDS * RATE)) == watched


def test_parts_that_may_be_copied_are_cut_at_key_frames_if_no_word_suffers() -> None:
    keys, rate = range(0, 2700, 60), Fraction(30)
    with_key, longer = Pause(51.8, 52.3), Pause(55.1, 55.9)
    assert choose(2700, rate, 60, [with_key, longer], keys=keys)[0] == Cut(0, 1560, "pause")
    assert choose(2700, rate, 60, [with_key, longer])[0] == Cut(0, 1665, "pause")
    assert choose(2700, rate, 60, [longer], keys=keys)[0] == Cut(0, 1665, "pause")
    assert choose(2700, rate, 60, [], keys=range(0, 2700, 70))[0] == Cut(0, 1750, "limit")
    assert choose(2700, rate, 60, [], keys=range(0, 2700, 70), exact=True)[0] == Cut(0, 1800, "limit")


def test_a_film_without_pauses_is_planned_to_be_copied(film: Path) -> None:
    found = inspect(film)
    planned = partition(film, found, 9, exact=False, progress=lambda share: None, copies=True)
    assert [part.span.first for part in planned] == [0, 200]
    assert all(obstacle(film, part.span) is None for part in planned)
    encoded = partition(film, found, 9, exact=False, progress=lambda share: None)
    assert encoded[1].span.first > 200  # later, as nothing is gained by the key frame
