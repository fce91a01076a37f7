"""Client of Meta's Graph API for Reels, with models of its responses and a table of its error codes.

The order of calls is decided in `platforms.instagram.publisher`. Sources: developers.facebook.com, Instagram content
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
from platforms.instagram.hosts import MetaHosts

GRAPH_VERSION = "v26.0"  # released 2026-07-29

Code = tuple[int, int]
"""(code, error_subcode)."""

_MEDIA = rejected("invalid_post", "Instagram did not accept the details of this post")
_VIDEO = rejected("video_refused", "Instagram cannot use this video")
_TOKEN = reconnect("token_dead", "The Instagram login is no longer valid; connect the account again")
_SCOPE = reconnect("scope_missing", "The Instagram account has not granted the permissions that publishing needs")
_REMAKE = later("container_lost", "Instagram could not receive the video; a new attempt may succeed", MINUTE_S)
_CALLS = limited("rate_limit", "The account has reached Instagram's limit of calls in this hour", HOUR_S)
_DOWN = later("platform_down", "Instagram has a problem at the moment", MINUTE_S)
_STATUSES = StatusMeanings("Instagram", _TOKEN, _CALLS)

# By (code, subcode) first, then by code alone.
BY_SUBCODE: Mapping[Code, ErrorMeaning] = {
    (-2, 2207003): _REMAKE,
    (-2, 2207020): _REMAKE,
    (-1, 2207001): _REMAKE,
    (-1, 2207032): _REMAKE,
    (-1, 2207053): _REMAKE,
    (1, 2207057): _MEDIA,
    (4, 2207051): account_refused(
        "action_blocked",
        "Instagram took this account's posts for spam and blocks them; see the notices in the Instagram app",
    ),
    (9, 2207042): limited("post_limit", "The account has reached Instagram's limit of posts in 24 hours", HOUR_S),
    (24, 2207006): _REMAKE,
    (24, 2207008): _REMAKE,
    (25, 2207050): account_refused(
        "account_restricted", "Instagram has restricted this account; see the notices in the Instagram app"
    ),
    # Seen when reading posts that existed (2026-06): never a proof that something does not exist.
    (100, 33): later("object_hidden", "Instagram does not show the post at the moment", MINUTE_S, cause="wait"),
    **{(100, subcode): _MEDIA for subcode in (2207023, 2207028, 2207035, 2207036, 2207037, 2207040)},
    (352, 2207026): _VIDEO,
    (9004, 2207052): _REMAKE,
    (9007, 2207027): later("not_ready", "Instagram has not finished processing the video", 30.0, cause="wait"),
    (36000, 2207004): _MEDIA,
    (36001, 2207005): _MEDIA,
    (36003, 2207009): _MEDIA,
    (36004, 2207010): rejected("caption_too_long", "Instagram found the caption too long"),
}
BY_CODE: Mapping[int, ErrorMeaning] = {
    **dict.fromkeys((1, 2), _DOWN),  # "unknown error", "service temporarily unavailable": documented as worth a retry
    3: operator_needed(
        "app_not_allowed", "Meta has not given this app the capability to publish; see its App Dashboard"
    ),
    4: limited("rate_limit", "This app has reached Instagram's limit of calls in this hour", HOUR_S, "app"),
    **dict.fromkeys((17, 32, 613, 80002), _CALLS),
    10: _SCOPE,
    12: operator_needed("api_outdated", "Meta no longer offers this version of the Graph API; update VidProd"),
    100: _MEDIA,
    101: operator_needed("app_unknown", "Meta does not know this app; check its id and secret in the settings"),
    102: _TOKEN,
    190: _TOKEN,
    # 200 comes also as "API access blocked", when Meta has restricted the app; the code alone does not tell which.
    **dict.fromkeys(range(200, 300), _SCOPE),
    352: _VIDEO,
    368: account_refused("policy_block", "Instagram blocks this account for a violation of its policies"),
    **dict.fromkeys(range(36000, 36005), _MEDIA),
}
# Subcodes inside the `status` of a failed container after which a new container may succeed.
CONTAINER_REMAKE = frozenset({2207001, 2207003, 2207020, 2207032, 2207052, 2207053, 2207077, 2207082})
# A container that cannot be found or has expired: it was never published, and a new one may succeed.
CONTAINER_GONE: frozenset[Code] = frozenset({(24, 2207006), (24, 2207008)})
NOT_READY: Code = (9007, 2207027)


class GraphErrorBody(BaseModel):
    """Meta's error object."""

    code: int = 0
    error_subcode: int = 0
    message: str = Field(default="", repr=False)
    error_user_msg: str | None = Field(default=None, repr=False)  # written for the account's owner
    is_transient: bool = False
    fbtrace_id: str | None = None

    @property
    def key(self) -> Code:
        """(code, error_subcode)."""
        return (self.code, self.error_subcode)

    @property
    def platform_code(self) -> str:
        """Code and subcode as one text, e.g. "9007/2207027"; empty when there is neither."""
        if self.key == (0, 0):
            return ""
        return f"{self.code}/{self.error_subcode}" if self.error_subcode else str(self.code)


