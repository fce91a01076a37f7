"""Checks sample files of each kind that devices and programs write; they lie beside a developer's checkout.

The samples show the number of each frame in twelve bits and colour patches; their sound is a chirp with silences.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from media.cutting import pauses
from media.reading.facts import Facts, MediaWarning
from media.reading.frame_reader import FrameReader
from media.reading.inspection import inspect
from media.reading.soundtrack import Soundtrack
from media.stages.plan import partition
from media.writing.render import Rendered, render
from tests.media import films

BITS = 12
BIT_SIDE, FIRST_BIT_X, BITS_Y = 25, 25, 320  # pixels in a picture of 360 x 640
NEAR_PX = 3  # averaged around the middle of a bit
SILENCES_S = ((4.0, 4.6), (9.2, 9.8))
RATE = 30
WHOLE = range(420)


@dataclass(frozen=True)
class Film:
    """One sample after it was split at 6 s and rendered."""

    facts: Facts
    shape: tuple[int, int] | None  # of the parts, as planned
    cuts_s: list[tuple[float, str]]  # where each part but the last ends, and why
    parts: list[Rendered]
    numbers: list[int]  # of each published frame, as far as it can be read
    sound: NDArray[np.float32]  # (channels, samples) of all parts, 48 kHz

    @property
    def duration_s(self) -> float:
        """Sum the durations of the parts."""
        return sum(part.duration_s for part in self.parts)

    def is_cut_in_silence(self, silences_s: Sequence[tuple[float, float]] = SILENCES_S) -> bool:
        """Return whether there are cuts, all at pauses, and each in one of the silences."""
        return bool(self.cuts_s) and all(
            reason == "pause" and any(b <= at <= e for b, e in silences_s) for at, reason in self.cuts_s
        )


@pytest.fixture
def sample(recorded: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Film:
    """Split one sample at 6 s without gaze correction and read the parts again."""
    path = recorded / request.param
    found = inspect(path)
    plan = partition(path, found, 6.0, exact=False, progress=lambda share: None, copies=True)
    rendered, numbers, sounds = [], [], []
    for part in plan:
        target = tmp_path / f"{part.number}.mp4"
        rendered.append(render(path, target, span=part.span))
        numbers += _published_numbers(target)
        sounds.append(_published_sound(target))
    ends = [(part.span.start_s + part.span.duration_s, part.cut_reason) for part in plan[:-1]]
    sound = np.concatenate(sounds, axis=1) if all(len(one) for one in sounds) else np.zeros((0, 0), np.float32)
    return Film(found.facts, found.timeline.shape, ends, rendered, numbers, sound)


def _published_numbers(path: Path) -> list[int]:
    with av.open(str(path)) as container:
        return [_number(np.asarray(frame.to_ndarray(format="gray"), np.uint8)) for frame in container.decode(video=0)]


def _number(luma: NDArray[np.uint8]) -> int:
    """Read the twelve bits, the lowest first."""
    scale = luma.shape[1] / 360
    y = round((BITS_Y + BIT_SIDE / 2) * luma.shape[0] / 640)
    row = luma[y - NEAR_PX : y + NEAR_PX]
    middles = [round((FIRST_BIT_X + (bit + 0.5) * BIT_SIDE) * scale) for bit in range(BITS)]
    return sum(1 << bit for bit, x in enumerate(middles) if row[:, x - NEAR_PX : x + NEAR_PX].mean() > 125)


def _published_sound(path: Path) -> NDArray[np.float32]:
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return np.zeros((0, 0), np.float32)
        return np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)


def _decoded_numbers(path: Path, parts: int) -> list[int]:
    """Return the numbers of all frames, decoded in parts of equal length."""
    times = inspect(path).timeline
    whole = times.grid()
    cuts = [whole.total * part // parts for part in range(parts + 1)]
    spans = [times.span(whole, first, end - first) for first, end in pairwise(cuts)]
    return [_number(planes.y) for span in spans for planes in FrameReader(path, span)]


def _decoded_sound(path: Path, first_s: float) -> NDArray[np.float32]:
    """Return three seconds of the first channel, from a time on the film's own clock."""
    times = inspect(path).timeline
    span = times.span(times.grid(), round(first_s * RATE), 3 * RATE)
    return np.concatenate([block[0] for block in Soundtrack(path, span)])


