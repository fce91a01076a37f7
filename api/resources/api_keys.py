"""API keys: list, create, revoke. A key is shown once, when it is created; the store has only its hash."""

from __future__ import annotations

from typing import Annotated

import falcon
from pydantic import BaseModel, ConfigDict, Field

from api.http import json_body
from api.http.auth import owner_of
from api.http.problems import Problem, not_found
from api.resources import owner_documents as documents
from api.resources.base import Resource
from api.resources.status_document import timestamp
from settings import API_KEY_FILE
from store import api_keys, sessions
from store.api_keys import ApiKey


class NewApiKey(BaseModel):
    """A new API key."""

    model_config = ConfigDict(extra="forbid")
    name: Annotated[
        str,
        Field(pattern=api_keys.NAME, description="Whose key it is: 1 to 64 letters, digits, . _ @ - '."),
    ]


class ApiKeysResource(Resource):
    """GET and POST /keys."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """List the keys that are not revoked."""
        with self._context.store.reading() as connection:
            found = api_keys.list_of(connection, owner_of(request))
            counts = sessions.count_by_key(connection, self._context.now())
        listed: documents.ApiKeysDocument = {
            "keys": [
                {
                    "id": key.id,
                    "name": key.name,
                    "created_at": timestamp(key.created_at),
                    "sessions": counts.get(key.id, 0),
                    "is_own": key.id == request.context.client.key_id,
                }
                for key in sorted(found, key=lambda key: key.created_at)
            ],
            "unstored": self._context.keys.unstored_count(owner_of(request)),
        }
        response.media = listed

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """Create a key and return it, once."""
        name = json_body.read_body(request, NewApiKey).name
        key = api_keys.new_key()
        record = ApiKey(
            id=self._context.new_id("key_"), owner_id=owner_of(request), name=name, key_hash=api_keys.hash_key(key),
            created_at=self._context.now(),
        )  # fmt: skip
        try:
            if name == API_KEY_FILE:  # the name of the generated key in `scripts/keys`
                raise api_keys.NameTaken(name)
            with self._context.store.writing(scope="everything") as connection:
                api_keys.add(connection, record)
        except api_keys.NameTaken:
            raise Problem(
                409, "name_taken", "there is a key with this name; choose another one", field="name"
            ) from None
        made: documents.ApiKeyWithSecretDocument = {"id": record.id, "name": name, "key": key}
        response.status = falcon.HTTP_201
        response.location = f"/keys/{record.id}"
        response.cache_control = ["no-store"]
        response.media = made


class ApiKeyResource(Resource):
    """DELETE /keys/{key_id}."""

    def on_delete(self, request: falcon.Request, response: falcon.Response, key_id: str) -> None:
        """Revoke a key, and end its sessions and the notices of its browsers."""
        del request
        with self._context.store.writing(scope="everything") as connection:
            if not api_keys.is_valid(connection, key_id):
                raise not_found("key")
            api_keys.revoke(connection, key_id, self._context.now())
        response.status = falcon.HTTP_204
