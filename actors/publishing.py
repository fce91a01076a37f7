"""The state machine that brings one part onto one account, one short step a message.

Each step is recorded before and after it touches the network:

    take      holder := this message              (one transaction; a holder found there was cut off in mid-step)
    advance   the publisher carries out one step  (no transaction open)
    record    handle, next step, next message     (one transaction; compare-and-set on the holder)

So a process may die between any two instructions: the message comes back, finds its own name as holder, and tells the
publisher that this very step was begun before. After an unclear answer the same happens, by the flag `unclear`. The
publisher then asks what became of it instead of doing it again.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from dramatiq.middleware import CurrentMessage
from loguru import logger
from sqlalchemy import Connection

from actors import tokens, wiring
from actors.announce import announce, part_facts
from actors.media_links import media_url
from actors.settling import settle
from actors.turns import release
from platforms import errors
from platforms.contract import Account, ActionNeeded, Advanced, Handle, Outcome, Post, Published, Publisher
from store import accounts, jobs, publications, segments
from store.jobs import Job
from store.publications import Publication
from store.segments import Segment
from store.states import PUBLICATION_WELL, AccountStatus, PublicationStatus

STEP_DEADLINE = timedelta(minutes=15)  # 60 MB over a slow line; no step takes longer
EARLY = timedelta(seconds=2)  # a message this much before its step's time is the right one; an earlier one is a stray
GIVE_UP_AFTER = timedelta(hours=24)  # of one step's tries; containers and sessions of the platforms live no longer
ACCOUNT_REST = timedelta(hours=24)  # for an account that the platform blocks for now


def step(publication_id: str, holder: str) -> None:
    """Carry out the next step of a publication, or nothing if it is over, not due, or in other hands.

    Args:
        publication_id: which one.
        holder: the id of the message that asks for it; the same when the message comes back after a crash.
    """
    before = _take(publication_id, holder)
    if before is None:
        _look_again(publication_id)
        return
    _Step(before, holder).run()


def message_id() -> str:
    """Return the id of the message that this thread works on."""
    message = CurrentMessage.get_current_message()
    assert message is not None  # actors run under a worker; tests hand ids of their own to `step`
    return message.message_id


def _take(publication_id: str, holder: str) -> Publication | None:
    now = wiring.now()
    with wiring.store.writing() as connection:
        found = publications.get(connection, publication_id)
        if found is None or (found.holder is None and found.next_at is not None and found.next_at > now + EARLY):
            return None
        return publications.take(connection, publication_id, holder, now=now, until=now + STEP_DEADLINE)


class _Step:
    """One step of one publication, from the right to carry it out to its record."""

    def __init__(self, before: Publication, holder: str) -> None:
        self.publication = before
        self.holder = holder
        self.interrupted = before.holder is not None or before.unclear
        self.publisher: Publisher = wiring.publisher(before.platform)
        self.handle: Handle | None = None

    def run(self) -> None:
        try:
            account = tokens.usable(self.publication.account_id)
            post = self._post()
            self.handle = self._handle(post, account)
            self._record(self._advance(post, account))
        except errors.PlatformError as error:
            self._failed(error)

    def _post(self) -> Post:
        with wiring.store.reading() as connection:
            segment = segments.get(connection, self.publication.segment_id)
            job = jobs.get(connection, self.publication.job_id)
        assert segment is not None
        assert job is not None  # foreign keys hold both
        return _post(self.publication, segment, job)

    def _handle(self, post: Post, account: Account) -> Handle:
        """Return the handle to go on from; the first one is stored before the first step is carried out."""
        stored = self.publication
        if stored.handle is not None and stored.step is not None:
            return Handle(stored.step, wiring.sealer.open(stored.handle))
        handle = self.publisher.begin(post, account)
        self.interrupted = False  # nothing was ever sent
        with wiring.store.writing() as connection:
            publications.record_intent(
                connection, stored.id, self.holder, step=handle.step, handle=wiring.sealer.seal(dict(handle.facts))
            )
        return handle

    def _advance(self, post: Post, account: Account) -> Outcome:
        assert self.handle is not None
        try:
            return self.publisher.advance(post, account, self.handle, interrupted=self.interrupted)
        except errors.Reconnect as dead:
            if not dead.refreshable:
                raise
            # The platform refused the token before it did anything: the same step again, once, with a fresh one.
            return self.publisher.advance(post, tokens.refreshed(account.id), self.handle, interrupted=self.interrupted)

    def _record(self, outcome: Outcome) -> None:
        sealed = wiring.sealer.seal(dict(outcome.handle.facts))
        with wiring.store.writing() as connection:
            if isinstance(outcome, Advanced):
                after_s = outcome.again_after_s
                moment = wiring.now() + timedelta(seconds=after_s)
                if publications.advance(
                    connection,
                    self.publication.id,
                    self.holder,
                    step=outcome.handle.step,
                    handle=sealed,
                    next_at=moment,
                ):
                    self._again(after_s)
            else:
                self._succeeded(connection, outcome, sealed)

    def _succeeded(self, connection: Connection, outcome: Published | ActionNeeded, sealed: bytes) -> None:
        published = isinstance(outcome, Published)
        ended = publications.end(
            connection,
            self.publication.id,
            self.holder,
            PublicationStatus.PUBLISHED if published else PublicationStatus.ACTION_NEEDED,
            now=wiring.now(),
            remote_id=outcome.remote_id,
            link=outcome.link if isinstance(outcome, Published) else None,
            reason=outcome.note if isinstance(outcome, ActionNeeded) else None,
            code=outcome.note if isinstance(outcome, ActionNeeded) else None,
            step=outcome.handle.step,
            handle=sealed,
        )
        if not ended:
            return
        if outcome.again_after_s is not None:
            self._again(outcome.again_after_s)
        kind = "publication.published" if published else "publication.action_needed"
        self._ended(connection, kind)

    def _failed(self, error: errors.PlatformError) -> None:
        logger.warning("publication {} on {}: {}", self.publication.id, self.publication.platform, error)
        match error:
            case errors.RateLimited():
                self._rest(error)
                self._try_again(error, error.retry_after_s, unclear=self.interrupted)
            case errors.TryLater():
                self._try_again(error, error.retry_after_s, unclear=self.interrupted)
            case errors.Unclear():
                self._try_again(error, error.retry_after_s, unclear=True)
            case errors.Reconnect():
                tokens.needs_reconnect(self.publication.account_id, error.detail)
                self._try_again(error, 60.0, unclear=self.interrupted, send=False)
            case errors.OutcomeUnknown():
                self._end(PublicationStatus.OUTCOME_UNKNOWN, error, "publication.outcome_unknown")
            case errors.AccountRefused():
                self._refuse_account(error)
                self._end(PublicationStatus.FAILED, error, "publication.failed")
            case _:
                self._end(PublicationStatus.FAILED, error, "publication.failed")

    def _try_again(self, error: errors.PlatformError, after_s: float, *, unclear: bool, send: bool = True) -> None:
        began = self.publication.started_at or self.publication.created_at
        if isinstance(error, errors.Unclear) and wiring.now() - began > GIVE_UP_AFTER:
            self._end(PublicationStatus.OUTCOME_UNKNOWN, error, "publication.outcome_unknown")
            return
        with wiring.store.writing() as connection:
            if publications.put_back(
                connection,
                self.publication.id,
                self.holder,
                tries=self.publication.tries + 1,
                unclear=unclear,
                next_at=wiring.now() + timedelta(seconds=after_s),
                code=error.code,
                reason=error.detail,
            ) and send:  # fmt: skip
                self._again(after_s)

    def _rest(self, limit: errors.RateLimited) -> None:
        until = wiring.now() + timedelta(seconds=limit.retry_after_s)
        with wiring.store.writing() as connection:
            for account in accounts.every(connection):
                concerned = account.platform == self.publication.platform and limit.scope == "app"
                if concerned or account.id == self.publication.account_id:
                    accounts.pause(connection, account.id, until, limit.detail)

    def _refuse_account(self, error: errors.AccountRefused) -> None:
        with wiring.store.writing() as connection:
            accounts.set_status(connection, self.publication.account_id, AccountStatus.REFUSED, error.detail)

    def _end(self, status: PublicationStatus, error: errors.PlatformError, kind: str) -> None:
        with wiring.store.writing() as connection:
            if publications.end(
                connection,
                self.publication.id,
                self.holder,
                status,
                now=wiring.now(),
                code=error.code,
                reason=error.detail,
            ):
                self._ended(connection, kind)

    def _ended(self, connection: Connection, kind: str) -> None:
        publication = publications.get(connection, self.publication.id)
        job = jobs.get(connection, self.publication.job_id)
        if publication is None or job is None:
            return
        announce(
            connection, kind, job, link=publication.link, remote_id=publication.remote_id, code=publication.code,
            reason=publication.reason, **part_facts(publication, job),
        )  # fmt: skip
        settle(connection, job.id)
        release(connection)

    def _again(self, after_s: float) -> None:
        wiring.send(f"publish_{self.publication.platform}", self.publication.id, delay_s=after_s)


def _look_again(publication_id: str) -> None:
    """Ask once more about a post that is out but whose link, or whose owner's last tap, is still awaited."""
    with wiring.store.reading() as connection:
        found = publications.get(connection, publication_id)
        segment = segments.get(connection, found.segment_id) if found else None
        job = jobs.get(connection, found.job_id) if found else None
    if found is None or segment is None or job is None or found.handle is None or found.step is None:
        return
    if found.status not in PUBLICATION_WELL:
        return
    handle = Handle(found.step, wiring.sealer.open(found.handle))
    again_s: float | None = 300.0
    outcome: Outcome | None = None
    try:
        account = tokens.usable(found.account_id)
        outcome = wiring.publisher(found.platform).advance(
            _post(found, segment, job), account, handle, interrupted=False
        )
        again_s = outcome.again_after_s
    except (errors.TryLater, errors.Unclear) as error:
        again_s = error.retry_after_s
    except errors.PlatformError as error:
        logger.info("publication {}: nothing more to learn: {}", publication_id, error)
        again_s = None
    with wiring.store.writing() as connection:
        if outcome is not None:
            _learn(connection, found, job, outcome)
        if again_s is not None and wiring.now() - _ended_at(found) < GIVE_UP_AFTER:
            wiring.send(f"publish_{found.platform}", publication_id, delay_s=again_s)


