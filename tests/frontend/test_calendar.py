"""The calendar: months and weeks on wide screens, days on phones; posts are opened and moved from it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from tests.frontend.browser import DESKTOP, PHONE, Browser
from tests.frontend.samples import calendar_entry
from tests.frontend.stand_in import Refusal, StandIn, new_job

DROP = """
    const [entry, day] = [document.querySelector(arguments[0]), document.querySelector(arguments[1])];
    const dataTransfer = new DataTransfer();
    const event = (type) => new DragEvent(type, { bubbles: true, cancelable: true, dataTransfer });
    const fire = (node, type) => node.dispatchEvent(event(type));
    fire(entry, 'dragstart');
    const isTaken = !fire(day, 'dragover');
    fire(day, 'drop');
    return isTaken;
"""


def noon() -> datetime:
    """Return today at noon: asked in each test, since the browser's day changes during a run at midnight."""
    return datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)


def other_day() -> date:
    """Return a day of the same week, which is not today."""
    return noon().date() + timedelta(days=-1 if noon().weekday() else 1)


@pytest.fixture
def calendar(page: Browser, api: StandIn) -> Iterator[Browser]:
    """A desktop with a page that was never opened before; its zone is UTC."""
    page.devtools("Emulation.setTimezoneOverride", timezoneId="UTC")
    yield page
    page.devtools("Emulation.setTimezoneOverride", timezoneId="")


def _add(api: StandIn, number: int, at: datetime | None, status: str = "waiting", **more: Any) -> None:
    entry = calendar_entry(number, None if at is None else at.isoformat().replace("+00:00", "Z"), status) | more
    api.entries.append(entry)


def _add_job(api: StandIn) -> None:
    post: dict[str, Any] = {
        "id": "pub_1", "platform": "tiktok", "account": "@mara.talks", "account_id": "a1", "status": "waiting",
        "expected_at": noon().isoformat(), "waits_for": "window", "code": None, "held": False, "publish_after": None,
        "publish_now": False, "title": "T", "caption": None, "options": {}, "editable": True,
    }  # fmt: skip
    part = {"number": 1, "of": 1, "status": "ready", "start_s": 0, "duration_s": 30.0, "links": {}, "reason": None}
    api.add_job(new_job("job-1", "Talk") | {"status": "publishing", "segments": [part | {"publications": [post]}]})


def _open(page: Browser, api: StandIn) -> Browser:
    page.open(f"{api.url}calendar").find("#calendar h2")
    return page


def _days(page: Browser) -> dict[str, list[str]]:
    """Return the parts that are shown on each day that has any."""
    script = """
      const days = [...document.querySelectorAll('[data-day]')];
      return Object.fromEntries(days.map((day) => [day.dataset.day, [...day.querySelectorAll('.calendar-part')].map(
        (part) => part.textContent)]).filter(([, parts]) => parts.length));
    """
    found: dict[str, list[str]] = page.run(script)
    return found


def test_a_month_has_whole_weeks_and_a_full_day_leads_to_its_week(calendar: Browser, api: StandIn) -> None:
    for number in range(1, 10):
        _add(api, number, noon() + timedelta(minutes=number))
    _open(calendar, api).find(".calendar-month")
    first, last, zone = api.calendars[-1]
    assert zone == "UTC"
    assert (date.fromisoformat(first).weekday(), date.fromisoformat(last).weekday()) == (0, 6)
    month = noon().date().replace(day=1)
    next_month = (month + timedelta(days=31)).replace(day=1)
    assert date.fromisoformat(first) <= month
    assert date.fromisoformat(last) >= next_month - timedelta(days=1)
    assert _days(calendar) == {noon().date().isoformat(): ["1/16", "2/16", "3/16", "4/16"]}

    width = "return document.querySelector('.calendar-entry .calendar-account').getBoundingClientRect().width"
    assert calendar.run(width) > 30, "each post names its platform"
    assert calendar.text(".calendar-more") == "5 more"
    calendar.click(".calendar-more")
    calendar.find(".calendar-week")
    assert len(_days(calendar)[noon().date().isoformat()]) == 9


def test_other_months_and_weeks_are_asked_for(calendar: Browser, api: StandIn) -> None:
    _open(calendar, api).find(".calendar-month")
    calendar.click("[name=calendar-view][value=week]")
    calendar.find(".calendar-week")
    monday = noon().date() - timedelta(days=noon().weekday())
    assert api.calendars[-1][:2] == (monday.isoformat(), (monday + timedelta(days=6)).isoformat())
    calendar.click("[data-step='1']")
    calendar.until("the next week", lambda: api.calendars[-1][0] == (monday + timedelta(days=7)).isoformat())
    calendar.click("[data-step='0']")
    calendar.until("this week", lambda: api.calendars[-1][0] == monday.isoformat())
    calendar.find(".calendar-today")


def test_a_phone_shows_the_days_that_have_posts(calendar: Browser, api: StandIn) -> None:
    _add(api, 1, noon())
    _add(api, 2, None, reason="It waits for your approval")
    calendar.show_on(PHONE)
    _open(calendar, api).find(".calendar-entry")
    assert list(_days(calendar)) == [noon().date().isoformat()]
    assert "It waits for the next upload window" in calendar.text(".calendar-entry")
    assert "It waits for your approval" in calendar.text(".calendar-undated")
    assert calendar.run("return document.querySelector('.calendar-undated h2').textContent") == "Without a date"


