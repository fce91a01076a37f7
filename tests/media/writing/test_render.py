"""The decoded parts together are the video: each frame once, the sound in step."""

import gc
import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from media.errors import Refused
from media.frames import Planes
from media.process.memory_profile import LOOKAHEADS
from media.reading.frame_reader import FrameReader
from media.reading.inspection import inspect
from media.stages.plan import Part, partition
from media.writing.render import Rendered, render
from tests.media import films

AAC_FRAME_S = 1024 / 48_000
EACH_SECOND = {"preset": "ultrafast", "bf": "0", "g": "2"}
STEP = 48  # one millisecond; 20 are allowed


def rendered(source: Path, folder: Path, max_part_s: float = 6) -> list[tuple[Part, Rendered, films.Copy]]:
    """Cut a film at its limit and render all parts."""
    found = inspect(source)
    parts = partition(source, found, max_part_s, exact=True, progress=lambda share: None)
    done = []
    for part in parts:
        target = folder / f"{part.number}.mp4"
        done.append((part, render(source, target, span=part.span), films.read(target)))
    return done


def numbers(parts: list[tuple[Part, Rendered, films.Copy]]) -> list[int]:
    return [number for _, _, copy in parts for number in copy.numbers]


@pytest.mark.parametrize(
    ("name", "rate", "options"),
    [
        ("ten-seconds-between-keys.mp4", Fraction(30), {"preset": "ultrafast", "bf": "3", "g": "300"}),
        ("ntsc.mp4", Fraction(30000, 1001), {"preset": "ultrafast", "g": "50"}),
        ("open-gop.mp4", Fraction(25), {"preset": "ultrafast", "bf": "3", "g": "24", "x264-params": "open-gop=1"}),
        ("milliseconds.mkv", Fraction(24000, 1001), {"preset": "ultrafast", "bf": "2", "g": "48"}),
        ("quick.mov", Fraction(60), {"preset": "ultrafast", "g": "120"}),
    ],
)
def test_a_constant_rate_gives_every_frame_once_and_in_order(
    name: str, rate: Fraction, options: dict[str, str], tmp_path: Path
) -> None:
    frames = round(14 * rate)
    unit = Fraction(1, 1000) if name.endswith("mkv") else 1 / rate / 512
    source = films.write(tmp_path / name, films.at_rate(rate, frames), options=options, unit=unit)
    parts = rendered(source, tmp_path)
    assert list(range(frames)) == numbers(parts)
    assert len(parts) == 3
    for part, result, copy in parts:
        assert part.span.rate == rate
        assert copy.times[0] == 0.0
        assert result.frames == len(copy.numbers) == part.span.frames
        assert result.frames_held == 0


@pytest.mark.parametrize("start_s", [Fraction(0), Fraction(3, 2)])
def test_sound_and_picture_are_in_step_at_both_ends_of_every_part(start_s: Fraction, tmp_path: Path) -> None:
    """The sound begins with or after the picture in the source; its place must be the same in every part."""
    sound = films.noise(14)
    source = films.write(tmp_path / "in.mp4", films.at_rate(30, 420), sound=sound, sound_start_s=start_s)
    timeline = np.concatenate([np.zeros(round(start_s * 48_000), np.float32), sound])
    for part, _, copy in rendered(source, tmp_path):
        first = round(part.span.start_s * 48_000)
        should = timeline[first : first + round(part.span.duration_s * 48_000)]
        assert copy.sound_start_s == 0.0
        assert abs(len(copy.sound) / 48_000 - part.span.duration_s) <= AAC_FRAME_S / 2
        tail = len(should) - 2 * 48_000
        assert abs(films.lag_of(copy.sound[: 3 * 48_000], should[: 3 * 48_000])) <= STEP
        assert abs(films.lag_of(copy.sound[tail:], should[tail:])) <= STEP


