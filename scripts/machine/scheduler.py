"""Sends the ticks of periodiq's actors, each minute.

periodiq's own loop is not used. It ends with the process when a tick cannot be written, and it waits for SIGALRM, which
is lost when another thread takes it: after a stop (SIGSTOP, SIGCONT) no tick was ever sent again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from dramatiq import Actor

from broker import DatabaseReplaced, DatabaseUnavailable

STUCK_S = 120.0  # a turn sends at most until the first wait for the write lock that fails

logger = logging.getLogger(__name__)


class TickScheduler:
    """Sends the due ticks once a minute; those that cannot be written then are left out."""

    def __init__(
        self,
        actors: Iterable[Actor[..., object]],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing is sent.

        Args:
            actors: with the option `periodic`, of periodiq.
            now: the wall clock, which may be set at any moment.
            monotonic: the clock of `stuck`.
        """
        self._actors = list(actors)
        self._now = now
        self._monotonic = monotonic
        self._turned_s = monotonic()
        self._minute: datetime | None = None

    def turn(self) -> None:
        """Send the ticks of this minute if none were sent in it; to be called about once a second.

        Raises:
            DatabaseReplaced: the process must be started again.
        """
        self._turned_s = self._monotonic()
        moment = self._now().replace(microsecond=0)
        minute = moment.replace(second=0)
        if minute == self._minute:
            return
        self._minute = minute
        for actor in self._actors:
            if not actor.options["periodic"].validate(moment):
                continue
            try:
                actor.send_with_options(scheduled_at=str(moment))
            except DatabaseReplaced:
                raise
            except DatabaseUnavailable as error:
                logger.warning("Ticks of %s left out, from %s on: %s", moment, actor.actor_name, error)
                return  # the others would wait as long

    def stuck(self) -> str | None:
        """Return why no tick is sent any more; None if they are. For the supervisor (`liveness`)."""
        still_s = self._monotonic() - self._turned_s
        return f"the loop of the scheduler has stood still for {still_s:.0f} s" if still_s > STUCK_S else None
