"""Check the whole installation: settings, platforms, storage, disk, clock, kernel, libraries, database, services.

Each line is a check: ok, warning or error, what was found, and what to do. Nothing is changed, no secret is printed.
Works while the machine runs or is stopped, and with wrong settings. Run it with the environment of the machine.

    scripts/doctor                 all checks that need no network, but for that of videos in S3 (FILES_URL)
    scripts/doctor --online        also the platforms' hosts and the public address
    scripts/doctor --json          for programs
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import pwd
import secrets
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path

import process_protection
import settings as environment
from scripts.checks import configuration
from scripts.checks.finding import Examined, Finding, Level, error, ok
from scripts.machine import command
from scripts.machine.installation import is_running, is_used_elsewhere

OF_COMPUTER = (
    "configuration",
    "platforms",
    "storage",
    "clock",
    "kernel",
    "memory",
    "libraries",
)  # modules of `scripts.checks`
OF_DATA = ("disk", "database", "services")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all checks and print them; return 1 if one found an error."""
    process_protection.protect()
    parser = argparse.ArgumentParser(
        prog="scripts/doctor", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--online", action="store_true", help="also check what needs the network")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    chosen = parser.parse_args(arguments)
    findings = []
    for finding in examine(with_network=chosen.online):
        findings.append(finding)
        if not chosen.json:
            print(_line(finding), flush=True)
    failed = any(finding.level is Level.ERROR for finding in findings)
    if chosen.json:
        print(
            json.dumps({"ok": not failed, "findings": [dataclasses.asdict(finding) for finding in findings]}, indent=1)
        )
    return 1 if failed else 0


def examine(*, with_network: bool) -> Iterator[Finding]:
    """Run the checks in the environment of this process."""
    given = dict(os.environ)
    settings, wrong = configuration.read(given)
    yield from wrong
    directory = settings.data_dir
    exists, refused = _enter(directory)
    running = refused is None and exists and is_running(directory)
    examined = Examined(given, settings, is_valid=not wrong, is_running=running)
    _replace_environment()
    for name in OF_COMPUTER:
        yield from _guarded(name, examined)
    if refused is not None:
        yield refused
    elif not exists:
        yield ok("disk", f"DATA_DIR {directory.resolve()} does not exist yet; the first start creates it")
    elif is_used_elsewhere(directory, settings.database_path):
        fix = "set DATABASE_URL to a file of this installation alone"
        yield error("database", f"another VidProd is running with {settings.database_path}", fix)
    else:
        for name in OF_DATA:
            yield from _guarded(name, examined)
    if with_network:
        yield from _guarded("online", examined)


def _enter(directory: Path) -> tuple[bool, Finding | None]:
    """Switch from root to the owner of the data directory; return whether it exists, and why it cannot be examined."""
    try:
        if not directory.is_dir():
            return False, None
        command.drop_privileges(directory.stat())
        return True, _refusal(directory)
    except OSError as failed:
        fix = "let VidProd's user enter the directories above it"
        return True, error("disk", f"DATA_DIR {directory} cannot be reached: {failed.strerror}", fix)


def _replace_environment() -> None:
    """Leave only what is certainly valid: some checks import `actors`, which makes a machine for this process.

    It is of no installation, so that it neither opens a database nor generates a missing key.
    """
    for name in environment.known_names():
        os.environ.pop(name, None)
        os.environ.pop(f"{name}_FILE", None)
    os.environ |= {"DATA_DIR": "/nonexistent", "SECRET_KEY": secrets.token_urlsafe()}


def _refusal(directory: Path) -> Finding | None:
    """Return a finding if this user cannot examine the data directory."""
    owner = directory.stat().st_uid
    if owner == os.geteuid() and os.access(directory, os.R_OK | os.X_OK):
        return None
    try:
        name = pwd.getpwuid(owner).pw_name
    except KeyError:
        name = f"#{owner}"
    text = f"DATA_DIR {directory.resolve()} belongs to user {name}; its disk and database were not checked"
    return error("disk", text, f"run: sudo -u {name} scripts/doctor")


def _guarded(name: str, examined: Examined) -> Iterator[Finding]:
    """Yield the findings of a module; if a check fails itself, that is a finding, too."""
    try:
        yield from import_module(f"scripts.checks.{name}").check(examined)
    except Exception as failed:  # noqa: BLE001 (the outermost edge: the other checks follow)
        yield error(name, f"it cannot be checked: {type(failed).__name__}: {failed}", "")


def _line(finding: Finding) -> str:
    fix = f" -> {finding.fix}" if finding.fix else ""
    return f"{finding.level:7}  {finding.topic}: {finding.text}{fix}"


if __name__ == "__main__":
    command.exit_with(main)
