"""`python -m scripts.machine.network_worker`: the work that mostly waits for others: platforms, webhooks, deletion.

One process with three workers, so that none of the queues takes the threads of another: receivers of webhooks that do
not answer delay neither publications nor the other receivers.
"""

from __future__ import annotations

from scripts.machine import worker_process

# Threads by queue. Publications: one at a time for each account. Webhooks: one thread for each endpoint that is in
# flight; ten that begin to hang at the same moment leave six to the others. Afterwards they share the slow ones.
THREADS = {"network": 8, "webhooks": 16, "webhooks_slow": 4}

if __name__ == "__main__":
    worker_process.run(THREADS)
