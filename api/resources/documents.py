"""The JSON documents that the API answers with: one type for each, from which their schemas are generated.

The resources build their answers as these types, so that mypy compares both; a test compares real answers with the
schemas. They are never validated in production. A member is not removed and does not change its meaning; new ones may
be added.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field, WithJsonSchema
from typing_extensions import TypedDict

from store.attempts import MediaOutcome
from store.states import (
    AccountStatus,
    AfterFailure,
    AllOutReason,
    DeliveryStatus,
    EndpointState,
    JobPhase,
    JobStatus,
    PublicationStatus,
    ReviewReason,
    SegmentStatus,
    WaitsFor,
)

Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
"""A time as RFC 3339 text in UTC (`status_document.timestamp`)."""

Free = Annotated[dict[str, Any], WithJsonSchema({"type": "object", "additionalProperties": True})]  # Any: JSON
"""An object whose members are the client's, or may change."""

Progress = Annotated[float, Field(ge=0, le=1, description="Share of the work done, 0 to 1.")]
_RetryAt = Annotated[Time | None, Field(description="Time of the next attempt; null if none is scheduled.")]
_Code = Annotated[str | None, Field(description="Why, for programs; stable.")]
_Reason = Annotated[str | None, Field(description="Why, for people.")]


_ExpectedAt = Annotated[
    Time | None,
    Field(
        description="When a waiting publication starts, if nothing changes. Null if nobody can know, or if its turn "
        "does not come within 60 days. An estimate while it waits for `rendering`."
    ),
]


class AllOutDocument(TypedDict):
    """When all parts of a job are published."""

    all_out_by: Annotated[
        Time | None,
        Field(
            description="When the last waiting publication is expected to be out, if nothing changes. Null if nobody "
            "can know, or if nothing waits. An estimate until all parts are rendered."
        ),
    ]
    all_out_reason: Annotated[
        WaitsFor | AllOutReason | None,
        Field(
            description="Why nobody can know: as `waits_for` of a publication, or the video is `not_planned_yet` and "
            "was sent without `duration_s`, `no_account` is connected, or a part `expires` before its turn."
        ),
    ]


class UploadDocument(AllOutDocument):
    """An accepted video."""

    job_id: str
    status: JobStatus
    status_url: Annotated[str, Field(description="Address of the status, relative to the server.")]


class JobSummaryDocument(TypedDict):
    """A job in the list of jobs."""

    job_id: str
    status: JobStatus
    phase: Annotated[
        JobPhase,
        Field(
            description="As `status`; instead of `publishing` it may be `scheduled` (the next post has a later time) "
            "or `blocked` (no post has a time: a person is needed, or the end of something unknown)."
        ),
    ]
    progress: Progress
    next_at: Annotated[Time | None, Field(description="When the next post is expected to start.")]
    last_at: Annotated[
        Time | None,
        Field(description="When the last post is expected to start; null while a post has no expected time."),
    ]
    posts: Annotated[dict[PublicationStatus, int], Field(description="How many publications are in each state.")]
    title: str
    original_name: Annotated[
        str,
        Field(description="Name of the uploaded file. It may become the title of a video without title and caption."),
    ]
    created_at: Time | None


class JobsDocument(TypedDict):
    """A page of jobs, newest first."""

    jobs: list[JobSummaryDocument]
    next: Annotated[str | None, Field(description="Cursor of the next page; null on the last page.")]


class AttemptDocument(TypedDict):
    """A failed attempt at media work."""

    began_at: Time | None
    ended_at: Time | None
    settings: Annotated[str, Field(description="Settings of the attempt, such as less_memory.")]
    outcome: MediaOutcome
    exit_code: int | None
    signal: int | None
    held_bytes: Annotated[int | None, Field(description="Memory in use when the limit was exceeded, in bytes.")]
    limit_bytes: Annotated[int | None, Field(description="Memory limit, in bytes.")]
    deadline_s: Annotated[float | None, Field(description="Time limit in seconds.")]


class ReviewDocument(TypedDict):
    """The reasons for which a job waits for approval."""

    reasons: list[ReviewReason]
    approved_at: Time | None


class GazeDocument(TypedDict):
    """The gaze correction of a part; it has further figures."""

    corrected: Annotated[bool, Field(description="Whether the eyes were changed in at least one frame.")]
    share: Annotated[float, Field(description="Share of the frames that were corrected, 0 to 1.")]
    reason: Annotated[str | None, Field(description="Why no frame was corrected, for programs.")]


class PublishingAttemptDocument(TypedDict):
    """A failed attempt at a step of a publication."""

    at: Time | None
    step: str | None
    code: str
    detail: str
    platform_code: Annotated[str | None, Field(description="Error code of the platform.")]
    log_id: Annotated[str | None, Field(description="The id that the platform's support asks for.")]


