"""All states of all pages, one a row: what the API holds, what a person does, and which requests are refused."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from api.http import problem_page
from api.http.problems import Problem, not_found
from tests.frontend import samples
from tests.frontend.browser import READY, Browser
from tests.frontend.fake_push import fake_push
from tests.frontend.stand_in import KEY, StandIn, new_job

GONE = {"files_deleted_at": "2026-11-22T12:00:00Z"}
Do = Callable[[Browser, StandIn, Path], None]


@dataclass(frozen=True)
class State:
    """One state of a page.

    Attributes:
        name: of its pictures.
        set_up: changes the stand-in before the page is opened.
        do: what a person does on the page; ends when the state is there.
        at: the address, after that of the page.
        refused: the refused requests that the console may report, as "/path status".
        is_cut_off: the network is off, so that the console reports failed requests.
        script: runs in the page before its own scripts.
    """

    name: str
    set_up: Callable[[StandIn], None] = lambda api: None
    do: Do = lambda page, api, clip: None
    at: str = ""
    refused: frozenset[str] = field(default_factory=frozenset)
    is_cut_off: bool = False
    script: str = ""


def click(*css: str, then: str = "") -> Do:
    """Return a step: press these, and wait for an element."""

    def do(page: Browser, _api: StandIn, _clip: Path) -> None:
        for one in css:
            page.click(one)
        if then:
            page.find(then)

    return do


def see(css: str, text: str = "") -> Do:
    """Return a step: wait for an element, or for its text."""

    def do(page: Browser, _api: StandIn, _clip: Path) -> None:
        if text:
            page.until_text(css, text)
        else:
            page.find(css)

    return do


def of_job(name: str, job: dict[str, Any], do: Do = lambda page, api, clip: None, **more: Any) -> State:
    """Return the state of a job's view."""

    def shown(page: Browser, api: StandIn, clip: Path) -> None:
        page.until_text("#job-title", str(job["title"] or job["original_name"]))
        page.until("its covers", lambda: page.run("return [...document.images].every((image) => image.complete)"))
        do(page, api, clip)

    return State(f"job-{name}", lambda api: api.add_job(job), shown, at=f"videos/{job['job_id']}", **more)


def of_post(name: str, status: str, **more: Any) -> State:
    """Return the state of a job with one post in this state."""
    code = more.pop("job", "publishing")
    post = samples.publication("tiktok", status, id="p1", **more)
    part = samples.segment(1, 1, "ready", gaze=samples.corrected(0.9), publications=[post])
    return of_job(f"post-{name}", samples.job("job-post", code, 0.9, [part]))


def with_accounts(*accounts: dict[str, Any], **outages: Any) -> Callable[[StandIn], None]:
    def set_up(api: StandIn) -> None:
        api.accounts, api.outages = list(accounts), outages

    return set_up


def problem(name: str, answer: Problem) -> State:
    """Return the state of a page that the API makes of a problem."""
    html = problem_page.page(answer)
    return State(f"made-{name}", lambda api: api.pages.update({name: html}), see("h1"), at=f"made/{name}")


def answering(
    status: int, *requests: str, detail: str = "the server is busy", retry_after_s: int = 3600
) -> Callable[[StandIn], None]:
    def set_up(api: StandIn) -> None:
        api.problems = dict.fromkeys(requests, (status, detail))
        api.retry_after_s = retry_after_s

    return set_up


def signed_out(api: StandIn) -> None:
    api.needs_login = True


def locked_out(api: StandIn) -> None:
    api.needs_login = True
    answering(429, "POST /login", detail="too many wrong keys")(api)


def try_key(key: str) -> Do:
    def do(page: Browser, _api: StandIn, _clip: Path) -> None:
        page.fill("#key", key)
        page.click("#sign-in button")
        page.until("an answer", lambda: page.text_content("#sign-in-error") != "")

    return do


def all_jobs(api: StandIn) -> None:
    made = [
        samples.failed(), samples.with_errors(), samples.completed(), samples.scheduled(), samples.in_review(),
        samples.processing(), new_job("job-new", "", "holiday.mov"),
        samples.job("job-stopped", "cancelled", 0.5, [], title="Stopped by its author"),
    ]  # fmt: skip
    for job in made:
        api.add_job(job)


