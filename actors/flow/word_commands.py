"""The commands that change words, options and times of posts, until their first step begins.

Each is one transaction, in which the change is checked against every post that it concerns. The publisher freezes the
words of a post in a transaction, too: so it sends either those before or those after a change, and never others than
those shown.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from loguru import logger
from sqlalchemy import Connection

from actors.flow import post_words, publication_history, timing
from actors.flow.forecast import Prediction
from actors.flow.post_words import PostPlace, PostWords, resolve
from actors.flow.publication_commands import NotPossible
from actors.flow.timing import TimeChange
from actors.machine import Machine
from platforms import registry
from platforms.definition import PublishingOptions
from platforms.errors import Rejected
from platforms.post_options import require
from store import accounts, jobs, post_settings, publications
from store.jobs import Job
from store.post_settings import ALL_PARTS, ALL_TARGETS, PostSettings
from store.publications import Publication

WIDEST_PART = 999
"""Number of parts for which words are checked before the parts are known: the longest numbering."""

AS_IT_IS = TimeChange()
Values = Mapping[str, Any]  # Any: texts and JSON; of "title", "caption" and "options", those that change


class WordsRefused(Exception):
    """A platform would not accept the words or options of a post.

    Attributes:
        field: "title", "caption" or "options".
        platform: that refuses.
        part: number of the part; None before the parts are known.
        code: stable, for programs.
        detail: a sentence for a person.
    """

    def __init__(self, field_name: str, platform: str, part: int | None, refused: Rejected) -> None:
        super().__init__(field_name, platform, part, refused.code)
        self.field = field_name
        self.platform = platform
        self.part = part
        self.code = refused.code
        self.detail = refused.detail


@dataclass(frozen=True)
class JobWords:
    """A change of the words of a job: of all its posts, by platform and by part; None is inherited again."""

    job: Values = field(default_factory=dict)
    platforms: Mapping[str, Values] = field(default_factory=dict)
    parts: Mapping[int, Values] = field(default_factory=dict)


def change_job(machine: Machine, job_id: str, change: JobWords, time: TimeChange = AS_IT_IS) -> None:
    """Change words, options and times of the posts of a job that have not begun; the others keep theirs.

    Args:
        machine: for its store.
        job_id: of the job.
        change: of words and options.
        time: of all posts.

    Raises:
        NotPossible: "unknown", "no_such_part", "files_deleted"; "publication_started" if all posts have begun.
        WordsRefused: nothing is changed.
    """
    with machine.store.writing(job=job_id) as connection:
        job = jobs.get(connection, job_id)
        if job is None:
            raise NotPossible("unknown", "there is no such job")
        if not time or change != JobWords():
            _change_words(machine, connection, job, change)
        if time:
            _require_files(job)
            timing.change_job(machine, connection, job, time)
    logger.info("Job {}: posts changed", job_id)


def _change_words(machine: Machine, connection: Connection, job: Job, change: JobWords) -> None:
    posts = _begin_change(connection, job)
    if job.segment_count is not None:
        _check_parts(job, change)
    if publications.has_any(connection, job.id):
        _check_scope(posts, change)
    if change.job:
        job = _set_own(connection, job, change.job)
    for platform, values in change.platforms.items():
        _put(connection, job.id, ALL_PARTS, platform, values)
    for number, values in change.parts.items():
        _put(connection, job.id, number, ALL_TARGETS, values)
    _check(machine, connection, job, posts)


def _set_own(connection: Connection, job: Job, values: Values) -> Job:
    """Store the words of a whole job; one that is inherited again is empty. Return the changed job."""
    changed = replace(
        job,
        title=values.get("title", job.title) or "",
        caption=values.get("caption", job.caption) or "",
    )
    jobs.set_words(connection, job.id, title=changed.title, caption=changed.caption)
    return changed


def change_publication(
    machine: Machine,
    publication_id: str,
    values: Values,
    time: TimeChange = AS_IT_IS,
    predictions: Mapping[str, Prediction] = MappingProxyType({}),
) -> None:
    """Change words, options and time of a publication that has not begun.

    Args:
        machine: for its store.
        publication_id: of the publication.
        values: its words and options.
        time: when it goes out.
        predictions: of waiting publications, by id, for its time.

    Raises:
        NotPossible: "unknown", "files_deleted", "publication_started", and those of `change_post`.
        WordsRefused: nothing is changed.
    """
    with machine.store.writing(publication=publication_id) as connection:
        found = publications.get(connection, publication_id)
        job = None if found is None else jobs.get(connection, found.job_id)
        if found is None or job is None:
            raise NotPossible("unknown", "there is no such publication")
        if values or not time:
            posts = _begin_change(connection, job)
            if found.id not in {post.id for post in posts}:
                raise _started("this post")
            _put(connection, job.id, found.segment_number, found.account_id, values)
            _check(machine, connection, job, [found])
            publication_history.record_person(
                machine, connection, [found.id], f"A person changes the post: {', '.join(sorted(values))}"
            )
        if time:
            timing.change_post(machine, connection, found, job, time, predictions)
    logger.info("Publication {}: changed", publication_id)


def _require_files(job: Job) -> None:
    if job.files_deleted_at is not None:
        raise NotPossible("files_deleted", "the files of this job are deleted; nothing more is published")


def _begin_change(connection: Connection, job: Job) -> list[Publication]:
    """Return the publications whose words may change; freeze those of the others."""
    _require_files(job)
    found = publications.of_job(connection, job.id)
    for publication in found:
        if publication.step is not None and not post_words.is_editable(publication):
            post_words.freeze(connection, publication)  # it may have begun before the column `words` was added
    return [publication for publication in found if post_words.is_editable(publication)]


def _check_parts(job: Job, change: JobWords) -> None:
    """Refuse a change of a part that a planned video does not have."""
    for number in change.parts:
        if number > (job.segment_count or 0):
            raise NotPossible("no_such_part", f"the video has {job.segment_count} parts; there is no part {number}")


def _check_scope(posts: Sequence[Publication], change: JobWords) -> None:
    """Refuse a change that would have no effect, since all posts that it concerns have begun."""
    if change.job and not posts:
        raise _started("every post of this video")
    for platform in change.platforms:
        if not any(post.platform == platform for post in posts):
            raise _started(f"every post on {registry.display_name(platform)}")
    for number in change.parts:
        if not any(post.segment_number == number for post in posts):
            raise _started(f"every post of part {number}")


def _started(what: str) -> NotPossible:
    return NotPossible("publication_started", f"{what} has begun or is over; its words can no longer be changed")


def _put(connection: Connection, job_id: str, number: int, target: str, values: Values) -> None:
    stored = {one.key: one for one in post_settings.of_job(connection, job_id)}
    before = stored.get((number, target)) or PostSettings(job_id=job_id, segment_number=number, target=target)
    post_settings.put(connection, replace(before, **values))


def _check(machine: Machine, connection: Connection, job: Job, posts: Collection[Publication]) -> None:
    settings = post_settings.of_job(connection, job.id)
    publishing = machine.publishing_options
    if job.segment_count is not None:
        for post in posts:
            place = post_words.place_of(post, job)
            if place.platform not in registry.PLATFORMS:  # no longer supported
                continue
            check(resolve(job, settings, place), place, publishing, part=post.segment_number)
        return
    for account in accounts.connected(connection, job.owner_id):
        if post_words.is_chosen(job, account):
            check_any_part(job, settings, publishing, account.platform, account.id)


def check_any_part(
    job: Job, settings: Sequence[PostSettings], publishing: PublishingOptions, platform: str, account_id: str = ""
) -> None:
    """Check the posts of a job on a platform before its parts are known: a single one, and the widest numbering.

    Raises:
        WordsRefused: see there.
    """
    numbers = {one.segment_number for one in settings} - {ALL_PARTS}
    places = [PostPlace(platform, account_id, 1, 1)]
    places += [PostPlace(platform, account_id, part, WIDEST_PART) for part in sorted({WIDEST_PART, *numbers})]
    for place in places:
        check(resolve(job, settings, place), place, publishing)


def check(words: PostWords, place: PostPlace, publishing: PublishingOptions, part: int | None = None) -> None:
    """Check the words and options of a post against its platform.

    Args:
        words: of the post.
        place: of the post.
        publishing: decides which options a post must have.
        part: number of the part; None before the parts are known.

    Raises:
        WordsRefused: see there.
    """
    platform = registry.PLATFORMS[place.platform]
    at_fault = "options"
    try:
        platform.options.read(words.options)
        require(words.options, platform.required_options(publishing), platform.display_name)
        at_fault = "title"
        platform.compose(words.title, "")
        at_fault = "caption"
        platform.compose(words.title, words.caption)
    except Rejected as refused:
        raise WordsRefused(at_fault, place.platform, part, refused) from refused
