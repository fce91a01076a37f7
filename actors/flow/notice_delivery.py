"""Delivers notices: one notice to one receiver, which is a browser (web push) or an address of NOTICE_URLS.

An attempt is counted before it is made. A run whose process was lost is repeated by `recover`; whatever has arrived by
then is replaced instead of doubled, because both have the same topic (at the push service) and tag (in the browser).
"""

from __future__ import annotations

import json
import random
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256

from loguru import logger
from sqlalchemy import Connection

from actors.machine import Machine
from platforms import web_push
from platforms.messages import sender
from platforms.web_push import PushAddress, PushMessage, SigningKey
from store import notices, push_subscriptions, vapid_keys
from store.notices import Notice, NoticeDelivery
from store.owners import DEFAULT_OWNER
from store.push_subscriptions import PushSubscription
from store.sealing import WrongKey
from store.states import NoticeKind

RETRY_DELAYS_S = (30.0, 120.0, 600.0)  # after each failed attempt
JITTER = 0.2  # of each delay, up or down
MAX_RETRY_DELAY_S = 3600.0  # that a push service can ask for
OVERDUE_AFTER = timedelta(minutes=2)  # more than an attempt takes
LIFETIME = timedelta(days=3)  # for so long a phone that is switched off gets the notice later
MAX_REJECTIONS = 5  # in a row
MAX_FAILURES = 20  # in a row: the push service was not reached
TOPIC_CHARS = 32  # RFC 8030, section 5.4
ACTOR = "deliver_notice"
WRONG_KEY = "encrypted with another SECRET_KEY"
URL_PREFIX = "url_"


@dataclass(frozen=True)
class NoticeOutcome:
    """The outcome of one attempt.

    Attributes:
        error: None if the notice was accepted.
        is_final: another attempt would fail, too.
        is_gone: the receiver does not exist any more.
        is_rejected: the receiver's server has answered that it does not want the notice.
        retry_after_s: what that server asks for; 0 is nothing.
    """

    error: str | None = None
    is_final: bool = False
    is_gone: bool = False
    is_rejected: bool = False
    retry_after_s: float = 0.0


def url_targets(machine: Machine, owner_id: str) -> list[str]:
    """Return the targets of the addresses in NOTICE_URLS: keyed hashes, since the addresses are secrets.

    They are the operator's, so other owners have none.
    """
    if owner_id != DEFAULT_OWNER:
        return []
    return [_url_target(machine, url.get_secret_value()) for url in machine.settings.notice_urls]


def _url_target(machine: Machine, url: str) -> str:
    return f"{URL_PREFIX}{machine.sealer.keyed_hash(url)[:TOPIC_CHARS]}"


def add(machine: Machine, connection: Connection, notice_id: str, target: str) -> None:
    """Record a delivery in the open transaction, and send its message."""
    delivery = NoticeDelivery(
        id=machine.new_id("ntd_"), notice_id=notice_id, target=target, next_at=machine.now()
    )  # fmt: skip
    notices.add_delivery(connection, delivery)
    _send_message(machine, connection, delivery)


def _send_message(machine: Machine, connection: Connection, delivery: NoticeDelivery, delay_s: float = 0.0) -> None:
    """Send the message for the next attempt of a delivery.

    One message at a time for each push service, and one child process for messages: a service that does not answer
    holds one thread.
    """
    key = "notice_urls"
    if not delivery.target.startswith(URL_PREFIX):
        subscription = push_subscriptions.get(connection, delivery.target)
        key = f"push:{subscription.host}" if subscription else "push"
    machine.send(ACTOR, delivery.id, str(delivery.tries), delay_s=delay_s, concurrency_key=key)