def calendar_entries(api: StandIn) -> None:
    """Fill this month: each status, many on one day, another zone, and two without a date."""
    noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    statuses = ("published", "failed", "outcome_unknown", "action_needed", "publishing", *["waiting"] * 9)
    for number, status in enumerate(statuses, start=1):
        at = noon + timedelta(days=0 if number > 6 else number - 4, minutes=20 * number)
        api.entries.append(samples.calendar_entry(number, at.isoformat(), status))
    api.entries[5] |= {"account_zone": "America/New_York", "platform": "youtube"}
    for number in (15, 16):
        api.entries.append(samples.calendar_entry(number, None, "waiting", "It waits for your approval"))


def expected_posts(api: StandIn) -> None:
    posts = [
        ("2099-11-26T08:00:00Z", "tiktok"),
        ("2099-11-26T09:30:00Z", "youtube"),
        ("2099-11-27T08:00:00Z", "tiktok"),
    ]
    api.expected = [
        {
            "expected_at": at, "waits_for": "window", "publication_id": f"p{number}", "job_id": "job-1",
            "title": "Five habits of calm speakers", "number": number, "of": 3, "platform": platform,
            "account_id": "a1", "account": "@mara.talks",
        }
        for number, (at, platform) in enumerate(posts, 1)
    ]  # fmt: skip


def not_set_up(api: StandIn) -> None:
    api.accounts, api.settings = [], samples.settings(tiktok_is_set_up=False)


def detailed_accounts(api: StandIn) -> None:
    more = {"connected_at": "2026-11-22T10:00:00Z", "login_expires_at": "2099-11-22T10:00:00Z"}
    api.accounts = [account | more for account in api.accounts]
    api.accounts[1] |= {"paused_until": "2099-11-22T10:00:00Z", "reason": "too many posts"}
    api.accounts[2] |= {"name": "\u0645\u0627\u0631\u0627 \U0001f399"}


def own_times(api: StandIn) -> None:
    expected_posts(api)
    windows = [["22:00", "02:00"], ["08:00", "09:30"], ["12:00", "24:00"]]
    own = {"time_zone": "Asia/Kolkata", "windows": windows, "max_per_day": 4, "min_gap_s": 1800.0}
    api.account_schedules["a1"] = own


def same_times(page: Browser, _api: StandIn, _clip: Path) -> None:
    page.find(".editor")
    page.run(
        "const end = document.querySelector('[data-window=\"1\"][data-end=\"1\"]'); end.value = '08:00';"
        "end.dispatchEvent(new Event('input', { bubbles: true }))"
    )
    page.click(".editor [type=submit]")
    page.find("#viewer .notice-bad")


def many_settings(api: StandIn) -> None:
    api.keys = [
        {"id": "key_1", "name": "laptop", "created_at": "2026-11-22T10:00:00Z", "sessions": 1, "is_own": True},
        {"id": "key_2", "name": "x" * 60, "created_at": "2026-11-22T10:00:00Z", "sessions": 0, "is_own": False},
    ]
    api.endpoints = [samples.endpoint("ep_1", "https://hooks.example.com/hook")]


def make_key(page: Browser, _api: StandIn, _clip: Path) -> None:
    page.fill("#key-name", "laptop")
    page.click("#keys form button")


def needs_all(api: StandIn) -> None:
    api.needs = samples.needs()


def refused_skip(api: StandIn) -> None:
    needs_all(api)
    answering(409, "POST /publications/p4/skip", detail="the post is being published")(api)


def disabled_webhook(api: StandIn) -> None:
    api.endpoints = [{
        "id": "ep_2", "url": "https://hooks.example.com/hook", "state": "disabled", "disabled_code": "failing",
        "disabled_at": "2026-11-22T10:00:00Z", "last_error": "HTTP 503", "missed": {"count": 3, "since": None},
    }]  # fmt: skip


def refusing_webhook(api: StandIn) -> None:
    disabled_webhook(api)
    answering(429, "PATCH /webhooks/ep_2", detail="too many requests")(api)


def choose(page: Browser, clip: Path, size: int = 300_000) -> None:
    os.truncate(clip, size)
    page.find(READY)
    page.choose_file("#file", clip)


