"""What `scripts/adopt` prints and does, once the settings are read."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from actors import adoption, lost_found, wiring
from actors.adoption import Outcome
from actors.lost_found import Lost
from store import jobs
from store.jobs import Job

DONE = {Outcome.ADOPTED, Outcome.RETURNED, Outcome.KNOWN, Outcome.OVER, Outcome.REPEATED}


def show(entries: Sequence[Lost]) -> None:
    """Print what is in lost+found: id, name, size, when it was lost, and how long it is kept."""
    if not entries:
        print("Nothing is lost.")
        return
    print(f"{'ID':36}  {'BYTES':>13}  {'LOST (UTC)':16}  {'DAYS LEFT':>9}  NAME")
    for entry in entries:
        left_days = max(0.0, (entry.kept_until - wiring.now()).total_seconds() / 86_400)
        print(
            f"{entry.directory.name:36}  {entry.size_bytes:13}  {entry.lost_at:%Y-%m-%d %H:%M}  {left_days:9.1f}  "
            f"{_name(entry)}"
        )
    print("scripts/adopt ID… makes jobs of them again, scripts/adopt --delete ID… deletes them.")


def _name(entry: Lost) -> str:
    notes = [] if entry.file_name else ["name unknown"]
    if not entry.has_upload:
        notes = ["rendered parts only, no job can be made of them"]
    if not entry.was_accepted:
        notes.append("its sender got no answer and may have sent it again")
    if entry.parts:
        notes.append(f"{entry.parts} rendered parts")
    if entry.publishing_began:
        notes.append("publishing had begun: parts of it may be public already")
    return f"{entry.file_name} ({'; '.join(notes)})".strip() if notes else entry.file_name


def _needs_a_person(entry: Lost) -> bool:
    """Say whether a job of an entry could be a second one, or cannot be made; one that is there gets its files."""
    with wiring.store.reading() as connection:
        if jobs.get(connection, entry.job_id) is not None:
            return False
    return not entry.has_upload or entry.publishing_began or not entry.was_accepted


class Work:
    """Adopts or deletes entries, and says of each what became of it."""

    def __init__(self, entries: Sequence[Lost], *, delete: bool) -> None:
        self._entries = entries
        self._delete = delete

    def do_all(self) -> bool:
        """Do it with every entry of which a job can be made without risk; False if something was not done."""
        well = True
        for entry in self._entries:
            if not self._delete and _needs_a_person(entry):
                print(f"{entry.directory.name}: left where it is: {_name(entry)}")
            else:
                well &= self._one(entry)
        if not self._entries:
            print("Nothing is lost.")
        return well

    def do(self, ids: Sequence[str]) -> bool:
        """Do it with entries by their names; False if something was not done."""
        done = [self._named(name) for name in ids]  # each, also after one that failed
        return all(done)

    def _named(self, name: str) -> bool:
        found = [entry for entry in self._entries if name in {entry.directory.name, entry.job_id}]
        exact = [entry for entry in found if entry.directory.name == name] or found
        if exact:
            return self._one(exact[0])
        with wiring.store.reading() as connection:
            job = jobs.get(connection, name)
        if job is not None and not self._delete:
            print(f"{name}: is a job ({job.status})")
            return True
        print(f"{name}: there is no such entry", file=sys.stderr)
        return False

    def _one(self, entry: Lost) -> bool:
        name = entry.directory.name
        if self._delete:
            deleted = lost_found.delete(entry)
            print(f"{name}: {'deleted' if deleted else Outcome.BUSY.value}")
            return deleted
        outcome, remade = adoption.adopt(entry)
        print(f"{name}: {outcome.value}", file=sys.stdout if outcome in DONE else sys.stderr)
        if remade is not None:
            if remade.lost is not None:
                print(f"  {remade.lost}")
            self._warn_of_accounts(remade.job)
        return outcome in DONE

    def _warn_of_accounts(self, job: Job) -> None:
        missing = adoption.unconnected(job)
        if missing:
            where = f"{wiring.settings.root_url}/connect/"
            print(f"  no account is connected for {', '.join(missing)}: that is not published; connect one at {where}")
