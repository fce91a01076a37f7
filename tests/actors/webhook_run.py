"""Emits events and carries out the messages of endpoints, on a clock that the test moves."""

from __future__ import annotations

from datetime import datetime, timedelta

from actors import wiring
from actors.dispatch_webhook import dispatch_webhook
from actors.flow import events, job_commands, webhook_queue
from store import Store, jobs, webhooks
from store.owners import DEFAULT_OWNER
from store.states import DeliveryStatus
from store.webhooks import Attempt, Delivery, Endpoint, Event
from tests.store.rows import job
from tests.support.clock import Clock

__all__ = ["WebhookRun"]


class WebhookRun:
    """A store with one job and the endpoints that a test adds."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        with store.writing(scope="everything") as connection:
            jobs.create(connection, job())

    def add(self, url: str, scope: str = "all", events: tuple[str, ...] = ()) -> str:
        """Add an endpoint; return its id."""
        with self.store.writing(scope="everything") as connection:
            return job_commands.add_endpoint(
                wiring.machine, connection, DEFAULT_OWNER, url, scope=scope, events=list(events)
            ).id  # fmt: skip

    def emit(self, kind: str = "job.created", count: int = 1) -> None:
        """Emit events about the job, in one transaction."""
        with self.store.writing(scope="everything") as connection:
            for _ in range(count):
                self.clock.move(milliseconds=1)  # a real clock does not stand still
                events.emit(wiring.machine, connection, kind, job())

    def endpoint(self, endpoint_id: str) -> Endpoint:
        with self.store.reading() as connection:
            found = webhooks.get_endpoint(connection, endpoint_id)
        assert found is not None
        return found

    def attempt(self, endpoint_id: str) -> None:
        """Carry out the endpoint's message now, whatever its time."""
        dispatch_webhook.fn(endpoint_id, webhook_queue.token(self.endpoint(endpoint_id).wake_at))

    def run(self, endpoint_id: str, until: timedelta = timedelta(days=30)) -> None:
        """Carry out the endpoint's messages, each at its time, until there is none before the given time from now."""
        end = self.clock.moment + until
        for _ in range(5000):
            wake_at = self.endpoint(endpoint_id).wake_at
            if wake_at is None or wake_at > end:
                self.clock.moment = max(self.clock.moment, end if until < timedelta(days=30) else self.clock.moment)
                return
            self.clock.moment = max(self.clock.moment, wake_at)
            self.attempt(endpoint_id)
        raise AssertionError("it never ends")

    def deliveries(self, endpoint_id: str) -> list[tuple[Delivery, Event, list[Attempt]]]:
        """Return the deliveries to an endpoint, oldest first."""
        with self.store.reading() as connection:
            return webhooks.deliveries_of(connection, endpoint_id, 20_000)[::-1]

    def statuses(self, endpoint_id: str) -> list[DeliveryStatus]:
        return [delivery.status for delivery, _, _ in self.deliveries(endpoint_id)]

    def tried_at(self, endpoint_id: str, start: datetime) -> list[timedelta]:
        """Return when attempts were made, seen from a time."""
        return sorted(one.at - start for _, _, attempts in self.deliveries(endpoint_id) for one in attempts)
