"""Landscape videos become vertical: the window follows the speaker smoothly, or the whole picture is shown."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from media.frames import Planes
from media.gaze.errors import EngineFailed
from media.gaze.face.faces import Face
from media.reading.inspection import inspect
from media.reading.spans import Span
from media.reframing import following, framing
from media.reframing.following import FaceSample, choose_framing, fallback_reason, window_path
from media.reframing.framing import Crop, Fallback, FramingPlan, Layout
from media.writing.render import render
from tests.media import films

WINDOW = 0.316  # of 16:9
SPAN = Span(0, 600, 600, Fraction(30), Fraction(0), None)


class Standing:
    """A finder that sees faces, each from one share of the picture's width to another."""

    def __init__(self, *edges: tuple[float, float]) -> None:
        self._edges = edges

    def find(self, frame: Planes) -> list[Face]:
        width = frame.y.shape[1]
        return [Face(np.array([(a * width, 10), (b * width, 40)], np.float32), {}) for a, b in self._edges]

    def close(self) -> None:
        raise AssertionError("the finder is its owner's")


class Failing(Standing):
    def find(self, frame: Planes) -> list[Face]:
        raise EngineFailed("for the test")


def planes(luma: NDArray[np.uint8], index: int = 0) -> Planes:
    half = np.full((luma.shape[0] // 2, luma.shape[1] // 2), 100, np.uint8)
    return Planes(luma, half, half + 50, index, 0.0)


def test_a_window_shows_what_is_around_its_middle() -> None:
    luma = np.tile(np.arange(192, dtype=np.uint8), (108, 1))
    shown = [Crop(np.array([0.5, 0.0, 1.0]))(planes(luma, index)) for index in range(3)]
    assert [(frame.y.shape, frame.u.shape) for frame in shown] == [((108, 60), (54, 30))] * 3
    assert [int(frame.y[0, 0]) for frame in shown] == [66, 0, 132]
    assert all(frame.y.flags.c_contiguous and frame.u.flags.c_contiguous for frame in shown)


def test_a_speaker_who_sits_is_filmed_by_a_camera_that_stands() -> None:
    wobble = [FaceSample(time, 0.4 + 0.015 * (-1) ** time) for time in range(20)]
    assert np.ptp(window_path(wobble, WINDOW, SPAN)) < 1e-3


def test_a_speaker_who_walks_stays_in_the_window_and_the_pan_is_soft() -> None:
    walk = [FaceSample(time, 0.25 + 0.5 * min(max(time - 5, 0), 8) / 8) for time in range(21)]
    path = window_path(walk, WINDOW, SPAN)
    faces = np.interp(np.arange(600) / 30, range(21), [sample.middle or 0 for sample in walk])
    assert np.abs(path - faces).max() < 0.3 * WINDOW
    speed = np.diff(path) * 30
    assert np.abs(speed).max() < 0.08  # the walk's own is 0.0625 of the width a second
    assert np.abs(np.diff(speed) * 30).max() < 0.15


def test_a_cut_to_another_place_is_followed_at_once() -> None:
    path = window_path([FaceSample(time, 0.25 if time < 10 else 0.75) for time in range(20)], WINDOW, SPAN)
    assert np.flatnonzero(np.abs(np.diff(path)) > 0.01).tolist() == [284]
    assert (path[0], path[-1]) == pytest.approx((0.25, 0.75))


@given(
    st.lists(st.one_of(st.none(), st.floats(0, 1)), min_size=1, max_size=40).filter(
        lambda places: any(place is not None for place in places)
    ),
    st.integers(1, 1200),
)
def test_the_window_never_leaves_the_picture(places: list[float | None], frames: int) -> None:
    samples = [FaceSample(float(time), place) for time, place in enumerate(places)]
    path = window_path(samples, WINDOW, Span(0, frames, frames, Fraction(30), Fraction(0), None))
    assert len(path) == frames
    assert path.min() >= WINDOW / 2 - 1e-9
    assert path.max() <= 1 - WINDOW / 2 + 1e-9


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        ([FaceSample(0, 0.5, 0.1)], None),
        ([FaceSample(0, 0.5, 0.1)] * 4 + [FaceSample(0, None)] * 6, None),
        ([FaceSample(0, 0.5, 0.1)] * 2 + [FaceSample(0, None)] * 8, Fallback.NO_FACE),
        ([FaceSample(0, 0.3, 0.6)] * 2 + [FaceSample(0, 0.5, 0.1)] * 8, Fallback.SEVERAL_FACES),
        ([FaceSample(0, 0.3, 0.6)] + [FaceSample(0, 0.5, 0.1)] * 8, None),
    ],
)
def test_without_a_single_speaker_the_whole_picture_is_shown(
    samples: list[FaceSample], reason: Fallback | None
) -> None:
    assert reason == fallback_reason(samples, WINDOW)


