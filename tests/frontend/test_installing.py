"""The page as an installed app: without a connection, after an update, and in a phone's Share menu."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image

from api.context import Context
from tests.api.conftest import KEY, clock, context, serving
from tests.frontend.browser import DESKTOP, PHONE, READY, Browser, Screen
from tests.frontend.network import Network
from tests.frontend.stand_in import FRONTEND, StandIn
from tests.frontend.uploading import (
    SLOW_BYTES_PER_S,
    assert_arrived_once,
    between,
    choose,
    clip,
    kept,
    page,
    quicken,
    run,
    share,
    stored,
    until_begun,
    until_worker,
)

__all__ = ["between", "clip", "clock", "context", "page"]  # fixtures

CACHED = """
    const found = [];
    for (const name of await caches.keys()) {
      for (const { url } of await (await caches.open(name)).keys()) found.push([name, new URL(url).pathname]);
    }
    return found;
"""


def share_files(window: Browser, *paths: Path) -> None:
    """Navigate as the Share menu does: a form with the files, sent to the address of the manifest."""
    window.run(
        """
        const form = document.createElement('form');
        form.method = 'post';
        form.enctype = 'multipart/form-data';
        form.action = '/share';
        const input = document.createElement('input');
        input.id = 'to-share';
        input.type = 'file';
        input.name = 'video';
        input.multiple = true;
        form.append(input);
        document.body.append(form);
        """
    )
    for one in paths:
        window.choose_file("#to-share", one)
    window.run("setTimeout(() => document.querySelector('#to-share').form.submit())")


@pytest.fixture
def installed(page: Browser) -> Iterator[None]:
    """Let the pages believe that they are in the window of the installed app, as after a share of the phone's menu."""
    script = page.devtools(
        "Page.addScriptToEvaluateOnNewDocument",
        source="""
            const really = window.matchMedia.bind(window);
            window.matchMedia = (query) => really(query === '(display-mode: standalone)' ? 'all' : query);
        """,
    )
    yield
    page.devtools("Page.removeScriptToEvaluateOnNewDocument", identifier=script["identifier"])


def test_the_manifest_is_one_that_browsers_install(page: Browser, between: Network) -> None:
    found = page.devtools("Page.getAppManifest")
    assert found["errors"] == []
    assert found["url"] == f"{between.url}manifest.webmanifest"
    manifest = found["manifest"]
    assert (manifest["name"], manifest["startUrl"], manifest["scope"]) == ("VidProd", between.url, between.url)
    assert page.devtools("Page.getInstallabilityErrors")["installabilityErrors"] in (
        [],
        [{"errorId": "in-incognito", "errorArguments": []}],
    )


@pytest.mark.parametrize("name", ["icon-192.png", "icon-512.png", "icon-maskable-512.png"])
def test_icons_have_the_size_that_their_name_says(name: str) -> None:
    with Image.open(FRONTEND / name) as icon:
        assert icon.size == (int(name.rsplit("-", maxsplit=1)[-1].removesuffix(".png")),) * 2
    assert (FRONTEND / name).stat().st_size < 8000


