"""The options of an upload: the form's fields besides the file."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from api.http import json_values
from api.http.json_body import validation_problem
from api.http.problems import invalid_field
from platforms import registry

MAX_METADATA_BYTES = 16_384
MAX_FIELD_BYTES = 65_536
MAX_NAME_CHARS = 200
MAX_PUBLISH_AHEAD = timedelta(days=366)

# Python and pydantic also accept `0_1` as a number.
_DECIMAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
# All control characters but tab and line feed; lone surrogates cannot be stored or sent.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def _plain_text(value: str) -> str:
    # Browsers send the lines of a text field with CR LF.
    text = value.replace("\r\n", "\n").replace("\r", "\n").strip()
    if _CONTROL.search(text):
        raise ValueError("must be text without control characters")
    return text


def _platform_names(value: Any) -> Any:  # Any: before validation
    if not isinstance(value, str):
        return value
    names = list(dict.fromkeys(name.strip().lower() for name in value.split(",") if name.strip()))
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


def _moment(value: Any) -> Any:  # Any: before validation
    if not isinstance(value, str):
        return value
    try:
        moment = datetime.fromisoformat(value.strip())
        if moment.tzinfo is None:
            raise ValueError
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("must be a time with its zone such as 2026-11-22T18:00:00+01:00") from None


class UploadOptions(BaseModel):
    """The options of an upload; defaults that are None come from the settings or mean "all connected accounts"."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: Annotated[str, Field(max_length=200), AfterValidator(_plain_text)] = ""
    caption: Annotated[str, Field(max_length=5000), AfterValidator(_plain_text)] = ""
    platforms: Annotated[list[str] | None, BeforeValidator(_platform_names)] = None
    webhook_url: Annotated[str, Field(max_length=2048)] | None = None
    gaze_intensity: Annotated[float, BeforeValidator(_decimal), Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    segment_seconds: Annotated[float, BeforeValidator(_decimal), Field(ge=6, le=60, allow_inf_nan=False)] | None = None
    publish_after: Annotated[datetime | None, BeforeValidator(_moment)] = None
    metadata: Annotated[dict[str, Any] | None, BeforeValidator(_json_object)] = None  # Any: the creator's own


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

    Its path and its control and direction characters are removed; it has at most `MAX_NAME_CHARS` characters.
    """
    last = re.split(r"[/\\]", name or "")[-1]
    kept = "".join(
        char for char in unicodedata.normalize("NFC", last) if not unicodedata.category(char).startswith("C")
    )
    return kept.strip()[:MAX_NAME_CHARS]