@pytest.mark.parametrize(
    ("finder", "expected"),
    [
        (Standing((0.6, 0.7)), ("crop", None)),
        (Standing((0.6, 0.7), (0.1, 0.13)), ("crop", None)),  # somebody in the background
        (Standing((0.1, 0.2), (0.7, 0.8)), ("blur", "several_faces")),
        (Standing(), ("blur", "no_face")),
        (Failing(), ("blur", "detector_failed")),
    ],
)
def test_the_reason_of_a_fallback_is_told(finder: Standing, expected: tuple[str, str | None], mute: Path) -> None:
    framed = choose_framing(Layout.CROP, mute, inspect(mute).timeline.grid(), finder)
    assert framed is not None
    assert tuple(framed.to_json().values()) == expected


def test_portrait_stays_as_it_is(tmp_path: Path) -> None:
    source = films.write(tmp_path / "in.mp4", films.at_rate(25, 80), size=(64, 96))
    for layout in Layout:
        assert choose_framing(layout, source, inspect(source).timeline.grid(), Failing()) is None


def test_looks_are_a_second_apart_and_decode_key_frames_where_there_are_enough(talk: Path, tmp_path: Path) -> None:
    rare = films.write(tmp_path / "rare.mp4", films.at_rate(30, 600), options={"preset": "ultrafast", "g": "600"})
    for source, apart_s in ((talk, 40 / 30), (rare, 1.0)):  # a key frame every 40 pictures in the first
        timeline = inspect(source).timeline
        span = timeline.span(timeline.grid(), 150, 300)
        times = [sample.time_s for sample in following.sample_faces(source, span, Standing())]
        assert times[0] <= 0
        assert np.diff(times) == pytest.approx([apart_s] * (len(times) - 1))
        assert 9 - times[-1] < 1.4


def test_a_cropped_master_is_vertical_and_shows_the_speaker(talk: Path, tmp_path: Path) -> None:
    span = inspect(talk).timeline.grid()
    framed = choose_framing(Layout.CROP, talk, span, Standing((0.0, 0.1)))
    result = render(talk, tmp_path / "out.mp4", span=span, framed=framed)
    assert (result.width, result.height, result.frames) == (60, 108, 600)
    assert result.landscape == {"layout": "crop", "reason": None}
    assert (result.picture, result.encoded_because) == ("encoded", "changed")


def test_a_blurred_background_leaves_the_whole_picture_to_be_seen() -> None:
    shown = framing.blur(planes(films.numbered(4711)))
    assert shown.y.shape == (342, 192)
    assert (shown.u.shape, shown.v.shape) == ((171, 96), (171, 96))
    top = (342 - 108) // 4 * 2
    assert films.number_of(shown.y[top : top + 108]) == 4711
    outside = np.concatenate([shown.y[: top - 2], shown.y[top + 110 :]])
    assert np.abs(np.diff(outside.astype(int), axis=1)).max() <= 12
    assert int(outside.max()) < films.BRIGHT * 0.7


def test_sizes_that_no_camera_writes_are_framed_too() -> None:
    for width, height in ((4, 2), (66, 64), (1920, 64), (640, 62)):
        luma = np.zeros((height, width), np.uint8)
        for make in (framing.blur, Crop(np.array([0.5]))):
            frame = make(planes(luma))
            assert frame.y.shape[0] % 2 == frame.y.shape[1] % 2 == 0
            assert frame.u.shape == frame.v.shape == (frame.y.shape[0] // 2, frame.y.shape[1] // 2)
            assert frame.y.shape[0] >= frame.y.shape[1] or width < 8


def test_a_real_talk_is_cropped_around_the_face(clips: Path, tmp_path: Path) -> None:
    source = clips / "01_webcam_reading_woman.mp4"
    span = inspect(source).timeline.grid()
    framed = choose_framing(Layout.CROP, source, span)
    assert isinstance(framed, FramingPlan)
    assert isinstance(framed.apply, Crop)
    assert np.all((framed.apply.middles > 0.35) & (framed.apply.middles < 0.55))