@pytest.mark.parametrize("sample", ["tmcd.mp4", "iphone.mov", "rec_vp8.webm"], indirect=True)
def test_pauses_are_found_whatever_else_the_container_holds(sample: Film) -> None:
    assert ["pause", "pause"] == [reason for _, reason in sample.cuts_s]
    for (at_s, _), (begin_s, end_s) in zip(sample.cuts_s, SILENCES_S, strict=True):
        assert begin_s <= at_s <= end_s


def test_a_gap_in_the_time_stamps_moves_no_pause(recorded: Path) -> None:
    source = recorded / "gap2.mp4"
    whole = inspect(source).timeline.grid()
    found = pauses.find(source, whole, lambda share: None)
    for time_s in (3.3, 5.5, 7.7, 9.0, 10.9, 12.5, 14.3, 15.9):
        assert any(pause.start_s <= time_s <= pause.end_s for pause in found), f"{time_s} is silent"
    for time_s in (2.5, 8.3, 10.0, 11.7, 13.4, 15.1, 16.6):
        assert not any(pause.start_s <= time_s <= pause.end_s for pause in found), f"{time_s} is not silent"


@pytest.mark.parametrize("sample", ["layout_FC_FC.mov", "layout_FR_FL.mov", "ambi.mkv", "mulaw.mov"], indirect=True)
def test_a_sound_of_any_layout_is_published(sample: Film) -> None:
    assert sample.facts.audio is not None
    assert sample.sound.shape[0] in {1, 2}
    assert np.all(np.sqrt(np.mean(sample.sound**2, axis=1)) > 0.01)
    assert sample.facts.warnings == ()


@pytest.mark.parametrize("sample", ["apac_only.mov"], indirect=True)
def test_a_sound_that_cannot_be_decoded_is_a_warning(sample: Film) -> None:
    assert sample.facts.audio is None
    assert MediaWarning.SOUND_UNREADABLE in sample.facts.warnings


@pytest.mark.parametrize(
    "sample", ["trailer.mp4", "crlf.mp4", "mdat_long.mp4", "elst0.mp4", "styp_first.mp4"], indirect=True
)
def test_bytes_around_the_samples_do_not_matter(sample: Film) -> None:
    assert sample.duration_s == pytest.approx(14.0, abs=0.1)
    assert sample.numbers[:420] == list(WHOLE)
    assert sample.is_cut_in_silence()


@pytest.mark.parametrize("sample", ["trim_a.mp4"], indirect=True)
def test_the_edited_view_is_the_film(sample: Film) -> None:
    assert sample.duration_s == pytest.approx(6.5, abs=0.05)
    first = sample.numbers[0]
    assert first > 0
    assert sample.numbers == list(range(first, first + len(sample.numbers)))


@pytest.mark.parametrize(
    ("name", "presented"),
    [
        ("trim_a.mp4", range(225, 420)),
        ("trailer.mp4", WHOLE),
        ("crlf.mp4", WHOLE),
        ("mdat_long.mp4", WHOLE),
        ("styp_first.mp4", WHOLE),
        ("elst0.mp4", WHOLE),
        ("offset50h.webm", range(210)),
    ],
)
def test_every_part_decodes_to_its_own_pictures(name: str, presented: range, recorded: Path) -> None:
    assert list(presented) == _decoded_numbers(recorded / name, 3)


