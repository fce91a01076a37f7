"""Client of YouTube's Data API v3, with models of its responses and a table of its error reasons.

The order of calls is decided in `platforms.youtube.publisher`. Sources: developers.google.com/youtube/v3, resumable
upload protocol, videos resource, errors, quota costs (2026-09); read 2026-11-22.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field, ValidationError

from platforms import error_table
from platforms.error_table import (
    DAY_S,
    MINUTE_S,
    ErrorMeaning,
    StatusMeanings,
    account_refused,
    later,
    limited,
    operator_needed,
    reconnect,
    rejected,
)
from platforms.errors import PlatformError, RateLimited
from platforms.http import client
from platforms.http.client import FileRange, Response
from platforms.youtube.hosts import GoogleHosts

_INVALID = rejected("invalid_post", "YouTube did not accept the details of this video")
_FORBIDDEN = rejected("forbidden", "YouTube does not allow this upload")
_TOKEN = reconnect("token_expired", "The Google login has expired", refreshable=True)
_SCOPE = reconnect("scope_missing", "The Google account has not granted the permissions that publishing needs")
_NO_CHANNEL = account_refused("no_channel", "This Google account has no YouTube channel that may upload")
_DOWN = later("platform_down", "YouTube has a problem at the moment", MINUTE_S)
_DISABLED = operator_needed(
    "api_disabled", "The YouTube Data API v3 is not enabled in the Google Cloud project; enable it there"
)
_MISCONFIGURED = operator_needed(
    "app_misconfigured", "Google does not accept this app; check its client, its keys and the state of its project"
)
# Per project, all channels together; the time until the reset (midnight Pacific) is computed with the error.
_QUOTA = limited("quota", "This app has used up its YouTube quota for today", DAY_S, "app")
_RATE = limited("rate_limit", "YouTube received too many calls in a short time", MINUTE_S)

_INVALID_FIELDS = {
    "invalidTitle": "title", "invalidDescription": "description", "invalidTags": "tags",
    "invalidCategoryId": "category", "invalidPublishAt": "publishing time", "invalidFilename": "file name",
    "invalidRecordingDetails": "recording details",
}  # fmt: skip
# The reasons for which a video failed or was rejected (videos resource, read 2026-11-29).
REFUSED_VIDEOS: Mapping[str, str] = {
    "codec": "YouTube cannot read the codec of this video",
    "conversion": "YouTube could not convert this video",
    "emptyFile": "YouTube received an empty file",
    "invalidFile": "YouTube cannot read this file as a video",
    "tooSmall": "YouTube finds this video too small",
    "uploadAborted": "YouTube saw the upload end early",
    "claim": "YouTube removed the video: somebody claims the rights to its content",
    "copyright": "YouTube removed the video for a breach of copyright",
    "inappropriate": "YouTube removed the video: it finds the content inappropriate",
    "legal": "YouTube removed the video for a legal reason",
    "length": "YouTube removed the video: it is longer than this channel may upload",
    "termsOfUse": "YouTube removed the video for a breach of its terms of use",
    "trademark": "YouTube removed the video for a breach of a trademark",
    "uploaderAccountClosed": "YouTube removed the video: the account is closed",
    "uploaderAccountSuspended": "YouTube removed the video: the account is suspended",
}

ERRORS: Mapping[str, ErrorMeaning] = {
    **{
        reason: rejected("invalid_post", f"YouTube did not accept the {field} of this video")
        for reason, field in _INVALID_FIELDS.items()
    },
    **dict.fromkeys(("invalidVideoMetadata", "defaultLanguageNotSet", "mediaBodyRequired"), _INVALID),
    **dict.fromkeys(("forbidden", "forbiddenPrivacySetting", "forbiddenLicenseSetting"), _FORBIDDEN),
    "uploadLimitExceeded": limited("post_limit", "The channel has reached YouTube's limit of uploads for today", DAY_S),
    **dict.fromkeys(("quotaExceeded", "dailyLimitExceeded"), _QUOTA),
    **dict.fromkeys(("rateLimitExceeded", "userRateLimitExceeded"), _RATE),
    "uploadRateLimitExceeded": limited("post_limit", "The channel has reached YouTube's limit of uploads", DAY_S),
    "insufficientPermissions": _SCOPE,
    **dict.fromkeys(("authError", "expired", "authorizationRequired"), _TOKEN),
    # Without a channel no token is worth anything; the owner connects the account again once it has one.
    "youtubeSignupRequired": reconnect("no_channel", "This Google account has no YouTube channel; create one first"),
    "authenticatedUserNotChannel": _NO_CHANNEL,
    **dict.fromkeys(
        ("authenticatedUserAccountClosed", "authenticatedUserAccountSuspended"),
        account_refused("account_closed", "This YouTube account is closed or suspended"),
    ),
    **dict.fromkeys(
        (
            *("backendError", "internalError", "internalFailure", "processingFailure", "serviceUnavailable"),
            *("aborted", "failedPrecondition", "conflict", "alreadyExists", "requestTimeout", "timeout"),
        ),
        _DOWN,
    ),
    "accessNotConfigured": _DISABLED,
    **dict.fromkeys(("keyInvalid", "keyExpired", "ipRefererBlocked", "invalid_client"), _MISCONFIGURED),
    # The newer format: `details[].reason` (google.rpc.ErrorInfo) and, less exact, `status` (google.rpc.Code).
    "SERVICE_DISABLED": _DISABLED,
    **dict.fromkeys(
        (
            *("API_KEY_INVALID", "API_KEY_SERVICE_BLOCKED", "BILLING_DISABLED", "CONSUMER_INVALID"),
            *("CONSUMER_SUSPENDED", "USER_PROJECT_DENIED"),
        ),
        _MISCONFIGURED,
    ),
    "ACCESS_TOKEN_SCOPE_INSUFFICIENT": _SCOPE,
    **dict.fromkeys(("ACCESS_TOKEN_EXPIRED", "CREDENTIALS_MISSING", "UNAUTHENTICATED"), _TOKEN),
    "RESOURCE_QUOTA_EXCEEDED": _QUOTA,
    **dict.fromkeys(("RATE_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED"), _RATE),
    **dict.fromkeys(
        (
            *("ABORTED", "ALREADY_EXISTS", "CANCELLED", "DEADLINE_EXCEEDED", "FAILED_PRECONDITION", "INTERNAL"),
            *("UNAVAILABLE", "UNKNOWN"),
        ),
        _DOWN,
    ),
}
_STATUSES = StatusMeanings("YouTube", _TOKEN, _RATE)


class _GoogleErrorItem(BaseModel):
    reason: str = ""


class _GoogleErrorDetail(BaseModel):
    """One of several kinds; only google.rpc.ErrorInfo has a reason."""

    reason: str = ""
    metadata: dict[str, str] = Field(default_factory=dict)


class GoogleErrorBody(BaseModel):
    """Google's error object, in its older (`errors`) and its newer format (`details`, `status`)."""

    code: int = 0
    status: str = ""
    message: str = Field(default="", repr=False)
    errors: list[_GoogleErrorItem] = Field(default_factory=list)
    details: list[_GoogleErrorDetail] = Field(default_factory=list)

    @property
    def reasons(self) -> list[str]:
        """All reasons, the most exact first; the bare code when there is none."""
        given = [detail.reason for detail in self.details] + [item.reason for item in self.errors] + [self.status]
        return [reason for reason in given if reason] or ([str(self.code)] if self.code else [])

    @property
    def is_daily_limit(self) -> bool:
        """Return whether the limit is a daily one, by its name, such as "VideoInsertsPerDayPerProject"."""
        return any("PerDay" in detail.metadata.get("quota_limit", "") for detail in self.details)


