"""An operation of the API as its OpenAPI document describes it, and the schemas of path parameters."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from api.http.numbers import MAX_INTEGER
from api.resources import examples
from platforms import registry

NO_CONTENT = "none"
"""Content of a successful response that has no body but is not a 204."""

Json = dict[str, Any]  # Any: JSON


@dataclass(frozen=True)
class Operation:
    """One method of one route.

    Attributes:
        name: the operationId, in snake_case; generated clients name their functions after it, so it never changes.
        summary: in the imperative, at most eight words.
        statuses: of its responses, besides those that follow from method, body and authentication.
        query: JSON schemas of the query parameters by name.
        headers: likewise of the request headers.
        content: of the successful response: the type of a document, or media types; None for responses without a body.
        answer_headers: JSON schemas of the headers of the successful response.
        public: needs no authentication.
    """

    name: str
    method: str
    path: str
    summary: str
    statuses: tuple[int, ...]
    description: str = ""
    body: type[BaseModel] | None = None
    query: dict[str, Json] = field(default_factory=dict)
    headers: dict[str, Json] = field(default_factory=dict)
    content: type[Any] | str | None = None  # Any: a TypedDict
    answer_headers: dict[str, Json] = field(default_factory=dict)
    public: bool = False


def text(description: str, **more: Any) -> Json:  # Any: JSON
    """Return the schema of a text."""
    return {"type": "string", "description": description, **more}


def limit(maximum: int, default: int) -> Json:
    """Return the schema of the parameter `limit`."""
    return {
        "type": "integer", "minimum": 1, "maximum": maximum, "default": default,
        "description": f"Maximum number of entries, 1 to {maximum}. Default: {default}.",
    }  # fmt: skip


CURSOR = text("`next` of the previous page. Default: the first page.")


def number(description: str, **more: Any) -> Json:  # Any: JSON
    """Return the schema of a positive number."""
    return {"type": "integer", "minimum": 1, "maximum": MAX_INTEGER, "description": description, **more}


PATH_PARAMETERS: dict[str, Json] = {
    "job_id": text("Id of the job.", examples=[examples.JOB_ID]),
    "upload_id": text("Id of the upload, and of its future job.", examples=[examples.JOB_ID]),
    "number": number("Number of the part, from 1.", examples=[1]),
    "token": text("Signed token of the link.", examples=["gAAAAABn"]),
    "account_id": text("Id of the account.", examples=[examples.ACCOUNT_ID]),
    "platform": {
        "type": "string", "enum": list(registry.PLATFORMS), "description": "Name of the platform.",
        "examples": ["tiktok"],
    },
    "endpoint_id": text("Id of the webhook endpoint.", examples=[examples.ENDPOINT_ID]),
    "key_id": text("Id of the key.", examples=[examples.KEY_ID]),
    "delivery_id": text("Id of the delivery.", examples=[examples.DELIVERY_ID]),
    "subscription_id": text(
        "`sub_` and the first 32 hexadecimal digits of the SHA-256 of the endpoint.",
        examples=[examples.SUBSCRIPTION_ID],
    ),
    "letter_id": number("Id of the dead letter.", examples=[7]),
    "publication_id": text("Id of the publication.", examples=[examples.PUBLICATION_ID]),
    "name": text("Name of the file.", examples=["base.css"]),
    "version": text("Version of the web page.", examples=["0123456789abcdef"]),
}  # fmt: skip
