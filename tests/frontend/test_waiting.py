"""The answers 429 and 503 with Retry-After, and the loss of the network: the page says so, waits and goes on."""

import time

from tests.frontend import samples
from tests.frontend.browser import READY, Browser
from tests.frontend.stand_in import KEY, StandIn
from tests.frontend.test_status import open_job

BUSY = (503, "the server is busy")


def announced(page: Browser) -> None:
    """Record what is announced from now on."""
    page.run(
        "window.said = [];"
        "const region = document.querySelector('#announcer');"
        "const keep = () => window.said.push(region.textContent);"
        "new MutationObserver(keep).observe(region, { childList: true, characterData: true, subtree: true });"
    )


def asked(api: StandIn, path: str) -> int:
    return sum(found == path for _, found, _ in api.asked)


def test_a_locked_sign_in_counts_down_and_comes_back(page: Browser, api: StandIn) -> None:
    api.needs_login = True
    api.problems["POST /login"] = (429, "too many wrong keys")
    api.retry_after_s = 2
    page.open(api.url).fill("#key", KEY)
    announced(page)
    page.click("#sign-in button")
    page.until_text("#sign-in button", "Try again in")
    assert not page.run("return document.querySelector('#sign-in button').matches(':enabled')")
    del api.problems["POST /login"]
    page.until_text("#sign-in button", "Sign in")
    assert page.text_content("#sign-in-error") == ""
    assert page.run("return window.said") == ["You can try again now."]
    page.click("#sign-in button")
    page.find("#view-new")
    assert page.refusals() == ["/jobs 401", "/login 429"]


def test_polling_waits_as_long_as_the_server_asks(page: Browser, api: StandIn) -> None:
    open_job(page, api, samples.processing())
    announced(page)
    path = "/status/job-processing"
    api.problems[f"GET {path}"] = BUSY
    api.retry_after_s = 4
    page.until_text("[data-key=trouble]", "The server is busy. This is how it stood today at")
    page.until_text("[data-key=trouble]", "Trying again in 3 s.")
    count = asked(api, path)
    with page.hidden():  # a page that is shown again asks at once, but not before the time
        pass
    del api.problems[f"GET {path}"]
    page.until_text("[data-key=trouble]", "Trying again in 1 s.")
    assert asked(api, path) == count
    page.until("the notice to go", lambda: not page.visible("[data-key=trouble]"))
    assert page.run("return window.said") == ["The server is busy."], "once, not each second"
    assert set(page.refusals()) == {f"{path} 503"}


def test_an_action_that_was_refused_can_be_repeated_when_the_time_is_over(page: Browser, api: StandIn) -> None:
    """The refusal stays although polls succeed meanwhile; the buttons come back by themselves."""
    open_job(page, api, samples.held())
    api.problems["POST /publications/p2/retry"] = (429, "too many requests")
    api.retry_after_s = 6
    announced(page)
    page.click("[data-key=part-2] [data-action=repost]")
    page.until_text("[data-key=refusal]", "Too many requests. You can try again in")
    assert not page.run("return document.querySelector('[data-action=repost]').matches(':enabled')")
    polls = asked(api, "/status/job-held")
    page.until("a poll", lambda: asked(api, "/status/job-held") > polls)
    assert page.visible("[data-key=refusal]")
    del api.problems["POST /publications/p2/retry"]
    page.until("the notice to go", lambda: not page.visible("[data-key=refusal]"))
    assert page.run("return window.said") == [
        "Too many requests. You can try again in 6\xa0s.", "You can try again now.",
    ]  # fmt: skip
    page.click("[data-key=part-2] [data-action=repost]")
    page.until("the retry", lambda: ("POST", "/publications/p2/retry", 202) in api.asked)
    assert page.refusals() == ["/publications/p2/retry 429"]


def test_an_action_without_an_answer_says_so_until_the_next_one(page: Browser, api: StandIn) -> None:
    open_job(page, api, samples.held())
    api.problems["POST /publications/p2/retry"] = (409, "the part is being published")
    page.click("[data-key=part-2] [data-action=repost]")
    page.until_text("[data-key=refusal]", "The part is being published.")
    assert page.run("return document.activeElement.dataset.action") == "repost"
    polls = asked(api, "/status/job-held")
    page.until("a poll", lambda: asked(api, "/status/job-held") > polls)
    assert page.visible("[data-key=refusal]")
    assert page.refusals() == ["/publications/p2/retry 409"]


def test_the_first_request_waits_and_then_the_page_opens_by_itself(page: Browser, api: StandIn) -> None:
    api.problems["GET /jobs"] = BUSY
    api.retry_after_s = 2
    page.open(api.url).until_text("#offline", "The server is busy.")
    page.until_text("#offline-again", "Try again in")
    del api.problems["GET /jobs"]
    page.find("#view-new")
    assert page.refusals() == ["/jobs 503"]


