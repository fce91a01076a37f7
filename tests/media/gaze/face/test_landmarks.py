"""MediaPipe's networks run directly: they see what MediaPipe's own engine sees, and follow faces."""

import numpy as np
import pytest

from media.frames import Planes
from media.gaze.errors import EngineFailed
from media.gaze.estimate.measure import estimate
from media.gaze.face.detector import ANCHORS, detect
from media.gaze.face.faces import SHAPES, Mode
from media.gaze.face.landmarks import Landmarker
from media.gaze.face.mediapipe_graph import MediaPipeLandmarker
from media.gaze.face.model import Head, locate
from media.gaze.face.networks import Networks
from media.gaze.face.region import Region
from media.sample.portrait import Portrait
from tests.media.gaze.synthetic import noise, portrait_frame, to_frame_px, two_portraits

EYE_POINTS = [33, 133, 159, 145, 468, 362, 263, 386, 374, 473]


def test_a_region_brings_its_points_back_to_the_picture() -> None:
    """The middle stays the middle; a quarter turn clockwise sends the square's right side down."""
    region = Region((200.0, 100.0), 64.0, np.pi / 2)
    points = np.array([[128.0, 128.0], [256.0, 128.0]], np.float32)
    assert pytest.approx(np.array([[200.0, 100.0], [200.0, 132.0]]), abs=1e-4) == region.to_frame(points, 256)


def test_a_region_shows_what_lies_there_in_true_colours() -> None:
    """A square as large as it is drawn, unturned, is the picture itself; video white is 1, black 0, red is red."""
    frame = noise(0)
    frame.y[:], frame.u[:], frame.v[:] = 235, 128, 128
    frame.y[:, :40] = 16
    frame.y[:, 60:], frame.u[:, 30:], frame.v[:, 30:] = 63, 102, 240  # BT.709 red
    seen = Region((48.0, 32.0), 64.0, 0.0).crop(frame, 64)
    assert pytest.approx(np.zeros(3), abs=0.01) == seen[32, 10]
    assert pytest.approx(np.ones(3), abs=0.01) == seen[32, 36]
    assert pytest.approx(np.array([1.0, 0.0, 0.0]), abs=0.02) == seen[32, 60]


def test_there_are_as_many_anchors_as_boxes() -> None:
    assert (896, 2) == ANCHORS.shape
    assert pytest.approx(np.array([4.0, 4.0])) == ANCHORS[0]
    assert pytest.approx(np.array([120.0, 120.0])) == ANCHORS[-1]


def test_the_detector_frames_the_portrait(portrait: Portrait) -> None:
    frame = portrait_frame(portrait, (0.0, 0.0))
    (region,) = detect(Networks(locate()), frame, 2)
    nose = to_frame_px(225.0, 125.0)  # seen on the portrait
    assert pytest.approx(nose, abs=40) == region.centre
    assert 400 < region.side < 900


def test_nothing_is_found_in_noise() -> None:
    with Landmarker() as finder:
        assert finder.find(noise(0, 360, 640)) == []


@pytest.mark.parametrize("gaze", [(0.0, 0.0), (12.0, -3.0), (-9.0, -10.0)])
def test_the_same_is_seen_as_by_mediapipes_own_engine(
    portrait: Portrait, head: Head, gaze: tuple[float, float]
) -> None:
    """Points to a fortieth of an eye's width, gaze to 2°; what is left is MediaPipe's smoothing and rounding."""
    frames = [portrait_frame(portrait, gaze, index=index) for index in range(6)]
    with Landmarker() as direct, MediaPipeLandmarker() as reference:
        ours, theirs = ([engine.find(frame)[0] for frame in frames][-1] for engine in (direct, reference))
    width = float(np.linalg.norm(theirs.points[33] - theirs.points[133]))
    apart = np.linalg.norm(ours.points[EYE_POINTS] - theirs.points[EYE_POINTS], axis=1) / width
    assert float(apart.max()) < 0.025
    assert max(abs(ours.blendshapes[name] - theirs.blendshapes[name]) for name in SHAPES) < 0.08
    looks = [estimate(face, head, frames[-1].y) for face in (ours, theirs)]
    assert looks[0] is not None
    assert looks[1] is not None
    assert pytest.approx(looks[1].gaze_deg, abs=2.0) == looks[0].gaze_deg


def test_a_face_keeps_its_number_while_it_moves(portrait: Portrait) -> None:
    whole = portrait_frame(portrait, (0.0, 0.0))
    with Landmarker() as finder:
        for step in range(8):
            right = 2 * (10 * step // 2)
            cut = Planes(whole.y[:, right:], whole.u[:, right // 2 :], whole.v[:, right // 2 :], step, step / 30)
            (face,) = finder.find(cut)
            assert face.track == 0


def test_several_faces_are_followed_if_wanted(portrait: Portrait) -> None:
    frame = two_portraits(portrait, (0.0, 0.0), (10.0, 0.0))
    with Landmarker(faces=2) as two, Landmarker() as one:
        assert len(two.find(frame)) == 2
        assert {0, 1} == {face.track for face in two.find(frame)}
        assert len(one.find(frame)) == 1


def test_mediapipes_own_engine_tells_speakers_apart_likewise(portrait: Portrait) -> None:
    """The larger one first, each with the same number from frame to frame, somebody smaller left out."""
    with MediaPipeLandmarker(faces=2) as reference:
        for index in range(3):
            found = reference.find(two_portraits(portrait, (0.0, 0.0), (10.0, 0.0), scale=0.7, index=index))
            assert [0, 1] == [face.track for face in found]
            sizes = [float(np.ptp(face.points[:, 0])) for face in found]
            assert sizes == sorted(sizes, reverse=True)


def test_a_closed_landmarker_has_given_its_networks_back() -> None:
    finder = Landmarker()
    finder.close()
    finder.close()
    assert finder._networks is None


def test_sparse_pictures_are_searched_anew(portrait: Portrait) -> None:
    with Landmarker(mode=Mode.SPARSE) as finder:
        first, second = (
            finder.find(portrait_frame(portrait, (0.0, 0.0))),
            finder.find(portrait_frame(portrait, (0.0, 0.0))),
        )
    assert [0] == [face.track for face in first]
    assert np.array_equal(first[0].points, second[0].points)


def test_a_file_without_the_networks_is_an_engine_that_failed(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("model") / "own.task"
    path.write_bytes(b"not a model")
    with pytest.raises(EngineFailed):
        Networks(path)
