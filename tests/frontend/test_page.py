"""Tests of all views: signing in, the content policy, phones, assistive technology, the list of videos."""

import re
from pathlib import Path

import pytest

from tests.frontend import samples
from tests.frontend.browser import DESKTOP, PHONE, READY, SMALL_PHONE, Browser, Screen
from tests.frontend.stand_in import FRONTEND, KEY, StandIn

MIN_TARGET_PX = 44  # Apple's and Google's advice for fingers; WCAG 2.2 (2.5.8) asks for 24
MIN_CONTRAST = 4.5  # WCAG 2.2, 1.4.3
ENTRIES = {
    "upload": "upload.js", "videos": "videos-page.js", "video": "video-page.js", "calendar": "calendar-page.js",
    "accounts": "accounts-page.js", "needs": "needs-page.js", "settings": "settings-page.js",
}  # fmt: skip
"""View: the module with which its files are loaded."""
TOKEN_PAIRS = [
    ("ink", "page"), ("ink", "card"), ("soft", "page"), ("soft", "card"), ("accent", "page"), ("accent", "card"),
    ("on-accent", "accent"), ("on-accent", "accent-over"), ("ink", "tint"), ("soft", "tint"), ("card", "bad"),
    ("bad", "card"), ("warn", "card"),
    *((tone, f"{tone}-tint") for tone in ("good", "warn", "bad", "busy", "wait")),
]  # fmt: skip


def test_the_key_opens_the_page_once_and_the_deep_link_survives(page: Browser, api: StandIn) -> None:
    api.needs_login = True
    api.add_job(samples.failed())
    page.open(f"{api.url}videos/job-failed").find("#sign-in")
    page.fill("#key", "not the key")
    page.click("#sign-in button")
    page.until_text("#sign-in-error", "This key is not right")
    page.run("document.querySelector('#key').value = ''")
    page.fill("#key", KEY)
    page.click("#sign-in button")
    page.until_text("#job-title", "huge.mp4")
    assert page.run("return document.cookie") == ""  # HttpOnly: no script can read the session
    assert page.refusals() == ["/jobs 401", "/login 401"]
    page.open("about:blank").open(api.url).find("#view-new")


def test_signing_out_asks_for_the_key_again(page: Browser, api: StandIn) -> None:
    """On a phone that is lent or sold the session must end when its owner says so."""
    api.needs_login = True
    page.open(f"{api.url}settings").fill("#key", KEY)
    page.click("#sign-in button")
    loaded = {("GET", "/webhooks", 200), ("GET", "/notices", 200)}  # else they may be refused after signing out
    page.until("the answers of the page", lambda: loaded <= set(api.asked))
    page.click("#sign-out")
    page.find("#sign-in")
    page.open("about:blank").open(api.url).find("#sign-in")
    assert page.refusals() == ["/jobs 401", "/jobs 401"]


def test_a_sign_out_that_fails_is_told_and_repeated(page: Browser, api: StandIn) -> None:
    """The session would still work, also for somebody who has copied its cookie."""
    api.needs_login = api.sign_out_fails = True
    page.open(f"{api.url}settings").fill("#key", KEY)
    page.click("#sign-in button")
    page.click("#sign-out")
    page.until_text("#question", "You are still signed in")
    assert not page.visible("#sign-in")
    api.sign_out_fails = False
    page.click("#question-yes")
    page.find("#sign-in")
    assert page.refusals() == ["/jobs 401", "/login 503"]


def test_after_many_wrong_keys_the_page_says_how_long_to_wait(page: Browser, api: StandIn) -> None:
    api.needs_login = api.wrong_keys_are_limited = True
    page.open(api.url).fill("#key", "not the key")
    page.click("#sign-in button")
    page.until_text("#sign-in-error", "please wait 42 s")
    assert page.refusals() == ["/jobs 401", "/login 429"]


