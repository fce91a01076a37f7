"""A publishing machine on a simulated clock: real store, broker, publishers and mock; random faults and kills.

The messages are delivered one at a time, in the order of their times, and the clock jumps to the next one. So days
take seconds, and every run with one seed is the same. What is simulated: the clock, the delivery (a killed message is
delivered again, with its id), kills (an exception that nothing catches, at each begin and end of a transaction and of
a request) and faults of the network and of the platforms.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from dramatiq import Message
from dramatiq.errors import Retry
from pydantic import SecretStr
from sqlalchemy import Connection, text
from waitress import wasyncore

from actors import databases, wiring
from actors.flow import account_commands, publishing, retention, scheduling, tokens
from actors.machine import Machine
from actors.recovery import stuck_work
from broker.storage import database
from platforms import oauth, registry, webhook
from platforms.definition import PublishingOptions
from platforms.http import client
from platforms.http.client import NeverSent, Response, ResponseLost
from platforms.http.hosts import Roots
from platforms.mock.connect import CLIENT, connect
from platforms.mock.roots import mock_hosts
from platforms.mock.server import serve
from platforms.mock.state import MockOptions
from platforms.oauth import LoginResult
from platforms.tiktok.options import CONSENT_VERSION
from settings import OAuthClient
from store import accounts, jobs, publications, schedules, segments, webhooks
from store.accounts import Account
from store.owners import DEFAULT_OWNER
from store.publications import Publication
from store.schedules import Schedule
from store.states import AccountStatus, EndpointState, JobStatus, SegmentStatus
from tests.actors.one_publication import Killed
from tests.store import rows
from tests.support.clock import Clock

VARIANTS = {"tiktok": "tiktok", "instagram": "facebook_login", "youtube": "google"}
PART_BYTES = 4_000
REDELIVERY_S = 2.0  # from a kill to the next delivery
MAX_DAYS = 40


@dataclass(frozen=True)
class TimedAnswer:
    """An answer that a platform gives for some time.

    Attributes:
        path: part of the addresses that give it.
        since: from when on.
        until: to when.
        response: the answer.
    """

    path: str
    since: datetime
    until: datetime
    response: Response = field(default_factory=lambda: Response(503, {}, b"<html>down</html>"))


@dataclass
class Faults:
    """The faults of a run, at random or at a given time.

    Attributes:
        rate: share of requests to platforms that meet a passing fault.
        webhook_rate: share of webhook deliveries that fail.
        kill_rate: share of transactions and requests at which the process is killed.
        answers: what every request of a time and an address is answered with, in place of the platform.
    """

    rate: float = 0.0
    webhook_rate: float = 0.0
    kill_rate: float = 0.0
    answers: list[TimedAnswer] = field(default_factory=list)


class Simulation:
    """One machine with three accounts and one job; `run` lets time pass."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, directory: Path, *, seed: int, faults: Faults) -> None:
        # Ahead of the real time, at which the mock's files are written: for it their processing has ended.
        self.clock = Clock(datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(days=2))
        self.random = Random(seed)
        self.faults = faults
        self.counts: Counter[str] = Counter()
        self.received: list[tuple[str, str]] = []  # (webhook id, body) of each accepted delivery
        self.dead: list[Message[Any]] = []
        self.each_minute: Callable[[], object] | None = None  # a person's act, at which the process may be killed, too
        self._minute = self.clock()
        self._platforms_ahead_s = self.clock.timestamp() - self.clock.now_s()
        self._armed = False  # whether faults and kills strike
        self._patch = monkeypatch
        self._mock = serve(
            0,
            directory,
            MockOptions(processing_s=5.0, draft_done_s=60.0, access_s=7_200.0),
            clock=self._platform_time,
        )
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        self.root = f"http://127.0.0.1:{self._mock.effective_port}"
        self.machine = self._machine()
        self._replace_clocks_and_network()

    def close(self) -> None:
        """Stop the mock: its tasks first, since each writes to the trigger at its end."""
        self._mock.task_dispatcher.shutdown()
        with contextlib.suppress(OSError):
            self._mock.trigger.pull_trigger(lambda: wasyncore.close_all(self._mock._map))
        self._thread.join(10)
        self.machine.store.close()

    def _platform_time(self) -> float:
        """Return Unix seconds by the platforms' clock, which is right when the machine's is corrected."""
        return self._platforms_ahead_s + self.clock.now_s()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # closed
            self._mock.run()

    def _machine(self) -> Machine:
        real = wiring.machine
        store = databases.open_store(real.settings, real.broker)
        self._writing_unharmed = store.writing
        self._patch.setattr(store, "writing", self._interrupted)
        hosts: Roots = mock_hosts(self.root)
        options = PublishingOptions(tiktok_mode="direct", clock=self.clock.timestamp)
        made = {name: registry.publisher(name, hosts, options) for name in registry.NAMES}
        registered = {name: _registered() for name in ("tiktok", "facebook", "google", "instagram")}
        settings = real.settings.model_copy(update={"tiktok_mode": "direct", "oauth_clients": registered})
        return replace(real, store=store, hosts=hosts, publisher=made.__getitem__, now=self.clock, settings=settings)

    def _replace_clocks_and_network(self) -> None:
        self._patch.setattr(wiring, "machine", self.machine)
        real_now_ms = database.now_ms
        for name, module in list(sys.modules.items()):
            if name.partition(".")[0] == "broker" and getattr(module, "now_ms", None) is real_now_ms:
                self._patch.setattr(module, "now_ms", lambda: round(self.clock.timestamp() * 1000))
        self._patch.setattr(oauth, "utc_now", self.clock)
        real_flow = registry.flow
        self._patch.setattr(registry, "flow", lambda *args: _with_clock(real_flow(*args), self.clock))
        real_request = client.request
        self._patch.setattr(client, "request", lambda *args, **more: self._request(real_request, args, more))
        self._patch.setattr(webhook, "deliver", self._deliver)

    # Faults and kills ---------------------------------------------------------------------------------------------

    @contextmanager
    def _interrupted(self, **names: Any) -> Iterator[Connection]:  # Any: the store's types
        """Open a write transaction; the process may be killed at its begin and at its end."""
        self._maybe_kill("before a transaction")
        with self._writing_unharmed(**names) as connection:
            yield connection
            self._maybe_kill("before a commit")
        self._maybe_kill("after a commit")

    def _maybe_kill(self, place: str) -> None:
        if self._armed and self.random.random() < self.faults.kill_rate:
            self.counts[f"killed {place}"] += 1
            raise Killed

    def _request(self, real: Callable[..., Response], args: tuple[Any, ...], more: dict[str, Any]) -> Response:
        self.counts["requests"] += 1
        self._maybe_kill("before a request")
        response = self._faulty(real, args, more) if self._armed else real(*args, **more)
        self._maybe_kill("after a request")
        return response

    def _faulty(self, real: Callable[..., Response], args: tuple[Any, ...], more: dict[str, Any]) -> Response:
        for timed in self.faults.answers:
            if timed.path in str(args[1]) and timed.since <= self.clock() < timed.until:
                self.counts[f"answer of {timed.path}"] += 1
                return timed.response
        if self.random.random() >= self.faults.rate:
            return real(*args, **more)
        kind = self.random.choice(["unreachable", "lost before", "lost after", "503", "503 after", "garbage", "429"])
        self.counts[f"fault: {kind}"] += 1
        if kind == "unreachable":
            raise NeverSent("simulated")
        if kind == "lost before":
            raise ResponseLost("simulated")
        if kind in {"lost after", "503 after", "garbage"}:
            real(*args, **more)
        if kind == "lost after":
            raise ResponseLost("simulated")
        if kind == "garbage":
            return Response(200, {}, b"<html>")
        if kind == "429":
            return Response(429, {"Retry-After": "30"}, b"")
        return Response(503, {}, b"")

    def _deliver(self, url: str, *, message_id: str, body: bytes, **_: object) -> webhook.WebhookResponse:
        del url
        failed = self._armed and self.random.random() < self.faults.webhook_rate
        self.counts["webhook failed" if failed else "webhook accepted"] += 1
        if not failed:
            self.received.append((message_id, body.decode()))
        return webhook.WebhookResponse(503 if failed else 204, 1, None, "")

    # What there is ------------------------------------------------------------------------------------------------

    def prepare(self, parts: int, *, platforms: tuple[str, ...] = registry.NAMES) -> None:
        """Store the accounts, a webhook endpoint, and a job whose parts are ready."""
        machine = self.machine
        directory = machine.settings.jobs_dir / "job"
        directory.mkdir(parents=True, exist_ok=True)
        (machine.settings.uploads_dir / "job").mkdir(parents=True, exist_ok=True)
        with machine.store.writing(scope="everything") as connection:
            endpoint = webhooks.Endpoint(
                owner_id=DEFAULT_OWNER,
                id="ep_1", url="https://receiver.example/x", scope="all", events=[], state=EndpointState.ENABLED,
                secret=machine.sealer.seal("whsec_" + "A" * 32), created_at=machine.now(),
            )  # fmt: skip
            webhooks.add_endpoint(connection, endpoint)
            owners = [self.account(platform) for platform in platforms]
            for owner in owners:
                accounts.connect(connection, owner)
            jobs.create(
                connection,
                replace(
                    rows.job(status=JobStatus.PUBLISHING, parts=parts),
                    created_at=machine.now(),
                    post_options={"tiktok": {"privacy": "public", "consent": CONSENT_VERSION}},
                ),
            )
            for number in range(1, parts + 1):
                content = self.random.randbytes(PART_BYTES)
                part = rows.segment(number, status=SegmentStatus.READY)
                machine.in_data(part.file_path).write_bytes(content)
                segments.create(connection, [replace(part, size_bytes=PART_BYTES)])
                made = [replace(rows.publication(part, owner), created_at=machine.now()) for owner in owners]
                publications.create(connection, made)
            for platform in platforms:
                unlimited = Schedule(platform=platform, time_zone="UTC", windows=[], max_per_day=10_000, min_gap_s=0.0)
                schedules.put(connection, DEFAULT_OWNER, unlimited)

    def account(self, platform: str) -> Account:
        """Log in at a platform, also again; return its account."""
        options = PublishingOptions(tiktok_mode="direct", clock=self.clock.timestamp)
        login: LoginResult = connect(VARIANTS[platform], self.machine.hosts, options=options)
        return Account(
            owner_id=DEFAULT_OWNER,
            id=f"{platform}-1", platform=platform, variant=login.variant, remote_id=login.remote_id, name=login.name,
            status=AccountStatus.CONNECTED, tokens=tokens.encrypt(self.machine, login.tokens),
            expires_at=login.tokens.expires_at, refresh_at=login.tokens.refresh_at,
            refresh_expires_at=login.tokens.refresh_expires_at, created_at=self.machine.now(),
        )  # fmt: skip

    def connect_again(self) -> None:
        """Log in anew, without faults, where the login has ended: a kill after a refresh loses TikTok's only token."""
        with self.machine.store.reading() as connection:
            ended = [one for one in accounts.list_all(connection) if one.status is AccountStatus.RECONNECT]
        for account in ended:
            self._unharmed(lambda: self._connect(account.platform))  # noqa: B023  # called at once

    def _connect(self, platform: str) -> None:
        account_commands.connect(self.machine, [self.account(platform)])

    def publications(self) -> list[Publication]:
        """Return all publications of the job."""
        with self.machine.store.reading() as connection:
            return publications.of_job(connection, "job")

    def posts(self) -> list[dict[str, Any]]:
        """Return what is public on the mock, oldest first."""
        found = client.request("GET", f"{self.root}/mock/posts", body_cap=100_000_000)
        posts: list[dict[str, Any]] = json.loads(found.body)
        return posts

    # Time ---------------------------------------------------------------------------------------------------------

    def run(
        self, *, until: Callable[[], bool] | None = None, at: dict[datetime, Callable[[], None]] | None = None
    ) -> None:
        """Deliver messages and let time pass until the job is over and nothing waits.

        Args:
            until: ends earlier, when it returns True; asked each minute.
            at: what happens at given times.
        """
        events = dict(at or {})
        latest = self.clock() + timedelta(days=MAX_DAYS)
        self._armed = True
        try:
            while self.clock() < latest:
                if self._deliver_next():
                    continue
                for moment in sorted(events):
                    if moment <= self.clock():
                        self._unharmed(events.pop(moment))
                if (until is not None and until()) or (not events and self._is_over()):
                    return
                self._pass_a_minute()
        finally:
            self._armed = False
        raise AssertionError(f"no end in {MAX_DAYS} days: {Counter(one.status for one in self.publications())}")

    def _unharmed(self, action: Callable[[], None]) -> None:
        self._armed = False
        action()
        self._armed = True

    def _is_over(self) -> bool:
        with self.machine.store.reading() as connection:
            job = jobs.get(connection, "job")
        return job is not None and job.completed_at is not None and self._next() is None

    def _pass_a_minute(self) -> None:
        """Move to the next message or to the next minute, at which the periodic actors run."""
        found = self._next()
        due = self._minute + timedelta(minutes=1)
        if found is not None and found[0] < due:
            self._move_to(found[0])
            return
        self._minute = due
        self._move_to(due)
        machine = self.machine
        if self.each_minute is not None:
            self._killable(self.each_minute)
        self._killable(lambda: scheduling.tick(machine))
        self._killable(lambda: stuck_work.recover(machine))
        if due.minute % 10 == 0:
            self._killable(lambda: tokens.send_due_refreshes(machine))
            self._killable(lambda: retention.clean_up(machine))

    def _move_to(self, moment: datetime) -> None:
        if moment > self.clock():
            self.clock.move(seconds=(moment - self.clock()).total_seconds())

    def correct_clock(self, **by: float) -> None:
        """Set the wall clock, by the keywords of `timedelta`."""
        self.clock.correct(**by)
        self._minute = min(self._minute, self.clock())

    def _killable(self, action: Callable[[], object]) -> bool:
        try:
            action()
        except Killed:
            return False
        return True

    def _next(self) -> tuple[datetime, int, Message[Any]] | None:
        query = text(
            "SELECT id, eta_ms, body FROM broker_messages WHERE actor != 'delete_files' ORDER BY eta_ms, id LIMIT 1"
        )
        with self.machine.store.reading() as connection:
            found = connection.execute(query).first()
        if found is None:
            return None
        row_id, eta_ms, body = found
        return datetime.fromtimestamp(eta_ms / 1000, self.clock().tzinfo), row_id, Message.decode(bytes(body))

    def _deliver_next(self) -> bool:
        """Deliver the next message if its time has come."""
        found = self._next()
        if found is None or found[0] > self.clock():
            return False
        _, row_id, message = found
        self.counts["messages"] += 1
        delay_s = self._execute(message)
        later_ms = None if delay_s is None else round((self.clock.timestamp() + delay_s) * 1000)
        with self._writing_unharmed(scope="everything") as connection:
            if later_ms is None:
                connection.execute(text("DELETE FROM broker_messages WHERE id = :id"), {"id": row_id})
            else:
                change = text("UPDATE broker_messages SET eta_ms = :eta_ms WHERE id = :id")
                connection.execute(change, {"eta_ms": later_ms, "id": row_id})
        return True

    def _execute(self, message: Message[Any]) -> float | None:
        """Run an actor; return after how many seconds the message is delivered again, or None."""
        try:
            if message.actor_name.startswith("publish_"):
                publishing.run_step(self.machine, message.args[0], message.message_id)
            else:
                self.machine.broker.get_actor(message.actor_name).fn(*message.args)
        except Killed:
            return REDELIVERY_S
        except Retry as later:
            return (later.delay or 0) / 1000
        except Exception as error:
            if type(error).__name__ != "GivenUp":
                raise
            self.dead.append(message)
        return None


def _registered() -> OAuthClient:
    return OAuthClient(client_id=CLIENT.id, client_secret=SecretStr(CLIENT.secret))


def _with_clock(flow: Any, clock: Callable[[], datetime]) -> Any:  # Any: each login has its own class
    if hasattr(flow, "_clock"):
        flow._clock = clock
    return flow
