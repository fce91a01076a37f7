"""YouTube's Data API v3: one function a call, its answers, and what its error reasons mean.

What to call when is not here (see `platforms.youtube.publisher`). Sources: developers.google.com/youtube/v3, resumable
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
from platforms.error_table import DAY_S, MINUTE_S, ErrorMeaning, account_refused, limited, reconnect, rejected
from platforms.errors import PlatformError, RateLimited
from platforms.http import client
from platforms.http.client import FileRange, Response
from platforms.http.hosts import Hosts

_INVALID = rejected("invalid_post", "YouTube finds the post's fields invalid")
_FORBIDDEN = rejected("forbidden", "YouTube does not allow this post")
_TOKEN = reconnect("token_expired", "YouTube no longer takes the access token", refreshable=True)
_SCOPE = reconnect("scope_missing", "the account has not granted what publishing needs")
_NO_CHANNEL = account_refused("no_channel", "the Google account has no YouTube channel that may upload")
# Per project, all channels together; the reset at midnight Pacific is filled in when the error is made.
_QUOTA = limited("quota", "the project's YouTube quota of today is used up", DAY_S, "app")
_RATE = limited("rate_limit", "too many calls in a short time", MINUTE_S)

ERRORS: Mapping[str, ErrorMeaning] = {
    **dict.fromkeys(
        (
            *("invalidTitle", "invalidDescription", "invalidTags", "invalidCategoryId", "invalidPublishAt"),
            *("invalidFilename", "invalidVideoMetadata", "invalidRecordingDetails", "defaultLanguageNotSet"),
            "mediaBodyRequired",
        ),
        _INVALID,
    ),
    **dict.fromkeys(("forbidden", "forbiddenPrivacySetting", "forbiddenLicenseSetting"), _FORBIDDEN),
    "uploadLimitExceeded": limited("post_limit", "the channel's uploads of today are used up", DAY_S),
    **dict.fromkeys(("quotaExceeded", "dailyLimitExceeded"), _QUOTA),
    **dict.fromkeys(("rateLimitExceeded", "userRateLimitExceeded"), _RATE),
    "insufficientPermissions": _SCOPE,
    **dict.fromkeys(("authError", "expired", "authorizationRequired"), _TOKEN),
    "youtubeSignupRequired": _NO_CHANNEL,
    "authenticatedUserNotChannel": _NO_CHANNEL,
    **dict.fromkeys(
        ("authenticatedUserAccountClosed", "authenticatedUserAccountSuspended"),
        account_refused("account_closed", "the YouTube account is closed or suspended"),
    ),
}


class Reason(BaseModel):
    """One entry of an error's list."""

    reason: str = ""


class Refusal(BaseModel):
    """Google's error object."""

    code: int = 0
    errors: list[Reason] = Field(default_factory=list)

    @property
    def reason(self) -> str:
        """The first reason; empty when there is none."""
        return self.errors[0].reason if self.errors else ""


class _Failure(BaseModel):
    error: Refusal


class VideoStatus(BaseModel):
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


class Video(BaseModel):
    """One video, with the parts that were asked for."""

    id: str = Field(min_length=1)
    status: VideoStatus = Field(default_factory=VideoStatus)
    snippet: Snippet = Field(default_factory=Snippet)
    fileDetails: FileDetails = Field(default_factory=FileDetails)  # noqa: N815


class _Videos(BaseModel):
    items: list[Video] = Field(default_factory=list)


class _Related(BaseModel):
    uploads: str = ""


class _Content(BaseModel):
    relatedPlaylists: _Related = Field(default_factory=_Related)  # noqa: N815


class _Channel(BaseModel):
    contentDetails: _Content = Field(default_factory=_Content)  # noqa: N815


class _Channels(BaseModel):
    items: list[_Channel] = Field(default_factory=list)


class _Listed(BaseModel):
    videoId: str = ""  # noqa: N815


class _Entry(BaseModel):
    contentDetails: _Listed = Field(default_factory=_Listed)  # noqa: N815


class _Playlist(BaseModel):
    items: list[_Entry] = Field(default_factory=list)


_ModelT = TypeVar("_ModelT", bound=BaseModel)


class SessionGone(Exception):
    """The upload session is not known any more (404 or 410)."""