class _GoogleFailure(BaseModel):
    error: GoogleErrorBody


class _OAuthFailure(BaseModel):
    """The format of RFC 6749, which Google's API servers use for some faults of the client."""

    error: str


def _meaning(body: GoogleErrorBody) -> tuple[str | None, ErrorMeaning | None]:
    """Return the reason that counts and its meaning: the first that is listed."""
    for reason in body.reasons:
        if reason in ERRORS:
            meaning = ERRORS[reason]
            return reason, _QUOTA if meaning is _RATE and body.is_daily_limit else meaning
    return next(iter(body.reasons), None), None


class YouTubeStatus(BaseModel):
    """The part `status` of a video."""

    uploadStatus: str = ""  # noqa: N815 - Google's spelling
    failureReason: str = ""  # noqa: N815
    rejectionReason: str = ""  # noqa: N815
    privacyStatus: str = ""  # noqa: N815


class Snippet(BaseModel):
    """The part `snippet` of a video."""

    title: str = ""
    description: str = ""
    publishedAt: str = ""  # noqa: N815


class FileDetails(BaseModel):
    """The part `fileDetails` of a video, for its owner only."""

    fileName: str = ""  # noqa: N815


class YouTubeVideo(BaseModel):
    """One video, with the parts that were asked for."""

    id: str = Field(min_length=1)
    status: YouTubeStatus = Field(default_factory=YouTubeStatus)
    snippet: Snippet = Field(default_factory=Snippet)
    fileDetails: FileDetails = Field(default_factory=FileDetails)  # noqa: N815