def test_times_are_those_of_the_reader_with_the_accounts_beside_them(calendar: Browser, api: StandIn) -> None:
    """Of an account in another zone; and the day of an entry is that of the reader."""
    late = datetime.combine(noon().date(), datetime.min.time(), UTC) + timedelta(hours=20)
    _add(api, 1, late, account_zone="America/New_York")
    _add(api, 2, late + timedelta(minutes=1), account_zone="Asia/Tokyo")
    calendar.devtools("Emulation.setTimezoneOverride", timezoneId="Asia/Tokyo")
    calendar.show_on(PHONE)
    _open(calendar, api).find(".calendar-entry")
    calendar.click("[name=calendar-view][value=month]")
    calendar.find(".calendar-month .calendar-entry")
    assert api.calendars[-1][2] == "Asia/Tokyo"
    tomorrow = (noon().date() + timedelta(days=1)).isoformat()
    assert _days(calendar) == {tomorrow: ["1/16", "2/16"]}
    facts = calendar.run("return [...document.querySelectorAll('.calendar-entry')].map((one) => one.innerText)")
    assert "05:00" in facts[0]
    assert "in New York" in facts[0]
    assert "05:01" in facts[1]
    assert " in " not in facts[1].replace("It waits", "")


def test_a_zone_that_the_server_does_not_know_is_replaced(calendar: Browser, api: StandIn) -> None:
    api.unknown_zones.add("Asia/Tokyo")
    _add(api, 1, noon())
    calendar.devtools("Emulation.setTimezoneOverride", timezoneId="Asia/Tokyo")
    _open(calendar, api).find(".calendar-entry")
    assert calendar.text(".calendar-entry time") == "12:00"
    assert [complaint for complaint in calendar.complaints() if "400" not in complaint] == []


@pytest.mark.parametrize("name", ["Etc/Unknown", ""])
def test_a_zone_that_the_browser_does_not_take_is_replaced(calendar: Browser, api: StandIn, name: str) -> None:
    """Chromium names Etc/Unknown where the system has no zone, and refuses it itself."""
    source = f"""
      const real = Intl.DateTimeFormat.prototype.resolvedOptions;
      Intl.DateTimeFormat.prototype.resolvedOptions = function () {{
        return {{ ...real.call(this), timeZone: {name!r} }};
      }};
    """
    script = calendar.devtools("Page.addScriptToEvaluateOnNewDocument", source=source)["identifier"]
    try:
        _add(api, 1, noon())
        _open(calendar, api).find(".calendar-entry")
        assert api.calendars[-1][2] == "UTC"
    finally:
        calendar.devtools("Page.removeScriptToEvaluateOnNewDocument", identifier=script)


def test_a_waiting_post_is_opened_by_keyboard_and_moved(calendar: Browser, api: StandIn) -> None:
    _add(api, 1, noon())
    _add_job(api)
    _open(calendar, api).find("button.calendar-entry")
    calendar.run("document.querySelector('button.calendar-entry').focus()")
    calendar.press("\ue007")
    calendar.until_text(".tool h3", "TikTok, part 1")
    assert calendar.run("return document.querySelector('.tool a').pathname") == "/videos/job-1"
    calendar.run("document.querySelector('#move-at').value = '2099-12-01T10:30'")
    asked = len(api.calendars)
    calendar.click(".tool form button")
    calendar.until_text(".tool [role=status]", "Moved.")
    change = {"publish_after": "2099-12-01T10:30:00.000Z", "shift_following": False}
    assert api.changed == [("/publications/pub_1", change)]
    calendar.until("the calendar is read again", lambda: len(api.calendars) > asked)


def test_a_post_is_dropped_on_another_day_and_keeps_its_time(calendar: Browser, api: StandIn) -> None:
    """Nothing is sent before the person confirms it; the order of parts is guarded by the server's words."""
    _add(api, 1, noon())
    _add_job(api)
    _open(calendar, api).find("button.calendar-entry[draggable=true]")
    assert calendar.run(DROP, "button.calendar-entry", f"[data-day='{other_day()}']")
    calendar.until_text(".tool h3", "TikTok, part 1")
    assert calendar.run("return document.querySelector('#move-at').value") == f"{other_day()}T12:00"
    assert api.changed == []
    detail = "part 1 would go out after part 2"
    api.refusals["PATCH /publications/pub_1"] = Refusal(409, title="Conflict", description=detail, kind="out_of_order")
    calendar.click(".tool form button")
    calendar.until_text(".tool [role=alert]", "Part 1 would go out after part 2")
    assert [complaint for complaint in calendar.complaints() if "409" not in complaint] == []


def test_only_waiting_posts_can_be_moved(calendar: Browser, api: StandIn) -> None:
    _add(api, 1, noon(), "published", link="https://x.example/1")
    _add_job(api)
    _open(calendar, api).find("a.calendar-entry")
    assert calendar.run("return document.querySelectorAll('[draggable]').length") == 0
    calendar.click("a.calendar-entry")
    calendar.until("the video", lambda: calendar.run("return location.pathname") == "/videos/job-1")


def test_too_many_posts_and_lost_answers_are_said(calendar: Browser, api: StandIn) -> None:
    _add(api, 1, noon())
    api.is_calendar_truncated = True
    calendar.show_on(DESKTOP)
    _open(calendar, api)
    calendar.until_text("#calendar", "too many posts to show all")