def test_the_parts_sound_together_is_the_whole_sound(talk: Path, tmp_path: Path) -> None:
    together = np.concatenate([copy.sound for _, _, copy in rendered(talk, tmp_path)])
    assert abs(len(together) / 48_000 - 20.0) <= 4 * AAC_FRAME_S
    assert abs(films.lag_of(together[-96_000:], films.noise(20)[-96_000:])) <= 4 * 512


@pytest.mark.parametrize("max_part_s", [6, 6.3])
def test_a_cut_does_not_click(max_part_s: float, tmp_path: Path) -> None:
    """A steady tone is loudest where it is cut off; the fades take both edges away, wherever AAC's last block ends."""
    tone = (0.5 * np.cos(2 * np.pi * 100 * np.arange(24 * 48_000) / 48_000)).astype(np.float32)
    source = films.write(tmp_path / "in.mp4", films.at_rate(30, 720), sound=tone)
    *cut_off, _ = [copy.sound for _, _, copy in rendered(source, tmp_path, max_part_s)]
    assert len(cut_off) == 3
    for sound in cut_off:
        assert np.abs(sound[-48:]).max() < 0.1
        assert np.abs(np.diff(sound[-4800:])).max() < 0.03
    for sound in cut_off[1:]:
        assert np.abs(sound[:48]).max() < 0.1
        assert np.abs(np.diff(sound[:4800])).max() < 0.03


def test_slow_and_fast_films_get_a_rate_that_platforms_take(tmp_path: Path) -> None:
    slow = films.write(tmp_path / "slow.mp4", films.at_rate(10, 40))
    fast = films.write(tmp_path / "fast.mp4", films.at_rate(120, 480))
    render(slow, tmp_path / "a.mp4")
    render(fast, tmp_path / "b.mp4")
    assert [number for number in range(40) for _ in range(3)] == films.read(tmp_path / "a.mp4").numbers
    assert list(range(0, 480, 2)) == films.read(tmp_path / "b.mp4").numbers


