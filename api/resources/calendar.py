"""GET /calendar: what was published and what is expected, day by day."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import falcon

from actors.flow import account_schedules
from actors.flow.forecast import Prediction
from actors.flow.forecast_cache import Forecast
from actors.flow.upload_windows import midnight
from api.http import conditional, json_values
from api.http.auth import owner_of
from api.http.problems import Problem
from api.resources import documents, waiting_words
from api.resources.base import Resource
from api.resources.status_document import timestamp, unpredicted
from store import accounts, calendar_rows, platform_states
from store.calendar_rows import CalendarPost
from store.platform_states import PlatformState
from store.states import PublicationStatus, WaitsFor

DEFAULT_DAYS = 7
MAX_DAYS = 62
MAX_ENTRIES = 5_000
YEARS = range(2000, 2200)
"""So that no date is outside of Python's calendar in any zone."""

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True)
class Period:
    """The days that a request asks for; both ends are part of it."""

    first: date
    last: date
    zone: ZoneInfo

    @property
    def begin(self) -> datetime:
        """Return when the first day begins."""
        return midnight(self.first, self.zone)

    @property
    def end(self) -> datetime:
        """Return when the day after the last begins."""
        return midnight(self.last + timedelta(days=1), self.zone)

    def days(self) -> list[date]:
        """Return all days."""
        return [self.first + timedelta(days=ahead) for ahead in range((self.last - self.first).days + 1)]


class CalendarResource(Resource):
    """GET /calendar."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """List what was published at its time, and what waits at its expected time."""
        period = _period(request, self._context.now())
        owner_id = owner_of(request)
        forecast = self._context.forecasts.get(self._context).of_owner(owner_id)
        dated = [name for at, name in _expected(forecast, period)]
        with self._context.store.reading() as connection:
            begun = calendar_rows.started(connection, owner_id, period.begin, period.end, MAX_ENTRIES + 1)
            waiting_ids = calendar_rows.waiting_ids(connection, owner_id, MAX_ENTRIES + 1)
            undated = [name for name in waiting_ids if _time(forecast, name) is None]
            shown = [*dated, *undated][: MAX_ENTRIES - len(begun[:MAX_ENTRIES])]
            waiting = calendar_rows.waiting(connection, owner_id, shown)
            schedules = account_schedules.read(connection)
            zones = {one.id: schedules.of(one).time_zone for one in accounts.list_of(connection, owner_id)}
            outages = {state.platform: state for state in platform_states.list_out(connection)}
        made = _Entries(forecast, zones, outages)
        published = [made.started(post) for post in begun[:MAX_ENTRIES]]
        expected = [made.waiting(waiting[name]) for name in shown if name in waiting]
        response.cache_control = ["private", "no-cache"]
        is_truncated = len(begun) > MAX_ENTRIES or len(dated) + len(undated) > len(shown)
        body = json_values.write(_document(period, [*published, *expected], truncated=is_truncated))
        if not conditional.not_modified(request, response, conditional.content_tag(body)):
            response.content_type = falcon.MEDIA_JSON
            response.data = body


def _time(forecast: Forecast, publication_id: str) -> datetime | None:
    prediction = forecast.posts.get(publication_id)
    return None if prediction is None else prediction.at


def _expected(forecast: Forecast, period: Period) -> list[tuple[datetime, str]]:
    """Return the expected starts of a period, in order."""
    begin, end = period.begin, period.end
    return sorted(
        (one.at, name) for name, one in forecast.posts.items() if one.at is not None and begin <= one.at < end
    )


@dataclass(frozen=True)
class _Entry:
    at: datetime | None
    document: documents.CalendarEntryDocument


@dataclass(frozen=True)
class _Entries:
    """Makes the entries of a calendar.

    Attributes:
        forecast: of all waiting publications.
        zones: time zones of the accounts that are not disconnected.
        outages: by platform.
    """

    forecast: Forecast
    zones: Mapping[str, str]
    outages: Mapping[str, PlatformState]

    def started(self, post: CalendarPost) -> _Entry:
        return self._entry(post, post.started_at, None, post.reason)

    def waiting(self, post: CalendarPost) -> _Entry:
        prediction = self.forecast.posts.get(post.id) or Prediction(None, _unpredicted(post), post.job_id, "")
        return self._entry(post, prediction.at, prediction.waits_for, self._reason(post, prediction.waits_for))

    def _reason(self, post: CalendarPost, waits_for: WaitsFor) -> str:
        outage = self.outages.get(post.platform)
        known = {
            WaitsFor.ACCOUNT: post.account_reason,
            WaitsFor.PLATFORM_OUTAGE: None if outage is None else outage.reason,
        }
        return post.reason or known.get(waits_for) or waiting_words.sentence(waits_for, post.platform)

    def _entry(self, post: CalendarPost, at: datetime | None, waits_for: WaitsFor | None, reason: str | None) -> _Entry:
        document: documents.CalendarEntryDocument = {
            "publication_id": post.id,
            "job_id": post.job_id,
            "title": post.title,
            "part": post.segment_number,
            "of": post.segment_count,
            "platform": post.platform,
            "account_id": post.account_id,
            "account": post.account,
            "account_zone": self.zones.get(post.account_id),
            "at": timestamp(at),
            "status": PublicationStatus(post.status),
            "waits_for": waits_for,
            "reason": reason,
            "link": post.link,
        }
        return _Entry(at, document)


def _unpredicted(post: CalendarPost) -> WaitsFor:
    return unpredicted(
        account_status=post.account_status,
        needs_approval=post.needs_approval,
        held=post.held,
        segment_status=post.segment_status,
        code=post.code,
    )


def _document(period: Period, entries: Iterable[_Entry], *, truncated: bool) -> documents.CalendarDocument:
    by_day: dict[date, list[_Entry]] = {day: [] for day in period.days()}
    undated: list[documents.CalendarEntryDocument] = []
    for entry in entries:
        if entry.at is None:
            undated.append(entry.document)
        else:
            by_day[entry.at.astimezone(period.zone).date()].append(entry)
    return {
        "from": period.first.isoformat(),
        "to": period.last.isoformat(),
        "zone": period.zone.key,
        "days": [{"date": day.isoformat(), "entries": _in_order(found)} for day, found in by_day.items()],
        "undated": undated,
        "truncated": truncated,
    }


def _in_order(entries: Sequence[_Entry]) -> list[documents.CalendarEntryDocument]:
    return [entry.document for entry in sorted(entries, key=lambda entry: entry.document["at"] or "")]


def _period(request: falcon.Request, now: datetime) -> Period:
    zone = _query_zone(request)
    first = _query_date(request, "from") or now.astimezone(zone).date()
    last = _query_date(request, "to") or first + timedelta(days=DEFAULT_DAYS - 1)
    if not 0 <= (last - first).days < MAX_DAYS:
        raise Problem(400, "bad_period", f"to: must be from 0 to {MAX_DAYS - 1} days after `from`", field="to")
    return Period(first, last, zone)


def _query_zone(request: falcon.Request) -> ZoneInfo:
    try:
        return ZoneInfo(request.get_param("zone") or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        detail = "zone: must be an IANA time zone such as Europe/Berlin"
        raise Problem(400, "bad_zone", detail, field="zone") from None


def _query_date(request: falcon.Request, name: str) -> date | None:
    text = request.get_param(name)
    if not text:
        return None
    try:
        found = date.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        found = None
    if found is None or found.year not in YEARS:
        raise Problem(400, "bad_date", f"{name}: must be a date such as 2026-11-22", field=name)
    return found
