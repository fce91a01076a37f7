"""TikTok's Content Posting API: one method a call, the models of its responses, the meaning of its error codes.

The order of calls is decided in `platforms.tiktok.publisher`. Sources: developers.tiktok.com, content-posting-api
references (direct post, upload, creator info, video status), media transfer guide, error handling; read 2026-11-22.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, Field, ValidationError

from platforms import error_table
from platforms.error_table import (
    DAY_S,
    HOUR_S,
    MINUTE_S,
    ErrorMeaning,
    StatusMeanings,
    account_refused,
    later,
    limited,
    operator_needed,
    post_failed,
    reconnect,
    rejected,
    unknown,
)
from platforms.errors import PlatformError
from platforms.http import client
from platforms.http.client import FileRange, Response
from platforms.tiktok.hosts import TikTokHosts

_DOWN = later("platform_down", "TikTok has a problem at the moment", MINUTE_S)

# Every code of the reference pages' error tables (2026-11-22).
ERRORS: Mapping[str, ErrorMeaning] = {
    "invalid_param": rejected("invalid_post", "TikTok did not accept the details of this post"),
    "invalid_params": rejected("invalid_post", "TikTok did not accept the details of this post"),
    "invalid_file_upload": rejected("video_refused", "TikTok cannot use this video file"),
    # No reset time is given; the limit is rolling over 24 h, so a quarter of it is a fair next try.
    "spam_risk_too_many_posts": limited(
        "post_limit", "The account has reached TikTok's limit of posts in 24 hours", 6 * HOUR_S
    ),
    "spam_risk_too_many_pending_share": limited(
        "draft_limit", "Five unfinished drafts wait in the TikTok app; finish or delete them there", 6 * HOUR_S
    ),
    "spam_risk_user_banned_from_posting": account_refused(
        "account_banned", "TikTok does not let this account post; see the notices in the TikTok app"
    ),
    "spam_risk_text": rejected("text_refused", "TikTok did not accept the title or the caption; change the words"),
    "spam_risk": rejected("spam_suspected", "TikTok took this post for spam; check it before you try again"),
    "reached_active_user_cap": limited(
        "app_user_cap", "TikTok's daily number of users for this app is reached", DAY_S, "app"
    ),
    "unaudited_client_can_only_post_to_private_accounts": operator_needed(
        "app_not_audited",
        "TikTok has not audited this app, so it may post only privately to private accounts; set TIKTOK_MODE to inbox, "
        "or have the app audited",
    ),
    "url_ownership_unverified": operator_needed(
        "app_misconfigured", "TikTok does not know the address of the videos; verify it on the app's page at TikTok"
    ),
    "app_version_check_failed": operator_needed(
        "api_outdated", "TikTok no longer accepts this version of the upload; update VidProd"
    ),
    "internal": _DOWN,
    "internal_error": _DOWN,
    "privacy_level_option_mismatch": rejected(
        "privacy_refused", "This TikTok account does not offer the chosen privacy"
    ),
    "access_token_invalid": reconnect("token_expired", "The TikTok login has expired", refreshable=True),
    "scope_not_authorized": reconnect(
        "scope_missing", "The TikTok account has not granted the permissions that publishing needs"
    ),
    "scope_permission_missed": reconnect(
        "scope_missing", "The TikTok account has not granted the permissions that publishing needs"
    ),
    "rate_limit_exceeded": limited("rate_limit", "TikTok received too many calls in a minute", MINUTE_S),
    "invalid_publish_id": unknown("publish_id_forgotten", "TikTok no longer knows this publish job"),
    "token_not_authorized_for_specified_publish_id": unknown(
        "other_account", "The publish job belongs to another TikTok account; was another one connected meanwhile?"
    ),
}

# fail_reason of status/fetch: the job ended without a post. Each is a verdict on this post, none on the account.
FAIL_ERRORS: Mapping[str, ErrorMeaning] = {
    **{
        reason: post_failed("video_refused", f"TikTok cannot use this video ({reason})")
        for reason in (
            *("file_format_check_failed", "duration_check_failed", "frame_rate_check_failed"),
            "picture_size_check_failed",
        )
    },
    "spam_risk_text": post_failed("text_refused", "TikTok did not accept the title or the caption; change the words"),
    "spam_risk": post_failed("spam_suspected", "TikTok took this post for spam; check it before you try again"),
    "spam_risk_user_banned_from_posting": post_failed(
        "account_banned", "TikTok does not let this account post; see the notices in the TikTok app"
    ),
    "publish_cancelled": post_failed("cancelled", "The publishing was cancelled at TikTok"),
    "auth_removed": post_failed("authorization_removed", "The TikTok account has withdrawn its permission"),
}
RESTARTABLE = frozenset({"internal", "video_pull_failed"})  # documented as worth a new job
TOO_MANY_POSTS = "spam_risk_too_many_posts"
POST_LIMIT_WAIT_S = 6 * HOUR_S
# Codes of a question about a job that TikTok does not find under this token.
JOB_UNKNOWN = frozenset({"publish_id_forgotten", "other_account"})


class TikTokErrorBody(BaseModel):
    """The `error` of every response; code "ok" is success, whatever the HTTP status."""

    code: str
    message: str = ""
    log_id: str | None = None


class TikTokResponseBody(BaseModel):
    """The body of every data call."""

    data: dict[str, Any] | None = None  # Any: each call has its own model for it
    error: TikTokErrorBody


class CreatorInfo(BaseModel):
    """The options that an account has for a post now."""

    creator_username: str = ""
    creator_nickname: str = ""
    creator_avatar_url: str = ""
    privacy_level_options: list[str] = Field(default_factory=list)
    comment_disabled: bool = False
    duet_disabled: bool = False
    stitch_disabled: bool = False
    max_video_post_duration_sec: int = 0


class PublishJob(BaseModel):
    """A new publish job; `upload_url` is a bearer secret that is valid for an hour."""

    publish_id: str = Field(min_length=1, max_length=64)
    upload_url: str = Field(min_length=1, max_length=2048, repr=False)


class PublishStatus(BaseModel):
    """The state of a publish job. The misspelt name is TikTok's."""

    status: str
    fail_reason: str = ""
    publicaly_available_post_id: list[int] = Field(default_factory=list)
    uploaded_bytes: int | None = None


