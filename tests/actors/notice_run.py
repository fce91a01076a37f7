"""Carries out the messages of notices, on a clock that the test moves, with browsers at a strict push service."""

from __future__ import annotations

from contextlib import AbstractContextManager

import pytest
from pydantic import SecretStr
from sqlalchemy import Connection

from actors import wiring
from actors.flow import notice_delivery
from actors.send_notices import deliver_notice, send_notice
from platforms import push_encryption
from platforms.web_push import PushAddress
from store import Store, jobs, notices, push_subscriptions, segments, vapid_keys
from store import accounts as store_accounts
from store import publications as store_publications
from store.notices import Notice, NoticeDelivery
from store.owners import DEFAULT_OWNER
from store.push_subscriptions import PushSubscription
from store.states import JobStatus, PublicationStatus, SegmentStatus
from tests.actors.queues import change_machine, change_settings, waiting
from tests.store.rows import account, job, publication, segment
from tests.support.clock import Clock
from tests.support.push_service import PushService, TestBrowser

__all__ = ["NoticeRun"]


class NoticeRun:
    """A store, a push service, and a clock."""

    def __init__(self, store: Store, service: PushService, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store = store
        self.service = service
        self.clock = Clock(wiring.machine.now())  # push services compare signatures with their own clock
        self._monkeypatch = monkeypatch
        change_machine(monkeypatch, now=self.clock)
        change_settings(monkeypatch, public_url="https://video.example.com")

    def writing(self) -> AbstractContextManager[Connection]:
        return self.store.writing(scope="everything")

    def set_urls(self, *urls: str) -> None:
        change_settings(self._monkeypatch, notice_urls=tuple(SecretStr(url) for url in urls))

    def browser(self) -> TestBrowser:
        """Return a new browser that receives notices."""
        with self.writing() as connection:
            key = vapid_keys.get_or_create(
                connection, wiring.machine.sealer, push_encryption.generate_key, self.clock()
            )
            browser = self.service.browser(key.public_key)
            address = PushAddress(browser.endpoint, **browser.subscription["keys"])
            notice_delivery.subscribe(
                wiring.machine, connection, address, host="127.0.0.1", public_key=key.public_key, user_agent="Test",
                key_id="key_1", owner_id=DEFAULT_OWNER,
            )  # fmt: skip
        return browser

    def add_job(self, *statuses: PublicationStatus, status: JobStatus = JobStatus.PUBLISHING) -> None:
        """Add a job with a part and a publication for each status."""
        with self.writing() as connection:
            jobs.create(connection, job(status=status, parts=len(statuses)))
            store_accounts.connect(connection, account())
            for number, each in enumerate(statuses, 1):
                part = segment(number, status=SegmentStatus.READY)
                segments.create(connection, [part])
                store_publications.create(connection, [publication(part, account(), status=each)])

    def run_messages(self, rounds: int = 1) -> None:
        """Carry out the messages of notices that wait, whatever their time; messages that they send are left."""
        for _ in range(rounds):
            messages = [found for found in waiting() if found[0] in {"send_notice", "deliver_notice"}]
            wiring.machine.broker.flush_all()
            for name, arguments in messages:
                (send_notice if name == "send_notice" else deliver_notice).fn(*arguments)

    def send(self) -> None:
        """Send the notices that wait, and make the first attempt of each delivery."""
        self.run_messages(2)

    def notices(self) -> list[Notice]:
        with self.store.reading() as connection:
            found = connection.exec_driver_sql("SELECT id FROM notices ORDER BY created_at, id").scalars().all()
            return [one for one in (notices.get(connection, notice_id) for notice_id in found) if one]

    def deliveries(self) -> list[NoticeDelivery]:
        with self.store.reading() as connection:
            found = connection.exec_driver_sql("SELECT id FROM notice_deliveries ORDER BY id").scalars().all()
            return [one for one in (notices.get_delivery(connection, delivery_id) for delivery_id in found) if one]

    def subscription(self, browser: TestBrowser) -> PushSubscription | None:
        with self.store.reading() as connection:
            return push_subscriptions.get(connection, push_subscriptions.subscription_id(browser.endpoint))
