"""The texts of notices, composed from the state of the database at the moment at which a notice is sent.

So a notice says what is true now: 40 failed parts are one text, and what was solved meanwhile needs none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection

from platforms import registry
from store import accounts, jobs, publications, segments
from store.jobs import Job
from store.notices import Notice
from store.publications import Publication
from store.states import (
    PUBLICATION_UNPUBLISHED,
    AccountStatus,
    JobStatus,
    NoticeKind,
    PublicationStatus,
    SegmentStatus,
)

MAX_NAME_CHARS = 60
MAX_TITLE_CHARS = 100
MAX_BODY_CHARS = 300


@dataclass(frozen=True)
class NoticeText:
    """The text of a notice."""

    title: str
    body: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "title", _clipped(self.title, MAX_TITLE_CHARS))
        object.__setattr__(self, "body", _clipped(self.body, MAX_BODY_CHARS))


def compose(connection: Connection, notice: Notice) -> NoticeText | None:
    """Return the text of a notice; None if there is nothing to say any more."""
    if notice.kind is NoticeKind.TEST:
        return NoticeText(
            "VidProd can reach you", "This is a test. A real notice says what is done, or what needs you."
        )
    if notice.account_id is not None:
        return _about_account(connection, notice.account_id)
    job = jobs.get(connection, notice.job_id or "")
    if job is None:
        return None
    if notice.kind is NoticeKind.FINISHED and job.status not in {JobStatus.COMPLETED, JobStatus.COMPLETED_WITH_ERRORS}:
        return None  # it was retried meanwhile
    posts = publications.of_job(connection, job.id)
    if not posts:
        return _about_parts(connection, job, notice.kind)
    return _finished(job, posts) if notice.kind is NoticeKind.FINISHED else _needs_you(job, posts)


def _about_parts(connection: Connection, job: Job, kind: NoticeKind) -> NoticeText | None:
    """Return the text about a job that is not published anywhere."""
    if kind is NoticeKind.NEEDS_YOU and job.status in {JobStatus.FAILED, JobStatus.CANCELLED}:
        return _needs_you(job, [])
    parts = segments.of_job(connection, job.id)
    failed = sum(part.status is SegmentStatus.FAILED for part in parts)
    if failed:
        what = "1 part" if failed == 1 else f"{failed} parts"
        return NoticeText(f"{_name(job)} needs you", f"{what} could not be rendered. Open it to see why.")
    if kind is NoticeKind.NEEDS_YOU:
        return None
    return NoticeText(
        f"{_name(job)} is ready", "All parts are rendered. No account is connected, so nothing is published."
    )


def _about_account(connection: Connection, account_id: str) -> NoticeText | None:
    account = accounts.get(connection, account_id)
    if account is None:
        return None
    platform, name = registry.display_name(account.platform), _clipped(account.name, MAX_NAME_CHARS)
    match account.status:
        case AccountStatus.RECONNECT:
            return NoticeText(f"Connect {platform} again", f"VidProd can no longer post as {name}. Its posts wait.")
        case AccountStatus.REFUSED:
            return NoticeText(f"{platform} needs you", f"{platform} does not let {name} post. Its posts wait.")
        case _:
            return None


def _needs_you(job: Job, posts: list[Publication]) -> NoticeText | None:
    match job.status:
        case JobStatus.CANCELLED:
            return None
        case JobStatus.FAILED:
            return NoticeText(f"{_name(job)} was not published", job.error or "Open it to see why, and to try again.")
        case JobStatus.REVIEW:
            return NoticeText(f"{_name(job)} waits for you", "Its parts are not published before you approve them.")
    counts = _waiting_for_person(posts)
    if not counts:
        return None
    count = sum(counts.values())
    return NoticeText(f"{_posts(count)} {'needs' if count == 1 else 'need'} you", f"{_name(job)}: {_reasons(counts)}")


def _finished(job: Job, posts: list[Publication]) -> NoticeText:
    published = [post for post in posts if post.status is PublicationStatus.PUBLISHED]
    where = _list(sorted({registry.display_name(post.platform) for post in published}))
    counts = _waiting_for_person(posts)
    out = f"{_posts(len(published))} {'is' if len(published) == 1 else 'are'} out on {where}" if published else ""
    if counts:
        facts = ". ".join(filter(None, (out, _capital(_reasons(counts)))))
        return NoticeText(f"{_name(job)} is finished, but needs you", f"{facts}.")
    return NoticeText(f"{_name(job)} is out", f"{out}.")


def _waiting_for_person(posts: Iterable[Publication]) -> Counter[str]:
    """Return how many posts wait for a person, by reason."""
    counts: Counter[str] = Counter()
    for post in posts:
        if post.status in PUBLICATION_UNPUBLISHED:
            counts["failed"] += 1
        elif post.status is PublicationStatus.OUTCOME_UNKNOWN:
            counts["unknown"] += 1
        elif post.status is PublicationStatus.ACTION_NEEDED:
            counts[registry.display_name(post.platform)] += 1
    return counts


def _reasons(counts: Counter[str]) -> str:
    texts = []
    for reason, count in counts.items():
        if reason == "failed":
            texts.append(f"{count} {'was' if count == 1 else 'were'} not published")
        elif reason == "unknown":
            texts.append(f"{count} may or may not be published")
        else:
            texts.append(f"{count} {'waits' if count == 1 else 'wait'} as {_drafts(count)} in the {reason} app")
    return _list(texts)


def _drafts(count: int) -> str:
    return "a draft" if count == 1 else "drafts"


def _posts(count: int) -> str:
    return "1 post" if count == 1 else f"{count} posts"


def _list(items: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(items[:-1]), items[-1] if items else "")))


def _name(job: Job) -> str:
    name = job.title.strip() or job.original_name.strip()
    return f"“{_clipped(name, MAX_NAME_CHARS)}”" if name else "Your video"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _clipped(text: str, limit: int) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else f"{flat[: limit - 1].rstrip()}…"
