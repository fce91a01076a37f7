"""List the dead letters, and retry them.

A dead letter is a message that was given up after its last attempt: of a part that could not be rendered, of a
publication that failed, or of another actor. Works while the machine runs and while it is stopped.

    scripts/retry                   list the dead letters
    scripts/retry ID…               retry them: the part's job, the publication, or the message
    scripts/retry --all             retry all
    scripts/retry --all --actor A   retry all of one actor, such as publish_tiktok
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from scripts.machine import command

if TYPE_CHECKING:
    from actors.machine import Machine
    from broker import DeadLetter

LISTED = 500


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 1 if a dead letter was not retried."""
    parser = argparse.ArgumentParser(
        prog="scripts/retry", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("ids", nargs="*", metavar="ID", type=int, help="numbers of dead letters, as listed")
    parser.add_argument("--all", action="store_true", help="all dead letters")
    parser.add_argument("--actor", help="with --all: only those of this actor")
    chosen = parser.parse_args(arguments)
    if chosen.all and chosen.ids:
        parser.error("give ids or --all, not both")
    if chosen.actor and not chosen.all:
        parser.error("--actor needs --all")
    return command.run(lambda machine: _run(machine, chosen))


def _run(machine: Machine, chosen: argparse.Namespace) -> int:
    from actors.flow import job_commands  # noqa: PLC0415 (opens files, so only after the change of user)

    if chosen.all:
        retried, left = job_commands.retry_dead_letters(machine, chosen.actor)
        print(f"{len(retried)} retried, {len(left)} left: there is nothing to retry, or a later part is published")
        return 1 if left else 0
    letters = machine.broker.admin.dead_letters(limit=LISTED)
    if not chosen.ids:
        _show(letters)
        return 0
    return max(_retry(machine, letters, letter_id) for letter_id in chosen.ids)


def _show(letters: Sequence[DeadLetter]) -> None:
    if not letters:
        print("There are no dead letters.")
    for letter in letters:
        print(f"{letter.id}  {letter.died_at:%Y-%m-%d %H:%M}  {letter.actor} {' '.join(map(str, letter.args))}")
        print(f"    {letter.error}")


def _retry(machine: Machine, letters: Sequence[DeadLetter], letter_id: int) -> int:
    """Retry one dead letter; return the exit code."""
    from actors.flow import job_commands  # noqa: PLC0415 (opens files, so only after the change of user)
    from actors.flow.publication_commands import NotPossible  # noqa: PLC0415 (as above)

    letter = next((letter for letter in letters if letter.id == letter_id), None)
    if letter is None:
        return command.fail(f"{letter_id}: there is no such dead letter")
    try:
        is_retried = job_commands.retry_dead_letter(machine, letter)
    except NotPossible as error:
        return command.fail(f"{letter_id}: {error.detail}")
    if not is_retried:
        return command.fail(f"{letter_id}: nothing to retry")
    print(f"{letter_id}: retried")
    return 0


if __name__ == "__main__":
    command.exit_with(main)
