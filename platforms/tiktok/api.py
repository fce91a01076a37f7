"""TikTok's Content Posting API: one function a call, its answers, and what its error codes mean.

What to call when is not here (see `platforms.tiktok.publisher`). Sources: developers.tiktok.com, content-posting-api
references (direct post, upload, creator info, video status), media transfer guide, error handling; read 2026-11-22.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, Field, ValidationError

from platforms import error_table
from platforms.error_table import DAY_S, HOUR_S, MINUTE_S, ErrorMeaning, account_refused, limited, reconnect, rejected
from platforms.errors import PlatformError
from platforms.http import client
from platforms.http.client import FileRange, Response
from platforms.http.hosts import Hosts

# Every code of the reference pages' error tables (2026-11-22). `internal_error` is missing on purpose: like any 5xx
# it leaves open whether the call was carried out.
ERRORS: Mapping[str, ErrorMeaning] = {
    "invalid_param": rejected("invalid_post", "TikTok finds the post's fields invalid"),
    "invalid_params": rejected("invalid_post", "TikTok finds the post's fields invalid"),
    "invalid_file_upload": rejected("video_refused", "TikTok finds the file unusable"),
    # No reset time is given; the limit is rolling over 24 h, so a quarter of it is a fair next try.
    "spam_risk_too_many_posts": limited("post_limit", "TikTok's posts for 24 hours are used up", 6 * HOUR_S),
    "spam_risk_too_many_pending_share": limited(
        "draft_limit", "five unfinished drafts wait in the TikTok app; finish or delete them there", 6 * HOUR_S
    ),
    "spam_risk_user_banned_from_posting": account_refused("account_banned", "TikTok bars this account from posting"),
    "spam_risk_text": rejected("text_refused", "TikTok refuses the text"),
    "spam_risk": rejected("spam_suspected", "TikTok suspects spam; a person should look"),
    "reached_active_user_cap": limited("app_user_cap", "TikTok's daily number of users for this app", DAY_S, "app"),
    "unaudited_client_can_only_post_to_private_accounts": rejected(
        "app_not_audited", "this TikTok app may only post privately to private accounts; use inbox mode"
    ),
    "privacy_level_option_mismatch": rejected("privacy_refused", "the account does not offer this privacy"),
    "access_token_invalid": reconnect("token_expired", "TikTok no longer takes the access token", refreshable=True),
    "scope_not_authorized": reconnect("scope_missing", "the account has not granted what publishing needs"),
    "scope_permission_missed": reconnect("scope_missing", "the account has not granted what publishing needs"),
    "rate_limit_exceeded": limited("rate_limit", "too many calls in a minute", MINUTE_S),
    "invalid_publish_id": error_table.unknown("publish_id_forgotten", "TikTok no longer knows this publish job"),
    "token_not_authorized_for_specified_publish_id": error_table.unknown(
        "other_account", "the publish job belongs to another account; was it connected anew as someone else?"
    ),
}

# fail_reason of status/fetch: the job ended without a post.
FAIL_ERRORS: Mapping[str, ErrorMeaning] = {
    **{
        reason: rejected("video_refused", f"TikTok cannot use the video ({reason})")
        for reason in (
            *("file_format_check_failed", "duration_check_failed", "frame_rate_check_failed"),
            "picture_size_check_failed",
        )
    },
    "spam_risk_text": ERRORS["spam_risk_text"],
    "spam_risk": ERRORS["spam_risk"],
    "spam_risk_too_many_posts": ERRORS["spam_risk_too_many_posts"],
    "spam_risk_user_banned_from_posting": ERRORS["spam_risk_user_banned_from_posting"],
    "publish_cancelled": rejected("cancelled", "the publishing was cancelled on TikTok's side"),
    "auth_removed": reconnect("authorization_removed", "the account has withdrawn its permission"),
}
RESTARTABLE = frozenset({"internal", "video_pull_failed"})  # documented as worth a new job


class Refusal(BaseModel):
    """The `error` of every answer; code "ok" is success, whatever the HTTP status."""

    code: str
    message: str = ""
    log_id: str | None = None


class Envelope(BaseModel):
    """What every data call answers."""

    data: dict[str, Any] = Field(default_factory=dict)  # Any: each call has its own model for it
    error: Refusal


class Creator(BaseModel):
    """Creator info: what this account may post now."""

    creator_username: str = ""
    privacy_level_options: list[str] = Field(default_factory=list)
    comment_disabled: bool = False
    duet_disabled: bool = False
    stitch_disabled: bool = False
    max_video_post_duration_sec: int = 0


class Session(BaseModel):
    """A publish job; `upload_url` is a bearer secret that lives for an hour."""

    publish_id: str = Field(min_length=1, max_length=64)
    upload_url: str = Field(min_length=1, max_length=2048, repr=False)


class Status(BaseModel):
    """How a publish job stands. The misspelt name is TikTok's."""

    status: str
    fail_reason: str = ""
    publicaly_available_post_id: list[int] = Field(default_factory=list)
    uploaded_bytes: int = 0