def test_a_session_that_ends_brings_the_sign_in_and_then_the_same_view(page: Browser, api: StandIn) -> None:
    api.add_job(samples.job("job-new", "processing", 0.01, []))
    page.open(f"{api.url}videos/job-new").until_text("#job-title", "Five habits")
    api.needs_login = True
    page.find("#sign-in")
    page.fill("#key", KEY)
    page.click("#sign-in button")
    page.until_text("#job-title", "Five habits")
    assert page.refusals() == ["/status/job-new 401"]


def test_the_list_shows_recent_videos_and_older_ones_on_request(page: Browser, api: StandIn) -> None:
    for number in range(25):
        created_at = f"2026-11-22T10:{number:02}:00Z"
        api.add_job(samples.job(f"j{number}", "completed", 1.0, [], title=f"Talk {number}", created_at=created_at))
    page.open(f"{api.url}videos").until_text("#recent", "Talk 24")
    rows = "return document.querySelectorAll('#recent li').length"
    assert page.run(rows) == 20
    page.click("#recent-more")
    page.until_text("#recent", "Talk 0")
    assert page.run(rows) == 25
    assert not page.visible("#recent-more")


def test_accounts_show_what_has_to_be_connected(page: Browser, api: StandIn) -> None:
    api.accounts = [
        {"id": "1", "platform": "tiktok", "name": "@mara", "status": "reconnect"},
        {"id": "2", "platform": "youtube", "name": "Mara", "status": "refused"},
    ]
    page.open(f"{api.url}accounts").until_text("#accounts", "@mara: please connect it again")
    page.until_text("#accounts", "Mara: may not post there")
    links = page.run("return [...document.querySelectorAll('#accounts a')].map((link) => link.getAttribute('href'))")
    assert links == ["/connect/tiktok", "/connect/instagram", "/connect/youtube"]
    offered = page.run("return [...document.querySelectorAll('#platform-choices input')].map((box) => box.value)")
    assert offered == ["tiktok"]


def test_a_disabled_webhook_is_shown_and_enabled_with_what_it_missed(page: Browser, api: StandIn) -> None:
    well = samples.endpoint("ep_1", "https://well.example.com/hook")
    disabled = {
        "id": "ep_2", "url": "https://hooks.example.com/hook", "state": "disabled", "disabled_code": "failing",
        "disabled_at": "2026-11-22T10:00:00Z", "last_error": "HTTP 503", "missed": {"count": 3, "since": None},
    }  # fmt: skip
    api.endpoints = [well, disabled]
    page.open(f"{api.url}settings").until_text("#webhooks", "it failed for five days")
    page.until_text("#webhooks", "3 events were missed.")
    assert page.run("return document.querySelectorAll('#webhooks .pill-good').length") == 1
    page.click("#ep_2")
    page.until(
        "both to be on", lambda: page.run("return document.querySelectorAll('#webhooks .pill-good').length") == 2
    )
    assert api.replayed == [("ep_2", {"failed": True})]


def test_what_happens_after_a_failure_is_set_for_each_account(page: Browser, api: StandIn) -> None:
    page.open(f"{api.url}accounts").until_text("#accounts", "Mara Talks")
    assert not page.run("return document.querySelector('[data-account=a3]').checked")
    assert page.text("[data-key=a3] .account-setting") == "Continue after a failure"
    explained = page.run("return document.querySelector('[data-account=a3]').getAttribute('aria-description')")
    assert explained == page.run("return document.querySelector('[data-key=a3] label').title") != ""
    page.click("[data-account=a3]")
    page.until("the setting to arrive", lambda: api.accounts[2].get("after_failure") == "continue")
    page.open(f"{api.url}accounts").until_text("#accounts", "Mara Talks")
    assert page.run("return document.querySelector('[data-account=a3]').checked")


def test_the_outage_of_a_platform_is_told(page: Browser, api: StandIn) -> None:
    api.outages = {"youtube": {"paused_until": "2099-01-01T10:00:00Z", "reason": "HTTP 503"}}
    page.open(f"{api.url}accounts").until_text(
        "#accounts", "YouTube does not work at the moment (HTTP 503). Posts wait."
    )


