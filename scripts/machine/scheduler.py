"""`python -m scripts.machine.scheduler`: periodiq sends the ticks, and a thread of the same process runs them.

Ticks have a queue and a thread of their own, because a tick behind slow work would be late, and periodiq drops ticks
that are 30 seconds late. A thread needs less memory than another process.
"""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Sequence

from dramatiq import Actor, Worker
from periodiq import Scheduler

from broker import DatabaseReplaced, DatabaseUnavailable

logger = logging.getLogger(__name__)


class TickScheduler(Scheduler):  # type: ignore[misc]  # periodiq is untyped
    """Sends the ticks; those that cannot be written now are left out.

    The next ones follow within a minute. With periodiq's own scheduler the process would end and start again for as
    long as another program holds the database, or the disk is full.
    """

    def send_actors(self, actors: Sequence[Actor[..., object]], now: object) -> None:
        """Send the ticks of some actors for one moment.

        Raises:
            DatabaseReplaced: the process must be started again.
        """
        for actor in actors:
            try:
                super().send_actors([actor], now)
            except DatabaseReplaced:
                raise
            except DatabaseUnavailable as error:
                logger.warning("Ticks of %s left out, from %s on: %s", now, actor.actor_name, error)
                return  # the others would wait as long


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
        scheduler = TickScheduler([actor for actor in broker.actors.values() if "periodic" in actor.options])
        scheduler.schedule()
        scheduler.loop()
    finally:
        ticks.stop()
        broker.close()


if __name__ == "__main__":
    main()
