"""Make a backup of the database, while the machine runs or is stopped.

    scripts/backup                 in BACKUP_DIR, or DATA_DIR/backups; the oldest but for BACKUP_KEEP are deleted
    scripts/backup DIRECTORY       the same in another directory
    scripts/backup FILE            as a new file of that name

The backup is checked, and only its owner can read it. It contains no videos and no SECRET_KEY. scripts/restore puts it
in place of the database.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.machine import command

if TYPE_CHECKING:
    from actors.machine import Machine


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 1 if no backup was made."""
    parser = argparse.ArgumentParser(
        prog="scripts/backup", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target", nargs="?", type=Path, metavar="TARGET", help="a directory, or a new file")
    chosen = parser.parse_args(arguments)
    target = chosen.target and Path(os.environ.get("STARTED_IN", ""), chosen.target)
    return command.run(lambda machine: _run(machine, target))


def _run(machine: Machine, target: Path | None) -> int:
    from actors.recovery import backups  # noqa: PLC0415 (opens files, so only after the change of user)

    settings = machine.settings
    directory = target or settings.backup_dir or settings.data_dir / "backups"
    try:
        if target is None or target.is_dir():
            made = backups.make(machine, directory)
        else:
            made = backups.make_file(machine, target)
    except backups.BackupFailed as error:
        return command.fail(f"no backup was made: {error}")
    print(f"{made.path}  {made.size_bytes} bytes")
    kept = "SECRET_KEY" if settings.secret_key is not None else str(settings.data_dir / "secret.key")
    print(f"Keep {kept} as well, in another place: without it, the accounts must be connected again.", file=sys.stderr)
    if made.path.stat().st_dev == settings.data_dir.stat().st_dev:
        print("The backup is on the disk of the data: copy it to another one.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    command.exit_with(main)
