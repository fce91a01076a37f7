"""Upload windows and limits: /schedule for platforms, /accounts/{account_id}/schedule for single accounts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import falcon
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, RootModel, WithJsonSchema
from sqlalchemy import Connection

from actors.flow import account_schedules, platform_limits
from actors.flow.platform_limits import KnownLimit
from actors.flow.scheduling import start_due
from api.http import json_body
from api.http.auth import owner_of
from api.http.problems import invalid_field, not_found
from api.resources import documents
from api.resources.base import Resource
from api.resources.status_document import timestamp
from platforms import registry
from store import accounts, schedules
from store.accounts import Account
from store.schedules import Schedule
from store.states import AccountStatus

MAX_WINDOWS = 24
MIDNIGHT = "24:00"  # at the end of a window
_CLOCK = re.compile(r"^([01][0-9]|2[0-3]):[0-5][0-9]$")
_CLOCK_OR_MIDNIGHT = r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("must be an IANA time zone such as Europe/Berlin") from None
    return name


def _clock(text: str) -> str:
    if not _CLOCK.fullmatch(text):
        raise ValueError("must be a time such as 08:30")
    return text


def _closing(text: str) -> str:
    return text if text == MIDNIGHT else _clock(text)


def _stored(window: tuple[str, str]) -> tuple[str, str]:
    """Return a window as it is stored: its end at midnight is 00:00, and the whole day is 00:00 twice."""
    if window[0] == window[1]:
        raise ValueError(f"must not end when it starts; the whole day is 00:00 to {MIDNIGHT}, or an empty list")
    return window if window[1] != MIDNIGHT else (window[0], "00:00")


Clock = Annotated[str, AfterValidator(_clock)]
Window = Annotated[
    tuple[Clock, Annotated[str, AfterValidator(_closing)]],
    AfterValidator(_stored),
    # Client generators do not know the keyword by which pydantic describes a pair.
    WithJsonSchema(
        {"type": "array", "items": {"type": "string", "pattern": _CLOCK_OR_MIDNIGHT}, "minItems": 2, "maxItems": 2}
    ),
]


class ScheduleChange(BaseModel):
    """A change of a schedule; omitted fields keep their values."""

    model_config = ConfigDict(extra="forbid")

    time_zone: Annotated[
        Annotated[str, Field(max_length=64), AfterValidator(_known_zone)] | None,
        Field(description="IANA time zone of the windows, such as Europe/Berlin."),
    ] = None
    windows: Annotated[
        Annotated[list[Window], Field(max_length=MAX_WINDOWS)] | None,
        Field(
            description="Daily upload windows as pairs of start and end, such as 08:00 and 22:30; a window that ends "
            f"before it starts goes over midnight. The whole day is 00:00 to {MIDNIGHT}. At most "
            f"{MAX_WINDOWS}; an empty list allows all times."
        ),
    ] = None
    max_per_day: Annotated[
        Annotated[int, Field(strict=True, ge=1, le=1000)] | None,
        Field(
            description="Maximum number of posts of an account a day, from midnight to midnight in `time_zone`, "
            "1 to 1000."
        ),
    ] = None
    min_gap_s: Annotated[
        Annotated[float, Field(strict=True, ge=0, le=86_400, allow_inf_nan=False)] | None,
        Field(description="Minimum time between two posts of an account in seconds, 0 to 86400."),
    ] = None


class PlatformSchedules(RootModel[dict[str, ScheduleChange]]):
    """Schedules by platform, the body of PUT."""


class ScheduleResource(Resource):
    """GET and PUT /schedule."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Show the schedule of each platform, and the order of publication."""
        with self._context.store.reading() as connection:
            known = account_schedules.read(connection)
        response.media = _documents(known.platforms(owner_of(request)))

    def on_put(self, request: falcon.Request, response: falcon.Response) -> None:
        """Change schedules; publications that are due by the new ones start at once."""
        changes, owner_id = json_body.read_body(request, PlatformSchedules).root, owner_of(request)
        for platform in changes:
            if platform not in registry.NAMES:
                raise invalid_field(platform[:40], f"is not one of {', '.join(registry.NAMES)}")
        with self._context.store.writing(scope="everything") as connection:
            known = account_schedules.read(connection).platforms(owner_id)
            for platform, change in changes.items():
                known[platform] = _changed(known[platform], change)
                schedules.put(connection, owner_id, known[platform])
            start_due(self._context, connection)
        response.media = _documents(known)