class GraphFailure(BaseModel):
    """The body of every refusal."""

    error: GraphErrorBody


class Container(BaseModel):
    """A new container; `uri` only for byte uploads."""

    id: str = Field(min_length=1)
    uri: str | None = Field(default=None, repr=False)


class UploadPhase(BaseModel):
    """One phase of the processing of uploaded bytes."""

    status: str = ""
    bytes_transferred: int = 0


class UploadProgress(BaseModel):
    """The progress of an upload of bytes."""

    uploading_phase: UploadPhase = Field(default_factory=UploadPhase)
    processing_phase: UploadPhase = Field(default_factory=UploadPhase)


class ContainerStatus(BaseModel):
    """The state of a container: IN_PROGRESS, FINISHED, ERROR, EXPIRED or PUBLISHED."""

    status_code: str
    status: str = ""
    video_status: UploadProgress = Field(default_factory=UploadProgress)


class _QuotaConfig(BaseModel):
    quota_total: int = 0


class PublishingQuota(BaseModel):
    """The account's limit of posts in 24 hours, and how many of them are used."""

    quota_usage: int = 0
    config: _QuotaConfig = Field(default_factory=_QuotaConfig)

    @property
    def is_used_up(self) -> bool:
        """Return whether no post is left; False while Meta names no limit."""
        return 0 < self.config.quota_total <= self.quota_usage


class _Quotas(BaseModel):
    data: list[PublishingQuota] = Field(default_factory=list)


class _Created(BaseModel):
    id: str = Field(min_length=1)


class InstagramMedia(BaseModel):
    """One post."""

    id: str = ""
    caption: str = ""
    timestamp: str = ""
    permalink: str | None = None
    media_product_type: str = ""


class _MediaList(BaseModel):
    data: list[InstagramMedia] = Field(default_factory=list)


class _Uploaded(BaseModel):
    success: bool = False


_ModelT = TypeVar("_ModelT", bound=BaseModel)


class GraphRefusal(Exception):
    """The Graph API refused a call, in its own format; the meaning depends on the step.

    Attributes:
        body: Meta's error object.
    """

    def __init__(self, body: GraphErrorBody, response: Response, *, acts: bool = False) -> None:
        super().__init__(body.platform_code)
        self.body = body
        self._response = response
        self._acts = acts

    def error(self) -> PlatformError:
        """Return the error that the refusal stands for."""
        return _STATUSES.error(
            self._response,
            _listed(self.body),
            code=self.body.platform_code or None,
            log_id=self.body.fbtrace_id,
            text=self.body.error_user_msg or self.body.message,
            acts=self._acts,
            retry_after_s=_estimated_wait_s(self._response),
        )


def _listed(body: GraphErrorBody) -> ErrorMeaning | None:
    meaning = BY_SUBCODE.get(body.key) or BY_CODE.get(body.code)
    # "Transient" is Meta's own word for "nothing is wrong with the request"; its limits are transient, too.
    if body.is_transient and (meaning is None or not isinstance(meaning.error(), RateLimited)):
        return _DOWN
    return meaning


def meaning_of(platform_code: str) -> ErrorMeaning | None:
    """Return the meaning of a stored `GraphErrorBody.platform_code`; None when no table lists it."""
    code, _, subcode = platform_code.partition("/")
    return _listed(GraphErrorBody(code=int(code), error_subcode=int(subcode or 0)))