@pytest.mark.parametrize("screen", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_without_a_connection_a_reload_shows_the_page_and_what_becomes_of_the_upload(
    page: Browser, between: Network, context: Context, clip: Path, screen: Screen
) -> None:
    page.show_on(screen)
    until_worker(page)
    page.upload_at(SLOW_BYTES_PER_S)
    choose(page, clip)
    page.click("#upload-start")
    until_begun(page)
    page.open("about:blank").upload_at(-1)
    between.broken = True
    page.open(between.url).until_text("#offline-text", "of talk.mp4 has arrived. The upload continues when")
    between.broken = False
    page.click("#offline-again")
    page.until_text("#chosen-name", "% is here")
    assert not page.visible("#offline")
    page.choose_file("#file", clip)
    assert_arrived_once(page, context, clip)


def test_on_a_connection_that_is_silent_the_page_opens_all_the_same(page: Browser, between: Network) -> None:
    """In a train the phone shows bars, and no answer comes: a browser waits for minutes."""
    until_worker(page)
    page.open("about:blank")
    between.silence(True)
    begun = time.monotonic()
    try:
        page.run("setTimeout(() => location.assign(arguments[0]))", between.url)
        page.until("the page", lambda: page.run("return Boolean(document.querySelector('#new-title'))"))
        assert time.monotonic() - begun < 20
    finally:
        between.silence(False)
    page.find("#file-label")


def test_without_a_connection_the_page_comes_back_by_itself(page: Browser, between: Network) -> None:
    until_worker(page)
    between.broken = True
    page.open(between.url).find("#offline")
    between.broken = False
    page.run("window.dispatchEvent(new Event('online'))")
    page.find("#file-label")


def test_only_the_page_and_its_files_are_stored(page: Browser, between: Network, clip: Path) -> None:
    """An answer of the API that came from a cache would be somebody's secret, or a lie."""
    until_worker(page)
    page.open(between.url).find("#file-label")
    paths = {path for _, path in run(page, CACHED)}
    assert "/" in paths
    assert {path for path in paths if not path.startswith("/assets/")} == {"/"}


def test_an_update_is_there_at_the_next_load_and_the_stored_copy_goes(
    page: Browser, between: Network, context: Context, tmp_path: Path
) -> None:
    until_worker(page)
    before = {name for name, _ in run(page, CACHED)}
    new = tmp_path / "pages"
    shutil.copytree(FRONTEND, new)
    html = new / "index.html"
    html.write_text(html.read_text().replace("New video", "Newer video"))
    with serving(replace(context, pages=new)) as root:
        between.lead_to(root)
        page.open(between.url).until_text("#new-title", "Newer video")
        page.until("the new copy", lambda: {name for name, _ in run(page, CACHED)}.isdisjoint(before))
        assert len({name for name, _ in run(page, CACHED)}) == 1
        between.broken = True
        page.open(between.url).find("#offline")
        assert page.run("return document.querySelector('#new-title').textContent") == "Newer video"


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("screen", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_a_shared_video_is_chosen_and_uploaded(page: Browser, context: Context, clip: Path, screen: Screen) -> None:
    page.show_on(screen)
    until_worker(page)
    share_files(page, clip)
    page.until_text("#chosen-name", "talk.mp4")
    assert page.run("return location.search") == ""
    page.fill("#title", "Once only")
    page.click("#upload-start")
    assert_arrived_once(page, context, clip)
    page.until("the deletion", lambda: kept(page) == 0)


@pytest.mark.usefixtures("installed")
def test_a_shared_video_goes_on_after_a_reload_without_being_chosen(
    page: Browser, between: Network, context: Context, clip: Path
) -> None:
    """The browser has a copy, so nobody has to find the file again."""
    until_worker(page)
    page.upload_at(SLOW_BYTES_PER_S)
    share_files(page, clip)
    page.find("#title")
    page.fill("#title", "Once only")
    page.click("#upload-start")
    quicken(page)
    until_begun(page)
    before = share(page)
    page.open("about:blank").upload_at(-1)
    between.passed_bytes = 0
    page.open(between.url)
    assert_arrived_once(page, context, clip)
    assert between.passed_bytes < clip.stat().st_size * (1 - before) + 200_000
    page.until("the deletion", lambda: kept(page) == 0)


@pytest.mark.usefixtures("installed")
def test_a_video_that_is_shared_before_signing_in_waits_for_it(page: Browser, context: Context, clip: Path) -> None:
    until_worker(page)
    page.devtools("Network.clearBrowserCookies")
    share_files(page, clip)
    page.fill("#key", KEY)
    page.click("#sign-in button")
    page.until_text("#chosen-name", "talk.mp4")
    page.fill("#title", "Once only")
    page.click("#upload-start")
    assert_arrived_once(page, context, clip)


@pytest.mark.usefixtures("installed")
def test_a_cancelled_shared_video_leaves_no_copy(page: Browser, clip: Path) -> None:
    until_worker(page)
    page.upload_at(SLOW_BYTES_PER_S)
    share_files(page, clip)
    page.find("#sending")
    page.click("#upload-cancel")
    page.until("the question or the end", lambda: page.visible("#question") or not page.visible("#sending"))
    if page.visible("#question"):
        page.click("#question-yes")
    page.until("the deletion", lambda: kept(page) == 0)
    assert stored(page) is None


@pytest.mark.usefixtures("installed")
def test_a_shared_file_that_is_no_video_is_refused_and_not_kept(page: Browser, tmp_path: Path) -> None:
    until_worker(page)
    notes = tmp_path / "notes.txt"
    notes.write_text("not a video")
    share_files(page, notes)
    page.until_text("#file-error", "does not look like a video")
    page.until("the deletion", lambda: kept(page) == 0)


def test_a_share_without_room_for_a_copy_says_what_to_do(page: Browser, between: Network, clip: Path) -> None:
    until_worker(page)
    origin = between.url.rstrip("/")
    page.devtools("Storage.overrideQuotaForOrigin", origin=origin, quotaSize=5_000_000)
    share_files(page, clip)
    page.until_text("#file-error", "not enough room on this device")
    assert kept(page) == 0
    page.devtools("Storage.overrideQuotaForOrigin", origin=origin)


def test_a_share_that_is_delivered_twice_is_one_video(page: Browser, clip: Path) -> None:
    """Android may repeat a launch; a second copy would be published a second time."""
    until_worker(page)
    page.devtools("Network.clearBrowserCookies")
    for _ in range(2):
        share_files(page, clip)
        page.until("the page", lambda: page.run("return !document.querySelector('#to-share')"))
        page.find("#key")
    assert kept(page) == 1


def test_a_share_that_brings_no_file_says_so(page: Browser) -> None:
    until_worker(page)
    share_files(page)
    page.until_text("#file-error", "did not arrive with the share")


@pytest.fixture
def other_site(tmp_path: Path) -> Iterator[str]:
    """The address of another site, with a page that sends a video of its own to /share of the address after `#`."""
    (tmp_path / "site").mkdir()
    page_of_site = """<!doctype html><meta name=referrer content=%s><form id=f method=post enctype=multipart/form-data>
        <input id=v type=file name=video></form><script>
        const files = new DataTransfer();
        files.items.add(new File(['not yours'], 'planted.mp4', { type: 'video/mp4' }));
        v.files = files.files;
        f.action = location.hash.slice(1) + 'share';
        f.submit();
        </script>"""
    for policy in ("no-referrer", "unsafe-url"):
        (tmp_path / "site" / f"{policy}.html").write_text(page_of_site % policy)
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "site"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://localhost:{server.server_port}/"
        server.shutdown()
        thread.join(10)


def test_a_page_of_another_site_cannot_share(page: Browser, between: Network, other_site: str) -> None:
    until_worker(page)
    page.open(f"{other_site}unsafe-url.html#{between.url}")
    page.until_text("#file-error", "could not be taken")
    assert kept(page) == 0
    assert stored(page) is None


def test_a_page_of_another_site_that_hides_its_address_starts_no_upload(
    page: Browser, between: Network, other_site: str
) -> None:
    """It looks like a share of the phone, so the person is asked; a later page asks, too."""
    until_worker(page)
    for _ in range(2):
        page.open(f"{other_site}no-referrer.html#{between.url}")
        page.until_text("#question-text", "planted.mp4")
        page.open(between.url).until_text("#question-text", "planted.mp4")
    assert stored(page) is None
    page.click("#question-no")
    page.until("the deletion", lambda: kept(page) == 0)
    assert stored(page) is None
    assert page.text("#file-label") == "Choose video"


@pytest.mark.parametrize("size", [1000, 12_000_000])
def test_a_share_that_no_worker_takes_is_led_to_the_page(
    page: Browser, context: Context, clip: Path, size: int
) -> None:
    """The person reads a sentence, not a problem document, however large the video is."""
    clip.write_bytes(bytes(size))
    until_worker(page)
    run(page, "await (await navigator.serviceWorker.getRegistration()).unregister()")
    share_files(page, clip)
    page.until_text("#file-error", "share it again, or choose it here")
    page.until("the page's own address", lambda: page.run("return location.pathname + location.search") == "/")


def test_copies_of_more_than_a_day_ago_are_deleted(page: Browser, between: Network, clip: Path) -> None:
    until_worker(page)
    page.devtools("Network.clearBrowserCookies")
    share_files(page, clip)
    page.find("#key")
    run(
        page,
        """
        const database = await new Promise((resolve) => {
          const request = indexedDB.open('vidprod');
          request.onsuccess = () => resolve(request.result);
        });
        const store = database.transaction('files', 'readwrite').objectStore('files');
        store.openCursor().onsuccess = ({ target: { result: cursor } }) => {
          cursor.update({ ...cursor.value, keptAt: Date.now() - 86_400_001 });
        };
        await new Promise((resolve) => { store.transaction.oncomplete = resolve; });
        database.close();
        """,
    )
    page.fill("#key", KEY)
    page.click("#sign-in button")
    page.find("#file-label")
    page.until("the deletion", lambda: kept(page) == 0)
    assert not page.visible("#sending")


INVITE = """
    const event = new Event('beforeinstallprompt', { cancelable: true });
    event.prompt = () => { window.prompted = true; return Promise.resolve({ outcome: 'accepted' }); };
    window.dispatchEvent(event);
    return event.defaultPrevented;
"""
"""The event of a browser that can install the page. Chromium sends one of its own, but at its own time."""


def upload(window: Browser, clip: Path) -> None:
    window.choose_file("#file", clip)
    window.click("#upload-start")
    window.find("#job h1")


@pytest.fixture
def installable(window: Browser, api: StandIn) -> Callable[[], Browser]:
    """Return a function that opens the page in a browser that can install it."""

    def open_page() -> Browser:
        window.open(api.url).find(READY)
        assert window.run(INVITE)
        return window

    window.reset().show_on(PHONE)
    return open_page


def test_installing_is_offered_after_the_first_upload_and_not_before(
    installable: Callable[[], Browser], clip: Path
) -> None:
    window = installable()
    assert not window.visible("#install")
    upload(window, clip)
    window.click("nav a[href='/new']")
    window.until_text("#install-text", "send a video from your gallery with Share")
    window.click("#install-yes")
    window.until("the browser's own question", lambda: window.run("return window.prompted"))
    window.until("the end of the hint", lambda: not window.visible("#install"))


def test_a_declined_installation_is_not_offered_again(installable: Callable[[], Browser], clip: Path) -> None:
    window = installable()
    upload(window, clip)
    window.click("nav a[href='/new']")
    window.click("#install-no")
    assert not window.visible("#install")
    window = installable()
    assert not window.visible("#install")


def test_an_iphone_is_told_how_to_install(window: Browser, api: StandIn, clip: Path) -> None:
    """Its browsers send no event; only there the navigator has the property `standalone`."""
    window.reset().show_on(PHONE)
    window.devtools("Network.setUserAgentOverride", userAgent="Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X)")
    script = window.devtools(
        "Page.addScriptToEvaluateOnNewDocument",
        source="""
            Object.defineProperty(Navigator.prototype, 'standalone', { value: false });
            addEventListener('beforeinstallprompt', (event) => event.stopImmediatePropagation());
        """,
    )
    window.open(api.url).find(READY)
    assert not window.visible("#install")
    upload(window, clip)
    window.click("nav a[href='/new']")
    window.until_text("#install-text", "tap Share, then “Add to Home Screen”")
    assert not window.visible("#install-yes")
    window.devtools("Page.removeScriptToEvaluateOnNewDocument", identifier=script["identifier"])
    window.devtools("Network.setUserAgentOverride", userAgent="")
