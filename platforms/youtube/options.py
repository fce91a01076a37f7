"""The options of a video on YouTube."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from platforms.post_options import PostOptions

MAX_TAG_CHARS = 500  # developers.google.com/youtube/v3/docs/videos: commas count, a tag with a blank counts 2 more


def tags_chars(tags: list[str]) -> int:
    """Return the length of a list of tags, as YouTube counts it."""
    return sum(len(tag) + 2 * (" " in tag) for tag in tags) + max(len(tags) - 1, 0)


def _check_tags(tags: list[str]) -> list[str]:
    if tags_chars(tags) > MAX_TAG_CHARS:
        raise ValueError(f"have {tags_chars(tags)} characters together, as YouTube counts; it accepts {MAX_TAG_CHARS}")
    return tags


_Tag = Annotated[str, Field(min_length=1, max_length=MAX_TAG_CHARS, pattern=r"^[^<>,\x00-\x1f]+$")]


class YouTubeOptions(PostOptions):
    """The options of a video (videos resource)."""

    privacy: Annotated[
        Literal["public", "unlisted", "private"] | None, Field(description="Who may see it. Default: public.")
    ] = None
    category: Annotated[
        Literal["1", "2", "10", "15", "17", "19", "20", "22", "23", "24", "25", "26", "27", "28", "29"] | None,
        Field(
            description="Id of its category: 1 film, 2 vehicles, 10 music, 15 animals, 17 sport, 19 travel, 20 games, "
            "22 people and blogs, 23 comedy, 24 entertainment, 25 news, 26 how-to and style, 27 education, 28 science "
            "and technology, 29 nonprofits. Default: 22."
        ),
    ] = None
    tags: Annotated[
        Annotated[list[_Tag], Field(max_length=MAX_TAG_CHARS), AfterValidator(_check_tags)] | None,
        Field(description="Tags, 500 characters in all with commas between; a tag with a blank counts two more."),
    ] = None
    made_for_kids: Annotated[
        bool | None, Field(description="Whether it is made for children, which the law asks its creator. Default: no.")
    ] = None
    notify_subscribers: Annotated[
        bool | None, Field(description="Whether subscribers get a notification. Default: no.")
    ] = None
