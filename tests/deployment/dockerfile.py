"""Reads the Dockerfile and .dockerignore: what the image contains, and how it runs."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHELL_PATH = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"  # of the base image


@dataclass
class Stage:
    """The instructions of one stage."""

    image: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def values(self, name: str) -> list[str]:
        """Return the arguments of all instructions of this name."""
        return [value for found, value in self.instructions if found == name]

    @property
    def environ(self) -> dict[str, str]:
        """Return the variables of the image."""
        pairs = (pair.partition("=") for line in self.values("ENV") for pair in shlex.split(line))
        return {name: value.replace("$PATH", SHELL_PATH) for name, _, value in pairs}

    @property
    def entrypoint(self) -> list[str]:
        """Return the program that is started, and its arguments."""
        return _strings(self.values("ENTRYPOINT")[-1])

    @property
    def health_command(self) -> list[str]:
        """Return the program that checks the health, and its arguments."""
        return _strings(self.values("HEALTHCHECK")[-1].partition("CMD ")[2])

    @property
    def user(self) -> tuple[int, int]:
        """Return the numbers of user and group."""
        user, _, group = self.values("USER")[-1].partition(":")
        return int(user), int(group)


def _strings(value: str) -> list[str]:
    found = json.loads(value)
    assert isinstance(found, list)
    assert all(isinstance(one, str) for one in found)
    return found


def stages() -> list[Stage]:
    """Return the stages of the Dockerfile, the image last."""
    arguments: dict[str, str] = {}
    found: list[Stage] = []
    for name, value in _instructions((ROOT / "Dockerfile").read_text()):
        if name == "ARG":
            argument, _, default = value.partition("=")
            arguments[argument] = default
        elif name == "FROM":
            image = re.sub(r"\$\{(\w+)\}", lambda match: arguments[match[1]], value.split()[0])
            found.append(Stage(image))
        else:
            found[-1].instructions.append((name, value))
    return found


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for instruction in re.sub(r"\\\n", "", "\n".join(lines)).splitlines():
        if instruction.strip():
            name, _, value = instruction.partition(" ")
            yield name, value.strip()


def copied_files() -> list[Path]:
    """Return the tracked files that are copied into the image, relative to the root."""
    sources = [word for line in stages()[0].values("COPY") for word in line.split()[:-1]]
    tracked = subprocess.run(["git", "ls-files", *sources], cwd=ROOT, capture_output=True, text=True, check=True)
    return [Path(line) for line in tracked.stdout.splitlines() if not is_ignored(line)]


def removed_folders() -> list[str]:
    """Return the folders of the environment that are removed, relative to it."""
    return re.findall(r"\brm -r /app/\.venv/(\S+)", "\n".join(stages()[0].values("RUN")))


def is_ignored(path: str) -> bool:
    """Return whether .dockerignore omits a file."""
    patterns = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    own_and_parents = [path, *map(str, Path(path).parents)]
    return any(
        fnmatch(Path(name).name if pattern.startswith("**/") else name, pattern.removeprefix("**/"))
        for pattern in patterns
        for name in own_and_parents
    )
