"""delete_files: delete the files of one job."""

from __future__ import annotations

import dramatiq

from actors import wiring
from actors.flow import retention


@dramatiq.actor(queue_name="network", max_retries=5)
def delete_files(job_id: str, when: str = "due") -> None:
    """Delete the files of a job that is over.

    Args:
        job_id: of the job.
        when: "due": if its retention has ended; "now": whatever its retention.
    """
    retention.delete_files(wiring.machine, job_id, when)
