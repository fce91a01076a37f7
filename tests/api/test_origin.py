"""Changes with a session by other sites' pages (CSRF), with the headers that real browsers send."""

from __future__ import annotations

import pytest
from falcon.testing import TestClient

from api.app import create_app
from api.context import Context
from api.http.origin import PageHeaders, is_foreign, is_unknown
from tests.api.conftest import AUTH, KEY, with_settings
from tests.api.conftest import sign_in as create_session

HTTPS = "https://video.example"
HTTP = "http://192.168.1.5:8000"


def page(site: str | None, origin: str | None, referer: str | None = None, host: str = "video.example") -> PageHeaders:
    return PageHeaders(fetch_site=site, origin=origin, referer=referer, host=host)


@pytest.mark.parametrize(
    ("headers", "root_url"),
    [
        pytest.param(page("same-origin", HTTPS), HTTPS, id="a browser of today"),
        pytest.param(page(None, HTTPS), HTTPS, id="Safari before 16.4 and old WebViews send no Sec-Fetch-Site"),
        pytest.param(page(None, HTTP, host="192.168.1.5:8000"), HTTP, id="plain http: browsers send no Sec-Fetch-Site"),
        pytest.param(page(None, None, f"{HTTPS}/"), HTTPS, id="Firefox before 70: only Referer"),
        pytest.param(page("same-origin", "null"), HTTPS, id="a proxy sets Referrer-Policy: no-referrer"),
        pytest.param(page("same-origin", None), HTTPS, id="an extension removes Origin"),
        pytest.param(page("same-origin", HTTPS, host="10.0.0.7:8000"), HTTPS, id="a proxy sends another Host"),
        pytest.param(page(None, HTTPS, host="10.0.0.7:8000"), HTTPS, id="the same, in an old browser"),
        pytest.param(page(None, "https://VIDEO.example:443"), HTTPS, id="default port and letter case"),
        pytest.param(
            page(None, "https://tunnel.example", host="tunnel.example"), "http://127.0.0.1:8000", id="a tunnel"
        ),
        pytest.param(
            page(None, "http://localhost:8000", host="localhost:8000"), "http://127.0.0.1:8000", id="localhost"
        ),
        pytest.param(page(None, "http://localhost:8000", host="localhost:8000"), HTTPS, id="over an SSH tunnel"),
        pytest.param(page(None, "http://[::1]:8000", host="[::1]:8000"), "http://[::1]:8000", id="IPv6"),
    ],
)
def test_our_own_page_is_recognized(headers: PageHeaders, root_url: str) -> None:
    assert not is_foreign(headers, root_url)
    assert not is_unknown(headers)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(page("cross-site", "https://attacker.example"), id="another site"),
        pytest.param(page("cross-site", None), id="another site, without Origin"),
        pytest.param(page("same-site", "https://other.video.example"), id="another host of the same domain"),
        pytest.param(page("cross-origin", HTTPS), id="an unknown word"),
        pytest.param(page(None, "https://attacker.example"), id="another site, in an old browser"),
        pytest.param(page(None, "https://attacker.example", f"{HTTPS}/"), id="Origin counts more than Referer"),
        pytest.param(page(None, None, "https://attacker.example/video.example"), id="only Referer"),
        pytest.param(page(None, None, "https://video.example.attacker.example/"), id="our name as a prefix"),
        pytest.param(page(None, None, "https://video.example@attacker.example/"), id="our name as a user"),
        pytest.param(page(None, "null"), id="a sandboxed frame, in an old browser"),
        pytest.param(page("cross-site", "null"), id="a sandboxed frame"),
        pytest.param(page("none", "null"), id="a form in a file"),
        pytest.param(page("same-origin", "https://attacker.example"), id="Safari 18: another site's form, reloaded"),
        pytest.param(page("none", "https://attacker.example"), id="another site's form, sent again from the history"),
        pytest.param(page(None, "http://video.example"), id="an unencrypted page of our name"),
        pytest.param(page(None, "https://video.example:8443"), id="another port"),
        pytest.param(page(None, f"{HTTPS}, https://attacker.example"), id="Origin twice"),
        pytest.param(page(None, ""), id="empty"),
        pytest.param(page(None, "https://"), id="no host"),
        pytest.param(page(None, "https://video.example:99999999"), id="no port"),
        pytest.param(page(None, "https://[::1"), id="malformed"),
        pytest.param(page(None, "file://video.example"), id="another scheme"),
    ],
)
def test_other_pages_are_refused(headers: PageHeaders) -> None:
    assert is_foreign(headers, HTTPS)


def test_a_change_with_a_session_needs_our_own_page(context: Context) -> None:
    client = TestClient(create_app(with_settings(context, public_url=HTTPS)))
    cookie = {"Cookie": f"__Host-vidprod_session={create_session(context)}", "Host": "video.example"}

    def change(method: str = "POST", **headers: str) -> tuple[int, str | None]:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = client.simulate_request(method, "/jobs/x/cancel", headers=cookie | given)
        return answer.status_code, answer.json.get("code")

    assert change(Origin=HTTPS) == (404, "not_found")
    assert change(Origin="https://attacker.example") == (403, "foreign_page")
    assert change(Origin="null") == (403, "foreign_page")
    assert change(Referer="https://attacker.example/") == (403, "foreign_page")
    assert change() == (403, "origin_needed")
    assert (
        client.simulate_post("/jobs/x/cancel", headers=AUTH | {"Origin": "null"}).status_code == 404
    )  # a key is proof


def test_another_site_cannot_sign_a_browser_in_or_out(context: Context) -> None:
    """Signed in with the attacker's key, the owner would upload for the attacker."""
    client = TestClient(create_app(with_settings(context, public_url=HTTPS)))
    foreign = {"Origin": "https://attacker.example", "Host": "video.example"}

    answer = client.simulate_post("/login", json={"key": KEY}, headers=foreign | {"Content-Type": "text/plain"})
    assert (answer.status_code, answer.cookies) == (403, {})
    token = create_session(context)
    for headers in (foreign, {"Host": "video.example"}):
        cookie = {"Cookie": f"__Host-vidprod_session={token}"}
        assert client.simulate_delete("/login", headers=headers | cookie).status_code == 403
        assert client.simulate_get("/jobs", headers=cookie).status_code == 200


def test_the_page_lets_browsers_tell_its_origin(context: Context) -> None:
    """With `no-referrer` Chrome and Firefox send `Origin: null` with forms of the page itself."""
    client = TestClient(create_app(context))
    assert client.simulate_get("/").headers["referrer-policy"] == "same-origin"
    assert client.simulate_get("/jobs").headers["referrer-policy"] == "no-referrer"
