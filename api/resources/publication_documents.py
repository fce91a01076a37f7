"""The JSON documents about publications (history, payloads) and creators. See `api.resources.documents`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from api.resources.document_types import Free, Time
from platforms.contract import Privacy
from store.states import HistoryKind


class HistoryEntryDocument(TypedDict):
    """An entry of the history of a publication."""

    at: Time | None
    until: Annotated[Time | None, Field(description="The last repetition; null: it happened once.")]
    times: Annotated[int, Field(description="How often it happened in a row.")]
    kind: Annotated[
        HistoryKind,
        Field(
            description="`request`: stored before a request that may make the post public; `answer`: a request and its "
            "response; `evidence`: the answer that proves the outcome; `state`: a change of state; `person`: what a "
            "person did."
        ),
    ]
    step: Annotated[str | None, Field(description="Step of the publication.")]
    text: Annotated[str, Field(description="What happened, for people.")]
    method: str | None
    host: str | None
    path: Annotated[str | None, Field(description="Without its query; `…` stands for a part that may be a secret.")]
    http_status: Annotated[int | None, Field(description="Null if no response came.")]
    duration_ms: Annotated[int | None, Field(description="Duration of the last request.")]
    ids: Annotated[
        dict[str, str], Field(description="What identifies the post or its upload, for the platform's support.")
    ]


class HistoryDocument(TypedDict):
    """The history of a publication, the oldest entry first."""

    publication_id: str
    entries: list[HistoryEntryDocument]
    truncated: Annotated[bool, Field(description="Whether entries were deleted: after 90 days, or beyond 200.")]


class PayloadStepDocument(TypedDict):
    """A request that a publication would send."""

    step: Annotated[str, Field(description="Step of the publication.")]
    method: str
    url: Annotated[str, Field(description="Without secrets.")]
    headers: Annotated[dict[str, str], Field(description="Without secrets; those of every request are left out.")]
    body: Annotated[
        Free | None,
        Field(description="JSON or the fields of a form; for the video, which bytes are sent (`first_byte`, `bytes`)."),
    ]
    changes: Annotated[bool, Field(description="Whether the request changes something at the platform.")]


class PayloadProblemDocument(TypedDict):
    """A reason for which a post would not be accepted."""

    field: Annotated[str | None, Field(description="`title`, `caption` or `options`; null: none of them.")]
    reason: Annotated[str, Field(description="Why, for people.")]


class PublicationPayloadDocument(TypedDict):
    """The requests of a publication that has not begun."""

    publication_id: str
    part: Annotated[int, Field(description="Number of the part, from 1.")]
    platform: str
    account: Annotated[str, Field(description="Name of the account.")]
    steps: Annotated[
        list[PayloadStepDocument],
        Field(description="In order; up to the request that would make the post public, which is the last one."),
    ]
    problems: Annotated[list[PayloadProblemDocument], Field(description="What would keep the post back.")]


class PayloadsDocument(TypedDict):
    """The requests of all publications of a job that have not begun."""

    publications: list[PublicationPayloadDocument]


class CreatorDocument(TypedDict):
    """The creator of an account, and what a post may choose now."""

    account_id: str
    platform: str
    username: str
    name: Annotated[str, Field(description="For people; may be empty.")]
    avatar_url: Annotated[str | None, Field(description="Of the platform; valid for some hours.")]
    privacies: Annotated[list[Privacy], Field(description="Those that the account offers.")]
    comment_allowed: Annotated[bool, Field(description="Whether posts may allow comments.")]
    duet_allowed: Annotated[bool, Field(description="Whether posts may allow duets.")]
    stitch_allowed: Annotated[bool, Field(description="Whether posts may allow stitches.")]
    max_duration_s: Annotated[int | None, Field(description="Maximum duration of a video; null: no limit is known.")]
