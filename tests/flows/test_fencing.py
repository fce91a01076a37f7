"""A worker that is cut off from PostgreSQL, or frozen, while it publishes: another one takes over, and one post is out.

Real parts: two worker processes, a server behind a proxy, the mock of the platforms. Each test waits ten seconds for a
lease, once for all ways of publishing: each of these has a database, files, a mock and two workers of its own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
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
from tests.support.postgresql_machine import SECRETS, database_url, machine_on, make_template
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
        more = {
            "DATABASE_URL": url,
            "DATA_DIR": str(self._directory / "data"),
            "LEASE_SECONDS": "10",
            "PUBLISH_PACE": "0.01",
            "TIKTOK_MODE": self.case.mode,
        }
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

    def is_idle(self) -> bool:
        """Return whether no message is being processed, or ready to be."""
        return not any(queue.ready or queue.leased for queue in self.machine.broker.admin.queue_stats())

    def posts(self) -> int:
        """Return how many posts the platform has."""
        return len(self.mock.get("/mock/posts"))

    def close(self) -> None:
        """End the workers."""
        for worker in self._workers:
            worker.end()
        self.proxy.close()


@pytest.fixture(scope="module")
def template(postgresql_server: PostgresqlServer) -> str:
    """Return the name of a database with all tables and nothing in them."""
    return make_template(postgresql_server)


@pytest.fixture
def places(
    postgresql_server: PostgresqlServer, template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[Place]]:
    """Yield a place for each way of publishing."""
    with ExitStack() as open_places:
        made = []
        for case in CASES:
            directory = tmp_path / case.name
            directory.mkdir()
            mock = MockServer(directory / "mock", "--processing-seconds", "0")
            open_places.callback(mock.kill)
            name = postgresql_server.create_database(template)
            open_places.callback(postgresql_server.drop_database, name)
            url = database_url(postgresql_server, name)
            machine = open_places.enter_context(machine_on(url, monkeypatch, directory / "data"))
            made.append(Place(case, machine, mock, postgresql_server, directory))
            open_places.callback(made[-1].close)
        yield made


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


def begin(place: Place, request: str, seconds: float) -> None:
    """Have a place publish, and wait until a request is under way.

    Args:
        place: of the publication, with a worker.
        request: a pattern.
        seconds: after which it is answered.
    """
    place.mock.fault(request, "slow", seconds=seconds)
    place.publish()
    wait_for(lambda: place.mock.struck() == 1, f"the request of {place.case}")


def started(places: Sequence[Place]) -> list[Worker]:
    """Return a worker behind the proxy for each place, once their first ticks are over.

    One that is lost in the midst of a tick keeps rows locked for a minute.
    """
    workers = [place.worker(by_proxy=True) for place in places]
    for place, worker in zip(places, workers, strict=True):
        wait_for(partial(worker.has_logged, "reap() scheduled"), f"the ticks of {place.case}")
        wait_for(place.is_idle, f"the end of the ticks of {place.case}")
    return workers


def lose_during(requests: Sequence[str], seconds: float, places: Sequence[Place], lost: Lose) -> None:
    """Lose workers while a request of each is under way; others publish, and the first ones come back.

    Args:
        requests: a pattern for each place.
        seconds: after which each request is answered.
        places: of the publications.
        lost: how the workers are lost.
    """
    firsts = started(places)
    with ExitStack() as all_lost:
        for place, request, first in zip(places, requests, firsts, strict=True):
            begin(place, request, seconds)
            all_lost.enter_context(lost(place, first))
        others = [place.worker(by_proxy=False) for place in places]

        def start_again() -> None:
            for other in others:
                other.start_again_if_ended()

        for place in places:
            wait_for(place.is_published, f"the other worker of {place.case}", 120, meanwhile=start_again)
    for place, first in zip(places, firsts, strict=True):
        come_back(place, first)


def come_back(place: Place, first: Worker) -> None:
    """Wait until a worker that was lost is back, and changes nothing."""
    wait_for(lambda: first.has_logged("was pruned", "is lost; 1 messages"), f"the worker of {place.case} to know", 60)
    recorded = place.outcome()
    wait_for(lambda: len(place.machine.broker.admin.consumers()) >= 2, f"the worker of {place.case} to be back")
    assert place.posts() == 1, place.case
    assert place.outcome() == recorded, place.case


@pytest.mark.parametrize("seconds", [1.0, 600.0], ids=["before the commit", "under way"])
@pytest.mark.parametrize("lost", [cut_off, frozen])
def test_a_worker_that_is_lost_while_it_publishes_leaves_one_post(
    places: list[Place], lost: Lose, seconds: float
) -> None:
    """Its request is answered after a second, and it cannot record that; or it is never answered."""
    lose_during([place.case.publishing for place in places], seconds, places, lost)


def test_a_worker_that_is_cut_off_before_it_publishes_leaves_one_post(places: list[Place]) -> None:
    """Its request creates what will be published; it has the answer, and does not go on with it."""
    lose_during([place.case.before for place in places], 1.0, places, cut_off)


def test_a_worker_whose_commit_is_not_answered_leaves_one_post(places: list[Place]) -> None:
    started(places)
    for place in places:
        begin(place, place.case.publishing, 1.0)
        place.proxy.lose_answer_to(b"COMMIT")
    for place in places:
        wait_for(place.is_published, f"the publication of {place.case}", 120)
        assert place.proxy.lost.is_set(), place.case
        assert place.posts() == 1, place.case