class _Videos(BaseModel):
    items: list[YouTubeVideo] = Field(default_factory=list)


class _RelatedPlaylists(BaseModel):
    uploads: str = ""


class _ChannelContent(BaseModel):
    relatedPlaylists: _RelatedPlaylists = Field(default_factory=_RelatedPlaylists)  # noqa: N815


class _Channel(BaseModel):
    contentDetails: _ChannelContent = Field(default_factory=_ChannelContent)  # noqa: N815


class _Channels(BaseModel):
    items: list[_Channel] = Field(default_factory=list)


class _PlaylistContent(BaseModel):
    videoId: str = ""  # noqa: N815


class _PlaylistItem(BaseModel):
    contentDetails: _PlaylistContent = Field(default_factory=_PlaylistContent)  # noqa: N815


class _Playlist(BaseModel):
    items: list[_PlaylistItem] = Field(default_factory=list)


_ModelT = TypeVar("_ModelT", bound=BaseModel)


class SessionGone(Exception):
    """YouTube no longer knows the upload session (404 or 410)."""


class YouTubeApi:
    """YouTube's API calls."""

    def __init__(self, hosts: GoogleHosts, clock: Callable[[], float]) -> None:
        self._root = hosts.youtube_api_url
        self._clock = clock

    def create_session(
        self, token: str, resource: Mapping[str, object], size_bytes: int, slug: str, *, notify: bool = False
    ) -> str:
        """Create an upload session and return its address. No video exists before its last byte is received.

        Args:
            notify: whether subscribers get a notification.
        """
        headers = {
            **_bearer(token),
            "Content-Type": "application/json; charset=UTF-8",
            "X-Upload-Content-Length": str(size_bytes),
            "X-Upload-Content-Type": "video/mp4",
            "Slug": slug,
        }
        query = f"uploadType=resumable&part=snippet,status&notifySubscribers={'true' if notify else 'false'}"
        url = f"{self._root}/upload/youtube/v3/videos?{query}"
        response = self._send("POST", url, headers, json=resource)
        if response.status != 200 or "Location" not in response.headers:
            raise refusal(response, self._clock())
        return str(response.headers["Location"])

    def put(self, token: str, session: str, file_range: FileRange, first: int, size_bytes: int) -> YouTubeVideo | int:
        """Send bytes from `first` on; return the offset to go on from, or the video when it is complete.

        Raises:
            SessionGone.
        """
        headers = {
            **_bearer(token),
            "Content-Type": "video/mp4",
            "Content-Range": f"bytes {first}-{first + len(file_range) - 1}/{size_bytes}",
        }
        deadline_s = client.upload_deadline_s(len(file_range))
        return self._progress(self._send("PUT", session, headers, body=file_range, deadline_s=deadline_s, acts=True))

    def session_status(self, token: str, session: str, size_bytes: int) -> YouTubeVideo | int:
        """Read the state of a session: the offset to go on from, or the finished video.

        Raises:
            SessionGone.
        """
        headers = {**_bearer(token), "Content-Range": f"bytes */{size_bytes}"}
        return self._progress(self._send("PUT", session, headers, body=b""), acts=False)

    def video(self, token: str, video_id: str, parts: str = "status,processingDetails") -> YouTubeVideo | None:
        """Read the state of a video. One unit of quota."""
        found = self.videos(token, [video_id], parts)
        return found[0] if found else None

    def videos(self, token: str, video_ids: list[str], parts: str) -> list[YouTubeVideo]:
        """Read several videos at once. One unit of quota."""
        return self._get(token, "/youtube/v3/videos", {"part": parts, "id": ",".join(video_ids)}, _Videos).items

    def newest(self, token: str) -> list[YouTubeVideo]:
        """List the channel's newest uploads, private ones too, with snippet, status and file name. Three units."""
        channels = self._get(token, "/youtube/v3/channels", {"part": "contentDetails", "mine": "true"}, _Channels)
        uploads = channels.items[0].contentDetails.relatedPlaylists.uploads if channels.items else ""
        if not uploads:
            return []
        params = {"part": "contentDetails", "playlistId": uploads, "maxResults": "25"}
        entries = self._get(token, "/youtube/v3/playlistItems", params, _Playlist).items
        ids = [entry.contentDetails.videoId for entry in entries if entry.contentDetails.videoId]
        return self.videos(token, ids, "snippet,status,fileDetails") if ids else []

    def _progress(self, response: Response, *, acts: bool = True) -> YouTubeVideo | int:
        if response.status == 308:
            return _next_offset(response.headers.get("Range", ""))
        if response.status in {404, 410}:
            raise SessionGone
        if response.status not in {200, 201}:
            raise refusal(response, self._clock(), acts=acts)
        return _read(response, YouTubeVideo, acts=acts)

    def _get(self, token: str, path: str, params: Mapping[str, str], model: type[_ModelT]) -> _ModelT:
        response = self._send("GET", f"{self._root}{path}", _bearer(token), params=params)
        if response.status != 200:
            raise refusal(response, self._clock())
        return _read(response, model, acts=False)

    def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        *,
        params: Mapping[str, str] | None = None,
        json: object = None,
        body: bytes | FileRange | None = None,
        deadline_s: float = client.DEADLINE_S,
        acts: bool = False,
    ) -> Response:
        try:
            return client.request(
                method, url, headers=headers, params=params, json=json, body=body, deadline_s=deadline_s
            )
        except client.TransportError as error:
            raise error_table.no_response(error, acts=acts) from error


