"""A service that is stopped (SIGSTOP) once, and ignores SIGTERM afterwards. The argument is a file that then exists."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    marker = Path(sys.argv[1])
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGSTOP)
    while True:
        signal.pause()
