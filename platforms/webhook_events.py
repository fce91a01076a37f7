"""The event types of webhooks, with a model of the `data` of each.

`actors.flow.events` builds every event with these models, and the OpenAPI document is generated from them, so that the
documented schema and what is sent are the same. A member is never removed and never changes its meaning; new members
and new types may be added.

`sequence` rises by one with each event about the same subject: the job if there is a `job_id`, else the account, the
endpoint or the platform. Events may arrive in another order; the higher sequence is the newer fact.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Json = dict[str, Any]  # Any: JSON


class UnknownEvent(ValueError):
    """There is no event of this type, or it has no such data: a model is missing or incomplete."""


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_serialization_defaults_required=True)

    sequence: Annotated[int, Field(description="Rises by one with each event about the same subject.")]


_Code = Annotated[str | None, Field(description="Why, for programs; stable.")]
_Reason = Annotated[str | None, Field(description="Why, for people.")]


class JobData(_Data):
    """A job."""

    job_id: str
    title: str
    metadata: Annotated[Json | None, Field(description="The JSON that was given with the upload.")] = None


class JobProcessedData(JobData):
    """A job whose parts have all been rendered or have failed."""

    parts: Annotated[int | None, Field(description="Number of parts.")]


class JobReviewData(JobData):
    """A job that waits for approval."""

    code: Annotated[str, Field(description="The first of the reasons.")]
    reasons: list[str]


class JobMovedData(JobData):
    """A job that got another time."""

    publish_after: Annotated[datetime | None, Field(description="Nothing is published before; null: no time.")]


class JobCompletedData(JobData):
    """A job that has ended, and of which at least one part was published."""

    status: Literal["completed", "completed_with_errors"]


class JobFailedData(JobData):
    """A job of which nothing was published, or that was cancelled."""

    status: Literal["failed"] = "failed"
    code: _Code = None
    reason: _Reason = None


class _PartData(JobData):
    part: Annotated[int, Field(description="Number of the part, from 1.")]
    parts: Annotated[int | None, Field(description="Number of parts of the job.")]


class SegmentData(_PartData):
    """A rendered part."""

    duration_s: Annotated[float | None, Field(description="Duration in seconds.")]
    gaze: Annotated[Json | None, Field(description="What was corrected, or why nothing was.")]


class WaitingSegmentData(_PartData):
    """A part that cannot be rendered yet."""

    code: Annotated[str, Field(description="disk_full: the disk of the server has no room for it.")]
    reason: _Reason


class PublicationData(_PartData):
    """A part on one account."""

    publication_id: str
    platform: str
    account_id: str
    link: Annotated[str | None, Field(description="Address of the post; it may follow in publication.linked.")] = None
    remote_id: Annotated[str | None, Field(description="Id of the post at the platform.")] = None
    code: _Code = None
    reason: _Reason = None


class ScheduledPublicationData(PublicationData):
    """A part that waits for its time."""

    due_at: Annotated[datetime, Field(description="Earliest time of publication.")]


class MovedPublicationData(PublicationData):
    """A part that got another time."""

    publish_after: Annotated[datetime | None, Field(description="Its own time; null: that of its job.")]
    following: Annotated[int, Field(description="How many parts after it, on its account, moved by as much.")]


class PlatformData(_Data):
    """A platform that is not used for a while."""

    platform: str
    code: _Code
    reason: _Reason
    until: Annotated[datetime | None, Field(description="When it is tried again.")]


class AccountData(_Data):
    """An account that cannot publish."""

    account_id: str
    platform: str
    name: str
    code: _Code
    reason: _Reason


class EndpointData(_Data):
    """A webhook endpoint that is no longer used."""

    endpoint_id: str
    url: str
    code: Annotated[Literal["gone", "failing"], Field(description="It answered 410, or failed for five days.")]
    reason: _Reason
    failing_since: datetime | None
    missed: Annotated[int, Field(description="How many events it has not received; they can be replayed.")]


class PingData(_Data):
    """A test."""

    endpoint_id: str


@dataclass(frozen=True)
class EventType:
    """The meaning of an event type, and the model of its `data`."""

    summary: str
    data: type[_Data]


EVENT_TYPES: dict[str, EventType] = {
    "job.created": EventType("A video was accepted", JobData),
    "job.processing": EventType("The examination of the video has begun", JobData),
    "job.replanned": EventType("A person changed the cuts; the changed parts are rendered again", JobProcessedData),
    "segment.waiting": EventType("A part waits until the disk has room; sent once a job", WaitingSegmentData),
    "segment.ready": EventType("A part was rendered", SegmentData),
    "job.processed": EventType("All parts were rendered or have failed", JobProcessedData),
    "job.review_needed": EventType("Nothing is published before the job is approved", JobReviewData),
    "job.held": EventType("A person holds all parts of a job that are not out", JobData),
    "job.released": EventType("A person no longer holds the parts of a job", JobData),
    "job.moved": EventType("A person has given a job another time", JobMovedData),
    "publication.scheduled": EventType(
        "A part waits for its time; sent again when the time changes", ScheduledPublicationData
    ),
    "publication.started": EventType("The publication of a part has begun", PublicationData),
    "publication.published": EventType("A part was published; sent once", PublicationData),
    "publication.linked": EventType("The address of a published part became known later", PublicationData),
    "publication.action_needed": EventType("The platform's app waits for the creator (TikTok draft)", PublicationData),
    "publication.held": EventType(
        "A part does not start: an earlier one failed (code `held`), or a person holds it (`on_hold`)", PublicationData
    ),
    "publication.released": EventType("A person no longer holds a part", PublicationData),
    "publication.moved": EventType("A person has given a part another time", MovedPublicationData),
    "publication.failed": EventType("A part was not published", PublicationData),
    "publication.outcome_unknown": EventType("It is not known whether a part was published", PublicationData),
    "publication.cancelled": EventType("A part was skipped, or cancelled once it had begun", PublicationData),
    "publication.expired": EventType("A part was not published in time", PublicationData),
    "job.completed": EventType("All publications of a job have ended", JobCompletedData),
    "job.failed": EventType("Nothing of a job was published", JobFailedData),
    "platform.paused": EventType("A platform is out of order, or the operator must correct its settings", PlatformData),
    "account.reconnect_needed": EventType("An account must be connected again", AccountData),
    "endpoint.disabled": EventType("Another webhook endpoint was disabled", EndpointData),
    "ping": EventType("A test that was requested", PingData),
}  # fmt: skip
"""All types of events by name, in the order in which a job has them."""


def checked(kind: str, data: Json) -> Json:
    """Return the `data` of an event as JSON, with all members of its model.

    Raises:
        UnknownEvent: the type or a member has no model.
    """
    if kind not in EVENT_TYPES:
        raise UnknownEvent(f"event {kind}: no such type in platforms/webhook_events.py")
    try:
        return EVENT_TYPES[kind].data.model_validate(_encodable(data)).model_dump(mode="json")
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise UnknownEvent(f"event {kind} does not fit its model in platforms/webhook_events.py: {wrong}") from error


def _encodable(value: Any) -> Any:  # Any: JSON
    """Return a value whose text can be encoded in UTF-8: lone surrogates become question marks, as in the store."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, dict):
        return {_encodable(name): _encodable(inner) for name, inner in value.items()}
    return [_encodable(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def body_schema(kind: str, ref_template: str) -> Json:
    """Return the JSON schema of an event's body; the models it refers to are in `data_schemas`."""
    return {
        "type": "object",
        "properties": {
            "type": {"const": kind},
            "timestamp": {"type": "string", "format": "date-time", "description": "When it happened."},
            "data": {"$ref": ref_template.format(model=EVENT_TYPES[kind].data.__name__)},
        },
        "required": ["type", "timestamp", "data"],
    }


def data_schemas(ref_template: str) -> Json:
    """Return the JSON schemas of all models by name. All members are always sent."""
    models = {event.data.__name__: event.data for event in EVENT_TYPES.values()}
    return {
        name: model.model_json_schema(mode="serialization", ref_template=ref_template) for name, model in models.items()
    }