def test_the_master_is_what_the_platforms_ask_for(talk: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    result = render(talk, target)
    data = target.read_bytes()
    assert b"elst" not in data
    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(str(target)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        keys = [(packet.pts or 0) * packet.time_base for packet in container.demux(video) if packet.is_keyframe]
        assert (video.codec_context.name, video.profile, video.pix_fmt) == ("h264", "High", "yuv420p")
        assert tuple(
            getattr(video.codec_context, name) for name in ("colorspace", "color_primaries", "color_trc", "color_range")
        ) == (1, 1, 1, 1)
        assert (audio.codec_context.name, audio.codec_context.sample_rate) == ("aac", 48_000)
        assert max(after - before for before, after in itertools.pairwise(keys)) <= 2
        assert container.metadata.get("location") is None
    assert (len(data), 600, 20.0) == (result.size_bytes, result.frames, result.duration_s)


def test_where_it_was_filmed_is_not_told(talk: Path, tmp_path: Path) -> None:
    located = tmp_path / "located.mp4"
    place = "com.apple.quicktime.location.ISO6709=+52.5186+013.4081/"
    films.ffmpeg("-i", talk, "-c", "copy", "-movflags", "use_metadata_tags", "-metadata", place, located)
    assert b"+52.5186" in located.read_bytes()
    render(located, tmp_path / "out.mp4")
    assert b"+52.5186" not in (tmp_path / "out.mp4").read_bytes()


def test_a_film_without_sound_stays_without(mute: Path, tmp_path: Path) -> None:
    render(mute, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert list(container.streams.audio) == []


def test_sound_that_ends_early_is_followed_by_silence(tmp_path: Path) -> None:
    source = films.write(tmp_path / "in.mp4", films.at_rate(25, 200), sound=films.noise(3))
    render(source, tmp_path / "out.mp4")
    copy = films.read(tmp_path / "out.mp4")
    assert abs(len(copy.sound) / 48_000 - 8.0) <= AAC_FRAME_S / 2
    assert np.abs(copy.sound[4 * 48_000 :]).max() < 1e-3


class _Reversing:
    """A stage that looks far ahead and marks what it saw."""

    def __init__(self, ahead: int) -> None:
        self._ahead = ahead
        self._held: list[Planes] = []

    def push(self, frame: Planes) -> list[Planes]:
        frame.y[:] = 255 - frame.y  # belongs to the stage
        self._held.append(frame)
        return [self._held.pop(0)] if len(self._held) > self._ahead else []

    def drain(self) -> list[Planes]:
        return self._held


def test_a_stage_may_look_ahead_and_change_frames_in_place(mute: Path, tmp_path: Path) -> None:
    watched: list[int] = []
    render(mute, tmp_path / "out.mp4", stage=_Reversing(15), on_frame=lambda frame: watched.append(frame.index))
    with av.open(str(tmp_path / "out.mp4")) as container:
        pictures = [255 - films.grey(frame) for frame in container.decode(video=0)]
    # A marker of bright, then dark, has become dark, then bright; turned back, the number can be read.
    assert list(range(200)) == [films.number_of(picture) for picture in pictures]
    assert list(range(200)) == watched


@pytest.mark.parametrize(
    ("left_bytes", "steps", "lookahead"), [(None, [], 2), (1 << 30, [], 2), (0, list(LOOKAHEADS), 0)]
)
def test_an_encoder_that_does_not_fit_into_the_memory_looks_ahead_less_in_the_same_size(
    mute: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    left_bytes: int | None,
    steps: list[str],
    lookahead: int,
) -> None:
    monkeypatch.setattr("media.writing.render.left_bytes", lambda: left_bytes)
    made = render(mute, tmp_path / "out.mp4", stage=_Reversing(15))
    facts = inspect(mute).facts
    assert (made.memory_steps, made.width, made.height) == (steps, facts.width, facts.height)
    assert b"rc_lookahead=%d " % lookahead in (tmp_path / "out.mp4").read_bytes()  # x264 lists its settings


def test_a_failed_render_leaves_nothing_behind(mute: Path, tmp_path: Path) -> None:
    class Failing(_Reversing):
        def drain(self) -> list[Planes]:
            raise Refused("test", "for the test")

    with pytest.raises(Refused):
        render(mute, tmp_path / "out.mp4", stage=Failing(5))
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_stretch_is_bridged_and_the_count_kept(mute: Path, tmp_path: Path) -> None:
    """A few broken packets are a flaw in the picture, not a reason to lose the part."""
    data = bytearray(mute.read_bytes())
    start = data.index(b"mdat") + len(data) // 2
    data[start : start + 40] = bytes([255] * 40)
    (tmp_path / "in.mp4").write_bytes(data)
    assert render(tmp_path / "in.mp4", tmp_path / "out.mp4").frames == 200


def test_a_real_phone_video_goes_through(clips: Path, tmp_path: Path) -> None:
    result = render(clips / "29_derived_no_face.mp4", tmp_path / "out.mp4")
    assert (result.frames, result.width, result.height, result.frames_held) == (100, 720, 1280, 0)


def test_of_pictures_that_are_made_smaller_one_is_held_beside_the_decoder(tmp_path: Path) -> None:
    """At 4K each more is 17 MB for as long as the part lasts; also in a part that begins within the video."""
    source = films.write(tmp_path / "in.mp4", films.at_rate(2, 8), size=(3840, 2160), options=EACH_SECOND)
    timeline = inspect(source).timeline
    whole = timeline.grid()
    parts = [timeline.span(whole, first, whole.total // 2) for first in (0, whole.total // 2)]
    assert [part.seek is None for part in parts] == [True, False]
    for part in parts:
        gc.collect()
        before = _decoded(3840)
        # Two pictures a second become twenty-four ticks: the heap is searched twice a picture.
        held = [_decoded(3840) - before for planes in FrameReader(source, part) if planes.index % 12 in {0, 11}]
        assert len(held) == 8
        assert max(held) == 1


def _decoded(width: int) -> int:
    return sum(isinstance(one, av.VideoFrame) and one.width == width for one in gc.get_objects())
