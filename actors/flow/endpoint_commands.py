"""Commands for webhook endpoints: enable, disable, replay, ping, and replace the secret.

Each is one transaction. `job_commands.add_endpoint` adds endpoints.
"""

from __future__ import annotations

import base64
import secrets
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from actors.flow import webhook_queue
from actors.flow.events import create_event
from actors.machine import Machine
from store import endpoints, webhooks
from store.states import EndpointState
from store.webhooks import PING, Endpoint, Event


class RotationInProgress(Exception):
    """The secret before the present one is still valid; a third one would end it early."""


class EndpointDisabled(Exception):
    """Nothing is sent to a disabled endpoint; enable it first."""


def new_signing_secret() -> str:
    """Return a Standard Webhooks secret: whsec_ and 32 random bytes in base64."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def set_state(machine: Machine, connection: Connection, endpoint_id: str, state: EndpointState) -> None:
    """Enable or disable an endpoint. What a disabled endpoint misses can be replayed once it is enabled."""
    if state is EndpointState.DISABLED:
        endpoints.disable(connection, endpoint_id, code="requested", now=machine.now())
    else:
        endpoints.enable(connection, endpoint_id)


def rotate_secret(machine: Machine, endpoint_id: str, overlap: timedelta) -> str | None:
    """Replace the signing secret of an endpoint; return the new one, or None if there is no such endpoint.

    Args:
        machine: for its clock.
        endpoint_id: of the endpoint.
        overlap: for how long the present secret also signs; none if it has leaked.

    Raises:
        RotationInProgress: an earlier overlap has not ended. Without an overlap it is ended.
    """
    secret = new_signing_secret()
    with machine.store.writing(scope="everything") as connection:
        now = machine.now()
        endpoint = webhooks.get_endpoint(connection, endpoint_id)
        if endpoint is None:
            return None
        if overlap and endpoint.previous_until is not None and endpoint.previous_until > now:
            raise RotationInProgress
        endpoints.rotate_secret(
            connection, endpoint_id, secret=machine.sealer.seal(secret), previous_until=now + overlap
        )
    return secret


def ping(machine: Machine, endpoint_id: str) -> str | None:
    """Send a test event to one endpoint, once, even if it is disabled; return the delivery's id.

    Returns:
        None if there is no such endpoint.
    """
    with machine.store.writing(endpoint=endpoint_id) as connection:
        endpoint = webhooks.get_endpoint(connection, endpoint_id)
        if endpoint is None:
            return None
        event = create_event(machine, connection, PING, endpoint_id=endpoint_id)
        webhooks.add_event(connection, event)
        delivery = webhooks.add_delivery(connection, event, endpoint, machine.new_id(""))
        webhook_queue.wake_again(machine, connection, endpoint_id)
        return delivery.id


def redeliver(machine: Machine, connection: Connection, endpoint_id: str, delivery_id: str) -> bool:
    """Send one event again that was delivered, missed or given up; False if its delivery is in progress."""
    if not webhooks.redeliver(connection, delivery_id, machine.now()):
        return False
    webhook_queue.wake_again(machine, connection, endpoint_id)
    return True


def replay(
    machine: Machine, endpoint_id: str, *, since: datetime | None, failed: bool, as_new: bool = False
) -> int | None:
    """Send events to an endpoint again, in their order; return how many, or None if there is no such endpoint.

    Args:
        machine: for its clock and ids.
        endpoint_id: of the endpoint.
        since: only events from this time on; None: all that are kept.
        failed: only events that were given up or missed. Otherwise all, also those from before it was added.
        as_new: give them new ids, so that receivers process them although they know the old ones.

    Raises:
        EndpointDisabled: it must be enabled first.
    """
    with machine.store.writing(scope="everything") as connection:
        endpoint = webhooks.get_endpoint(connection, endpoint_id)
        if endpoint is None:
            return None
        if endpoint.state is EndpointState.DISABLED:
            raise EndpointDisabled
        events = [] if failed or since is None else webhooks.unsent_events(connection, endpoint, since)
        count = 0
        if as_new:
            events += webhooks.replayed_events(connection, endpoint_id, since=since, failed=failed)
            webhooks.close_replayed(connection, endpoint_id, since=since)
            events = [_copy(machine, connection, event) for event in sorted(events, key=_age)]
        else:
            count = webhooks.replay(connection, endpoint_id, since=since, failed=failed, now=machine.now())
        for event in events:
            webhooks.add_delivery(connection, event, endpoint, machine.new_id(""), queued_at=machine.now())
        webhook_queue.wake_again(machine, connection, endpoint_id)
        return count + len(events)


def _age(event: Event) -> datetime:
    return event.created_at


def _copy(machine: Machine, connection: Connection, event: Event) -> Event:
    copy = replace(event, id=machine.new_id("msg_"))
    webhooks.add_event(connection, copy)
    return copy


def signing_secret(machine: Machine, endpoint: Endpoint) -> str:
    """Return the present signing secret of an endpoint.

    Raises:
        WrongKey: it was encrypted with another SECRET_KEY.
    """
    secret: str = machine.sealer.open(endpoint.secret)  # sealed by `rotate_secret` or `add_endpoint`
    return secret
