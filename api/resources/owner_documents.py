"""The JSON documents for the owner of the server: needs, API keys, settings. See `api.resources.documents`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from api.resources.document_types import Code, Reason, Time

NeedKind = Literal[
    "disk", "account", "review", "outcome_unknown", "draft", "post_failed", "video_failed", "endpoint", "dead_letter"
]


class NeedDocument(TypedDict):
    """Something that waits for a person; members that do not apply are null."""

    kind: NeedKind
    id: Annotated[
        str, Field(description="Of the publication, job, account, endpoint or dead letter, by `kind`; `disk` for it.")
    ]
    since: Time | None
    code: Code
    reason: Reason
    next_step: Annotated[str | None, Field(description="What a person can do about the code.")]
    job_id: str | None
    title: Annotated[str, Field(description="Title of the video, or name of its file; address of the endpoint.")]
    part: Annotated[int | None, Field(description="Number of the part; of a failed video, how many parts failed.")]
    of: int | None
    platform: str | None
    account_id: str | None
    account: str | None
    caption: Annotated[str | None, Field(description="Caption of a draft, which TikTok does not take over.")]


class NeedsDocument(TypedDict):
    """Everything that waits for a person."""

    items: list[NeedDocument]


class ApiKeyDocument(TypedDict):
    """An API key, without its secret."""

    id: str
    name: str
    created_at: Time | None
    sessions: Annotated[int, Field(description="Number of signed-in browsers.")]
    is_own: Annotated[bool, Field(description="The request was made with this key, or with a session of it.")]


class ApiKeysDocument(TypedDict):
    """The API keys that are stored."""

    keys: list[ApiKeyDocument]
    unstored: Annotated[int, Field(description="Number of keys in API_KEYS and in the generated file.")]


class ApiKeyWithSecretDocument(TypedDict):
    """A new API key."""

    id: str
    name: str
    key: Annotated[str, Field(description="The key. It is not stored and cannot be shown again.")]


class LoginDocument(TypedDict):
    """A login of a platform."""

    variant: str
    is_set_up: bool
    redirect_uri: Annotated[str, Field(description="The address to register at the platform.")]
    variables: Annotated[list[str], Field(description="The environment variables of its client.")]


class SettingsDocument(TypedDict):
    """Settings of the server that its users should know. They are changed in its environment."""

    version: str
    public_url: str
    review: bool
    retention_hours: float
    keep_pictures_days: float
    max_upload_bytes: int
    segment_seconds: float
    gaze_intensity: float
    backup_hours: Annotated[float | None, Field(description="Hours between two backups; null without backups.")]
    logins: Annotated[dict[str, list[LoginDocument]], Field(description="The logins of each platform.")]
