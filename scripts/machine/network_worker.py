"""`python -m scripts.machine.network_worker`: the scheduler, and the work that mostly waits for others.

That work is for platforms, webhooks, and the deletion of files. One process with a worker for each queue, so that none
takes the threads of another: receivers of webhooks that do not answer delay neither publications, nor the other
receivers, nor the ticks. The main thread only sends the ticks, and waits for nothing but the database.
"""

from __future__ import annotations

import liveness
from scripts.machine import worker_process
from scripts.machine.scheduler import TickScheduler

# Threads by queue. Publications: one at a time for each account. Webhooks: one thread for each endpoint that is in
# flight; ten that begin to hang at the same moment leave six to the others. Afterwards they share the slow ones.
# A tick behind slow work would be late, and periodiq drops ticks that are 30 seconds late.
THREADS = {"ticks": 1, "network": 8, "webhooks": 16, "webhooks_slow": 4}


def main() -> None:
    """Run until SIGTERM."""
    from actors.worker import broker  # noqa: PLC0415 (sets up the process: its log, and what others may read of it)

    scheduler = TickScheduler(actor for actor in broker.actors.values() if "periodic" in actor.options)
    liveness.require(scheduler.stuck)
    worker_process.run(THREADS, turn=scheduler.turn)


if __name__ == "__main__":
    main()
