"""The options of a post on YouTube."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from platforms.post_options import PostOptions


class YouTubeOptions(PostOptions):
    """The options of a post on YouTube."""

    privacy: Annotated[
        Literal["public", "unlisted", "private"] | None,
        Field(description="Who may see it. Default: public."),
    ] = None
