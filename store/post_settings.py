"""Post settings: the words and options that a creator gave for one platform, one part or one publication of a job.

Those of a whole job are columns of `jobs`. A value that is None is inherited.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import Connection, select

from store import rows
from store.tables import post_settings

ALL_PARTS = 0
ALL_TARGETS = ""


@dataclass(frozen=True, kw_only=True)
class PostSettings:
    """The settings of some posts of a job. Columns are explained in `store.tables`."""

    job_id: str
    segment_number: int = ALL_PARTS
    target: str = ALL_TARGETS
    title: str | None = None
    caption: str | None = None
    options: dict[str, Any] | None = None  # Any: JSON, validated by the platform's model

    @property
    def key(self) -> tuple[int, str]:
        """The posts that they are for."""
        return (self.segment_number, self.target)


def of_job(connection: Connection, job_id: str) -> list[PostSettings]:
    """Return the settings of a job."""
    query = select(post_settings).where(post_settings.c.job_id == job_id)
    return rows.fetch_all(
        connection, query.order_by(post_settings.c.segment_number, post_settings.c.target), PostSettings
    )


def renumber(connection: Connection, job_id: str, sources: Mapping[int, int]) -> None:
    """Move the settings of parts to other numbers.

    Args:
        connection: inside `Store.writing`.
        job_id: of the job.
        sources: old numbers by new ones; an old number may be there several times, or not at all.
    """
    by_number: dict[int, list[PostSettings]] = defaultdict(list)
    for one in of_job(connection, job_id):
        by_number[one.segment_number].append(one)
    mine = (post_settings.c.job_id == job_id, post_settings.c.segment_number != ALL_PARTS)
    connection.execute(post_settings.delete().where(*mine))
    for number, source in sources.items():
        for one in by_number[source]:
            put(connection, replace(one, segment_number=number))


def put(connection: Connection, settings: PostSettings) -> None:
    """Store the settings of some posts in place of those before."""
    mine = (
        post_settings.c.job_id == settings.job_id,
        post_settings.c.segment_number == settings.segment_number,
        post_settings.c.target == settings.target,
    )
    connection.execute(post_settings.delete().where(*mine))
    if (settings.title, settings.caption, settings.options) != (None, None, None):
        connection.execute(post_settings.insert().values(**asdict(settings)))
