"""A stand-in for the API: serves the pages under the real content policy, and the answers that a test sets."""

import base64
import hashlib
import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from zoneinfo import ZoneInfo

import falcon

from api.http import page_frame
from api.http.page_paths import PageNavigation
from api.http.security_headers import SecurityHeaders
from api.resources.limits import limits_document
from api.resources.pages import PageFileResource, PagesResource
from api.resources.sharing import ShareResource
from platforms.definition import PublishingOptions
from tests.frontend import samples
from tests.frontend.samples import PICTURE
from tests.support.page_files import prepare_page_files_once

prepare_page_files_once()

FRONTEND = Path(__file__).parents[2] / "frontend"
KEY = "a-key-for-tests"
VAPID_KEY = (
    "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"  # RFC 8291, section 5
)
WORDS: dict[str, Any] = {"title": None, "caption": None, "options": None}
OPEN = {"/", "/login", "/manifest.webmanifest", "/service-worker.js", "/share"}
"""Paths that need no session."""
PLATFORM_SCHEDULE = {
    "time_zone": "America/New_York", "windows": [["08:00", "22:30"]], "max_per_day": 10, "min_gap_s": 900.0,
}  # fmt: skip
PLATFORM_LIMIT = {"posts": 50, "day_zone": None, "others": 2, "read_at": None, "reason": None}
ACCOUNTS = [
    {"id": "a1", "platform": "tiktok", "name": "@mara.talks", "status": "connected"},
    {"id": "a2", "platform": "instagram", "name": "@mara.talks", "status": "connected"},
    {"id": "a3", "platform": "youtube", "name": "Mara Talks", "status": "connected"},
]


@dataclass
class StandIn:
    """The state of the stand-in API, and the requests that it received; tests read and write both."""

    accounts: list[dict[str, Any]] = field(default_factory=lambda: [dict(account) for account in ACCOUNTS])
    endpoints: list[dict[str, Any]] = field(default_factory=list)  # of webhooks
    entries: list[dict[str, Any]] = field(default_factory=list)  # of the calendar
    calendars: list[tuple[str, str, str]] = field(default_factory=list)  # first day, last day and zone of each request
    unknown_zones: set[str] = field(default_factory=set)
    is_calendar_truncated: bool = False
    keys: list[dict[str, Any]] = field(default_factory=list)
    failing_check: str | None = None  # of the health
    deliveries: list[dict[str, Any]] = field(default_factory=samples.deliveries)
    settings: dict[str, Any] = field(default_factory=samples.settings)
    account_schedules: dict[str, Any] = field(default_factory=dict)  # own ones, by id of the account
    expected: list[dict[str, Any]] = field(default_factory=list)  # posts of the forecast
    needs: list[dict[str, Any]] = field(default_factory=list)  # what waits for a person
    retried_letters: list[str] = field(default_factory=list)
    max_upload_bytes: int | None = None
    creator: dict[str, Any] = field(default_factory=samples.creator)  # of every account on TikTok
    tiktok_requires: list[str] = field(default_factory=list)  # options of a post
    outages: dict[str, dict[str, Any]] = field(default_factory=dict)  # by platform
    notices: dict[str, Any] = field(default_factory=lambda: {"public_key": VAPID_KEY, "subscriptions": [], "urls": []})
    subscribed: list[dict[str, Any]] = field(default_factory=list)  # body of each request
    later_parts_published: bool = False  # a retry of a post needs `out_of_order`
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)  # job_id → status document, newest last
    cover: bytes = PICTURE  # for every part; empty: 404
    preview: bytes = PICTURE
    picture_type: str = "image/svg+xml"
    needs_login: bool = False
    wrong_keys_are_limited: bool = False  # a wrong key is answered with 429
    sign_out_fails: bool = False  # 503
    upload_problem: tuple[int, str, str] | None = None  # of requests with bytes: status, title, detail
    options_problem: tuple[int, str, str] | None = None  # of the last request of an upload: status, field, detail
    problems: dict[str, tuple[int, str]] = field(default_factory=dict)  # "METHOD /path": status and detail
    retry_after_s: int | None = None  # in the answers with one of these problems
    refusals: dict[str, "Refusal"] = field(default_factory=dict)  # by "METHOD /path"
    video: bytes = b""  # of every part
    original: bytes = b""  # the uploaded file
    gaze: dict[str, Any] | None = None  # of every part; None: 404
    histories: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # entries by post
    plans: dict[str, dict[str, Any]] = field(default_factory=dict)  # cuts by job
    approved: list[list[int] | None] = field(default_factory=list)  # the parts of each approval; None: all
    changed: list[tuple[str, Any]] = field(default_factory=list)  # path and body of each change of a job or a post
    held_back: set[str] = field(default_factory=set)  # "METHOD /path": unanswered until `release` is set
    release: threading.Event = field(default_factory=threading.Event)
    sign_outs: list[bool] = field(default_factory=list)  # of all devices, for each
    delete_removes_record: bool = False  # a deleted job's record goes with its files
    lose_upload_answer: bool = False  # create the job, then cut the connection
    uploads: list[dict[str, Any]] = field(default_factory=list)  # options in order, the file as (name, size)
    files: dict[str, "TusUpload"] = field(default_factory=dict)  # uploads by id
    patches: list[int] = field(default_factory=list)  # size of each piece
    removed: list[str] = field(default_factory=list)  # ids of uploads that the page has deleted
    replayed: list[tuple[str, Any]] = field(default_factory=list)  # endpoint and body of each replay
    asked: list[tuple[str, str, int]] = field(default_factory=list)  # method, path, status of the answer
    pages: dict[str, str] = field(default_factory=dict)  # HTML of pages that the API makes, at /made/{name}
    url: str = ""

    def add_job(self, job: dict[str, Any]) -> None:
        self.jobs[job["job_id"]] = job