def slowly(do: Do, *css: str) -> Do:
    """Return a step: choose a video whose upload lasts longer than any test, do something, press these."""

    def steps(page: Browser, api: StandIn, clip: Path) -> None:
        page.upload_at(1_000_000)
        choose(page, clip, 400_000_000)
        page.until("the first piece", lambda: api.patches)
        for one in css:
            page.click(one)
        do(page, api, clip)

    return steps


def several(page: Browser, clip: Path) -> None:
    """Choose three videos, whose bytes arrive at once."""
    paths = [clip.with_name(name) for name in ("five-habits-of-calm-speakers.mp4", "second.mp4", "third.mp4")]
    for path in paths:
        path.write_bytes(path.name.encode() + bytes(1000))
    page.choose_file("#file", Path("\n".join(str(path) for path in paths)))


def several_chosen(page: Browser, _api: StandIn, clip: Path) -> None:
    several(page, clip)
    page.until_text("#sending-title", "3 videos are here")


def several_uploaded(page: Browser, api: StandIn, clip: Path) -> None:
    several_chosen(page, api, clip)
    page.click("#upload-start")
    page.until("the links", lambda: page.run("return document.querySelectorAll('#queue a').length === 3"))


def several_refused(page: Browser, _api: StandIn, clip: Path) -> None:
    several(page, clip)
    page.until("the reasons", lambda: page.run("return document.querySelectorAll('#queue .field-error').length === 3"))


def several_reloaded(page: Browser, api: StandIn, clip: Path) -> None:
    several_chosen(page, api, clip)
    api.files.clear()
    page.open(api.url).until_text("#chosen-name", "3 uploads are not complete")


def chosen(page: Browser, _api: StandIn, clip: Path) -> None:
    choose(page, clip)
    page.until_text("#sending-title", "The video is here")


def tiktok_requires(api: StandIn) -> None:
    api.tiktok_requires = ["privacy", "consent"]


def tiktok_panel(page: Browser, api: StandIn, clip: Path) -> None:
    chosen(page, api, clip)
    page.find("#tiktok-privacy")


def tiktok_branded(page: Browser, api: StandIn, clip: Path) -> None:
    tiktok_panel(page, api, clip)
    page.click("#tiktok-disclose")
    page.click("#brand_content")
    page.until_text("#tiktok-label", "Paid partnership")


def started(page: Browser, api: StandIn, clip: Path) -> None:
    chosen(page, api, clip)
    page.click("#upload-start")
    page.until(
        "the answer", lambda: page.run("return document.querySelectorAll('#details .field-error:not(:empty)').length")
    )


def too_large(page: Browser, _api: StandIn, clip: Path) -> None:
    choose(page, clip)
    page.until("the refusal", lambda: page.text_content("#file-error") != "")


def refused_upload(page: Browser, _api: StandIn, clip: Path) -> None:
    choose(page, clip)
    page.until("the refusal", lambda: "cannot" in page.text("#upload-form"))


def busy_upload(page: Browser, _api: StandIn, clip: Path) -> None:
    choose(page, clip)
    page.until_text("#sending-facts", "Trying again")


def cut_off(page: Browser, _api: StandIn, _clip: Path) -> None:
    page.offline(True)
    page.until_text("#connection", "You are offline")
    page.until_text("#sending-title", "You are offline")


def reloaded(page: Browser, api: StandIn, _clip: Path) -> None:
    page.open("about:blank").open(api.url).until_text("#chosen-name", "is here")


def lost(page: Browser, _api: StandIn, _clip: Path) -> None:
    page.offline(True)
    page.until_text("#connection", "You are offline")


def after_trouble(page: Browser, _api: StandIn, _clip: Path) -> None:
    answering(503, "GET /status/job-processing")(_api)
    page.until_text("[data-key=trouble]", "Trying again in")


def limit_uploads(api: StandIn) -> None:
    api.max_upload_bytes = 100_000


def refuse_title(api: StandIn) -> None:
    api.options_problem = (
        422,
        "title",
        "must be shorter: with its part number it has 104 characters, YouTube accepts 100",
    )


def refuse_bytes(api: StandIn) -> None:
    api.upload_problem = (415, "Not a video", "this file cannot be read as a video")


def busy_with_bytes(api: StandIn) -> None:
    api.upload_problem, api.retry_after_s = (503, "Busy", "the disk of the server is full"), 3600


def signed_in_elsewhere(api: StandIn) -> None:
    api.sign_out_fails = True