def test_lists_wait_and_load_by_themselves(page: Browser, api: StandIn) -> None:
    page.open(f"{api.url}accounts").until_text("#accounts", "Mara Talks")
    page.find(READY)
    api.problems |= {"GET /accounts": BUSY, "GET /jobs": BUSY}
    api.retry_after_s = 3
    with page.hidden():
        pass
    page.until_text("#accounts", "The server is busy. You can try again in")
    assert page.visible("#accounts ul"), "what is known stays"
    page.click("nav a[href='/videos']")
    page.until_text("#recent", "The server is busy. Trying again in")
    api.problems.clear()
    page.until("the notice to go", lambda: not page.visible("#recent .field-error"))
    assert set(page.refusals()) == {"/jobs 503", "/accounts 503"}


def test_a_setting_that_was_not_saved_is_shown_as_it_was(page: Browser, api: StandIn) -> None:
    api.problems["PATCH /accounts/a3"] = (429, "too many requests")
    api.retry_after_s = 2
    page.open(f"{api.url}accounts").until_text("#accounts", "Mara Talks")
    page.click("[data-account=a3]")
    page.until_text("#accounts", "Too many requests. You can try again in")
    assert not page.run("return document.querySelector('[data-account=a3]').checked")
    del api.problems["PATCH /accounts/a3"]
    enabled = "return document.querySelector('[data-account=a3]').matches(':enabled')"
    page.until("the setting to come back", lambda: page.run(enabled))
    page.click("[data-account=a3]")
    page.until("the setting to arrive", lambda: api.accounts[2].get("after_failure") == "continue")
    assert page.refusals() == ["/accounts/a3 429"]


def test_a_webhook_that_cannot_be_enabled_now_can_be_later(page: Browser, api: StandIn) -> None:
    api.endpoints = [{
        "id": "ep_2", "url": "https://hooks.example.com/hook", "state": "disabled", "disabled_code": "failing",
        "disabled_at": "2026-11-22T10:00:00Z", "last_error": "HTTP 503", "missed": {"count": 3, "since": None},
    }]  # fmt: skip
    api.problems["PATCH /webhooks/ep_2"] = (429, "too many requests")
    api.retry_after_s = 2
    page.open(f"{api.url}settings").click("#ep_2")
    page.until_text("#webhooks", "Too many requests.")
    page.until_text("#ep_2", "Try again in")
    del api.problems["PATCH /webhooks/ep_2"]
    page.until_text("#ep_2", "Enable and send")
    page.click("#ep_2")
    page.until("the button to go", lambda: not page.visible("#ep_2"))
    assert page.refusals() == ["/webhooks/ep_2 429"]


def test_a_lost_network_is_said_on_each_view_and_found_again_at_once(page: Browser, api: StandIn) -> None:
    page.open(f"{api.url}videos").find(READY)
    assert page.text_content("#connection") == ""
    page.offline(True)
    page.until_text("#connection", "You are offline.")
    before = asked(api, "/jobs")
    page.offline(False)
    page.until("the message to go", lambda: page.text_content("#connection") == "")
    page.until("a poll", lambda: asked(api, "/jobs") > before, patience_s=5)  # the next one was due in 30 s
    assert all("ERR_INTERNET_DISCONNECTED" in message for message in page.complaints())


def test_a_request_from_before_the_network_came_back_is_given_up(page: Browser, api: StandIn) -> None:
    """Its answer may never come: without this the page would stay silent for the rest of the time limit of 20 s."""
    open_job(page, api, samples.processing())
    api.held_back.add("GET /status/job-processing")
    page.wait(2.5)  # the next poll, which gets no answer
    api.held_back.clear()
    api.jobs["job-processing"]["title"] = "After the tunnel"
    began = time.monotonic()
    page.run("window.dispatchEvent(new Event('online'))")
    page.until_text("#job-title", "After the tunnel")
    assert time.monotonic() - began < 10
    api.release.set()


def test_signing_out_on_all_devices_asks_first(page: Browser, api: StandIn) -> None:
    api.needs_login = True
    page.open(api.url).fill("#key", KEY)
    page.click("#sign-in button")
    page.click("nav a[href='/settings']")
    page.click("#sign-out-everywhere")
    page.until_text("#question", "Every browser that uses this key has to sign in again")
    page.click("#question-no")
    assert api.sign_outs == []
    page.click("#sign-out-everywhere")
    page.click("#question-yes")
    page.find("#sign-in")
    assert api.sign_outs == [True]
    assert page.refusals() == ["/jobs 401"]


def test_a_waiting_time_is_read_in_each_of_its_forms(page: Browser, api: StandIn) -> None:
    """A number, a date, nothing usable; never more than a timer can hold, which would end at once."""
    page.open(api.url)
    later = "new Date(Date.now() + 90000).toUTCString()"
    script = f"""
      const read = (value) => import('/static/api.js').then((api) => api.readProblem(503, value, '').retryAfterS);
      return Promise.all(['12', ' 0 ', {later}, 'Mon, 02 Jan 2006 15:04:05 GMT', 'soon', null, '9999999999'].map(read));
    """
    found = page.run(script)
    assert found[:2] + found[3:] == [12, 0, 0, None, None, 86_400]
    assert 88 <= found[2] <= 90
