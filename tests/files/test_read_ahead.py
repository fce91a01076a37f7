"""Blocks that are read in a row are fetched several at once, and at most an eighth too much."""

from __future__ import annotations

import random

from files.read_ahead import MAX_BLOCKS, RUN_BLOCKS, ReadAhead

SEED = 11


def _requests(blocks: int) -> list[int]:
    """Read a file from its beginning; return the sizes of the requests."""
    ahead, at, found = ReadAhead(), 0, []
    while at < blocks:
        found.append(ahead.count(at))
        at += found[-1]
    return found


def test_a_file_that_is_read_from_its_beginning_is_soon_fetched_four_blocks_at_once() -> None:
    assert _requests(40) == [1] * 8 + [2] * 4 + [3] * 3 + [4] * 4
    assert max(_requests(300)) == MAX_BLOCKS


def test_a_run_of_any_length_fetches_at_most_an_eighth_too_much() -> None:
    for blocks in range(1, 200):
        assert sum(_requests(blocks)) - blocks <= blocks / RUN_BLOCKS


def test_a_jump_begins_with_one_block() -> None:
    chance, ahead = random.Random(SEED), ReadAhead()
    for _ in range(50):
        place = chance.randrange(10**6) * 1000
        assert [ahead.count(place + number) for number in range(RUN_BLOCKS)] == [1] * RUN_BLOCKS
        assert ahead.count(place + RUN_BLOCKS) == 2