def attempt(machine: Machine, delivery_id: str, token: str) -> None:
    """Make an attempt of a delivery.

    Args:
        machine: for its store, clock and settings.
        delivery_id: of the delivery.
        token: number of the attempts before, as the message says; nothing is done if there were others since.
    """
    now = machine.now()
    with machine.store.writing(scope="rows") as connection:
        tries = int(token)
        if not notices.begin_attempt(connection, delivery_id, tries=tries, overdue_at=now + OVERDUE_AFTER):
            return
        delivery = notices.get_delivery(connection, delivery_id)
        assert delivery is not None
        notice = notices.get(connection, delivery.notice_id)
        assert notice is not None
    _record(machine, delivery, _make(machine, delivery, notice))


def _make(machine: Machine, delivery: NoticeDelivery, notice: Notice) -> NoticeOutcome:
    if notice.sent_at is not None and machine.now() - notice.sent_at > LIFETIME:
        return NoticeOutcome("too late", is_final=True)
    if delivery.target.startswith(URL_PREFIX):
        return _send_to_url(machine, delivery.target, notice)
    return _push(machine, delivery.target, notice)


def _send_to_url(machine: Machine, target: str, notice: Notice) -> NoticeOutcome:
    urls = {_url_target(machine, url.get_secret_value()): url for url in machine.settings.notice_urls}
    if target not in urls:
        return NoticeOutcome("removed from NOTICE_URLS", is_final=True)
    sent = sender.send(
        urls[target].get_secret_value(), title=notice.title or "", body=notice.body or "", link=_link(machine, notice)
    )
    return NoticeOutcome(sent.error, is_final=sent.is_final)


def _push(machine: Machine, subscription_id: str, notice: Notice) -> NoticeOutcome:
    with machine.store.reading() as connection:
        subscription = push_subscriptions.get(connection, subscription_id)
        pair = None if subscription is None else vapid_keys.get(connection, subscription.public_key)
    if subscription is None or pair is None:
        return NoticeOutcome("the browser was unsubscribed", is_final=True)
    try:
        address = PushAddress(**machine.sealer.open(subscription.secret))
        key = SigningKey(pair.public_key, machine.sealer.open(pair.private_key), machine.settings.push_contact)
    except WrongKey:
        return NoticeOutcome(WRONG_KEY, is_final=True)
    outcome = web_push.deliver(
        address,
        _message(machine, notice),
        key,
        now_s=machine.now().timestamp(),
        allow_private=machine.settings.webhook_allow_private,
        own_hosts=machine.settings.own_hosts,
    )
    return NoticeOutcome(
        outcome.error,
        is_final=outcome.is_final,
        is_gone=outcome.is_gone,
        is_rejected=outcome.is_final,
        retry_after_s=outcome.retry_after_s,
    )


def _message(machine: Machine, notice: Notice) -> PushMessage:
    topic = urlsafe_b64encode(sha256(f"{notice.subject} {notice.kind}".encode()).digest()).decode()[:TOPIC_CHARS]
    # A "declarative push message" (W3C Push API, editor's draft of 2026): Safari shows it even where it has removed the
    # service worker; other browsers hand it to the service worker, which reads the same members.
    content = {
        "web_push": 8030,
        "notification": {
            "title": notice.title, "body": notice.body, "lang": "en", "dir": "auto", "tag": topic,
            "navigate": _link(machine, notice), "data": {"notice": notice.id, "job": notice.job_id},
        },
    }  # fmt: skip
    payload = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
    urgency: web_push.Urgency = "normal" if notice.kind is NoticeKind.FINISHED else "high"
    return PushMessage(payload, ttl_s=round(LIFETIME.total_seconds()), urgency=urgency, topic=topic)


def _link(machine: Machine, notice: Notice) -> str:
    """Return the address of the page's view of the job, or of the page."""
    return f"{machine.settings.root_url}/{f'videos/{notice.job_id}' if notice.job_id else ''}"


