"""The mock server: it must refuse what the real platforms refuse, or tests against it prove nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from platforms.contract import Published
from platforms.errors import RateLimited
from platforms.http import client
from platforms.mock import roots
from tests.platforms.mock_server import PROJECT, MockServer
from tests.platforms.publishing_run import CASES, PostFactory, publish

INBOX, DIRECT, LOGIN, FACEBOOK, YOUTUBE = CASES
JSON = {"Content-Type": "application/json; charset=UTF-8"}


def call(mock: MockServer, method: str, path: str, token: str, **more: Any) -> client.Response:  # Any: passed through
    headers = {"Authorization": f"Bearer {token}", **more.pop("headers", {})}
    return client.request(method, path if path.startswith("http") else mock.base + path, headers=headers, **more)


def begin(mock: MockServer, token: str, size: int, chunk: int, count: int) -> client.Response:
    source = {"source": "FILE_UPLOAD", "video_size": size, "chunk_size": chunk, "total_chunk_count": count}
    path = f"{roots.path('tiktok_api_url')}/v2/post/publish/inbox/video/init/"
    return call(mock, "POST", path, token, headers=JSON, json={"source_info": source})


@pytest.mark.parametrize("case", CASES[1:], ids=str)
def test_a_link_leads_to_a_page_that_shows_the_video(case: object, mock: MockServer, factory: PostFactory) -> None:
    """The links of published posts open in a browser."""
    assert isinstance(case, type(DIRECT))
    post, _ = factory.post(title="<b>Eyes</b>" if case is not YOUTUBE else "Eyes & lens")
    account, _ = case.account(mock.hosts)
    outcome = publish(case.publisher(mock.hosts), post, account).outcome
    assert isinstance(outcome, Published)
    assert outcome.link is not None

    page = client.request("GET", outcome.link)
    if page.status == 302:
        page = client.request("GET", mock.base + page.headers["Location"])

    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert b"<video controls" in page.body
    assert b"<b>Eyes" not in page.body
    video = f"{mock.base}/posts/{account.platform}/{outcome.remote_id}/video"
    assert client.request("GET", video).body == post.video.read_bytes()
    part = client.request("GET", video, headers={"Range": "bytes=100-199"})
    assert (part.status, part.body) == (206, post.video.read_bytes()[100:200])
    assert part.headers["Content-Range"] == f"bytes 100-199/{post.size_bytes}"
    assert client.request("GET", video, headers={"Range": "bytes=-50"}).body == post.video.read_bytes()[-50:]


@pytest.mark.parametrize(
    ("size", "chunk", "count", "taken"),
    [
        (3_000_000, 3_000_000, 1, True),
        (3_000_000, 1_000_000, 3, False),  # chunks below 5 MB
        (64_000_000, 64_000_000, 1, True),
        (50_000_123, 10_000_000, 5, True),  # TikTok's own example: the last chunk takes the remainder
        (50_000_123, 10_000_000, 6, False),
        (80_000_000, 80_000_000, 1, False),  # more than 64 MB in one
        (0, 0, 0, False),
    ],
)
def test_tiktoks_chunk_rules_are_enforced(size: int, chunk: int, count: int, taken: bool, mock: MockServer) -> None:
    """The rules are those of the media transfer guide."""
    account, _ = INBOX.account(mock.hosts)
    assert (begin(mock, account.access_token, size, chunk, count).status == 200) == taken


@pytest.mark.parametrize(
    ("content_range", "status"),
    [
        ("bytes 0-999/1000", 201),
        ("bytes 0-499/1000", 400),  # says 500, sends 1000
        ("bytes 500-1499/1000", 416),  # not where the server stands
        ("bytes 0-999/2000", 400),
        ("", 400),
    ],
)
def test_tiktoks_bytes_need_the_right_range(content_range: str, status: int, mock: MockServer) -> None:
    """Other ranges are refused, and none of their bytes is stored."""
    account, _ = INBOX.account(mock.hosts)
    job = json.loads(begin(mock, account.access_token, 1000, 1000, 1).body)["data"]
    headers = {"Content-Range": content_range, "Content-Type": "video/mp4"}

    assert client.request("PUT", job["upload_url"], headers=headers, body=b"x" * 1000).status == status

    asked = {"publish_id": job["publish_id"]}
    path = f"{roots.path('tiktok_api_url')}/v2/post/publish/status/fetch/"
    answer = json.loads(call(mock, "POST", path, account.access_token, headers=JSON, json=asked).body)
    assert answer["data"]["uploaded_bytes"] == (1000 if status == 201 else 0)


def test_a_wrong_upload_token_finds_nothing(mock: MockServer) -> None:
    """The upload address is itself the permission."""
    account, _ = INBOX.account(mock.hosts)
    address = json.loads(begin(mock, account.access_token, 1000, 1000, 1).body)["data"]["upload_url"]
    headers = {"Content-Range": "bytes 0-999/1000"}
    assert client.request("PUT", address[:-3] + "abc", headers=headers, body=b"x" * 1000).status == 404


def test_data_calls_of_tiktok_need_the_right_content_type_and_scope(mock: MockServer) -> None:
    """The refusals have TikTok's format."""
    account, _ = INBOX.account(mock.hosts)
    path = f"{roots.path('tiktok_api_url')}/v2/post/publish/inbox/video/init/"
    assert call(mock, "POST", path, account.access_token, json={}).status == 400
    direct = f"{roots.path('tiktok_api_url')}/v2/post/publish/creator_info/query/"
    refused = call(mock, "POST", direct, account.access_token, headers=JSON, json={})
    assert (refused.status, json.loads(refused.body)["error"]["code"]) == (401, "scope_not_authorized")


