"""A relay for the benchmark: `python -m scripts.benchmarks.broker.relay DATABASE_URL TRANSPORT_URL`.

Prints "active" when it puts tokens, and stops on SIGTERM.
"""

from __future__ import annotations

import signal
import sys
import time

from broker.relay import Relay

LOOK_S = 0.05


def main() -> None:
    """Run until SIGTERM."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # inherited by all threads: only sigwait gets it
    relay = Relay(*sys.argv[1:])
    relay.start()
    while not relay.is_active:
        time.sleep(LOOK_S)
    print("active", flush=True)
    signal.sigwait({signal.SIGTERM})
    relay.close()


if __name__ == "__main__":
    main()
