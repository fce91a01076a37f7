"""gaze: render one part."""

from __future__ import annotations

import dramatiq

from actors import wiring
from actors.flow import rendering, retrying


# Retried for three causes. A child fails: `flow` raises `Retry` with a delay, up to four attempts, then `GivenUp`. The
# actor itself raises: dramatiq's backoff, three times, or for a day while the database cannot be written. The worker
# ends: the broker redelivers, until `flow` has counted five interruptions. For a message that is dead-lettered without
# an outcome (after dramatiq's last retry, or the broker's tenth delivery) `recovery.stuck_work` fails the part.
@dramatiq.actor(queue_name="media", retry_when=retrying.should_retry, throws=retrying.GivenUp)
def gaze(segment_id: str) -> None:
    """Make one attempt at rendering a part; which ones correct the gaze is decided by `flow.retrying`."""
    rendering.render_part(wiring.machine, segment_id)
