"""A person's word about a post whose outcome the machine cannot find out."""

from __future__ import annotations

from typing import Annotated

import falcon
from pydantic import BaseModel, ConfigDict, Field, StrictBool

from actors.flow import job_commands
from api.context import Context
from api.http import json_body
from api.http.problems import Problem, not_found
from store import publications


class Resolution(BaseModel):
    """Whether the post is there, and where."""

    model_config = ConfigDict(extra="forbid")
    published: StrictBool
    link: Annotated[str, Field(max_length=2048, pattern="^https?://")] | None = None


class Resolve:
    """POST /publications/{publication_id}/resolve."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def on_post(self, request: falcon.Request, response: falcon.Response, publication_id: str) -> None:
        """Note what a person found out; a post that is not there can then be tried again."""
        asked = json_body.read(request, Resolution)
        if not job_commands.resolve(self._context.machine, publication_id, published=asked.published, link=asked.link):
            with self._context.store.reading() as connection:
                if publications.get(connection, publication_id) is None:
                    raise not_found("publication")
            raise Problem(409, "outcome_known", "the outcome of this publication is known")
        response.status = falcon.HTTP_204
