"""A part that is rendered from a source that lacks blocks has the same bytes as one that is rendered from all of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from media.errors import Refused
from media.reading.inspection import inspect
from media.reading.spans import Span
from media.stages.plan import partition
from media.writing.render import render
from tests.media import films
from tests.media.container import container_cases
from tests.media.stages.test_partition import CONTAINERS
from tests.media.stages.test_partition import talk as talk  # noqa: PLC0414 (a fixture)
from tests.support.partial_sources import LocalSource, attached

SEED, MAX_PART_S = 4711, 3.0


def _spans(source: Path) -> list[Span]:
    found = inspect(source)
    return [part.span for part in partition(source, found, MAX_PART_S, exact=True, progress=lambda share: None)]


def _blocks_of(source: Path, span: Span, folder: Path) -> LocalSource:
    """Render a span from the whole file and from blocks, compare, and return the blocks."""
    whole, parted = folder / f"whole-{span.first}.mp4", folder / f"parted-{span.first}.mp4"
    blocks = LocalSource(source, folder / f"blocks-{span.first}")
    render(source, whole, span=span)
    with attached(blocks) as name:
        render(name, parted, span=span)
    assert parted.read_bytes() == whole.read_bytes()
    return blocks


@pytest.mark.parametrize(("name", "arguments", "shift_s"), CONTAINERS, ids=[name for name, *_ in CONTAINERS])
def test_each_container_gives_the_same_part(
    talk: Path, tmp_path: Path, name: str, arguments: list[str], shift_s: float
) -> None:
    del shift_s
    source = tmp_path / name
    films.ffmpeg(*(argument.format(talk=talk) for argument in arguments), "-c:v", "copy", source)
    _blocks_of(source, _spans(source)[-2], tmp_path)


def test_files_of_any_form_give_the_same_parts(clip_dir: Path, tmp_path: Path) -> None:
    """Codecs, edit lists, fragments, wrong lengths, other boxes, and files that break off."""
    folder = clip_dir / "partial-cases"
    folder.mkdir(exist_ok=True)
    builder, compared = container_cases.CaseBuilder(folder), 0
    for number in range(12):
        case = builder.case(SEED + number)
        place = tmp_path / str(number)
        place.mkdir()
        source = place / "source"
        source.write_bytes(case.data)
        try:
            spans = _spans(source)
        except Refused:
            continue
        _blocks_of(source, spans[-1], place)
        compared += 1
    assert compared > 5


@pytest.mark.parametrize("flags", ["", "+faststart"], ids=["index at the end", "index first"])
def test_a_part_in_the_middle_reads_little_of_the_file(talk: Path, tmp_path: Path, flags: str) -> None:
    source = tmp_path / "long.mp4"
    films.ffmpeg("-stream_loop", "9", "-i", talk, "-c", "copy", "-movflags", flags or "0", source)
    spans = _spans(source)
    blocks = _blocks_of(source, spans[len(spans) // 2], tmp_path)
    total = -(-source.stat().st_size // blocks.block_bytes)
    assert len(blocks.fetched) < total / 4
