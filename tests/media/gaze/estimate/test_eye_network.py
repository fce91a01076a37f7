"""The network of both eyes' gaze, on rendered eyes that it was not trained on and on the sample's portrait."""

import numpy as np
import pytest

from media.gaze.corrector import PITCH_GAIN
from media.gaze.estimate import eye_network, eye_patch
from media.gaze.estimate.geometry import Eye
from media.gaze.estimate.measure import GazeEstimate, estimate
from media.gaze.face import model
from media.gaze.face.landmarks import Landmarker
from scripts.benchmarks.gaze import rendered_film
from scripts.benchmarks.gaze.rendered_film import Pose
from scripts.training.rendered_eyes import Batch, render
from tests.media.gaze.estimate.test_ring_light import painted_eyes

PITCHES = (-20.0, -10.0, 0.0, 10.0)


@pytest.fixture(scope="module")
def rendered() -> Batch:
    """Eyes of a seed that is not the training's."""
    return render(np.random.default_rng(99), 1500)


def test_both_directions_of_eyes_never_seen_are_read(rendered: Batch) -> None:
    """A guess without looking is 8.5 degrees wrong in pitch and 11 in yaw."""
    found = eye_network.GAZE_SCALE_DEG * eye_network.run(rendered.patches, rendered.head_deg)[:, :2]
    yaw, pitch = np.abs(found - rendered.gaze_deg).mean(axis=0)
    assert yaw < 5.0
    assert pitch < 5.8


def test_the_certainty_tells_good_answers_from_bad_ones(rendered: Batch) -> None:
    answers = eye_network.run(rendered.patches, rendered.head_deg)
    error = np.abs(eye_network.GAZE_SCALE_DEG * answers[:, 1] - rendered.gaze_deg[:, 1])
    certain = answers[:, 3] < np.median(answers[:, 3])
    assert error[certain].mean() < 0.95 * error[~certain].mean()


def test_exposure_and_contrast_do_not_matter(rendered: Batch) -> None:
    darker = np.asarray(np.rint(20 + 0.5 * rendered.patches), np.uint8)
    change = (
        eye_network.run(darker, rendered.head_deg)[:, 1] - eye_network.run(rendered.patches, rendered.head_deg)[:, 1]
    )
    assert float(np.median(np.abs(change))) * eye_network.GAZE_SCALE_DEG < 1.0


@pytest.fixture(scope="module")
def estimates() -> list[GazeEstimate]:
    """The portrait, drawn with each of PITCHES; a face needs a frame or two to settle."""
    poses = [Pose((0.0, pitch)) for pitch in PITCHES for _ in range(3)]
    head, found = model.average_head(model.locate()), []
    with Landmarker() as finder:
        for frame in rendered_film.frames(poses):
            (face,) = finder.find(frame)
            found.append(estimate(face, head, frame.y))
    return [one for one in found[2::3] if one is not None]


def test_four_fifths_of_a_rendered_degree_are_measured(estimates: list[GazeEstimate]) -> None:
    slope = np.polyfit(PITCHES, [one.gaze_deg[1] for one in estimates], 1)[0]
    assert 0.7 < slope < 1.05


def test_a_measured_degree_is_drawn_as_the_whole_one_that_it_stands_for(estimates: list[GazeEstimate]) -> None:
    slope = np.polyfit(PITCHES, [one.gaze_deg[1] for one in estimates], 1)[0]
    assert pytest.approx(1.0, abs=0.15) == slope * PITCH_GAIN


def test_the_rendered_speaker_is_measured_close_to_the_lens(estimates: list[GazeEstimate]) -> None:
    assert abs(estimates[PITCHES.index(0.0)].gaze_deg[1]) < 12.0


def _mirrored(eye: Eye, width: int) -> Eye:
    lids = [np.array([(width - x, y) for x, y in lid[::-1]]) for lid in (eye.upper, eye.lower)]
    return Eye(lids[0], lids[1], np.array([width - eye.iris[0], eye.iris[1]]), eye.iris_radius)


@pytest.mark.parametrize("radius", [3.0, 12.0, 40.0])
def test_a_mirrored_face_is_read_alike(radius: float) -> None:
    luma, eyes = painted_eyes(radius, (8.0, -10.0), light="lamp", noise=0.0)
    width = luma.shape[1]
    turned = (_mirrored(eyes[1], width), _mirrored(eyes[0], width))
    yaw, pitch = eye_network.gaze_deg(luma, eyes, (5.0, 3.0))
    there = eye_network.gaze_deg(np.ascontiguousarray(luma[:, ::-1]), turned, (-5.0, 3.0))
    assert pytest.approx((-yaw, pitch), abs=0.3) == there


def test_an_eye_is_cut_out_level_and_at_one_size() -> None:
    """A bright dot midway between the corners is in the middle of the patch, however the head is rolled."""
    for scale, roll in ((0.5, 0.0), (1.0, 0.4), (4.0, -0.3)):
        luma = np.full((400, 400), 60, np.uint8)
        middle, along = np.array([200.0, 200.0]), scale * eye_patch.EYE_PX / 2 * np.array([np.cos(roll), np.sin(roll)])
        dot = max(1, round(2 * scale))
        luma[200 - dot : 200 + dot, 200 - dot : 200 + dot] = 200
        lids = np.linspace(middle - along, middle + along, 9)
        patch = eye_patch.cut(luma, Eye(lids, lids, middle, 5.0), mirrored=False).astype(np.float64)
        weights = patch - patch.min()
        rows, columns = np.indices(patch.shape) + 0.5
        found = (weights * columns).sum() / weights.sum(), (weights * rows).sum() / weights.sum()
        assert pytest.approx((eye_patch.SIZE[1] / 2, eye_patch.SIZE[0] / 2), abs=0.35) == found


def test_eyes_at_the_edge_of_the_frame_are_no_error() -> None:
    luma, eyes = painted_eyes(40.0)
    assert np.isfinite(eye_network.gaze_deg(luma[:80, :80], eyes, (0.0, 0.0))).all()
    assert np.isfinite(eye_network.gaze_deg(np.full((4, 4), 90, np.uint8), eyes, (0.0, 0.0))).all()
