"""The page of the settings: API keys, webhooks and the server; in a real browser."""

from api.context import Context
from store import api_keys
from store.api_keys import ApiKey
from tests.api.conftest import KEY, clock, context
from tests.frontend.browser import Browser
from tests.frontend.real_api import signed_in
from tests.frontend.stand_in import StandIn

__all__ = ["clock", "context"]  # fixtures


def test_a_key_is_made_shown_once_and_revoked(page: Browser, api: StandIn) -> None:
    page.open(f"{api.url}settings").until_text("#keys", "No key has been made here.")
    page.fill("#key-name", "laptop")
    page.click("#keys form button")
    page.until_text("#keys .once", "vidprod_of_this_test")
    page.until_text("#keys li", "laptop")
    page.fill("#key-name", "laptop")
    page.click("#keys form button")
    page.until_text("#key-error", "There is a key with this name.")
    page.click("nav a[href='/videos']")
    page.click("nav a[href='/settings']")
    page.until_text("#keys li", "laptop")
    assert not page.visible("#keys .once")
    page.click("[data-revoke]")
    page.until_text("#question", "Revoke “laptop”?")
    page.click("#question-yes")
    page.until_text("#keys", "No key has been made here.")
    assert api.keys == []
    assert page.refusals() == ["/keys 409"]


def test_a_webhook_is_added_tested_and_removed(page: Browser, api: StandIn) -> None:
    page.open(f"{api.url}settings").fill("#webhook-url", "https://hooks.example.com/vidprod")
    page.click("#webhooks form button")
    page.until_text("#webhooks .once", "whsec_of_this_test")
    page.until_text("#webhooks", "HMAC-SHA256")
    assert [one["url"] for one in api.endpoints] == ["https://hooks.example.com/vidprod"]
    page.click("[data-do=deliveries]")
    page.until_text(".deliveries", "HTTP 503, 84 ms")
    assert not page.visible("#webhooks .once")  # the secret is not left on the screen
    page.click("[data-key=d2] [data-do=again]")
    page.until_text("[data-key=d2]", "Waiting")
    page.click("[data-do=test]")
    page.until_text("#webhooks", "Sent. The outcome is in the list of deliveries.")
    page.click("[data-do=deliveries]")
    page.until_text("[data-key=d9]", "Delivered")
    page.click("[data-do=remove]")
    page.click("#question-yes")
    page.until("the webhook to go", lambda: not page.visible("#webhooks li"))
    assert api.endpoints == []


def test_a_refused_address_says_why_and_stays(page: Browser, api: StandIn) -> None:
    api.problems["POST /webhooks"] = (422, "url: leads to a private network")
    page.open(f"{api.url}settings").fill("#webhook-url", "http://10.0.0.1/")
    page.click("#webhooks form button")
    page.until_text("#webhooks .field-error:not(:empty)", "leads to a private network")
    assert page.run("return document.querySelector('#webhook-url').value") == "http://10.0.0.1/"
    assert page.refusals() == ["/webhooks 422"]


def test_the_server_says_what_it_is_set_to_and_how_it_is(page: Browser, api: StandIn) -> None:
    page.open(f"{api.url}settings").until_text("#server", "Everything works")
    shown = page.text("#server")
    for text in ("1.4.0", "https://videos.example.com", "Parts go out without asking", "500 MB", "Every 24 hours"):
        assert text in shown.replace("\xa0", " ")
    api.failing_check = "write_lock"
    page.open("about:blank").open(f"{api.url}settings").until_text("#server", "Needs attention: write lock")
    assert page.refusals() == ["/health 503"]


def test_a_deleted_key_of_this_browser_asks_to_sign_in(page: Browser, api: StandIn) -> None:
    api.keys = [{"id": "k", "name": "mine", "created_at": "2026-11-22T10:00:00Z", "sessions": 1, "is_own": True}]
    page.open(f"{api.url}settings").until_text("#keys li", "mine (this browser)")
    page.click("[data-revoke]")
    page.until_text("#question", "also this one")
    api.problems["GET /keys"] = (401, "sign in first")
    page.click("#question-yes")
    page.find("#sign-in")
    assert page.refusals() == ["/keys 401"]


def test_each_owner_sees_the_own_keys(window: Browser, context: Context) -> None:
    """The operator's names, and that there are keys in the environment, are the operator's alone."""
    bens = _add_key(context, "ben", "tablet")
    _add_key(context, "default", "phone")
    with signed_in(window, context, "settings", "#keys li", bens) as page:
        page.until_text("#keys li", "tablet (this browser)")
        assert page.run("return document.querySelectorAll('#keys li, #keys [data-key=unstored]').length") == 1
    with signed_in(window, context, "settings", "#keys li", KEY) as page:
        page.until_text("#keys [data-key=unstored]", "set in the environment")
        page.until_text("#keys li", "phone")
        assert page.run("return document.querySelectorAll('#keys li').length") == 1


def _add_key(context: Context, owner_id: str, name: str) -> str:
    key = api_keys.new_key()
    record = ApiKey(
        id=f"key_{owner_id}", owner_id=owner_id, name=name, key_hash=api_keys.hash_key(key), created_at=context.now()
    )
    with context.store.writing(scope="everything") as connection:
        api_keys.add(connection, record)
    return key
