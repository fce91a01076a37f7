"""The views of jobs against the real API: what the page reads is what the server sends."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from api.context import Context
from store import accounts, jobs, publications, schedules, segments
from store.owners import DEFAULT_OWNER
from store.schedules import Schedule
from store.states import AccountStatus, JobStatus, SegmentStatus
from tests.api.conftest import clock, context
from tests.frontend.browser import DESKTOP, Browser
from tests.frontend.real_api import signed_in
from tests.store import rows
from tests.support.clock import Clock

__all__ = ["clock", "context"]  # fixtures

DATE = r"(today|tomorrow|[A-Z][a-z]{2}|\d+ [A-Z][a-z]{2}) \d\d:\d\d"


@pytest.fixture
def page(window: Browser, context: Context, clock: Clock) -> Iterator[Browser]:
    """The page, signed in; the server's clock is the browser's, whose zone is UTC."""
    clock.moment = datetime.now(UTC)
    window.devtools("Emulation.setTimezoneOverride", timezoneId="UTC")
    with signed_in(window, context) as opened:
        yield opened
    window.devtools("Emulation.setTimezoneOverride", timezoneId="")


def test_a_series_that_waits_is_scheduled(page: Browser, context: Context) -> None:
    """The forecast reaches the head, each part and the list."""
    _store(context, parts=12)
    page.run("location.hash = '#job=job'")
    page.until_text("[data-key=head]", "Scheduled · ")
    assert re.search(rf"Scheduled · {DATE}", page.text("[data-key=head]"))
    assert re.search(rf"All out by {DATE}\.", page.text("#job .lead"))
    facts = page.run("return [...document.querySelectorAll('.row-facts')].map((node) => node.textContent)")
    assert re.fullmatch(r"TikTok: [Tt]omorrow \d\d:\d\d, at the time you chose", facts[0])
    later = [re.fullmatch(rf"TikTok: {DATE}, after part\s(\d+)", fact, re.IGNORECASE) for fact in facts[1:]]
    assert [match and int(match[2]) for match in later] == list(range(1, 12))
    page.click("nav a[href='/videos']")
    page.until_text("#recent", "all out by ")
    assert re.search(rf"Next {DATE}, all out by {DATE}", page.text("#recent"))
    assert "Scheduled" in page.text("#recent .pill")


def test_a_series_is_moved_in_the_calendar(page: Browser, context: Context) -> None:
    """The parts go to another day together; the server's words refuse one part before another."""
    _store(context, parts=3)
    page.show_on(DESKTOP).click("nav a[href='/calendar']")
    page.find("[name=calendar-view]")
    tomorrow, later = (context.now() + timedelta(days=days) for days in (1, 3))
    _show_week_of(page, tomorrow)
    _open_part(page, 1)
    page.until_text(".tool h3", "TikTok, part 1")
    page.run("document.querySelector('#move-at').value = arguments[0]", f"{later:%Y-%m-%d}T12:30")
    page.click(".tool [name=following]")
    page.click(".tool form button")
    page.until_text(".tool [role=status]", "Moved.")
    page.click("#viewer-close")
    page.click("[data-step='0']")
    _show_week_of(page, later)
    page.until("the parts", lambda: _parts_on(page, later) == ["1/3", "2/3", "3/3"])

    _open_part(page, 2)
    page.until_text(".tool h3", "TikTok, part 2")
    page.run("document.querySelector('#move-at').value = arguments[0]", f"{later:%Y-%m-%d}T09:00")
    page.click(".tool form button")
    page.until("the refusal", lambda: "part 1" in page.text(".tool [role=alert]").lower())
    assert page.refusals()[-1] == "/publications/job-2-tiktok-1 409"


def _show_week_of(page: Browser, day: datetime) -> None:
    page.click("[name=calendar-view][value=week]")
    page.find(".calendar-week")
    if not page.run("return Boolean(document.querySelector(arguments[0]))", f"[data-day='{day:%Y-%m-%d}']"):
        page.click("[data-step='1']")
    page.find(f"[data-day='{day:%Y-%m-%d}'] .calendar-entry")


def _open_part(page: Browser, number: int) -> None:
    page.run("document.querySelectorAll('button.calendar-entry')[arguments[0] - 1].click()", number)


def _parts_on(page: Browser, day: datetime) -> list[str]:
    script = "return [...document.querySelectorAll(arguments[0])].map((part) => part.textContent)"
    found: list[str] = page.run(script, f"[data-day='{day:%Y-%m-%d}'] .calendar-part")
    return found


def test_a_series_whose_account_has_to_be_connected_needs_a_person(page: Browser, context: Context) -> None:
    _store(context, parts=2)
    with context.store.writing(scope="everything") as connection:
        reason = "the login has expired or was withdrawn"
        owner = rows.account()
        assert accounts.mark_unusable(connection, owner.id, AccountStatus.RECONNECT, reason, tokens=owner.tokens)
    page.run("location.hash = '#job=job'")
    page.until_text("[data-key=head]", "Waiting for you")
    page.until_text("[data-key=part-1]", "Connect TikTok again")
    assert "Goes out" not in page.text("[data-key=part-1]")


def _store(context: Context, *, parts: int) -> None:
    """Store a job whose parts are ready, and go out from tomorrow on, one an hour."""
    owner, now = rows.account(), context.now()
    with context.store.writing(scope="everything") as connection:
        accounts.connect(connection, owner)
        job = rows.job(status=JobStatus.PUBLISHING, parts=parts)
        jobs.create(connection, replace(job, created_at=now, publish_after=now + timedelta(days=1)))
        made = [rows.segment(number, status=SegmentStatus.READY) for number in range(1, parts + 1)]
        segments.create(connection, made)
        publications.create(connection, [replace(rows.publication(part, owner), created_at=now) for part in made])
        rules = Schedule(platform="tiktok", time_zone="UTC", windows=[], max_per_day=24, min_gap_s=3600)
        schedules.put(connection, DEFAULT_OWNER, rules)