class AccountScheduleResource(Resource):
    """GET, PUT and DELETE /accounts/{account_id}/schedule."""

    def on_get(self, request: falcon.Request, response: falcon.Response, account_id: str) -> None:
        """Show the schedule that counts for an account."""
        del request
        with self._context.store.reading() as connection:
            account = _account(connection, account_id)
            response.media = self._document(connection, account)

    def on_put(self, request: falcon.Request, response: falcon.Response, account_id: str) -> None:
        """Set an account's own schedule; omitted fields are those that counted before."""
        change = json_body.read_body(request, ScheduleChange)
        with self._context.store.writing(accounts=[account_id]) as connection:
            account = _account(connection, account_id)
            changed = _changed(account_schedules.read(connection).of(account), change)
            schedules.put_of_account(connection, account_id, changed)
            start_due(self._context, connection, account_id)
            response.media = self._document(connection, account)

    def on_delete(self, request: falcon.Request, response: falcon.Response, account_id: str) -> None:
        """Delete an account's own schedule: its platform's counts again."""
        del request
        with self._context.store.writing(accounts=[account_id]) as connection:
            _account(connection, account_id)
            schedules.delete_of_account(connection, account_id)
            start_due(self._context, connection, account_id)
        response.status = falcon.HTTP_204

    def _document(self, connection: Connection, account: Account) -> documents.AccountScheduleDocument:
        known = account_schedules.read(connection)
        now = self._context.now()
        return {
            **_document(known.of(account)),
            "inherited": account.id not in known.accounts,
            "platform_limit": _limit_document(platform_limits.of(connection, account, now), now),
        }


def _account(connection: Connection, account_id: str) -> Account:
    found = accounts.get(connection, account_id)
    if found is None or found.status is AccountStatus.DISCONNECTED:
        raise not_found("account")
    return found


def _changed(old: Schedule, change: ScheduleChange) -> Schedule:
    windows = old.windows if change.windows is None else [list(window) for window in change.windows]
    return Schedule(
        platform=old.platform,
        time_zone=old.time_zone if change.time_zone is None else change.time_zone,
        windows=windows,
        max_per_day=old.max_per_day if change.max_per_day is None else change.max_per_day,
        min_gap_s=old.min_gap_s if change.min_gap_s is None else change.min_gap_s,
    )


def _shown(window: list[str]) -> list[str]:
    """Return a window for people: one without length, as earlier versions accepted, is open for the whole day."""
    return ["00:00", MIDNIGHT] if window[0] == window[1] else window


def _documents(known: Mapping[str, Schedule]) -> dict[str, documents.ScheduleDocument]:
    return {platform: _document(schedule) for platform, schedule in sorted(known.items())}


def _document(schedule: Schedule) -> documents.ScheduleDocument:
    return {
        "time_zone": schedule.time_zone,
        "windows": [_shown(window) for window in schedule.windows],
        "max_per_day": schedule.max_per_day,
        "min_gap_s": schedule.min_gap_s,
        "order": "older videos first; the parts of a video in their order",
    }


def _limit_document(known: KnownLimit | None, now: datetime) -> documents.PlatformLimitDocument | None:
    if known is None:
        return None
    limit, answer = known.limit, known.answer
    counts_others = limit.others_until is not None and now < limit.others_until
    return {
        "posts": limit.posts,
        "day_zone": known.documented.day_zone,
        "others": limit.others if counts_others else 0,
        "read_at": None if answer is None else timestamp(answer.read_at),
        "reason": None if answer is None else answer.reason,
    }
