"""The command `python -m tests.pictures`: takes the pictures of the pages in README, into docs/pictures.

It starts the whole machine with mock platforms and uploads the sample clip, which the project generates. So they show
what a first user sees. Needs chromedriver.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from scripts.local.ports import free_ports
from tests.flows.machine import TestMachine
from tests.frontend.browser import READY, Browser, Screen, browser, chromedriver
from tests.support.waiting import wait_for

DIRECTORY = Path(__file__).resolve().parents[1] / "docs/pictures"
PHONE = Screen(390, 844, touch=True, density=2)
DESKTOP = Screen(1280, 800, touch=False)
NAMES = ("video-phone", "eyes-phone", "calendar-phone", "cuts")
SAMPLE_S = 72
MACHINE = {"SEGMENT_SECONDS": "20", "REVIEW": "true"}
TITLE = "Five habits of calm speakers"
RENDERED_WITHIN_S = 900.0
WIDTHS_PX = {PHONE: 390, DESKTOP: 1000}
QUALITY = 80  # of WebP
SHOWN_IMAGES = """
  const shown = [...document.images].filter((image) => image.getBoundingClientRect().top < innerHeight);
  return shown.every((image) => image.complete);  // those below the screen are loaded when they come near
"""
EVENINGS = {"windows": [["18:00", "21:00"]], "max_per_day": 1, "min_gap_s": 3600}


def main() -> None:
    """Take all pictures."""
    with tempfile.TemporaryDirectory(prefix="pictures-") as directory:
        video = Path(directory) / "talk.mp4"
        command = [sys.executable, "-m", "media.sample", "--json", "--seconds", str(SAMPLE_S), str(video)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        api_port, mock_port = free_ports(2)
        machine = TestMachine(Path(directory) / "data", api_port, mock_port, MACHINE)
        try:
            machine.wait_until_it_answers()
            _take_all(machine, video)
        finally:
            machine.stop()


def _take_all(machine: TestMachine, video: Path) -> None:
    job_id = machine.upload(video, title=TITLE, caption="What helps before a talk. #speaking")
    wait_for(lambda: machine.status(job_id)["status"] == "review", "the review", RENDERED_WITHIN_S, interval_s=1.0)
    with chromedriver() as driver_url, browser(driver_url) as window:
        address = machine.client.root_url
        window.show_on(DESKTOP).open(f"{address}/").fill("#key", machine.client.api_key)
        window.click("#sign-in button")
        window.find(READY)
        _video(window, f"{address}/videos/{job_id}")
        machine.client.call("PUT", "/schedule", json=dict.fromkeys(("tiktok", "instagram", "youtube"), EVENINGS))
        machine.client.call("POST", f"/jobs/{job_id}/approve")
        _calendar(window, f"{address}/calendar")


def _video(window: Browser, address: str) -> None:
    _open(window, address, "[data-key=part-1]")
    window.click("[data-tool=cuts]")
    window.find(".piece")
    _take(window, "cuts", DESKTOP)
    window.show_on(PHONE)
    _open(window, address, "[data-key=part-1]")
    _take(window, "video-phone", PHONE)
    window.click("[data-key=part-1] [data-tool=eyes]")
    window.find(".chart")
    _until(window, "both films", "return [...document.querySelectorAll('.tool video')].every((v) => v.readyState >= 2)")
    _take(window, "eyes-phone", PHONE)


def _calendar(window: Browser, address: str) -> None:
    window.show_on(PHONE)
    _open(window, address, "[data-step]")
    if not window.run("return !!document.querySelector('.calendar-entry')"):  # on the last evening of a week
        window.click("[data-step='1']")
    window.find(".calendar-entry")
    _take(window, "calendar-phone", PHONE)


def _open(window: Browser, address: str, css: str) -> None:
    window.open(address).find(READY)
    window.find(css)
    _until(window, "its images", SHOWN_IMAGES)


def _until(window: Browser, what: str, script: str) -> None:
    condition: Callable[[], bool] = lambda: bool(window.run(script))  # noqa: E731
    window.until(what, condition)


def _take(window: Browser, name: str, screen: Screen) -> None:
    assert name in NAMES, name
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    whole = DIRECTORY / f"{name}.png"
    window.screenshot(whole)
    with Image.open(whole) as picture:
        width = WIDTHS_PX[screen]
        small = picture.convert("RGB").resize(
            (width, picture.height * width // picture.width), Image.Resampling.LANCZOS
        )
        small.save(DIRECTORY / f"{name}.webp", quality=QUALITY, method=6)
    whole.unlink()


if __name__ == "__main__":
    main()
