"""No address that a browser can open ends in raw JSON: each route, in each state, and errors before any route."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from falcon import inspect
from falcon.testing import Result, TestClient

from api.app import create_app
from api.context import Context
from api.http import navigation, page_paths
from api.resources.health import HealthChecks
from platforms.mock.roots import mock_hosts
from store import DatabaseUnavailable, Store, jobs, segments
from store.states import SegmentStatus
from tests.api.conftest import AUTH, OWN_PAGE, sign_in, with_settings
from tests.api.read_page import BROWSER, ReadPage, check_page
from tests.api.visitor import Visitor
from tests.store import rows
from tests.support.clock import Clock

# Shown, played, or read by browsers themselves.
FILES = ("text/html", "text/css", "text/javascript", "image/", "video/", "text/plain", "application/manifest+json")
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def check(answer: Result, what: str) -> None:
    """Assert that a browser shows something for a person: a page, a file, or the address that it is led to."""
    headers = {name.lower(): value for name, value in answer.headers.items()}
    if answer.status_code == 303:
        assert headers["location"].startswith(("/", "http")), what
    elif answer.status_code == 204:
        assert answer.text == "", what  # browsers stay where they are
    elif answer.status_code < 400 and headers["content-type"].startswith(FILES) and "<h1>" not in answer.text:
        assert headers["content-type"] != "text/html" or 'id="offline"' in answer.text, what
    elif 'id="offline"' not in answer.text and not what.startswith("GET /docs"):  # the page itself, the API reference
        check_page(answer.text, headers, what)


def check_document(answer: Result, what: str) -> None:
    """Assert that a program gets JSON or a file, and a problem document for an error."""
    if answer.status_code >= 400 and answer.json.keys() != {"status", "checks"}:
        assert answer.headers["content-type"] == "application/problem+json", what
        assert answer.json["status"] == answer.status_code, what
    assert answer.status_code not in {429, 503} or int(answer.headers["retry-after"]) > 0, what
    if "text/html" in answer.headers.get("content-type", ""):
        assert 'id="offline"' in answer.text or what == "GET /docs", what


def browser(context: Context, *, signed_in: bool = True) -> TestClient:
    """Return a browser that sends what browsers send when they open an address or submit a form."""
    headers = {"Accept": BROWSER, **OWN_PAGE, **FORM}
    if signed_in:
        headers["Cookie"] = f"{context.keys.cookies.name('vidprod_session')}={sign_in(context)}"
    return TestClient(create_app(context), headers=headers)


def addresses(context: Context) -> Iterator[str]:
    """Yield an address of each route of the router; some routes have several."""
    known = {"number": ("1", "2"), "name": ("base.css", "index.html", "nothing.css"), "platform": ("tiktok", "myspace")}
    for route in inspect.inspect_routes(create_app(context)):
        paths = [re.sub(r":int\([^)]*\)", "", route.path)]
        for name, values in known.items():
            paths = [path.replace(f"{{{name}}}", value) for path in paths for value in values]
        for value in ("job", "unknown", "job_" + "0" * 32):
            yield from dict.fromkeys(re.sub(r"\{\w+\}", value, path) for path in paths)
    yield from ("/nowhere", "/favicon.ico", "/upload/", "/jobs/job/segments/x/video", "/%FF", "/<script>")


@pytest.fixture
def deleted(context: Context) -> Context:
    """Return a context with a job whose files are deleted."""
    with context.store.writing(scope="everything") as connection:
        jobs.create(connection, rows.job())
        segments.create(connection, [rows.segment(1, status=SegmentStatus.READY)])
    return context


def walk(context: Context, client: TestClient, *, methods: tuple[str, ...] = ("GET", "POST")) -> set[int]:
    """Open each address with each method of a browser; return the statuses."""
    statuses = set()
    for address in dict.fromkeys(addresses(context)):
        for method in methods:
            what = f"{method} {address}"
            answer = client.simulate_request(method, address)
            check(answer, what)
            statuses.add(answer.status_code)
            check_document(client.simulate_request(method, address, headers={"Accept": "application/json"}), what)
            check_document(client.simulate_request(method, address, headers={"Accept": "*/*"}), what)
    return statuses


def test_each_address_is_a_page_for_who_is_signed_in(deleted: Context) -> None:
    statuses = walk(deleted, browser(with_settings(deleted, upload_rate_limit=10**6)))
    assert {200, 303, 400, 404, 405, 409, 415} <= statuses


def test_an_unknown_address_is_explained_without_terms_of_http(deleted: Context) -> None:
    found = ReadPage(browser(deleted).simulate_get("/nowhere").text)
    assert found.headings == ["Not found"]
    assert "typing error" in found.text
    assert "URI" not in found.text


def test_each_address_is_a_page_for_who_is_not_signed_in(deleted: Context) -> None:
    client = browser(deleted, signed_in=False)
    assert {200, 400, 401, 404} <= walk(deleted, client)
    found = ReadPage(client.simulate_get("/jobs").text)
    assert (found.headings, "Sign in" in found.text) == (["Please sign in"], True)


def test_each_address_is_a_page_after_the_session_has_expired(deleted: Context, clock: Clock) -> None:
    client = browser(deleted)
    clock.move(days=31)
    assert ReadPage(client.simulate_get("/jobs").text).headings == ["Please sign in"]
    assert 401 in walk(deleted, client, methods=("GET",))


def test_each_address_is_a_page_while_the_database_is_unavailable(
    deleted: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = browser(deleted)

    def unavailable(_: Store) -> None:
        raise DatabaseUnavailable("disk_error", "the disk reports an error")

    monkeypatch.setattr(type(deleted.store), "reading", unavailable)
    monkeypatch.setattr(type(deleted.store), "writing", unavailable)
    assert {200, 503} <= walk(deleted, client, methods=("GET",))
    found = ReadPage(client.simulate_get("/jobs").text)
    assert found.links == ["", "/"]
    assert "Try it again in 60 seconds." in found.words


@pytest.mark.logs_errors
def test_each_address_is_a_page_after_an_error_of_ours(deleted: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    client = browser(deleted)

    def broken(_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(type(deleted.store), "reading", broken)
    monkeypatch.setattr(type(deleted.store), "writing", broken)
    monkeypatch.setattr(HealthChecks, "run", broken)
    assert {200, 500} <= walk(deleted, client, methods=("GET",))
    assert "secret" not in client.simulate_get("/jobs").text


def test_whoever_sends_too_much_gets_a_page(context: Context) -> None:
    client = browser(with_settings(context, upload_rate_limit=1))
    answers = [client.simulate_post("/upload") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [415, 429]
    found = check_page(answers[1].text, answers[1].headers, "429")
    assert found.headings == ["Please wait a moment"]
    assert re.search(r"Try it again in \d+ seconds\.", " ".join(found.words))

    wrong = [client.simulate_get("/jobs", headers=AUTH | {"Authorization": "Bearer no", "Accept": "text/html"})
             for _ in range(11)]  # fmt: skip
    check_page(wrong[-1].text, wrong[-1].headers, "429")


@pytest.mark.parametrize("platform", ["tiktok", "instagram", "youtube"])
def test_each_end_of_a_login_is_a_page(registered: Context, clock: Clock, platform: str) -> None:
    ends: dict[str, tuple[dict[str, str], Callable[[], object]]] = {
        "refused by the person": ({"code": "", "error": "access_denied"}, lambda: None),
        "cancelled": ({"code": ""}, lambda: None),
        "refused by the platform": ({"code": "forged"}, lambda: None),
        "state missing": ({"state": ""}, lambda: None),
        "another state": ({"state": "x" * 43}, lambda: None),
        "expired": ({}, lambda: clock.move(minutes=11)),
    }
    for name, (said, before) in ends.items():
        visitor = Visitor(registered)
        back = visitor.connect(f"/connect/{platform}") | said
        before()
        query = "&".join(f"{key}={value}" for key, value in back.items() if value)
        answer = visitor.get(f"/connect/{platform}/callback?{query}", Accept=BROWSER)
        assert answer.status_code in {400, 422}, name
        found = check_page(answer.text, answer.headers, name)
        assert found.headings == ["The account is not connected"], name
    other_browser = Visitor(registered, session=False)
    back = Visitor(registered).connect(f"/connect/{platform}")
    query = "&".join(f"{key}={value}" for key, value in back.items())
    for address in (f"callback?{query}", "begin", "begin?ticket=x"):
        answer = other_browser.get(f"/connect/{platform}/{address}", Accept=BROWSER)
        assert check_page(answer.text, answer.headers, address).headings == ["The account is not connected"]


def assert_named(platform: str, words: str) -> None:
    """Assert that a text for people has the platform's own name, not the one of the API."""
    name = {"tiktok": "TikTok", "instagram": "Instagram", "youtube": "YouTube"}[platform]
    assert set(re.findall(rf"\b{platform}\b", words, re.IGNORECASE)) == {name}