def _learn(connection: Connection, found: Publication, job: Job, outcome: Outcome) -> None:
    sealed = wiring.sealer.seal(dict(outcome.handle.facts))
    if isinstance(outcome, Advanced):
        publications.set_link(
            connection, found.id, step=outcome.handle.step, remote_id=found.remote_id, link=found.link, handle=sealed
        )
        return
    link = outcome.link if isinstance(outcome, Published) else found.link
    publications.set_link(
        connection, found.id, step=outcome.handle.step, remote_id=outcome.remote_id, link=link, handle=sealed
    )
    posted = isinstance(outcome, Published) and publications.mark_published(connection, found.id)
    if posted or (link is not None and found.link is None):
        announce(
            connection, "publication.published", job, link=link, remote_id=outcome.remote_id, **part_facts(found, job)
        )


def _ended_at(publication: Publication) -> datetime:
    return publication.ended_at or publication.created_at


def _post(publication: Publication, segment: Segment, job: Job) -> Post:
    video = wiring.in_data(segment.file_path)
    return Post(
        publication_id=publication.id,
        video=video,
        size_bytes=segment.size_bytes or 0,
        duration_s=segment.duration or 0.0,
        title=job.title or job.original_name,
        caption=job.caption,
        part=segment.segment_number,
        parts=job.segment_count or 1,
        media_url=media_url(job.id, segment.segment_number),
        gaze_corrected=bool(segment.gaze and segment.gaze.get("corrected")),
    )
