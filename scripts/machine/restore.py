"""Put a backup in place of the database. The machine must be stopped.

    scripts/restore FILE           restore, and publish nothing of it before you have approved it

Parts may have been published since the backup. So every video that is not done waits for your approval on the page, and
the outcome of a post that had begun is unknown until you have looked. The previous database is kept beside the new one.
Videos that were uploaded since the backup are moved to lost+found at the next start (scripts/adopt).
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.machine import command
from scripts.machine.installation import AlreadyRunning, Installation
from scripts.machine.restoring import RestoredFile, Unusable, opened
from settings import Settings
from store import DatabaseUnavailable

if TYPE_CHECKING:
    from actors.recovery.restored import Restored


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 1 if nothing was restored."""
    parser = argparse.ArgumentParser(
        prog="scripts/restore", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="a backup, such as one of scripts/backup")
    parser.add_argument(
        "--nothing-published-since",
        action="store_true",
        help="publishing goes on by itself: only for a backup that was made after the machine had been stopped",
    )
    parser.add_argument(
        "--new-key",
        action="store_true",
        help="also if SECRET_KEY is not that of the backup: all accounts must be connected again",
    )
    chosen = parser.parse_args(arguments)
    try:
        with opened(Path(os.environ.get("STARTED_IN", ""), chosen.file)) as files:  # as the present user
            return _restore(files, chosen)
    except (command.NotReady, AlreadyRunning, Unusable, DatabaseUnavailable) as error:
        return command.fail(f"not restored: {error}")
    except BrokenPipeError:
        raise  # it is restored, but nobody reads that
    except OSError as error:
        return command.fail(f"not restored: {command.described(error)}")


def _restore(files: Mapping[str, int], chosen: argparse.Namespace) -> int:
    known = command.prepare()
    if known.secret_key is None and not (known.data_dir / "secret.key").exists() and not chosen.new_key:
        raise Unusable(
            f"there is no SECRET_KEY. Set it, or copy secret.key to {known.data_dir}; if it is lost, use --new-key"
        )
    path = known.database_path
    if path is None:
        raise Unusable("the database is on a PostgreSQL server; restore it there, such as with pg_restore")
    had_database = path.exists()
    installation = Installation(known.data_dir, path)  # creates a missing file
    restoring = RestoredFile(path.resolve())
    try:
        restoring.copy(files)
        done = _secure(known, restoring, chosen)
        kept = restoring.put_in_place()
    finally:
        restoring.clear()
        if not had_database and path.exists() and path.stat().st_size == 0:
            path.unlink()
        installation.release()
    _print(done, kept, chosen)
    return 0


def _secure(known: Settings, restoring: RestoredFile, chosen: argparse.Namespace) -> Restored:
    """Migrate the copy, check its key and hold its publications, before it is put in place."""
    for name in ("DATABASE_URL", "BROKER_URL"):
        os.environ.pop(f"{name}_FILE", None)
        os.environ.pop(name, None)
    os.environ["DATABASE_URL"] = f"sqlite:///{restoring.path}"  # of the machine of this process, which is made now
    from actors import logging_setup, sealed_rows, wiring  # noqa: PLC0415 (as said)
    from actors.recovery import restored  # noqa: PLC0415 (as said)

    machine = wiring.machine
    logging_setup.set_up(known.model_copy(update={"log_level": "WARNING"}))
    try:
        machine.store.migrate()
        sealed = sealed_rows.find(machine.store, machine.sealer)
        if sealed and not chosen.new_key:
            raise Unusable(f"{sealed.message()}. If the key is lost, use --new-key")
        return restored.secure(machine, hold=not chosen.nothing_published_since)
    finally:
        machine.broker.close()
        machine.store.close()


def _print(done: Restored, kept: Path | None, chosen: argparse.Namespace) -> None:
    of = "" if done.last_run_at is None else f" of {done.last_run_at:%Y-%m-%d %H:%M} (UTC)"
    print(f"Restored the state{of}. Start the machine now.")
    if kept is not None:
        print(f"The previous database is kept as {kept}; delete it when you do not need it any more.")
    if not chosen.nothing_published_since:
        print(f"Videos that wait for your approval on the page, since parts may have been published: {done.jobs}")
        print(f"Posts that had begun; look at the platforms, and say on the page what became of them: {done.unknown}")
    print("Everybody has to sign in again. Keys that were revoked since the backup are valid again: see scripts/keys.")
    if done.key_names:
        print(f"Valid keys: {', '.join(done.key_names)}")


if __name__ == "__main__":
    command.exit_with(main)
