"""split: plan one job."""

from __future__ import annotations

import dramatiq

from actors import wiring
from actors.flow import planning, retrying


# `retry_when` decides about retries: dramatiq then ignores `max_retries`.
@dramatiq.actor(queue_name="media", max_retries=3, retry_when=retrying.should_retry, throws=retrying.GivenUp)
def split(job_id: str) -> None:
    """Examine an uploaded video, choose its cut points, and create its parts."""
    planning.plan_job(wiring.machine, job_id)