def later_parts_out(api: StandIn) -> None:
    api.later_parts_published = True


def both(*set_ups: Callable[[StandIn], None]) -> Callable[[StandIn], None]:
    def set_up(api: StandIn) -> None:
        for one in set_ups:
            one(api)

    return set_up


def steps(*parts: Do) -> Do:
    def do(page: Browser, api: StandIn, clip: Path) -> None:
        for part in parts:
            part(page, api, clip)

    return do


def send_test(page: Browser, _api: StandIn, _clip: Path) -> None:
    page.click("#notices-test")
    page.until_text("#notices", "within a minute")


def refused_notices(text: str) -> Do:
    return steps(click("#notices-on"), see("#notices", text))


def failing_mail(api: StandIn) -> None:
    error = "the mail server does not know the recipient"
    api.notices["urls"] = [
        {"service": "mailto", "last_status": "failed", "last_error": error},
        {"service": "ntfy", "last_status": "delivered", "last_error": None},
    ]


def invited(page: Browser, _api: StandIn, _clip: Path) -> None:
    page.find(READY)
    page.run(INVITE)
    page.find("#install-yes")


def open_job(page: Browser) -> None:
    page.run("location.hash = '#job=job-1'")


def open_job_offline(page: Browser, _api: StandIn, _clip: Path) -> None:
    page.find(READY)
    page.offline(True)
    open_job(page)
    page.until_text("#page .notice", "Trying again")
    page.until_text("#connection", "You are offline")


def open_job_updated(page: Browser, _api: StandIn, _clip: Path) -> None:
    page.find(READY)
    page.run(OLDER)
    open_job(page)
    page.find("#load-again")


def choose_offline(page: Browser, _api: StandIn, clip: Path) -> None:
    page.find(READY)
    page.offline(True)
    page.choose_file("#file", clip)
    page.until_text("#file-error", "You are offline")


def asks_for_kept(page: Browser, api: StandIn, clip: Path) -> None:
    """The file was chosen in an earlier page, in a picker that gives handles."""
    slowly(see("#sending"))(page, api, clip)
    page.run(KEEP_HANDLE)
    page.until("the handle", lambda: page.run("return window.isKept"))
    page.open("about:blank").open(api.url).find("#upload-continue")


CONNECTED = {"id": "1", "platform": "tiktok", "name": "@a.very.long.name.of.an.account", "status": "connected"}
EXPIRED = CONNECTED | {"status": "reconnect"}
REFUSED = {"id": "2", "platform": "youtube", "name": "Mara", "status": "refused"}
OUTAGE = {"paused_until": "2099-01-01T10:00:00Z", "reason": "HTTP 503"}
REQUESTED = {"review": {"reasons": ["requested"], "approved_at": None}, "warnings": []}
WARNINGS = {"warnings": ["sound_unreadable", "picture_ends_early", "size_changes"]}
AGAIN = {"attempts": [{"outcome": "crashed"}], "retry_at": "2099-11-22T18:00:00Z"}
NO_WORKER = "Object.defineProperty(Navigator.prototype, 'serviceWorker', { value: undefined });"
NO_PUSH = "delete window.PushManager;"
IPHONE = """
    Object.defineProperty(Navigator.prototype, 'standalone', { value: false });
    Object.defineProperty(Navigator.prototype, 'userAgent', { value: 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5)' });
    addEventListener('beforeinstallprompt', (event) => event.stopImmediatePropagation());
"""
UPLOADED = "try { localStorage.setItem('vidprod-uploaded', 'yes'); } catch { /* about:blank has no storage */ }"
INVITE = """
    const event = new Event('beforeinstallprompt', { cancelable: true });
    event.prompt = () => Promise.resolve({ outcome: 'accepted' });
    window.dispatchEvent(event);
"""
ASKS = "if (window.FileSystemFileHandle) FileSystemFileHandle.prototype.queryPermission = async () => 'prompt';"
OLDER = """
    for (const link of document.querySelector('#files-video').content.querySelectorAll('link')) {
      link.setAttribute('href', link.getAttribute('href').replace(/assets.[^/]+/, 'assets/0123456789abcdef'));
    }
"""
"""Gives the files of the job's view the addresses of another version."""
KEEP_HANDLE = """
    const keepHandle = async () => {
      const root = await navigator.storage.getDirectory();
      const handle = await root.getFileHandle('talk.mp4', { create: true });
      const address = document.querySelector('script[type=module]').src.replace('app.js', 'shared.js');
      const id = await (await import(address)).keep(handle);
      const records = JSON.parse(localStorage.getItem('vidprod-uploads'));
      window.addEventListener('pagehide', () => {
        localStorage.setItem('vidprod-uploads', JSON.stringify([{ ...records[0], kept: id }]));
      });
      window.isKept = true;
    };
    keepHandle();
"""
NOT_HERE = frozenset({"/jobs 401"})


