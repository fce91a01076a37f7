"""A source that lacks blocks reads like the whole file, or not at all: never as zeros."""

from __future__ import annotations

import os
import random
import threading
from pathlib import Path
from typing import Any

import pytest

from media.errors import ChildFailed, Refused, Stopped
from media.process import runner, source_file
from media.process.source_file import SourceLost, open_source
from tests.support.partial_sources import LocalSource, attached

SIZE = 10 * 4096 + 77
SEED = 20261130


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    path = tmp_path / "whole"
    path.write_bytes(random.Random(SEED).randbytes(SIZE))
    return path


def test_any_order_of_reads_gives_the_bytes_of_the_file(whole: Path, tmp_path: Path) -> None:
    chance, content = random.Random(SEED), whole.read_bytes()
    source = LocalSource(whole, tmp_path / "copy")
    with attached(source) as name, open_source(name) as one, open_source(name) as two:
        for _ in range(300):
            file, first, length = chance.choice([one, two]), chance.randrange(SIZE + 100), chance.randrange(9000)
            assert file.seek(first) == first
            assert file.read(length) == content[first : first + length]
        assert one.seek(-5, os.SEEK_END) == SIZE - 5
        assert one.read() == content[-5:]
        assert source_file.size_bytes(name) == SIZE
    assert sorted(source.fetched) == list(range(11)), "each block once"


def test_only_the_blocks_that_are_read_are_fetched(whole: Path, tmp_path: Path) -> None:
    source = LocalSource(whole, tmp_path / "copy", block_bytes=1 << 15)
    with attached(source) as name, open_source(name) as file:
        file.seek(SIZE - 10)
        assert file.read(3) == whole.read_bytes()[SIZE - 10 : SIZE - 7]
    assert source.fetched == [1]


@pytest.mark.parametrize(("first", "length", "blocks"), [(0, 4096, [0]), (4090, 6, [0]), (4090, 7, [0, 1])])
def test_a_read_up_to_the_end_of_a_block_fetches_no_other(
    whole: Path, tmp_path: Path, first: int, length: int, blocks: list[int]
) -> None:
    source = LocalSource(whole, tmp_path / "copy")
    with attached(source) as name, open_source(name) as file:
        file.seek(first)
        assert len(file.read(length)) == length
    assert source.fetched == blocks


def test_threads_that_read_at_once_fetch_each_block_once(whole: Path, tmp_path: Path) -> None:
    content, found = whole.read_bytes(), []
    source = LocalSource(whole, tmp_path / "copy")

    def read(name: Path) -> None:
        with open_source(name) as file:
            found.append(file.read())

    with attached(source) as name:
        threads = [threading.Thread(target=read, args=(name,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [content] * 4
    assert sorted(source.fetched) == list(range(11))


def test_the_name_of_a_source_is_no_file(whole: Path, tmp_path: Path) -> None:
    """A module that does not know of missing blocks would read zeros, and finds nothing instead."""
    with attached(LocalSource(whole, tmp_path / "copy")) as name, pytest.raises(FileNotFoundError):
        name.open("rb")


def test_a_block_without_its_mark_is_not_read(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even if the parent says that it is there."""
    source = LocalSource(whole, tmp_path / "copy")
    monkeypatch.setattr(LocalSource, "fetch", lambda *_: None)
    with attached(source) as name, open_source(name) as file, pytest.raises(SourceLost):
        file.read(10)


def test_another_file_is_opened_as_it_is(whole: Path, tmp_path: Path) -> None:
    with attached(LocalSource(whole, tmp_path / "copy")), open_source(whole) as file:
        assert file.read() == whole.read_bytes()


class _Lost(OSError):
    """The storage does not answer."""


@pytest.fixture
def talk_source(talk: Path, tmp_path: Path) -> LocalSource:
    return LocalSource(talk, tmp_path / "copy")


def _run(source: LocalSource, target: Path, **options: Any) -> dict[str, Any]:  # Any: of `runner.run`; JSON
    arguments = [str(source.name), str(target), "--intensity", "0", "--zero=null"]
    return runner.run("gaze", arguments, deadline_s=120, outputs=[target], source=source, **options)


def test_a_child_in_its_sandbox_renders_what_it_renders_of_the_whole_file(
    talk: Path, talk_source: LocalSource, tmp_path: Path
) -> None:
    target, other = tmp_path / "out.mp4", tmp_path / "other.mp4"
    _run(talk_source, target)
    runner.run("gaze", [str(talk), str(other), "--intensity", "0", "--zero=null"], deadline_s=120, outputs=[other])
    assert target.read_bytes() == other.read_bytes()
    assert talk_source.fetched


@pytest.mark.parametrize("asked", [0, 3, -1], ids=["first", "fourth", "last"])
def test_an_error_of_any_fetch_ends_the_child_and_is_the_result(
    talk_source: LocalSource, tmp_path: Path, asked: int
) -> None:
    count = iter(range(10**6))
    last = talk_source.whole.stat().st_size // talk_source.block_bytes

    def fail(block: int) -> None:
        if (asked >= 0 and next(count) == asked) or (asked < 0 and block == last):
            raise _Lost

    talk_source.before = fail
    with pytest.raises(_Lost):
        _run(talk_source, tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()


def test_a_child_that_waits_for_a_block_can_be_stopped(talk_source: LocalSource, tmp_path: Path) -> None:
    asked, released = threading.Event(), threading.Event()

    def wait(block: int) -> None:
        del block
        asked.set()
        released.wait(60)

    talk_source.before = wait
    try:
        with pytest.raises(Stopped):
            _run(talk_source, tmp_path / "out.mp4", stop=asked.is_set)
    finally:
        released.set()


def test_a_source_that_is_no_video_is_refused_after_one_block(whole: Path, tmp_path: Path) -> None:
    source = LocalSource(whole, tmp_path / "copy")
    with pytest.raises(Refused):
        _run(source, tmp_path / "out.mp4")
    assert source.fetched == [0]


HOSTILE = """
import argparse, os, struct, sys, json
described = json.loads(os.environ["MEDIA_SOURCE"])
os.write(described["channel"], struct.pack("<Q", 10**12))
os.read(described["channel"], 1)
print(json.dumps({"result": {}}))
"""


def test_a_block_that_the_source_does_not_have_is_a_failure_of_the_child(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "project"
    (root / "media").mkdir(parents=True)
    (root / "media" / "trial.py").write_text(HOSTILE)
    monkeypatch.setattr(runner, "ROOT", root)
    source = LocalSource(whole, tmp_path / "copy")
    with pytest.raises(ChildFailed, match="block 1000000000000"):
        runner.run("trial", [str(source.name)], deadline_s=60, source=source)
    assert source.fetched == []
