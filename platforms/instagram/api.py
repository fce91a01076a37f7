"""Meta's Graph API for Reels: one function a call, its answers, and what its error codes mean.

What to call when is not here (see `platforms.instagram.publisher`). Sources: developers.facebook.com, Instagram content
publishing, resumable uploads (updated 2026-03-15), error codes (2026-06-02); read 2026-11-22.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, Field, ValidationError

from platforms import error_table
from platforms.error_table import (
    DAY_S,
    HOUR_S,
    MINUTE_S,
    ErrorMeaning,
    account_refused,
    later,
    limited,
    reconnect,
    rejected,
)
from platforms.errors import PlatformError, RateLimited
from platforms.http import client
from platforms.http.client import FileRange, Response
from platforms.http.hosts import Hosts

GRAPH_VERSION = "v26.0"  # out since 2026-07-29

Code = tuple[int, int]

_MEDIA = rejected("invalid_post", "Instagram finds the post's fields invalid")
_VIDEO = rejected("video_refused", "Instagram cannot use the video")
_TOKEN = reconnect("token_dead", "Instagram no longer takes the token; connect the account again")
_SCOPE = reconnect("scope_missing", "the account has not granted what publishing needs")
_ANEW = later("container_lost", "Instagram could not take the video in; a new attempt may", MINUTE_S)
_CALLS = limited("rate_limit", "Instagram's calls for this hour are used up", HOUR_S)

# By (code, subcode) first, then by code alone.
BY_SUBCODE: Mapping[Code, ErrorMeaning] = {
    (-2, 2207003): _ANEW,
    (-2, 2207020): _ANEW,
    (-1, 2207001): _ANEW,
    (-1, 2207032): _ANEW,
    (-1, 2207053): _ANEW,
    (1, 2207057): _MEDIA,
    (4, 2207051): account_refused("action_blocked", "Instagram suspects spam and blocks this account's posts"),
    (9, 2207042): limited("post_limit", "Instagram's posts for 24 hours are used up", HOUR_S),
    (24, 2207006): _ANEW,
    (24, 2207008): _ANEW,
    (25, 2207050): account_refused("account_restricted", "Instagram restricts this account"),
    # Seen on reads of posts that were fine (2026-06): never a proof that something is not there.
    (100, 33): later("object_hidden", "Instagram does not show the object at the moment", MINUTE_S),
    **{(100, subcode): _MEDIA for subcode in (2207023, 2207028, 2207035, 2207036, 2207037, 2207040)},
    (352, 2207026): _VIDEO,
    (9004, 2207052): _ANEW,
    (9007, 2207027): later("not_ready", "Instagram has not finished processing the video", 30.0),
    (36000, 2207004): _MEDIA,
    (36001, 2207005): _MEDIA,
    (36003, 2207009): _MEDIA,
    (36004, 2207010): rejected("caption_too_long", "Instagram finds the caption too long"),
}
BY_CODE: Mapping[int, ErrorMeaning] = {
    4: limited("rate_limit", "Instagram's calls of this app for this hour are used up", HOUR_S, "app"),
    **dict.fromkeys((17, 32, 613, 80002), _CALLS),
    10: _SCOPE,
    **dict.fromkeys(range(200, 300), _SCOPE),
    100: _MEDIA,
    102: _TOKEN,
    190: _TOKEN,
    352: _VIDEO,
    368: account_refused("policy_block", "Instagram blocks this account for a breach of its policies"),
    **dict.fromkeys(range(36000, 36005), _MEDIA),
}
# The container's own end, told by the subcode inside its `status`: whether a new container may succeed.
CONTAINER_REMAKE = frozenset({2207001, 2207003, 2207020, 2207032, 2207052, 2207053, 2207077, 2207082})
# Answers to media_publish after which the post may be live all the same (2207051: seen in July 2026).
UNCLEAR_AT_PUBLISH = frozenset({(-1, 2207001), (4, 2207051), (24, 2207008), (24, 2207006), (100, 33)})


class Refusal(BaseModel):
    """Meta's error object."""

    code: int = 0
    error_subcode: int = 0
    message: str = Field(default="", repr=False)
    fbtrace_id: str | None = None

    @property
    def key(self) -> Code:
        """Code and subcode."""
        return (self.code, self.error_subcode)

    @property
    def platform_code(self) -> str:
        """Code and subcode as one text, e.g. "9007/2207027"."""
        return f"{self.code}/{self.error_subcode}" if self.error_subcode else str(self.code)


class _Failure(BaseModel):
    error: Refusal


class Container(BaseModel):
    """A new container; `uri` only for byte uploads."""

    id: str = Field(min_length=1)
    uri: str | None = Field(default=None, repr=False)


class Phase(BaseModel):
    """One phase of the processing of uploaded bytes."""

    status: str = ""
    bytes_transferred: int = 0


class VideoStatus(BaseModel):
    """How far the bytes are."""

    uploading_phase: Phase = Field(default_factory=Phase)
    processing_phase: Phase = Field(default_factory=Phase)


class ContainerStatus(BaseModel):
    """How a container stands: IN_PROGRESS, FINISHED, ERROR, EXPIRED or PUBLISHED."""

    status_code: str
    status: str = ""
    video_status: VideoStatus = Field(default_factory=VideoStatus)


class Id(BaseModel):
    """The id of what was made."""

    id: str = Field(min_length=1)


