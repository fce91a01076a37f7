"""Notices in a real browser: the control on the page, and the part of the service worker that shows them.

Headless Chromium has no way to a push service, so `pushManager` is replaced for the control; messages are delivered to
the real service worker by the DevTools protocol.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors import wiring
from actors.flow.notices import record
from store import Store
from store.owners import DEFAULT_OWNER
from store.states import NoticeKind, PublicationStatus
from tests.actors.conftest import engine, store
from tests.actors.notice_run import NoticeRun
from tests.frontend.browser import DESKTOP, PHONE, READY, Browser, Screen, browser, chromedriver, require_chromedriver
from tests.frontend.fake_push import ENDPOINT, fake_push
from tests.frontend.samples import job
from tests.frontend.stand_in import VAPID_KEY, StandIn
from tests.support.push_service import push_service

__all__ = ["engine", "store"]  # fixtures

OTHER_KEY = base64.urlsafe_b64encode(b"\x04" + bytes(64)).decode().rstrip("=")


class NoticePage:
    """The page in a browser with a replaced push service."""

    def __init__(self, window: Browser, api: StandIn) -> None:
        self.window = window
        self.api = api
        self._scripts: list[str] = []

    def open(
        self,
        permission: str = "default",
        answer: str = "granted",
        failure: str = "",
        existing: tuple[str, str] | None = None,
        more: str = "",
        path: str = "settings",
    ) -> Browser:
        script = fake_push(permission, answer, failure, existing)
        self.close()
        added = self.window.devtools("Page.addScriptToEvaluateOnNewDocument", source=more + script)
        self._scripts.append(added["identifier"])
        self.window.open(f"{self.api.url}{path}")
        return self.window

    def asked(self) -> list[str]:
        return list(self.window.run("return window.asked"))

    def close(self) -> None:
        for identifier in self._scripts:
            self.window.devtools("Page.removeScriptToEvaluateOnNewDocument", identifier=identifier)
        self._scripts.clear()


@pytest.fixture
def notices(page: Browser, api: StandIn) -> Iterator[NoticePage]:
    made = NoticePage(page, api)
    yield made
    made.close()


def test_nobody_is_asked_before_a_press(notices: NoticePage) -> None:
    window = notices.open()
    window.until_text("#notices", "VidProd can tell you when a video is done")
    assert notices.asked() == []
    window.click("#notices-on")
    window.until_text("#notices", "This browser tells you when")
    assert notices.asked() == ["permission after a press", "subscribe"]
    [body] = notices.api.subscribed
    assert body == {
        "endpoint": ENDPOINT, "keys": {"p256dh": "public", "auth": "secret"}, "public_key": VAPID_KEY,
    }  # fmt: skip


def test_a_test_and_switching_off(notices: NoticePage) -> None:
    window = notices.open()
    window.click("#notices-on")
    window.click("#notices-test")
    window.until_text("#notices", "It should appear within a minute")
    window.click("#notices-off")
    window.until_text("#notices", "VidProd can tell you")
    assert notices.asked()[-1] == "unsubscribe"
    assert notices.api.notices["subscriptions"] == []
    assert ("POST", "/notices/test", 202) in notices.api.asked


@pytest.mark.parametrize(
    ("fake", "words"),
    [
        ({"permission": "denied"}, "You have blocked notices of this page."),
        ({"answer": "denied"}, "You have blocked notices of this page."),
        ({"answer": "default"}, "The browser did not allow it."),
        ({"failure": "AbortError"}, "The browser could not reach its push service."),
        ({"more": "delete window.PushManager;"}, "This browser cannot receive notices."),
        (
            {"more": "Object.defineProperty(navigator, 'standalone', { value: false }); delete window.PushManager;"},
            "put VidProd on your Home Screen first",
        ),
        ({"more": "Object.defineProperty(window, 'isSecureContext', { value: false });"}, "only from pages with https"),
    ],
)
def test_each_state_has_its_words(notices: NoticePage, fake: dict[str, Any], words: str) -> None:
    if "delete" in fake.get("more", ""):  # the replacement needs what the browser lacks
        notices.window.open("about:blank")
        added = notices.window.devtools("Page.addScriptToEvaluateOnNewDocument", source=fake["more"])
        try:
            window = notices.window.open(f"{notices.api.url}settings")
            window.until_text("#notices", words)
        finally:
            notices.window.devtools("Page.removeScriptToEvaluateOnNewDocument", identifier=added["identifier"])
        assert not window.visible("#notices button")
        return
    window = notices.open(**fake)
    window.until_text("#notices", "")
    if "answer" in fake or "failure" in fake:
        window.click("#notices-on")
    window.until_text("#notices", words)
    assert notices.api.subscribed == []


def test_a_push_service_that_never_answers_is_not_waited_for(notices: NoticePage) -> None:
    """Chromium behind a firewall: `subscribe` neither succeeds nor fails."""
    window = notices.open(failure="silence")
    window.find("#notices-on")
    window.run(
        """
        const address = document.querySelector('script[type=module]').src.replace('app.js', 'notices.js');
        return import(address).then((found) => { found.LIMITS.subscribing = 200; });
        """
    )
    window.click("#notices-on")
    window.until_text("#notices", "could not reach its push service")
    assert window.run("return document.getElementById('notices-on').disabled") is False


def test_a_browser_that_the_server_has_lost_is_told_again(notices: NoticePage) -> None:
    """After a backup was restored, or many failures."""
    window = notices.open(permission="granted", existing=(ENDPOINT, VAPID_KEY))
    window.until("a subscription", lambda: notices.api.subscribed)
    window.until_text("#notices", "This browser tells you when")
    assert notices.asked() == []


def test_a_browser_that_the_server_knows_is_not_told_again(notices: NoticePage) -> None:
    known = {"id": f"sub_{hashlib.sha256(ENDPOINT.encode()).hexdigest()[:32]}", "state": "enabled"}
    notices.api.notices["subscriptions"].append(known)
    window = notices.open(permission="granted", existing=(ENDPOINT, VAPID_KEY))
    window.until_text("#notices", "This browser tells you when")
    assert notices.api.subscribed == []


def test_a_subscription_with_another_key_is_replaced(notices: NoticePage) -> None:
    """Its messages are refused by every push service, and the server would only see 400 and 403."""
    window = notices.open(permission="granted", existing=("https://push.example.net/old", OTHER_KEY))
    window.until("a subscription", lambda: notices.api.subscribed)
    assert [body["endpoint"] for body in notices.api.subscribed] == [ENDPOINT]
    assert notices.asked() == ["unsubscribe", "subscribe"]


def test_a_subscription_that_the_browser_has_dropped_is_made_again(notices: NoticePage) -> None:
    """Chrome sends no event for that."""
    window = notices.open()
    window.click("#notices-on")
    window.until("a subscription", lambda: notices.api.subscribed)
    window = notices.open(permission="granted")
    window.until("another one", lambda: len(notices.api.subscribed) == 2)
    assert notices.asked() == ["subscribe"]


def test_signing_out_ends_the_notices(notices: NoticePage) -> None:
    """Whoever uses the browser next does not read the titles of the videos."""
    window = notices.open()
    window.click("#notices-on")
    window.until("a subscription", lambda: notices.api.notices["subscriptions"])
    window.click("#sign-out")
    window.find("#key")
    assert notices.api.notices["subscriptions"] == []


def test_the_first_upload_is_followed_by_one_offer(notices: NoticePage, clip: Path) -> None:
    notices.api.add_job(job("talk", "processing", 0.1, []))
    window = notices.open(path="videos/talk")
    window.find(READY)
    assert not window.visible("#notices-offer")
    window.click("nav a[href='/new']")
    window.choose_file("#file", clip)
    window.fill("#title", "First")
    window.click("#upload-start")
    window.click("#notices-no")
    window.until("no offer", lambda: not window.visible("#notices-offer"))
    window = notices.open(path="videos/talk")
    window.find(READY)
    assert not window.visible("#notices-offer")
    assert notices.asked() == []


def test_the_offer_is_taken_with_a_press(notices: NoticePage) -> None:
    notices.api.add_job(job("talk", "processing", 0.1, []))
    window = notices.open(path="videos/talk", more="localStorage.setItem('vidprod-uploaded', 'yes');")
    window.click("#notices-yes")
    window.until("a subscription", lambda: notices.api.subscribed)
    window.until("no offer", lambda: not window.visible("#notices-offer"))


def test_services_of_the_operator_are_named(notices: NoticePage) -> None:
    notices.api.notices["urls"] = [
        {"service": "ntfy", "last_status": None, "last_error": None},
        {"service": "mailtos", "last_status": "failed", "last_error": "the service refused the message (HTTP 535)"},
    ]
    window = notices.open()
    window.until_text("#notices", "Notices are also sent by ntfy.")
    window.until_text("#notices", "Notices by e-mail do not arrive: The service refused the message (HTTP 535).")


@pytest.mark.parametrize("screen", [PHONE, DESKTOP, Screen(320, 640, touch=True)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pictures_for_people_who_review(notices: NoticePage, tmp_path: Path, screen: Screen, scheme: str) -> None:
    """Nothing is wider than the screen."""
    notices.api.add_job(job("talk", "processing", 0.1, []))
    window = notices.open(path="videos/talk", more="localStorage.setItem('vidprod-uploaded', 'yes');")
    window.show_on(screen).colour_scheme(scheme)
    window.find("#notices-yes")
    window.screenshot(tmp_path / f"offer-{screen.width}-{scheme}.png")
    assert window.run("return document.documentElement.scrollWidth <= innerWidth")


# --- the service worker


def _until_worker(window: Browser) -> None:
    script = "return (async () => (await navigator.serviceWorker.getRegistration())?.active?.state === 'activated')()"
    window.until("the service worker", lambda: window.run(script))


def _shown(window: Browser) -> list[dict[str, Any]]:
    script = """
        return (async () => (await (await navigator.serviceWorker.getRegistration()).getNotifications())
          .map(({ title, body, tag, data, renotify, silent }) => ({ title, body, tag, data, renotify, silent })))()
    """
    return list(window.run(script))


class WorkerPage:
    """The page with its real service worker, which is allowed to show notifications."""

    def __init__(self, window: Browser, api: StandIn) -> None:
        self.window = window
        self.origin = api.url.rstrip("/")
        window.devtools("Browser.grantPermissions", permissions=["notifications"], origin=self.origin)
        window.open(api.url)
        _until_worker(window)
        window.devtools("ServiceWorker.enable")

    def push(self, text: str) -> None:
        """Deliver a message. The protocol has registrations' ids in events only, so all small ones are tried."""
        for number in range(40):
            self.window.devtools(
                "ServiceWorker.deliverPushMessage", origin=self.origin, registrationId=str(number), data=text
            )

    def notice(
        self, notice: str = "n1", tag: str = "t", job: str | None = "talk", title: str = "1 post needs you"
    ) -> None:
        self.push(json.dumps({"web_push": 8030, "notification": {
            "title": title, "body": "“A talk”: 1 was not published", "tag": tag, "lang": "en", "dir": "auto",
            "navigate": "https://elsewhere.example/", "data": {"notice": notice, "job": job},
        }}))  # fmt: skip


