"""Two attempts at a part write files of their own; the part's row names those of the winner."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from actors import wiring
from actors.flow import media_child, retention
from actors.gaze import gaze
from files import keys
from store import Store, segments
from store.segments import Segment
from tests.actors.test_rendering import RENDERED, Result
from tests.actors.test_retrying import pending

Child = Callable[[], None]


@pytest.fixture
def children(store: Store, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return what sets the next children; each writes its number to its outputs after what is given has run."""
    pending(store)

    def set_children(*befores: Child) -> None:
        queue = iter(enumerate(befores))

        def run(*_: object, outputs: Sequence[Path], **__: object) -> Result:
            number, before = next(queue)
            before()
            for path in outputs:
                path.write_bytes(f"child {number}".encode())
            return RENDERED

        monkeypatch.setattr(media_child, "run", run)

    return set_children


def _nothing() -> None: ...


def _part(store: Store) -> Segment:
    with store.reading() as connection:
        found = segments.get(connection, "job-1")
    assert found is not None
    return found


def _files() -> dict[str, bytes]:
    folder = wiring.machine.settings.jobs_dir / "job"
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_an_attempt_that_was_overtaken_leaves_the_files_of_the_winner(
    store: Store, children: Callable[..., None]
) -> None:
    """The first worker was cut off, its message was given to another, and it ends after that one."""
    children(lambda: gaze.fn("job-1"), _nothing)
    gaze.fn("job-1")
    with wiring.machine.files.borrow(_part(store).file_path) as video:
        assert video.read_bytes() == b"child 1"
    assert set(_files().values()) == {b"child 1"}
    assert {keys.stem(name) for name in _files()} == {"part-001"}


def test_the_files_of_a_killed_attempt_go_when_the_part_is_ready(store: Store, children: Callable[..., None]) -> None:
    """Its worker was killed after the files had their names, and before the commit."""
    children(_nothing)
    left = keys.of_attempt(_part(store).file_path, "killed")
    with wiring.machine.files.outputs([left]) as (path,):
        path.write_bytes(b"killed")
    with store.writing(scope="everything") as connection:
        assert segments.claim(connection, "job-1", "killed", wiring.machine.now())
    gaze.fn("job-1")
    assert b"killed" not in _files().values()
    assert b"child 0" in _files().values()


def test_the_clean_up_deletes_files_of_attempts_that_lost(store: Store, children: Callable[..., None]) -> None:
    children(_nothing)
    gaze.fn("job-1")
    lost = keys.of_attempt(_part(store).file_path, "lost")
    with wiring.machine.files.outputs([lost]) as (path,):
        path.write_bytes(b"lost")
    retention.clean_up(wiring.machine)
    assert set(_files().values()) == {b"child 0"}


def test_the_clean_up_leaves_the_files_of_a_part_that_is_not_ready(store: Store, children: Callable[..., None]) -> None:
    """An attempt names its files before it commits; and a restored database may be older than they are."""
    del children
    with wiring.machine.files.outputs([keys.of_attempt(_part(store).file_path, "new")]) as (path,):
        path.write_bytes(b"new")
    retention.clean_up(wiring.machine)
    assert set(_files().values()) == {b"new"}
