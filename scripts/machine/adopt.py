"""List the videos in lost+found, and make jobs of them again.

Videos without a record in the database are moved to DATA_DIR/lost+found, for example after a backup was restored. They
are kept for LOST_FOUND_DAYS. Works while the machine runs and while it is stopped.

    scripts/adopt                  list them
    scripts/adopt ID…              make jobs of them, with the options of their uploads
    scripts/adopt --all            likewise for all whose publishing never began
    scripts/adopt --again ID…      likewise for one whose publishing had begun: it is published again
    scripts/adopt --delete ID…     delete them now, to free the disk
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

import settings as environment


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 1 if an entry was not adopted or deleted."""
    parser = argparse.ArgumentParser(
        prog="scripts/adopt", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("ids", nargs="*", metavar="ID", help="job ids, as listed")
    parser.add_argument(
        "--all", action="store_true", help="all whose publishing never began; with --delete, every entry"
    )
    parser.add_argument("--delete", action="store_true", help="delete instead of adopting; cannot be undone")
    parser.add_argument("--again", action="store_true", help="adopt IDs whose publishing had begun, too")
    chosen = parser.parse_args(arguments)
    if chosen.all and chosen.ids:
        parser.error("give ids or --all, not both")
    if chosen.again and (chosen.delete or not chosen.ids):
        parser.error("--again needs the ids of entries to adopt")
    if chosen.delete and not (chosen.ids or chosen.all):
        parser.error("give the ids to delete, or --all")
    try:
        known = environment.read(os.environ)
    except environment.BadSettings as wrong:
        return _fail(f"settings: {wrong}")
    if not known.data_dir.is_dir():
        return _fail(f"DATA_DIR {known.data_dir}: there is no such directory")
    _drop_privileges(known.data_dir.stat())
    return _run(chosen)


def _drop_privileges(facts: os.stat_result) -> None:
    """Switch from root to the data directory's owner, so that the machine can write the files created here."""
    os.umask(0o077)
    if os.geteuid() == 0 and facts.st_uid != 0:
        os.setgroups([])
        os.setgid(facts.st_gid)
        os.setuid(facts.st_uid)


def _run(chosen: argparse.Namespace) -> int:
    from actors import logging_setup, wiring  # noqa: PLC0415 (opens files, as the owner)
    from actors.database_check import DATABASE_ERRORS, require_database  # noqa: PLC0415 (as above)
    from actors.recovery import lost_found  # noqa: PLC0415 (as above)
    from scripts.machine.adopting import EntryCommand, show  # noqa: PLC0415 (as above)

    logging_setup.set_up(wiring.machine.settings.model_copy(update={"log_level": "WARNING"}))
    require_database(wiring.machine.store)
    try:
        lost_found.move_cut_off_adoptions(wiring.machine)
        if not (chosen.ids or chosen.all):
            show(lost_found.entries(wiring.machine))
            return 0
        command = EntryCommand(lost_found.entries(wiring.machine), delete=chosen.delete, again=chosen.again)
        return 0 if (command.run_all() if chosen.all else command.run(chosen.ids)) else 1
    except DATABASE_ERRORS as unusable:
        return _fail(f"{wiring.machine.store.path}: {unusable}")
    except OSError as wrong:
        return _fail(f"{wrong.filename}: {wrong.strerror}")
    finally:
        wiring.machine.broker.close()
        wiring.machine.store.close()


def _fail(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
