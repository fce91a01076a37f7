"""A store on a file of its own, with the broker's write lock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from broker import WriteLock
from store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    path = tmp_path / "store.sqlite3"
    made = Store(path, write_lock=WriteLock(path), joining=lambda _: nullcontext())
    made.migrate()
    yield made
    made.close()
