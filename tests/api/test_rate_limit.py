"""Client addresses and their rate limit."""

from __future__ import annotations

import pytest
from falcon.testing import TestClient

from api.http import rate_limit
from api.http.problems import Problem
from api.http.rate_limit import RateLimiter, client_address
from tests.support.clock import Clock


@pytest.mark.parametrize(
    ("peer", "header", "behind_fly", "expected"),
    [
        pytest.param("10.0.0.1", None, False, "10.0.0.1", id="plain"),
        pytest.param("10.0.0.1", "1.2.3.4", False, "10.0.0.1", id="a header anybody can forge"),
        pytest.param("10.0.0.1", "1.2.3.4", True, "1.2.3.4", id="Fly's own header"),
        pytest.param("10.0.0.1", None, True, "10.0.0.1", id="a health check of Fly"),
        pytest.param("::ffff:1.2.3.4", None, False, "1.2.3.4", id="mapped"),
        pytest.param("2001:db8:1:2:3:4:5:6", None, False, "2001:db8:1:2::/64", id="an IPv6 subscriber has a /64"),
        pytest.param("fe80::1%eth0", None, False, "fe80::/64", id="zone"),
        pytest.param("10.0.0.1", "nonsense", True, "nonsense", id="nonsense"),
    ],
)
def test_a_caller_is_known_by_what_it_cannot_choose(
    peer: str, header: str | None, behind_fly: bool, expected: str
) -> None:
    assert expected == client_address(peer, header, behind_fly=behind_fly)


def test_each_caller_has_so_many_a_minute(clock: Clock) -> None:
    limit = RateLimiter(2, noun="upload", now_s=clock.now_s)
    limit.hit("a")
    clock.move(seconds=30)
    limit.hit("a")
    limit.hit("b")

    with pytest.raises(Problem) as refused:
        limit.hit("a")
    assert dict(refused.value.headers or {})["Retry-After"] == "31"

    clock.move(seconds=31)
    limit.hit("a")


def test_a_wall_clock_that_is_set_back_limits_nobody(client: TestClient, clock: Clock) -> None:
    """The limits of uploads and of sign-ins."""
    for path, status in (("/login", 401), ("/upload", 415)):
        answers = [client.simulate_post(path, json={"key": "wrong"}).status_code for _ in range(11)]
        assert answers == [status] * 10 + [429]
        clock.correct(hours=-1)
        clock.move(seconds=61)
        assert client.simulate_post(path, json={"key": "wrong"}).status_code == status


def test_many_callers_do_not_fill_the_memory(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "MAX_CLIENTS", 10)
    limit = RateLimiter(1, noun="upload", now_s=clock.now_s)
    for number in range(100):
        limit.hit(str(number))

    assert len(limit._hits) <= 10
    with pytest.raises(Problem):
        limit.hit("99")