class ListedVideo(BaseModel):
    """One entry of the list of public videos."""

    id: str
    create_time: int = 0
    title: str = ""
    video_description: str = ""
    duration: int = 0
    share_url: str | None = None


class _VideoList(BaseModel):
    videos: list[ListedVideo] = Field(default_factory=list)


_ModelT = TypeVar("_ModelT", bound=BaseModel)


class TikTokApi:
    """TikTok's API calls."""

    def __init__(self, hosts: TikTokHosts) -> None:
        self._hosts = hosts

    def creator_info(self, token: str) -> CreatorInfo:
        """Read the options of the account; required before every direct post. 20 calls a minute."""
        return self._call(token, "/v2/post/publish/creator_info/query/", {}, CreatorInfo)

    def init(self, token: str, mode: str, info: Mapping[str, object], chunk_bytes: int, size_bytes: int) -> PublishJob:
        """Create a publish job for a file to be uploaded. Nothing is posted before its last byte is received.

        Args:
            mode: "direct" (with `info` as post_info) or "inbox" (which takes no text at all). 6 calls a minute.
        """
        source = {
            "source": "FILE_UPLOAD",
            "video_size": size_bytes,
            "chunk_size": chunk_bytes,
            "total_chunk_count": max(1, size_bytes // chunk_bytes),
        }
        if mode == "direct":
            body = {"post_info": dict(info), "source_info": source}
            return self._call(token, "/v2/post/publish/video/init/", body, PublishJob)
        return self._call(token, "/v2/post/publish/inbox/video/init/", {"source_info": source}, PublishJob)

    def put(self, upload_url: str, file_range: FileRange, first: int, size_bytes: int) -> Response:
        """Send the file's bytes from `first` on. The address carries its own permission; no token is sent."""
        headers = {
            "Content-Type": "video/mp4",
            "Content-Range": f"bytes {first}-{first + len(file_range) - 1}/{size_bytes}",
        }
        deadline_s = client.upload_deadline_s(len(file_range))
        try:
            return client.request("PUT", upload_url, headers=headers, body=file_range, deadline_s=deadline_s)
        except client.TransportError as error:
            raise error_table.no_response(error, acts=True) from error

    def status(self, token: str, publish_id: str) -> PublishStatus:
        """Read the state of a publish job. 30 calls a minute."""
        return self._call(token, "/v2/post/publish/status/fetch/", {"publish_id": publish_id}, PublishStatus)

    def videos(self, token: str) -> list[ListedVideo]:
        """List the newest public videos; needs the scope video.list."""
        path = "/v2/video/list/?fields=id,create_time,title,video_description,duration,share_url"
        return self._call(token, path, {"max_count": 20}, _VideoList).videos

    def _call(self, token: str, path: str, body: Mapping[str, object], model: type[_ModelT]) -> _ModelT:
        # No call makes a post by itself, so one whose response was lost is simply repeated.
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json; charset=UTF-8"}
        try:
            response = client.request("POST", f"{self._hosts.tiktok_api_url}{path}", headers=headers, json=body)
        except client.TransportError as error:
            raise error_table.no_response(error, acts=False) from error
        try:
            parsed = TikTokResponseBody.model_validate_json(response.body)
            if parsed.error.code == "ok":
                return model.model_validate(parsed.data or {})
        except ValidationError:
            # `from None`: a validation error quotes the body, and with it the upload address.
            raise _STATUSES.error(response, None, code=None) from None
        raise _STATUSES.error(
            response,
            ERRORS.get(parsed.error.code),
            code=parsed.error.code,
            log_id=parsed.error.log_id,
            text=parsed.error.message,
        )


_STATUSES = StatusMeanings("TikTok", ERRORS["access_token_invalid"], ERRORS["rate_limit_exceeded"])


def job_failed(reason: str) -> PlatformError:
    """Return the error for a job's fail_reason. A job that failed has no post."""
    unlisted = post_failed("processing_failed", "TikTok could not process the video")
    return FAIL_ERRORS.get(reason, unlisted).error(platform_code=reason or None)
