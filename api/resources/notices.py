"""Notices to the creator: which receivers there are, subscriptions of browsers, a test."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

import falcon
from pydantic import BaseModel, ConfigDict, Field

from actors.flow import notice_delivery, notices
from api.http import json_body
from api.http.auth import is_valid, key_needed, owner_of
from api.http.problems import Problem, invalid_field, not_found
from api.resources import server_documents
from api.resources.base import Resource
from api.resources.status_document import timestamp
from api.uploads.checks import check_webhook_url
from platforms.web_push import PushAddress
from store import notices as notice_rows
from store import push_subscriptions, vapid_keys
from store.notices import NoticeDelivery
from store.push_subscriptions import PushSubscription

MAX_USER_AGENT_CHARS = 300


class SubscriptionKeys(BaseModel):
    """The keys of a browser's subscription, in base64url."""

    model_config = ConfigDict(extra="forbid")
    p256dh: Annotated[str, Field(max_length=100, description="Public key of the browser.")]
    auth: Annotated[str, Field(max_length=40, description="Secret of the browser.")]


class NewSubscription(BaseModel):
    """A browser's subscription, as `PushSubscription` in the browser writes it in JSON, and the server's public key."""

    model_config = ConfigDict(extra="forbid")
    endpoint: Annotated[str, Field(min_length=1, max_length=2048, description="Address at the push service.")]
    keys: Annotated[SubscriptionKeys, Field(description="Keys of the browser.")]
    expirationTime: Annotated[  # noqa: N815 (the browser's name)
        float | None, Field(description="Not used: the push service answers when the subscription has expired.")
    ] = None
    public_key: Annotated[
        str, Field(max_length=100, description="`applicationServerKey` with which the browser has subscribed.")
    ]


class NoticesResource(Resource):
    """GET /notices."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Return the public key for web push and all receivers of notices, without their addresses."""
        owner_id, public_key = owner_of(request), self._public_key()
        with self._context.store.reading() as connection:
            subscriptions = push_subscriptions.list_of(connection, owner_id)
            targets = notice_delivery.url_targets(self._context, owner_id)
            last = [notice_rows.last_ended(connection, target) for target in targets]
        urls = [url.get_secret_value() for url in self._context.settings.notice_urls] if targets else []
        listed: server_documents.NoticesDocument = {
            "public_key": public_key,
            "subscriptions": [_subscription(one) for one in subscriptions],
            "urls": [_url(url, delivery) for url, delivery in zip(urls, last, strict=True)],
        }
        response.media = listed

    def _public_key(self) -> str:
        """Return the key for new subscriptions; the first request makes it."""
        with self._context.store.reading() as connection:
            known = vapid_keys.current(connection, self._context.sealer)
        if known is None:
            from platforms.push_encryption import generate_key  # noqa: PLC0415 (0.7 MB, for the first request only)

            with self._context.store.writing(scope="everything") as connection:
                known = vapid_keys.get_or_create(connection, self._context.sealer, generate_key, self._context.now())
        return known.public_key


class SubscriptionsResource(Resource):
    """POST /notices/subscriptions."""

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """Add a browser, or replace its keys and enable it."""
        from platforms.push_encryption import check_keys  # noqa: PLC0415 (0.7 MB, for new subscriptions only)

        body = json_body.read_body(request, NewSubscription)
        check_webhook_url(self._context, "endpoint", body.endpoint)
        try:
            check_keys(body.keys.p256dh, body.keys.auth)
        except ValueError as error:
            raise invalid_field("keys", str(error)) from None
        address = PushAddress(body.endpoint, body.keys.p256dh, body.keys.auth)
        with self._context.store.writing(scope="everything") as connection:
            if not is_valid(connection, request.context.client.key_id):
                raise key_needed()
            current = vapid_keys.current(connection, self._context.sealer)
            if current is None or current.public_key != body.public_key:
                detail = (
                    "the browser has subscribed with another key; end that subscription, and use that of GET /notices"
                )
                raise Problem(409, "other_key", detail, field="public_key")
            made, is_new = notice_delivery.subscribe(
                self._context,
                connection,
                address,
                host=urlsplit(body.endpoint).hostname or "",
                public_key=body.public_key,
                user_agent=(request.user_agent or "")[:MAX_USER_AGENT_CHARS],
                owner_id=owner_of(request),
                key_id=request.context.client.key_id,
            )
            stored = push_subscriptions.get(connection, made.id) or made
        response.status = falcon.HTTP_201 if is_new else falcon.HTTP_200
        response.media = _subscription(stored)


class SubscriptionResource(Resource):
    """DELETE /notices/subscriptions/{subscription_id}."""

    def on_delete(self, request: falcon.Request, response: falcon.Response, subscription_id: str) -> None:
        """Delete a browser's subscription."""
        del request
        with self._context.store.writing(scope="rows") as connection:
            if not push_subscriptions.remove(connection, subscription_id):
                raise not_found("subscription")
        response.status = falcon.HTTP_204


class NoticeTestResource(Resource):
    """POST /notices/test."""

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """Send a test notice to all receivers."""
        owner_id = owner_of(request)
        with self._context.store.writing(scope="rows") as connection:
            receivers = notices.receivers(self._context, connection, owner_id)
            if not notices.record_test(self._context, connection, owner_id):
                raise Problem(409, "no_receivers", "no browser has subscribed, and NOTICE_URLS is not set")
        response.status = falcon.HTTP_202
        document: server_documents.NoticeTestDocument = {"receivers": len(receivers)}
        response.media = document


def _subscription(one: PushSubscription) -> server_documents.SubscriptionDocument:
    return {
        "id": one.id,
        "push_service": one.host,
        "user_agent": one.user_agent,
        "state": "enabled" if one.disabled_at is None else "disabled",
        "created_at": timestamp(one.created_at),
        "succeeded_at": timestamp(one.succeeded_at),
        "failures": one.failures,
        "last_error": one.last_error,
    }


def _url(url: str, last: NoticeDelivery | None) -> server_documents.NoticeUrlDocument:
    """Return what is known of an address: its service, such as "mailto", and the last delivery."""
    return {
        "service": url.partition("://")[0].lower(),
        "last_status": None if last is None else last.status,
        "last_at": timestamp(last.ended_at) if last is not None else None,
        "last_error": None if last is None else last.error,
    }