class SentWordsDocument(TypedDict):
    """The words and options of a post."""

    title: Annotated[str, Field(description="Title as it is or was sent, with the number of the part.")]
    caption: Annotated[str | None, Field(description="Caption as it is or was sent; null if it is the one of the job.")]
    options: Annotated[Free, Field(description="Options of the post that are chosen.")]
    editable: Annotated[bool, Field(description="Whether `PATCH /publications/{publication_id}` may change its words.")]


class PublicationDocument(SentWordsDocument):
    """A part on one account."""

    id: str
    platform: str
    account: Annotated[str, Field(description="Name of the account.")]
    account_id: str
    status: PublicationStatus
    link: Annotated[str | None, Field(description="Address of the published post.")]
    due_at: Annotated[
        Time | None,
        Field(description="Start, as the schedule last allowed it; null until it is first in line on its account."),
    ]
    expected_at: _ExpectedAt
    waits_for: Annotated[WaitsFor | None, Field(description="What a waiting publication waits for.")]
    reason: _Reason
    code: Annotated[
        str | None,
        Field(description="Why it waits, failed or ended, for programs; `held`: an earlier part was not published."),
    ]
    next_step: Annotated[
        str | None, Field(description="What a person can do now, after an error; a sentence. The cause is `reason`.")
    ]
    ended_at: Time | None
    attempts: Annotated[
        list[PublishingAttemptDocument], Field(description="The newest failed attempts, at most 20, oldest first.")
    ]


class SegmentDocument(TypedDict):
    """A part of a job."""

    number: Annotated[int, Field(description="Number of the part, from 1.")]
    of: Annotated[int, Field(description="Number of parts of the job.")]
    status: SegmentStatus
    progress: Progress
    start_s: Annotated[float, Field(description="Start in the uploaded video, in seconds.")]
    duration_s: Annotated[float | None, Field(description="Duration in seconds.")]
    cut_reason: Annotated[str, Field(description="Why the part ends where it ends.")]
    gaze: GazeDocument | None
    rendering: Annotated[Free | None, Field(description="How the part was made.")]
    reason: _Reason
    attempts: list[AttemptDocument]
    retry_at: _RetryAt
    size_bytes: int | None
    stage_seconds: Annotated[dict[str, float] | None, Field(description="Seconds of each step of the rendering.")]
    links: Annotated[dict[str, str], Field(description="Addresses of the files that exist: video, cover, preview.")]
    publications: list[PublicationDocument]


class WordsDocument(TypedDict):
    """The words and options that were set for a platform or a part; null: inherited."""

    title: str | None
    caption: str | None
    options: Free | None


class JobDocument(JobSummaryDocument, AllOutDocument):
    """The status of a job."""

    caption: str
    platform_words: Annotated[dict[str, WordsDocument], Field(description="Words and options set by platform.")]
    part_words: Annotated[dict[str, WordsDocument], Field(description="Words set by number of a part.")]
    error: _Reason
    error_code: _Code
    attempts: list[AttemptDocument]
    retry_at: _RetryAt
    review: Annotated[ReviewDocument | None, Field(description="Why the job waits for approval.")]
    warnings: list[str | None]
    metadata: Annotated[Free | None, Field(description="The JSON object that was given with the upload.")]
    platforms: list[str] | None
    accounts: Annotated[list[str] | None, Field(description="Ids of the chosen accounts; null: all of `platforms`.")]
    size_bytes: int | None
    gaze_intensity: float
    segment_seconds: float
    publish_after: Time | None
    started_at: Time | None
    completed_at: Time | None
    source_deleted_at: Time | None
    files_deleted_at: Time | None
    segments: list[SegmentDocument]


class ExpectedPostDocument(TypedDict):
    """A publication that waits for its time."""

    expected_at: _ExpectedAt
    waits_for: WaitsFor
    publication_id: str
    job_id: str
    title: str
    number: Annotated[int, Field(description="Number of the part, from 1.")]
    of: Annotated[int | None, Field(description="Number of parts of the job.")]
    platform: str
    account_id: str
    account: Annotated[str, Field(description="Name of the account.")]


class ForecastDocument(TypedDict):
    """The expected publications of the next days, the earliest first."""

    made_at: Annotated[Time | None, Field(description="After the last change, or seconds ago.")]
    posts: list[ExpectedPostDocument]
    next: Annotated[str | None, Field(description="Cursor of the next page; null on the last page.")]


