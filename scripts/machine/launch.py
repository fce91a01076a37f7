"""Starts a module as a program of its own, which exits with this process (`scripts.machine.child`)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import IO

import settings
from scripts.machine.child import ROOT

NO_STORAGE = 3
"""Exit status of `scripts.machine.migrate` if the settings of the storage are wrong."""

OTHER_KEY = 4
"""Exit status of `scripts.machine.migrate` if other machines use the same database with another SECRET_KEY."""


def start(
    argv: Sequence[str],
    environ: Mapping[str, str],
    *,
    parent_pipe: int,
    log: IO[bytes] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a module, and give it the secrets in a file without a name instead of its environment.

    Args:
        argv: the module and its arguments.
        environ: its environment, with the secrets.
        parent_pipe: reading end of a pipe whose writing end only this process has; the module's process exits when the
            writing end is closed.
        log: for its output; None leaves it this process's.
    """
    secrets = {name: value for name, value in environ.items() if name in settings.secret_names()}
    file = os.memfd_create("secrets")
    try:
        os.write(file, json.dumps(secrets).encode())
        os.lseek(file, 0, os.SEEK_SET)
        return subprocess.Popen(
            [sys.executable, "-m", "scripts.machine.child", str(parent_pipe), str(file), *argv],
            cwd=ROOT,
            env={name: value for name, value in environ.items() if name not in secrets},
            pass_fds=[parent_pipe, file],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is sent to the supervisor only, which stops the services in order
        )
    finally:
        os.close(file)
