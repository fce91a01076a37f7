"""The options of a post on Instagram."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from platforms.post_options import PostOptions

MAX_COLLABORATORS = 3  # developers.facebook.com, IG user media reference (read 2026-11-22)
_UserName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._]{1,30}$")]


class InstagramOptions(PostOptions):
    """The options of a reel (IG user media reference)."""

    privacy: Annotated[
        Literal["public"] | None, Field(description="Reels are visible to everyone who may see the account.")
    ] = None
    share_to_feed: Annotated[
        bool | None, Field(description="Whether it appears in the profile's feed, too. Default: yes.")
    ] = None
    collaborators: Annotated[
        Annotated[list[_UserName], Field(max_length=MAX_COLLABORATORS)] | None,
        Field(description="User names, without @, of up to three accounts that are invited as co-authors."),
    ] = None
    cover_s: Annotated[
        float | None,
        Field(
            ge=0, le=60, description="Time of the frame that is the cover, in seconds of the part. Default: the first."
        ),
    ] = None
