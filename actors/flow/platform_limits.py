"""Finds how many posts the platform itself takes, besides the schedule: as it answered last, else as it is documented.

Instagram is asked before each post, also about posts of other apps. Google offers no such question to an app that may
only upload: what is known are our own uploads of the day, on all channels, and `quotaExceeded` once it is too late.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from actors.flow.turns import PostLimit
from actors.flow.upload_windows import DAY, known_zone, local_day
from platforms.contract import QuotaAnswer
from platforms.definition import DocumentedLimit
from platforms.registry import PLATFORMS
from store import post_quotas
from store.accounts import Account
from store.post_quotas import PostQuota


@dataclass(frozen=True)
class KnownLimit:
    """The limit that a platform sets for an account.

    Attributes:
        limit: as the scheduler uses it.
        documented: as the platform documents it.
        answer: the platform's last one; None: it was never asked.
    """

    limit: PostLimit
    documented: DocumentedLimit
    answer: PostQuota | None


def of(connection: Connection, account: Account, now: datetime) -> KnownLimit | None:
    """Return the platform's limit for an account; None if the platform documents none."""
    documented = PLATFORMS[account.platform].post_limit
    if documented is None:
        return None
    if documented.day_zone is not None:
        return KnownLimit(
            _limit_of_app(connection, account, documented.posts, documented.day_zone, now), documented, None
        )
    answer = post_quotas.get(connection, account.id)
    if answer is None:
        return KnownLimit(PostLimit(documented.posts), documented, None)
    return KnownLimit(
        PostLimit(answer.total or documented.posts, answer.others, answer.read_at + DAY), documented, answer
    )


def _limit_of_app(connection: Connection, account: Account, posts: int, day_zone: str, now: datetime) -> PostLimit:
    zone = known_zone(day_zone)
    today = local_day(now, zone)
    others = post_quotas.count_started_on_others(connection, account.platform, account.id, today.begin)
    return PostLimit(posts, others, today.end, zone)


def record(connection: Connection, account_id: str, answer: QuotaAnswer, now: datetime) -> None:
    """Store a platform's answer; of the posts that it counts, those that are not ours are those of other apps.

    Args:
        connection: inside `Store.writing`.
        account_id: of the account.
        answer: the platform's.
        now: when it was given.
    """
    others = max(0, answer.used - post_quotas.count_published(connection, account_id, now))
    quota = PostQuota(
        account_id=account_id,
        total=answer.total,
        others=others if answer.reason is None else 0,
        read_at=now,
        reason=answer.reason,
    )
    post_quotas.put(connection, quota)
