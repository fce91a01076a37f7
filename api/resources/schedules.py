"""GET and PUT /schedule: upload windows and limits of each platform."""

from __future__ import annotations

import re
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import falcon
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, RootModel, WithJsonSchema

from actors.flow.scheduling import start_due
from actors.flow.upload_windows import DEFAULTS
from api.http import json_body
from api.http.problems import invalid_field
from api.resources import documents
from api.resources.base import Resource
from platforms import registry
from store import schedules
from store.schedules import Schedule

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


class PlatformSchedule(BaseModel):
    """The schedule of a platform; omitted fields keep their values."""

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
        Field(description="Maximum number of posts of an account in 24 hours, 1 to 1000."),
    ] = None
    min_gap_s: Annotated[
        Annotated[float, Field(strict=True, ge=0, le=86_400, allow_inf_nan=False)] | None,
        Field(description="Minimum time between two posts of an account in seconds, 0 to 86400."),
    ] = None


class Schedules(RootModel[dict[str, PlatformSchedule]]):
    """Schedules by platform, the body of PUT."""


class ScheduleResource(Resource):
    """GET and PUT /schedule."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Show the schedule of each platform, and the order of publication."""
        del request
        with self._context.store.reading() as connection:
            found = {schedule.platform: schedule for schedule in schedules.list_all(connection)}
        response.media = _document(DEFAULTS | found)

    def on_put(self, request: falcon.Request, response: falcon.Response) -> None:
        """Change schedules; publications that are due by the new ones start at once."""
        changes = json_body.read_body(request, Schedules).root
        for platform in changes:
            if platform not in registry.NAMES:
                raise invalid_field(platform[:40], f"is not one of {', '.join(registry.NAMES)}")
        with self._context.store.writing() as connection:
            known = DEFAULTS | {schedule.platform: schedule for schedule in schedules.list_all(connection)}
            for platform, change in changes.items():
                known[platform] = _changed(known[platform], change)
                schedules.put(connection, known[platform])
            start_due(self._context, connection)
        response.media = _document(known)


def _changed(old: Schedule, change: PlatformSchedule) -> Schedule:
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


def _document(known: dict[str, Schedule]) -> dict[str, documents.ScheduleDocument]:
    return {
        platform: {
            "time_zone": schedule.time_zone,
            "windows": [_shown(window) for window in schedule.windows],
            "max_per_day": schedule.max_per_day,
            "min_gap_s": schedule.min_gap_s,
            "order": "older videos first; the parts of a video in their order",
        }
        for platform, schedule in sorted(known.items())
    }