def states() -> Iterator[State]:
    """Yield each state of each page; a new one is a row."""
    yield State("sign-in", signed_out, see("#sign-in"), refused=NOT_HERE)
    yield State("sign-in-wrong-key", signed_out, try_key("wrong"), refused=NOT_HERE | {"/login 401"})
    yield State("sign-in-locked-out", locked_out, try_key(KEY), refused=NOT_HERE | {"/login 429"})
    yield State("unreachable", answering(503, "GET /jobs"), see("#offline"), refused=frozenset({"/jobs 503"}))

    yield State("new", do=see(READY))
    yield State("new-offline", do=lost, is_cut_off=True)
    yield State("videos-empty", do=see("#recent", "Nothing here yet"), at="videos")
    yield State("videos-of-each-status", all_jobs, see("#recent li"), at="videos")
    yield State("needs-nothing", do=see("#needs-list", "Nothing needs you"), at="needs-you")
    yield State("needs-all", needs_all, see("#needs-list .need"), at="needs-you")
    yield State("needs-history", needs_all, click("[data-do=history]", then=".need-history"), at="needs-you")
    yield State("needs-question", needs_all, click("[data-do=missing]", then="#question"), at="needs-you")
    yield State(
        "needs-refused",
        refused_skip,
        steps(click("[data-do=skip]", "#question-yes"), see(".need .field-error")),
        at="needs-you",
        refused=frozenset({"/publications/p4/skip 409"}),
    )
    yield State("calendar", calendar_entries, see(".calendar-entry"), at="calendar")
    yield State(
        "calendar-month",
        calendar_entries,
        click("[name=calendar-view][value=month]", then=".calendar-month .calendar-entry"),
        at="calendar",
    )
    yield State("calendar-empty", do=see("#calendar", "Nothing was published this week"), at="calendar")
    yield State(
        "calendar-busy",
        answering(503, "GET /calendar"),
        see("#calendar", "busy"),
        at="calendar",
        refused=frozenset({"/calendar 503"}),
    )
    yield State("accounts-none", with_accounts(), see("#accounts", "Not connected"), at="accounts")
    yield State("accounts-connected", do=see("#accounts", "Mara Talks"), at="accounts")
    yield State(
        "accounts-expired-and-refused",
        with_accounts(EXPIRED, REFUSED),
        see("#accounts", "connect it again"),
        at="accounts",
    )
    yield State(
        "accounts-outage", with_accounts(CONNECTED, tiktok=OUTAGE), see("#accounts", "does not work"), at="accounts"
    )
    yield State(
        "accounts-busy",
        answering(503, "GET /accounts"),
        see("#accounts", "busy"),
        at="accounts",
        refused=frozenset({"/accounts 503"}),
    )
    yield State("accounts-not-set-up", not_set_up, see("#accounts", "redirect address"), at="accounts")
    yield State("accounts-details", detailed_accounts, see("#accounts", "Connect it again before"), at="accounts")
    yield State("accounts-disconnect", do=click("[data-disconnect=a1]", then="#question"), at="accounts")
    yield State("accounts-times", expected_posts, click("[data-schedule=a1]", then=".editor"), at="accounts")
    yield State("accounts-own-times", own_times, click("[data-schedule=a1]", then=".editor"), at="accounts")
    yield State(
        "accounts-times-refused",
        own_times,
        steps(click("[data-schedule=a1]"), same_times, see(".editor")),
        at="accounts",
        refused=frozenset({"/accounts/a1/schedule 422"}),
    )
    yield State("settings", many_settings, see("#server dl"), at="settings")
    yield State("settings-key", do=steps(make_key, see(".once")), at="settings")
    yield State("settings-secret", many_settings, click("[data-do=secret]", then=".once"), at="settings")
    yield State("settings-deliveries", many_settings, click("[data-do=deliveries]", then=".deliveries"), at="settings")
    yield State("settings-revoke", many_settings, click("[data-revoke]", then="#question"), at="settings")
    yield State("webhook-disabled", disabled_webhook, see("#webhooks", "failed for five days"), at="settings")
    yield State(
        "webhook-busy",
        refusing_webhook,
        click("#ep_2", then="#ep_2-error:not(:empty)"),
        at="settings",
        refused=frozenset({"/webhooks/ep_2 429"}),
    )

    yield State("upload-chosen", do=chosen)
    yield State("upload-several", do=several_chosen)
    yield State("upload-several-done", do=several_uploaded)
    not_videos = frozenset(f"/files/upload-{number} 415" for number in (1, 2, 3))
    yield State("upload-several-refused", refuse_bytes, several_refused, refused=not_videos)
    gone = frozenset(f"/files/upload-{number} 410" for number in (1, 2, 3))
    unknown = frozenset(f"/status/upload-{number} 404" for number in (1, 2, 3))
    yield State("upload-several-after-a-reload", do=several_reloaded, refused=gone | unknown)
    for share in ("empty", "full", "failed"):
        yield State(f"share-{share}", do=see("#file-error", "hoose it here"), at=f"?share={share}")
    yield State("upload-too-large", limit_uploads, too_large)
    yield State("upload-not-a-video", refuse_bytes, refused_upload, refused=frozenset({"/files/upload-1 415"}))
    yield State("upload-busy", busy_with_bytes, busy_upload, refused=frozenset({"/files/upload-1 503"}))
    yield State("upload-refused-option", refuse_title, started, refused=frozenset({"/files/upload-1 422"}))
    yield State("upload-tiktok", tiktok_requires, tiktok_panel)
    yield State("upload-tiktok-branded", tiktok_requires, tiktok_branded)
    yield State("upload-tiktok-refused", tiktok_requires, steps(tiktok_panel, click("#upload-start")))
    yield State("upload-sending", do=slowly(see("#sending")))
    yield State("upload-starting", do=slowly(see("#starting"), "#upload-start"))
    yield State("upload-paused", do=slowly(see("#upload-resume"), "#upload-pause"))
    yield State("upload-cut-off", do=slowly(cut_off), is_cut_off=True)
    yield State("upload-after-a-reload", do=slowly(reloaded))
    yield State("upload-cancel-question", do=slowly(see("#question"), "#upload-cancel"))

    yield of_job("pending", new_job("job-1", "Five habits of calm speakers"))
    yield of_job("examined", samples.job("job-1", "processing", 0.02, []))
    yield of_job("examined-again", samples.job("job-1", "processing", 0.0, []) | AGAIN)
    yield of_job("processing", samples.processing())
    yield of_job("retrying", samples.retrying())
    yield of_job("review", samples.in_review())
    yield of_job("review-requested", samples.in_review() | REQUESTED)
    yield of_job("scheduled", samples.scheduled())
    yield of_job("held", samples.held())
    yield of_job("completed", samples.completed())
    yield of_job(
        "completed-files-gone",
        samples.job(
            "job-1",
            "completed",
            1.0,
            [samples.segment(1, 1, "done", publications=[samples.published("youtube", 1)])],
            **GONE,
        ),
    )
    yield of_job("completed-with-errors", samples.with_errors())
    yield of_job("warnings", samples.completed() | WARNINGS)
    yield of_job("failed", samples.failed())
    yield of_job(
        "cancelled",
        samples.job(
            "job-1",
            "cancelled",
            0.5,
            [samples.segment(1, 2, "ready"), samples.segment(2, 2, "failed", reason="cancelled")],
        ),
    )
    yield State(
        "job-unknown", do=see("#job-title", "not here"), at="videos/nowhere", refused=frozenset({"/status/nowhere 404"})
    )
    yield of_job("busy", samples.processing(), after_trouble, refused=frozenset({"/status/job-processing 503"}))
    yield of_job("offline", samples.processing(), lost, is_cut_off=True)
    yield from _notices()
    yield from _installing()
    yield from _not_loaded()
    yield from _posts()
    yield from _long()
    yield from _tools()
    yield from _dialogs()
    yield from _made()