class CalendarEntryDocument(TypedDict):
    """A publication in the calendar."""

    publication_id: str
    job_id: str
    title: str
    part: Annotated[int, Field(description="Number of the part, from 1.")]
    of: Annotated[int | None, Field(description="Number of parts of the job.")]
    platform: str
    account_id: str
    account: Annotated[str, Field(description="Name of the account.")]
    account_zone: Annotated[
        str | None, Field(description="Time zone of the account's schedule; null if it is disconnected.")
    ]
    at: Annotated[Time | None, Field(description="When it started, or is expected to start; null if nobody can know.")]
    status: PublicationStatus
    waits_for: Annotated[WaitsFor | None, Field(description="What a waiting publication waits for.")]
    reason: _Reason
    link: Annotated[str | None, Field(description="Address of the published post.")]


class CalendarDayDocument(TypedDict):
    """A day of the calendar."""

    date: Annotated[str, WithJsonSchema({"type": "string", "format": "date"})]
    entries: Annotated[list[CalendarEntryDocument], Field(description="Publications, the earliest first.")]


CalendarDocument = TypedDict(
    "CalendarDocument",
    {
        "from": Annotated[str, WithJsonSchema({"type": "string", "format": "date"})],
        "to": Annotated[str, WithJsonSchema({"type": "string", "format": "date"})],
        "zone": Annotated[str, Field(description="Time zone of the days.")],
        "days": Annotated[list[CalendarDayDocument], Field(description="All days, also those without entries.")],
        "undated": Annotated[
            list[CalendarEntryDocument], Field(description="Waiting publications without an expected time.")
        ],
        "truncated": Annotated[bool, Field(description="Whether entries were left out because there are too many.")],
    },
)
"""What was published and what is expected, day by day; the name of a member is a keyword of Python."""


class TextLimitDocument(TypedDict):
    """A limit of the words of a post."""

    of: Annotated[
        Literal["title", "caption", "text"],
        Field(description="What is counted; `text` is title, a blank line and caption together."),
    ]
    unit: Annotated[
        Literal["utf16_units", "bytes", "hashtags", "mentions", "lines"],
        Field(description="An emoji counts two UTF-16 units or more; bytes are those of UTF-8."),
    ]
    maximum: int


class PlatformLimitsDocument(TypedDict):
    """The limits and options of a platform."""

    name: str
    needs_title: bool
    limits: list[TextLimitDocument]
    required_options: Annotated[list[str], Field(description="Options that a post must have.")]
    options: Annotated[Free, Field(description="JSON Schema of the options of a post.")]


class LimitsDocument(TypedDict):
    """The limits and options of all platforms."""

    platforms: dict[str, PlatformLimitsDocument]
    widest_numbering: Annotated[
        str, Field(description="What is counted with a title without placeholders before the parts are known.")
    ]
    placeholders: list[str]


class JobStateDocument(TypedDict):
    """The status of a job after a command."""

    job_id: str
    status: JobStatus


class JobRetryDocument(JobStateDocument):
    """The outcome of a retry."""

    out_of_order: Annotated[
        list[str], Field(description="Publications that were left: later parts were published before.")
    ]


class AccountDocument(TypedDict):
    """A connected account."""

    id: str
    platform: str
    name: str
    status: AccountStatus
    reason: _Reason
    paused_until: Time | None
    after_failure: AfterFailure
    connected_at: Time | None


class OutageDocument(TypedDict):
    """The outage of a platform."""

    paused_until: Time | None
    since: Time | None
    failures_in_a_row: int
    code: _Code
    reason: _Reason


class AccountsDocument(TypedDict):
    """The connected accounts."""

    accounts: list[AccountDocument]
    outages: Annotated[dict[str, OutageDocument], Field(description="Outages by platform.")]
    max_upload_bytes: Annotated[int, Field(description="Maximum size of an upload, in bytes.")]


class ScheduleDocument(TypedDict):
    """A schedule."""

    time_zone: str
    windows: Annotated[
        list[Annotated[list[str], Field(min_length=2, max_length=2)]],
        Field(description="Daily upload windows as pairs of start and end."),
    ]
    max_per_day: Annotated[
        int, Field(description="Posts of an account a day, from midnight to midnight in `time_zone`.")
    ]
    min_gap_s: float
    order: Annotated[str, Field(description="The order of publication, for people.")]


class AccountScheduleDocument(ScheduleDocument):
    """The schedule that counts for an account."""

    inherited: Annotated[bool, Field(description="Whether it is the one of the platform.")]


SchedulesDocument = dict[str, ScheduleDocument]
"""The schedules by platform."""


class MissedDocument(TypedDict):
    """The events that an endpoint has not received."""

    count: int
    since: Time | None


