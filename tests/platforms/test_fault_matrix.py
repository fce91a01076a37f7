"""Every answer at every call, whether or not the request was carried out: never two posts, never a live post "failed".

The publishers' clock is moved by their pauses, so that days pass in milliseconds; the mock's is real.
"""

from __future__ import annotations

import http.server
import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from platforms.contract import AuthorizedAccount, Post, Publisher
from platforms.errors import OutcomeUnknown, PlatformError, PostFailed
from platforms.http.hosts import Roots
from platforms.instagram.publisher import Instagram
from platforms.tiktok.publisher import TikTok
from platforms.youtube.publisher import CHUNK_UNIT_BYTES, YouTube
from tests.platforms.conftest import SUMMARY_LINES, videos_of
from tests.platforms.fault_answers import GOOGLE, GRAPH, TIKTOK, TIKTOK_BYTES, UNDOCUMENTED, Answer
from tests.platforms.mock_server import MockServer
from tests.platforms.publishing_run import CASES, PostFactory, PublishingRun, publish
from tests.support.clock import Clock

Make = Callable[[Roots, Callable[[], float]], Publisher]

EVERY_CALL = r"(/v2/post/|/v2/video/|/tiktok-upload/|-graph/v\d+\.\d+/\d|/facebook-upload/|/youtube-api/)"
MAKERS: dict[str, Make] = {
    "tiktok-inbox": lambda hosts, clock: TikTok(hosts, clock=clock),
    "tiktok-direct": lambda hosts, clock: TikTok(hosts, mode="direct", clock=clock),
    "instagram-login": lambda hosts, clock: Instagram(hosts, clock=clock),
    "facebook-login": lambda hosts, clock: Instagram(hosts, clock=clock),
    "youtube": lambda hosts, clock: YouTube(hosts, clock=clock, chunk_bytes=CHUNK_UNIT_BYTES),
}


@dataclass(frozen=True)
class Call:
    """A call of a publication.

    Attributes:
        at: a pattern for its requests.
        kind: "acts" (may make the post public), "asks" (decides what is done next), or "other" (nothing can be public,
            or the post is certainly live).
        skip: requests that match `at` to leave alone first.
    """

    name: str
    at: str
    kind: str
    documented: Sequence[Answer]
    skip: int = 0

    @property
    def faults(self) -> tuple[str, ...]:
        """Return the faults of a call: "answer" replaces the effect, "lie" comes in spite of it (acts only)."""
        return ("answer", "lie") if self.kind == "acts" else ("answer",)


_STATUS = Call("status", "POST .*/status/fetch", "asks", TIKTOK)
_TIKTOK_CALLS = (
    Call("init", "POST .*/v2/post/publish/.*init", "other", TIKTOK),
    Call("bytes", "PUT /tiktok-upload", "acts", TIKTOK_BYTES),
    _STATUS,
)
_CONTAINER = r"GET .*graph/v[\d.]+/\d+[?]fields=id,status,status_code"
_INSTAGRAM_CALLS = (
    Call("quota", "GET .*/content_publishing_limit", "other", GRAPH),
    Call("container", "POST .*/media[?]", "other", GRAPH),
    Call("state", _CONTAINER, "other", GRAPH),
    Call("publish", "POST .*/media_publish", "acts", GRAPH),
    Call("link", "GET .*permalink", "other", GRAPH),
)
_BYTES = "PUT /youtube-api/upload"
CALLS: dict[str, tuple[Call, ...]] = {
    "tiktok-inbox": _TIKTOK_CALLS,
    "tiktok-direct": (Call("creator", "POST .*/creator_info", "other", TIKTOK), *_TIKTOK_CALLS),
    "instagram-login": _INSTAGRAM_CALLS,
    "facebook-login": (Call("upload", "POST /facebook-upload", "other", GRAPH), *_INSTAGRAM_CALLS),
    "youtube": (
        Call("session", "POST /youtube-api/upload", "other", GOOGLE),
        Call("first chunk", _BYTES, "acts", GOOGLE[::4]),
        Call("last chunk", _BYTES, "acts", GOOGLE, skip=1),
        Call("video", "GET /youtube-api/youtube/v3/videos", "asks", GOOGLE),
    ),
}
# The question that follows a call that acts and whose answer was no success: pattern, requests to leave alone first.
QUESTIONS: dict[str, tuple[str, str, int, Sequence[Answer]]] = {
    "tiktok-inbox": ("PUT /tiktok-upload", _STATUS.at, 0, TIKTOK),
    "tiktok-direct": ("PUT /tiktok-upload", _STATUS.at, 0, TIKTOK),
    "instagram-login": ("POST .*/media_publish", f"{_CONTAINER}$", 1, GRAPH),
    "facebook-login": ("POST .*/media_publish", f"{_CONTAINER}$", 1, GRAPH),
    "youtube": (_BYTES, _BYTES, 2, GOOGLE),
}


@dataclass
class OutageClock(Clock):
    """A clock that ends an outage when it passes a moment."""

    until: datetime = field(default_factory=lambda: datetime.max.replace(tzinfo=UTC))
    end: Callable[[], None] = lambda: None

    def move(self, **by: float) -> None:
        super().move(**by)
        if self.moment >= self.until:
            self.end()
            self.until = datetime.max.replace(tzinfo=UTC)


