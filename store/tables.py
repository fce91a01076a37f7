"""The tables of the store, for SQLAlchemy Core. Alembic's migrations create them; a test compares the two.

An attempt is one execution of work that may fail. The column `attempt` is the token of the running one, `attempts` has
the failed ones, `tries` counts attempts: at a delivery all, at a publication the failed ones of the present step that
count. The table `attempts` has those at webhook deliveries.

A part is a numbered piece of a video, as its creator sees it. A segment is the row of a part. In prose the word is
"part"; "segment" is the name in tables, JSON, events and settings (`segment_id`), which other programs read.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    UniqueConstraint,
)
from sqlalchemy import BigInteger as PlainBigInteger
from sqlalchemy import Text as PlainText
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from store import partial_indexes

metadata = MetaData()

DEFAULT_OWNER = "default"
"""The only owner, unless `scripts/keys` has made keys of others; see `store.owners`."""


class Text(TypeDecorator[str]):
    """Text in UTF-8; lone surrogates are stored as question marks.

    Names and reasons come from platforms and files, which may cut a surrogate pair in half; `sqlite3` raises
    UnicodeEncodeError for that.
    """

    impl = PlainText
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Replace what cannot be encoded."""
        if not isinstance(value, str):
            return value
        if dialect.name == "postgresql":
            value = value.replace("\0", "?")  # it stores no NUL
        return value.encode(errors="replace").decode()


# 64 bits: in SQLite each integer has them, and only a key of the type INTEGER numbers its rows.
BigInteger = PlainBigInteger().with_variant(Integer, "sqlite")

Json = JSON(none_as_null=True)  # a missing value is NULL, not the JSON text null


class UtcDateTime(TypeDecorator[datetime]):
    """A time: aware (UTC) in Python; stored in UTC without its zone, for which SQLite has no type."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 (SQLAlchemy's signature)
        """Refuse times without a time zone; store all others as UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a stored time needs its zone")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 (SQLAlchemy's signature)
        """Give the zone back."""
        return None if value is None else value.replace(tzinfo=UTC)


