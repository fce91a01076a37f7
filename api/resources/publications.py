"""Publications: change, retry, skip, resolve an unknown outcome."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import falcon
from pydantic import BaseModel, ConfigDict, Field, StrictBool

from actors.flow import publication_commands, word_commands
from actors.flow.publication_commands import NotPossible
from actors.flow.word_commands import WordsRefused
from api.http import json_body
from api.http.problems import Problem, invalid_field, not_found
from api.resources import documents, publication_documents
from api.resources.base import Resource
from api.resources.job_document import publication_document
from api.resources.post_changes import PublicationChange
from api.resources.status_document import timestamp
from store import history, publications
from store.history import HistoryEntry
from store.states import PublicationStatus


class Resolution(BaseModel):
    """The outcome of a publication, found by a person on the platform."""

    model_config = ConfigDict(extra="forbid")
    published: Annotated[StrictBool, Field(description="Whether the post is online.")]
    link: Annotated[
        Annotated[str, Field(max_length=2048, pattern="^https?://")] | None,
        Field(description="Address of the post. Default: unknown."),
    ] = None


class PublicationRetry(BaseModel):
    """A retry of a publication."""

    model_config = ConfigDict(extra="forbid")
    out_of_order: Annotated[
        StrictBool,
        Field(description="Retry also if a later part has been published on the account. Default: false."),
    ] = False


class PublicationRetryResource(Resource):
    """POST /publications/{publication_id}/retry."""

    def on_post(self, request: falcon.Request, response: falcon.Response, publication_id: str) -> None:
        """Let a publication that failed, expired or was skipped wait again."""
        has_body = request.content_length not in {None, 0}
        retry = json_body.read_body(request, PublicationRetry) if has_body else PublicationRetry()
        with refusals("publication"):
            publication_commands.retry_publication(self._context, publication_id, out_of_order=retry.out_of_order)
        response.status = falcon.HTTP_202
        retried: documents.RetriedPublicationDocument = {"id": publication_id}
        response.media = retried


class SkipResource(Resource):
    """POST /publications/{publication_id}/skip."""

    def on_post(self, request: falcon.Request, response: falcon.Response, publication_id: str) -> None:
        """Cancel a publication that waits or was not published."""
        del request
        with refusals("publication"):
            publication_commands.skip_publication(self._context, publication_id)
        response.status = falcon.HTTP_204


@contextmanager
def refusals(noun: str) -> Iterator[None]:
    """Translate a command that is refused into its problem.

    Args:
        noun: what is not found if it is unknown.
    """
    try:
        yield
    except WordsRefused as refused:
        where = {} if refused.part is None else {"part": refused.part}
        raise invalid_field(
            refused.field, refused.detail, platform=refused.platform, reason=refused.code, **where
        ) from refused
    except NotPossible as exc:
        if exc.code == "unknown":
            raise not_found(noun) from None
        raise Problem(409, exc.code, exc.detail, **_facts(exc)) from None


def _facts(refused: NotPossible) -> dict[str, Any]:  # Any: JSON
    return {name: fact if isinstance(fact, int) else timestamp(fact) for name, fact in refused.facts.items()}


class PublicationResource(Resource):
    """PATCH /publications/{publication_id}."""

    def on_patch(self, request: falcon.Request, response: falcon.Response, publication_id: str) -> None:
        """Change a publication that has not begun; return it as the status of its job shows it."""
        change, now = json_body.read_body(request, PublicationChange), self._context.now()
        time = change.time(now)
        predictions = self._context.forecasts.get(self._context).posts if time.move is not None else {}
        with self._context.store.reading() as connection:
            found = publications.get(connection, publication_id)
        if found is None:
            raise not_found("publication")
        with refusals("publication"):
            values = change.values_for(found.platform, now)
            word_commands.change_publication(self._context, publication_id, values, time, predictions)
        response.media = publication_document(self._context, found.job_id, publication_id)


class HistoryResource(Resource):
    """GET /publications/{publication_id}/history."""

    def on_get(self, request: falcon.Request, response: falcon.Response, publication_id: str) -> None:
        """List what was sent, answered and found out, the oldest first."""
        del request
        with self._context.store.reading() as connection:
            if publications.get(connection, publication_id) is None:
                raise not_found("publication")
            found = history.of_publication(connection, publication_id)
        listed: publication_documents.HistoryDocument = {
            "publication_id": publication_id,
            "entries": [_history_entry(entry) for entry in found.entries],
            "truncated": found.truncated,
        }
        response.media = listed


def _history_entry(entry: HistoryEntry) -> publication_documents.HistoryEntryDocument:
    return {
        "at": timestamp(entry.at),
        "until": timestamp(entry.until),
        "times": entry.times,
        "kind": entry.kind,
        "step": entry.step,
        "text": entry.text,
        "method": entry.method,
        "host": entry.host,
        "path": entry.path,
        "http_status": entry.http_status,
        "duration_ms": entry.duration_ms,
        "ids": entry.ids or {},
    }


class ResolveResource(Resource):
    """POST /publications/{publication_id}/resolve."""

    def on_post(self, request: falcon.Request, response: falcon.Response, publication_id: str) -> None:
        """Record the outcome; a publication that did not succeed can be retried then."""
        resolution = json_body.read_body(request, Resolution)
        if not publication_commands.resolve(
            self._context, publication_id, published=resolution.published, link=resolution.link
        ):
            with self._context.store.reading() as connection:
                found = publications.get(connection, publication_id)
            if found is None:
                raise not_found("publication")
            if found.status is PublicationStatus.OUTCOME_UNKNOWN:
                raise Problem(409, "step_running", "a step is still being run; it may tell the outcome")
            raise Problem(409, "outcome_known", "the outcome of this publication is already known")
        response.status = falcon.HTTP_204
