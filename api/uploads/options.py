"""The options of an upload: the form's fields besides the file."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from actors.recovery import upload_record
from api.http import json_values
from api.http.json_body import validation_problem
from api.http.problems import invalid_field
from platforms import registry
from platforms.contract import Privacy
from settings import GazeIntensity, SegmentSeconds

MAX_METADATA_BYTES = 16_384
MAX_FIELD_BYTES = 65_536
MAX_NAME_CHARS = 200
MAX_TITLE_CHARS = 200
MAX_ACCOUNTS = 100
MAX_CAPTION_CHARS = 5000
BLANKS = f" \t{upload_record.JOINERS}"
MAX_DURATION_S = 86_400.0
MAX_PUBLISH_AHEAD = timedelta(days=366)

# Python and pydantic also accept `0_1` as a number.
_DECIMAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_TRUE = frozenset({"true", "on", "yes", "1"})  # "on" is the value of a form's checkbox
_FALSE = frozenset({"false", "off", "no", "0"})
# All control characters but tab and line feed; lone surrogates cannot be stored or sent.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def plain_text(value: str) -> str:
    """Return a text with LF as line ends, without blanks around it; a ValueError if it has control characters."""
    # Browsers send the lines of a text field with CR LF.
    text = value.replace("\r\n", "\n").replace("\r", "\n").strip()
    if _CONTROL.search(text):
        raise ValueError("must be text without control characters")
    return text


def own_title(value: str) -> str:
    """Return the title of a video; a ValueError if it refers to itself."""
    if "{title}" in value:
        raise ValueError("must not contain {title}, which stands for this very title")
    return value


def _comma_list(value: Any) -> Any:  # Any: before validation
    if not isinstance(value, str):
        return value
    return list(dict.fromkeys(name.strip() for name in value.split(",") if name.strip())) or None


def _platform_names(value: Any) -> Any:  # Any: before validation
    if not isinstance(value, str):
        return value
    names = [name.lower() for name in _comma_list(value) or ()]
    names = list(dict.fromkeys(names))
    unknown = [name for name in names if name not in registry.NAMES]
    if unknown:
        raise ValueError(f"{unknown[0][:40]!r} is not one of {', '.join(registry.NAMES)}")
    return names or None


def _json_object(value: Any) -> Any:  # Any: before validation
    if not isinstance(value, str):
        return value
    if len(value.encode()) > MAX_METADATA_BYTES:
        raise ValueError(f"must be at most {MAX_METADATA_BYTES} bytes")
    try:
        found = json_values.read(value) if value.strip() else None
    except ValueError:
        raise ValueError("must be JSON") from None
    if found is not None and not isinstance(found, dict):
        raise ValueError('must be a JSON object such as {"campaign": 7}')
    return found


def _decimal(value: Any) -> Any:  # Any: before validation
    if isinstance(value, str) and not _DECIMAL.fullmatch(value.strip()):
        raise ValueError("must be a number such as 0.5")
    return value


def _boolean(value: Any) -> Any:  # Any: before validation
    if not isinstance(value, str):
        return value
    word = value.strip().lower()
    if word not in _TRUE | _FALSE:
        raise ValueError("must be true or false")
    return word in _TRUE


def aware_time(value: Any) -> Any:  # Any: before validation
    """Return a text as a time in UTC; a ValueError if it is none with a time zone."""
    if value is None:
        return None
    try:
        time = datetime.fromisoformat(value.strip()) if isinstance(value, str) else None
        if time is None or time.tzinfo is None:
            raise ValueError
        return time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("must be a time with a time zone such as 2026-11-22T18:00:00+01:00") from None


class UploadOptions(BaseModel):
    """The options of an upload; options that are None come from the settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: Annotated[
        str,
        Field(
            max_length=200,
            description="Title of the posts, at most 200 characters. Default: the first words of "
            "the caption, else the file's name if a person wrote it, else the date.",
        ),
        AfterValidator(plain_text),
    ] = ""
    caption: Annotated[
        str,
        Field(
            max_length=MAX_CAPTION_CHARS,
            description="Caption of every post, at most 5000 characters. It may contain `{title}`, `{n}` and `{m}`. "
            "Default: none.",
        ),
        AfterValidator(plain_text),
    ] = ""
    platforms: Annotated[
        list[str] | None,
        BeforeValidator(_platform_names),
        Field(description=f"Comma list of {', '.join(registry.PLATFORMS)}. Default: all connected accounts."),
    ] = None
    accounts: Annotated[
        Annotated[list[str], Field(max_length=MAX_ACCOUNTS)] | None,
        BeforeValidator(_comma_list),
        Field(description="Comma list of ids of accounts, as in `GET /accounts`. Default: all of `platforms`."),
    ] = None
    privacy: Annotated[
        Privacy | None,
        Field(
            description="Who may see the posts, on all their platforms. Default: public. 422 if a platform does not "
            "offer it; `options` has the privacy of each platform."
        ),
    ] = None
    options: Annotated[
        registry.OptionsByPlatform | None,  # type: ignore[valid-type]  # made from the registry
        BeforeValidator(_json_object),
        Field(
            description='Options of the posts by platform as JSON, such as {"youtube": {"privacy": "unlisted"}}; '
            "`GET /limits` lists them. Default: none."
        ),
    ] = None
    webhook_url: Annotated[
        Annotated[str, Field(max_length=2048)] | None,
        Field(description="Address that receives the events of this job. Default: none."),
    ] = None
    gaze_intensity: Annotated[
        Annotated[GazeIntensity, BeforeValidator(_decimal)] | None,
        Field(
            description="Strength of the eye correction, from 0 (unchanged) to 1 (eyes directed at the lens). "
            "Default: the server's GAZE_INTENSITY."
        ),
    ] = None
    segment_seconds: Annotated[
        Annotated[SegmentSeconds, BeforeValidator(_decimal)] | None,
        Field(description="Maximum duration of a part in seconds, 6 to 60. Default: the server's SEGMENT_SECONDS."),
    ] = None
    duration_s: Annotated[
        Annotated[float, Field(gt=0, le=MAX_DURATION_S, allow_inf_nan=False), BeforeValidator(_decimal)] | None,
        Field(
            description="Duration of the video in seconds, if you know it. Only for `all_out_by`, until the video is "
            "examined. Default: unknown."
        ),
    ] = None
    publish_after: Annotated[
        datetime | None,
        BeforeValidator(aware_time),
        Field(
            description="Earliest time of publication, RFC 3339 with a time zone, at most "
            f"{MAX_PUBLISH_AHEAD.days} days ahead. Default: as soon as possible."
        ),
    ] = None
    review: Annotated[
        bool | None,
        BeforeValidator(_boolean),
        Field(
            description="true: the parts are rendered, but nothing is published before approval "
            "(`POST /jobs/{job_id}/approve`). Default: the server's REVIEW."
        ),
    ] = None
    dry_run: Annotated[
        bool | None,
        BeforeValidator(_boolean),
        Field(
            description="true: nothing is published; the parts are rendered, and `GET /jobs/{job_id}/payloads` shows "
            "what each post would send. The job waits for approval, which makes it a real one. Default: the server's "
            "DRY_RUN."
        ),
    ] = None
    metadata: Annotated[
        dict[str, Any] | None,  # Any: the client's own
        BeforeValidator(_json_object),
        Field(
            description=f"JSON object of your own, at most {MAX_METADATA_BYTES} bytes; it is returned in the status "
            "and in webhooks. Default: none."
        ),
    ] = None


