"""Platform accounts: list, change, disconnect. Tokens are never shown."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import falcon
from loguru import logger
from pydantic import BaseModel, ConfigDict, Field

from actors.flow import job_commands, publication_commands, tokens
from api.context import Context
from api.http import json_body, time_cursor
from api.http.auth import owner_of
from api.http.numbers import query_limit
from api.http.problems import not_found
from api.resources import documents
from api.resources.base import Resource
from api.resources.connecting import flow
from api.resources.status_document import outage_document, timestamp
from platforms.errors import PlatformError
from store import accounts, platform_states
from store.accounts import Account
from store.states import AccountStatus, AfterFailure

MAX_LIMIT = 500
SEALED = "its tokens were encrypted with another SECRET_KEY: put that key back and restart, or connect it again"


class AccountChange(BaseModel):
    """A change of an account's settings."""

    model_config = ConfigDict(extra="forbid")
    after_failure: Annotated[
        AfterFailure,
        Field(
            description="Whether a part that was not published holds the later parts of its video on this account"
            " until it is retried or skipped (hold), or not (continue)."
        ),
    ]


class AccountsResource(Resource):
    """GET /accounts."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """List the accounts, in pages, and the maximum size of an upload."""
        limit = query_limit(request, default=MAX_LIMIT, maximum=MAX_LIMIT)
        after = time_cursor.query(request)
        with self._context.store.reading() as connection:
            found = [
                one
                for one in accounts.list_of(connection, owner_of(request))
                if after is None or _place(one) > _read_place(after)
            ]
            outages = platform_states.list_out(connection)
        listed: documents.AccountsDocument = {
            "accounts": [_account_document(self._context, account) for account in found[:limit]],
            "next": time_cursor.next_page([(one.created_at, f"{one.platform} {one.id}") for one in found], limit),
            "outages": {state.platform: outage_document(state) for state in outages},
            "max_upload_bytes": self._context.settings.max_upload_size,
        }
        response.media = listed


class AccountResource(Resource):
    """PATCH and DELETE /accounts/{account_id}."""

    def on_patch(self, request: falcon.Request, response: falcon.Response, account_id: str) -> None:
        """Change the settings of an account."""
        change = json_body.read_body(request, AccountChange)
        if not publication_commands.set_after_failure(self._context, account_id, change.after_failure):
            raise not_found("account")
        with self._context.store.reading() as connection:
            account = accounts.get(connection, account_id)
        if account is None:
            raise not_found("account")
        response.media = _account_document(self._context, account)

    def on_delete(self, request: falcon.Request, response: falcon.Response, account_id: str) -> None:
        """Delete an account's tokens, and revoke them at the platform if it is reachable."""
        del request
        with self._context.store.reading() as connection:
            account = accounts.get(connection, account_id)
        if account is None or account.status == AccountStatus.DISCONNECTED:
            raise not_found("account")
        job_commands.disconnect(self._context, account_id)
        self._revoke(account)
        response.status = falcon.HTTP_204

    def _revoke(self, account: Account) -> None:
        if account.tokens is None:
            return
        try:
            client = tokens.oauth_client(self._context, account.variant)
            flow(self._context, account.variant).revoke(client, tokens.decrypt(self._context, account))
        except PlatformError as exc:
            logger.warning("Account {}: tokens not revoked at {}: {}", account.id, account.platform, exc.detail)


def _place(account: Account) -> tuple[str, datetime, str]:
    """Return by what the accounts are ordered."""
    return account.platform, account.created_at, account.id


def _read_place(cursor: time_cursor.Position) -> tuple[str, datetime, str]:
    platform, _, account_id = cursor[1].partition(" ")
    return platform, cursor[0], account_id


def _account_document(context: Context, account: Account) -> documents.AccountDocument:
    is_sealed = account.tokens is not None and not context.sealer.can_open(account.tokens)
    return {
        "id": account.id,
        "platform": account.platform,
        "name": account.name,
        "status": AccountStatus.RECONNECT if is_sealed else account.status,
        "reason": SEALED if is_sealed else account.reason,
        "paused_until": timestamp(account.paused_until),
        "after_failure": account.after_failure,
        "connected_at": timestamp(account.created_at),
        "login_expires_at": timestamp(account.refresh_expires_at),
    }
