"""The bodies that change words, options and times of posts, with a model for each platform."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    ValidationError,
    create_model,
)

from actors.flow.cut_plan import MAX_CHOSEN_PARTS
from actors.flow.timing import Move, TimeChange
from actors.flow.word_commands import JobWords, Values
from api.http.json_body import validation_problem
from api.http.problems import invalid_field
from api.uploads.options import (
    MAX_CAPTION_CHARS,
    MAX_PUBLISH_AHEAD,
    MAX_TITLE_CHARS,
    aware_time,
    own_title,
    plain_text,
)
from platforms import registry
from platforms.post_options import PostOptions

MAX_CHANGE_BYTES = 128 * MAX_CHOSEN_PARTS
"""Of a change of a job: a short title for each part."""

_TITLE = (
    "Title of the posts, at most 200 characters. It may contain `{n}` (number of the part), `{m}` (number of parts) "
    "and `{title}` (title of the video). Without any of them the number of the part is added. Empty: none. null: as "
    "the video."
)
_CAPTION = "Caption of the posts, at most 5000 characters, with the same placeholders. null: as the video."

_HELD = "true: what is not out does not go out until it is released by false; other videos go on meanwhile."
_PUBLISH_AFTER = (
    f"Time before which it is not published, RFC 3339 with a time zone, at most {MAX_PUBLISH_AHEAD.days} days ahead. "
    "null: a publication has that of its job, and a job none. Earlier times of single publications are dropped when "
    "their job gets one."
)
_PUBLISH_NOW = (
    "true: it starts at once, whatever the upload windows, the gap between two posts and its own time; it is released. "
    "The platform's limit of a day and its pauses still count. false: it waits for its usual time again."
)
_WORDS = ("title", "caption", "options")

Title = Annotated[str, Field(max_length=MAX_TITLE_CHARS), AfterValidator(plain_text)]
Caption = Annotated[str, Field(max_length=MAX_CAPTION_CHARS), AfterValidator(plain_text)]
OwnTitle = Annotated[Title, AfterValidator(own_title)]


class WordsChange(BaseModel):
    """A change of words; what is omitted stays."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    title: Annotated[Title | None, Field(description=_TITLE)] = None
    caption: Annotated[Caption | None, Field(description=_CAPTION)] = None

    def values(self, now: datetime) -> Values:
        """Return what changes of the words and options, by name."""
        changed = {name: getattr(self, name) for name in _WORDS if name in self.model_fields_set}
        return {name: value.chosen(now) if isinstance(value, PostOptions) else value for name, value in changed.items()}


def _platform_change(name: str, options: type[PostOptions]) -> type[WordsChange]:
    return create_model(
        f"{options.__name__.removesuffix('Options')}Change",
        __base__=WordsChange,
        __doc__=f"A change of words and options on {registry.display_name(name)}.",
        options=(
            options | None,  # type: ignore[arg-type]  # a union that is made here
            Field(None, description="Options of the posts, in place of all set before. null: as the upload gave them."),
        ),
    )


_CHANGES = {name: _platform_change(name, platform.options) for name, platform in registry.PLATFORMS.items()}
PlatformsChange: type[BaseModel] = create_model(
    "PlatformsChange",
    __config__=ConfigDict(frozen=True, extra="forbid"),
    __doc__="A change of words and options by platform.",
    **{name: (change | None, None) for name, change in _CHANGES.items()},  # type: ignore[call-overload]  # fields by name
)
"""A change for each platform; its fields are the names of the platforms."""


class _TimedChange(BaseModel):
    """A change of when posts go out; what is omitted stays."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    held: Annotated[StrictBool, Field(description=_HELD)] = False
    publish_after: Annotated[datetime | None, BeforeValidator(aware_time), Field(description=_PUBLISH_AFTER)] = None

    def _given(self, name: str) -> Any:  # Any: the types of the fields
        return getattr(self, name) if name in self.model_fields_set else None

    def _move(self, now: datetime, *, shift_following: bool = False) -> Move | None:
        """Return the other time; None if it stays.

        Raises:
            Problem: 422 for a time that is too far ahead.
        """
        if "publish_after" not in self.model_fields_set:
            return None
        if self.publish_after is not None and self.publish_after > now + MAX_PUBLISH_AHEAD:
            raise invalid_field("publish_after", f"must be within {MAX_PUBLISH_AHEAD.days} days")
        return Move(self.publish_after, shift_following=shift_following)


class JobChange(_TimedChange):
    """A change of a job's posts that have not begun; what is omitted stays."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    title: Annotated[
        OwnTitle | None,
        Field(description="Title of the video, as of its upload. It may contain `{n}` and `{m}`. null: none."),
    ] = None
    caption: Annotated[Caption | None, Field(description="Caption of every post, as of the upload. null: none.")] = None
    platforms: Annotated[
        PlatformsChange | None,  # type: ignore[valid-type]  # made from the registry
        Field(description="Words and options by platform, before those of the video."),
    ] = None
    parts: Annotated[
        dict[Annotated[int, Field(ge=1)], WordsChange],
        Field(max_length=MAX_CHOSEN_PARTS, description="Words by number of a part, before those of a platform."),
    ] = Field(default_factory=dict)

    def words(self, now: datetime) -> JobWords:
        """Return the change of words."""
        by_platform = {name: getattr(self.platforms, name, None) for name in registry.NAMES}
        return JobWords(
            job={name: getattr(self, name) for name in ("title", "caption") if name in self.model_fields_set},
            platforms={name: change.values(now) for name, change in by_platform.items() if change is not None},
            parts={number: change.values(now) for number, change in self.parts.items()},
        )

    def time(self, now: datetime) -> TimeChange:
        """Return the change of when the posts go out."""
        return TimeChange(held=self._given("held"), move=self._move(now))


class PublicationChange(_TimedChange, WordsChange):
    """A change of a publication that has not begun; what is omitted stays."""

    options: Annotated[
        dict[str, Any] | None,  # Any: JSON, of the platform's model
        Field(description="Options of its platform, before those of the job. null: those of the job."),
    ] = None
    shift_following: Annotated[
        StrictBool,
        Field(
            description="With `publish_after`: the waiting parts after it on its account move by as much. "
            "Default: false."
        ),
    ] = False
    publish_now: Annotated[StrictBool, Field(description=_PUBLISH_NOW)] = False

    def time(self, now: datetime) -> TimeChange:
        """Return the change of when it goes out.

        Raises:
            Problem: 422 for fields that exclude each other.
        """
        if self.shift_following and "publish_after" not in self.model_fields_set:
            raise invalid_field("shift_following", "needs publish_after")
        if self.publish_now and (self.held or "publish_after" in self.model_fields_set):
            raise invalid_field("publish_now", "excludes held and publish_after")
        move = self._move(now, shift_following=self.shift_following)
        return TimeChange(held=self._given("held"), move=move, publish_now=self._given("publish_now"))

    def values_for(self, platform: str, now: datetime) -> Values:
        """Return what changes, by name, with the options validated for a platform.

        Raises:
            Problem: 422 for an option that the platform does not have.
        """
        return {**self.values(now), **self._options(platform, now)}

    def _options(self, platform: str, now: datetime) -> Values:
        if self.options is None:
            return {}
        model = registry.PLATFORMS[platform].options if platform in registry.PLATFORMS else PostOptions
        try:
            return {"options": model.model_validate(self.options).chosen(now)}
        except ValidationError as exc:
            raise validation_problem(exc, tuple(model.model_fields), within="options") from None
