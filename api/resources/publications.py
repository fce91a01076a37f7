"""Publications: resolve an unknown outcome."""

from __future__ import annotations

from typing import Annotated

import falcon
from pydantic import BaseModel, ConfigDict, Field, StrictBool

from actors.flow import publication_commands
from api.http import json_body
from api.http.problems import Problem, not_found
from api.resources.base import Resource
from store import publications


class Resolution(BaseModel):
    """The outcome of a publication, found by a person on the platform."""

    model_config = ConfigDict(extra="forbid")
    published: Annotated[StrictBool, Field(description="Whether the post is online.")]
    link: Annotated[
        Annotated[str, Field(max_length=2048, pattern="^https?://")] | None,
        Field(description="Address of the post. Default: unknown."),
    ] = None


class ResolveResource(Resource):
    """POST /publications/{publication_id}/resolve."""

    def on_post(self, request: falcon.Request, response: falcon.Response, publication_id: str) -> None:
        """Record the outcome; a publication that did not succeed can be retried then."""
        resolution = json_body.read_body(request, Resolution)
        if not publication_commands.resolve(
            self._context, publication_id, published=resolution.published, link=resolution.link
        ):
            with self._context.store.reading() as connection:
                if publications.get(connection, publication_id) is None:
                    raise not_found("publication")
            raise Problem(409, "outcome_known", "the outcome of this publication is already known")
        response.status = falcon.HTTP_204
