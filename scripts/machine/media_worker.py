"""`python -m scripts.machine.media_worker`: starts media children, `WORKER_CONCURRENCY` of them at a time."""

from __future__ import annotations

import os

import settings
from scripts.machine import worker_process

if __name__ == "__main__":
    worker_process.run({"media": max(1, settings.read(os.environ).worker_concurrency)})
