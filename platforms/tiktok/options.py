"""The options of a post on TikTok."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from platforms.post_options import PostOptions

if TYPE_CHECKING:
    from platforms.definition import PublishingOptions

CONSENT_VERSION = "2026-08"
"""Version of the sentences to which a creator consents; a new one is needed when TikTok changes them."""
REQUIRED = ("privacy", "consent")
"""Options without which there is no direct post: TikTok's guidelines allow no default."""
CONSENT = "By posting, you agree to TikTok's Music Usage Confirmation."
BRANDED_CONSENT = "By posting, you agree to TikTok's Branded Content Policy and Music Usage Confirmation."
_DRAFT = "Drafts (inbox mode) have none of these options: they are chosen in the app."


def required_options(publishing: PublishingOptions) -> tuple[str, ...]:
    """Return the options that a post must have."""
    return REQUIRED if publishing.tiktok_mode == "direct" and publishing.requires_choice else ()


class TikTokOptions(PostOptions):
    """The options of a post on TikTok, for direct posts (Direct Post reference and content sharing guidelines)."""

    privacy: Annotated[
        Literal["public", "friends", "followers", "private"] | None,
        Field(description=f"Who may see it. Needed for a direct post: TikTok allows no default. {_DRAFT}"),
    ] = None
    consent: Annotated[
        Literal["2026-08"] | None,
        Field(
            description="Version of the sentence to which the creator has consented, needed for a direct post: "
            f"{CONSENT!r} With `brand_content`: {BRANDED_CONSENT!r} The time is recorded as `consented_at`."
        ),
    ] = None
    allow_comment: Annotated[bool | None, Field(description="Whether others may comment. Default: no.")] = None
    allow_duet: Annotated[bool | None, Field(description="Whether others may make a duet. Default: no.")] = None
    allow_stitch: Annotated[bool | None, Field(description="Whether others may stitch. Default: no.")] = None
    own_brand: Annotated[
        bool | None, Field(description="Whether it promotes the creator's own business. Default: no.")
    ] = None
    brand_content: Annotated[
        bool | None,
        Field(description="Whether it is a paid partnership; such a post cannot be private. Default: no."),
    ] = None
    cover_s: Annotated[
        float | None,
        Field(
            ge=0, le=60, description="Time of the frame that is the cover, in seconds of the part. Default: TikTok's."
        ),
    ] = None

    def chosen(self, at: datetime) -> dict[str, Any]:  # Any: JSON
        """Return the options that are chosen, with the time of a consent."""
        found = super().chosen(at)
        return found if self.consent is None else {**found, "consented_at": at.isoformat(timespec="seconds")}

    @model_validator(mode="after")
    def _check_branded(self) -> Self:
        if self.brand_content and self.privacy == "private":
            raise ValueError("a paid partnership cannot be private (brand_content, privacy)")
        return self
