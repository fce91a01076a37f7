"""The encoder takes less memory step by step, and only as far as it must."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from media.process.memory_profile import LIMITS, LOOKAHEADS, MemoryProfile, MemoryStep, encoding_bytes, fitted

FULL_HD = 1080 * 1920


def test_without_a_limit_or_with_enough_memory_no_step_is_taken() -> None:
    limits = LIMITS[MemoryProfile.FULL]
    assert fitted(limits, FULL_HD, None) == (limits, [])
    assert fitted(limits, FULL_HD, encoding_bytes(limits, FULL_HD)) == (limits, [])


def test_each_step_is_taken_when_the_one_before_is_too_little() -> None:
    limits = LIMITS[MemoryProfile.FULL]
    steps = list(LOOKAHEADS)
    shorter, first = fitted(limits, FULL_HD, encoding_bytes(limits, FULL_HD) - 1)
    none, both = fitted(limits, FULL_HD, encoding_bytes(shorter, FULL_HD) - 1)
    assert (first, both) == (steps[:1], steps)
    assert [one.lookahead for one in (limits, shorter, none)] == [2, 1, 0]
    assert (none.long_side, none.short_side) == (limits.long_side, limits.short_side)


def test_a_profile_without_lookahead_has_no_step_left() -> None:
    least = LIMITS[MemoryProfile.LEAST]
    assert fitted(least, FULL_HD, 0) == (least, [])


@given(st.sampled_from(MemoryProfile), st.integers(4, 1 << 23), st.integers(0, 1 << 29))
def test_less_memory_never_takes_fewer_steps(profile: MemoryProfile, pixels: int, left_bytes: int) -> None:
    limits = LIMITS[profile]
    chosen, steps = fitted(limits, pixels, left_bytes)
    _, with_more = fitted(limits, pixels, left_bytes + (1 << 20))
    assert steps[: len(with_more)] == with_more
    assert encoding_bytes(chosen, pixels) <= left_bytes or chosen.lookahead == 0
    assert set(steps) <= set(MemoryStep)
