"""Sound before the first picture or after the last one is kept, and the nearest picture is repeated.

Frame n of every video here was recorded n / 30 s after the first picture; its sound is like no other part of itself.
"""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from media.cutting.scenes import SceneChanges
from media.errors import Refused
from media.gaze.calibration import sparse_frames
from media.reading import timeline
from media.reading.facts import MediaWarning
from media.reading.frame_reader import FrameReader
from media.reading.inspection import Inspection, inspect
from media.reframing.following import choose_framing
from media.reframing.framing import Layout
from media.stages.plan import partition
from media.writing.cover import Cover
from media.writing.render import render
from media.writing.stream_copy import Obstacle
from tests.media import films
from tests.media.stages.test_partition import check_sound

RATE = 48_000
TAGS = "keyint=50:min-keyint=50:scenecut=0:colorprim=bt709:transfer=bt709:colormatrix=bt709:range=tv"
COPIED = {"preset": "ultrafast", "profile": "high", "x264-params": TAGS}
PICTURES = 120
ENDS = {"constant": films.at_rate(30, PICTURES), "variable": [t for t in films.at_rate(30, PICTURES) if t * 30 % 7]}


def film(
    path: Path, times: list[Fraction], *, before_s: str = "0", after_s: str = "0", **more: object
) -> tuple[Path, np.ndarray[tuple[int], np.dtype[np.float32]]]:
    """Write pictures and a sound that begins so much earlier and ends so much later than they do."""
    before = Fraction(before_s)
    ends = times[-1] + Fraction(1, 30) + Fraction(after_s)
    sound = films.noise(float(before + ends - times[0]))
    shown = [time - times[0] + before for time in times]
    return films.write(path, shown, sound=sound, **more), sound  # type: ignore[arg-type]  # passed on


def warned(found: Inspection) -> set[MediaWarning]:
    return set(found.facts.warnings)


@pytest.mark.parametrize("rhythm", ENDS)
@pytest.mark.parametrize("after_s", ["-1", "0", "0.1", "0.2", "0.3", "2", "60"])
def test_a_film_lasts_as_long_as_its_sound(rhythm: str, after_s: str, tmp_path: Path) -> None:
    source, _ = film(tmp_path / "in.mp4", ENDS[rhythm], after_s=after_s)
    found = inspect(source)
    whole = found.timeline.grid()
    is_kept = float(after_s) > 0.25
    pictures_s = float(ENDS[rhythm][-1] - ENDS[rhythm][0]) + 1 / 30
    should_s = pictures_s + (float(after_s) if is_kept else 0)
    assert found.facts.duration_s == whole.duration_s == pytest.approx(should_s, abs=1 / 30)
    assert warned(found) == ({MediaWarning.PICTURE_ENDS_EARLY} if is_kept else set())
    assert whole.picture_end == pytest.approx(pictures_s * 30, abs=1)


@pytest.mark.parametrize("name", ["in.mp4", "in.mkv"])
@pytest.mark.parametrize("before_s", ["-1", "0", "0.1", "0.3", "1.5", "59"])
def test_a_film_begins_with_its_sound(name: str, before_s: str, tmp_path: Path) -> None:
    start = Fraction(max(0.0, -float(before_s))).limit_denominator(10)
    source = films.write(
        tmp_path / name,
        [time + max(Fraction(before_s), Fraction(0)) for time in films.at_rate(30, PICTURES)],
        sound=films.noise(4 + float(before_s)),
        sound_start_s=start,
    )
    found = inspect(source)
    is_kept = float(before_s) > 0.25
    assert found.facts.duration_s == pytest.approx(4 + (float(before_s) if is_kept else 0), abs=1 / 30)
    assert warned(found) == ({MediaWarning.PICTURE_BEGINS_LATE} if is_kept else set())
    assert found.facts.audio is not None
    assert found.facts.audio.start_s == pytest.approx(0 if float(before_s) >= 0.3 else -float(before_s), abs=1 / 30)


@pytest.mark.parametrize("rhythm", ENDS)
def test_parts_hold_the_nearest_picture_and_stay_in_step(rhythm: str, tmp_path: Path) -> None:
    """The first part is sound alone, the last as well; a cut lies on both sides of the pictures."""
    source, sound = film(tmp_path / "in.mp4", ENDS[rhythm], before_s="6.5", after_s="7")
    found = inspect(source)
    parts = partition(source, found, 6, exact=True, progress=lambda share: None)
    numbers: list[int] = []
    in_step = 0
    for part in parts:
        result = render(source, tmp_path / "out.mp4", span=part.span)
        copy = films.read(tmp_path / "out.mp4")
        assert len(copy.numbers) == part.span.frames == result.frames
        in_step += check_sound(copy, part.span.start_s, sound)
        numbers += copy.numbers
    assert in_step >= 2 * len(parts) - 1
    last = len(ENDS[rhythm]) - 1
    assert numbers[:195] == [0] * 195
    assert sorted(set(numbers)) == list(range(last + 1))
    assert numbers == sorted(numbers)
    assert numbers[-205:] == [last] * 205
    assert {part.span.frames for part in parts[:2]} == {180}


def test_parts_within_the_pictures_are_still_copied(tmp_path: Path) -> None:
    source, sound = film(tmp_path / "in.mp4", films.at_rate(25, 250), after_s="8", options=COPIED)
    found = inspect(source)
    whole = found.timeline.grid()
    told = []
    for first, end in ((0, 100), (100, 250), (250, 350), (350, whole.total)):
        span = found.timeline.span(whole, first, end - first)
        result = render(source, tmp_path / "out.mp4", span=span)
        told.append((result.picture, result.encoded_because))
        assert len(films.read(tmp_path / "out.mp4").numbers) == end - first
    assert told == [("copied", None)] * 2 + [("encoded", Obstacle.HELD)] * 2
    assert whole.duration_s == pytest.approx(len(sound) / RATE, abs=0.04)


