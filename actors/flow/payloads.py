"""The requests that the waiting posts of a job would send, made by the real publishers, without sending them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from actors.flow import post_words, tokens, word_commands
from actors.flow.platform_reads import PlatformReads
from actors.flow.posts import create_post, part_file
from actors.flow.word_commands import WordsRefused
from actors.machine import Machine
from platforms import dry_run, registry
from platforms.contract import AuthorizedAccount
from platforms.dry_run import BuiltRequest
from platforms.errors import PlatformError
from platforms.http.exchange import Response
from platforms.http.local_answers import OutgoingRequest
from store import accounts, jobs, post_settings, publications, segments
from store.accounts import Account
from store.jobs import Job
from store.post_settings import PostSettings
from store.publications import Publication
from store.segments import Segment
from store.states import PublicationStatus

NO_TOKEN = "no-token"  # noqa: S105 (stands where the token would)


@dataclass(frozen=True)
class PayloadProblem:
    """A reason for which a post would not be accepted.

    Attributes:
        field: "title", "caption" or "options"; None: it is about none of them.
        reason: for people.
    """

    field: str | None
    reason: str


@dataclass
class PublicationPayload:
    """The requests of one post, and what would keep it back."""

    publication: Publication
    account: Account
    requests: list[BuiltRequest] = field(default_factory=list)
    problems: list[PayloadProblem] = field(default_factory=list)


@dataclass(frozen=True)
class _JobRows:
    job: Job
    segments: dict[str, Segment]
    settings: list[PostSettings]
    waiting: list[Publication]
    accounts: dict[str, Account]


def of_job(machine: Machine, job_id: str, reads: PlatformReads) -> list[PublicationPayload] | None:
    """Return the requests of the posts of a job that have not begun, by part; None if there is no such job.

    Args:
        machine: for its store and publishers.
        job_id: of the job.
        reads: answers the requests that only read.
    """
    with machine.store.reading() as connection:
        rows = _fetch(connection, job_id)
    if rows is None:
        return None
    usable = {account.id: _usable(machine, account) for account in rows.accounts.values()}
    return [_payload(machine, rows, one, usable[one.account_id], reads) for one in rows.waiting]


def _fetch(connection: Connection, job_id: str) -> _JobRows | None:
    job = jobs.get(connection, job_id)
    if job is None:
        return None
    waiting = [one for one in publications.of_job(connection, job_id) if one.status is PublicationStatus.WAITING]
    owners = (accounts.get(connection, name) for name in sorted({one.account_id for one in waiting}))
    return _JobRows(
        job,
        {part.id: part for part in segments.of_job(connection, job_id)},
        post_settings.of_job(connection, job_id),
        waiting,
        {owner.id: owner for owner in owners if owner is not None},
    )


def _usable(machine: Machine, account: Account) -> AuthorizedAccount | PlatformError:
    """Return an account with a valid token, or why it has none."""
    try:
        return tokens.get_access(machine, account.id).account
    except PlatformError as error:
        return error


def _payload(
    machine: Machine,
    rows: _JobRows,
    publication: Publication,
    usable: AuthorizedAccount | PlatformError,
    reads: PlatformReads,
) -> PublicationPayload:
    account = rows.accounts[publication.account_id]
    found = PublicationPayload(publication, account)
    words = post_words.resolve(rows.job, rows.settings, place := post_words.place_of(publication, rows.job))
    try:
        word_commands.check(words, place, machine.publishing_options, publication.segment_number)
    except WordsRefused as refused:
        found.problems.append(PayloadProblem(refused.field, refused.detail))
        return found
    if isinstance(usable, PlatformError):
        found.problems.append(PayloadProblem(None, usable.reason))
    as_shown = replace(publication, words=vars(words))
    part = rows.segments[publication.segment_id]
    definition = registry.PLATFORMS[publication.platform]
    with part_file(machine, part) as video:
        run = dry_run.build(
            machine.publisher(publication.platform),
            create_post(machine, as_shown, part, rows.job, video),
            _without_token(account) if isinstance(usable, PlatformError) else usable,
            definition.dry_answers(machine.hosts),
            _no_reads if isinstance(usable, PlatformError) else _reader(reads, account.id),
        )
    found.requests += run.requests
    if run.error is not None:
        found.problems.append(PayloadProblem(None, run.error.reason))
    return found


def _reader(reads: PlatformReads, account_id: str) -> Callable[[OutgoingRequest], Response | None]:
    return lambda request: reads.get(account_id, request)


def _no_reads(_: OutgoingRequest) -> None:
    return None


def _without_token(account: Account) -> AuthorizedAccount:
    return AuthorizedAccount(
        account.id, account.platform, account.variant, account.remote_id, account.name, access_token=NO_TOKEN
    )
