"""The states of jobs, parts, publications, accounts, endpoints, deliveries and notices, as the API shows them."""

from __future__ import annotations

from enum import StrEnum


class JobStatus(StrEnum):
    """The states of a job."""

    PENDING = "pending"  # stored; planning has not begun
    PROCESSING = "processing"  # parts are being planned and rendered
    REVIEW = "review"  # all parts ended; publishing waits for approval
    PUBLISHING = "publishing"  # all parts ended; publications go on
    COMPLETED = "completed"
    COMPLETED_WITH_ERRORS = "completed_with_errors"  # some parts or publications failed
    FAILED = "failed"  # nothing was published
    CANCELLED = "cancelled"


class JobPhase(StrEnum):
    """The phases of a job: its states, of which `publishing` is divided into three."""

    PENDING = "pending"
    PROCESSING = "processing"
    REVIEW = "review"
    PUBLISHING = "publishing"  # a post is going out now
    SCHEDULED = "scheduled"  # the next post has a later time
    BLOCKED = "blocked"  # no open post has a time: a person is needed, or the end of something unknown
    COMPLETED = "completed"
    COMPLETED_WITH_ERRORS = "completed_with_errors"
    FAILED = "failed"
    CANCELLED = "cancelled"


class ReviewReason(StrEnum):
    """The reason for which a job needs approval before publishing."""

    REQUESTED = "requested"  # by the option `review` of the upload, or by the setting REVIEW
    DRY_RUN = "dry_run"  # by the option `dry_run` of the upload, or by the setting DRY_RUN
    SOUND_UNREADABLE = "sound_unreadable"  # its parts are silent although the upload has sound
    OPTIONS_LOST = "options_lost"  # restored without its record: platforms and publication time are unknown
    RESTORED = "restored"  # after a loss of data: parts may be public, and what a person decided may be unknown


class SegmentStatus(StrEnum):
    """The states of a part."""

    PENDING = "pending"
    RENDERING = "rendering"
    READY = "ready"  # the file exists
    DONE = "done"  # all its publications have ended
    FAILED = "failed"


class PublicationStatus(StrEnum):
    """The states of a publication: one part on one account."""

    WAITING = "waiting"  # for an upload window, a limit, or earlier publications
    PUBLISHING = "publishing"  # its steps are being executed
    PUBLISHED = "published"
    ACTION_NEEDED = "action_needed"  # the creator has to post it in the platform's app (TikTok draft)
    FAILED = "failed"
    OUTCOME_UNKNOWN = "outcome_unknown"  # ends only by evidence, or when a person resolves it
    CANCELLED = "cancelled"
    EXPIRED = "expired"  # still open at the maximum age


class AccountStatus(StrEnum):
    """The states of an account."""

    CONNECTED = "connected"
    RECONNECT = "reconnect"  # the tokens are invalid; its owner must connect it again
    REFUSED = "refused"  # the platform does not let this account post
    DISCONNECTED = "disconnected"  # its publications refer to the row


class AfterFailure(StrEnum):
    """The effect of a part that was not published on the parts after it, on one account."""

    HOLD = "hold"  # they wait until it is retried or skipped
    CONTINUE = "continue"


class HistoryKind(StrEnum):
    """The kinds of entries in the history of a publication."""

    REQUEST = "request"  # stored before a request that may make the post public, or after an interrupted run
    ANSWER = "answer"  # a request and its response, or that none came
    EVIDENCE = "evidence"  # the answer that proves the outcome
    STATE = "state"  # a change of state
    PERSON = "person"  # what a person did or told


class WaitsFor(StrEnum):
    """The reason for which a waiting publication has not started."""

    NEXT = "next"  # its turn: it starts as soon as the posts before it on the account are out
    GAP = "gap"  # between two posts of the account
    DAY_LIMIT = "day_limit"  # of the schedule, from midnight to midnight
    WINDOW = "window"  # the next upload window
    OWN_TIME = "own_time"  # `publish_after` of it or of its video
    EARLIER_PART = "earlier_part"  # of the same video on the same account, which is not out yet
    RENDERING = "rendering"  # of the part
    APPROVAL = "approval"  # of the job or the part, by a person
    HOLD = "hold"  # by a person, until a person releases it
    ACCOUNT = "account"  # to be connected again, or the end of a pause that the platform asked for
    PLATFORM_LIMIT = "platform_limit"  # of posts, which the platform itself sets
    PLATFORM_OUTAGE = "platform_outage"  # the end of the platform's pause


class AllOutReason(StrEnum):
    """The reason for which nobody can know when all parts of a job will be published; there are those of `WaitsFor`."""

    NOT_PLANNED_YET = "not_planned_yet"  # and the duration of the video is unknown
    NO_ACCOUNT = "no_account"  # none of the chosen accounts is connected
    EXPIRES = "expires"  # the turn of a part does not come within 60 days


UNUSABLE_CODES = {AccountStatus.RECONNECT: "reconnect_needed", AccountStatus.REFUSED: "account_refused"}
"""The codes of publications that wait for an account which cannot be used."""


class EndpointState(StrEnum):
    """The states of a webhook endpoint."""

    ENABLED = "enabled"
    DISABLED = "disabled"


class DeliveryStatus(StrEnum):
    """The states of a delivery: one event to one endpoint, or one notice to one receiver."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"  # no more attempts; can be redelivered by request
    MISSED = "missed"  # the endpoint was disabled; can be replayed


class NoticeKind(StrEnum):
    """The kinds of notices to the creator."""

    NEEDS_YOU = "needs_you"  # something waits for a person, or has failed
    FINISHED = "finished"  # a job has ended, and at least one part was published
    TEST = "test"  # requested


class NoticeStatus(StrEnum):
    """The states of a notice."""

    WAITING = "waiting"  # for its time
    SENT = "sent"  # its deliveries exist
    DROPPED = "dropped"  # at its time there was nothing to say


JOB_OVER = frozenset({JobStatus.COMPLETED, JobStatus.COMPLETED_WITH_ERRORS, JobStatus.FAILED, JobStatus.CANCELLED})
SEGMENT_ENDED = frozenset({SegmentStatus.READY, SegmentStatus.DONE, SegmentStatus.FAILED})
PUBLICATION_OVER = frozenset(PublicationStatus) - {
    PublicationStatus.WAITING,
    PublicationStatus.PUBLISHING,
    PublicationStatus.OUTCOME_UNKNOWN,
}
PUBLICATION_UNPUBLISHED = frozenset({PublicationStatus.FAILED, PublicationStatus.EXPIRED})  # and may be retried
PUBLICATION_SUCCEEDED = frozenset({PublicationStatus.PUBLISHED, PublicationStatus.ACTION_NEEDED})
