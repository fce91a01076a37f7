"""Create, list and revoke API keys, and end the sessions of the web page.

Works while the machine runs and while it is stopped. A running machine accepts a new key at once, and refuses a revoked
one after a second at the latest. The database has only a hash of each key, so a key is shown once, when it is created.

    scripts/keys create NAME      create a key and print it; NAME tells you later whose key it is
    scripts/keys                  list the keys, with the number of their sessions
    scripts/keys revoke NAME      revoke a key and end its sessions; api.key is the generated key in DATA_DIR
    scripts/keys sign-out NAME    end all sessions of a key, which stays valid; --all: of all keys

The keys in API_KEYS are not stored. Remove one from there and restart the machine; its sessions end, too.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import settings
from scripts.machine import command

if TYPE_CHECKING:
    from actors.machine import Machine
    from store.api_keys import ApiKey


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="scripts/keys", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, summary in (("create", "create a key and print it"), ("revoke", "revoke a key and end its sessions")):
        commands.add_parser(name, help=summary).add_argument("name", metavar="NAME")
    commands.add_parser("list", help="list the keys, as without a command")
    signing_out = commands.add_parser("sign-out", help="end the sessions of a key, or all")
    signing_out.add_argument("name", metavar="NAME", nargs="?")
    signing_out.add_argument("--all", action="store_true", help="the sessions of all keys")
    chosen = parser.parse_args(arguments)
    if chosen.command == "sign-out" and bool(chosen.name) == chosen.all:
        parser.error("give the name of a key, or --all")
    return command.run(lambda machine: _run(machine, chosen))


def _run(machine: Machine, chosen: argparse.Namespace) -> int:
    match chosen.command:
        case "create":
            return _create(machine, chosen.name)
        case "revoke":
            return _revoke(machine, chosen.name)
        case "sign-out":
            return _sign_out(machine, None if chosen.all else chosen.name)
        case _:
            return _list(machine)


def _create(machine: Machine, name: str) -> int:
    from store import api_keys  # noqa: PLC0415 (opens files, so only after the change of user)

    if not re.fullmatch(api_keys.NAME, name) or name == settings.API_KEY_FILE:
        return command.fail("NAME: 1 to 64 letters, digits, spaces and . _ @ - ', beginning with a letter or a digit")
    key = api_keys.new_key()
    record = api_keys.ApiKey(
        id=machine.new_id("key_"), name=name, key_hash=api_keys.hash_key(key), created_at=machine.now()
    )
    try:
        with machine.store.writing() as connection:
            api_keys.add(connection, record)
    except api_keys.NameTaken:
        return command.fail(f"{name}: there is a key with this name; revoke it first, or choose another name")
    print(f"The key {name}, shown once:", file=sys.stderr)
    print(key)
    return 0


def _list(machine: Machine) -> int:
    from store import api_keys, sessions  # noqa: PLC0415 (opens files, so only after the change of user)

    with machine.store.reading() as connection:
        keys = api_keys.list_all(connection)
        counts = sessions.count_by_key(connection, machine.now())
    stored = counts.keys() & {key.id for key in keys}
    for key in keys:
        state = f"revoked {key.revoked_at:%Y-%m-%d %H:%M}" if key.revoked_at else _sessions(counts.get(key.id, 0))
        print(f"{key.name:24}  created {key.created_at:%Y-%m-%d %H:%M}  {state}")
    if machine.settings.api_keys:
        print(f"{'API_KEYS':24}  {len(machine.settings.api_keys)} in the environment")
    elif (machine.settings.data_dir / settings.API_KEY_FILE).exists():
        print(f"{settings.API_KEY_FILE:24}  in {machine.settings.data_dir}")
    if others := sum(count for key_id, count in counts.items() if key_id not in stored):
        print(f"{_sessions(others)} of keys that are not in the database (API_KEYS or {settings.API_KEY_FILE})")
    return 0


def _revoke(machine: Machine, name: str) -> int:
    from store import api_keys  # noqa: PLC0415 (opens files, so only after the change of user)

    if name == settings.API_KEY_FILE:
        return _delete_key_file(machine)
    with machine.store.writing() as connection:
        key = api_keys.named(connection, name)
        if key is None:
            return command.fail(f"{name}: there is no such key")
        ended = api_keys.revoke(connection, key.id, machine.now())
    print(f"{name}: revoked; {_sessions(ended)} ended")
    return 0


def _delete_key_file(machine: Machine) -> int:
    """Delete the generated key; without any other key, the next start of the machine generates a new one."""
    from store import api_keys, push_subscriptions  # noqa: PLC0415 (opens files, so only after the change of user)

    path = machine.settings.data_dir / settings.API_KEY_FILE
    try:
        path.unlink()
    except FileNotFoundError:
        return command.fail(f"{path}: there is no such file")
    with machine.store.writing() as connection:
        push_subscriptions.remove_of_other_keys(connection, api_keys.UNSTORED_PREFIX, kept=())
    print(f"{path}: deleted; its sessions end within a second")
    return 0


def _sign_out(machine: Machine, name: str | None) -> int:
    from store import api_keys, sessions  # noqa: PLC0415 (opens files, so only after the change of user)

    with machine.store.writing() as connection:
        key: ApiKey | None = None if name is None else api_keys.named(connection, name)
        if name is not None and key is None:
            return command.fail(f"{name}: there is no such key; --all ends the sessions of all keys")
        ended = sessions.end_all(connection, None if key is None else key.id)
    print(f"{_sessions(ended)} ended")
    return 0


def _sessions(count: int) -> str:
    return f"{count} session{'' if count == 1 else 's'}"


if __name__ == "__main__":
    command.exit_with(main)
