"""Writes the history of publications: requests and answers, evidence, changes of state, acts of a person.

Each entry is stored in the transaction of the change that it tells about: no entry costs a commit of its own, and no
entry is about what did not happen. A step that may make the post public has an entry before its request is sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from actors.machine import Machine
from platforms import errors, registry
from platforms.contract import ActionNeeded, Advanced, Handle, Outcome, Published
from platforms.http.recording import Exchange
from platforms.step_texts import StepTexts
from redaction import redact
from store import history
from store.history import HistoryEntry
from store.publications import Publication
from store.states import HistoryKind

_STATES = {
    "publication.started": "The post is due and is started",
    "publication.published": "The post is recorded as published",
    "publication.linked": "The address of the post is known",
    "publication.action_needed": "The post waits for its owner, in the platform's app",
    "publication.failed": "The post is recorded as failed",
    "publication.outcome_unknown": "Whether the post is online is not known; nothing is sent again",
    "publication.cancelled": "The post is cancelled",
    "publication.expired": "The post is given up",
    "publication.held": "The post waits for an earlier part",
}
_NO_TEXTS = StepTexts(steps={}, identifiers=())


def record_claim(machine: Machine, connection: Connection, claimed: Publication) -> None:
    """Record that a step begins which may make the post public, or which a run has begun before.

    Args:
        machine: for its clock and publishers.
        connection: of the transaction that claims the step.
        claimed: the publication as it was before the claim.
    """
    step = claimed.step
    if step is None or step not in machine.publisher(claimed.platform).irreversible_steps:
        return
    text = f"{_texts(claimed).of(step)}: about to be sent"
    if claimed.holder is not None:
        text = f"{_texts(claimed).of(step)}: the run before was interrupted, so the platform is asked first"
    elif claimed.unclear:
        text = f"{_texts(claimed).of(step)}: the answer is missing, so the platform is asked first"
    _append(machine, connection, claimed.id, HistoryKind.REQUEST, text, step=step)


def record_state(machine: Machine, connection: Connection, event: str, publication: Publication) -> None:
    """Record a change of state; `event` is the type of its webhook event."""
    if (text := _STATES.get(event)) is None:
        return
    because = "" if publication.reason is None else f": {publication.reason}"
    _append(machine, connection, publication.id, HistoryKind.STATE, f"{text}{because}")


def record_person(machine: Machine, connection: Connection, publication_ids: Iterable[str], text: str) -> None:
    """Record what a person did with publications, or said about them."""
    for publication_id in publication_ids:
        _append(machine, connection, publication_id, HistoryKind.PERSON, text)


def _append(
    machine: Machine, connection: Connection, publication_id: str, kind: HistoryKind, text: str, step: str | None = None
) -> None:
    entry = HistoryEntry(at=machine.now(), kind=kind, text=redact(text), step=step)
    history.append(connection, publication_id, [entry])


def _texts(publication: Publication) -> StepTexts:
    known = registry.PLATFORMS.get(publication.platform)
    return _NO_TEXTS if known is None else known.step_texts


@dataclass(frozen=True)
class StepRecord:
    """The requests of one run of a step, until they are stored with its outcome.

    Attributes:
        machine: for its clock.
        publication: as it was before the run.
        handle: of the step; None before the first one.
        exchanges: its requests.
    """

    machine: Machine
    publication: Publication
    handle: Handle | None
    exchanges: Sequence[Exchange] = field(default_factory=list)

    def append_outcome(self, connection: Connection, outcome: Outcome) -> None:
        """Store the requests, of which the last one is evidence if it decided the outcome of the post."""
        ids = self._texts.shown_facts(outcome.handle)
        entries = self._answers(ids)
        if not isinstance(outcome, Advanced):
            link = outcome.link if isinstance(outcome, Published) else None
            ids |= {"remote_id": outcome.remote_id} | ({} if link is None else {"link": link})
            text = f"{self._platform} says that the post {_verdict(outcome)}"
            entries = self._with_evidence(entries, text, ids)
        history.append(connection, self.publication.id, entries)

    def append_error(self, connection: Connection, error: errors.PlatformError) -> None:
        """Store the requests, and the error that the last one met; the platform's own word on the post is evidence."""
        ids = {} if self.handle is None else self._texts.shown_facts(self.handle)
        if error.log_id:
            ids["log_id"] = error.log_id
        entries, text = self._answers(ids), redact(error.reason)
        if isinstance(error, errors.PostFailed):
            entries = self._with_evidence(entries, text, ids)
        elif entries:
            entries[-1] = replace(entries[-1], text=f"{entries[-1].text}. {text}")
        else:
            entries = [self._entry(HistoryKind.STATE, text, ids)]
        history.append(connection, self.publication.id, entries)

    def append_answers(self, connection: Connection) -> None:
        """Store the requests of a question that decided nothing."""
        ids = {} if self.handle is None else self._texts.shown_facts(self.handle)
        history.append(connection, self.publication.id, self._answers(ids))

    @property
    def _texts(self) -> StepTexts:
        return _texts(self.publication)

    @property
    def _platform(self) -> str:
        return registry.display_name(self.publication.platform)

    def _entry(self, kind: HistoryKind, text: str, ids: dict[str, str]) -> HistoryEntry:
        step = None if self.handle is None else self.handle.step
        return HistoryEntry(at=self.machine.now(), kind=kind, text=text, step=step, ids=ids or None)

    def _answers(self, ids: dict[str, str]) -> list[HistoryEntry]:
        return [self._answer(exchange, ids) for exchange in self.exchanges]

    def _answer(self, exchange: Exchange, ids: dict[str, str]) -> HistoryEntry:
        words = "" if self.handle is None else self._texts.of(self.handle.step)
        ended = "answered" if exchange.failure is None else f"no answer ({exchange.failure})"
        entry = self._entry(HistoryKind.ANSWER, redact(f"{words}: {ended}"), ids)
        return replace(
            entry,
            at=exchange.at,
            method=exchange.method,
            host=exchange.host,
            path=redact(exchange.path),
            http_status=exchange.http_status,
            duration_ms=exchange.duration_ms,
        )

    def _with_evidence(self, entries: list[HistoryEntry], text: str, ids: dict[str, str]) -> list[HistoryEntry]:
        """Return the entries with the last one as evidence; a new one if the outcome was stored before."""
        if not entries:
            return [self._entry(HistoryKind.EVIDENCE, text, ids)]
        return [*entries[:-1], replace(entries[-1], kind=HistoryKind.EVIDENCE, text=text, ids=ids)]


def _verdict(outcome: Published | ActionNeeded) -> str:
    return "is online" if isinstance(outcome, Published) else "waits for its owner"