@pytest.fixture(scope="module")
def fresh_window() -> Iterator[Browser]:
    """A browser of this module alone, in which the ids of registrations are small."""
    require_chromedriver()
    with chromedriver() as driver_url, browser(driver_url) as opened:
        yield opened


@pytest.fixture
def worker(fresh_window: Browser, api: StandIn) -> Iterator[WorkerPage]:
    yield WorkerPage(fresh_window.reset(), api)
    assert fresh_window.complaints() == []
    fresh_window.open("about:blank")


def test_a_message_is_shown(worker: WorkerPage) -> None:
    worker.notice()
    worker.window.until("a notification", lambda: _shown(worker.window))
    [shown] = _shown(worker.window)
    assert (shown["title"], shown["body"]) == ("1 post needs you", "“A talk”: 1 was not published")
    assert shown["data"] == {"notice": "n1", "job": "talk"}


def test_a_newer_notice_replaces_the_older_one(worker: WorkerPage) -> None:
    worker.notice("n1", title="1 post needs you")
    worker.window.until("a notification", lambda: _shown(worker.window))
    worker.notice("n2", title="2 posts need you")
    worker.window.until(
        "the newer one", lambda: [one["title"] for one in _shown(worker.window)] == ["2 posts need you"]
    )
    [shown] = _shown(worker.window)
    assert (shown["renotify"], shown["silent"]) == (True, False)


