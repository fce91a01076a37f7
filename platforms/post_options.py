"""The options of a post beside its words. Each platform's package has a model with its own ones."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class PostOptions(BaseModel):
    """The options of a post; one that is None is not chosen."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    def chosen(self) -> dict[str, object]:
        """Return the options that are chosen, as JSON values."""
        return self.model_dump(exclude_none=True)
