"""Storages for the tests: a local directory, and a bucket of SeaweedFS."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from files.local import LocalFiles
from files.s3 import S3Files, S3Options, open_store
from files.scratch import Scratch
from files.storage import Storage
from tests.support.object_store import ObjectStore

SCRATCH_BYTES = 200 * 2**20
_prefixes = itertools.count()


@pytest.fixture
def prefix() -> str:
    """Return a prefix in the bucket that no other test uses."""
    return f"test/{next(_prefixes)}"


def machine_files(options: S3Options, directory: Path, scratch_bytes: int = SCRATCH_BYTES) -> S3Files:
    """Return the files of a machine: its own scratch and receiving directories, and the common bucket."""
    return S3Files(open_store(options), Scratch(directory / "scratch", scratch_bytes), LocalFiles(directory / "data"))


@pytest.fixture
def remote(server: ObjectStore, prefix: str, tmp_path: Path) -> S3Files:
    return machine_files(server.options(prefix), tmp_path)


@pytest.fixture(params=["local", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    makers: dict[str, Callable[[], Storage]] = {
        "local": lambda: LocalFiles(tmp_path / "data"),
        "s3": lambda: request.getfixturevalue("remote"),
    }
    return makers[request.param]()