def test_youtube_accepts_whole_units_at_the_stored_offset_only(mock: MockServer) -> None:
    """All chunks but the last are multiples of 262,144 bytes, and begin at the stored offset."""
    account, _ = YOUTUBE.account(mock.hosts)
    resource = {
        "snippet": {"title": "t", "description": "", "categoryId": "22"},
        "status": {"privacyStatus": "public", "selfDeclaredMadeForKids": False, "containsSyntheticMedia": False},
    }
    path = f"{roots.path('youtube_api_url')}/upload/youtube/v3/videos?uploadType=resumable&part=snippet,status"
    path += "&notifySubscribers=false"
    headers = {"X-Upload-Content-Length": "600000"}
    session = call(mock, "POST", path, account.access_token, headers=headers, json=resource).headers["Location"]

    def put(content_range: str, size: int) -> int:
        headers = {"Content-Range": content_range}
        return call(mock, "PUT", session, account.access_token, headers=headers, body=b"x" * size).status

    assert put("bytes 0-99999/600000", 100_000) == 400
    assert put("bytes 262144-524287/600000", 262_144) == 400
    assert put("bytes 0-262143/600000", 262_144) == 308
    assert put("bytes */600000", 0) == 308
    assert put("bytes 262144-599999/600000", 337_856) == 201
    assert put("bytes */600000", 0) == 200
    for broken in ({"title": ""}, {"title": "x" * 101}, {"title": "<"}, {"title": "t", "description": "é" * 2501}):
        worse = {**resource, "snippet": broken}
        refused = call(mock, "POST", path, account.access_token, headers=headers, json=worse)
        assert refused.status == 400


def test_instagram_login_accepts_no_bytes(mock: MockServer) -> None:
    """A request to the real API was refused with "the parameter video_url is required"."""
    account, _ = LOGIN.account(mock.hosts)
    path = f"{roots.path('instagram_graph_url')}/v26.0/{account.remote_id}/media"
    fields = {"media_type": "REELS", "upload_type": "resumable"}
    refused = call(mock, "POST", path, account.access_token, form=fields)
    assert (refused.status, json.loads(refused.body)["error"]["code"]) == (400, 100)


