"""The start of the operator's commands: they open the machine's database as the user who owns it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

import process_protection
import settings as environment
from scripts.machine.installation import is_used_elsewhere
from scripts.machine.private_files import NotPrivate, make_private

if TYPE_CHECKING:
    from actors.machine import Machine


class NotReady(Exception):
    """The command cannot run here; the message says why."""


def run(command: Callable[[Machine], int]) -> int:
    """Run a command on the machine that the environment describes; return its exit code, or 1 after an error.

    Works while the machine runs and while it is stopped.
    """
    try:
        known = prepare()
        if is_used_elsewhere(known.data_dir, known.database_path):
            raise NotReady(
                f"another VidProd, with another DATA_DIR, is running with the database {known.database_path}"
            )
    except NotReady as error:
        return fail(str(error))
    return _run(command)


def prepare() -> environment.Settings:
    """Read the settings, switch to the owner of the data directory, and make its files private.

    Raises:
        NotReady: one of it is impossible.
    """
    process_protection.protect()
    try:
        known = environment.read(os.environ)
    except environment.BadSettings as error:
        raise NotReady(error.report()) from None
    if not known.data_dir.is_dir():
        raise NotReady(f"DATA_DIR {known.data_dir}: there is no such directory")
    drop_privileges(known.data_dir.stat())
    try:
        make_private(known.data_dir, known.database_path)
    except NotPrivate as refused:
        raise NotReady(str(refused)) from None
    except OSError as error:
        raise NotReady(described(error)) from None
    return known


def drop_privileges(facts: os.stat_result) -> None:
    """Switch from root to the data directory's owner, so that the machine can write the files created here."""
    if os.geteuid() == 0 and facts.st_uid != 0:
        os.setgroups([])
        os.setgid(facts.st_gid)
        os.setuid(facts.st_uid)


def _run(command: Callable[[Machine], int]) -> int:
    from actors import logging_setup, wiring  # noqa: PLC0415 (opens files, so only after the change of user)
    from actors.database_check import DATABASE_ERRORS, require_database  # noqa: PLC0415 (as above)

    machine = wiring.machine
    logging_setup.set_up(machine.settings.model_copy(update={"log_level": "WARNING"}))
    require_database(machine.store, machine.sealer)
    try:
        return command(machine)
    except DATABASE_ERRORS as error:
        return fail(f"{machine.store.name}: {error}")
    except BrokenPipeError:
        raise  # `exit_with` expects it
    except OSError as error:
        return fail(described(error))
    finally:
        machine.broker.close()
        machine.store.close()


def exit_with(main: Callable[[], int]) -> NoReturn:
    """Run a command and exit with its code; silently if nobody reads its output to the end, as with `head`."""
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else the interpreter complains at its exit
        code = 128 + signal.SIGPIPE
    sys.exit(code)


def described(error: OSError) -> str:
    """Return the error message for a file, or without one."""
    return f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)


def fail(message: str) -> int:
    """Print an error message; return the exit code."""
    print(message, file=sys.stderr)
    return 1
