"""The addresses of the page, its navigation, Back, and what goes on behind another page; in a real browser."""

from pathlib import Path

import pytest

from tests.frontend import samples
from tests.frontend.browser import DESKTOP, PHONE, READY, Browser
from tests.frontend.stand_in import StandIn
from tests.frontend.uploading import change, until_worker

HERE = "return location.pathname"
NAV = "return [...document.querySelectorAll('nav a')].map((link) => [link.getAttribute('href'), link.textContent])"
PAGES = {
    "videos": "Videos", "calendar": "Calendar", "new": "New video", "accounts": "Accounts", "settings": "Settings",
}  # fmt: skip


def many(api: StandIn) -> None:
    for number in range(20):
        created_at = f"2026-11-22T10:{number:02}:00Z"
        api.add_job(samples.job(f"j{number}", "completed", 1.0, [], title=f"Talk {number}", created_at=created_at))


def titles(page: Browser) -> list[str]:
    shown = "return [...document.querySelectorAll('h1')].filter((one) => one.checkVisibility()).map((h) => h.innerText)"
    return [str(text) for text in page.run(shown)]


def until_title(page: Browser, title: str) -> None:
    page.until(f"the page {title}", lambda: titles(page) == [title])


@pytest.mark.parametrize("name", PAGES)
def test_each_page_has_an_address(page: Browser, api: StandIn, name: str) -> None:
    page.open(f"{api.url}{name}").find(READY)
    page.until("its title", lambda: titles(page) == [PAGES[name]])
    assert page.run("return document.querySelector('nav [aria-current=page]').getAttribute('href')") == f"/{name}"
    title = PAGES[name]
    assert page.run("return document.title") == f"{title} · VidProd"


def test_the_navigation_goes_to_each_page_without_loading_it(page: Browser, api: StandIn) -> None:
    page.open(api.url).find(READY)
    page.run("window.isTheSame = true")
    links = page.run(NAV)
    assert [text for _, text in links] == ["Videos", "Calendar", "New", "Accounts", "Settings"]
    for address, _ in links:
        page.click(f"nav a[href='{address}']")
        until_title(page, PAGES[address.strip("/")])
        assert page.run(HERE) == address
        page.until("the focus", lambda: page.run("return document.activeElement.tagName") == "H1")
    assert page.run("return window.isTheSame")


def test_the_navigation_is_below_the_thumb_and_at_the_side(page: Browser, api: StandIn) -> None:
    box = "const box = document.querySelector('nav').getBoundingClientRect(); return [box.left, box.bottom, box.width]"
    page.show_on(PHONE).open(api.url).find(READY)
    assert page.run(box) == [0, PHONE.height, PHONE.width]
    page.show_on(DESKTOP)
    left, bottom, width = page.run(box)
    assert (left, width < 250, bottom < DESKTOP.height) == (0, True, True)
    assert page.run("return document.querySelector('main').getBoundingClientRect().left") >= width


def test_back_returns_to_the_same_place_in_a_list(page: Browser, api: StandIn) -> None:
    """A person who looks through a long list on a phone does not begin at its top each time."""
    many(api)
    page.show_on(PHONE).open(f"{api.url}videos").find("#recent li:nth-child(15)")
    page.run("document.querySelector('a[href=\"/videos/j5\"]').scrollIntoView({ block: 'center' })")
    place = page.run("return scrollY")
    assert place > 300
    page.click("a[href='/videos/j5']")
    page.until_text("#job-title", "Talk 5")
    assert page.run("return scrollY") == 0
    page.run("history.back()")
    page.until("the place", lambda: abs(page.run("return scrollY") - place) < 2)
    focused = "return document.activeElement.getAttribute('href')"
    page.until("the focus", lambda: page.run(focused) == "/videos/j5")
    page.run("history.forward()")
    page.until_text("#job-title", "Talk 5")


def test_the_return_ends_with_what_the_person_does(page: Browser, api: StandIn) -> None:
    job = samples.with_errors()
    api.add_job(job)
    page.show_on(PHONE).open(f"{api.url}videos/{job['job_id']}").find("[data-key=part-1]")
    page.run("scrollTo(0, 600)")
    page.click("nav a[href='/accounts']")
    page.until("the page", lambda: titles(page) == ["Accounts"])
    api.jobs[job["job_id"]] = samples.job(job["job_id"], "processing", 0.01, [])  # too short for that place
    page.run("history.back()")
    page.until_text("#job-title", "Five habits")
    page.run("window.dispatchEvent(new Event('touchstart'))")
    page.run(
        "const long = document.createElement('textarea'); long.rows = 200; document.querySelector('main').append(long)"
    )
    page.run("return new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(done)); })")
    assert page.run("return [scrollY, document.documentElement.scrollHeight > 2000]") == [0, True]


