"""Create, list and revoke API keys, and end the sessions of the web page.

Works while the machine runs and while it is stopped. A running machine accepts a new key at once, and refuses a revoked
one after a second at the latest. The database has only a hash of each key, so a key is shown once, when it is created.

    scripts/keys create NAME      create a key and print it; NAME tells you later whose key it is
    scripts/keys                  list the keys, with the number of their sessions
    scripts/keys create NAME --owner OWNER    a key of another owner, who has jobs, accounts and keys of its own
    scripts/keys revoke NAME      revoke a key and end its sessions; api.key is the generated key in DATA_DIR
    scripts/keys sign-out NAME    end all sessions of a key, which stays valid; --all: of all keys

Without --owner, all commands are about the keys of the default owner, who operates the server.

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
        command_parser = commands.add_parser(name, help=summary)
        command_parser.add_argument("name", metavar="NAME")
        _add_owner(command_parser)
    commands.add_parser("list", help="list the keys, as without a command")
    signing_out = commands.add_parser("sign-out", help="end the sessions of a key, or all")
    signing_out.add_argument("name", metavar="NAME", nargs="?")
    signing_out.add_argument("--all", action="store_true", help="the sessions of all keys of all owners")
    _add_owner(signing_out)
    chosen = parser.parse_args(arguments)
    if chosen.command == "sign-out" and bool(chosen.name) == chosen.all:
        parser.error("give the name of a key, or --all")
    if chosen.command == "sign-out" and chosen.all and chosen.owner is not None:
        parser.error("--all is about the keys of all owners")
    return command.run(lambda machine: _run(machine, chosen))


def _run(machine: Machine, chosen: argparse.Namespace) -> int:
    match chosen.command:
        case "create":
            return _create(machine, chosen.owner, chosen.name)
        case "revoke":
            return _revoke(machine, chosen.owner, chosen.name)
        case "sign-out":
            return _sign_out(machine, chosen.owner, None if chosen.all else chosen.name)
        case _:
            return _list(machine)


def _add_owner(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--owner", metavar="OWNER", default=None, help="whose key it is; default: the operator's")


def _create(machine: Machine, owner: str | None, name: str) -> int:
    from store import api_keys, owners  # noqa: PLC0415 (opens files, so only after the change of user)

    if not re.fullmatch(api_keys.NAME, name) or name == settings.API_KEY_FILE:
        return command.fail("NAME: 1 to 64 letters, digits, spaces and . _ @ - ', beginning with a letter or a digit")
    owner_id = owners.DEFAULT_OWNER if owner is None else owner
    if not re.fullmatch(owners.NAME, owner_id):
        return command.fail("OWNER: 1 to 32 lower-case letters, digits and -, beginning with a letter or a digit")
    key = api_keys.new_key()
    record = api_keys.ApiKey(
        id=machine.new_id("key_"), owner_id=owner_id, name=name, key_hash=api_keys.hash_key(key),
        created_at=machine.now(),
    )  # fmt: skip
    try:
        with machine.store.writing(scope="everything") as connection:
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
        print(f"{key.full_name:24}  created {key.created_at:%Y-%m-%d %H:%M}  {state}")
    if machine.settings.api_keys:
        print(f"{'API_KEYS':24}  {len(machine.settings.api_keys)} in the environment")
    elif (machine.settings.data_dir / settings.API_KEY_FILE).exists():
        print(f"{settings.API_KEY_FILE:24}  in {machine.settings.data_dir}")
    if others := sum(count for key_id, count in counts.items() if key_id not in stored):
        print(f"{_sessions(others)} of keys that are not in the database (API_KEYS or {settings.API_KEY_FILE})")
    return 0


def _revoke(machine: Machine, owner: str | None, name: str) -> int:
    from store import api_keys, owners  # noqa: PLC0415 (opens files, so only after the change of user)

    if name == settings.API_KEY_FILE and owner is None:
        return _delete_key_file(machine)
    with machine.store.writing(scope="everything") as connection:
        key = api_keys.named(connection, owner or owners.DEFAULT_OWNER, name)
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
    with machine.store.writing(scope="rows") as connection:
        push_subscriptions.remove_of_other_keys(connection, api_keys.UNSTORED_PREFIX, kept=())
    print(f"{path}: deleted; its sessions end within a second")
    return 0


def _sign_out(machine: Machine, owner: str | None, name: str | None) -> int:
    from store import api_keys, owners, sessions  # noqa: PLC0415 (opens files, so only after the change of user)

    with machine.store.writing(scope="everything") as connection:
        key: ApiKey | None = None if name is None else api_keys.named(connection, owner or owners.DEFAULT_OWNER, name)
        if name is not None and key is None:
            return command.fail(f"{name}: there is no such key; --all ends the sessions of all keys")
        ended = sessions.end_all(connection, None if key is None else key.id)
    print(f"{_sessions(ended)} ended")
    return 0


def _sessions(count: int) -> str:
    return f"{count} session{'' if count == 1 else 's'}"


if __name__ == "__main__":
    command.exit_with(main)
