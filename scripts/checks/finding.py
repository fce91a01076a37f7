"""The result of one check, and what all checks are given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from settings import Settings


class Level(StrEnum):
    """The severity of a finding."""

    OK = "ok"
    WARNING = "warning"  # works, but something should be changed
    ERROR = "error"  # VidProd, or a part of it, does not work


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        topic: what was checked, in one or two words.
        level: its severity.
        text: what was found. Never a secret.
        fix: what the operator can do; empty if nothing has to be done.
    """

    topic: str
    level: Level
    text: str
    fix: str = ""


def ok(topic: str, text: str) -> Finding:
    """Return a finding that needs nothing."""
    return Finding(topic, Level.OK, text)


def warning(topic: str, text: str, fix: str) -> Finding:
    """Return a finding that should be changed."""
    return Finding(topic, Level.WARNING, text, fix)


def error(topic: str, text: str, fix: str) -> Finding:
    """Return a finding that must be changed."""
    return Finding(topic, Level.ERROR, text, fix)


@dataclass(frozen=True)
class Examined:
    """The installation that is checked.

    Attributes:
        environ: the environment, with the secrets.
        settings: the settings; the defaults, but for the paths, if the environment is wrong.
        is_valid: the environment is right.
        is_running: a machine uses the data directory.
    """

    environ: Mapping[str, str]
    settings: Settings
    is_valid: bool
    is_running: bool