def refusal(response: Response, now: float, *, acts: bool = False) -> PlatformError:
    """Return the error for a response that is no success.

    Args:
        now: Unix seconds, from which the reset of a quota is computed.
        acts: whether the request may have changed something.
    """
    reason, meaning, text = _parsed(response)
    error = _STATUSES.error(response, meaning, code=reason, text=text, acts=acts)
    if meaning is _QUOTA and isinstance(error, RateLimited):
        error.retry_after_s = until_pacific_midnight_s(now)
    return error


def _parsed(response: Response) -> tuple[str | None, ErrorMeaning | None, str]:
    """Return the reason that counts, its meaning, and Google's message."""
    try:
        body = _GoogleFailure.model_validate_json(response.body).error
        return *_meaning(body), body.message
    except ValidationError:
        pass
    try:
        code = _OAuthFailure.model_validate_json(response.body).error
    except ValidationError:
        return None, None, ""
    return code, ERRORS.get(code), ""


def _read(response: Response, model: type[_ModelT], *, acts: bool) -> _ModelT:
    try:
        return model.model_validate_json(response.body)
    except ValidationError:
        raise error_table.server_failed(response.status, acts=acts, retry_after_s=response.retry_after_s) from None


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _next_offset(header: str) -> int:
    # "bytes=0-N" or, before the first byte, no header at all. Google's count is used, never our own.
    found = re.fullmatch(r"(?:bytes=)?0-(\d{1,15})", header.strip())
    return int(found[1]) + 1 if found else 0


def until_pacific_midnight_s(now: float) -> float:
    """Return the seconds until quotas are reset: midnight in Los Angeles, daylight saving time included."""
    here = datetime.fromtimestamp(now, UTC).astimezone(ZoneInfo("America/Los_Angeles"))
    midnight = (here + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    # Subtracted in UTC: local times give the wrong length of a day on which daylight saving time changes.
    return (midnight.astimezone(UTC) - here.astimezone(UTC)).total_seconds() + 60.0
