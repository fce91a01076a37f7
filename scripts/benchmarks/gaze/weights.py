"""Trained weights out of installed packages: located and read as plain numbers, never imported, nothing executed.

PyTorch's two file formats are understood as far as state dictionaries of tensors need it.
"""

import pickle
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

Weights = dict[str, NDArray[np.float32]]
_TYPES: dict[str, "np.dtype[Any]"] = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


class JudgeMissing(Exception):
    """A judge's package is not installed; the bench says so and goes on without it."""


def carried(package: str, name: str) -> Path:
    """Find a file that a package carries.

    Raises:
        JudgeMissing: the package is not installed, or without that file.
    """
    try:
        listed = files(package) or []
    except PackageNotFoundError as exc:
        raise JudgeMissing(f"the package {package} is not installed") from exc
    for file in listed:
        path = Path(str(file.locate()))
        if file.name == name and path.is_file():
            return path
    raise JudgeMissing(f"the package {package} carries no {name}")


def read(path: Path) -> Weights:
    """Read a state dictionary; names are the layers' own, without the leading "model".

    Raises:
        JudgeMissing: the file is none of PyTorch's.
    """
    try:
        with path.open("rb") as file:
            state = _zipped(file) if zipfile.is_zipfile(file) else _legacy(file)
    except (pickle.UnpicklingError, KeyError, ValueError, EOFError) as exc:
        raise JudgeMissing(f"{path.name} holds no weights that can be read") from exc
    tensors = state.get("model", state)
    return {name: np.asarray(one.numbers(), np.float32) for name, one in tensors.items() if isinstance(one, _Tensor)}


@dataclass
class _Storage:
    numbers: NDArray[Any]  # of the storage's own type


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    size: tuple[int, ...]

    def numbers(self) -> NDArray[Any]:
        count = int(np.prod(self.size)) if self.size else 1
        return self.storage.numbers[self.offset : self.offset + count].reshape(self.size)


def _tensor(storage: _Storage, offset: int, size: tuple[int, ...], *_: object) -> _Tensor:
    return _Tensor(storage, offset, size)


class _Reader(pickle.Unpickler):
    """Builds tensors and dictionaries; anything else that a file asks for is refused."""

    def __init__(self, file: BinaryIO, storages: dict[str, _Storage], archive: zipfile.ZipFile | None) -> None:
        super().__init__(file)
        self._storages, self._archive = storages, archive

    def find_class(self, module: str, name: str) -> Any:  # Any: as in the base class
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in _TYPES:
            return name
        raise pickle.UnpicklingError(f"weights do not need {module}.{name}")

    def persistent_load(self, pid: Any) -> _Storage:  # Any: as in the base class
        _, kind, key, *_ = pid
        if key not in self._storages:
            self._storages[key] = _Storage(np.zeros(0, _TYPES[kind]))
            if self._archive is not None:
                content = self._archive.read(f"archive/data/{key}")
                self._storages[key].numbers = np.frombuffer(content, _TYPES[kind])
        return self._storages[key]


def _zipped(file: BinaryIO) -> dict[str, Any]:  # Any: whatever was saved
    with zipfile.ZipFile(file) as archive:
        found: dict[str, Any] = _Reader(BytesIO(archive.read("archive/data.pkl")), {}, archive).load()
        return found


def _legacy(file: BinaryIO) -> dict[str, Any]:  # Any: whatever was saved
    """Read the older format: three headers, the dictionary, the storages' keys, then each storage's count and bytes."""
    file.seek(0)
    for _ in range(3):
        _Reader(file, {}, None).load()
    storages: dict[str, _Storage] = {}
    state: dict[str, Any] = _Reader(file, storages, None).load()
    for key in _Reader(file, {}, None).load():
        count = int.from_bytes(file.read(8), "little")
        kind = storages[key].numbers.dtype
        storages[key].numbers = np.frombuffer(file.read(count * kind.itemsize), kind)
    return state
