"""publish_<platform>: bring one part onto one account of a platform, one short step a message."""

from __future__ import annotations

from typing import Any

import dramatiq

from actors import wiring
from actors.flow import publishing, publishing_retries, retrying
from platforms import registry


def _publish(publication_id: str) -> None:
    """Carry out the next step of a publication."""
    publishing.run_step(wiring.machine, publication_id, publishing.current_message_id())


# One actor a platform, so that logs, counters and dead letters show the platform.
ACTORS: dict[str, dramatiq.Actor[..., Any]] = {  # Any: it returns nothing
    name: dramatiq.actor(
        actor_name=f"publish_{name}",
        queue_name="network",
        max_retries=5,
        retry_when=publishing_retries.should_retry,  # decides about retries: dramatiq then ignores `max_retries`
        throws=retrying.GivenUp,
    )(_publish)
    for name in registry.NAMES
}
