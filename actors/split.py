"""split: plan one job."""

from __future__ import annotations

import dramatiq

from actors import wiring
from actors.flow import planning, retrying


# Retried for three causes. A child fails: `flow` raises `Retry` with a delay, up to four attempts, then `GivenUp`. The
# actor itself raises: dramatiq's backoff, three times, or for a day while the database cannot be written. The worker
# ends: the broker redelivers.
@dramatiq.actor(queue_name="media", retry_when=retrying.should_retry, throws=retrying.GivenUp)
def split(job_id: str) -> None:
    """Make one attempt at examining an uploaded video; choose its cut points, and create its parts."""
    planning.plan_job(wiring.machine, job_id)
