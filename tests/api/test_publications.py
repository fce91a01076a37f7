"""A person resolves a publication with an unknown outcome."""

from __future__ import annotations

import pytest
from falcon.testing import TestClient

from api.context import Context
from store import accounts, jobs, publications, segments
from store.states import JobStatus, PublicationStatus, SegmentStatus
from tests.store import rows


@pytest.fixture
def unknown(context: Context) -> str:
    """A publication of which nobody knows whether it went out."""
    part, owner = rows.segment(1, status=SegmentStatus.READY), rows.account()
    post = rows.publication(part, owner, status=PublicationStatus.OUTCOME_UNKNOWN)
    with context.store.writing() as connection:
        jobs.create(connection, rows.job(status=JobStatus.PUBLISHING, parts=1))
        segments.create(connection, [part])
        accounts.connect(connection, owner)
        publications.create(connection, [post])
    return post.id


@pytest.mark.parametrize(("published", "job_ends"), [(True, "completed"), (False, "failed")])
def test_a_person_says_whether_a_post_is_there(
    client: TestClient, unknown: str, published: bool, job_ends: str
) -> None:
    told = client.simulate_post(f"/publications/{unknown}/resolve", json={"published": published})

    assert told.status_code == 204
    assert client.simulate_get("/status/job").json["status"] == job_ends


def test_a_post_that_is_not_there_can_be_tried_again(client: TestClient, unknown: str) -> None:
    client.simulate_post(f"/publications/{unknown}/resolve", json={"published": False})

    assert client.simulate_post("/jobs/job/retry").status_code == 202


def test_what_is_known_needs_no_word(client: TestClient, unknown: str) -> None:
    client.simulate_post(f"/publications/{unknown}/resolve", json={"published": True})

    again = client.simulate_post(f"/publications/{unknown}/resolve", json={"published": False})
    nobody = client.simulate_post("/publications/pub_nobody/resolve", json={"published": True})

    assert (again.status_code, again.json["code"], nobody.status_code) == (409, "outcome_known", 404)


def test_a_link_is_an_address(client: TestClient, unknown: str) -> None:
    told = client.simulate_post(
        f"/publications/{unknown}/resolve", json={"published": True, "link": "javascript:alert(1)"}
    )

    assert (told.status_code, told.json["field"]) == (422, "link")