def _record(machine: Machine, delivery: NoticeDelivery, outcome: NoticeOutcome) -> None:
    now = machine.now()
    is_last = outcome.is_final or delivery.tries > len(RETRY_DELAYS_S)
    with machine.store.writing(scope="rows") as connection:
        if outcome.error is None or is_last:
            if notices.end_delivery(connection, delivery.id, error=outcome.error, now=now):
                _record_health(machine, connection, delivery.target, outcome)
        else:
            delay_s = _retry_delay_s(delivery.tries, outcome.retry_after_s)
            next_at = now + timedelta(seconds=delay_s)
            if notices.postpone(connection, delivery.id, tries=delivery.tries, error=outcome.error, next_at=next_at):
                _send_message(machine, connection, delivery, delay_s)
    if outcome.error is not None:
        logger.warning(
            "Notice {} to {}: attempt {} failed: {}", delivery.notice_id, delivery.target, delivery.tries, outcome.error
        )


def _record_health(machine: Machine, connection: Connection, target: str, outcome: NoticeOutcome) -> None:
    if target.startswith(URL_PREFIX) or outcome.error == WRONG_KEY:
        return
    if outcome.error is None:
        push_subscriptions.record_success(connection, target, machine.now())
    elif outcome.is_gone:
        push_subscriptions.remove(connection, target)
        logger.info("Subscription {}: deleted, the push service does not know it any more", target)
    else:
        failures = push_subscriptions.record_failure(connection, target, outcome.error)
        limit = MAX_REJECTIONS if outcome.is_rejected else MAX_FAILURES
        if failures >= limit and push_subscriptions.disable(connection, target, machine.now()):
            logger.warning("Subscription {}: disabled after {} failures: {}", target, failures, outcome.error)


def _retry_delay_s(tries: int, asked_s: float) -> float:
    planned_s = RETRY_DELAYS_S[min(tries, len(RETRY_DELAYS_S)) - 1]
    with_jitter_s = planned_s * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 (no secret)
    return max(with_jitter_s, min(asked_s, MAX_RETRY_DELAY_S))


def recover(machine: Machine, grace_period: timedelta, *, was_set_back: bool) -> None:
    """Send lost messages of deliveries again; end those whose attempts are used up.

    Args:
        machine: for its store and clock.
        grace_period: for which a message may be late.
        was_set_back: the clock was; no attempt may be due later than now.
    """
    now = machine.now()
    latest = now if was_set_back else now + timedelta(seconds=MAX_RETRY_DELAY_S) + grace_period
    with machine.store.reading() as connection:
        lost = notices.stalled_deliveries(connection, before=now - grace_period, latest=latest)
    for delivery in lost:
        with machine.store.writing(scope="rows") as connection:
            if delivery.tries > len(RETRY_DELAYS_S):
                notices.end_delivery(connection, delivery.id, error=delivery.error or "interrupted", now=now)
            elif notices.postpone(connection, delivery.id, tries=delivery.tries, error=delivery.error, next_at=now):
                _send_message(machine, connection, delivery)
        logger.warning("Notice {} to {}: was overdue", delivery.notice_id, delivery.target)


def subscribe(
    machine: Machine,
    connection: Connection,
    address: PushAddress,
    *,
    host: str,
    public_key: str,
    user_agent: str,
    key_id: str,
    owner_id: str,
) -> tuple[PushSubscription, bool]:
    """Store a browser's subscription; return it, and whether it is new.

    Args:
        machine: for its sealer and clock.
        connection: inside `store.writing()`.
        address: of the browser; checked.
        host: of the push service.
        public_key: with which the browser has subscribed.
        user_agent: of the browser.
        key_id: of the API key with which it is signed in; the end of the key's sessions ends the subscription.
        owner_id: of that key.
    """
    secret = {"endpoint": address.endpoint, "p256dh": address.p256dh, "auth": address.auth}
    subscription = PushSubscription(
        id=push_subscriptions.subscription_id(address.endpoint), host=host, secret=machine.sealer.seal(secret),
        public_key=public_key, user_agent=user_agent, key_id=key_id, created_at=machine.now(), owner_id=owner_id,
    )  # fmt: skip
    return subscription, push_subscriptions.put(connection, subscription)
