"""Entry point of `dramatiq actors.worker` and `periodiq actors.worker`: all actors and the broker; sets up logging."""

import liveness
import process_protection
from actors import logging_setup, ticks
from actors.wiring import machine

broker = machine.broker
process_protection.protect()
logging_setup.set_up(machine.settings)
liveness.require(broker.dead_thread)

__all__ = ["broker", "ticks"]
