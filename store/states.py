"""The states of things, by the names that the outside sees."""

from __future__ import annotations

from enum import StrEnum


class JobStatus(StrEnum):
    """The states of a job."""

    PENDING = "pending"  # stored, not looked at
    PROCESSING = "processing"  # parts are being planned and rendered
    REVIEW = "review"  # all parts ended; publishing waits for approval
    PUBLISHING = "publishing"  # all parts ended; publications go on
    COMPLETED = "completed"
    COMPLETED_WITH_ERRORS = "completed_with_errors"  # over, and not all of it went well
    FAILED = "failed"  # nothing went out
    CANCELLED = "cancelled"


class ReviewReason(StrEnum):
    """Why a job needs approval before anything of it is published."""

    SOUND_UNREADABLE = "sound_unreadable"  # its parts are silent although the upload has sound
    OPTIONS_LOST = "options_lost"  # restored without its record: platforms and publication time are unknown


class SegmentStatus(StrEnum):
    """The states of a part."""

    PENDING = "pending"
    RENDERING = "rendering"
    READY = "ready"  # the file exists
    DONE = "done"  # all its publications are over
    FAILED = "failed"


class PublicationStatus(StrEnum):
    """The states of a publication: one part on one account."""

    WAITING = "waiting"  # for its window, limit or turn
    PUBLISHING = "publishing"  # the state machine of steps is under way
    PUBLISHED = "published"
    ACTION_NEEDED = "action_needed"  # the platform's app waits for the creator (TikTok draft)
    FAILED = "failed"
    OUTCOME_UNKNOWN = "outcome_unknown"  # leaves only by evidence or by a person
    CANCELLED = "cancelled"
    EXPIRED = "expired"  # still open at the hard maximum


class AccountStatus(StrEnum):
    """The states of an account."""

    CONNECTED = "connected"
    RECONNECT = "reconnect"  # the tokens are dead; a person must connect it again
    REFUSED = "refused"  # the platform does not let this account post
    DISCONNECTED = "disconnected"  # kept for its history


class AfterFailure(StrEnum):
    """The effect of a part that was not published on the parts after it, on one account."""

    HOLD = "hold"  # they wait until it is retried or skipped
    CONTINUE = "continue"


class EndpointState(StrEnum):
    """The states of a webhook endpoint."""

    ENABLED = "enabled"
    DISABLED = "disabled"


class DeliveryStatus(StrEnum):
    """The states of a delivery: one event to one endpoint."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"  # given up; can be sent again by hand


JOB_OVER = frozenset({JobStatus.COMPLETED, JobStatus.COMPLETED_WITH_ERRORS, JobStatus.FAILED, JobStatus.CANCELLED})
SEGMENT_ENDED = frozenset({SegmentStatus.READY, SegmentStatus.DONE, SegmentStatus.FAILED})
PUBLICATION_OVER = frozenset(PublicationStatus) - {
    PublicationStatus.WAITING,
    PublicationStatus.PUBLISHING,
    PublicationStatus.OUTCOME_UNKNOWN,
}
PUBLICATION_SUCCEEDED = frozenset({PublicationStatus.PUBLISHED, PublicationStatus.ACTION_NEEDED})
