"""gaze: render one part."""

from __future__ import annotations

import dramatiq

from actors import wiring
from actors.flow import rendering, retrying


# `retry_when` decides about retries: dramatiq then ignores `max_retries`.
@dramatiq.actor(queue_name="media", max_retries=3, retry_when=retrying.should_retry, throws=retrying.GivenUp)
def gaze(segment_id: str) -> None:
    """Render one part with the speaker's eyes turned to the lens."""
    rendering.render_part(wiring.machine, segment_id)