def _notices() -> Iterator[State]:
    switch_on = click("#notices-on", then="#notices-test")
    yield State("notices-off", do=see("#notices-on"), at="settings", script=fake_push())
    yield State("notices-on", do=switch_on, at="settings", script=fake_push())
    yield State("notices-test-sent", do=steps(switch_on, send_test), at="settings", script=fake_push())
    yield State("notices-denied", do=see("#notices", "You have blocked"), at="settings", script=fake_push("denied"))
    yield State(
        "notices-not-allowed", do=refused_notices("not allow it"), at="settings", script=fake_push(answer="default")
    )
    yield State(
        "notices-no-service",
        do=refused_notices("reach its push"),
        at="settings",
        script=fake_push(failure="AbortError"),
    )
    yield State("notices-unsupported", do=see("#notices", "cannot receive"), at="settings", script=NO_PUSH)
    yield State("notices-iphone", do=see("#notices", "Home Screen first"), at="settings", script=NO_PUSH + IPHONE)
    yield State("notices-e-mail", failing_mail, see("#notices", "do not arrive"), at="settings", script=fake_push())
    offered = of_job("notices-offered", samples.processing(), see("#notices-offer"))
    yield replace(offered, script=fake_push() + UPLOADED)


def _installing() -> Iterator[State]:
    yield State("install", do=invited, script=UPLOADED)
    yield State("install-iphone", do=see("#install", "Add to Home Screen"), script=UPLOADED + IPHONE)