def test_everything_that_looks_at_pictures_looks_at_held_ones(tmp_path: Path) -> None:
    source, _ = film(tmp_path / "in.mp4", films.at_rate(30, 90), before_s="7", after_s="7", size=(192, 108))
    found = inspect(source)
    whole = found.timeline.grid()
    for first in (0, whole.total - 180):
        span = found.timeline.span(whole, first, 180)
        framed = choose_framing(Layout.BLUR, source, span)
        assert framed is not None
        cover = Cover(span.frames)
        result = render(source, tmp_path / "out.mp4", span=span, framed=framed, on_frame=cover.consider)
        assert result.height > result.width
        assert cover.write(tmp_path / "cover.jpg")
        assert [sample.index for sample in FrameReader(source, span).samples(1.0, 2.5)] != []
    assert SceneChanges(source, found.timeline).between(0, whole.total) == []
    assert len(list(sparse_frames(source, 10))) > 0


def test_a_missing_picture_is_still_damage_where_pictures_should_be(tmp_path: Path) -> None:
    source, _ = film(tmp_path / "in.mkv", films.at_rate(30, 240), after_s="5", options={"g": "60", "bf": "0"})
    span = inspect(source).timeline.grid()
    data = bytearray(source.read_bytes())
    middle = len(data) // 2
    data[middle : middle + len(data) // 3] = bytes(len(data) // 3)
    source.write_bytes(data)
    with pytest.raises(Refused, match="cannot be decoded"):
        list(FrameReader(source, span))


def test_hours_of_sound_after_one_picture_are_refused(tmp_path: Path) -> None:
    """Silence takes next to no bytes: a file of kilobytes would become hours of stills."""
    for pictures, sound_s in ((1, 80), (40, 480)):
        source = tmp_path / f"{pictures}.mkv"
        films.write(source, films.at_rate(30, pictures), sound=np.zeros(sound_s * RATE, np.float32))
        with pytest.raises(Refused) as refused:
            inspect(source)
        assert refused.value.code == "too_few_frames"


def test_a_minute_of_speech_over_a_single_picture_is_a_film(tmp_path: Path) -> None:
    source = films.write(tmp_path / "in.mp4", [Fraction(0)], sound=films.noise(50))
    assert inspect(source).facts.duration_s == pytest.approx(50, abs=0.05)


def test_a_stray_packet_hours_later_is_no_sound_of_the_film(tmp_path: Path) -> None:
    source, _ = film(tmp_path / "talk.mp4", films.at_rate(30, PICTURES))
    stray = tmp_path / "stray.mkv"
    with av.open(str(source)) as reader, av.open(str(stray), "w") as writer:
        targets = {
            stream: writer.add_stream_from_template(stream) for stream in (*reader.streams.video, *reader.streams.audio)
        }
        taken = [packet for packet in reader.demux() if packet.pts is not None and packet.dts is not None]
        last = [packet for packet in taken if packet.stream.type == "audio"][-1]
        last.pts = last.dts = round(2 * 3600 / last.time_base)
        for packet in sorted(taken, key=lambda packet: (packet.dts or 0) * packet.time_base):
            packet.stream = targets[packet.stream]
            writer.mux(packet)
    with av.open(str(stray)) as container:
        assert max(packet.pts or 0 for packet in container.demux(audio=0)) >= 2 * 3600 * 1000
    found = inspect(stray)
    assert found.facts.duration_s == pytest.approx(4, abs=0.05)
    assert warned(found) == set()


@given(
    st.lists(st.integers(1, 5000), min_size=1, max_size=60),
    st.sampled_from([Fraction(1, 1000), Fraction(1, 600), Fraction(1, 90_000)]),
    st.integers(-(10**9), 10**9),
    st.fractions(0, 100, max_denominator=48_000),
    st.fractions(0, 100, max_denominator=48_000),
)
@example(steps=[1370], unit=Fraction(1, 1000), start=0, before_s=Fraction(0), after_s=Fraction(0))
def test_the_grid_covers_the_sound_and_keeps_each_picture_on_its_tick(
    steps: list[int], unit: Fraction, start: int, before_s: Fraction, after_s: Fraction
) -> None:
    times = np.cumsum([start, *steps]).tolist()
    plain = timeline.of_packets(times, times[:1], unit, 0)
    alone = plain.grid()
    sound = (plain.first_picture_s - before_s, plain.last_picture_end_s + after_s)
    heard = replace(plain, sound_s=sound)
    whole = heard.grid()
    if max(before_s, after_s) <= timeline.SOUND_TOLERANCE_S:
        # The ends of picture and sound are each rounded to a tick. A constant rate fits the times of the source to half
        # of its own frame, so the grid of the pictures may end so much before the last picture's own end.
        rounding = whole.rate / plain.rate / 2 if plain.constant else Fraction(0)
        assert whole.total <= alone.total + round(timeline.SOUND_TOLERANCE_S * whole.rate + rounding) + 2
    assert whole.origin_s + whole.total / whole.rate >= sound[1] - timeline.SOUND_TOLERANCE_S
    assert whole.origin_s <= sound[0] + timeline.SOUND_TOLERANCE_S
    before = timeline.ticks(plain.times, alone.origin_s, unit, alone.rate)
    after = timeline.ticks(plain.times, whole.origin_s, unit, whole.rate)
    assert (after - before).tolist() == [whole.picture_first] * len(times)
    assert [whole.tick_of(int(time) * unit) for time in times] == after.tolist()
    late = heard.span(whole, whole.total - 1, 1)
    assert late.holds_pictures == heard.picture_ends_early
