"""`python -m scripts.machine.relay`: wakes the workers of all machines through RabbitMQ or Redis (BROKER_URL)."""

from __future__ import annotations

import os
import signal
import sys
import threading

import liveness
import process_protection
import settings
from actors import databases, logging_setup

STEP_S = 1.0  # the main thread must wake up to run the handler of a signal that another thread has taken


def main() -> int:
    """Run until SIGTERM, SIGINT or SIGHUP."""
    process_protection.make_files_private()
    try:
        chosen = settings.read(os.environ)
    except settings.BadSettings as error:
        print(error.report(), file=sys.stderr)
        return 2
    if chosen.transport_url is None:
        print("no relay is needed: BROKER_URL names neither RabbitMQ nor Redis", file=sys.stderr)
        return 2
    process_protection.remove_secrets(settings.secret_names())
    process_protection.protect()
    logging_setup.set_up(chosen)
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: ending.set())
    relay = databases.open_relay(chosen)
    liveness.require(relay.dead_thread)
    relay.start()
    while not ending.wait(STEP_S):
        pass
    relay.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
