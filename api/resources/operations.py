"""The operations of the API, as listed in its OpenAPI document."""

from __future__ import annotations

from api.http.idempotency import MAX_KEY_CHARS
from api.resources import accounts, calendar, documents, forecasts, jobs, publication_documents
from api.resources.accounts import AccountChange
from api.resources.operation import CURSOR, NO_CONTENT, Json, Operation, limit, text
from api.resources.owner_operations import OWNER_OPERATIONS
from api.resources.plans import PlanChange
from api.resources.post_changes import JobChange, PublicationChange
from api.resources.publications import PublicationRetry, Resolution
from api.resources.schedules import PlatformSchedules, ScheduleChange
from api.resources.server_operations import SERVER_OPERATIONS
from api.resources.webhook_operations import WEBHOOK_OPERATIONS
from api.tus import protocol
from api.uploads.options import UploadOptions
from platforms import registry

_IDEMPOTENCY_KEY: Json = {
    "type": "string", "minLength": 1, "maxLength": MAX_KEY_CHARS,
    "description": "A new UUID for each upload; send the same key when you repeat an upload. For 24 hours, a repeated "
    "upload gets the first response again (with `Idempotent-Replayed: true`) and creates no second job. 422 if the key "
    "was used for a different upload, 409 while the first request is in progress. Optional; 1 to "
    f"{MAX_KEY_CHARS} printable ASCII characters.",
}  # fmt: skip
_TUS: dict[str, Json] = {
    "Tus-Resumable": {
        "type": "string",
        "enum": [protocol.VERSION],
        "description": "Version of the protocol.",
        "examples": [protocol.VERSION],
    },
}
_TUS_CREATION: dict[str, Json] = {
    "Upload-Length": text("Size of the video in bytes.", examples=["123456789"]),
    "Upload-Defer-Length": text("`1` if the size is told later."),
    "Upload-Metadata": text(
        "Pairs of a key and a value in Base64, separated by commas.",
        examples=["filename dGFsay5tcDQ=,title TXkgdGFsaw=="],
    ),
    "Upload-Concat": text("`partial`, or `final;` with the addresses of partial uploads that are joined."),
    "Upload-Checksum": text(
        f"Checksum of the body: one of {', '.join(protocol.ALGORITHMS)}, and the digest in Base64."
    ),
}
_TUS_APPENDING: dict[str, Json] = {
    "Upload-Offset": text("Number of bytes that the server has.", examples=["0"]),
    "Upload-Length": text("Size of the video in bytes, if it was deferred."),
    "Upload-Checksum": _TUS_CREATION["Upload-Checksum"],
}
_PROTOCOL = ("Tus-Version", "Tus-Extension", "Tus-Max-Size", "Tus-Checksum-Algorithm")
_PREFLIGHT = "Part of tus; needs no key."
_DAYS = f"How many days from now, 1 to {forecasts.MAX_DAYS}. Default: {forecasts.DEFAULT_DAYS}."
_FROM = text("First day. Default: today.", format="date", examples=["2026-11-22"])
_TO = text(
    f"Last day, at most {calendar.MAX_DAYS} days with the first. Default: {calendar.DEFAULT_DAYS} days with the first.",
    format="date",
    examples=["2026-12-22"],
)
_OPTIONAL_VERSION = text(
    "The ETag of the plan that you have seen. Optional; without it, the numbers are those of the parts as they are.",
    examples=['"0123456789abcdef01234567"'],
)
_ZONE = text("IANA time zone in which days begin and end. Default: UTC.", examples=["Europe/Berlin"])
_VARIANT = {
    "type": "string", "enum": list(registry.LOGINS),
    "description": "Login of the platform. Default: the first one that is configured.",
}  # fmt: skip
_CALLBACK = {
    "state": text("State of the connection request."),
    "code": text("Authorization code; missing if the platform did not grant access."),
    "error": text("Error code of the platform."),
}


def _protocol_headers(*names: str) -> dict[str, Json]:
    """Return the schemas of headers of tus in an answer."""
    return {name: text(_ANSWERED[name]) for name in names}