@dataclass
class TusUpload:
    """One upload by tus: the number of its bytes, and what the page has told about it."""

    size: int = 0
    options: dict[str, str] = field(default_factory=dict)
    job_id: str | None = None


class Refusal(falcon.HTTPError):
    """An error response with a code for programs."""

    def __init__(
        self, status: int, *, kind: str | None = None, field: str | None = None, wait_s: int | None = None, **words: str
    ) -> None:
        headers = None if wait_s is None else {"Retry-After": str(wait_s)}
        super().__init__(status, title=words["title"], description=words["description"], headers=headers)
        self.kind = kind
        self.field = field


class Api:
    def __init__(self, state: StandIn) -> None:
        self._state = state

    def on_get_made(self, _request: falcon.Request, response: falcon.Response, name: str) -> None:
        response.set_headers(page_frame.HEADERS)
        response.text = self._state.pages[name]

    def on_post_login(self, request: falcon.Request, response: falcon.Response) -> None:
        if request.get_media().get("key") != KEY:
            if self._state.wrong_keys_are_limited:
                raise falcon.HTTPTooManyRequests(title="Too many", headers={"Retry-After": "42"})
            raise falcon.HTTPUnauthorized(title="Unknown key")
        response.set_cookie("session", "yes", http_only=True, secure=False, same_site="Strict", path="/")
        response.status = falcon.HTTP_204

    def on_delete_login(self, request: falcon.Request, response: falcon.Response) -> None:
        if self._state.sign_out_fails:
            raise falcon.HTTPServiceUnavailable(title="Busy")
        self._state.sign_outs.append(request.get_param_as_bool("everywhere", default=False))
        response.unset_cookie("session", path="/")
        response.status = falcon.HTTP_204

    def on_get_accounts(self, _request: falcon.Request, response: falcon.Response) -> None:
        response.media = {
            "accounts": self._state.accounts,
            "max_upload_bytes": self._state.max_upload_bytes,
            "outages": self._state.outages,
        }

    def on_patch_account(self, request: falcon.Request, response: falcon.Response, account_id: str) -> None:
        (account,) = [account for account in self._state.accounts if account["id"] == account_id]
        account |= request.get_media()
        response.status = falcon.HTTP_204

    def on_get_webhooks(self, _request: falcon.Request, response: falcon.Response) -> None:
        response.media = {"endpoints": self._state.endpoints}

    def on_patch_webhook(self, request: falcon.Request, response: falcon.Response, endpoint_id: str) -> None:
        [endpoint] = [one for one in self._state.endpoints if one["id"] == endpoint_id]
        endpoint.update(request.get_media())
        response.media = endpoint

    def on_post_replay(self, request: falcon.Request, response: falcon.Response, endpoint_id: str) -> None:
        self._state.replayed.append((endpoint_id, request.get_media()))
        response.status = falcon.HTTP_202
        response.media = {"replayed": 3}

    def on_get_notices(self, _request: falcon.Request, response: falcon.Response) -> None:
        response.media = self._state.notices

    def on_post_subscriptions(self, request: falcon.Request, response: falcon.Response) -> None:
        body = request.get_media()
        if body["public_key"] != self._state.notices["public_key"]:
            raise Refusal(409, title="Conflict", description="another key", kind="other_key")
        self._state.subscribed.append(body)
        made = {"id": f"sub_{hashlib.sha256(body['endpoint'].encode()).hexdigest()[:32]}", "state": "enabled"}
        self._state.notices["subscriptions"].append(made)
        response.status = falcon.HTTP_201
        response.media = made

    def on_delete_subscription(self, _request: falcon.Request, response: falcon.Response, subscription_id: str) -> None:
        kept = [one for one in self._state.notices["subscriptions"] if one["id"] != subscription_id]
        self._state.notices["subscriptions"] = kept
        response.status = falcon.HTTP_204

    def on_post_notice_test(self, _request: falcon.Request, response: falcon.Response) -> None:
        response.status = falcon.HTTP_202
        response.media = {"receivers": 1}

    def on_get_calendar(self, request: falcon.Request, response: falcon.Response) -> None:
        first, last = (date.fromisoformat(request.get_param(name, required=True)) for name in ("from", "to"))
        name = request.get_param("zone", required=True)
        self._state.calendars.append((first.isoformat(), last.isoformat(), name))
        if name in self._state.unknown_zones:
            raise Refusal(400, title="Bad request", description="zone: unknown", kind="bad_zone", field="zone")
        days: dict[date, list[dict[str, Any]]] = {
            first + timedelta(days=ahead): [] for ahead in range((last - first).days + 1)
        }
        for entry in self._state.entries:
            if entry["at"] is not None:
                day = datetime.fromisoformat(entry["at"]).astimezone(ZoneInfo(name)).date()
                days.get(day, []).append(entry)
        response.media = {
            "from": first.isoformat(), "to": last.isoformat(), "zone": name,
            "days": [{"date": day.isoformat(), "entries": entries} for day, entries in days.items()],
            "undated": [entry for entry in self._state.entries if entry["at"] is None],
            "truncated": self._state.is_calendar_truncated,
        }  # fmt: skip

    def on_get_keys(self, _request: falcon.Request, response: falcon.Response) -> None:
        response.media = {"keys": self._state.keys, "unstored": 1}

    def on_post_keys(self, request: falcon.Request, response: falcon.Response) -> None:
        name = request.get_media()["name"]
        if any(key["name"] == name for key in self._state.keys):
            raise Refusal(409, title="Conflict", description="there is a key with this name", kind="name_taken")
        made = {"id": f"key_{len(self._state.keys)}", "name": name}
        self._state.keys.append(made | {"created_at": "2026-11-22T10:00:00Z", "sessions": 0, "is_own": False})
        response.status = falcon.HTTP_201
        response.media = made | {"key": "vidprod_of_this_test"}

    def on_delete_key(self, _request: falcon.Request, response: falcon.Response, key_id: str) -> None:
        self._state.keys = [key for key in self._state.keys if key["id"] != key_id]
        response.status = falcon.HTTP_204

    def on_get_health(self, _request: falcon.Request, response: falcon.Response) -> None:
        ok = self._state.failing_check is None
        response.status = falcon.HTTP_200 if ok else falcon.HTTP_503
        checks = {"database": {"ok": True}} | ({} if ok else {self._state.failing_check: {"ok": False}})
        response.media = {"status": "ok" if ok else "failing", "checks": checks}

    def on_post_webhooks(self, request: falcon.Request, response: falcon.Response) -> None:
        made = samples.endpoint(f"ep_{len(self._state.endpoints)}", request.get_media()["url"])
        self._state.endpoints.append(made)
        response.status = falcon.HTTP_201
        response.media = made | {"secret": "whsec_of_this_test"}

    def on_delete_webhook(self, _request: falcon.Request, response: falcon.Response, endpoint_id: str) -> None:
        self._state.endpoints = [one for one in self._state.endpoints if one["id"] != endpoint_id]
        response.status = falcon.HTTP_204

    def on_get_secret(self, _request: falcon.Request, response: falcon.Response, endpoint_id: str) -> None:
        response.media = {"secret": "whsec_of_this_test"}

    def on_post_ping(self, _request: falcon.Request, response: falcon.Response, endpoint_id: str) -> None:
        self._state.deliveries.insert(0, samples.delivery("d9", "ping", "delivered"))
        response.status = falcon.HTTP_202
        response.media = {"delivery_id": "d9", "status": "waiting"}

    def on_get_deliveries(self, _request: falcon.Request, response: falcon.Response, endpoint_id: str) -> None:
        response.media = {"deliveries": self._state.deliveries, "next": None}

    def on_post_redeliver(
        self, _request: falcon.Request, response: falcon.Response, endpoint_id: str, delivery_id: str
    ) -> None:
        next(one for one in self._state.deliveries if one["id"] == delivery_id)["status"] = "waiting"
        response.status = falcon.HTTP_202

    def on_get_settings(self, _request: falcon.Request, response: falcon.Response) -> None:
        response.media = self._state.settings

    def on_get_creator(self, _request: falcon.Request, response: falcon.Response, account_id: str) -> None:
        response.media = {"account_id": account_id, **self._state.creator}

    def on_get_account_schedule(self, _request: falcon.Request, response: falcon.Response, account_id: str) -> None:
        own = self._state.account_schedules.get(account_id)
        response.media = {
            **PLATFORM_SCHEDULE,
            **(own or {}),
            "inherited": own is None,
            "platform_limit": PLATFORM_LIMIT,
        }

    def on_put_account_schedule(self, request: falcon.Request, response: falcon.Response, account_id: str) -> None:
        change = request.get_media()
        for start, end in change["windows"]:
            if start == end:
                raise Refusal(422, title="Invalid", description="windows: must not end when it starts", field="windows")
        self._state.account_schedules[account_id] = change
        response.media = {}

    def on_delete_account_schedule(self, _request: falcon.Request, response: falcon.Response, account_id: str) -> None:
        del self._state.account_schedules[account_id]
        response.status = falcon.HTTP_204

    def on_delete_account(self, _request: falcon.Request, response: falcon.Response, account_id: str) -> None:
        self._state.accounts = [one for one in self._state.accounts if one["id"] != account_id]
        response.status = falcon.HTTP_204

    def on_get_forecast(self, _request: falcon.Request, response: falcon.Response) -> None:
        response.media = {"made_at": "2026-11-22T10:00:00Z", "posts": self._state.expected, "next": None}

    def on_get_needs(self, request: falcon.Request, response: falcon.Response) -> None:
        self._tagged(request, response, {"items": self._state.needs})

    def on_post_letter(self, _request: falcon.Request, response: falcon.Response, letter_id: str) -> None:
        self._state.retried_letters.append(letter_id)
        self._state.needs = [item for item in self._state.needs if item["id"] != letter_id]
        response.status = falcon.HTTP_202

    def _tagged(self, request: falcon.Request, response: falcon.Response, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        response.etag = hashlib.sha256(body).hexdigest()[:16]
        if request.if_none_match and response.etag in [f'"{tag}"' for tag in request.if_none_match]:
            response.status = falcon.HTTP_304
            return
        response.data = body
        response.content_type = "application/json"

    def on_get_limits(self, _request: falcon.Request, response: falcon.Response) -> None:
        limits = limits_document(PublishingOptions())
        limits["platforms"]["tiktok"]["required_options"] = self._state.tiktok_requires
        response.media = limits

    def on_get_jobs(self, request: falcon.Request, response: falcon.Response) -> None:
        newest = list(reversed(self._state.jobs.values()))
        start = request.get_param_as_int("cursor", default=0)
        fields = (
            "job_id",
            "title",
            "original_name",
            "status",
            "progress",
            "created_at",
            "phase",
            "next_at",
            "last_at",
            "posts",
        )
        page = [{name: job.get(name) for name in fields} for job in newest[start : start + 20]]
        response.media = {"jobs": page, "next": str(start + 20) if start + 20 < len(newest) else None}

    def on_get_status(self, request: falcon.Request, response: falcon.Response, job_id: str) -> None:
        self._tagged(request, response, self._job(job_id))

    def on_post_files(self, request: falcon.Request, response: falcon.Response) -> None:
        assert request.get_header("Tus-Resumable") == "1.0.0"
        upload_id = f"upload-{len(self._state.files) + 1}"
        self._state.files[upload_id] = TusUpload(options=_metadata(request))
        response.location = f"/files/{upload_id}"
        response.status = falcon.HTTP_201

    def on_head_file(self, _request: falcon.Request, response: falcon.Response, upload_id: str) -> None:
        upload = self._upload(upload_id)
        response.set_header("Upload-Offset", str(upload.size))
        if upload.job_id:
            response.set_header("X-Job-Id", upload.job_id)

    def on_patch_file(self, request: falcon.Request, response: falcon.Response, upload_id: str) -> None:
        body = request.bounded_stream.read()
        upload = self._upload(upload_id)
        if body and self._state.upload_problem:
            status, title, detail = self._state.upload_problem
            raise Refusal(status, title=title, description=detail, wait_s=self._state.retry_after_s)
        if int(request.get_header("Upload-Offset") or "-1") != upload.size:
            raise Refusal(409, title="Conflict", description="another offset", kind="other_offset")
        if body:
            self._state.patches.append(len(body))
        upload.size += len(body)
        response.set_header("Upload-Offset", str(upload.size))
        response.status = falcon.HTTP_204
        if request.get_header("Upload-Length"):
            self._complete(request, response, upload)

    def on_delete_file(self, _request: falcon.Request, response: falcon.Response, upload_id: str) -> None:
        del self._state.files[upload_id]
        self._state.removed.append(upload_id)
        response.status = falcon.HTTP_204

    def _complete(self, request: falcon.Request, response: falcon.Response, upload: TusUpload) -> None:
        if self._state.options_problem:
            status, name, detail = self._state.options_problem
            raise Refusal(status, title="Refused", description=f"{name}: {detail}", field=name)
        assert int(request.get_header("Upload-Length") or "-1") == upload.size
        upload.options = _metadata(request)
        name = upload.options.pop("filename")
        upload.job_id = f"job-{len(self._state.jobs) + 1}"
        self._state.uploads.append({**upload.options, "file": (name, upload.size)})
        self._state.add_job(new_job(upload.job_id, upload.options.get("title", ""), name))
        response.set_header("X-Job-Id", upload.job_id)
        if self._state.lose_upload_answer:
            self._state.lose_upload_answer = False
            response.status = falcon.HTTP_200
            response.set_stream(io.BytesIO(b"{"), 1000)  # promises more than it sends: the connection breaks

    def _upload(self, upload_id: str) -> TusUpload:
        if upload_id not in self._state.files:
            raise Refusal(410, title="Gone", description="it was deleted")
        return self._state.files[upload_id]

    def on_post_cancel(self, _request: falcon.Request, response: falcon.Response, job_id: str) -> None:
        self._job(job_id)["status"] = "cancelled"

    def on_post_approve(self, request: falcon.Request, response: falcon.Response, job_id: str) -> None:
        job, parts = self._job(job_id), (request.get_media(default_when_empty=None) or {}).get("parts")
        self._state.approved.append(parts)
        for part in job["segments"]:
            part["approved"] = part.get("approved", False) or parts is None or part["number"] in parts
        if all(part["approved"] for part in job["segments"]):
            job["review"] = job["review"] | {"approved_at": "2026-11-22T11:00:00Z"}
            job["status"] = "publishing" if job["status"] == "review" else job["status"]

    def on_post_retry(self, _request: falcon.Request, response: falcon.Response, job_id: str) -> None:
        self._job(job_id)["status"] = "processing"

    def on_post_resolve(self, request: falcon.Request, response: falcon.Response, publication_id: str) -> None:
        for job in self._state.jobs.values():
            for post in [post for part in job["segments"] for post in part["publications"]]:
                if post.get("id") == publication_id:
                    post["status"] = "published" if request.get_media()["published"] else "failed"
        response.status = falcon.HTTP_204

    def on_post_repost(self, request: falcon.Request, response: falcon.Response, publication_id: str) -> None:
        if self._state.later_parts_published and not request.get_media()["out_of_order"]:
            detail = "part 3 was published before"
            raise Refusal(409, title="Conflict", description=detail, kind="out_of_order")
        self._post(publication_id)["status"] = "waiting"
        response.status = falcon.HTTP_202

    def on_post_skip(self, _request: falcon.Request, response: falcon.Response, publication_id: str) -> None:
        self._post(publication_id)["status"] = "cancelled"
        response.status = falcon.HTTP_204

    def on_patch_job(self, request: falcon.Request, response: falcon.Response, job_id: str) -> None:
        job, change = self._job(job_id), request.get_media()
        self._state.changed.append((request.path, dict(change)))
        parts, platforms = change.pop("parts", {}), change.pop("platforms", {})
        for words, found in (
            (job.setdefault("part_words", {}), parts),
            (job.setdefault("platform_words", {}), platforms),
        ):
            for name, values in found.items():
                words[name] = WORDS | words.get(name, {}) | values
        job |= change
        response.media = job

    def on_get_history(self, _request: falcon.Request, response: falcon.Response, publication_id: str) -> None:
        entries = self._state.histories.get(publication_id, [])
        response.media = {"publication_id": publication_id, "entries": entries, "truncated": False}

    def on_get_gaze(self, _request: falcon.Request, response: falcon.Response, job_id: str, number: int) -> None:
        if self._state.gaze is None:
            raise falcon.HTTPNotFound(title="Not found")
        response.media = self._state.gaze

    def on_get_video(self, request: falcon.Request, response: falcon.Response, job_id: str, number: int) -> None:
        self._film(request, response, self._state.video)

    def on_get_original(self, request: falcon.Request, response: falcon.Response, job_id: str, number: int) -> None:
        self._film(request, response, self._state.original)

    def _film(self, request: falcon.Request, response: falcon.Response, film: bytes) -> None:
        response.content_type = "video/mp4"
        response.accept_ranges = "bytes"
        start, end = request.range or (0, -1)
        response.data = film[start:] if end < 0 else film[start : end + 1]
        if request.range:
            response.status = falcon.HTTP_206
            response.content_range = (start, start + len(response.data) - 1, len(film))

    def on_get_plan(self, _request: falcon.Request, response: falcon.Response, job_id: str) -> None:
        response.etag = self._plan_tag(job_id)
        response.media = self._state.plans[job_id]

    def on_put_plan(self, request: falcon.Request, response: falcon.Response, job_id: str) -> None:
        assert request.if_match, "428"
        if self._plan_tag(job_id) not in [str(tag) for tag in request.if_match]:
            raise Refusal(412, title="Precondition failed", description="the plan has changed", kind="other_etag")
        self._state.changed.append((request.path, request.get_media()))
        plan = self._state.plans[job_id]
        plan["parts"] = [
            {"number": number, "cut_reason": "chosen", "gaze_intensity": None, **part}
            for number, part in enumerate(request.get_media()["parts"], start=1)
        ]
        response.etag = self._plan_tag(job_id)
        response.media = plan

    def _plan_tag(self, job_id: str) -> str:
        return hashlib.sha256(json.dumps(self._state.plans[job_id]).encode()).hexdigest()[:16]

    def on_patch_publication(self, request: falcon.Request, response: falcon.Response, publication_id: str) -> None:
        post, change = self._post(publication_id), request.get_media()
        self._state.changed.append((request.path, dict(change)))
        words = {name: change.pop(name) for name in tuple(change) if name in WORDS}
        if words:
            post["own_words"] = WORDS | (post.get("own_words") or {}) | words
        post |= change
        response.media = post

    def _post(self, publication_id: str) -> dict[str, Any]:
        posts = [p for job in self._state.jobs.values() for part in job["segments"] for p in part["publications"]]
        return next(post for post in posts if post.get("id") == publication_id)

    def on_delete_job(self, _request: falcon.Request, response: falcon.Response, job_id: str) -> None:
        if self._state.delete_removes_record:
            del self._state.jobs[self._job(job_id)["job_id"]]
        else:
            self._job(job_id)["files_deleted_at"] = datetime.now(UTC).isoformat()
        response.status = falcon.HTTP_204

    def on_get_cover(self, _request: falcon.Request, response: falcon.Response, job_id: str, number: int) -> None:
        self._picture(response, self._state.cover)

    def on_get_preview(self, _request: falcon.Request, response: falcon.Response, job_id: str, number: int) -> None:
        self._picture(response, self._state.preview)

    def _picture(self, response: falcon.Response, picture: bytes) -> None:
        if not picture:
            raise falcon.HTTPNotFound
        response.data = picture
        response.content_type = self._state.picture_type

    def _job(self, job_id: str) -> dict[str, Any]:
        if job_id not in self._state.jobs:
            raise falcon.HTTPNotFound(title="No such job")
        return self._state.jobs[job_id]


class StandInMiddleware:
    """Falcon middleware: requires the session where the real API does, and records every request."""

    def __init__(self, state: StandIn) -> None:
        self._state = state

    def process_request(self, request: falcon.Request, _response: falcon.Response) -> None:
        name = f"{request.method} {request.path}"
        if name in self._state.held_back:
            self._state.release.wait(60)
        if name in self._state.problems:
            status, detail = self._state.problems[name]
            raise Refusal(status, title="Refused", description=detail, wait_s=self._state.retry_after_s)
        if name in self._state.refusals:
            raise self._state.refusals[name]
        is_open = request.path in OPEN or request.path.startswith(("/static/", "/assets/"))
        if self._state.needs_login and not is_open and request.cookies.get("session") != "yes":
            raise falcon.HTTPUnauthorized(title="Sign in first")

    def process_response(
        self, request: falcon.Request, response: falcon.Response, _resource: object, _ok: bool
    ) -> None:
        self._state.asked.append((request.method, request.path, falcon.http_status_to_code(response.status)))


def _metadata(request: falcon.Request) -> dict[str, str]:
    pairs = [pair.split(" ") for pair in (request.get_header("Upload-Metadata") or "").split(",") if pair]
    return {key: base64.b64decode(value, validate=True).decode() for key, value in pairs}


def new_job(job_id: str, title: str, original_name: str = "") -> dict[str, Any]:
    """Return the status document of a job that was just made."""
    return {
        "job_id": job_id, "original_name": original_name,
        "status": "pending", "progress": 0.0, "title": title, "created_at": "2026-11-22T10:00:00Z",
        "error": None, "files_deleted_at": None, "segments": [],
    }  # fmt: skip


def application(state: StandIn) -> falcon.App[falcon.Request, falcon.Response]:
    """Build the stand-in's WSGI application."""
    app: falcon.App[falcon.Request, falcon.Response] = falcon.App(
        middleware=[SecurityHeaders(https=False), PageNavigation(), StandInMiddleware(state)]
    )
    app.add_error_handler(falcon.HTTPError, _problem)
    api, pages = Api(state), PagesResource(FRONTEND)
    for path in ("/", "/static/{name}", "/assets/{version}/{name}"):
        app.add_route(path, pages)
    for name in ("manifest.webmanifest", "service-worker.js"):
        app.add_route(f"/{name}", PageFileResource(pages, name))
    app.add_route("/share", ShareResource())
    routes = {
        "/made/{name}": "made", "/login": "login", "/accounts": "accounts", "/webhooks": "webhooks",
        "/webhooks/{endpoint_id}": "webhook", "/webhooks/{endpoint_id}/replay": "replay",
        "/notices": "notices", "/notices/subscriptions": "subscriptions",
        "/notices/subscriptions/{subscription_id}": "subscription", "/notices/test": "notice_test",
        "/keys": "keys", "/keys/{key_id}": "key", "/health": "health", "/webhooks/{endpoint_id}/secret": "secret",
        "/webhooks/{endpoint_id}/ping": "ping", "/webhooks/{endpoint_id}/deliveries": "deliveries",
        "/webhooks/{endpoint_id}/deliveries/{delivery_id}/redeliver": "redeliver",
        "/settings": "settings", "/accounts/{account_id}/schedule": "account_schedule",
        "/accounts/{account_id}/creator": "creator", "/forecast": "forecast",
        "/needs-you": "needs", "/dead-letters/{letter_id}/retry": "letter",
        "/jobs": "jobs", "/calendar": "calendar", "/limits": "limits",
        "/status/{job_id}": "status", "/files": "files",
        "/files/{upload_id}": "file",
        "/jobs/{job_id}/approve": "approve", "/jobs/{job_id}/cancel": "cancel",
        "/jobs/{job_id}/retry": "retry", "/jobs/{job_id}/plan": "plan", "/jobs/{job_id}": "job",
        "/publications/{publication_id}/resolve": "resolve", "/publications/{publication_id}/retry": "repost",
        "/publications/{publication_id}/skip": "skip", "/publications/{publication_id}": "publication",
        "/accounts/{account_id}": "account",
        "/publications/{publication_id}/history": "history",
        "/jobs/{job_id}/segments/{number:int}/gaze": "gaze",
        "/jobs/{job_id}/segments/{number:int}/video": "video",
        "/jobs/{job_id}/segments/{number:int}/original": "original",
        "/jobs/{job_id}/segments/{number:int}/cover": "cover",
        "/jobs/{job_id}/segments/{number:int}/preview": "preview",
    }  # fmt: skip
    for route, suffix in routes.items():
        app.add_route(route, api, suffix=suffix)
    return app


def _problem(_request: falcon.Request, response: falcon.Response, error: falcon.HTTPError, _params: object) -> None:
    response.status = error.status
    response.set_headers(error.headers or {})
    response.data = json.dumps(
        {
            "title": error.title,
            "detail": error.description,
            "status": error.status_code,
            "code": getattr(error, "kind", None),
            "field": getattr(error, "field", None),
        }
    ).encode()
    response.content_type = "application/problem+json"
    response.set_headers(error.headers or {})


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 64  # a page opens a connection for each of its files


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *_: object) -> None:  # noqa: A002  # the parent's own parameter name
        pass


@contextmanager
def serving(state: StandIn) -> Iterator[StandIn]:
    """Serve the stand-in on a free port of the loopback, and set its `url`."""
    with _Server(("127.0.0.1", 0), _Quiet) as server:
        server.set_app(application(state))
        state.url = f"http://127.0.0.1:{server.server_port}/"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="stand-in")
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
