"""Locates data files that other packages contain; the packages are never imported."""

import hashlib
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path


class PackagedFileMissing(Exception):
    """The package is not installed, or it does not contain the file."""


def locate(package: str, file_name: str) -> Path:
    """Return the path of a file in an installed package.

    Raises:
        PackagedFileMissing: the package is not installed, or it does not contain the file.
    """
    try:
        listed = files(package) or []
    except PackageNotFoundError as exc:
        raise PackagedFileMissing(f"the package {package}, which contains {file_name}, is not installed") from exc
    for file in listed:
        path = Path(str(file.locate()))
        if file.name == file_name and path.is_file():
            return path
    raise PackagedFileMissing(f"the package {package} is installed without {file_name}")


def has_sha256(path: Path, digest: str) -> bool:
    """Return whether a file has a SHA-256, given as hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest() == digest
