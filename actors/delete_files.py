"""delete_files: delete the files of one job."""

from __future__ import annotations

import dramatiq

from actors import wiring
from actors.flow import retention


@dramatiq.actor(queue_name="network", max_retries=5)
def delete_files(job_id: str, when: str = "due") -> None:
    """Delete files of a job.

    Args:
        job_id: of the job.
        when: "due": all, if the job is over and its retention has ended; "now": whatever its retention; "source": the
            uploaded file, as was decided; "parts": the files of parts whose own retention has ended; "replaced": the
            files of parts that the job no longer has.
    """
    retention.delete_files(wiring.machine, job_id, when)
