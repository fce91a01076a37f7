"""The page of the accounts: setting up, health, times of an account, disconnecting; in a real browser."""

from datetime import UTC, datetime

from tests.frontend import samples
from tests.frontend.browser import Browser
from tests.frontend.stand_in import PLATFORM_SCHEDULE, StandIn
from tests.frontend.states import expected_posts


def test_a_platform_that_is_not_set_up_says_how(page: Browser, api: StandIn) -> None:
    api.accounts, api.settings = [], samples.settings(tiktok_is_set_up=False)
    page.open(f"{api.url}accounts").until_text("[data-key=tiktok]", "Not set up on this server")
    assert not page.run("return !!document.querySelector('[data-key=tiktok] a')")
    steps = page.text("[data-key=tiktok] .steps")
    assert "https://videos.example.com/connect/tiktok/callback" in steps
    assert "Set TIKTOK_CLIENT_KEY and TIKTOK_CLIENT_SECRET in the environment" in steps
    page.devtools("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    page.click("[data-key=tiktok] [data-copy]")
    page.until_text("#accounts", "Copied.")
    assert page.run("return navigator.clipboard.readText()") == "https://videos.example.com/connect/tiktok/callback"
    assert page.text("[data-key=youtube] a") == "Connect"
    page.run("Object.defineProperty(Navigator.prototype, 'clipboard', { value: undefined })")  # as over plain http
    page.click("[data-key=tiktok] [data-copy]")
    page.until_text("#accounts", "Select the text instead.")


def test_an_account_is_disconnected_after_a_question(page: Browser, api: StandIn) -> None:
    page.open(f"{api.url}accounts").click("[data-disconnect=a1]")
    page.until_text("#question", "Posts that wait for this account are cancelled")
    page.click("#question-no")
    assert len(api.accounts) == 3
    page.click("[data-disconnect=a1]")
    page.click("#question-yes")
    page.until_text("[data-key=tiktok]", "Not connected")
    assert [account["id"] for account in api.accounts] == ["a2", "a3"]


def test_the_times_of_an_account_are_changed_and_given_back(page: Browser, api: StandIn) -> None:
    expected_posts(api)
    page.open(f"{api.url}accounts").click("[data-schedule=a1]")
    page.until_text(".editor", "This account follows the times of its platform.")
    page.until_text(".editor", "3 posts wait: the last goes out 27 Nov 2099 at 08:00.")
    assert page.run("return document.querySelector('.day').getAttribute('aria-label')") == "Open 08:00 to 22:30"
    assert page.run("return document.querySelectorAll('svg[preserveAspectRatio=none] text').length") == 0, "stretched"
    assert page.text(".day-hours").split() == ["0", "6", "12", "18", "24"]
    page.click("[data-do=zone]")
    here = page.run("return Intl.DateTimeFormat().resolvedOptions().timeZone")
    assert page.run("return document.querySelector('#zone').value") == here
    page.click("[data-do=add]")
    page.click("[data-do=remove][data-at='0']")
    assert page.run('return document.querySelector(\'[data-window="0"][data-end="0"]\').value') == "18:00"
    assert page.run("return document.activeElement.dataset.do") == "add"
    page.click("#per-day")
    page.run("document.querySelector('#per-day').value = ''")
    page.fill("#per-day", "4")
    page.click(".editor [type=submit]")
    page.until_text(".editor", "Saved.")
    assert api.account_schedules["a1"] == {
        "time_zone": here, "windows": [["18:00", "21:00"]], "max_per_day": 4, "min_gap_s": 900,
    }  # fmt: skip
    page.until_text(".editor", "This account has times of its own.")
    page.click("[data-do=reset]")
    page.until_text(".editor", "This account follows the times of its platform.")
    assert api.account_schedules == {}
    assert page.run("return document.querySelector('#zone').value") == PLATFORM_SCHEDULE["time_zone"]
    page.run("history.back()")
    page.until("the editor to close", lambda: not page.visible(".editor"))


def test_a_window_that_is_refused_keeps_what_was_typed(page: Browser, api: StandIn) -> None:
    page.open(f"{api.url}accounts").click("[data-schedule=a1]")
    page.find(".editor")
    change = "const end = document.querySelector('[data-end=\"1\"]'); end.value = '08:00'; "
    page.run(change + "end.dispatchEvent(new Event('input', { bubbles: true }))")
    page.click(".editor [type=submit]")
    page.until_text("#viewer", "Must not end when it starts.")
    assert page.run("return document.querySelector('[data-end=\"1\"]').value") == "08:00"
    assert page.refusals() == ["/accounts/a1/schedule 422"]


def test_the_clock_of_the_account_is_beside_that_of_the_viewer(page: Browser, api: StandIn) -> None:
    api.account_schedules["a1"] = PLATFORM_SCHEDULE | {"time_zone": "Asia/Kolkata"}
    page.open(f"{api.url}accounts").click("[data-schedule=a1]")
    page.until_text(".editor", "here.")
    shown = page.text("[data-key=zone] .hint")
    minute = datetime.now(UTC).minute
    assert shown.startswith("It is ")
    assert any(f":{(minute + 30 - late) % 60:02} there now" in shown for late in (0, 1))