@dataclass
class Bench:
    """One way of publishing against a mock of its own; counts how publications ended."""

    name: str
    mock: MockServer
    post: Post
    sha256: str
    account: AuthorizedAccount
    counts: Counter[str] = field(default_factory=Counter)

    def run(self, *faults: dict[str, object], outage_s: float | None = None) -> tuple[str, str]:
        """Publish once under faults; return how it ended, and what is wrong with that (empty: nothing).

        Args:
            outage_s: the faults end when the publication's pauses exceed it.
        """
        self.mock.post("/mock/reset", list(faults))
        clock, run = Clock(datetime.now(UTC)), PublishingRun()
        if outage_s is not None:
            clock = OutageClock(
                clock.moment, until=clock.moment + timedelta(seconds=outage_s), end=self.mock.clear_faults
            )
        publisher = MAKERS[self.name](self.mock.hosts, clock.timestamp)
        try:
            publish(publisher, self.post, self.account, run=run, reconnects=True, clock=clock)
            ended = "succeeded"
        except PlatformError as error:
            ended = _end(error, may_fail=run.may_fail)
        live = len(self.mock.posts(self.sha256))
        expected = {"succeeded": {1}, "failed": {0}}.get(ended, {0, 1})
        wrong = "" if live in expected else f"{ended} with {live} posts: {run.steps} {run.errors[-3:]}"
        self.counts[f"{ended}, {live} live"] += 1
        return ended, wrong


def _end(error: PlatformError, *, may_fail: bool) -> str:
    """Return how the actor ends a publication whose last error this is, or goes on asking for it."""
    if isinstance(error, OutcomeUnknown):
        return "unknown"
    return "failed" if isinstance(error, PostFailed) or may_fail else "waiting"


@pytest.fixture(scope="module", params=CASES, ids=str)
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    directory: Path = tmp_path_factory.mktemp("matrix")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), videos_of(directory))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    mock = MockServer(directory / "mock", "--processing-seconds", "0")
    case = request.param
    account, _ = case.account(mock.hosts)
    post, sha256 = PostFactory(directory, f"http://127.0.0.1:{server.server_port}").post()
    made = Bench(case.name, mock, post, sha256, account)
    yield made
    mock.kill()
    server.shutdown()
    server.server_close()
    summary = ", ".join(f"{number} {ended}" for ended, number in sorted(made.counts.items()))
    request.config.stash.setdefault(SUMMARY_LINES, []).append(f"{case.name}: {made.counts.total()}: {summary}")


# These share the code of their calls with another case, so a sample of the answers is enough.
_SAMPLED = frozenset({"tiktok-inbox", "instagram-login"})


def _stride(bench: Bench, call: Call) -> int:
    """Return which of the answers a call meets: each n-th."""
    return {"acts": 1, "asks": 1, "other": 6}[call.kind] * (4 if bench.name in _SAMPLED else 1)


def _wrong(bench: Bench, faults: list[tuple[str, list[dict[str, object]], bool]]) -> list[str]:
    """Return what is wrong with the publications under these faults: (name, faults, whether it has to succeed)."""
    found = []
    for name, struck, must_succeed in faults:
        ended, wrong = bench.run(*struck)
        if wrong or (must_succeed and ended != "succeeded"):
            found.append(f"{name}: {wrong or ended}")
    return found


def test_an_undocumented_answer_at_any_call_neither_doubles_nor_ends_a_post(bench: Bench) -> None:
    """Nobody's list has them, so none of them is a verdict: every publication succeeds."""
    faults = [
        (f"{call.name} {kind} {answer.name}", [answer.fault(call.at, kind, skip=call.skip)], True)
        for call in CALLS[bench.name]
        for kind in call.faults
        for answer in UNDOCUMENTED[:: _stride(bench, call)]
    ]
    assert _wrong(bench, faults) == []


def test_a_documented_answer_at_any_call_doubles_nothing_and_fails_no_live_post(bench: Bench) -> None:
    """A request that was carried out all the same always ends in success."""
    faults = [
        (f"{call.name} {kind} {answer.name}", [answer.fault(call.at, kind, skip=call.skip)], kind == "lie")
        for call in CALLS[bench.name]
        for kind in call.faults
        for answer in call.documented[:: _stride(bench, call)]
    ]
    assert _wrong(bench, faults) == []


def test_two_faults_in_a_row_double_nothing_and_fail_no_live_post(bench: Bench) -> None:
    """The call that acts meets one answer, the question after it another one."""
    acts, asks, skip, documented = QUESTIONS[bench.name]
    first = itertools.cycle([*UNDOCUMENTED[1::4], *documented[1::4]])
    faults = [
        (
            f"{kind} {once.name}, then {then.name}",
            [
                once.fault(acts, kind, skip=1 if bench.name == "youtube" else 0),
                then.fault(asks, "answer", skip=skip),
            ],
            False,
        )
        for kind in ("answer", "lie")
        for once, then in zip(first, [*UNDOCUMENTED[::3], *documented[::3]], strict=False)
    ]
    assert _wrong(bench, faults) == []


def test_a_fault_that_persists_doubles_nothing_and_fails_no_live_post(bench: Bench) -> None:
    """For days, at each call; a post that is live never ends as failed, however long its answers are missing."""
    faults = [
        (f"{call.name} {kind} {answer.name}", [answer.fault(call.at, kind, skip=call.skip, times=999)], False)
        for call in CALLS[bench.name]
        for kind in call.faults
        for answer in [*UNDOCUMENTED[::30], *call.documented[::30]]
    ]
    assert _wrong(bench, faults) == []


@pytest.mark.parametrize("status", [403, 503])
def test_an_outage_of_two_hours_that_begins_at_any_request_costs_no_post(bench: Bench, status: int) -> None:
    """Every call meets the same page of a proxy; afterwards the post goes out once."""
    answer = next(answer for answer in UNDOCUMENTED if answer.status == status)
    found = []
    for number in range(8):
        ended, wrong = bench.run(answer.fault(EVERY_CALL, "answer", skip=number, times=999), outage_s=7_200.0)
        if wrong or ended != "succeeded":
            found.append(f"from request {number}: {wrong or ended}")
    assert found == []
