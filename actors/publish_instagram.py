"""publish_instagram: bring one part onto one Instagram account, one short step a message."""

from __future__ import annotations

import dramatiq

from actors import wiring
from actors.flow import publishing, publishing_retries, retrying


# `retry_when` decides about retries: dramatiq then ignores `max_retries`.
@dramatiq.actor(
    queue_name="network", max_retries=5, retry_when=publishing_retries.should_retry, throws=retrying.GivenUp
)
def publish_instagram(publication_id: str) -> None:
    """Carry out the next step of a publication on Instagram."""
    publishing.run_step(wiring.machine, publication_id, publishing.current_message_id())
