"""List the videos in lost+found, and create jobs for them again.

Videos without a record in the database are moved to DATA_DIR/lost+found, for example after a backup was restored. They
are kept for LOST_FOUND_DAYS. Works while the machine runs and while it is stopped.

    scripts/adopt                  list the videos
    scripts/adopt ID…              create jobs for them, with the options of their uploads
    scripts/adopt --all            create jobs for all videos whose publishing never began
    scripts/adopt --again ID…      also for videos whose publishing had begun: they are published again
    scripts/adopt --delete ID…     delete videos now, to free disk space
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
    try:
        known = environment.read(os.environ)
    except environment.BadSettings as error:
        return _fail(f"settings: {error}")
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
    from actors import logging_setup, wiring  # noqa: PLC0415 (opens files, so only after the change of user)
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
    except DATABASE_ERRORS as error:
        return _fail(f"{wiring.machine.store.path}: {error}")
    except OSError as error:
        return _fail(f"{error.filename}: {error.strerror}")
    finally:
        wiring.machine.broker.close()
        wiring.machine.store.close()


def _fail(message: str) -> int:
    print(message, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
