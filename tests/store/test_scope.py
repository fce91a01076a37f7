"""The rows that a writing transaction decides about."""

from __future__ import annotations

from typing import Any

import pytest

from store import Store, jobs
from store.scope import OutOfScope, require_job
from tests.store.rows import job


@pytest.mark.parametrize(
    "names",
    [
        {},
        {"job": "a", "part": "b"},
        {"job": "a", "scope": "rows"},
        {"scope": "rows", "accounts": ["a"]},
        {"part": "a", "accounts": ["a"]},
        {"accounts": []},
    ],
)
def test_a_transaction_names_one_kind_of_rows(store: Store, names: dict[str, Any]) -> None:
    """mypy refuses a call without a name, and so does the store."""
    with pytest.raises(TypeError, match="a transaction decides about"), store.writing(**names):
        pass


@pytest.mark.parametrize("names", [{"job": "job"}, {"part": "job-1"}, {"publication": "p"}, {"scope": "everything"}])
def test_a_decision_about_a_job_is_made_in_its_scope(store: Store, names: dict[str, Any]) -> None:
    with store.writing(**names) as connection:
        require_job(connection, "job")


@pytest.mark.parametrize("names", [{"job": "another"}, {"accounts": ["a"]}, {"scope": "rows"}])
def test_a_decision_outside_its_scope_is_refused_and_leaves_nothing(store: Store, names: dict[str, Any]) -> None:
    with pytest.raises(OutOfScope, match="job job"), store.writing(**names) as connection:
        jobs.create(connection, job())
        require_job(connection, "job")
    with store.reading() as connection:
        assert jobs.get(connection, "job") is None