class Media(BaseModel):
    """One post."""

    id: str = ""
    caption: str = ""
    timestamp: str = ""
    permalink: str | None = None
    media_product_type: str = ""


class MediaList(BaseModel):
    """The newest posts."""

    data: list[Media] = Field(default_factory=list)


class _Uploaded(BaseModel):
    success: bool = False


_ModelT = TypeVar("_ModelT", bound=BaseModel)


class Refused(Exception):
    """The Graph API said no; what that means depends on the step."""

    def __init__(self, refusal: Refusal, reply: Response) -> None:
        super().__init__(refusal.platform_code)
        self.refusal = refusal
        self.wait_s = _regain_s(reply)

    def error(self) -> PlatformError:
        """Say what it means at a step that publishes nothing."""
        verdict = BY_SUBCODE.get(self.refusal.key) or BY_CODE.get(self.refusal.code)
        verdict = verdict or later("refused", "Instagram has a problem of its own", MINUTE_S)
        error = verdict.error(platform_code=self.refusal.platform_code, log_id=self.refusal.fbtrace_id)
        if isinstance(error, RateLimited) and self.wait_s:
            error.retry_after_s = self.wait_s
        return error


def blocked() -> PlatformError:
    """Say what a suspicion of spam means once it is certain that the post is not live."""
    return BY_SUBCODE[4, 2207051].error(platform_code="4/2207051")


class Calls:
    """Meta's calls below configurable roots, for one of the two variants."""

    def __init__(self, hosts: Hosts, variant: str, version: str = GRAPH_VERSION) -> None:
        self._root = hosts.facebook_graph_url if variant == "facebook_login" else hosts.instagram_graph_url
        self._root = f"{self._root}/{version}"

    def container(self, token: str, user_id: str, fields: Mapping[str, str]) -> Container:
        """Make a container; it lives for 24 hours and publishes nothing. 400 a day."""
        return self._call("POST", f"/{user_id}/media", token, Container, form=fields, acts=True)

    def upload(self, token: str, uri: str, part: FileRange, offset: int, size_bytes: int) -> None:
        """Send the bytes from `offset` to the end; slicing further is not documented."""
        headers = {
            "Authorization": f"OAuth {token}",
            "offset": str(offset),
            "file_size": str(size_bytes),
            "Content-Type": "application/octet-stream",
        }
        deadline_s = client.DEADLINE_S + len(part) / client.SLOWEST_UPLOAD_BYTES_S
        try:
            reply = client.request("POST", uri, headers=headers, body=part, deadline_s=deadline_s)
        except client.TransportError as error:
            raise error_table.no_response(error, acts=True) from error
        if not _read(reply, _Uploaded, acts=True).success:
            raise error_table.server_failed(reply.status, acts=True)

    def status(self, token: str, container_id: str, *, with_bytes: bool = False) -> ContainerStatus:
        """Ask how a container stands."""
        fields = "id,status,status_code" + (",video_status" if with_bytes else "")
        return self._call("GET", f"/{container_id}", token, ContainerStatus, params={"fields": fields})

    def publish(self, token: str, user_id: str, container_id: str) -> str:
        """Publish a container, the one call that cannot be taken back; return the post's id."""
        form = {"creation_id": container_id}
        return self._call("POST", f"/{user_id}/media_publish", token, Id, form=form, acts=True).id

    def media(self, token: str, media_id: str) -> Media:
        """Ask for a post's public address."""
        fields = "id,permalink,timestamp,media_product_type"
        return self._call("GET", f"/{media_id}", token, Media, params={"fields": fields})

    def newest(self, token: str, user_id: str) -> list[Media]:
        """List the newest posts."""
        params = {"fields": "id,caption,timestamp,permalink,media_product_type", "limit": "10"}
        return self._call("GET", f"/{user_id}/media", token, MediaList, params=params).data

    def _call(
        self,
        method: str,
        path: str,
        token: str,
        model: type[_ModelT],
        *,
        params: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        acts: bool = False,
    ) -> _ModelT:
        headers = {"Authorization": f"Bearer {token}"}
        try:
            reply = client.request(method, f"{self._root}{path}", headers=headers, params=params, form=form)
        except client.TransportError as error:
            raise error_table.no_response(error, acts=acts) from error
        return _read(reply, model, acts=acts)


def _read(reply: Response, model: type[_ModelT], *, acts: bool) -> _ModelT:
    try:
        if reply.status < 300:
            return model.model_validate_json(reply.body)
        raise Refused(_Failure.model_validate_json(reply.body).error, reply)
    except ValidationError:
        pass
    if reply.status == 429:
        raise _CALLS.error(retry_after_s=reply.retry_after_s)
    raise error_table.server_failed(reply.status, acts=acts, retry_after_s=reply.retry_after_s)


class _Usage(BaseModel):
    """One entry of the header X-Business-Use-Case-Usage."""

    estimated_time_to_regain_access: int = 0  # minutes


class _Usages(BaseModel):
    accounts: dict[str, list[_Usage]]


def _regain_s(reply: Response) -> float | None:
    header = reply.headers.get("X-Business-Use-Case-Usage", "")
    try:
        usages = _Usages.model_validate_json(f'{{"accounts": {header or "{}"}}}')
    except ValidationError:
        return None
    minutes = max(
        (usage.estimated_time_to_regain_access for uses in usages.accounts.values() for usage in uses), default=0
    )
    return min(minutes * MINUTE_S, DAY_S) or reply.retry_after_s
