"""The files of parts: whole, by range, and by signed address."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from falcon.testing import TestClient

from actors import wiring
from actors.flow.media_links import BadLink, create_link, link_to_part, parse_token
from api.app import create_app
from api.context import Context
from store import jobs, segments, tables
from store.states import SegmentStatus
from tests.api.conftest import AUTH, serving, sign_in
from tests.store import rows
from tests.support.clock import Clock

CONTENT = bytes(range(256)) * 40
ADDRESS = "/jobs/job/segments/1/video"


@pytest.fixture
def video(context: Context) -> Path:
    with context.store.writing(scope="everything") as connection:
        jobs.create(connection, rows.job())
        segments.create(connection, [rows.segment(1, status=SegmentStatus.READY)])
    path = wiring.machine.settings.jobs_dir / "job" / "part-001.mp4"
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    return path


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-9", 0, 9),
        ("bytes=100-", 100, 10_239),
        ("bytes=-10", 10_230, 10_239),
        ("bytes=10000-99999", 10_000, 10_239),
        ("bytes=-99999", 0, 10_239),
        ("bytes=5-5", 5, 5),
    ],
)
def test_the_range_asked_for_is_sent(client: TestClient, video: Path, asked: str, first: int, last: int) -> None:
    answer = client.simulate_get(ADDRESS, headers={"Range": asked})

    assert answer.status_code == 206
    assert answer.content == CONTENT[first : last + 1]
    assert answer.headers["content-range"] == f"bytes {first}-{last}/10240"
    assert answer.headers["content-length"] == str(last - first + 1)


@pytest.mark.parametrize("asked", [None, "bytes=", "bytes=5-2", "bytes=0-1,5-6", "lines=0-1", "bytes=a-b", "nonsense"])
def test_what_is_no_plain_range_gets_the_whole(client: TestClient, video: Path, asked: str | None) -> None:
    answer = client.simulate_get(ADDRESS, headers={"Range": asked} if asked else None)

    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("asked", ["bytes=10240-", "bytes=99999-100000", "bytes=-0"])
def test_a_range_beyond_the_end_is_refused(client: TestClient, video: Path, asked: str) -> None:
    answer = client.simulate_get(ADDRESS, headers={"Range": asked})

    assert (answer.status_code, answer.headers["content-range"]) == (416, "bytes */10240")


def test_a_range_of_another_version_gets_the_whole(client: TestClient, video: Path) -> None:
    tag = client.simulate_get(ADDRESS).headers["etag"]

    same = client.simulate_get(ADDRESS, headers={"Range": "bytes=0-1", "If-Range": tag})
    other = client.simulate_get(ADDRESS, headers={"Range": "bytes=0-1", "If-Range": '"other"'})

    assert (same.status_code, other.status_code) == (206, 200)


def test_who_has_the_file_gets_304(client: TestClient, video: Path) -> None:
    tag = client.simulate_get(ADDRESS).headers["etag"]

    assert client.simulate_get(ADDRESS, headers={"If-None-Match": tag}).status_code == 304


def test_a_deleted_file_is_not_found(client: TestClient, video: Path) -> None:
    video.unlink()

    assert client.simulate_get(ADDRESS).status_code == 404
    assert client.simulate_get("/jobs/job/segments/1/cover").status_code == 404
    assert client.simulate_get("/jobs/job/segments/2/video").status_code == 404


def test_over_real_http_files_ranges_and_heads_arrive(context: Context, video: Path) -> None:
    with serving(context) as root:
        whole = requests.get(f"{root}{ADDRESS}", headers=AUTH, timeout=30)
        some = requests.get(f"{root}{ADDRESS}", headers=AUTH | {"Range": "bytes=10-19"}, timeout=30)
        head = requests.head(f"{root}{ADDRESS}", headers=AUTH, timeout=30)

    assert whole.content == CONTENT
    assert (some.status_code, some.content) == (206, CONTENT[10:20])
    assert (head.status_code, head.content, head.headers["Content-Length"]) == (200, b"", "10240")


def test_a_platform_fetches_by_signed_address_without_a_key(context: Context, video: Path, clock: Clock) -> None:
    address = create_link(context.settings, context.sealer, "job", 1, expires=clock() + timedelta(hours=1))
    path = urlsplit(address).path
    assert address.startswith(context.settings.root_url)
    assert "job" not in path.removeprefix("/media/")

    anonymous = TestClient(create_app(context))
    assert anonymous.simulate_get(path).content == CONTENT
    assert anonymous.simulate_get(path, headers={"Range": "bytes=0-3"}).content == CONTENT[:4]
    assert anonymous.simulate_head(path).headers["content-length"] == "10240"

    clock.move(hours=1)
    assert anonymous.simulate_get(path).status_code == 404


def test_an_address_that_was_not_made_here_leads_nowhere(context: Context, video: Path, clock: Clock) -> None:
    anonymous = TestClient(create_app(context))
    session = sign_in(context)

    for token in ("x", session, context.sealer.seal({"job": "job"}).decode(), "%ff"):
        assert anonymous.simulate_get(f"/media/{token}").status_code == 404


def test_a_links_reader_knows_its_part(context: Context, clock: Clock) -> None:
    token = create_link(context.settings, context.sealer, "job", 7, expires=clock() + timedelta(hours=1)).rpartition(
        "/"
    )[2]

    assert parse_token(context.sealer, token, clock()) == ("job", 7)
    with pytest.raises(BadLink):
        parse_token(context.sealer, token[:40] + ("y" if token[40] == "x" else "x") + token[41:], clock())
    with pytest.raises(BadLink):
        parse_token(context.sealer, token, clock() + timedelta(hours=2))


def test_an_actors_link_is_good_for_a_day(context: Context) -> None:
    token = link_to_part(wiring.machine, "job", 3).rpartition("/")[2]

    assert parse_token(wiring.machine.sealer, token, wiring.machine.now() + timedelta(hours=23)) == ("job", 3)


def test_behind_a_public_url_the_link_leads_there(context: Context, clock: Clock) -> None:
    chosen = replace(context, settings=context.settings.model_copy(update={"public_url": "https://video.example/"}))

    assert create_link(chosen.settings, chosen.sealer, "job", 1, expires=clock()).startswith(
        "https://video.example/media/"
    )


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ("bytes=0-9223372036854775808", 206),
        ("bytes=0-" + "9" * 5000, 206),
        ("bytes=-" + "9" * 30, 206),
        ("bytes=" + "0" * 30 + "-9", 206),
        ("bytes=9223372036854775808-", 416),
        ("bytes=" + "9" * 5000 + "-", 416),
        ("bytes=" + "9" * 30 + "-5", 200),
        ("bytes=\u0661-", 200),
        ("bytes=1_0-", 200),
    ],
)
def test_a_range_may_have_any_number(client: TestClient, video: Path, asked: str, status: int) -> None:
    assert client.simulate_get(ADDRESS, headers={"Range": asked}).status_code == status


def test_the_gaze_over_time_is_sent_while_its_file_is_there(client: TestClient, video: Path) -> None:
    assert client.simulate_get("/jobs/job/segments/1/gaze").status_code == 404
    video.with_suffix(".gaze.json").write_text('{"per_s": 10.0}')
    answer = client.simulate_get("/jobs/job/segments/1/gaze")
    assert (answer.json, answer.headers["content-type"]) == ({"per_s": 10.0}, "application/json")
    assert client.simulate_get("/status/job").json["segments"][0]["links"]["gaze"] == "/jobs/job/segments/1/gaze"


def test_the_original_of_a_part_is_the_uploaded_video(client: TestClient, video: Path, context: Context) -> None:
    with context.store.writing(scope="everything") as connection:
        segments.create(
            connection, [replace(rows.segment(2), span=rows.segment(2).span | {"origin_s": "1/15", "total": 2000})]
        )
    original = context.settings.uploads_dir / "job" / "source"
    assert "original" not in client.simulate_get("/status/job").json["segments"][0]["links"]
    original.parent.mkdir(parents=True)
    original.write_bytes(CONTENT)
    links = [part["links"]["original"] for part in client.simulate_get("/status/job").json["segments"]]
    assert links == ["/jobs/job/segments/1/original#t=0.0,20.0", "/jobs/job/segments/2/original#t=20.067,40.067"]

    answer = client.simulate_get(links[1].partition("#")[0], headers={"Range": "bytes=5-9"})
    assert (answer.status_code, answer.content) == (206, CONTENT[5:10])
    assert answer.headers["content-type"] == "video/mp4"
    assert client.simulate_get("/jobs/job/segments/3/original").status_code == 404
    with context.store.writing(scope="everything") as connection:
        connection.exec_driver_sql("UPDATE jobs SET source_deleted_at = '2026-11-22 12:00:00.000000'")
    gone = client.simulate_get("/jobs/job/segments/1/original")
    assert (gone.status_code, gone.json["code"]) == (404, "source_deleted")
    assert "original" not in client.simulate_get("/status/job").json["segments"][0]["links"]


@pytest.mark.parametrize(
    ("facts", "media_type"),
    [
        ({"container": "mp4", "video_codec": "hevc"}, "video/mp4"),
        ({"container": "matroska", "video_codec": "vp9"}, "video/webm"),
        ({"container": "matroska", "video_codec": "h264"}, "video/x-matroska"),
        (None, "video/mp4"),
    ],
)
def test_an_original_has_the_type_under_which_browsers_play_it(
    client: TestClient, video: Path, context: Context, facts: dict[str, str] | None, media_type: str
) -> None:
    with context.store.writing(scope="everything") as connection:
        connection.execute(tables.jobs.update().values(facts=facts))
    original = context.settings.uploads_dir / "job" / "source"
    original.parent.mkdir(parents=True)
    original.write_bytes(CONTENT)
    answer = client.simulate_get("/jobs/job/segments/1/original")
    assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