def test_no_markup_carries_scripts_or_styles() -> None:
    """The content policy forbids them; a browser would silently leave them out."""
    html = (FRONTEND / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"<style|\sstyle=|\son\w+=|javascript:", html) == []
    assert re.findall(r"<script[^>]*>", html) == ['<script type="module" src="/static/app.js">']
    for module in FRONTEND.glob("*.js"):
        assert (
            re.findall(
                r"innerHTML|outerHTML|insertAdjacentHTML|\beval\(|document\.write", module.read_text(encoding="utf-8")
            )
            == []
        )


def test_every_file_the_page_needs_is_there() -> None:
    """A module that is not served breaks the whole page, so names are checked where they are written."""
    html = (FRONTEND / "index.html").read_text(encoding="utf-8")
    wanted = {Path(name) for name in re.findall(r'(?:href|src)="/static/([^"]+)"', html)}
    wanted |= _imported("service-worker.js") | {Path("service-worker.js")}
    wanted |= {other for name in ("app.js", *ENTRIES.values()) for other in _imported(name)}
    assert set() == {name for name in wanted if not (FRONTEND / name).is_file()}
    served = {path.relative_to(FRONTEND) for path in FRONTEND.iterdir() if path.suffix in {".js", ".css", ".svg"}}
    wanted |= {Path("docs.css"), Path("docs.js")}  # of the API reference, which the API makes
    assert served == {path for path in wanted if path.suffix != ".png"}  # and nothing lies there that no page asks for


TOOLS = {
    "cuts": ("cuts-editor.js", "video"), "eyes": ("eyes.js", "video"), "words": ("words-editor.js", "video"),
    "preview": ("platform-preview.js", "video"), "options": ("options-editor.js", "video"),
    "post": ("post-editor.js", "video", "calendar"), "schedule": ("schedule-editor.js", "accounts"),
}  # fmt: skip
"""The first module of each tool, and the pages that open it."""


def test_every_module_is_named_where_it_is_loaded_first() -> None:
    """Modules that the page does not name are found one through another, and the service worker does not store them."""
    html = (FRONTEND / "index.html").read_text(encoding="utf-8")
    head, *templates = re.split(r'<template id="files-', html)
    first = _imported("app.js")
    assert first == _preloaded(head)
    later = {template.split('"')[0]: _preloaded(template) for template in templates}
    expected = {view: ({Path(entry)} | _imported(entry)) - first for view, entry in ENTRIES.items()}
    for tool, (entry, *pages) in TOOLS.items():
        there = set.intersection(*(expected[page] for page in pages))
        expected[tool] = ({Path(entry)} | _imported(entry)) - first - there
    assert later == expected


def _preloaded(html: str) -> set[Path]:
    return {Path(name) for name in re.findall(r'rel="modulepreload" href="/static/([^"]+)"', html)}


def _imported(name: str) -> set[Path]:
    """Return the modules that a module imports, directly or through another one; not those that it loads later."""
    found: set[Path] = set()
    waiting = [name]
    while waiting:
        text = (FRONTEND / waiting.pop()).read_text(encoding="utf-8")
        for other in re.findall(r"^(?:import|export|\}) .*'\./(?:static/)?([^']+)';$", text, re.MULTILINE):
            if Path(other) not in found:
                found.add(Path(other))
                waiting.append(other)
    return found


@pytest.mark.parametrize("screen", [PHONE, SMALL_PHONE, DESKTOP], ids=["390 px", "360 px", "1280 px"])
def test_no_view_scrolls_sideways(page: Browser, api: StandIn, clip: Path, screen: Screen) -> None:
    _fill(api)
    page.show_on(screen)
    wider = f"return Math.max(0, document.documentElement.scrollWidth - {screen.width})"
    api.needs_login = True
    page.open(api.url).find("#sign-in")
    assert page.run(wider) == 0
    page.fill("#key", KEY)
    page.click("#sign-in button")
    page.find("#view-new")
    assert page.run(wider) == 0
    page.choose_file("#file", clip)
    page.find("#details")
    assert page.run(wider) == 0
    for name in ("videos", "calendar", "accounts", "settings"):
        page.click(f"nav a[href='/{name}']")
        page.find("#page .card, #calendar p")
        assert page.run(wider) == 0
    for job_id, job in api.jobs.items():
        page.run("location.hash = `#job=${arguments[0]}`", job_id)
        page.until_text("#job-title", job["title"])
        assert page.run(wider) == 0
    assert page.refusals() == ["/jobs 401"]


