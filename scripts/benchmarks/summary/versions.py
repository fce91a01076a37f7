"""Versions of the programs and packages that are measured beside this project."""

from __future__ import annotations

import json
import re
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import imageio_ffmpeg

from scripts.benchmarks.broker.candidates import program
from scripts.benchmarks.summary.tools import TUS_FOLDER

__all__ = ["text"]

PROGRAMS = (
    ("Redis", "redis-server", "--version"),
    ("PostgreSQL", "postgres", "--version"),
    ("Node.js", "node", "--version"),
    ("ffmpeg", imageio_ffmpeg.get_ffmpeg_exe(), "-version"),
)
PACKAGES = (("PyAV", "av"), ("MoviePy", "moviepy"), ("waitress", "waitress"), ("Falcon", "falcon"))
# RabbitMQ's own command starts an Erlang system to tell its version; the folder's name contains it, too.
RABBITMQ_FOLDERS = Path("/usr/lib/rabbitmq/lib"), "rabbitmq_server-"


def text() -> str:
    """Return the names and versions of what is installed, separated by commas."""
    found = [(name, _of_program(command, option)) for name, command, option in PROGRAMS]
    found += [("RabbitMQ", _rabbitmq()), ("@tus/server", _tus())]
    found += [(name, _of_package(package)) for name, package in PACKAGES]
    return ", ".join(f"{name} {number}" for name, number in found if number)


def _of_program(name: str, option: str) -> str | None:
    path = program(name)
    if path is None:
        return None
    said = subprocess.run([path, option], capture_output=True, text=True, check=False).stdout
    number = re.search(r"\d+(\.\d+)+", said)
    return number[0] if number else None


def _of_package(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _rabbitmq() -> str | None:
    parent, prefix = RABBITMQ_FOLDERS
    names = sorted(path.name.removeprefix(prefix) for path in parent.glob(f"{prefix}*"))
    return names[-1] if names else None


def _tus() -> str | None:
    described = TUS_FOLDER / "node_modules" / "@tus" / "server" / "package.json"
    return str(json.loads(described.read_text())["version"]) if described.exists() else None
