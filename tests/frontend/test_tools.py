"""The large window with each tool of a video: on the smallest screens, and written from right to left."""

from __future__ import annotations

import pytest

from tests.frontend import samples
from tests.frontend.browser import Browser, Screen
from tests.frontend.stand_in import StandIn
from tests.frontend.states import with_gaze, with_histories, with_plan
from tests.frontend.test_eyes import film
from tests.frontend.test_status import open_job

__all__ = ["film"]  # a fixture

NARROW = Screen(320, 640, touch=True)
SHOWN = {"words": ".counters", "post": "#move-at", "cuts": ".piece", "eyes": ".chart", "preview": ".phone-text",
         "options": ".tool fieldset"}  # fmt: skip
WIDER = """
    const window_ = document.querySelector('#viewer');
    const all = [...window_.querySelectorAll('.tool *')];
    const inside = all.filter((one) => !one.closest('.track, .compare, .phone, svg'));
    const {left, right} = window_.getBoundingClientRect();
    const isOut = (box) => box.width && (box.left < left - 1 || box.right > right + 1);
    const out = inside.filter((one) => isOut(one.getBoundingClientRect()));
    return [window_.scrollWidth - window_.clientWidth, out.length];
"""


def a_job(tool: str) -> dict[str, object]:
    job = samples.waiting() if tool == "post" else samples.uncut(3)
    job["source_deleted_at"] = None
    for part in job["segments"]:
        part["links"]["gaze"] = f"/jobs/{job['job_id']}/segments/{part['number']}/gaze"
        part["publications"][0] |= {"title": "عنوان طويل جدا" * 5, "options": {}}
    return job


@pytest.mark.parametrize("direction", ["ltr", "rtl"])
@pytest.mark.parametrize("tool", SHOWN)
def test_nothing_is_wider_than_the_window(page: Browser, api: StandIn, film: bytes, tool: str, direction: str) -> None:
    api.video = film
    with_gaze(api)
    with_plan(api)
    with_histories(api)
    page.show_on(NARROW)
    open_job(page, api, a_job(tool))
    page.run("document.documentElement.dir = arguments[0]", direction)
    page.click(f"#job [data-tool={tool}]")
    page.find(SHOWN[tool])
    assert page.run(WIDER) == [0, 0]


@pytest.mark.parametrize("tool", SHOWN)
def test_leaving_the_page_closes_the_window(page: Browser, api: StandIn, film: bytes, tool: str) -> None:
    """Back closes the window and stays on the page; the next one leaves it."""
    api.video = film
    with_gaze(api)
    with_plan(api)
    page.open(f"{api.url}videos").find("#nav")
    job = a_job(tool)
    api.add_job(job)
    page.click("#nav a[href='/videos']")
    page.click(f"a[href='/videos/{job['job_id']}']")
    page.click(f"#job [data-tool={tool}]")
    page.find(SHOWN[tool])
    page.run("history.back()")
    page.until("the window closed", lambda: not page.visible("#viewer"))
    assert page.run("return location.pathname") == f"/videos/{job['job_id']}"
    page.run("history.back()")
    page.until("the list", lambda: page.run("return location.pathname") == "/videos")