def test_back_closes_a_dialog_first_and_a_link_takes_its_place(page: Browser, api: StandIn) -> None:
    api.add_job(samples.processing())
    page.open(f"{api.url}videos").click("#recent a")
    page.click("[data-action=cancel]")
    page.find("#question")
    page.run("history.back()")
    page.until("the dialog to close", lambda: not page.visible("#question"))
    assert page.run(HERE) == "/videos/job-processing"
    page.click("[data-action=cancel]")
    page.find("#question")
    page.run("document.querySelector('nav a[href=\"/accounts\"]').click()")
    page.until("the page", lambda: titles(page) == ["Accounts"])
    assert not page.visible("#question")
    page.run("history.back()")
    page.until("the video", lambda: page.run(HERE) == "/videos/job-processing")
    page.run("history.back()")
    page.until("the list", lambda: page.run(HERE) == "/videos")


def test_a_reload_keeps_the_place_and_ends_a_dialog(page: Browser, api: StandIn) -> None:
    """The entry of a dialog outlives it in the history: Back would seem to do nothing."""
    many(api)
    api.add_job(samples.processing())
    page.show_on(PHONE).open(f"{api.url}videos").find("#recent li:nth-child(15)")
    page.run("scrollTo(0, 500)")
    page.run("location.reload()")
    page.until("the place", lambda: abs(page.run("return scrollY") - 500) < 2)
    page.click("a[href='/videos/job-processing']")
    page.click("[data-action=cancel]")
    page.find("#question")
    page.run("location.reload()")
    page.until_text("#job-title", "Five habits")
    page.until("the entry of the page", lambda: page.run("return !history.state.dialog && !!history.state.key"))
    assert not page.visible("#question")
    page.run("history.back()")
    page.until("the list", lambda: page.run(HERE) == "/videos")


def test_an_address_of_an_earlier_version_is_replaced(page: Browser, api: StandIn) -> None:
    """Notices and bookmarks of before have it."""
    api.add_job(samples.job("a b&c", "completed", 1.0, [], title="A talk"))
    page.open(f"{api.url}#job=a%20b%26c").until_text("#job-title", "A talk")
    assert page.run("return location.pathname + location.hash") == "/videos/a%20b%26c"
    page.run("location.hash = '#job=%E0%A4%A'")  # half a letter
    page.until_text("#job-title", "This video is not here")
    assert page.refusals() == ["/status/%25E0%25A4%25A 404"]


def test_an_upload_goes_on_while_other_pages_are_looked_at(page: Browser, api: StandIn, clip: Path) -> None:
    clip.write_bytes(bytes(20_000_000))
    page.open(api.url).find(READY)
    until_worker(page)
    page.upload_at(400_000)
    page.choose_file("#file", clip)
    page.fill("#title", "On its way")
    page.click("#upload-start")
    for name in ("calendar", "accounts", "videos"):
        page.click(f"nav a[href='/{name}']")
        until_title(page, PAGES[name])
        page.until_text("#upload-strip", "Uploading")
    page.upload_at(-1)
    page.until_text("#upload-strip", "Upload complete")
    assert [upload["title"] for upload in api.uploads] == ["On its way"]
    assert page.run(HERE) == "/videos"


def test_each_page_opens_without_a_connection(page: Browser, api: StandIn) -> None:
    """The installed page is opened in a train, and says there what it cannot do."""
    page.open(api.url).find(READY)
    until_worker(page)
    page.open("about:blank")
    page.offline(True)
    for name in ("calendar", "videos/some"):
        page.open(f"{api.url}{name}").until_text("#offline", "You are offline.")
    page.offline(False)
    page.run("window.dispatchEvent(new Event('online'))")
    page.until_text("#job-title", "This video is not here")
    page.complaints()


def test_a_page_that_cannot_be_loaded_is_tried_again(page: Browser, api: StandIn) -> None:
    source = "Object.defineProperty(Navigator.prototype, 'serviceWorker', { value: undefined })"
    script = page.devtools("Page.addScriptToEvaluateOnNewDocument", source=source)
    try:
        page.open(api.url).find(READY)
        page.devtools("Network.clearBrowserCache")
        change(page, "load.js", "LIMITS", {"file": 500})
        page.offline(True)
        page.click("nav a[href='/calendar']")
        page.until_text("#page .notice", "You are offline. Trying again by itself.")
        page.click("nav a[href='/new']")
        page.find("#view-new")
        page.offline(False)
        page.click("nav a[href='/calendar']")
        page.until("the page", lambda: titles(page) == ["Calendar"])
        page.find("#calendar")
    finally:
        page.offline(False)
        page.devtools("Page.removeScriptToEvaluateOnNewDocument", identifier=script["identifier"])
    page.complaints()
