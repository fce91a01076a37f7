"""A store on a file of its own, whose write lock is a plain lock."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "store.sqlite3", write_lock=threading.RLock(), joining=lambda _: nullcontext())
    made.migrate()
    yield made
    made.close()
