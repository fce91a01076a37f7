"""Connecting accounts, against the mock platforms over real HTTP; attacks on the login."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from http.cookies import SimpleCookie
from urllib.parse import urlsplit

import pytest
from falcon.testing import TestClient

from api.app import create_app
from api.context import Context
from api.http import connect_cookie, problem_page
from api.http.connect_cookie import MAX_DELETED, MAX_PENDING
from api.http.problems import Problem
from store import Store, accounts
from store.owners import DEFAULT_OWNER
from tests.api.conftest import AUTH, sign_in, with_settings
from tests.api.visitor import PREFIX, Visitor
from tests.support.clock import Clock


def listed(context: Context) -> list[accounts.Account]:
    with context.store.reading() as connection:
        return accounts.list_all(connection)


@pytest.fixture
def visitor(registered: Context) -> Visitor:
    return Visitor(registered)


@pytest.mark.parametrize("platform", ["tiktok", "instagram", "youtube"])
def test_an_account_is_connected_by_going_there_and_back(visitor: Visitor, registered: Context, platform: str) -> None:
    back = visitor.come_back(platform, visitor.connect(f"/connect/{platform}"))

    assert (back.status_code, back.headers["location"], visitor.pending()) == (303, "/accounts", [])
    found = visitor.get("/accounts").json["accounts"]
    assert {(one["platform"], one["status"]) for one in found} == {(platform, "connected")}
    assert all(one["name"] for one in found)
    assert all(one.tokens for one in listed(registered))
    assert "token" not in visitor.get("/accounts").text


def test_connecting_again_keeps_the_account(visitor: Visitor, registered: Context) -> None:
    for _ in range(2):
        assert visitor.come_back("tiktok", visitor.connect("/connect/tiktok")).status_code == 303

    assert len(listed(registered)) == 1


def test_a_login_that_somebody_else_began_is_refused(visitor: Visitor, registered: Context) -> None:
    """The attacker begins a login, consents with the own account, and sends the callback's address to the owner.

    Without the binding the owner's videos would be published on the attacker's account.
    """
    attacker = Visitor(registered)
    said = attacker.connect("/connect/tiktok")

    answer = visitor.come_back("tiktok", said)

    assert (answer.status_code, answer.json["code"]) == (400, "connect_unknown")
    assert "in this browser" in answer.json["detail"]
    assert listed(registered) == []
    assert attacker.come_back("tiktok", said).status_code == 303  # the attempt has not used it up


def test_a_person_sees_a_page_with_the_reason(visitor: Visitor, registered: Context) -> None:
    """Browsers open these addresses; a JSON document would not tell the person what to do."""
    said = Visitor(registered).connect("/connect/tiktok")
    query = f"state={said['state']}&code=<script>"
    answer = visitor.get(f"/connect/tiktok/callback?{query}", Accept="text/html,application/xhtml+xml,*/*;q=0.8")

    assert (answer.status_code, answer.headers["content-type"]) == (400, "text/html; charset=utf-8")
    assert "was not begun in this browser" in answer.text
    policy = str(answer.headers["content-security-policy"])
    assert "script-src 'self'" in policy
    assert "sandbox" not in policy
    assert answer.headers["cache-control"] == "no-store"


def test_what_a_platform_says_is_no_markup() -> None:
    text = problem_page.page(Problem(422, "connect_failed", "<b>no</b> & 'none'"))
    assert "<b>" not in text
    assert "&lt;b&gt;no&lt;/b&gt; &amp; &#x27;none&#x27;." in text


def test_the_cookie_of_another_login_is_no_help(visitor: Visitor, registered: Context) -> None:
    """Also under the name of the cookie that is looked for."""
    said, foreign = visitor.connect("/connect/tiktok"), Visitor(registered).connect("/connect/tiktok")
    [name] = visitor.pending()
    visitor.cookies[f"{PREFIX}{foreign['state'][:12]}"] = visitor.cookies[name]

    assert visitor.come_back("tiktok", foreign).status_code == 400
    assert visitor.come_back("tiktok", said | {"state": said["state"][:-1] + "!"}).status_code == 400
    assert listed(registered) == []


def test_a_state_works_once_even_with_its_cookie(visitor: Visitor, registered: Context) -> None:
    """A replay by somebody who has copied the browser's cookies before."""
    said = visitor.connect("/connect/tiktok")
    copied = dict(visitor.cookies)
    assert visitor.come_back("tiktok", said).status_code == 303

    assert visitor.come_back("tiktok", said).json["code"] == "connect_unknown"  # the cookie is gone
    visitor.cookies = copied
    assert visitor.come_back("tiktok", said).json["code"] == "connect_used"


