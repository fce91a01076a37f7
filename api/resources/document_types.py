"""The types that several JSON documents of the API share: times, codes, reasons."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, WithJsonSchema

Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
"""A time as RFC 3339 text in UTC (`status_document.timestamp`)."""

Free = Annotated[dict[str, Any], WithJsonSchema({"type": "object", "additionalProperties": True})]  # Any: JSON
"""An object whose members are the client's, or may change."""

Progress = Annotated[float, Field(ge=0, le=1, description="Share of the work done, 0 to 1.")]
RetryAt = Annotated[Time | None, Field(description="Time of the next attempt; null if none is scheduled.")]
Code = Annotated[str | None, Field(description="Why, for programs; stable.")]
Reason = Annotated[str | None, Field(description="Why, for people.")]
Cursor = Annotated[str | None, Field(description="Cursor of the next page; null on the last page.")]
