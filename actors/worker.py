"""Entry point of `dramatiq actors.worker` and `periodiq actors.worker`: all actors and the broker; sets up logging."""

import actors
from actors import logging_setup
from actors.wiring import machine

broker = machine.broker
logging_setup.set_up(machine.settings)

__all__ = ["actors", "broker"]