def _not_loaded() -> Iterator[State]:
    """The files of a view that is opened first cannot be loaded."""
    yield State("job-not-loaded", do=open_job_offline, script=NO_WORKER, is_cut_off=True)
    yield State("job-updated", do=open_job_updated, script=NO_WORKER)
    yield State("upload-not-loaded", do=choose_offline, script=NO_WORKER, is_cut_off=True)
    yield State("upload-continue", do=asks_for_kept, script=ASKS)


def _posts() -> Iterator[State]:
    yield of_post("publishing", "publishing")
    yield of_post("published", "published", link="https://tiktok.example/1", job="completed")
    yield of_post("window", "waiting", expected_at="2099-11-26T08:00:00Z", waits_for="window")
    yield of_post("approval", "waiting", waits_for="approval")
    yield of_post("draft", "action_needed", job="completed")
    yield of_post("unclear", "outcome_unknown")
    yield of_post("reconnect", "waiting", code="reconnect_needed", reason="the login has expired or was withdrawn")
    yield of_post("account-refused", "waiting", code="account_refused", reason="TikTok does not let this account post")
    yield of_post("outage", "waiting", code="platform_paused", reason="HTTP 503")
    yield of_post(
        "failed", "failed", code="video_refused", reason="TikTok cannot use this video file (file_format_check_failed)"
    )
    yield of_post("too-late", "expired", job="completed_with_errors")


def _long() -> Iterator[State]:
    yield of_job("200-parts", samples.long(), see(".row-head"))
    yield of_job("200-parts-failed", samples.long(), click("[data-filter=failed]", then="[data-key=part-43] .part"))
    yield of_job("200-parts-open", samples.long(), click("[data-key=part-1] .row-head", then="[data-key=part-1] .part"))


def _tools() -> Iterator[State]:
    """The tools of a video in the large window."""
    words = click("#job [data-key=actions] [data-tool=words]", then=".counters")
    yield of_job("words", samples.in_words(), words)
    yield of_job("words-too-long", samples.in_words(), steps(words, fill(".tool [name=title]", "x" * 95)))
    options = of_job(
        "options", samples.in_words(), click("#job [data-tool=options]", then=".tool [name='youtube.tags']")
    )
    yield options
    direct = replace(options, name="job-options-direct", do=steps(options.do, see("#job-tiktok-creator", "Posts as")))
    yield replace(direct, set_up=both(options.set_up, with_direct_posts))
    part = click("[data-key=part-2] [data-tool=words]", ".tool summary", "[data-keep=hashtags]", then=".kept")
    yield of_job("words-of-a-part", samples.in_words(), part)
    preview = of_job("preview", samples.in_words(), click("[data-key=part-2] [data-tool=preview]", then=".phone-text"))
    yield preview
    post = of_job("post", samples.waiting(), click("[data-key=part-1] [data-tool=post]", ".tool-root summary"))
    yield replace(post, set_up=both(post.set_up, with_histories), do=steps(post.do, see(".history", "TikTok says")))
    cuts = of_job("cuts", samples.uncut(3), click("[data-tool=cuts]", then=".piece"))
    yield replace(cuts, set_up=both(cuts.set_up, with_plan))
    long_part = replace(cuts, name="job-cuts-too-long", do=steps(cuts.do, click("[data-do=merge]", "[data-do=out]")))
    yield replace(long_part, set_up=both(cuts.set_up, with_plan))
    compared = samples.uncut(2)
    compared["segments"][0]["links"]["gaze"] = "/jobs/job-cuts/segments/1/gaze"
    eyes = of_job("eyes", compared, click("[data-key=part-1] [data-tool=eyes]", then=".chart"))
    yield replace(eyes, set_up=both(eyes.set_up, with_gaze))


