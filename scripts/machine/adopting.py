"""Lists, adopts and deletes the entries of lost+found for `scripts/adopt`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from actors import wiring
from actors.recovery import adoption, lost_found
from actors.recovery.adoption import Outcome
from actors.recovery.lost_found import LostEntry
from scripts.machine.installation import is_running
from store import jobs
from store.jobs import Job

SUCCESSFUL = {Outcome.ADOPTED, Outcome.RETURNED, Outcome.KNOWN, Outcome.OVER, Outcome.REPEATED}

WAITS = (
    "  it is published after you have approved it: holds, times, words and cuts that were set after its upload are lost"
)


def show(entries: Sequence[LostEntry]) -> None:
    """Print what is in lost+found: id, name, size, when it was lost, and how long it is kept."""
    if not entries:
        _print_empty()
        return
    print(f"{'ID':36}  {'BYTES':>13}  {'LOST (UTC)':16}  {'DAYS LEFT':>9}  NAME")
    for entry in entries:
        left_days = max(0.0, (entry.kept_until - wiring.machine.now()).total_seconds() / 86_400)
        print(
            f"{entry.directory.name:36}  {entry.size_bytes:13}  {entry.lost_at:%Y-%m-%d %H:%M}  {left_days:9.1f}  "
            f"{_name(entry)}"
        )
    print("scripts/adopt ID… creates jobs for them again, scripts/adopt --delete ID… deletes them.")


def _print_empty() -> None:
    if is_running(wiring.machine.settings.data_dir):
        print("lost+found is empty.")
    else:
        print("lost+found is empty; files without a record are moved there when the machine starts.")


def _name(entry: LostEntry) -> str:
    notes = [] if entry.file_name else ["name unknown"]
    if not entry.has_upload:
        notes = ["only rendered parts, from which no job can be created"]
    if not entry.was_accepted:
        notes.append("the client got no answer and may have uploaded it again")
    if entry.parts:
        notes.append(f"{entry.parts} rendered parts")
    if entry.publishing_began:
        notes.append("publishing had begun: some parts may be public already")
    return f"{entry.file_name} ({'; '.join(notes)})".strip() if notes else entry.file_name


def _is_job(entry: LostEntry) -> bool:
    with wiring.machine.store.reading() as connection:
        return jobs.get(connection, entry.job_id) is not None


def _needs_review(entry: LostEntry) -> bool:
    """Return whether --all skips an entry: its video may be published twice, or no job can be created."""
    if _is_job(entry):
        return False
    return not entry.has_upload or entry.publishing_began or not entry.was_accepted


class EntryCommand:
    """Adopts or deletes entries, and prints the outcome of each.

    Args:
        entries: all entries of lost+found.
        delete: delete the entries instead of adopting them.
        again: also adopt entries whose publishing had begun, if they are given by their ids.
    """

    def __init__(self, entries: Sequence[LostEntry], *, delete: bool, again: bool = False) -> None:
        self._entries = entries
        self._delete = delete
        self._again = again

    def run_all(self) -> bool:
        """Process all entries, except adopting those that need a review; return False if one failed."""
        is_successful = True
        for entry in self._entries:
            if not self._delete and _needs_review(entry):
                print(f"{entry.directory.name}: not adopted: {_name(entry)}")
            else:
                is_successful &= self._run_one(entry)
        if not self._entries:
            _print_empty()
        return is_successful

    def run(self, ids: Sequence[str]) -> bool:
        """Process the entries with the given ids; return False if one failed."""
        done = [self._run_by_name(name) for name in ids]  # a list: continues after a failure
        return all(done)

    def _run_by_name(self, name: str) -> bool:
        found = [entry for entry in self._entries if name in {entry.directory.name, entry.job_id}]
        exact = [entry for entry in found if entry.directory.name == name] or found
        if exact:
            return self._run_one(exact[0])
        with wiring.machine.store.reading() as connection:
            job = jobs.get(connection, name)
        if job is not None and not self._delete:
            print(f"{name}: not in lost+found; its job exists ({job.status})")
            return True
        print(f"{name}: not found in lost+found", file=sys.stderr)
        return False

    def _run_one(self, entry: LostEntry) -> bool:
        name = entry.directory.name
        if self._delete:
            deleted = lost_found.delete(wiring.machine, entry)
            print(f"{name}: {'deleted' if deleted else Outcome.BUSY.value}")
            return deleted
        if entry.publishing_began and entry.has_upload and not self._again and not _is_job(entry):
            print(
                f"{name}: not adopted, its publishing had begun. All parts would be published again, except posts that "
                f"are recorded as begun on the same connected account. Delete the public posts on the platforms, then "
                f"run: scripts/adopt --again {name}",
                file=sys.stderr,
            )
            return False
        outcome, restored = adoption.adopt(wiring.machine, entry)
        print(f"{name}: {outcome.value}", file=sys.stdout if outcome in SUCCESSFUL else sys.stderr)
        if restored is not None:
            if restored.missing is not None:
                print(f"  {restored.missing}")
            print(WAITS)
            self._warn_about_accounts(restored.job)
        return outcome in SUCCESSFUL

    def _warn_about_accounts(self, job: Job) -> None:
        missing = adoption.platforms_without_account(wiring.machine, job)
        if missing:
            page = f"{wiring.machine.settings.root_url}/connect/"
            print(f"  not published on {', '.join(missing)}: no account is connected; connect one at {page}")