# A row per uploaded video.
jobs = Table(
    "jobs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("status", Text, nullable=False),  # store.states.JobStatus
    Column("video_path", Text, nullable=False),  # a key of `files`: the file as it was sent
    Column("created_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime),
    Column("completed_at", UtcDateTime),
    Column("error", Text),  # a sentence for the creator
    Column("metadata", Json),  # the creator's own, handed back untouched
    Column("webhook_url", Text),
    Column("platforms", Json),  # list of names in `platforms.registry`; null: every connected account
    Column("error_code", Text),  # stable, for programs
    Column("title", Text, nullable=False, server_default=""),
    Column("caption", Text, nullable=False, server_default=""),
    Column("original_name", Text, nullable=False, server_default=""),  # only ever shown, never a path
    Column("size_bytes", BigInteger, nullable=False, server_default="0"),
    Column("gaze_intensity", Float, nullable=False),  # 0 to 1
    Column("segment_seconds", Float, nullable=False),
    Column("publish_after", UtcDateTime),
    Column("facts", Json),  # what `media.probe` found
    # JSON of `media.plan` for `media.gaze`: measured gaze of this speaker when looking into the lens.
    Column("gaze_zero", Json),
    # About the planning, like the columns of these names in job_segments about the rendering.
    Column("asked_at", UtcDateTime),
    Column("attempt", Text),
    Column("attempts", Json),
    Column("retry_at", UtcDateTime),
    Column("segment_count", Integer),  # null until planned
    Column("review_reasons", Json),  # list of store.states.ReviewReason: nothing is published before approval
    Column("approved_at", UtcDateTime),  # when it was approved
    Column("sequence", BigInteger, nullable=False, server_default="0"),  # of the job's events, rising
    Column("files_deleted_at", UtcDateTime),
    Column("pictures_until", UtcDateTime),  # small pictures are kept until then, after the other files; null: none are
    Column("source_deleted_at", UtcDateTime),  # of the uploaded file, which no part needs any more; null: with the rest
    Column("accounts", Json),  # list of ids of accounts; null: all connected ones of `platforms`
    Column("post_options", Json),  # options of the posts by platform, as the upload gave them; `post_settings` has more
    Column("stated_duration_s", Float),  # of the video, as the upload stated it; only for estimates until it is planned
    Column("held", Boolean, nullable=False, server_default="0"),  # publications that are created later are held, too
    Column("owner_id", Text, nullable=False, server_default=DEFAULT_OWNER),  # `store.owners`, as everywhere
)
Index("jobs_newest_first", jobs.c.created_at, jobs.c.id)
Index("jobs_of_owner", jobs.c.owner_id, jobs.c.created_at, jobs.c.id)
Index("jobs_by_status", jobs.c.status)

# A row per part of a video.
job_segments = Table(
    "job_segments",
    metadata,
    Column("id", Text, primary_key=True),
    Column("job_id", Text, ForeignKey("jobs.id"), nullable=False),
    Column("segment_number", Integer, nullable=False),  # from 1
    Column("file_path", Text, nullable=False),  # a key of `files`; names the attempt that has won
    Column("duration", Float),  # seconds
    Column("platform", Text),  # unused: a part has one publication per account, see publications
    Column("upload_status", Text),  # unused: see publications
    Column("upload_at", UtcDateTime),  # unused: see publications
    Column("status", Text, nullable=False),  # store.states.SegmentStatus
    Column("start_s", Float, nullable=False),  # within the source
    Column("span", Json, nullable=False),  # opaque, from `media.plan`: which frames this part has, and its gain
    Column("cut_reason", Text, nullable=False),  # why it ends where it ends
    Column("progress", Float, nullable=False, server_default="0"),  # 0 to 1
    Column("attempt", Text),  # random token of the running attempt; an outcome with another token is dropped
    Column("attempts", Json),  # list of store.attempts.MediaAttempt, failed ones since `asked_at`, oldest first
    Column("retry_at", UtcDateTime),  # when the next attempt may begin; null unless it waits
    Column("asked_at", UtcDateTime),  # when a person last retried it: older dead letters are ignored
    Column("started_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("gaze", Json),  # {"corrected", "share", "reason", ...} from `media.gaze`
    Column("reason", Text),  # why it failed, for the creator
    Column("size_bytes", BigInteger),
    Column("stage_seconds", Json),  # what took how long in the child
    Column("rendering", Json),  # {"picture", "encoded_because", "sound", ...} from `media.gaze`
    Column("files_deleted_at", UtcDateTime),  # after its last publication; null: with those of its job
    Column("gaze_intensity", Float),  # 0 to 1, 0: as filmed; null: that of the job
    Column("approved_at", UtcDateTime),  # when a person approved this part alone; that of its job counts for all
    UniqueConstraint("job_id", "segment_number"),
)
Index("job_segments_not_ended", job_segments.c.status, sqlite_where=partial_indexes.is_not_ended(job_segments))

# A row per job that was planned with this table, until its files are deleted: the facts by which its cuts can be moved.
# Each has a limit, which is checked when the plan is stored.
job_plans = Table(
    "job_plans",
    metadata,
    Column("job_id", Text, ForeignKey("jobs.id"), primary_key=True),
    Column("pauses", Json, nullable=False),  # list of [start, end] in seconds, at most 2000
    Column(
        "peaks", Json
    ),  # {"per_s", "values"} of the sound, at most 4000 in Base64; null: it has none, or is unreadable
    Column("key_frames", Json, nullable=False),  # list of [tick, time stamp], at most 2000
)

# A row per connected account of a platform. A person's account there has one row, whoever connects it, so that its
# limits count for all owners: another owner takes over the row of an account that is disconnected.
accounts = Table(
    "accounts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("platform", Text, nullable=False),
    Column("variant", Text, nullable=False),  # which of a platform's interfaces: see platforms
    Column("remote_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("status", Text, nullable=False),  # store.states.AccountStatus
    Column("tokens", LargeBinary),  # encrypted JSON (`store.sealing`); null once disconnected
    Column("expires_at", UtcDateTime),  # of the access token
    Column("refresh_at", UtcDateTime),  # the best moment to exchange the tokens
    Column("refresh_expires_at", UtcDateTime),  # afterwards only a person can help
    Column("refreshing_until", UtcDateTime),  # a process exchanges the tokens; no other process may until then
    Column("paused_until", UtcDateTime),  # the platform asked us to wait
    Column("after_failure", Text, nullable=False, server_default="hold"),  # store.states.AfterFailure
    Column("reason", Text),  # why reconnect or paused
    Column("created_at", UtcDateTime, nullable=False),
    Column("owner_id", Text, nullable=False, server_default=DEFAULT_OWNER),
    UniqueConstraint("platform", "remote_id"),
)

# A row per part and account: whether it was published. That publishing began is also noted in a file beside the upload
# (`actors.recovery.publishing_notes`), for the case that this database is replaced by a backup.
publications = Table(
    "publications",
    metadata,
    Column("id", Text, primary_key=True),
    Column("job_id", Text, ForeignKey("jobs.id"), nullable=False),
    Column("segment_id", Text, ForeignKey("job_segments.id"), nullable=False),
    Column("segment_number", Integer, nullable=False),
    Column("platform", Text, nullable=False),
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False),
    Column("status", Text, nullable=False),  # store.states.PublicationStatus
    Column("due_at", UtcDateTime),  # when the schedule allows it, as last computed; null: its turn has not come
    Column("step", Text),  # of the publisher's state machine; null before the first
    # Encrypted JSON: facts of a `platforms.contract.Handle`, such as an upload address; stored before the next step.
    Column("handle", LargeBinary),
    # "message id/nonce" of the run that executes `step`; null between two steps. A run that finds its own message's id
    # here, or a holder that has expired, follows an interrupted run; a run that finds another holder does nothing.
    Column("holder", Text),
    Column("holder_until", UtcDateTime),  # when it expires
    Column("next_at", UtcDateTime),  # when the next step is due
    # The last answer was lost: a new run of the step first asks the platform, and sends only what is missing.
    Column("unclear", Boolean, nullable=False, server_default="0"),
    Column("tries", Integer, nullable=False, server_default="0"),  # counted failed attempts at `step`
    Column("attempts", Json),  # list of store.attempts.PublishingAttempt, the newest 20, oldest first
    Column("troubled_since", UtcDateTime),  # time of the first failure of the present step; given up after 24 h
    Column("remote_id", Text),
    Column("link", Text),
    Column("reason", Text),
    Column("code", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("job_order", Text),  # creation time and id of its job, in one column so that one index search finds the next
    Column("started_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("words", Json),  # {"title", "caption", "options"}: what is sent, once its first step has begun
    # What a person decided. The code "held" is another thing: an earlier part was not published.
    Column("held", Boolean, nullable=False, server_default="0"),  # it does not start
    Column("publish_after", UtcDateTime),  # its own time; null: that of its job
    Column(
        "publish_now_at", UtcDateTime
    ),  # when it was asked to start at once, without window and gap; null: it was not
    UniqueConstraint("segment_id", "account_id"),
)
Index("publications_by_account", publications.c.account_id, publications.c.status)
for _name, _columns, _is_indexed in (
    ("publications_in_order", ("account_id", "job_order", "segment_number"), partial_indexes.is_open),
    ("publications_not_published", ("account_id", "job_id", "segment_number"), partial_indexes.is_unpublished),
    ("publications_by_start", ("account_id", "started_at"), partial_indexes.is_started),
    ("publications_under_way", ("next_at",), partial_indexes.is_under_way),
    ("publications_open_by_age", ("created_at",), partial_indexes.is_open),
    ("publications_held", ("account_id", "job_id", "segment_number"), partial_indexes.is_held),
    ("publications_wanted_now", ("account_id", "publish_now_at"), partial_indexes.is_wanted_now),
    ("publications_with_own_time", ("account_id", "job_id", "segment_number"), partial_indexes.has_own_time),
):
    # Without `postgresql_where`, which loads SQLAlchemy's PostgreSQL dialect: 2.9 MB in every process.
    Index(_name, *(publications.c[_column] for _column in _columns), sqlite_where=_is_indexed(publications))
Index("publications_by_job", publications.c.job_id)

# A row per entry of a publication's history: what was sent and answered, the evidence, what a person did. Bounded for
# each publication (`store.history`), and deleted after `actors.flow.retention.HISTORY_KEPT_FOR`.
publication_history = Table(
    "publication_history",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),  # rises with time
    Column("publication_id", Text, ForeignKey("publications.id"), nullable=False),
    Column("number", Integer, nullable=False),  # of the entries of its publication, rising; gaps: entries were deleted
    Column("at", UtcDateTime, nullable=False),
    Column("until", UtcDateTime),  # the last repetition of the same entry; null: it happened once
    Column("times", Integer, nullable=False, server_default="1"),  # how often it happened in a row
    Column("kind", Text, nullable=False),  # store.states.HistoryKind
    Column("step", Text),  # of the publisher's state machine
    Column("text", Text, nullable=False),  # for people; never a secret
    Column("method", Text),  # of the request, like the next columns; null: the entry is about none
    Column("host", Text),
    Column("path", Text),  # without the query, and without segments that may be secrets
    Column("http_status", Integer),  # null: no response came
    Column("duration_ms", Integer),
    Column("ids", Json),  # {name: value}: what identifies the post, or its upload, on the platform's side
    UniqueConstraint("publication_id", "number"),
)

# A row per platform, part or publication of a job whose words or options differ from the job's. The most exact row
# counts, field by field: `actors.flow.post_words`.
post_settings = Table(
    "post_settings",
    metadata,
    Column("job_id", Text, ForeignKey("jobs.id"), primary_key=True, nullable=False),
    Column("segment_number", Integer, primary_key=True, nullable=False, autoincrement=False),  # 0: all parts
    Column("target", Text, primary_key=True, nullable=False),  # name of a platform, id of an account; empty: all
    Column("title", Text),  # a template, see `platforms.wording`; null: inherited, empty: no title
    Column("caption", Text),  # likewise
    Column("options", Json),  # of the platform's model; null: inherited
)

# A row per platform that has failed: an outage lasts from the third failure in a row until the first success.
platform_states = Table(
    "platform_states",
    metadata,
    Column("platform", Text, primary_key=True),
    Column("failures_in_a_row", Integer, nullable=False, server_default="0"),  # of the server or the network
    Column("since", UtcDateTime),  # time of the first of them
    Column("paused_until", UtcDateTime),  # no step is run before; null: no outage. In the past: the next step probes
    Column("code", Text),  # of the last failure
    Column("reason", Text),
)

# A row per owner and platform: when and how much may be published. The limits are counted for each account.
schedules = Table(
    "schedules",
    metadata,
    Column("owner_id", Text, primary_key=True, nullable=False, server_default=DEFAULT_OWNER),
    Column("platform", Text, primary_key=True),
    Column("time_zone", Text, nullable=False),  # IANA name the windows are read in
    Column("windows", Json, nullable=False),  # [["08:00", "22:30"], ...]; empty: always
    Column("max_per_day", Integer, nullable=False),  # by the calendar of `time_zone`
    Column("min_gap_s", Float, nullable=False),  # between two posts
)

# A row per account that has a schedule of its own, in place of its platform's. The columns are those of `schedules`.
account_schedules = Table(
    "account_schedules",
    metadata,
    Column("account_id", Text, ForeignKey("accounts.id"), primary_key=True, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("windows", Json, nullable=False),
    Column("max_per_day", Integer, nullable=False),
    Column("min_gap_s", Float, nullable=False),
)

# A row per account whose platform was asked how many posts it may publish in 24 hours: its last answer.
post_quotas = Table(
    "post_quotas",
    metadata,
    Column("account_id", Text, ForeignKey("accounts.id"), primary_key=True, nullable=False),
    Column("total", Integer),  # null: the platform did not say
    Column("others", Integer, nullable=False),  # posts of other apps, or by hand, in the 24 hours before
    Column("read_at", UtcDateTime, nullable=False),
    Column("reason", Text),  # why the platform did not answer; null: it did
)

# A row per webhook endpoint.
endpoints = Table(
    "endpoints",
    metadata,
    Column("id", Text, primary_key=True),
    Column("url", Text, nullable=False),
    Column("scope", Text, nullable=False),  # "all" jobs, or "named": only jobs that name this address
    Column("events", Json, nullable=False),  # list of types; empty: every one
    Column("state", Text, nullable=False),  # store.states.EndpointState
    Column("secret", LargeBinary, nullable=False),  # encrypted whsec_...
    Column("previous_secret", LargeBinary),
    Column("previous_until", UtcDateTime),
    Column("failing_since", UtcDateTime),  # the first failed attempt since the last successful one
    Column("created_at", UtcDateTime, nullable=False),
    Column("failures", Integer, nullable=False, server_default="0"),  # failed attempts since the last successful one
    Column("failing_s", Integer, nullable=False, server_default="0"),  # seconds in which attempts were made, all failed
    Column("exhausted", Integer, nullable=False, server_default="0"),  # deliveries given up since the last success
    Column("dropped", Integer, nullable=False, server_default="0"),  # deliveries given up because too many waited
    Column("attempted_at", UtcDateTime),  # the last attempt
    Column("last_duration_ms", Integer),  # of the last attempt
    Column("last_error", Text),  # of the last attempt; null if it succeeded
    Column("paused_until", UtcDateTime),  # no attempt before: it fails repeatedly, or has asked for time
    Column("wake_at", UtcDateTime),  # time of its next message, which carries this value; others are outdated
    Column("disabled_at", UtcDateTime),
    Column("disabled_code", Text),  # "gone" (410), "failing" (for five days) or "requested"
    Column("owner_id", Text, nullable=False, server_default=DEFAULT_OWNER),
    UniqueConstraint("owner_id", "url"),
)

# A row per subject of events that belong to no job; `subject` is like "account_id:acc_1".
sequences = Table(
    "sequences",
    metadata,
    Column("subject", Text, primary_key=True),
    Column("number", Integer, nullable=False),  # of its last event
)

# A row per event that endpoints may receive.
events = Table(
    "events",
    metadata,
    Column("id", Text, primary_key=True),  # the webhook-id, the same at each attempt
    Column("type", Text, nullable=False),
    Column("job_id", Text, ForeignKey("jobs.id")),
    Column("body", Text, nullable=False),  # the exact JSON that is signed and sent
    Column("created_at", UtcDateTime, nullable=False),
    Column("owner_id", Text, server_default=DEFAULT_OWNER),  # null: of all owners, such as an outage of a platform
)
Index("events_by_job", events.c.job_id)

# A row per event and endpoint.
deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Text, primary_key=True),
    Column("event_id", Text, ForeignKey("events.id"), nullable=False),
    Column("endpoint_id", Text, ForeignKey("endpoints.id"), nullable=False),
    Column("status", Text, nullable=False),  # store.states.DeliveryStatus
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("next_at", UtcDateTime),  # the endpoint's deliveries are attempted in this order
    Column("reason", Text),  # why it is missed, or failed without a last attempt
    Column("queued_at", UtcDateTime),  # when it began to wait: at the event, or when it was sent again
    UniqueConstraint("event_id", "endpoint_id"),
)
Index("deliveries_by_endpoint", deliveries.c.endpoint_id, deliveries.c.status, deliveries.c.next_at)
Index("deliveries_waiting", deliveries.c.status, deliveries.c.next_at)

# A row per attempt at a delivery.
attempts = Table(
    "attempts",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("delivery_id", Text, ForeignKey("deliveries.id"), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("duration_ms", Integer, nullable=False),
    Column("http_status", Integer),  # null: no answer came
    Column("error", Text),
    Column("excerpt", Text),  # of the answer, at most 1 kB
)
Index("attempts_by_delivery", attempts.c.delivery_id)

# A row per OAuth login whose state has come back, until the state expires: each is used once. What else belongs to a
# login is in a cookie of the browser that began it (`api.http.connect_cookie`).
used_oauth_states = Table(
    "used_oauth_states",
    metadata,
    Column("state_hash", Text, primary_key=True),
    Column("expires_at", UtcDateTime, nullable=False),
)

# A row per API key that `scripts/keys` created, or that was generated at the first start. Those in the environment are
# never stored.
api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),  # also the client's identity, which separates its idempotency keys
    Column("name", Text, nullable=False),  # chosen by the operator; unique among the valid keys of its owner
    Column("key_hash", Text, nullable=False, unique=True),  # `store.api_keys.hash_key`; the key itself is not stored
    Column("created_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime),
    Column("owner_id", Text, nullable=False, server_default=DEFAULT_OWNER),
)

# A row per session of the web page.
sessions = Table(
    "sessions",
    metadata,
    Column("token_hash", Text, primary_key=True),  # of the cookie's value, which is not stored
    Column("key_id", Text, nullable=False),  # of `api_keys`; "env_" and a keyed hash for a key in the environment
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
)
Index("sessions_by_key", sessions.c.key_id, sessions.c.created_at)
Index("sessions_by_expiry", sessions.c.expires_at)

# A row per heartbeat (`store.heartbeats`): "scheduler" is the time of the last run of `open_windows`.
marks = Table(
    "marks",
    metadata,
    Column("name", Text, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("boot", Text),  # identity of the machine's boot (`store.boot_clock`); null: written by an older version
    Column("boot_s", Float),  # seconds since that boot
)

# A row per table, platform and status: how many rows there are. Triggers keep it (migration 0016; on PostgreSQL the
# number is the sum of several rows), because counting
# 600,000 publications takes 300 ms. A migration that makes one of these tables anew must make its triggers anew.
row_counts = Table(
    "row_counts",
    metadata,
    Column("table_name", Text, primary_key=True),
    Column("platform", Text, primary_key=True),  # of publications; "" for other tables
    Column("status", Text, primary_key=True),
    Column("row_count", BigInteger, nullable=False),
)

# A row per stage and bucket of its histogram: how many executions took longer than the bucket before, but not longer.
# On PostgreSQL the number is the sum of several rows.
stage_durations = Table(
    "stage_durations",
    metadata,
    Column("stage", Text, primary_key=True),  # `store.stage_durations`
    Column("le_s", Float, primary_key=True),  # upper bound of the bucket; infinite for the last one
    Column("observations", BigInteger, nullable=False),
    Column("sum_s", Float, nullable=False),  # of all of them
)

# A row per upload that was accepted with an Idempotency-Key, while its answer is replayed.
idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("key_hash", Text, primary_key=True),  # hash of the caller's identity and the key
    Column("fingerprint", Text, nullable=False),  # of the request; one with another fingerprint is refused
    Column("job_id", Text, nullable=False),  # created with this row; kept when the job's files are deleted
    Column("status", Integer, nullable=False),  # HTTP status of the answer
    Column("headers", Json, nullable=False),  # {name: value} of the answer
    Column("body", Text, nullable=False),  # of the answer: JSON, UTF-8
    Column("expires_at", UtcDateTime, nullable=False),
)
Index("idempotency_keys_by_expiry", idempotency_keys.c.expires_at)

# A row per VAPID key pair (RFC 8292) of this machine. Browsers subscribe with the newest one that can be decrypted.
vapid_keys = Table(
    "vapid_keys",
    metadata,
    Column("public_key", Text, primary_key=True),  # uncompressed point of P-256, base64url
    Column("private_key", LargeBinary, nullable=False),  # encrypted; base64url
    Column("created_at", UtcDateTime, nullable=False),
)

# A row per browser that receives notices by web push.
push_subscriptions = Table(
    "push_subscriptions",
    metadata,
    Column("id", Text, primary_key=True),  # `store.push_subscriptions.subscription_id`: a hash of the endpoint
    Column("host", Text, nullable=False),  # of the endpoint
    Column("secret", LargeBinary, nullable=False),  # encrypted JSON: endpoint, p256dh, auth
    Column("public_key", Text, nullable=False),  # of `vapid_keys`: the push service accepts no other signature
    Column("user_agent", Text, nullable=False),
    Column("key_id", Text),  # of the API key with which it was made, as in `sessions`; null: made before version 0014
    Column("created_at", UtcDateTime, nullable=False),
    Column("succeeded_at", UtcDateTime),  # the last success
    Column("failures", Integer, nullable=False, server_default="0"),  # deliveries given up since the last success
    Column("last_error", Text),  # of the last delivery; null if it succeeded
    Column("disabled_at", UtcDateTime),  # too many failures; the page enables it when it is opened
    Column("owner_id", Text, nullable=False, server_default=DEFAULT_OWNER),
)

# A row per notice to the creator.
notices = Table(
    "notices",
    metadata,
    Column("id", Text, primary_key=True),
    Column("subject", Text, nullable=False),  # "job:ID", "account:ID" or "test"
    Column("kind", Text, nullable=False),  # store.states.NoticeKind
    Column("status", Text, nullable=False),  # store.states.NoticeStatus
    Column("created_at", UtcDateTime, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),  # until then, whatever happens to the subject joins this notice
    Column("sent_at", UtcDateTime),
    Column("title", Text),  # null until it is sent
    Column("body", Text),
    Column("owner_id", Text, nullable=False, server_default=DEFAULT_OWNER),
)
Index("notices_by_subject", notices.c.subject, notices.c.kind, notices.c.created_at)
Index("notices_by_status", notices.c.status, notices.c.due_at)

# A row per notice and receiver.
notice_deliveries = Table(
    "notice_deliveries",
    metadata,
    Column("id", Text, primary_key=True),
    Column("notice_id", Text, ForeignKey("notices.id"), nullable=False),
    Column("target", Text, nullable=False),  # id of a push subscription, or "url_" and a keyed hash of a NOTICE_URLS
    Column("status", Text, nullable=False),  # store.states.DeliveryStatus
    Column("tries", Integer, nullable=False, server_default="0"),  # attempts that were begun
    Column("next_at", UtcDateTime),  # when the next attempt is due, or the present one is overdue; null: it has ended
    Column("ended_at", UtcDateTime),
    Column("error", Text),  # of the last attempt; null if it succeeded
    UniqueConstraint("notice_id", "target"),
)
Index("notice_deliveries_by_status", notice_deliveries.c.status, notice_deliveries.c.next_at)
Index("notice_deliveries_by_target", notice_deliveries.c.target, notice_deliveries.c.ended_at)