def test_fingers_find_every_control_on_a_phone(page: Browser, api: StandIn, clip: Path) -> None:
    _fill(api)
    page.show_on(PHONE).open(api.url).find(READY)
    page.choose_file("#file", clip)
    page.find("#details")
    assert _small_targets(page) == []
    page.run("location.hash = '#job=job-errors'")
    page.until_text("#job-title", "Q&A")
    assert _small_targets(page) == []


def _small_targets(page: Browser) -> list[str]:
    script = """
      const kinds = 'a, button, input, textarea, label.button, label.choice, label.account-setting';
      const controls = [...document.querySelectorAll(kinds)];
      const shown = controls.filter((node) => node.checkVisibility());
      const targets = shown.filter((node) => !node.matches('.visually-hidden, label input'));
      return targets.filter((node) => node.getBoundingClientRect().height < arguments[0]).map((node) => node.outerHTML);
    """
    return [str(markup) for markup in page.run(script, MIN_TARGET_PX)]


def test_every_control_has_a_name(page: Browser, api: StandIn, clip: Path) -> None:
    """The accessibility tree of the browser has a name for each field and button, as screen readers use it."""
    _fill(api)
    page.open(api.url).find(READY)
    page.choose_file("#file", clip)
    page.find("#details")
    assert _nameless(page) == []
    page.run("location.hash = '#job=job-errors'")
    page.until_text("#job-title", "Q&A")
    assert _nameless(page) == []


