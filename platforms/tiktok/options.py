"""The options of a post on TikTok."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from platforms.post_options import PostOptions


class TikTokOptions(PostOptions):
    """The options of a post on TikTok."""

    privacy: Annotated[
        Literal["public", "friends", "followers", "private"] | None,
        Field(description="Who may see it. Drafts (inbox mode) have no privacy: it is chosen in the app."),
    ] = None
