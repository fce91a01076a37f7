"""List the videos in lost+found, and create jobs for them again.

Videos without a record in the database are moved to DATA_DIR/lost+found, for example after a backup was restored. They
are kept for LOST_FOUND_DAYS. Works while the machine runs and while it is stopped.
Adopted videos wait for your approval, on the page or by POST /jobs/approve-restored.

    scripts/adopt                  list the videos
    scripts/adopt ID…              create jobs for them, with the options of their uploads
    scripts/adopt --all            create jobs for all videos whose publishing never began
    scripts/adopt --again ID…      also for videos whose publishing had begun: they are published again
    scripts/adopt --delete ID…     delete videos now, to free disk space
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from scripts.machine import command

if TYPE_CHECKING:
    from actors.machine import Machine


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 1 if an entry was not adopted or deleted."""
    parser = argparse.ArgumentParser(
        prog="scripts/adopt", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("ids", nargs="*", metavar="ID", help="job ids, as listed")
    parser.add_argument(
        "--all", action="store_true", help="all videos whose publishing never began; with --delete, every entry"
    )
    parser.add_argument("--delete", action="store_true", help="delete instead of adopting; cannot be undone")
    parser.add_argument("--again", action="store_true", help="also adopt videos whose publishing had begun")
    chosen = parser.parse_args(arguments)
    if chosen.all and chosen.ids:
        parser.error("give ids or --all, not both")
    if chosen.again and (chosen.delete or not chosen.ids):
        parser.error("--again needs the ids of entries to adopt")
    if chosen.delete and not (chosen.ids or chosen.all):
        parser.error("give the ids to delete, or --all")
    return command.run(lambda machine: _run(machine, chosen))


def _run(machine: Machine, chosen: argparse.Namespace) -> int:
    from actors.recovery import lost_found  # noqa: PLC0415 (opens files, so only after the change of user)
    from scripts.machine.adopting import EntryCommand, show  # noqa: PLC0415 (as above)

    lost_found.move_cut_off_adoptions(machine)
    if not (chosen.ids or chosen.all):
        show(lost_found.entries(machine))
        return 0
    entries = EntryCommand(lost_found.entries(machine), delete=chosen.delete, again=chosen.again)
    return 0 if (entries.run_all() if chosen.all else entries.run(chosen.ids)) else 1


if __name__ == "__main__":
    command.exit_with(main)
