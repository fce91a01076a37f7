"""What `dramatiq actors.worker` and `periodiq actors.worker` load: all actors, the broker, and this process's start."""

import actors
from actors import process
from actors.wiring import broker, settings

process.start(settings)

__all__ = ["actors", "broker"]
