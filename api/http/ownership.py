"""Separates owners: an id of another owner's thing is an id of nothing.

Each parameter of a path is either the id of something that has an owner, or is named here as something else. So a route
with a new kind of id does not start before it is decided whose things they are. Lists are filtered by their queries,
which take the owner as an argument without a default; `tests/api/test_owners.py` walks all routes.
"""

from __future__ import annotations

from string import Formatter
from typing import Any

import falcon

from api.http.auth import KnownKey
from store import Store, owners

OWNED = {
    "job_id": "job",
    "publication_id": "publication",
    "account_id": "account",
    "endpoint_id": "endpoint",
    "key_id": "key",
    "subscription_id": "subscription",
}
"""Path parameters whose rows have an owner, and the kinds of these rows."""

NOT_OWNED = {
    "upload_id": "`api.tus.requests` compares the owner, also for the ids in Upload-Concat",
    "delivery_id": "looked up among those of its endpoint",
    "number": "of a part of its job",
    "letter_id": "only for the operator",
    "platform": "the same for all",
    "token": "a signed link, which is its own permission",
    "name": "of a file of the page",
    "version": "of the page",
}
"""The other path parameters, and why they need no look-up."""

NOTHING = "-"
"""In place of another owner's id. No row has it, so the response is that for an unknown id, whatever the route."""


class Ownership:
    """Falcon middleware that hides the things of other owners; after the authentication."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def process_resource(
        self,
        request: falcon.Request,
        response: falcon.Response,
        resource: object,
        params: dict[str, Any],  # Any: Falcon's signature
    ) -> None:
        """Replace the ids of other owners' things before the resource is called."""
        del response, resource
        client: KnownKey | None = getattr(request.context, "client", None)
        owned = OWNED.keys() & params.keys()
        if client is None or not owned:  # public: a link or a ticket that is its own permission
            return
        with self._store.reading() as connection:
            for name in owned:
                owner_id = owners.of_row(connection, OWNED[name], params[name])
                if owner_id is not None and owner_id != client.owner_id:
                    params[name] = NOTHING


def parameters_of(path: str) -> list[str]:
    """Return the names of the parameters in the template of a route."""
    return [name for _, name, _, _ in Formatter().parse(path) if name is not None]


def check_parameters(path: str) -> None:
    """Check that it is decided whose things the parameters of a route name.

    Raises:
        ValueError: it is not.
    """
    unknown = set(parameters_of(path)) - OWNED.keys() - NOT_OWNED.keys()
    if unknown:
        raise ValueError(f"{path}: {', '.join(sorted(unknown))} is neither in OWNED nor in NOT_OWNED")
