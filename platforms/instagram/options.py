"""The options of a post on Instagram."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from platforms.post_options import PostOptions


class InstagramOptions(PostOptions):
    """The options of a post on Instagram."""

    privacy: Annotated[
        Literal["public"] | None,
        Field(description="Reels are visible to everyone who may see the account."),
    ] = None
