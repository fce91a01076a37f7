"""A worker that is cut off from PostgreSQL, or frozen, while it publishes: another one takes over, and one post is out.

Real parts: two worker processes, a server behind a proxy, the mock of the platforms.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import pytest

from actors.flow import tokens
from actors.machine import Machine, utc_now
from platforms.definition import PublishingOptions
from platforms.mock.connect import CLIENT, connect
from platforms.tiktok.options import CONSENT_VERSION
from store import accounts, jobs, publication_queue, publications, segments
from store.states import PUBLICATION_SUCCEEDED, JobStatus, PublicationStatus, SegmentStatus
from tests.flows.machine import ROOT
from tests.platforms.mock_server import MockServer
from tests.postgresql_server import PostgresqlServer
from tests.store import rows
from tests.support.postgresql_machine import SECRETS, database_url, machine_on
from tests.support.server_proxy import ServerProxy
from tests.support.waiting import wait_for

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Case:
    """One way of publishing.

    Attributes:
        name: of the test.
        platform: as accounts name it.
        login: the variant of the login.
        publishing: a pattern of the request after which a post is public, or a draft is in the owner's inbox.
        before: a pattern of the last request before it that changes something at the platform.
        mode: TIKTOK_MODE.
        options: of the post.
    """

    name: str
    platform: str
    login: str
    publishing: str
    before: str
    mode: Literal["inbox", "direct"] = "inbox"
    options: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


CASES = [
    Case("youtube", "youtube", "google", "PUT /youtube-api/upload", "POST /youtube-api/upload"),
    Case("instagram", "instagram", "facebook_login", "POST .*media_publish", "POST /facebook-upload"),
    Case("tiktok-inbox", "tiktok", "tiktok", "PUT /tiktok-upload", "POST .*inbox/video/init"),
    Case(
        "tiktok-direct",
        "tiktok",
        "tiktok",
        "PUT /tiktok-upload",
        "POST .*publish/video/init",
        mode="direct",
        options={"privacy": "public", "consent": CONSENT_VERSION},
    ),
]


class Worker:
    """A worker process for the network."""

    def __init__(self, log: Path, environ: dict[str, str]) -> None:
        self._log = log
        self._environ = environ
        self._start()

    def _start(self) -> None:
        with self._log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "scripts.machine.network_worker"],
                cwd=ROOT,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def start_again_if_ended(self) -> None:
        """Do as the supervisor does: a worker ends at its start while a frozen one locks rows, for a minute."""
        if self.process.poll() is not None:
            self._start()

    def has_logged(self, *texts: str) -> bool:
        """Return whether its log has one of these texts."""
        log = self._log.read_text()
        return any(text in log for text in texts)

    def end(self) -> None:
        """Kill it."""
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()


class Place:
    """A database with one publication to make, and its environment."""

    def __init__(
        self, case: Case, machine: Machine, mock: MockServer, server: PostgresqlServer, directory: Path
    ) -> None:
        self.case = case
        self.machine = machine
        self.mock = mock
        self.proxy = ServerProxy(server.port)
        self._port = server.port
        self._directory = directory
        self._workers: list[Worker] = []

    def worker(self, *, by_proxy: bool) -> Worker:
        """Start a worker."""
        url = self.machine.settings.database_url.get_secret_value()
        if by_proxy:
            url = url.replace(f":{self._port}/", f":{self.proxy.port}/")
        roots = {name.upper(): root for name, root in self.mock.hosts.items()}
        ids = dict.fromkeys(("GOOGLE_CLIENT_ID", "FACEBOOK_CLIENT_ID", "TIKTOK_CLIENT_KEY"), CLIENT.id)
        secrets = dict.fromkeys((f"{name}_CLIENT_SECRET" for name in ("GOOGLE", "FACEBOOK", "TIKTOK")), CLIENT.secret)
        more = {"DATABASE_URL": url, "LEASE_SECONDS": "10", "PUBLISH_PACE": "0.01", "TIKTOK_MODE": self.case.mode}
        log = self._directory / f"worker-{len(self._workers)}.log"
        self._workers.append(Worker(log, os.environ | SECRETS | roots | ids | secrets | more))
        return self._workers[-1]

    def publish(self) -> None:
        """Store a job with one part, and have it published."""
        platform, variant = self.case.platform, self.case.login
        login = connect(variant, self.mock.hosts, options=PublishingOptions(tiktok_mode=self.case.mode))
        owner = replace(
            rows.account(f"{platform}-1", platform),
            variant=variant,
            remote_id=login.remote_id,
            tokens=tokens.encrypt(self.machine, login.tokens),
        )
        part = replace(rows.segment(1, status=SegmentStatus.READY), size_bytes=400_000)
        video = self.machine.in_data(part.file_path)
        video.parent.mkdir(parents=True, exist_ok=True)
        video.write_bytes(os.urandom(400_000))
        upload = self.machine.in_data("uploads/job")
        shutil.rmtree(upload, ignore_errors=True)  # with the notes about posts of the test before
        upload.mkdir(parents=True)
        job = replace(
            rows.job(status=JobStatus.PUBLISHING, parts=1),
            created_at=utc_now(),
            post_options={platform: dict(self.case.options)},
        )
        with self.machine.store.writing(scope="everything") as connection:
            jobs.create(connection, job)
            segments.create(connection, [part])
            accounts.connect(connection, owner)
            publication = rows.publication(part, owner)
            publications.create(connection, [publication])
            publication_queue.start(connection, publication.id, utc_now())
            self.machine.send(f"publish_{platform}", publication.id)

    def publication(self) -> publications.Publication:
        """Return the publication as it is stored."""
        with self.machine.store.reading() as connection:
            found = publications.get(connection, f"job-1-{self.case.platform}-1")
        assert found is not None
        return found

    def outcome(self) -> tuple[object, ...]:
        """Return what is recorded about the post; TikTok is asked further about a draft, so its handle changes."""
        found = self.publication()
        return found.status, found.remote_id, found.link, found.started_at, found.ended_at

    def is_published(self) -> bool:
        """Return whether the publication is recorded as published, or as a draft in the owner's inbox."""
        found = self.publication()
        assert found.status in {PublicationStatus.PUBLISHING, *PUBLICATION_SUCCEEDED}, found
        return found.status is not PublicationStatus.PUBLISHING

    def posts(self) -> int:
        """Return how many posts the platform has."""
        return len(self.mock.get("/mock/posts"))

    def close(self) -> None:
        """End the workers."""
        for worker in self._workers:
            worker.end()
        self.proxy.close()


