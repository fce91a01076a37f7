"""Recorded requests: what is in them, and what never is."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from platforms.http import client
from platforms.http.recording import HIDDEN, recorded, shown_path
from tests.platforms.mock_server import MockServer
from tests.support.clock import Clock

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


def test_a_request_is_recorded_without_its_query_and_user(mock: MockServer) -> None:
    address = f"{mock.base}/v2/none?access_token=secret-secret".replace("http://", "http://user:pass-pass@")
    with recorded(Clock(NOW)) as exchanges:
        client.request("GET", address)
    (exchange,) = exchanges
    assert (exchange.method, exchange.path, exchange.http_status, exchange.at) == ("GET", "/v2/none", 404, NOW)
    assert exchange.host == mock.base.removeprefix("http://")
    assert "secret" not in repr(exchange)
    assert "pass" not in repr(exchange)


def test_a_request_without_an_answer_is_recorded_with_the_reason() -> None:
    with recorded(Clock(NOW)) as exchanges, pytest.raises(client.NeverSent):
        client.request("POST", "http://127.0.0.1:9/up", body=b"x")
    (exchange,) = exchanges
    assert exchange.http_status is None
    assert exchange.failure


def test_nothing_is_recorded_after_the_block(mock: MockServer, tmp_path: Path) -> None:
    del tmp_path
    with recorded(Clock(NOW)) as exchanges:
        pass
    client.request("GET", f"{mock.base}/none")
    assert exchanges == []


@pytest.mark.parametrize(
    "path",
    [
        "/v2/post/publish/inbox/video/init/",
        "/v26.0/17841400000000001/media_publish",
        "/upload/youtube/v3/videos",
        "/ig-api-upload/v26.0/17889615691921648",
        "/tiktok-upload/video/",
    ],
)
def test_the_paths_of_the_platforms_are_shown(path: str) -> None:
    assert shown_path(path) == path


@pytest.mark.parametrize(
    "secret", ["a1b2c3d4e5", "Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6", "gAAAAABn-x_y2", "code%2B7", "1" * 25]
)
def test_a_segment_that_may_be_a_token_is_hidden(secret: str) -> None:
    assert shown_path(f"/media/{secret}/video") == f"/media/{HIDDEN}/video"