_ANSWERED = {
    "Location": "Address of the upload.",
    "Upload-Offset": "Number of bytes that the server has.",
    "Upload-Length": "Size of the video in bytes.",
    "Upload-Metadata": "The metadata as the client sent it.",
    "Upload-Expires": "When the upload is deleted if nothing is added.",
    "X-Job-Id": "Id of the job of a complete upload.",
    "X-All-Out-By": "When all parts of a complete upload are published, if that is known; RFC 3339.",
    "Tus-Version": "Versions of the protocol.",
    "Tus-Extension": "Extensions of the protocol, separated by commas.",
    "Tus-Max-Size": "Maximum size of an upload in bytes.",
    "Tus-Checksum-Algorithm": "Algorithms of Upload-Checksum, separated by commas.",
}
_PART = "/jobs/{job_id}/segments/{number}"
_FILE = (200, 206, 304, 404, 416)
_UNTIL_DELETED = "Available until the files of the job are deleted. Supports Range and If-None-Match."

OPERATIONS = (
    Operation(
        "upload_video", "post", "/upload", "Upload a video", (202, 400, 409, 411, 413, 415, 422, 429, 503),
        "Send the options before the file: invalid options are then refused before the file is sent.",
        UploadOptions, headers={"Idempotency-Key": _IDEMPOTENCY_KEY}, content=documents.UploadDocument,
        answer_headers={"Idempotent-Replayed": text("`true` if this is the first response again.")},
    ),
    Operation(
        "create_upload", "post", "/files", "Create a resumable upload",
        (201, 400, 404, 409, 411, 412, 413, 415, 422, 423, 429, 460, 503),
        "The protocol is tus 1.0.0 with all of its extensions but checksum-trailer; any client of it can upload here. "
        "OPTIONS lists what the server can do. The options of `POST /upload` are keys of Upload-Metadata; `filename` "
        "is the name of the file. Only the creation counts for the rate limit of uploads.",
        headers=_TUS | _TUS_CREATION, content=NO_CONTENT,
        answer_headers=_protocol_headers("Location", "Upload-Offset", "Upload-Expires", "X-Job-Id", "X-All-Out-By"),
    ),
    Operation(
        "append_to_upload", "patch", "/files/{upload_id}", "Append to a resumable upload",
        (204, 400, 403, 404, 409, 410, 411, 412, 413, 415, 422, 423, 429, 460, 503),
        "HEAD returns the offset at which to go on. A newer request for an upload ends an older one. The response to "
        "the request that completes the upload has the id of its job in X-Job-Id. An incomplete upload is deleted 24 "
        "hours after its last byte. Beyond tus, Upload-Metadata may be sent with a deferred Upload-Length: the video "
        "is sent first, the options last. With a deferred length the metadata `size` tells the maximum "
        "in bytes; without it the disk space for the largest video is reserved.",
        headers=_TUS | _TUS_APPENDING,
        answer_headers=_protocol_headers("Upload-Offset", "Upload-Expires", "X-Job-Id", "X-All-Out-By"),
    ),
    Operation(
        "override_upload_method", "post", "/files/{upload_id}", "Append, delete or ask by POST",
        (200, 204, 400, 403, 404, 405, 409, 410, 412, 413, 415, 423, 429, 460, 503),
        "X-HTTP-Method-Override names the method, for clients that can send GET and POST only.",
        headers=_TUS | {"X-HTTP-Method-Override": text("PATCH, DELETE or HEAD.")},
        content=NO_CONTENT,
    ),
    Operation(
        "delete_upload", "delete", "/files/{upload_id}", "Delete a resumable upload",
        (204, 403, 404, 410, 412, 423, 429),
        "403 once the upload is complete: then its job can be deleted.", headers=_TUS,
    ),
    Operation(
        "get_upload_offset", "head", "/files/{upload_id}", "Get the offset of a resumable upload",
        (200, 404, 409, 410, 412, 415, 422, 423, 429),
        "Upload-Offset is where the client goes on; X-Job-Id is there once the upload is complete and its job exists. "
        "If the job could not be created then, its errors are here, too. Responses to HEAD have no body.",
        headers=_TUS, content=NO_CONTENT,
        answer_headers=_protocol_headers("Upload-Offset", "Upload-Length", "Upload-Metadata", "Upload-Expires",
        "X-Job-Id", "X-All-Out-By"),
    ),
    Operation(
        "get_upload_protocol", "options", "/files", "Get what the upload protocol offers", (204,), _PREFLIGHT,
        public=True,
        answer_headers=_protocol_headers(*_PROTOCOL),
    ),
    Operation(
        "get_upload_protocol_of_upload", "options", "/files/{upload_id}", "Get what an upload offers",
        (204,), _PREFLIGHT,
        public=True, answer_headers=_protocol_headers(*_PROTOCOL),
    ),
    Operation(
        "get_job_status", "get", "/status/{job_id}", "Get the status of a job", (200, 303, 304, 404),
        "Supports If-None-Match: 304 if nothing has changed. 303 leads a browser that opens the address to the page.",
        content=documents.JobDocument,
        answer_headers={"ETag": text("Version of the document.")},
    ),
    Operation(
        "list_jobs", "get", "/jobs", "List jobs, newest first", (200, 400),
        query={"cursor": CURSOR, "limit": limit(jobs.MAX_LIMIT, jobs.DEFAULT_LIMIT)}, content=documents.JobsDocument,
    ),
    Operation(
        "change_job", "patch", "/jobs/{job_id}", "Change the posts of a job", (200, 404, 409, 422),
        "Words and options of the posts that have not begun: of the video, by platform and by part. The most exact "
        "ones count, field by field: publication, part, platform, video. Posts that have begun keep theirs; 409 with "
        "`code` `publication_started` if all concerned have. Nothing is changed if a platform would refuse any post. "
        "`held` holds or releases all posts that are not out, and `publish_after` moves them.",
        JobChange,
        content=documents.JobDocument,
    ),
    Operation(
        "delete_job", "delete", "/jobs/{job_id}", "Delete the files of a job", (204, 404),
        "Cancels the job if it has not ended. Its record is kept.",
    ),
    Operation(
        "cancel_job", "post", "/jobs/{job_id}/cancel", "Cancel a job", (200, 404, 409),
        "Rendering and publishing stop, and the files are deleted. Published posts stay online.",
        content=documents.JobStateDocument,
    ),
    Operation(
        "retry_job", "post", "/jobs/{job_id}/retry", "Retry failed parts and publications", (202, 404, 409),
        "409 if nothing of the job failed, or if its files were deleted. Publications whose later parts have been "
        "published on the account are left: `out_of_order` lists their ids.", content=documents.JobRetryDocument,
    ),
    Operation(
        "approve_job", "post", "/jobs/{job_id}/approve", "Approve the publications of a job",
        (200, 400, 404, 409, 412, 422),
        "All, or those of single parts: the others wait on. A second approval changes nothing. 409 if the job never "
        "needed any, or has ended without one; with `code` `no_such_part` for a number that the video does not have. "
        "With If-Match: 412 if the plan has changed since, so that a number may be a part that you have not seen, or a "
        "post has begun; read `GET /jobs/{job_id}/plan` again.",
        jobs.Approval, headers={"If-Match": _OPTIONAL_VERSION}, content=documents.JobStateDocument,
    ),
    Operation(
        "approve_restored_jobs", "post", "/jobs/approve-restored", "Approve all jobs after a restore", (200,),
        "Those that wait only because the database was restored from a backup, or because they were adopted after it "
        "was lost (`scripts/adopt`). Others wait on, such as those whose upload asked for a review and that were not "
        "approved before the backup.",
        content=documents.RestoredApprovalDocument,
    ),
    Operation(
        "get_job_payloads", "get", "/jobs/{job_id}/payloads", "Get what a job's posts would send", (200, 404),
        "The requests of the posts that have not begun, made by the code that publishes, and what would keep a post "
        "back. Nothing is sent but questions: what the TikTok account allows, and what is left of Instagram's limit. "
        "Ids of uploads are `dry-run`. See the option `dry_run` of an upload.",
        content=publication_documents.PayloadsDocument,
    ),
    Operation(
        "get_videos", "get", "/jobs/{job_id}/videos.zip", "Get all parts in one archive", (200, 404),
        "The videos of the parts that are ready, as a ZIP archive that is made while it is sent; Content-Length is its "
        "size. No Range.", content="application/zip",
    ),
    Operation(
        "get_plan", "get", "/jobs/{job_id}/plan", "Get the cuts of a job", (200, 304, 404),
        "The parts on the time of the uploaded video, its pauses and its waveform. Supports If-None-Match.",
        content=documents.PlanDocument,
        answer_headers={"ETag": text("Version of the parts, and of what of them can be changed.")},
    ),
    Operation(
        "change_plan", "put", "/jobs/{job_id}/plan", "Change the cuts of a job", (200, 400, 404, 409, 412, 422, 428),
        "Names all parts of the new plan. Parts with the same frames and intensity are kept; all others are rendered, "
        "with the words and publications of the part before that shares the most frames. Possible until every part has "
        "begun to be published and while the uploaded file is there; once a post has begun, its part and the number of "
        "parts are fixed (409 with `code` `publication_started`). 412 if the plan has changed since.", PlanChange,
        headers={"If-Match": text("The ETag of the plan that is changed.", examples=['"0123456789abcdef01234567"'])},
        content=documents.PlanDocument,
        answer_headers={"ETag": text("Version of the new plan.")},
    ),
    Operation(
        "get_part_video", "get", f"{_PART}/video",
        "Get the video of a part", _FILE, _UNTIL_DELETED, content="video/mp4",
    ),
    Operation(
        "get_part_cover", "get", f"{_PART}/cover",
        "Get the cover of a part", _FILE, _UNTIL_DELETED, content="image/jpeg",
    ),
    Operation(
        "get_part_preview", "get", f"{_PART}/preview", "Get before and after of a part", _FILE,
        f"Frames before and after eye correction. {_UNTIL_DELETED}", content="image/jpeg",
    ),
    Operation(
        "get_part_original", "get", f"{_PART}/original", "Get the uploaded video of a part", _FILE,
        "The whole file as it was sent; `links.original` of the status has the times of the part. A browser may be "
        "unable to play its codec. Available until the uploaded file is deleted: once all parts are rendered and "
        "approved, unless `KEEP_SOURCE` is set. Supports Range and If-None-Match.",
        content="video/mp4 video/webm video/x-matroska",
    ),
    Operation(
        "get_part_gaze", "get", f"{_PART}/gaze", "Get the gaze of a part over time", _FILE,
        f"404 for a part whose gaze was not measured, such as one as filmed. {_UNTIL_DELETED}",
        content=documents.GazeCurveDocument,
    ),
    Operation(
        "get_signed_video", "get", "/media/{token}", "Get a video by signed link", _FILE,
        "For platforms that download a video by its URL. The link expires.", content="video/mp4", public=True,
    ),
    Operation(
        "list_accounts", "get", "/accounts", "List connected accounts", (200, 400),
        "Also returns `max_upload_bytes`, the maximum size of an upload in bytes, and `outages` by platform.",
        query={"cursor": CURSOR, "limit": limit(accounts.MAX_LIMIT, accounts.MAX_LIMIT)},
        content=documents.AccountsDocument,
    ),
    Operation(
        "change_account", "patch", "/accounts/{account_id}", "Change an account", (200, 404, 422),
        "Sets the effect of a part that was not published.", AccountChange, content=documents.AccountDocument,
    ),
    Operation(
        "get_creator", "get", "/accounts/{account_id}/creator", "Get the creator of a TikTok account", (200, 404, 409),
        "Name, picture, and what a post may choose now, as TikTok wants to have it shown where posts are made. Kept "
        "for a minute. 409 for other platforms (`code` `not_offered`), and if the account must be connected again.",
        content=publication_documents.CreatorDocument,
    ),
    Operation(
        "disconnect_account", "delete", "/accounts/{account_id}", "Disconnect an account", (204, 404),
        "Deletes its tokens and revokes them at the platform.",
    ),
    Operation(
        "connect_account", "get", "/connect/{platform}", "Connect an account", (303, 400, 403, 404, 409),
        "Open this address in a browser that is signed in: it redirects to the platform. With an API key it redirects "
        "to an address of this server, with a ticket: open that one within 10 minutes, in the browser of the account's "
        "owner.", query={"variant": _VARIANT},
        answer_headers={"Location": text("Where the browser goes next.")},
    ),
    Operation(
        "begin_connection", "get", "/connect/{platform}/begin", "Begin a connection with a ticket", (303, 400),
        "Binds the connection to this browser, and redirects it to the platform.",
        query={"ticket": text("Ticket, as `/connect/{platform}` made it.")}, public=True,
        answer_headers={"Location": text("Where the browser goes next.")},
    ),
    Operation(
        "complete_connection", "get", "/connect/{platform}/callback", "Complete the connection of an account",
        (303, 400, 409, 422, 503),
        "The platform redirects the browser here; then the browser is redirected to the web page. 400 in a browser "
        "that has not begun the connection, and after 10 minutes. 409 if another owner has connected the account.",
        query=_CALLBACK, public=True,
        answer_headers={"Location": text("Where the browser goes next.")},
    ),
    Operation(
        "get_forecast", "get", "/forecast", "List expected publications, earliest first", (200, 400),
        "When the waiting publications of all accounts start, if nothing changes, and what each waits for. Those whose "
        "time nobody can know are left out.",
        query={
            "cursor": CURSOR,
            "days": limit(forecasts.MAX_DAYS, forecasts.DEFAULT_DAYS) | {"description": _DAYS},
            "limit": limit(forecasts.MAX_LIMIT, forecasts.DEFAULT_LIMIT),
        },
        content=documents.ForecastDocument,
    ),
    Operation(
        "get_calendar", "get", "/calendar", "Get publications day by day", (200, 304, 400),
        "Publications of all accounts that have started, at their start, and those that wait, at their expected time. "
        f"At most {calendar.MAX_ENTRIES} entries.",
        query={"from": _FROM, "to": _TO, "zone": _ZONE}, content=documents.CalendarDocument,
        answer_headers={"ETag": text("Version of the document.")},
    ),
    Operation(
        "get_schedules", "get", "/schedule", "Get the schedules of all platforms", (200,),
        content=documents.SchedulesDocument,
    ),
    Operation(
        "change_schedules", "put", "/schedule", "Change the schedules of platforms", (200, 400, 422),
        "Omitted platforms and fields keep their values. Publications that are due start at once.", PlatformSchedules,
        content=documents.SchedulesDocument,
    ),
    Operation(
        "get_account_schedule", "get", "/accounts/{account_id}/schedule", "Get the schedule of an account", (200, 404),
        "The one that counts: its own, else that of its platform.", content=documents.AccountScheduleDocument,
    ),
    Operation(
        "change_account_schedule", "put", "/accounts/{account_id}/schedule", "Set the schedule of an account",
        (200, 404, 422),
        "The account gets a schedule of its own; later changes of its platform's do not concern it. Omitted fields "
        "keep their values. Publications that are due start at once.", ScheduleChange,
        content=documents.AccountScheduleDocument,
    ),
    Operation(
        "delete_account_schedule", "delete", "/accounts/{account_id}/schedule", "Delete the schedule of an account",
        (204, 404), "The schedule of its platform counts again.",
    ),
    Operation(
        "get_limits", "get", "/limits", "Get the limits of each platform", (200,),
        "How long words may be, in each platform's own units, and which options a post has.",
        content=documents.LimitsDocument,
    ),
    Operation(
        "change_publication", "patch", "/publications/{publication_id}", "Change a publication", (200, 404, 409, 422),
        "Words and options of a post that has not begun, or that failed and can be retried; and when a waiting post "
        "goes out. 409 with `code` `publication_started` otherwise; `out_of_order` for a time before an earlier part, "
        "or after that of a later one (`part` and `at` name it); `earlier_part_waits` or `not_approved` if it cannot "
        "be published now. A change that was made already does nothing.", PublicationChange,
        content=documents.PublicationDocument,
    ),
    Operation(
        "get_publication_history", "get", "/publications/{publication_id}/history", "Get the history of a publication",
        (200, 404),
        "What was sent to the platform, what it answered, and the evidence for the outcome; the oldest first. It has "
        "no secrets, so it can be sent to the platform's support.", content=publication_documents.HistoryDocument,
    ),
    Operation(
        "retry_publication", "post", "/publications/{publication_id}/retry", "Retry a publication",
        (202, 404, 409, 422),
        "For a publication that failed, expired or was skipped. 409 with `code` `out_of_order` if a later part has "
        "been published on the account, or may have been; `{}` is a body without options.", PublicationRetry,
        content=documents.RetriedPublicationDocument,
    ),
    Operation(
        "skip_publication", "post", "/publications/{publication_id}/skip", "Skip a publication", (204, 404, 409),
        "For a publication that waits, failed or expired; the parts after it go on.",
    ),
    Operation(
        "resolve_publication", "post", "/publications/{publication_id}/resolve", "Resolve an unknown outcome",
        (204, 404, 409, 422),
        "For a publication in status `outcome_unknown`, after you have looked on the platform.", Resolution,
    ),
    *WEBHOOK_OPERATIONS,
    *SERVER_OPERATIONS,
    *OWNER_OPERATIONS,
)  # fmt: skip