@pytest.mark.parametrize(("name", "later_s"), [("trim_a.mp4", 7.5), ("elst0.mp4", 0), ("trailer.mp4", 0)])
@pytest.mark.parametrize("first_s", [0, 3])
def test_the_sound_is_in_step_with_the_pictures(name: str, later_s: float, first_s: float, recorded: Path) -> None:
    """It is the sound of a file without edits; the part that is trimmed away is missing."""
    found, original = _decoded_sound(recorded / name, first_s), _decoded_sound(recorded / "crlf.mp4", first_s + later_s)
    assert abs(films.lag_of(found, original)) < 100


@pytest.mark.parametrize("sample", ["offset50h.webm"], indirect=True)
def test_a_clock_that_starts_late_makes_no_long_film(sample: Film) -> None:
    assert sample.duration_s == pytest.approx(7.0, abs=0.05)


@pytest.mark.parametrize(("name", "seconds", "codec"), [("mvhevc.mov", 4.0, "hevc"), ("p3.mp4", 3.5, "hevc")])
def test_the_facts_of_spatial_and_wide_gamut_video(name: str, seconds: float, codec: str, recorded: Path) -> None:
    found = inspect(recorded / name).facts
    assert (found.duration_s, found.video_codec, found.rotation) == (seconds, codec, 0)


@pytest.mark.parametrize("sample", ["mvhevc.mov"], indirect=True)
def test_spatial_video_is_a_film(sample: Film) -> None:
    assert sample.duration_s == pytest.approx(4.0, abs=0.8)


@pytest.mark.parametrize("sample", ["along.mp4"], indirect=True)
def test_sound_after_the_last_picture_is_kept(sample: Film) -> None:
    assert sample.duration_s == pytest.approx(14.0, abs=0.05)
    assert MediaWarning.PICTURE_ENDS_EARLY in sample.facts.warnings
    assert set(sample.numbers[180:]) == {179}
    assert np.abs(sample.sound[:, -48_000:]).max() > 0.01


@pytest.mark.parametrize("sample", ["vlate.mp4"], indirect=True)
def test_sound_before_the_first_picture_is_kept(sample: Film) -> None:
    assert sample.duration_s == pytest.approx(14.0, abs=0.05)
    assert MediaWarning.PICTURE_BEGINS_LATE in sample.facts.warnings
    assert len(set(sample.numbers[:45])) == 1
    assert sample.numbers[45:] == list(range(sample.numbers[45], sample.numbers[45] + 375))
    assert np.abs(sample.sound[:, :48_000]).max() > 0.01


@pytest.mark.parametrize("sample", ["pasp.mp4"], indirect=True)
def test_the_pixel_aspect_of_the_container_counts(sample: Film) -> None:
    assert (sample.facts.width, sample.facts.height) == (640, 640)
    assert {(part.width, part.height, part.picture) for part in sample.parts} == {(640, 640, "encoded")}
    assert sample.shape == (640, 640)


@pytest.mark.parametrize("sample", ["reschange.webm"], indirect=True)
def test_a_change_of_size_leaves_one_shape(sample: Film) -> None:
    assert {(part.width, part.height, part.picture) for part in sample.parts} == {(360, 640, "encoded")}
    assert sample.shape == (360, 640)
    assert MediaWarning.SIZE_CHANGES in sample.facts.warnings


@pytest.mark.parametrize("sample", ["two_stsd.mp4"], indirect=True)
def test_two_sample_descriptions_are_encoded(sample: Film) -> None:
    assert {(part.width, part.height, part.picture) for part in sample.parts} == {(360, 640, "encoded")}
    assert sample.shape == (360, 640)
    assert sample.numbers == list(range(240))


@pytest.mark.parametrize("sample", ["interl.mp4"], indirect=True)
def test_interlaced_video_is_encoded_progressively(sample: Film) -> None:
    assert {part.picture for part in sample.parts} == {"encoded"}
    assert sample.facts.frame_rate == Fraction(25)


@pytest.mark.parametrize("sample", ["p3.mp4"], indirect=True)
def test_display_p3_is_converted(sample: Film) -> None:
    assert {part.picture for part in sample.parts} == {"encoded"}
    assert sample.numbers == list(range(105))