@pytest.fixture(params=CASES, ids=str)
def place(
    request: pytest.FixtureRequest, postgresql_server: PostgresqlServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    mock = MockServer(tmp_path / "mock", "--processing-seconds", "0")
    name = postgresql_server.create_database()
    with machine_on(database_url(postgresql_server, name), monkeypatch) as machine:
        machine.store.migrate()
        machine.broker.flush_all()
        made = Place(request.param, machine, mock, postgresql_server, tmp_path)
        yield made
        made.close()
    mock.kill()
    postgresql_server.drop_database(name)


@contextmanager
def cut_off(place: Place, worker: Worker) -> Iterator[None]:
    """Cut a worker off from the database."""
    del worker
    place.proxy.cut()
    yield
    place.proxy.reconnect()


@contextmanager
def frozen(place: Place, worker: Worker) -> Iterator[None]:
    """Freeze a worker."""
    del place
    worker.process.send_signal(signal.SIGSTOP)
    yield
    worker.process.send_signal(signal.SIGCONT)


Lose = Callable[[Place, Worker], AbstractContextManager[None]]


def lose_during(request: str, seconds: float, place: Place, lost: Lose) -> None:
    """Lose a worker while a request is under way; another one publishes, and the first one comes back.

    Args:
        request: a pattern.
        seconds: after which it is answered.
        place: of the publication.
        lost: how the worker is lost.
    """
    first = place.worker(by_proxy=True)
    place.mock.fault(request, "slow", seconds=seconds)
    place.publish()
    wait_for(lambda: place.mock.struck() == 1, "the request")
    with lost(place, first):
        other = place.worker(by_proxy=False)
        wait_for(place.is_published, "the other worker", 120, meanwhile=other.start_again_if_ended)
    wait_for(lambda: first.has_logged("was pruned", "is lost; 1 messages"), "the first worker to know", 60)
    recorded = place.outcome()
    wait_for(lambda: len(place.machine.broker.admin.consumers()) >= 2, "the first worker to be back")
    assert place.posts() == 1
    assert place.outcome() == recorded


@pytest.mark.parametrize("seconds", [1.0, 600.0], ids=["before the commit", "under way"])
@pytest.mark.parametrize("lost", [cut_off, frozen])
def test_a_worker_that_is_lost_while_it_publishes_leaves_one_post(place: Place, lost: Lose, seconds: float) -> None:
    """Its request is answered after a second, and it cannot record that; or it is never answered."""
    lose_during(place.case.publishing, seconds, place, lost)


def test_a_worker_that_is_cut_off_before_it_publishes_leaves_one_post(place: Place) -> None:
    """Its request creates what will be published; it has the answer, and does not go on with it."""
    lose_during(place.case.before, 1.0, place, cut_off)


def test_a_worker_whose_commit_is_not_answered_leaves_one_post(place: Place) -> None:
    place.worker(by_proxy=True)
    place.mock.fault(place.case.publishing, "slow", seconds=1.0)
    place.publish()
    wait_for(lambda: place.mock.struck() == 1, "the request")
    place.proxy.lose_answer_to(b"COMMIT")
    wait_for(place.is_published, "the publication", 120)
    assert place.proxy.lost.is_set()
    assert place.posts() == 1
