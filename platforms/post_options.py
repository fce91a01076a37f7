"""The options of a post beside its words. Each platform's package has a model with its own ones."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from platforms.errors import Rejected


class PostOptions(BaseModel):
    """The options of a post; one that is None is not chosen."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Self:  # Any: JSON
        """Return stored options, which may come from several settings; those of other versions are left out.

        Raises:
            Rejected: code "options_refused": a value is not offered, or two do not go together.
        """
        try:
            return cls.model_validate({name: value for name, value in stored.items() if name in cls.model_fields})
        except ValidationError as exc:
            first = exc.errors(include_url=False, include_context=False, include_input=False)[0]
            where = "".join(f"{step}: " for step in first["loc"][:1])
            raise Rejected("options_refused", where + first["msg"].removeprefix("Value error, ")) from None

    def chosen(self, at: datetime) -> dict[str, Any]:  # Any: JSON
        """Return the options that are chosen, to be stored; `at` is the time of the choice."""
        del at
        return self.model_dump(exclude_none=True)


def require(options: Mapping[str, Any], names: tuple[str, ...], platform: str) -> None:  # Any: JSON
    """Check that all options are chosen that a platform allows no default for.

    Raises:
        Rejected: code "option_missing".
    """
    missing = [name for name in names if options.get(name) is None]
    if missing:
        raise Rejected("option_missing", f"{platform} needs a choice of the creator: {', '.join(missing)}")
