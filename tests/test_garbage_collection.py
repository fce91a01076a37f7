"""Garbage collections look at what tests make, not at the tests."""

import gc
import sys


class Cycle:
    """An object that only a garbage collection can delete."""

    deleted = 0

    def __init__(self) -> None:
        self.own = self

    def __del__(self) -> None:
        Cycle.deleted += 1


def test_modules_and_tests_are_left_out_of_collections() -> None:
    seen = {id(one) for one in gc.get_objects()}
    assert id(sys.modules[__name__].__dict__) not in seen
    assert id(sys.modules) not in seen


def test_what_a_test_makes_is_collected() -> None:
    Cycle()
    gc.collect()
    assert Cycle.deleted == 1
