"""`python -m scripts.machine.scheduler`: sends the ticks of periodiq's actors; a thread of the same process runs them.

Ticks have a queue and a thread of their own, because a tick behind slow work would be late, and periodiq drops ticks
that are 30 seconds late. A thread needs less memory than another process.

periodiq's own loop is not used. It ends with the process when a tick cannot be written, and it waits for SIGALRM, which
is lost when another thread takes it: after a stop (SIGSTOP, SIGCONT) no tick was ever sent again.
"""

from __future__ import annotations

import logging
import signal
import sys
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from dramatiq import Actor, Worker

import liveness
from broker import DatabaseReplaced, DatabaseUnavailable

STEP_S = 1.0  # the main thread must wake up to run the handler of a signal that another thread has taken
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


def main() -> None:
    """Run until SIGTERM."""
    from actors.database_check import require_database  # noqa: PLC0415 (imports the machine of this process)
    from actors.wiring import machine  # noqa: PLC0415 (reads the settings, which may be wrong)
    from actors.worker import broker  # noqa: PLC0415 (sets up the process: its log, and what others may read of it)

    require_database(machine.store, machine.sealer)
    # Its default would end the process in the middle of a tick.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ticks = Worker(broker, queues={"ticks"}, worker_threads=1)
    ticks.start()
    try:
        scheduler = TickScheduler(actor for actor in broker.actors.values() if "periodic" in actor.options)
        liveness.require(scheduler.stuck)
        while True:
            scheduler.turn()
            now_s = time.time()
            time.sleep(min(STEP_S, 60 - now_s % 60))
    finally:
        ticks.stop()
        broker.close()


if __name__ == "__main__":
    main()