def fill(css: str, text: str) -> Do:
    """Return a step: type a text."""

    def do(page: Browser, _api: StandIn, _clip: Path) -> None:
        page.fill(css, text)

    return do


def with_direct_posts(api: StandIn) -> None:
    api.tiktok_requires = ["privacy", "consent"]
    api.creator |= {"privacies": ["public", "private"], "duet_allowed": False}


def with_histories(api: StandIn) -> None:
    api.histories["w1"] = samples.history()


def with_plan(api: StandIn) -> None:
    api.plans["job-cuts"] = samples.plan(3)


def with_gaze(api: StandIn) -> None:
    api.gaze = samples.gaze()


def _dialogs() -> Iterator[State]:
    yield of_job("stop-question", samples.processing(), click("[data-action=cancel]", then="#question"))
    yield of_job(
        "comparison", samples.processing(), click("[data-key=part-1] [data-look=preview]", then="#viewer-stage img")
    )
    yield State("sign-out-everywhere", do=click("#sign-out-everywhere", then="#question"), at="settings")
    yield State(
        "sign-out-failed",
        signed_in_elsewhere,
        click("#sign-out", then="#question"),
        at="settings",
        refused=frozenset({"/login 503"}),
    )
    refused = frozenset({"/publications/p2/retry 409"})
    again = of_job(
        "out-of-order-question", samples.held(), click("[data-key=part-2] [data-action=repost]", then="#question")
    )
    yield State(again.name, both(again.set_up, later_parts_out), again.do, at=again.at, refused=refused)
    limited = of_job(
        "action-busy", samples.held(), click("[data-key=part-2] [data-action=repost]", then="[data-key=refusal]")
    )
    busy = answering(429, "POST /publications/p2/retry", detail="too many requests")
    yield State(
        limited.name,
        both(limited.set_up, busy),
        limited.do,
        at=limited.at,
        refused=frozenset({"/publications/p2/retry 429"}),
    )


def _made() -> Iterator[State]:
    """The pages that the API makes of problems, with the codes of the logins at the platforms first."""
    detail = "this connection was not begun in this browser, or more than 60 minutes ago; nothing was changed"
    yield problem("connect-unknown", Problem(400, "connect_unknown", detail))
    yield problem("connect-refused", Problem(400, "connect_refused", "the platform did not grant access"))
    yield problem("connect-used", Problem(400, "connect_used", "this connection was completed before; connect again"))
    yield problem("connect-failed", Problem(422, "connect_failed", "the login has expired or was withdrawn"))
    later = Problem(503, "connect_failed", "TikTok cannot be reached at the moment", headers={"Retry-After": "60"})
    yield problem("connect-later", later)
    yield problem("not-set-up", Problem(409, "no_client", "no client id and secret for TikTok are configured"))
    yield problem("401", Problem(401, "no_key", "a key is needed"))
    yield problem("404", not_found("page"))
    yield problem("405", Problem(405, "method", "GET is not allowed here"))
    yield problem("410", Problem(410, "gone", "the upload has expired"))
    yield problem("413", Problem(413, "too_large", "the file is larger than 500 MB"))
    yield problem("429", Problem(429, "rate_limit", "too many requests", headers={"Retry-After": "42"}))
    yield problem("500", Problem(500, "internal_error", "an error in VidProd"))
    yield problem("503", Problem(503, "disk_full", "the disk is full", headers={"Retry-After": "300"}))
