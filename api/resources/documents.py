"""The JSON documents that the API answers with: one type for each, from which their schemas are generated.

The resources build their answers as these types, so that mypy compares both; a test compares real answers with the
schemas. They are never validated in production. A member is not removed and does not change its meaning; new ones may
be added. Those about webhooks are in `webhook_documents`, those about the server in `server_documents`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema
from typing_extensions import TypedDict

from api.resources.document_types import Code as _Code
from api.resources.document_types import Cursor, Free, Progress, Time
from api.resources.document_types import Reason as _Reason
from api.resources.document_types import RetryAt as _RetryAt
from store.attempts import MediaOutcome
from store.states import (
    AccountStatus,
    AfterFailure,
    AllOutReason,
    JobPhase,
    JobStatus,
    PublicationStatus,
    ReviewReason,
    SegmentStatus,
    WaitsFor,
)

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


class ReviewDocument(TypedDict):
    """The reasons for which a job waits for approval."""

    reasons: list[ReviewReason]
    approved_at: Time | None


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
    review: Annotated[ReviewDocument | None, Field(description="Why the job waits for approval.")]


class JobsDocument(TypedDict):
    """A page of jobs, newest first."""

    jobs: list[JobSummaryDocument]
    next: Cursor


class RestoredApprovalDocument(TypedDict):
    """The outcome of an approval of restored jobs."""

    approved: Annotated[int, Field(description="Number of jobs that are approved.")]
    left: Annotated[int, Field(description="Number of jobs that still need approval, for another reason.")]


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


class WordsDocument(TypedDict):
    """The words and options that were set for a platform, a part or a post; null: inherited."""

    title: str | None
    caption: str | None
    options: Free | None


class SentWordsDocument(TypedDict):
    """The words and options of a post."""

    own_words: Annotated[
        WordsDocument | None, Field(description="Words and options set for this post alone; null without any.")
    ]
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
    held: Annotated[bool, Field(description="Whether a person holds it: it does not start until it is released.")]
    publish_after: Annotated[
        Time | None, Field(description="Its own time, before which it is not published; null: that of its job.")
    ]
    publish_now: Annotated[
        bool, Field(description="Whether a person wanted it at once, without upload window, gap and own time.")
    ]
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
    approved: Annotated[bool, Field(description="Whether it may be published: it needs no approval, or has it.")]
    gaze: GazeDocument | None
    rendering: Annotated[Free | None, Field(description="How the part was made.")]
    reason: _Reason
    attempts: list[AttemptDocument]
    retry_at: _RetryAt
    size_bytes: int | None
    stage_seconds: Annotated[dict[str, float] | None, Field(description="Seconds of each step of the rendering.")]
    links: Annotated[
        dict[str, str],
        Field(
            description="Addresses of the files that exist: video, cover, preview, gaze (over time), and original: the "
            "uploaded video, with the times of the part as a media fragment (`#t=`)."
        ),
    ]
    publications: list[PublicationDocument]


class JobDocument(JobSummaryDocument, AllOutDocument):
    """The status of a job."""

    caption: str
    platform_words: Annotated[dict[str, WordsDocument], Field(description="Words and options set by platform.")]
    part_words: Annotated[dict[str, WordsDocument], Field(description="Words set by number of a part.")]
    error: _Reason
    error_code: _Code
    attempts: list[AttemptDocument]
    retry_at: _RetryAt
    dry_run: Annotated[bool, Field(description="Whether nothing is published, unless the job is approved.")]
    warnings: list[str | None]
    metadata: Annotated[Free | None, Field(description="The JSON object that was given with the upload.")]
    platforms: list[str] | None
    accounts: Annotated[list[str] | None, Field(description="Ids of the chosen accounts; null: all of `platforms`.")]
    size_bytes: int | None
    gaze_intensity: float
    segment_seconds: float
    publish_after: Time | None
    held: Annotated[bool, Field(description="Whether the whole job is held; single publications may be, too.")]
    started_at: Time | None
    completed_at: Time | None
    source_deleted_at: Time | None
    files_deleted_at: Time | None
    segments: list[SegmentDocument]


class UncorrectedSpanDocument(TypedDict):
    """A span of a part that was left as filmed."""

    start_s: Annotated[float, Field(description="After the beginning of the part, in seconds.")]
    end_s: float
    code: Annotated[str, Field(description="Why, for programs; as in `gaze` of the status.")]


class GazeCurveDocument(TypedDict):
    """The gaze of a part's main speaker over time; all lists have `per_s` values a second, at most 600."""

    per_s: float
    angle_before_deg: Annotated[
        list[float | None], Field(description="Degrees off the lens as filmed; null without a face or with shut eyes.")
    ]
    angle_after_deg: Annotated[
        list[float | None],
        Field(description="Degrees off the lens in the corrected picture; null where it was not measured."),
    ]
    strength: Annotated[list[float], Field(description="Share of the angle that was corrected, 0 to 1.")]
    reasons: Annotated[
        list[UncorrectedSpanDocument], Field(description="What was left as filmed, the longest 200 spans, in order.")
    ]