def test_a_notice_that_comes_twice_does_not_ring_twice(worker: WorkerPage) -> None:
    worker.notice("n1")
    worker.window.until("a notification", lambda: [one["silent"] for one in _shown(worker.window)] == [False])
    worker.notice("n1")
    worker.window.until("the same, silent", lambda: [one["silent"] for one in _shown(worker.window)] == [True])


def test_signing_out_removes_the_shown_notices(worker: WorkerPage) -> None:
    """They name videos; whoever uses this browser next must not read them."""
    worker.notice()
    worker.window.until("a notification", lambda: _shown(worker.window))
    worker.window.click("nav a[href='/settings']")
    worker.window.click("#sign-out")
    worker.window.find("#key")
    assert _shown(worker.window) == []


def test_notices_of_two_videos_stand_beside_each_other(worker: WorkerPage) -> None:
    worker.notice("n1", tag="t1")
    worker.notice("n2", tag="t2", job="other")
    worker.window.until("two notifications", lambda: len(_shown(worker.window)) == 2)


@pytest.mark.parametrize("text", ["", "not JSON", "null", "[]", '{"notification": {"title": 7}}'])
def test_a_message_that_cannot_be_read_is_shown_all_the_same(worker: WorkerPage, text: str) -> None:
    """Browsers end subscriptions whose messages show nothing."""
    worker.push(text)
    worker.window.until("a notification", lambda: _shown(worker.window))
    assert _shown(worker.window)[0]["title"] == "VidProd"