class Video(BaseModel):
    """One entry of the list of public videos."""

    id: str
    create_time: int = 0
    title: str = ""
    video_description: str = ""
    duration: int = 0
    share_url: str | None = None


class Videos(BaseModel):
    """The newest public videos."""

    videos: list[Video] = Field(default_factory=list)


_ModelT = TypeVar("_ModelT", bound=BaseModel)


class Calls:
    """TikTok's calls below configurable roots."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts

    def creator(self, token: str) -> Creator:
        """Ask what the account may post; obligatory before every direct post. 20 a minute."""
        return self._call(token, "/v2/post/publish/creator_info/query/", {}, Creator)

    def init(self, token: str, mode: str, info: Mapping[str, object], chunk_bytes: int, size_bytes: int) -> Session:
        """Open a publish job for a file that we shall upload. Nothing is posted before its last byte is in.

        Args:
            mode: "direct" (with `info` as post_info) or "inbox" (which takes no text at all). 6 a minute.
        """
        source = {
            "source": "FILE_UPLOAD",
            "video_size": size_bytes,
            "chunk_size": chunk_bytes,
            "total_chunk_count": max(1, size_bytes // chunk_bytes),
        }
        if mode == "direct":
            body = {"post_info": dict(info), "source_info": source}
            return self._call(token, "/v2/post/publish/video/init/", body, Session, acts=True)
        return self._call(token, "/v2/post/publish/inbox/video/init/", {"source_info": source}, Session, acts=True)

    def put(self, upload_url: str, part: FileRange, first: int, size_bytes: int) -> Response:
        """Send bytes `first` … of the file. The address carries its own permission; no token goes along."""
        headers = {
            "Content-Type": "video/mp4",
            "Content-Range": f"bytes {first}-{first + len(part) - 1}/{size_bytes}",
        }
        deadline_s = client.DEADLINE_S + len(part) / client.SLOWEST_UPLOAD_BYTES_S
        try:
            return client.request("PUT", upload_url, headers=headers, body=part, deadline_s=deadline_s)
        except client.TransportError as error:
            raise error_table.no_response(error, acts=True) from error

    def status(self, token: str, publish_id: str) -> Status:
        """Ask how a publish job stands. 30 a minute."""
        return self._call(token, "/v2/post/publish/status/fetch/", {"publish_id": publish_id}, Status)

    def videos(self, token: str) -> list[Video]:
        """List the newest public videos; needs the scope video.list."""
        path = "/v2/video/list/?fields=id,create_time,title,video_description,duration,share_url"
        return self._call(token, path, {"max_count": 20}, Videos).videos

    def _call(
        self, token: str, path: str, body: Mapping[str, object], model: type[_ModelT], *, acts: bool = False
    ) -> _ModelT:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json; charset=UTF-8"}
        try:
            reply = client.request("POST", f"{self._hosts.tiktok_api_url}{path}", headers=headers, json=body)
        except client.TransportError as error:
            raise error_table.no_response(error, acts=acts) from error
        try:
            envelope = Envelope.model_validate_json(reply.body)
            if envelope.error.code == "ok":
                return model.model_validate(envelope.data)
        except ValidationError:
            # `from None`: a validation error quotes the answer, and with it the upload address.
            raise _unreadable(reply, acts=acts) from None
        raise _refused(reply, envelope.error, acts=acts)


def _unreadable(reply: Response, *, acts: bool) -> PlatformError:
    if reply.status in {401, 403}:
        return ERRORS["access_token_invalid"].error(platform_code=f"http_{reply.status}")
    if reply.status == 429:
        return ERRORS["rate_limit_exceeded"].error(retry_after_s=reply.retry_after_s)
    return error_table.server_failed(reply.status, acts=acts)


def _refused(reply: Response, refusal: Refusal, *, acts: bool) -> PlatformError:
    verdict = ERRORS.get(refusal.code)
    asked = reply.retry_after_s
    if verdict is not None:
        return verdict.error(platform_code=refusal.code, log_id=refusal.log_id, retry_after_s=asked)
    if reply.status >= 500 or refusal.code == "internal_error":
        return error_table.server_failed(reply.status, acts=acts, retry_after_s=asked)
    if reply.status == 429:
        return ERRORS["rate_limit_exceeded"].error(platform_code=refusal.code, retry_after_s=asked)
    other = rejected("refused", "TikTok refuses the post")
    return other.error(platform_code=refusal.code, log_id=refusal.log_id)


def failed(reason: str) -> PlatformError:
    """Say what a job's fail_reason means. A job that failed has no post."""
    unlisted = rejected("processing_failed", "TikTok could not process the video")
    return FAIL_ERRORS.get(reason, unlisted).error(platform_code=reason or None)


__all__ = ["RESTARTABLE", "Calls", "Creator", "Session", "Status", "Video", "failed"]