def test_of_two_simultaneous_callbacks_one_is_accepted(visitor: Visitor, registered: Context) -> None:
    said = visitor.connect("/connect/tiktok")
    twins = [Visitor(registered, session=False) for _ in range(4)]
    for twin in twins:
        twin.cookies = dict(visitor.cookies)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda twin: twin.come_back("tiktok", said).status_code, twins))
    assert sorted(answers) == [303, 400, 400, 400]


def test_a_state_belongs_to_its_platform(visitor: Visitor, registered: Context) -> None:
    """A mix-up: one platform's code must not be sent to another one's token endpoint."""
    said = visitor.connect("/connect/tiktok")
    assert visitor.come_back("youtube", said).json["code"] == "connect_unknown"
    assert visitor.come_back("instagram", said).json["code"] == "connect_unknown"
    assert visitor.come_back("tiktok", said).status_code == 303


@pytest.mark.parametrize(
    "query", ["", "state=x&code=y", "code=y", "state=&code=y", f"state={'x' * 43}&code=y", "state=%00&state=b&code=y"]
)
def test_a_state_of_nobody_is_refused_without_a_write(
    visitor: Visitor, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The callback is public: it must not wait for the write lock, or fill the database."""
    monkeypatch.setattr(Store, "writing", lambda _: pytest.fail("written"))
    assert visitor.get(f"/connect/tiktok/callback?{query}").status_code == 400


def test_beginning_a_login_writes_nothing(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "writing", lambda _: pytest.fail("written"))
    assert visitor.connect("/connect/tiktok")


@pytest.mark.parametrize("sealed", ["", "x", "gAAAA" * 40])
def test_a_forged_cookie_is_refused(visitor: Visitor, sealed: str) -> None:
    state = "s" * 43
    visitor.cookies[f"{PREFIX}{state[:12]}"] = sealed
    assert visitor.come_back("tiktok", {"state": state, "code": "c"}).status_code == 400


def test_other_sealed_values_are_no_logins(visitor: Visitor, registered: Context) -> None:
    """A ticket is in an address, which may be known to others; as a cookie it must not count."""
    login = connect_cookie.begin(DEFAULT_OWNER, "tiktok", "tiktok", registered.now())
    ticket = connect_cookie.create_ticket(registered.sealer, login, "").partition("ticket=")[2].replace("%3D", "=")
    assert connect_cookie.read_ticket(registered.sealer, ticket, "tiktok", registered.now()) == login

    visitor.cookies[f"{PREFIX}{login.state[:12]}"] = ticket
    assert visitor.come_back("tiktok", {"state": login.state, "code": "c"}).status_code == 400


def test_who_takes_too_long_begins_again(visitor: Visitor, clock: Clock) -> None:
    said = visitor.connect("/connect/tiktok")
    clock.move(minutes=10)

    assert visitor.come_back("tiktok", said).json["code"] == "connect_unknown"


def test_logins_in_two_tabs_do_not_disturb_each_other(visitor: Visitor) -> None:
    first, second = visitor.connect("/connect/tiktok"), visitor.connect("/connect/tiktok")
    other = visitor.connect("/connect/youtube")
    for platform, said in (("tiktok", first), ("youtube", other), ("tiktok", second)):
        assert visitor.come_back(platform, said).status_code == 303


def test_logins_that_never_come_back_do_not_fill_the_browser(visitor: Visitor) -> None:
    """Headers above 32 kB are refused: the page would be locked for ten minutes."""
    for _ in range(3 * MAX_PENDING):
        visitor.get("/connect/tiktok")
    assert len(visitor.pending()) <= MAX_PENDING


def test_a_page_at_another_address_of_the_machine_can_connect(registered: Context) -> None:
    """The page is open at localhost, and the platform returns to 127.0.0.1, which does not get its cookies."""
    page = Visitor(registered, host="localhost:8000")
    begun = page.get("/connect/tiktok")
    assert begun.headers["location"].startswith("http://127.0.0.1:8000/connect/tiktok/begin?ticket=")

    elsewhere = Visitor(registered, session=False)
    assert elsewhere.come_back("tiktok", elsewhere.connect(begun.headers["location"])).status_code == 303
    assert len(listed(registered)) == 1


def test_a_program_gets_an_address_for_the_browser_of_the_owner(registered: Context) -> None:
    begun = TestClient(create_app(registered), headers=AUTH).simulate_get("/connect/tiktok")
    ticket = begun.headers["location"]
    assert begun.status_code == 303
    assert not begun.cookies

    owner = Visitor(registered, session=False)
    said = owner.connect(ticket)
    assert Visitor(registered, session=False).come_back("tiktok", said).status_code == 400  # not who opened it
    assert owner.come_back("tiktok", said).status_code == 303

    copy = Visitor(registered, session=False)  # the ticket is used up
    assert copy.come_back("tiktok", copy.connect(ticket)).json["code"] == "connect_used"


def test_a_ticket_is_for_its_platform_and_ten_minutes(registered: Context, clock: Clock) -> None:
    begun = TestClient(create_app(registered), headers=AUTH).simulate_get("/connect/tiktok")
    ticket, visitor = begun.headers["location"], Visitor(registered, session=False)

    assert visitor.get(ticket.replace("/tiktok/", "/youtube/")).status_code == 400
    assert visitor.get("/connect/tiktok/begin?ticket=x").json["code"] == "connect_unknown"
    clock.move(minutes=10)
    assert visitor.get(ticket).status_code == 400
    assert visitor.pending() == []


def test_another_sites_page_cannot_begin_a_login_with_the_session(visitor: Visitor) -> None:
    """It could sign the browser in at the platform first, with an account of its own."""
    for foreign in ({"Sec_Fetch_Site": "cross-site"}, {"Referer": "https://attacker.example/"}):
        assert visitor.get("/connect/tiktok", **foreign).json["code"] == "foreign_page"
    assert visitor.pending() == []
    assert visitor.get("/connect/tiktok", Sec_Fetch_Site="none").status_code == 303  # typed, or a bookmark


def test_with_https_the_cookie_is_bound_to_this_host(registered: Context) -> None:
    secured = with_settings(registered, public_url="https://video.example")
    begun = Visitor(secured).get("/connect/tiktok")
    [header] = [value for name, value in begun.headers.items() if name.lower() == "set-cookie"]
    [(name, morsel)] = SimpleCookie(header).items()
    assert name.startswith(f"__Host-{PREFIX}")
    assert (morsel["secure"], morsel["httponly"], morsel["path"], morsel["domain"]) == (True, True, "/", "")
    assert (morsel["samesite"], morsel["max-age"]) == ("Lax", "600")
    assert "verifier" not in header


def test_a_person_who_says_no_has_no_account(visitor: Visitor, registered: Context) -> None:
    said = visitor.connect("/connect/tiktok")
    refused = {"state": said["state"], "error": "access_denied"}

    assert visitor.come_back("tiktok", refused).json["code"] == "connect_refused"
    assert listed(registered) == []


def test_a_code_of_nobody_is_refused_with_the_platforms_reason(visitor: Visitor) -> None:
    answer = visitor.come_back("tiktok", visitor.connect("/connect/tiktok") | {"code": "forged"})

    assert (answer.status_code, answer.json["code"]) == (422, "connect_failed")


def test_a_platform_without_our_registration_is_named(client: TestClient) -> None:
    answer = client.simulate_get("/connect/tiktok")

    assert (answer.status_code, answer.json["code"]) == (409, "no_client")
    assert client.simulate_get("/connect/myspace").status_code == 404
    assert client.simulate_get("/connect/instagram", params={"variant": "google"}).status_code == 400


def test_a_disconnected_account_is_gone_with_its_tokens(visitor: Visitor, registered: Context) -> None:
    visitor.come_back("tiktok", visitor.connect("/connect/tiktok"))
    [known] = listed(registered)
    client = TestClient(create_app(registered), headers=AUTH)

    assert client.simulate_delete(f"/accounts/{known.id}").status_code == 204

    assert listed(registered) == []
    with registered.store.reading() as connection:
        kept = accounts.get(connection, known.id)
    assert kept is not None
    assert kept.tokens is None
    assert client.simulate_delete(f"/accounts/{known.id}").status_code == 404


@pytest.mark.parametrize("name", ["(a)", "a b", "a,b", "\xe9" * 3, "{number:012d}"])
def test_cookies_that_another_page_has_set_do_not_prevent_a_login(name: str, registered: Context) -> None:
    """Without https another host of the domain can set cookies of any name."""
    set_by_others = [f"{PREFIX}{name.format(number=number)}{'' if '{' in name else number}=x" for number in range(90)]
    cookie = "; ".join([f"vidprod_session={sign_in(registered)}", *set_by_others])
    client = TestClient(create_app(registered))

    begun = client.simulate_get("/connect/tiktok", headers={"Cookie": cookie, "Host": root_host(registered)})

    assert begun.status_code == 303, begun.text
    assert len(begun.cookies) <= MAX_DELETED + 1


def root_host(context: Context) -> str:
    return urlsplit(context.settings.root_url).netloc
