"""Signed links into the bucket: Instagram fetches a part there, without a key, for some time."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import requests

from actors.flow.media_links import LIFETIME
from files.s3 import S3Files
from platforms.errors import PostFailed
from platforms.instagram.publisher import Instagram
from tests.platforms.mock_server import MockServer
from tests.platforms.publishing_run import CASES, PostFactory, publish
from tests.support.waiting import wait_for

PART = "jobs/job_1/part-001.a.mp4"
LOGIN = next(case for case in CASES if case.variant == "instagram_login")


@pytest.fixture
def mock(tmp_path: Path) -> Iterator[MockServer]:
    server = MockServer(tmp_path / "mock", "--processing-seconds", "0")
    yield server
    server.kill()


def _link(files: S3Files, key: str = PART, valid_for: timedelta = LIFETIME) -> str:
    address = files.link(key, valid_for)
    assert address is not None
    return address


def _put(files: S3Files, content: bytes, key: str = PART) -> None:
    with files.outputs([key]) as (path,):
        path.write_bytes(content)


@pytest.mark.parametrize("size_bytes", [1000, 20_000_000], ids=["one request", "several pieces"])
def test_a_part_is_a_video_of_which_ranges_can_be_fetched(remote: S3Files, size_bytes: int) -> None:
    """Meta refuses what is served as an unknown kind of file."""
    content = os.urandom(size_bytes)
    _put(remote, content)
    whole = requests.get(_link(remote), timeout=30)
    some = requests.get(_link(remote), headers={"Range": "bytes=100-199"}, timeout=30)
    assert (whole.status_code, whole.headers["Content-Type"], whole.content) == (200, "video/mp4", content)
    assert (some.status_code, some.content) == (206, content[100:200])
    assert some.headers["Content-Range"] == f"bytes 100-199/{size_bytes}"


def test_pictures_and_reports_have_their_kinds(remote: S3Files) -> None:
    kinds = {"jobs/job_1/part-001.a.cover.jpg": "image/jpeg", "jobs/job_1/part-001.a.gaze.json": "application/json"}
    for key in kinds:
        _put(remote, b"content", key)
    assert {key: requests.get(_link(remote, key), timeout=30).headers["Content-Type"] for key in kinds} == kinds


def test_a_link_gives_access_to_one_file_and_to_reading_only(remote: S3Files) -> None:
    _put(remote, b"video")
    address = _link(remote)
    assert requests.get(address.replace("part-001", "part-002"), timeout=30).status_code == 403
    assert requests.put(address, data=b"another", timeout=30).status_code == 403
    assert requests.delete(address, timeout=30).status_code == 403
    assert requests.get(address.partition("?")[0], timeout=30).status_code == 403
    assert requests.get(address, timeout=30).content == b"video"


def test_a_link_expires(remote: S3Files) -> None:
    _put(remote, b"video")
    address = _link(remote, valid_for=timedelta(seconds=2))
    wait_for(lambda: requests.get(address, timeout=30).status_code == 403, "the link to expire", interval_s=0.2)
    assert f"X-Amz-Expires={LIFETIME / timedelta(seconds=1):.0f}&" in f"{_link(remote)}&"


def test_instagram_fetches_a_part_from_the_storage(remote: S3Files, mock: MockServer, tmp_path: Path) -> None:
    post, sha256 = PostFactory(tmp_path, "http://127.0.0.1:1").post()
    _put(remote, post.video.read_bytes())
    account, _ = LOGIN.account(mock.hosts)
    publish(Instagram(mock.hosts, pace=0), dataclasses.replace(post, media_url=_link(remote)), account)
    assert len(mock.posts(sha256)) == 1


def test_instagram_does_not_get_a_part_that_was_deleted(remote: S3Files, mock: MockServer, tmp_path: Path) -> None:
    post, sha256 = PostFactory(tmp_path, "http://127.0.0.1:1").post()
    account, _ = LOGIN.account(mock.hosts)
    with pytest.raises(PostFailed):
        publish(Instagram(mock.hosts, pace=0), dataclasses.replace(post, media_url=_link(remote)), account)
    assert mock.posts(sha256) == []