def test_what_the_server_sends_is_what_the_worker_shows(
    worker: WorkerPage, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole way but the browser maker's: change of state, actor, push service, decrypted text, notification."""
    with push_service() as service:
        run = NoticeRun(store, service, monkeypatch)
        receiver = run.browser()
        run.add_job(PublicationStatus.ACTION_NEEDED, PublicationStatus.OUTCOME_UNKNOWN)
        with run.writing() as connection:
            record(wiring.machine, connection, DEFAULT_OWNER, "job:job", NoticeKind.NEEDS_YOU)
        run.send()
    worker.push(json.dumps(receiver.received[0]))
    worker.window.until("a notification", lambda: _shown(worker.window))
    [shown] = _shown(worker.window)
    body = "“A talk”: 1 waits as a draft in the TikTok app and 1 may or may not be published"
    assert (shown["title"], shown["body"], shown["data"]["job"]) == ("2 posts need you", body, "job")
    assert shown["tag"] == service.requests[0]["topic"]


# The handlers of the service worker, run in the page with replaced clients: the protocol cannot press a notification.
HANDLERS = """
    const calls = [];
    const { windows, notification, old } = arguments[0];
    const client = (name, visibilityState, path = '/') => ({
      url: location.origin + path, visibilityState, postMessage: (data) => calls.push([name, data]),
      focus: async () => {
        if (name === 'closed one') throw new DOMException('x', 'InvalidStateError');
        calls.push(`focus ${name}`);
      },
    });
    window.clients = {
      matchAll: async ({ type, includeUncontrolled }) => type === 'window' && includeUncontrolled
        ? windows.map((one) => client(...one)) : [],
      openWindow: async (url) => calls.push(`open ${url}`),
    };
    const manager = {
      getSubscription: async () => null,
      subscribe: async ({ userVisibleOnly, applicationServerKey }) => ({
        endpoint: 'https://push.example.net/new', options: { userVisibleOnly, applicationServerKey },
        toJSON: () => ({ endpoint: 'https://push.example.net/new', keys: { p256dh: 'p', auth: 'a' } }),
      }),
    };
    window.registration = { scope: location.origin + '/', pushManager: manager };
    const address = document.querySelector('script[type=module]').src.replace('app.js', 'push-handlers.js');
    return import(address).then(async () => {
      const event = new Event(notification ? 'notificationclick' : 'pushsubscriptionchange');
      const waits = [];
      event.waitUntil = (promise) => waits.push(promise);
      if (notification) event.notification = { ...notification, close: () => calls.push('close') };
      if (old) event.oldSubscription = { endpoint: old };
      window.dispatchEvent(event);
      await Promise.all(waits);
      return calls;
    });
"""


def _handle(window: Browser, **given: Any) -> list[Any]:
    return list(window.run(HANDLERS, {"windows": [], "notification": None, "old": None, **given}))


def test_a_press_on_a_notice_opens_its_video(page: Browser, api: StandIn) -> None:
    page.open(f"{api.url}settings").find(READY)
    calls = _handle(page, notification={"data": {"notice": "n1", "job": "a/b"}})
    assert calls == ["close", f"open {api.url}videos/a%2Fb"]


def test_a_press_on_a_notice_without_a_video_opens_the_page(page: Browser, api: StandIn) -> None:
    page.open(f"{api.url}settings").find(READY)
    assert _handle(page, notification={"data": None}) == ["close", f"open {api.url}needs-you"]


def test_a_press_asks_the_window_that_is_open(page: Browser, api: StandIn) -> None:
    """It is not loaded anew: it may be uploading."""
    page.open(f"{api.url}settings").find(READY)
    windows = [["hidden one", "hidden"], ["visible one", "visible"]]
    calls = _handle(page, notification={"data": {"job": "talk"}}, windows=windows)
    assert calls == ["close", "focus visible one", ["visible one", {"show": "/videos/talk"}]]


@pytest.mark.parametrize("other", [["another page", "visible", "/openapi.json"], ["closed one", "visible", "/"]])
def test_a_window_that_cannot_show_it_is_passed_over(page: Browser, api: StandIn, other: list[str]) -> None:
    """A page of the API has no such view; a window may be closed between the question and the answer."""
    page.open(f"{api.url}settings").find(READY)
    calls = _handle(page, notification={"data": {"job": "talk"}}, windows=[other])
    assert calls[-1] == f"open {api.url}videos/talk"


@pytest.mark.parametrize("address", ["/videos/talk", "#job=talk"], ids=["this version", "the one before"])
def test_the_window_that_is_asked_shows_the_video(page: Browser, api: StandIn, address: str) -> None:
    api.add_job(job("talk", "processing", 0.1, [], title="A talk"))
    page.open(f"{api.url}settings").find(READY)
    event = "new MessageEvent('message', { data: { show: arguments[0] } })"
    page.run(f"navigator.serviceWorker.dispatchEvent({event})", address)
    page.until_text("#job-title", "A talk")


@pytest.mark.parametrize("old", [None, "https://push.example.net/old"])
def test_a_subscription_that_the_browser_replaces_is_reported(page: Browser, api: StandIn, old: str | None) -> None:
    """Firefox sends the event without the old subscription."""
    page.open(f"{api.url}settings").find(READY)
    _handle(page, old=old)
    [body] = api.subscribed
    assert (body["endpoint"], body["public_key"]) == ("https://push.example.net/new", VAPID_KEY)
    deleted = [path for method, path, _ in api.asked if method == "DELETE"]
    assert deleted == (
        [] if old is None else [f"/notices/subscriptions/sub_{hashlib.sha256(old.encode()).hexdigest()[:32]}"]
    )
