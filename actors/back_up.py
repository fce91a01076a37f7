"""back_up: make a backup of the database."""

from __future__ import annotations

import dramatiq

from actors import wiring
from actors.recovery import backups


@dramatiq.actor(queue_name="network", max_retries=0)
def back_up() -> None:
    """Make a backup in BACKUP_DIR."""
    backups.make_scheduled(wiring.machine)
