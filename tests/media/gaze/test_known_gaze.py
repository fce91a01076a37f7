"""From the measure to the picture: of a gaze that is known, little is left after correction.

The film is rendered, the ruler is the iris' rim in the picture; see `scripts.benchmarks.gaze.ground_truth`.
"""

import numpy as np
import pytest

from scripts.benchmarks.gaze import ground_truth, rendered_film
from scripts.benchmarks.gaze.rendered_film import Pose

HELD, EDGE = 12, 5
NAMES = ("right", "right up", "up", "left up", "left", "left down", "down", "right down")
LEFT_AT_MOST_DEG = 4.0
# At 5 degrees this speaker's eyes are taken for eyes that rest in the lens.
LEFT_ALONE = {(name, 5) for name in NAMES}
# Where engine and lids show too little of the rendered gaze: what was left there on 2026-11-30, and some room. Upwards
# this speaker's zero is found a part of the way only: it is measured 6 degrees low, and drawn towards the anatomy.
KNOWN_WORSE_DEG = {
    ("right up", 20): 5.0,
    ("left up", 20): 5.5,
    ("up", 10): 5.0,
    ("up", 15): 7.0,
    ("up", 20): 11.0,
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> ground_truth.GroundTruth:
    """A speaker who looks into the lens again and again, and in between everywhere around it."""
    held = [Pose((0.0, 0.0))] * 3
    for x, y in rendered_film.DIRECTIONS:
        held += [*(Pose((step * x, step * y)) for step in rendered_film.DEGREES), Pose((0.0, 0.0))]
    poses = [Pose(pose.gaze_deg, settled=EDGE <= at < HELD - EDGE) for pose in held for at in range(HELD)]
    return ground_truth.find({}, tmp_path_factory.mktemp("known"), poses=poses)


@pytest.mark.slow
def test_the_lens_is_found_among_all_those_looks(found: ground_truth.GroundTruth) -> None:
    assert found.zero is not None
    assert found.zero.source == "seen"


@pytest.mark.slow
def test_of_a_known_gaze_at_most_four_degrees_are_left(found: ground_truth.GroundTruth) -> None:
    """At 10, 15 and 20 degrees in eight directions, with gain 1; but for the places named above."""
    left = {}
    for name, (x, y) in zip(NAMES, rendered_film.DIRECTIONS, strict=True):
        for step in rendered_film.DEGREES:
            here = np.hypot(*(found.true_deg - (step * x, step * y)).T) < 0.1
            left[name, round(step)] = float(np.median(np.hypot(*found.left_deg[here].T)))
    too_much = {
        at: deg for at, deg in left.items() if at not in LEFT_ALONE and deg > KNOWN_WORSE_DEG.get(at, LEFT_AT_MOST_DEG)
    }
    assert too_much == {}


@pytest.mark.slow
def test_of_the_smallest_glances_nothing_is_made_worse(found: ground_truth.GroundTruth) -> None:
    near = np.hypot(*found.true_deg.T) < 6
    assert float(np.hypot(*found.left_deg[near].T).max()) < 6.5


@pytest.mark.slow
def test_eyes_in_the_lens_are_left_there(found: ground_truth.GroundTruth) -> None:
    here = np.hypot(*found.true_deg.T) < 0.1
    assert float(np.median(np.hypot(*found.left_deg[here].T))) < 1.0
