"""Starts a module in a process of its own, which exits with this one (`scripts.machine.child`)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import settings

ROOT = Path(__file__).resolve().parent.parent.parent


def start(
    argv: Sequence[str],
    environ: Mapping[str, str],
    *,
    parent_pipe: int,
    liveness_pipe: int = -1,
    liveness_interval_s: float = 0.0,
    log: IO[bytes] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a module, and give it the secrets in a file without a name instead of its environment.

    Args:
        argv: the module and its arguments.
        environ: its environment, with the secrets.
        parent_pipe: reading end of a pipe whose writing end only this process has; the module's process exits when the
            writing end is closed.
        liveness_pipe: writing end of a pipe for heartbeats (`liveness`); -1 for none.
        liveness_interval_s: between two of them.
        log: for its output; None leaves it this process's.
    """
    secrets = {name: value for name, value in environ.items() if name in settings.secret_names()}
    file = os.memfd_create("secrets")
    try:
        os.write(file, json.dumps(secrets).encode())
        os.lseek(file, 0, os.SEEK_SET)
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "scripts.machine.child", str(parent_pipe), str(file)),
                *(str(liveness_pipe), str(liveness_interval_s)),
                *argv,
            ],
            cwd=ROOT,
            env={name: value for name, value in environ.items() if name not in secrets},
            pass_fds=[parent_pipe, file, *([liveness_pipe] if liveness_pipe >= 0 else [])],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is sent to the supervisor only, which stops the services in order
        )
    finally:
        os.close(file)
