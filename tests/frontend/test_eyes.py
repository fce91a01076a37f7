"""The comparison of the eyes as filmed and corrected, with a real video in Chromium."""

from __future__ import annotations

import io
from typing import Any

import av
import numpy as np
import pytest

from tests.frontend import samples
from tests.frontend.browser import Browser
from tests.frontend.stand_in import StandIn
from tests.frontend.test_status import open_job

TIMES = "return [...document.querySelectorAll('.compare video')].map((one) => one.currentTime)"


def made(width: int, height: int, seconds: int) -> bytes:
    """Return a video whose pictures become lighter."""
    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=25, options={"movflags": "faststart"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(25 * seconds):
            picture = np.full((height, width, 3), number % 256, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return target.getvalue()


@pytest.fixture(scope="session")
def film() -> bytes:
    return made(90, 160, 4)


@pytest.fixture(scope="session")
def upload() -> bytes:
    """The uploaded video, in which the part begins after two seconds."""
    return made(90, 160, 6)


def compare(page: Browser, api: StandIn, film: bytes, original: bytes, gaze: dict[str, Any] | None = None) -> None:
    api.video, api.original, api.gaze = film, original, gaze or samples.gaze()
    job = samples.uncut(2)
    links = job["segments"][0]["links"]
    links |= {"original": "/jobs/job-cuts/segments/1/original#t=2,6", "gaze": "/jobs/job-cuts/segments/1/gaze"}
    open_job(page, api, job)
    page.click("[data-key=part-1] [data-tool=eyes]")
    page.until("the video", lambda: page.run("return document.querySelector('.compare-after video')?.readyState >= 2"))


def test_both_play_together_and_stay_together(page: Browser, api: StandIn, film: bytes, upload: bytes) -> None:
    compare(page, api, film, upload)
    page.click(".tool-eyes .button-main")
    page.until("a second of both", lambda: (times := page.run(TIMES))[0] > 3 and times[1] > 1)
    page.click(".tool-eyes .button-main")
    page.until("the pause", lambda: page.run("return document.querySelector('.compare-after video').paused"))
    page.until("the same picture", lambda: abs(page.run(TIMES)[0] - 2 - page.run(TIMES)[1]) < 0.1)
    page.run(
        "const seek = document.querySelector('.tool-eyes > [type=range]'); seek.value = 3;"
        "seek.dispatchEvent(new Event('input'))"
    )
    page.until("the same picture", lambda: [round(time, 1) for time in page.run(TIMES)] == [5.0, 3.0])


def test_the_line_between_them_moves_by_keys(page: Browser, api: StandIn, film: bytes, upload: bytes) -> None:
    compare(page, api, film, upload)
    clipped = "return document.querySelector('.compare-after').style.clipPath"
    assert page.run(clipped) == "inset(0px 0px 0px 50%)"
    page.run("document.querySelector('.compare-sides input').focus()")
    page.press("\ue014")  # right
    assert page.run(clipped) == "inset(0px 0px 0px 51%)"


def test_the_chart_tells_what_was_left_alone(page: Browser, api: StandIn, film: bytes, upload: bytes) -> None:
    compare(page, api, film, upload)
    page.until_text(".tool-eyes ul", "0:20–0:24: you look away on purpose")
    label = page.run("return document.querySelector('.chart svg').getAttribute('aria-label')")
    assert label.replace("\xa0", " ") == "Typically 14° off the lens as filmed, 3° corrected, over 50 s."


def test_blinks_are_no_stretches_of_their_own(page: Browser, api: StandIn, film: bytes, upload: bytes) -> None:
    found = samples.gaze()
    found["reasons"] = [
        {"start_s": 1.0, "end_s": 3.0, "code": "eyes_too_small"}, {"start_s": 3.0, "end_s": 3.3, "code": "blink"},
        {"start_s": 3.3, "end_s": 9.0, "code": "eyes_too_small"}, {"start_s": 30.0, "end_s": 30.2, "code": "blink"},
    ]  # fmt: skip
    compare(page, api, film, upload, found)
    page.until_text(".tool-eyes ul", "0:01–0:09: the eyes are too small in the picture")
    assert page.run("return document.querySelectorAll('.tool-eyes ul li').length") == 1


def test_pictures_of_different_shapes_stand_side_by_side(page: Browser, api: StandIn, film: bytes) -> None:
    compare(page, api, film, made(160, 90, 6))
    page.find(".compare-beside")
    lefts = "return [...document.querySelectorAll('.compare video')].map((one) => one.getBoundingClientRect().left)"
    before, after = page.run(lefts)
    assert before < after
    assert not page.visible(".compare-sides")


def test_an_upload_that_the_browser_cannot_play_is_replaced_by_the_picture(
    page: Browser, api: StandIn, film: bytes
) -> None:
    compare(page, api, film, b"not a video")
    page.until_text(".tool-eyes", "This browser cannot play the video as you uploaded it.")
    page.find(".tool-eyes img")
    assert page.run("return document.querySelector('.compare-after').style.clipPath") == "inset(0px 0px 0px 0%)"
    assert not page.visible(".compare-sides")