class EndpointDocument(TypedDict):
    """A webhook endpoint."""

    id: str
    url: str
    scope: Annotated[Literal["all", "named"], Field(description="named: only of jobs that name this address.")]
    events: list[str]
    state: EndpointState
    disabled_code: _Code
    disabled_at: Time | None
    failing_since: Time | None
    failures: Annotated[int, Field(description="Failures in a row.")]
    last_error: str | None
    attempted_at: Time | None
    paused_until: Time | None
    waiting: Annotated[int, Field(description="Events that wait.")]
    failed: Annotated[int, Field(description="Events that were given up.")]
    dropped: Annotated[int, Field(description="Events that were given up because too many waited.")]
    missed: MissedDocument
    previous_secret_until: Annotated[Time | None, Field(description="Until then the previous secret signs, too.")]
    created_at: Time | None


class EndpointsDocument(TypedDict):
    """The webhook endpoints."""

    endpoints: list[EndpointDocument]


class EndpointWithSecretDocument(EndpointDocument):
    """A webhook endpoint with its signing secret."""

    secret: str


class SecretDocument(TypedDict):
    """The signing secret of a webhook endpoint."""

    secret: Annotated[str, Field(description="`whsec_` and the key in Base64.")]


class DeliveryAttemptDocument(TypedDict):
    """An attempt at a delivery."""

    at: Time | None
    duration_ms: int
    http_status: int | None
    error: str | None
    excerpt: Annotated[str | None, Field(description="Beginning of the receiver's response.")]


class DeliveryDocument(TypedDict):
    """An event to one endpoint."""

    id: str
    event_id: Annotated[str, Field(description="The header `webhook-id` of each attempt.")]
    type: str
    job_id: str | None
    created_at: Time | None
    status: DeliveryStatus
    reason: str | None
    next_at: Annotated[Time | None, Field(description="Time of the next attempt.")]
    attempts: list[DeliveryAttemptDocument]


class DeliveriesDocument(TypedDict):
    """The deliveries to an endpoint, newest first."""

    deliveries: list[DeliveryDocument]


class DeliveryStateDocument(TypedDict):
    """A delivery that is sent again."""

    id: str
    status: DeliveryStatus


class PingDocument(TypedDict):
    """The delivery of a test event."""

    delivery_id: str
    status: DeliveryStatus


class ReplayedDocument(TypedDict):
    """The outcome of a replay."""

    replayed: Annotated[int, Field(description="Number of events that are sent again.")]


class SubscriptionDocument(TypedDict):
    """A browser that gets notices."""

    id: str
    push_service: Annotated[str, Field(description="Host of the push service.")]
    user_agent: str
    state: Literal["enabled", "disabled"]
    created_at: Time | None
    succeeded_at: Time | None
    failures: Annotated[int, Field(description="Failures in a row.")]
    last_error: str | None


class NoticeUrlDocument(TypedDict):
    """A service of `NOTICE_URLS`, without its address."""

    service: Annotated[str, Field(description="Kind of the service, such as mailto.")]
    last_status: DeliveryStatus | None
    last_at: Time | None
    last_error: str | None


class NoticesDocument(TypedDict):
    """The receivers of notices."""

    public_key: Annotated[str, Field(description="The `applicationServerKey` for web push.")]
    subscriptions: list[SubscriptionDocument]
    urls: list[NoticeUrlDocument]


class NoticeTestDocument(TypedDict):
    """The outcome of a request for a test notice."""

    receivers: Annotated[int, Field(description="Number of receivers.")]


class DeadLetterDocument(TypedDict):
    """A message whose processing failed for good."""

    id: int
    queue: str
    actor: str
    args: list[str | int | float | None]
    error: str
    attempts: int
    enqueued_at: Time | None
    died_at: Time | None


class DeadLettersDocument(TypedDict):
    """Dead letters, newest first."""

    dead_letters: list[DeadLetterDocument]


class DeadLettersRetryDocument(TypedDict):
    """The outcome of a retry of all dead letters."""

    retried: list[int]
    left: list[int]


class RetriedDeadLetterDocument(TypedDict):
    """A dead letter that was retried."""

    id: int


class RetriedPublicationDocument(TypedDict):
    """A publication that was retried."""

    id: str


class HealthCheckDocument(TypedDict):
    """The result of a check; it has further members with what was measured."""

    ok: bool
    reason: NotRequired[str]
    detail: NotRequired[str]


class HealthDocument(TypedDict):
    """The health of the server."""

    status: Literal["ok", "failing"]
    checks: dict[str, HealthCheckDocument]


class ProblemDocument(TypedDict):
    """An error (RFC 9457); it may have further members, for instance `limit_bytes`."""

    type: str
    title: str
    status: int
    detail: Annotated[str, Field(description="What went wrong, for people.")]
    code: Annotated[str, Field(description="What went wrong, for programs; stable.")]
    field: NotRequired[Annotated[str, Field(description="The field of the request that is wrong.")]]


class OpenApiDocument(TypedDict):
    """A document of OpenAPI 3.1."""

    openapi: str
    info: Free
    paths: Free