def test_a_container_published_twice_makes_two_posts(mock: MockServer, factory: PostFactory) -> None:
    """Meta does not document otherwise, so a publisher that publishes twice is detected."""
    post, sha256 = factory.post()
    account, _ = FACEBOOK.account(mock.hosts)
    run = publish(FACEBOOK.publisher(mock.hosts), post, account)

    path = f"{roots.path('facebook_graph_url')}/v26.0/{account.remote_id}/media_publish"
    container = {"creation_id": run.handles[-1].text("container")}
    assert call(mock, "POST", path, account.access_token, form=container).status == 200

    assert len(mock.posts(sha256)) == 2


def test_another_users_token_is_refused(mock: MockServer, factory: PostFactory) -> None:
    """A token is valid for its own platform and account only."""
    post, _ = factory.post()
    account, _ = FACEBOOK.account(mock.hosts)
    publish(FACEBOOK.publisher(mock.hosts), post, account)
    tiktok, _ = INBOX.account(mock.hosts)
    path = f"{roots.path('facebook_graph_url')}/v26.0/{account.remote_id}/media"
    assert call(mock, "GET", path, tiktok.access_token).status == 401
    assert call(mock, "GET", path, "nonsense").status == 401


def test_a_malformed_fault_is_refused(mock: MockServer) -> None:
    """Otherwise a test with a misspelt fault would pass without testing anything."""
    for fault in (
        {"kind": "lose"},
        {"at": "x", "kind": "explode"},
        {"at": "(", "kind": "lose"},
        {"at": "x", "kind": "lose", "zz": 1},
    ):
        assert client.request("POST", f"{mock.base}/mock/faults", json=fault).status == 400


def test_the_mock_is_small_and_imports_little(mock: MockServer) -> None:
    """The mock runs beside everything else on a developer's machine; pydantic comes with the options of posts."""
    assert mock.memory_mb() < 60
    heavy = "{'requests', 'cryptography', 'sqlalchemy', 'numpy'} & set(sys.modules)"
    code = f"import sys, platforms.mock.__main__; sys.exit(str({heavy}) if {heavy} else 0)"
    assert subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=False).returncode == 0


def test_an_init_with_an_unknown_field_is_refused(mock: MockServer) -> None:
    """A misspelt field would otherwise be ignored here, and be noticed at TikTok only."""
    account, _ = INBOX.account(mock.hosts)
    path = f"{roots.path('tiktok_api_url')}/v2/post/publish/inbox/video/init/"
    source = {"source": "FILE_UPLOAD", "video_size": 10, "chunk_size": 10, "total_chunk_count": 1, "chunks": 1}

    answer = call(mock, "POST", path, account.access_token, headers=JSON, json={"source_info": source})

    assert (answer.status, json.loads(answer.body)["error"]["code"]) == (400, "invalid_params")


def test_a_quota_is_counted_shown_and_enforced(tmp_path: Path, factory: PostFactory) -> None:
    """The publisher asks before it makes a container; a container made before is refused at its publishing."""
    server = MockServer(tmp_path, "--processing-seconds", "0", "--instagram-quota", "1")
    try:
        account, _ = FACEBOOK.account(server.hosts)
        publisher = FACEBOOK.publisher(server.hosts)
        first, second = factory.post()[0], factory.post()[0]
        published = publish(publisher, second, account).handles[-1]

        with pytest.raises(RateLimited) as caught:
            publish(publisher, first, account)
        assert caught.value.code == "post_limit"
        node = f"{roots.path('facebook_graph_url')}/v26.0/{account.remote_id}/media_publish"
        form = {"creation_id": published.text("container")}
        refused = call(server, "POST", node, account.access_token, form=form)
        assert json.loads(refused.body)["error"]["error_subcode"] == 2207042
    finally:
        server.kill()


def test_a_body_shorter_than_a_cut_is_not_cut(mock: MockServer, factory: PostFactory) -> None:
    """Otherwise the platform would see an empty body, and refuse what was never sent like that."""
    post, sha256 = factory.post()
    account, _ = INBOX.account(mock.hosts)
    mock.fault("POST .*init", "cut", after_bytes=100_000)

    run = publish(INBOX.publisher(mock.hosts), post, account)

    assert run.errors == []
    assert len(mock.posts(sha256)) == 1