@pytest.mark.parametrize("platform", ["tiktok", "instagram", "youtube"])
def test_a_platform_without_an_app_is_explained_on_a_page(context: Context, platform: str) -> None:
    answer = browser(context).simulate_get(f"/connect/{platform}")
    assert answer.status_code == 409
    words = " ".join(check_page(answer.text, answer.headers, platform).words)
    assert "register an app" in words
    assert_named(platform, words)


@pytest.mark.parametrize("platform", ["tiktok", "instagram", "youtube"])
def test_a_platform_that_does_not_answer_is_a_page(registered: Context, platform: str) -> None:
    visitor = Visitor(registered)
    back = visitor.connect(f"/connect/{platform}")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        root = f"http://127.0.0.1:{closed.getsockname()[1]}"
    visitor.client = TestClient(create_app(replace(registered, hosts=mock_hosts(root))))
    query = "&".join(f"{name}={value}" for name, value in back.items())
    answer = visitor.get(f"/connect/{platform}/callback?{query}", Accept=BROWSER)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
    found = check_page(answer.text, answer.headers, "503")
    assert found.links == ["/"]  # the same address would not work again
    assert_named(platform, " ".join(found.words))


def test_another_sites_page_that_begins_a_login_gets_a_page(registered: Context) -> None:
    answer = Visitor(registered).get("/connect/tiktok", Accept=BROWSER, Sec_Fetch_Site="cross-site")
    assert answer.status_code == 403
    check_page(answer.text, answer.headers, "403")


