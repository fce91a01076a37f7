"""Histograms of the durations of stages."""

from __future__ import annotations

import math

import pytest

from store import Store, stage_durations
from store.stage_durations import BUCKETS_S, Histogram


@pytest.fixture
def store(engine: Store) -> Store:
    """Run each test on both engines."""
    return engine


def test_a_histogram_counts_each_duration_in_all_buckets_that_it_is_not_longer_than(store: Store) -> None:
    durations_s = (0.05, 0.1, 2.0, 61.0, 61.0, 5000.0, -3.0)
    with store.writing(scope="everything") as connection:
        for duration_s in durations_s:
            stage_durations.observe(connection, "render", duration_s)
        stage_durations.observe(connection, "plan", 1.0)
    with store.reading() as connection:
        found = stage_durations.histograms(connection)
    counted = [max(0.0, duration_s) for duration_s in durations_s]  # the clock was set back
    expected = {bound: sum(duration_s <= bound for duration_s in counted) for bound in BUCKETS_S}
    assert found["render"] == Histogram(expected, sum(counted))
    assert found["plan"].buckets[math.inf] == 1
    assert list(found) == ["plan", "render"]


def test_a_duration_is_counted_only_with_the_transaction_that_ends_the_stage(store: Store) -> None:
    try:
        with store.writing(scope="everything") as connection:
            stage_durations.observe(connection, "render", 1.0)
            raise RuntimeError
    except RuntimeError:
        pass
    with store.reading() as connection:
        assert stage_durations.histograms(connection) == {}