class Calls:
    """YouTube's calls below a configurable root."""

    def __init__(self, hosts: Hosts, clock: Callable[[], float]) -> None:
        self._root = hosts.youtube_api_url
        self._clock = clock

    def session(self, token: str, resource: Mapping[str, object], size_bytes: int, slug: str) -> str:
        """Open an upload session and return its address. No video exists before its last byte is in."""
        headers = {
            **_bearer(token),
            "Content-Type": "application/json; charset=UTF-8",
            "X-Upload-Content-Length": str(size_bytes),
            "X-Upload-Content-Type": "video/mp4",
            "Slug": slug,
        }
        url = f"{self._root}/upload/youtube/v3/videos?uploadType=resumable&part=snippet,status&notifySubscribers=false"
        reply = self._send("POST", url, headers, json=resource, acts=True)
        if reply.status != 200 or "Location" not in reply.headers:
            raise self._refused(reply, acts=True)
        return str(reply.headers["Location"])

    def put(self, token: str, session: str, part: FileRange, first: int, size_bytes: int) -> Video | int:
        """Send bytes `first` …; return the offset to go on from, or the video when it is complete.

        Raises:
            SessionGone.
        """
        headers = {
            **_bearer(token),
            "Content-Type": "video/mp4",
            "Content-Range": f"bytes {first}-{first + len(part) - 1}/{size_bytes}",
        }
        deadline_s = client.DEADLINE_S + len(part) / client.SLOWEST_UPLOAD_BYTES_S
        return self._progress(self._send("PUT", session, headers, body=part, deadline_s=deadline_s, acts=True))

    def held(self, token: str, session: str, size_bytes: int) -> Video | int:
        """Ask a session how much it holds: the offset to go on from, or the finished video.

        Raises:
            SessionGone.
        """
        headers = {**_bearer(token), "Content-Range": f"bytes */{size_bytes}"}
        return self._progress(self._send("PUT", session, headers, body=b""), acts=False)

    def video(self, token: str, video_id: str, parts: str = "status,processingDetails") -> Video | None:
        """Ask how a video stands. One unit of quota."""
        found = self.videos(token, [video_id], parts)
        return found[0] if found else None

    def videos(self, token: str, video_ids: list[str], parts: str) -> list[Video]:
        """Ask for some videos at once. One unit of quota."""
        return self._get(token, "/youtube/v3/videos", {"part": parts, "id": ",".join(video_ids)}, _Videos).items

    def newest(self, token: str) -> list[Video]:
        """List the channel's newest uploads, private ones too, with snippet, status and file name. Three units."""
        channels = self._get(token, "/youtube/v3/channels", {"part": "contentDetails", "mine": "true"}, _Channels)
        uploads = channels.items[0].contentDetails.relatedPlaylists.uploads if channels.items else ""
        if not uploads:
            return []
        params = {"part": "contentDetails", "playlistId": uploads, "maxResults": "25"}
        entries = self._get(token, "/youtube/v3/playlistItems", params, _Playlist).items
        ids = [entry.contentDetails.videoId for entry in entries if entry.contentDetails.videoId]
        return self.videos(token, ids, "snippet,status,fileDetails") if ids else []

    def _progress(self, reply: Response, *, acts: bool = True) -> Video | int:
        if reply.status == 308:
            return _next_offset(reply.headers.get("Range", ""))
        if reply.status in {404, 410}:
            raise SessionGone
        if reply.status not in {200, 201}:
            raise self._refused(reply, acts=acts)
        return _read(reply, Video, acts=acts)

    def _get(self, token: str, path: str, params: Mapping[str, str], model: type[_ModelT]) -> _ModelT:
        reply = self._send("GET", f"{self._root}{path}", _bearer(token), params=params)
        if reply.status != 200:
            raise self._refused(reply, acts=False)
        return _read(reply, model, acts=False)

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

    def _refused(self, reply: Response, *, acts: bool) -> PlatformError:
        try:
            reason = _Failure.model_validate_json(reply.body).error.reason
        except ValidationError:
            reason = ""
        verdict = ERRORS.get(reason) or _by_status(reply.status)
        if verdict is None:
            return error_table.server_failed(reply.status, acts=acts, retry_after_s=reply.retry_after_s)
        error = verdict.error(platform_code=reason or f"http_{reply.status}", retry_after_s=reply.retry_after_s)
        if verdict is _QUOTA and isinstance(error, RateLimited):
            error.retry_after_s = until_pacific_midnight_s(self._clock())
        return error


def _by_status(status: int) -> ErrorMeaning | None:
    if status == 401:
        return _TOKEN
    if status == 429:
        return _RATE
    return rejected("refused", "YouTube refuses the post") if 400 <= status < 500 else None


def _read(reply: Response, model: type[_ModelT], *, acts: bool) -> _ModelT:
    try:
        return model.model_validate_json(reply.body)
    except ValidationError:
        raise error_table.server_failed(reply.status, acts=acts) from None


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _next_offset(header: str) -> int:
    # "bytes=0-N" or, when nothing is there yet, no header at all. Google's figure counts, not our arithmetic.
    found = re.fullmatch(r"(?:bytes=)?0-(\d{1,15})", header.strip())
    return int(found[1]) + 1 if found else 0


def until_pacific_midnight_s(now: float) -> float:
    """Return the seconds until quotas are reset: midnight in Los Angeles, daylight saving time included."""
    here = datetime.fromtimestamp(now, UTC).astimezone(ZoneInfo("America/Los_Angeles"))
    midnight = (here + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    # Subtracted in UTC: the wall clocks of one zone lie about the length of the day when it changes.
    return (midnight.astimezone(UTC) - here.astimezone(UTC)).total_seconds() + 60.0