class GraphApi:
    """The Graph API calls for an account of one of the two logins."""

    def __init__(self, hosts: MetaHosts, variant: str, version: str = GRAPH_VERSION) -> None:
        host = hosts.facebook_graph_url if variant == "facebook_login" else hosts.instagram_graph_url
        self._root = f"{host}/{version}"

    def quota(self, token: str, user_id: str) -> PublishingQuota:
        """Read how many posts of the last 24 hours count against the account's limit."""
        params = {"fields": "quota_usage,config"}
        found = self._call("GET", f"/{user_id}/content_publishing_limit", token, _Quotas, params=params).data
        return found[0] if found else PublishingQuota()

    def create_container(self, token: str, user_id: str, fields: Mapping[str, str]) -> Container:
        """Create a container; it is valid for 24 hours and publishes nothing. 400 a day."""
        return self._call("POST", f"/{user_id}/media", token, Container, form=fields)

    def upload(self, token: str, uri: str, file_range: FileRange, offset: int, size_bytes: int) -> None:
        """Send the bytes from `offset` to the end; smaller ranges are not documented."""
        headers = {
            "Authorization": f"OAuth {token}",
            "offset": str(offset),
            "file_size": str(size_bytes),
            "Content-Type": "application/octet-stream",
        }
        deadline_s = client.upload_deadline_s(len(file_range))
        try:
            response = client.request("POST", uri, headers=headers, body=file_range, deadline_s=deadline_s)
        except client.TransportError as error:
            raise error_table.no_response(error, acts=True) from error
        if not _read(response, _Uploaded, acts=True).success:
            raise error_table.server_failed(response.status, acts=True)

    def status(self, token: str, container_id: str, *, with_bytes: bool = False) -> ContainerStatus:
        """Read the state of a container."""
        fields = "id,status,status_code" + (",video_status" if with_bytes else "")
        return self._call("GET", f"/{container_id}", token, ContainerStatus, params={"fields": fields})

    def publish(self, token: str, user_id: str, container_id: str) -> str:
        """Publish a container, the only irreversible call; return the post's id."""
        form = {"creation_id": container_id}
        return self._call("POST", f"/{user_id}/media_publish", token, _Created, form=form, acts=True).id

    def media(self, token: str, media_id: str) -> InstagramMedia:
        """Read a post, with its public address."""
        fields = "id,permalink,timestamp,media_product_type"
        return self._call("GET", f"/{media_id}", token, InstagramMedia, params={"fields": fields})

    def newest(self, token: str, user_id: str) -> list[InstagramMedia]:
        """List the newest posts."""
        params = {"fields": "id,caption,timestamp,permalink,media_product_type", "limit": "10"}
        return self._call("GET", f"/{user_id}/media", token, _MediaList, params=params).data

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
            response = client.request(method, f"{self._root}{path}", headers=headers, params=params, form=form)
        except client.TransportError as error:
            raise error_table.no_response(error, acts=acts) from error
        return _read(response, model, acts=acts)


def _read(response: Response, model: type[_ModelT], *, acts: bool) -> _ModelT:
    try:
        if response.status < 300:
            return model.model_validate_json(response.body)
    except ValidationError:
        pass  # some refusals come with a 200
    try:
        body = GraphFailure.model_validate_json(response.body).error
    except ValidationError:
        # `from None`: a validation error quotes the body, and with it tokens and addresses.
        raise _unreadable(response, acts=acts) from None
    raise GraphRefusal(body, response, acts=acts)


def _unreadable(response: Response, *, acts: bool) -> PlatformError:
    if response.status == 401:  # not in Meta's format, so it is not Meta's word on the token, which cannot be refreshed
        return error_table.server_failed(401, acts=acts, retry_after_s=response.retry_after_s)
    return _STATUSES.error(response, None, code=None, acts=acts)


class _Usage(BaseModel):
    """One entry of the header X-Business-Use-Case-Usage."""

    estimated_time_to_regain_access: int = 0  # minutes


class _Usages(BaseModel):
    accounts: dict[str, list[_Usage]]


def _estimated_wait_s(response: Response) -> float | None:
    header = response.headers.get("X-Business-Use-Case-Usage", "")
    try:
        usages = _Usages.model_validate_json(f'{{"accounts": {header or "{}"}}}')
    except ValidationError:
        return None
    minutes = max(
        (usage.estimated_time_to_regain_access for uses in usages.accounts.values() for usage in uses), default=0
    )
    return min(minutes * MINUTE_S, DAY_S) or None