def test_the_address_of_a_status_leads_to_the_page_of_the_job(deleted: Context) -> None:
    answer = browser(deleted).simulate_get("/status/job")
    assert (answer.status_code, answer.headers["location"]) == (303, "/videos/job")
    assert "Accept" in answer.headers["vary"]


def test_data_is_shown_as_text(deleted: Context) -> None:
    with deleted.store.writing(scope="everything") as connection:
        jobs.create(connection, rows.job("<script>alert(1)</script>"))
    answer = browser(deleted).simulate_get("/jobs")
    check_page(answer.text, answer.headers, "/jobs")
    assert "<script>" not in answer.text
    assert '"job_id": "&lt;script&gt;alert(1)&lt;/script&gt;"' in answer.text
    assert "Accept" in answer.headers["vary"]


@pytest.mark.parametrize(
    ("accept", "has_key", "wanted"),
    [
        (BROWSER, False, True),
        ("text/html", True, True),
        ("TEXT/HTML;q=0.5", False, True),
        ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", True, False),  # HttpURLConnection of Java
        ("application/json, text/plain, */*", False, False),  # axios
        ("application/json, text/html", False, False),
        ("application/json;q=0.5, text/html", False, True),
        ("text/html;q=0", False, False),
        ("text/html;q=nan", False, False),
        ("text/html;q=x", False, False),
        ("text/htmlx", False, False),
        ("image/avif,image/webp,*/*", False, False),
        ("*/*", False, False),
        ("", False, False),
        (None, False, False),
    ],
)
def test_a_page_is_for_those_who_prefer_one(accept: str | None, has_key: bool, wanted: bool) -> None:
    assert navigation.wants_page(accept, has_key=has_key) is wanted


@pytest.mark.parametrize(
    "path", ["/new", "/videos", "/videos/job_1", "/calendar", "/accounts", "/settings", "/needs-you"]
)
def test_addresses_of_views_are_the_page_for_browsers_and_json_for_programs(context: Context, path: str) -> None:
    page = browser(context, signed_in=False).simulate_get(path)
    assert (page.status_code, 'id="view-new"' in page.text) == (200, True)
    assert "Accept" in page.headers["vary"]
    program = TestClient(create_app(context)).simulate_get(path, headers=AUTH)
    assert program.headers["content-type"] in {"application/json", "application/problem+json"}
    assert "Accept" in program.headers["vary"]


def test_the_page_and_its_service_worker_know_the_same_addresses(context: Context) -> None:
    script = (context.pages / "paths.js").read_text()
    [pattern] = re.findall(r"const PAGES = /\^(.+)\$/;", script)
    assert pattern.replace("\\/", "/") == page_paths.PATHS.pattern
