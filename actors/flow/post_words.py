"""The words and options of a publication: those of the most exact setting, field by field.

    publication  >  part  >  platform  >  job

A publication keeps its words once its first step has begun (`freeze`). So what is shown is what is sent, and a step
that runs again finds the words of the run before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import Connection

from actors.recovery.upload_record import UNKNOWN_NAME
from platforms import registry
from platforms.default_title import default_title, public_title
from platforms.wording import fill, is_template, numbered_title
from store import jobs, post_settings, publications
from store.accounts import Account
from store.jobs import Job
from store.post_settings import ALL_PARTS, ALL_TARGETS, PostSettings
from store.publications import Publication
from store.states import PUBLICATION_UNPUBLISHED, PublicationStatus


@dataclass(frozen=True)
class PostWords:
    """The words and options of one post, as they are sent.

    Attributes:
        title: with the number of its part.
        caption: without placeholders.
        options: of the platform's model.
    """

    title: str
    caption: str
    options: Mapping[str, Any]  # Any: JSON


@dataclass(frozen=True)
class PostPlace:
    """The place of a post: a part on an account."""

    platform: str
    account_id: str
    part: int
    parts: int


def resolve(job: Job, settings: Iterable[PostSettings], place: PostPlace) -> PostWords:
    """Return the words and options of a post."""
    layers = _layers(settings, place)
    template = next((layer.caption for layer in layers if layer.caption is not None), job.caption)
    caption = _filled(template, job, place).strip()
    given = next((layer.title for layer in layers if layer.title is not None), None)
    return PostWords(_title(given, caption, job, place), caption, _options(job, layers, place))


def _title(given: str | None, caption: str, job: Job, place: PostPlace) -> str:
    """Return the title of a post; `given` is that of its settings, None if it has the video's."""
    if given == "":
        return ""
    title = job.title if given is None else given
    if not title:
        day, needs_title = job.created_at.date(), _has_titles(place)
        title = public_title("", caption, _file_name(job), day, needs_title=needs_title)
    elif is_template(title):
        return _filled(title, job, place).strip()
    return numbered_title(title, place.part, place.parts)


def _filled(template: str, job: Job, place: PostPlace) -> str:
    return fill(template, title=_own_title(job, place), part=place.part, parts=place.parts)


def _layers(settings: Iterable[PostSettings], place: PostPlace) -> list[PostSettings]:
    """Return the settings that apply to a place, the most exact first."""
    found = {one.key: one for one in settings}
    keys = ((place.part, place.account_id), (place.part, ALL_TARGETS), (ALL_PARTS, place.platform))
    return [found[key] for key in keys if key in found]


def _own_title(job: Job, place: PostPlace) -> str:
    """Return what `{title}` stands for: the title of the video without the default numbering."""
    caption = fill(job.caption, title="", part=place.part, parts=place.parts)
    own = video_title(job, place.part, place.parts)
    return own or default_title(caption, _file_name(job), job.created_at.date())


def video_title(job: Job, part: int, parts: int) -> str:
    """Return the title of a video as its creator gave it, with the numbers of a part in place of placeholders."""
    return fill(job.title, title="", part=part, parts=parts).strip()


def _file_name(job: Job) -> str:
    return "" if job.original_name == UNKNOWN_NAME else job.original_name


def _has_titles(place: PostPlace) -> bool:
    return place.platform in registry.PLATFORMS and registry.PLATFORMS[place.platform].needs_title


def _options(job: Job, layers: Iterable[PostSettings], place: PostPlace) -> dict[str, Any]:  # Any: JSON
    given = [layer.options for layer in layers if layer.options is not None]
    merged = dict((job.post_options or {}).get(place.platform, {}))
    for options in reversed(given):
        merged |= options
    return merged


def is_chosen(job: Job, account: Account) -> bool:
    """Return whether the parts of a job are to be published on an account; never on another owner's."""
    if account.owner_id != job.owner_id:
        return False
    if job.accounts is not None:
        return account.id in job.accounts
    return job.platforms is None or account.platform in job.platforms


def place_of(publication: Publication, job: Job) -> PostPlace:
    """Return the place of a publication."""
    return PostPlace(publication.platform, publication.account_id, publication.segment_number, job.segment_count or 1)


def is_editable(publication: Publication) -> bool:
    """Return whether the words of a publication may still be changed: it has not begun, or can be retried."""
    if publication.status is PublicationStatus.PUBLISHING:
        return publication.step is None and publication.words is None
    return publication.status in PUBLICATION_UNPUBLISHED | {PublicationStatus.WAITING}


def shown(publication: Publication, job: Job, settings: Iterable[PostSettings]) -> PostWords:
    """Return the words that were sent; those that would be sent now if its first step has not begun."""
    if publication.words is not None and not is_editable(publication):
        return PostWords(**publication.words)
    return resolve(job, settings, place_of(publication, job))


def freeze(connection: Connection, publication: Publication) -> Publication:
    """Store what is sent, in the transaction in which the first step begins; return the publication with it."""
    job = jobs.get(connection, publication.job_id)
    if publication.words is not None or job is None:
        return publication
    words = asdict(resolve(job, post_settings.of_job(connection, job.id), place_of(publication, job)))
    publications.set_words(connection, publication.id, words)
    return replace(publication, words=words)