def _nameless(page: Browser) -> list[str]:
    roles = {"button", "link", "textbox", "checkbox", "slider", "progressbar", "image", "dialog"}
    nodes = page.devtools("Accessibility.getFullAXTree")["nodes"]
    asked = [node for node in nodes if not node["ignored"] and node["role"]["value"] in roles]
    assert len(asked) > 5
    return [node["role"]["value"] for node in asked if not node.get("name", {}).get("value")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(page: Browser, api: StandIn, scheme: str) -> None:
    page.colour_scheme(scheme).open(api.url)
    read = "return getComputedStyle(document.documentElement).getPropertyValue(`--${arguments[0]}`).trim()"
    tokens = {name: page.run(read, name) for pair in TOKEN_PAIRS for name in pair}
    ratios = {pair: _contrast(tokens[pair[0]], tokens[pair[1]]) for pair in TOKEN_PAIRS}
    assert {pair: ratio for pair, ratio in ratios.items() if ratio < MIN_CONTRAST} == {}


def _contrast(first: str, second: str) -> float:
    """Return the contrast of two colours, 1 to 21, by WCAG 2.2's definitions of relative luminance and ratio."""
    dark, light = sorted((_luminance(first), _luminance(second)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    digits = colour.removeprefix("#")
    digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
    channels = [int(digits[start : start + 2], 16) / 255 for start in (0, 2, 4)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_back_closes_an_open_dialog_and_stays_on_the_view(page: Browser, api: StandIn) -> None:
    """On a phone Back is the way out of whatever covers the page."""
    api.add_job(samples.processing())
    page.open(f"{api.url}videos").find("#recent li")
    job_id = samples.processing()["job_id"]
    page.run("location.hash = `#job=${arguments[0]}`", job_id)
    for _ in range(2):
        page.click("[data-action=cancel]")
        page.find("#question")
        page.run("history.back()")
        page.until("the dialog to close", lambda: not page.visible("#question"))
        assert page.run("return location.pathname") == f"/videos/{job_id}"
    page.click("[data-action=cancel]")
    page.click("#question-no")
    page.until("the dialog to close", lambda: not page.visible("#question"))
    page.run("history.back()")
    page.until("the view before", lambda: page.run("return location.pathname") == "/videos")
    assert api.jobs[job_id]["status"] == "processing"


def test_each_view_has_its_title(page: Browser, api: StandIn) -> None:
    """In a row of tabs, and in the history, one sees which is which."""
    api.needs_login = True
    untitled = samples.job("job-untitled", "completed", 1.0, [], title="", original_name="holiday.mov")
    api.add_job(untitled)
    page.open(api.url).find("#sign-in")
    assert page.run("return document.title") == "Sign in · VidProd"
    page.fill("#key", KEY)
    page.click("#sign-in button")
    page.find("#view-new")
    assert page.run("return document.title") == "VidProd"
    page.click("nav a[href='/videos']")
    page.until_text("#recent", "holiday.mov")
    assert page.run("return document.title") == "Videos · VidProd"
    page.run("location.hash = '#job=job-untitled'")
    page.until_text("#job-title", "holiday.mov")
    assert page.run("return document.title") == "holiday.mov · VidProd"
    assert page.refusals() == ["/jobs 401"]


def test_a_label_is_not_broken_inside_a_word(page: Browser, api: StandIn) -> None:
    account = {"id": "1", "platform": "tiktok", "name": "@a.very.long.name.of.an.account", "status": "reconnect"}
    api.accounts = [account]
    page.show_on(SMALL_PHONE).open(f"{api.url}accounts").until_text("#accounts", "Reconnect")
    lines = """
      const range = document.createRange();
      range.selectNodeContents(document.querySelector('#accounts a.button'));
      return range.getClientRects().length;
    """
    assert page.run(lines) == 1


def test_quantities_read_as_people_say_them(page: Browser, api: StandIn) -> None:
    expected = {
        "seconds(57.4)": "57 s",
        "seconds(725)": "12 min 5 s",
        "seconds(3780)": "1 h 3 min",
        "seconds(7200)": "2 h",
        "position(3729)": "1:02:09",
        "bytes(48_400_000)": "48 MB",
        "bytes(1_250_000_000)": "1.3 GB",
        "percent(0.999)": "99 %",
        "percent(0.001)": "1 %",
        "percent(1)": "100 %",
        "timeLeft(95)": "about 2 min left",
        "moment('2026-03-05T18:05', new Date('2026-03-05T09:00'))": "today at 18:05",
        "moment('2026-03-06T00:05', new Date('2026-03-05T23:59'))": "tomorrow at 00:05",
        "moment('2026-03-01T18:05', new Date('2026-03-05T09:00'))": "1 Mar at 18:05",
        "moment('2026-03-11T08:00', new Date('2026-03-05T23:00'))": "Wed at 08:00",
        "moment('2026-03-12T08:00', new Date('2026-03-05T23:00'))": "12 Mar at 08:00",
        "moment('not a time')": "",
        "when('2026-03-05T18:05', new Date('2026-03-05T09:00'))": "today 18:05",
        "when('2026-03-11T08:00', new Date('2026-03-05T23:00'))": "Wed 08:00",
        "when('2026-03-12T08:00', new Date('2026-03-05T23:00'))": "12 Mar 08:00",
        "when('2026-03-04T08:00', new Date('2026-03-05T23:00'))": "yesterday 08:00",
        "when(null)": "",
        "moment(null)": "",
    }
    page.open(api.url)
    calls = ", ".join(f"f.{call}" for call in expected)
    said = page.run(f"return import('/static/format.js').then((f) => [{calls}])")
    assert expected == dict(zip(expected, (words.replace("\xa0", " ") for words in said), strict=True))


def _fill(api: StandIn) -> None:
    for job in (samples.failed(), samples.with_errors(), samples.completed(), samples.processing()):
        api.add_job(job)