def post_options(options: UploadOptions, now: datetime) -> dict[str, dict[str, object]] | None:
    """Return the options of the posts of each platform, with the privacy of all; None if none is chosen.

    Also of platforms without an account: one may be connected before the video is planned.
    """
    found = {}
    for name in registry.NAMES:
        chosen = getattr(options.options, name, None)
        everywhere = {} if options.privacy is None else {"privacy": options.privacy}
        found[name] = everywhere | ({} if chosen is None else chosen.chosen(now))
    return {name: values for name, values in found.items() if values} or None


def parse_options(fields: Mapping[str, str], now: datetime) -> UploadOptions:
    """Parse the fields of an upload; an empty field counts as not given.

    Raises:
        Problem: 422 for the first invalid field.
    """
    given = {name: value for name, value in fields.items() if value.strip() or name not in UploadOptions.model_fields}
    try:
        options = UploadOptions.model_validate(given)
    except ValidationError as exc:
        raise validation_problem(exc, ("file", *UploadOptions.model_fields)) from None
    if options.publish_after is not None and options.publish_after > now + MAX_PUBLISH_AHEAD:
        raise invalid_field("publish_after", f"must be within {MAX_PUBLISH_AHEAD.days} days")
    return options


def display_name(name: str | None) -> str:
    """Return an unchecked file name as text that is safe to display.

    Its path and its control and direction characters are removed; it has at most `MAX_NAME_CHARS` characters. Joiners
    stay: without them, Persian words and family emoji are others.
    """
    last = re.split(r"[/\\]", name or "")[-1]
    kept = "".join(
        char
        for char in unicodedata.normalize("NFC", last)
        if char in upload_record.JOINERS or not unicodedata.category(char).startswith("C")
    )
    return kept.strip(BLANKS)[:MAX_NAME_CHARS].rstrip(BLANKS)
