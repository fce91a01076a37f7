"""The page against the real machine: sign in, choose a video, see its parts published."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.flows.machine import TestMachine
from tests.frontend.browser import DESKTOP, PHONE, READY, Browser, browser, chromedriver, require_chromedriver

SHOTS = Path(__file__).resolve().parents[2] / "build" / "screenshots"


@pytest.fixture
def window() -> Iterator[Browser]:
    require_chromedriver()
    with chromedriver() as driver_url, browser(driver_url) as opened:
        yield opened


def test_a_creator_signs_in_uploads_and_sees_every_part_published(
    machine: Callable[..., TestMachine], window: Browser, talk: Path, tmp_path: Path
) -> None:
    running = machine()
    window.show_on(PHONE)
    video = Path(shutil.copy(talk, tmp_path / "My first talk.mp4"))
    window.open(f"{running.client.root_url}/").find("#sign-in")
    window.fill("#key", "test-key-of-tests")
    window.click("#sign-in button")
    window.find(READY)
    window.choose_file("#file", video)
    window.fill("#title", "Speaking without notes")
    window.screenshot(SHOTS / "phone-chosen.png")
    window.click("#upload-start")
    window.until_text("#job-title", "Speaking without notes", 30)
    window.until("a part at work", lambda: window.visible("[data-key=part-1]"), 30)
    window.screenshot(SHOTS / "phone-processing.png")
    window.until_text("#job .lead", "posts are published", 90)
    window.screenshot(SHOTS / "phone-published.png")
    window.show_on(DESKTOP)
    window.screenshot(SHOTS / "desktop-published.png")
    links = window.run("return [...document.querySelectorAll('[data-key^=part-] a')].map((link) => link.href)")
    assert len([link for link in links if link.startswith(running.mock_url)]) == len(running.posts())
    pictures = window.run("return [...document.querySelectorAll('[data-key^=part-] img')].map((i) => i.naturalWidth)")
    assert pictures
    assert all(width > 0 for width in pictures)
    assert window.refusals() == ["/jobs 401"]