class PlannedPartDocument(TypedDict):
    """A part of a plan."""

    number: Annotated[int, Field(description="Number of the part, from 1.")]
    start_s: Annotated[float, Field(description="Start of its first frame in the uploaded video, in seconds.")]
    end_s: Annotated[float, Field(description="End of its last frame; the next part begins there or later.")]
    cut_reason: Annotated[str, Field(description="Why the part ends there; `chosen`: a person moved the cut.")]
    gaze_intensity: Annotated[float | None, Field(description="0 to 1, 0: as filmed. Null: that of the job.")]
    begun: Annotated[bool, Field(description="A post of it has begun: it keeps its bounds and its number.")]


class TimeSpanDocument(TypedDict):
    """A span of time in the uploaded video."""

    start_s: float
    end_s: float


class PeaksDocument(TypedDict):
    """The waveform of a video's sound."""

    per_s: Annotated[float, Field(description="Peaks a second, from the video's beginning.")]
    values: Annotated[str, Field(description="Base64 of a byte for each peak: 255 is the loudest of the video.")]


class PlanDocument(TypedDict):
    """The parts of a video, and by what their cuts can be moved."""

    duration_s: Annotated[float | None, Field(description="Of the video; null until it is examined.")]
    frame_rate: Annotated[
        str | None, Field(description="Frames a second as a fraction, such as `30000/1001`: cuts are at frames.")
    ]
    min_part_s: Annotated[float, Field(description="Minimum duration of a part that is changed.")]
    max_part_s: Annotated[float, Field(description="Maximum duration of a part that is changed.")]
    gaze_intensity: Annotated[float, Field(description="Of the parts without their own.")]
    editable: Annotated[bool, Field(description="Whether parts can be changed.")]
    reason: Annotated[
        str | None,
        Field(
            description="Why not: `not_planned_yet`, `source_deleted`, `job_over`, or `publication_started` (of "
            "all parts)."
        ),
    ]
    reason_text: _Reason
    parts: Annotated[list[PlannedPartDocument], Field(description="In order; what lies between two parts is left out.")]
    pauses: Annotated[list[TimeSpanDocument], Field(description="Pauses in speech, the longest 2000, in order.")]
    peaks: Annotated[PeaksDocument | None, Field(description="At most 4000; null without a sound.")]


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
    next: Cursor


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
    login_expires_at: Annotated[
        Time | None, Field(description="When the account has to be connected again, if the platform says so.")
    ]


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
    next: Cursor


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


class PlatformLimitDocument(TypedDict):
    """The limit of posts that a platform itself sets; it counts whatever the schedule allows."""

    posts: Annotated[int, Field(description="Posts a day.")]
    day_zone: Annotated[
        str | None,
        Field(description="Zone whose calendar days count, for all accounts together; null: any 24 hours."),
    ]
    others: Annotated[int, Field(description="Posts of others that count now: of other apps, or of other accounts.")]
    read_at: Annotated[
        Time | None, Field(description="When the platform was asked; null if it never was: the documented limit.")
    ]
    reason: Annotated[str | None, Field(description="Why the platform did not answer: the documented limit counts.")]


class AccountScheduleDocument(ScheduleDocument):
    """The schedule that counts for an account."""

    platform_limit: PlatformLimitDocument | None
    inherited: Annotated[bool, Field(description="Whether it is the one of the platform.")]


SchedulesDocument = dict[str, ScheduleDocument]
"""The schedules by platform."""


class RetriedPublicationDocument(TypedDict):
    """A publication that was retried."""

    id: str
