"""The editor of the cuts: pointers, keys, limits, and what is sent."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Any

import pytest

from api.context import Context
from store import segments
from tests.api.conftest import clock, context
from tests.api.test_plans import planned
from tests.frontend import samples
from tests.frontend.browser import Browser
from tests.frontend.real_api import signed_in
from tests.frontend.stand_in import Refusal, StandIn
from tests.frontend.test_status import open_job
from tests.frontend.test_words import module

__all__ = ["clock", "context", "planned"]  # fixtures

ARROW_RIGHT, PAGE_UP, DELETE = "\ue014", "\ue00e", "\ue017"
CUT = "[data-cut='{}']"
RUN = """
    const [address, plan, steps] = arguments;
    return import(address).then((cuts) => {
      let pieces = cuts.piecesOf(plan);
      for (const [name, ...rest] of steps) {
        const index = Math.min(rest[0], pieces.length - (['merge', 'moveCut'].includes(name) ? 2 : 1));
        if (index >= 0) pieces = cuts[name](pieces, index, ...rest.slice(1));
      }
      return [pieces, cuts.partsOf(pieces)];
    });
"""


def edit(page: Browser, api: StandIn, count: int = 3, **plan: Any) -> None:
    api.plans["job-cuts"] = samples.plan(count) | plan
    open_job(page, api, samples.uncut(count))
    page.click("[data-tool=cuts]")
    page.find(".piece")


def value(page: Browser, index: int) -> float:
    return float(
        page.run("return document.querySelector(arguments[0]).getAttribute('aria-valuenow')", CUT.format(index))
    )


def focus(page: Browser, index: int) -> None:
    page.run("document.querySelector(arguments[0]).focus()", CUT.format(index))


def pieces(page: Browser) -> list[str]:
    script = "return [...document.querySelectorAll('.piece')].map((one) => one.textContent)"
    return [str(text).replace("\xa0", " ") for text in page.run(script)]


def sent(api: StandIn) -> list[tuple[float, float]]:
    [(_, body)] = api.changed
    return [(part["start_s"], part["end_s"]) for part in body["parts"]]


def test_random_changes_cover_the_video_without_gaps(page: Browser, api: StandIn) -> None:
    """Whatever is done, each instant is in exactly one piece, and the parts are in order."""
    page.open(api.url).find("#nav")
    dice, plan = random.Random(7), samples.plan(6)
    for _ in range(40):
        steps: list[list[Any]] = []
        for _ in range(dice.randrange(1, 30)):
            name = dice.choice(["moveCut", "merge", "split", "toggleOut", "setGaze"])
            more = {"moveCut": [dice.uniform(-10, 400)], "split": [plan["pauses"]], "setGaze": [dice.random()]}
            steps.append([name, dice.randrange(8), *more.get(name, [])])
        found, parts = page.run(RUN, module(page, "cut-plan.js"), plan, steps)
        assert (found[0]["start"], found[-1]["end"]) == (0, 300), steps
        assert all(one["end"] == other["start"] for one, other in itertools.pairwise(found)), steps
        assert all(one["end"] - one["start"] > 0.09 for one in found), steps
        assert [(round(p["start"], 3), round(p["end"], 3)) for p in found if not p["out"]] == [
            (part["start_s"], part["end_s"]) for part in parts
        ]


def test_a_cut_moves_by_keys_and_to_the_next_pause(page: Browser, api: StandIn) -> None:
    edit(page, api)
    focus(page, 0)
    page.press(ARROW_RIGHT)
    assert value(page, 0) == pytest.approx(50.1)
    page.press(PAGE_UP)
    assert value(page, 0) == pytest.approx(52.0)
    assert pieces(page) == ["1 · 52.0 s", "2 · 48.0 s", "3 · 50.0 s"]
    page.until_text(".tool [data-key=save]", "2 parts are made again, 1 stays.")
    page.click("[data-do=save]")
    page.until("the window closed", lambda: not page.visible("#viewer"))
    assert sent(api) == [(0, 52), (52, 100), (100, 150)]


def test_a_cut_is_dragged_and_snaps_to_a_pause(page: Browser, api: StandIn) -> None:
    edit(page, api)
    box = page.run(
        "const {x, y} = document.querySelector(arguments[0]).getBoundingClientRect(); return [x, y]", CUT.format(0)
    )
    x, y = box[0] + 14, box[1] + 40
    for kind, dx in (("mousePressed", 0), ("mouseMoved", 5), ("mouseMoved", 14), ("mouseReleased", 14)):
        page.devtools("Input.dispatchMouseEvent", type=kind, x=x + dx, y=y, button="left", buttons=1, clickCount=1)
    assert value(page, 0) == pytest.approx(52.0), "two seconds are 16 pixels; 14 are near enough"
    page.click("[data-do=undo]")
    assert value(page, 0) == pytest.approx(50.0), "a drag is one step"


def test_a_cut_follows_the_pointer_while_the_track_scrolls(page: Browser, api: StandIn) -> None:
    edit(page, api, 200)
    page.run("document.querySelector('.track').scrollLeft = 200")
    where = "const {x, y} = document.querySelector(arguments[0]).getBoundingClientRect(); return [x + 14, y + 40]"
    x, y = page.run(where, CUT.format(0))
    mouse = {"button": "left", "buttons": 1, "clickCount": 1}
    page.devtools("Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, **mouse)
    page.run("document.querySelector('.track').scrollLeft = 280")
    page.devtools("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y + 1, **mouse)
    page.devtools("Input.dispatchMouseEvent", type="mouseReleased", x=x, y=y + 1, **mouse)
    assert value(page, 0) == pytest.approx(60.0), "80 pixels are ten seconds"


def test_a_part_that_is_too_long_is_shown_at_once_and_not_saved(page: Browser, api: StandIn) -> None:
    edit(page, api)
    focus(page, 0)
    page.press(DELETE)
    assert pieces(page) == ["1 · 100.0 s", "2 · 50.0 s"]
    page.until_text(".tool [data-key=fault]", "Too long: a part has at most 60 seconds.")
    page.until_text(".tool [data-key=save]", "One part is too short or too long.")
    assert page.run("return document.querySelector('[data-do=save]').disabled")
    page.click("[data-do=split]")
    assert pieces(page)[0] == "1 · 52.0 s", "at the pause that is nearest to the middle"
    page.until("the end of the fault", lambda: not page.visible(".tool [data-key=fault]"))


def test_a_part_is_left_out_and_another_stays_as_filmed(page: Browser, api: StandIn) -> None:
    edit(page, api)
    page.click("[data-piece='1']")
    page.click("[data-do=out]")
    assert pieces(page) == ["1 · 50.0 s", "Left out", "2 · 50.0 s"]
    page.click("[data-do=next]")
    page.run(
        "const select = document.querySelector('.tool [name=gaze]'); select.value = '0';"
        "select.dispatchEvent(new Event('input', { bubbles: true }))"
    )
    page.until_text(".tool [data-key=save]", "1 part is made again, 1 stays.")
    page.click("[data-do=save]")
    page.until("the window closed", lambda: not page.visible("#viewer"))
    parts = [{"start_s": 0, "end_s": 50}, {"start_s": 100, "end_s": 150, "gaze_intensity": 0}]
    assert api.changed == [("/jobs/job-cuts/plan", {"parts": parts})]


def test_cuts_that_are_not_saved_are_there_again(page: Browser, api: StandIn) -> None:
    edit(page, api)
    page.click("[data-do=split]")
    page.press("\ue00c")  # escape
    page.until("the window closed", lambda: not page.visible("#viewer"))
    page.click("[data-tool=cuts]")
    page.until_text(".tool [data-key=drafted]", "not saved yet")
    assert len(pieces(page)) == 4
    page.click("[data-do=undo]")
    assert len(pieces(page)) == 3
    page.click("#viewer-close")
    page.until("the window closed", lambda: not page.visible("#viewer"))
    page.click("[data-tool=cuts]")
    page.find(".piece")
    assert len(pieces(page)) == 3


def test_unsaved_cuts_of_an_older_plan_are_dropped(page: Browser, api: StandIn) -> None:
    edit(page, api)
    page.click("[data-do=split]")
    page.click("#viewer-close")
    page.until("the window closed", lambda: not page.visible("#viewer"))
    api.plans["job-cuts"]["parts"][0]["end_s"] = 40
    api.plans["job-cuts"]["parts"][1]["start_s"] = 40
    page.click("[data-tool=cuts]")
    page.find(".piece")
    assert pieces(page) == ["1 · 40.0 s", "2 · 60.0 s", "3 · 50.0 s"]


def test_a_short_video_fills_the_track(page: Browser, api: StandIn) -> None:
    edit(page, api, 1)
    ends = "const box = (css) => document.querySelector(css).getBoundingClientRect().right;"
    track, last = page.run(ends + "return [box('.track'), box('.piece')]")
    assert last == pytest.approx(track, abs=6)
    assert float(page.run("return document.querySelector('[name=zoom]').value")) == pytest.approx(0, abs=0.01)


def test_the_focus_stays_in_the_editor_when_its_button_ends(page: Browser, api: StandIn) -> None:
    edit(page, api)
    page.run("document.querySelector('[data-do=next]').focus()")
    page.press("\ue007")
    page.press("\ue007")
    page.until("the last part chosen", lambda: page.run("return document.querySelector('[data-do=next]').disabled"))
    assert page.run("return document.activeElement.dataset.piece") == "2"


def test_cuts_that_were_changed_elsewhere_are_not_overwritten(page: Browser, api: StandIn) -> None:
    edit(page, api)
    focus(page, 0)
    page.press(PAGE_UP)
    api.plans["job-cuts"]["parts"][0]["end_s"] = 40
    api.plans["job-cuts"]["parts"][1]["start_s"] = 40
    page.click("[data-do=save]")
    page.until_text(".tool [data-key=trouble]", "The cuts were changed elsewhere meanwhile.")
    page.click("[data-do=load]")
    page.until("the new cuts", lambda: pieces(page)[0] == "1 · 40.0 s")
    assert api.changed == []
    assert page.refusals() == ["/jobs/job-cuts/plan 412"]


def test_the_part_that_the_server_refuses_is_chosen(page: Browser, api: StandIn) -> None:
    edit(page, api)
    focus(page, 0)
    page.press(PAGE_UP)
    api.refusals["PUT /jobs/job-cuts/plan"] = Refusal(
        422, title="Invalid", description="parts[1].end_s: is in the middle of a frame", field="parts[1].end_s"
    )
    page.click("[data-do=save]")
    page.until_text(".tool [data-key=trouble]", "Is in the middle of a frame.")
    page.until_text(".piece-panel h3", "Part 2")
    assert page.refusals() == ["/jobs/job-cuts/plan 422"]


def test_cuts_that_cannot_change_say_why(page: Browser, api: StandIn) -> None:
    edit(page, api, editable=False, reason="publication_started", reason_text="A part is already published.")
    page.until_text(".tool [data-key=fixed]", "A part is already published.")
    focus(page, 0)
    page.press(ARROW_RIGHT)
    assert value(page, 0) == 50
    assert not page.visible("[data-do=save]")


def test_a_part_whose_post_has_begun_keeps_its_place(page: Browser, api: StandIn) -> None:
    plan = samples.plan(3)
    plan["parts"][0]["begun"] = True
    edit(page, api, parts=plan["parts"])
    page.until_text(".tool [data-key=begun]", "A post of this part has begun")
    focus(page, 0)
    page.press(ARROW_RIGHT)
    assert value(page, 0) == 50
    focus(page, 1)
    page.press(ARROW_RIGHT)
    assert value(page, 1) == pytest.approx(100.1)
    page.press(DELETE)
    assert len(pieces(page)) == 3, "the number of parts is in titles that are public"
    page.click("[data-piece='2']")
    disabled = "return [...document.querySelectorAll('[data-do]:disabled')].map((one) => one.dataset.do)"
    assert page.run(disabled) == ["next", "split", "merge", "out"]


def test_a_short_part_that_is_not_touched_is_no_fault(page: Browser, api: StandIn) -> None:
    """The planner makes the last part as short as the talk is."""
    plan = samples.plan(3)
    plan["parts"][2]["end_s"] = plan["duration_s"] = 104.0
    edit(page, api, parts=plan["parts"], duration_s=104.0)
    focus(page, 0)
    page.press(PAGE_UP)
    page.until_text(".tool [data-key=save]", "2 parts are made again, 1 stays.")
    focus(page, 1)
    page.press(ARROW_RIGHT)
    page.until_text(".tool [data-key=save]", "One part is too short or too long.")


@pytest.fixture
def real(window: Browser, planned: Context) -> Iterator[Browser]:
    """The page of the real API, signed in, with a planned job."""
    with signed_in(window, planned, "videos/job", "#job-title") as opened:
        yield opened


def test_the_real_api_takes_a_cut_and_a_part_as_filmed(real: Browser, planned: Context) -> None:
    real.click("[data-tool=cuts]")
    real.find(".piece")
    focus(real, 0)
    real.press(PAGE_UP)
    assert value(real, 0) == pytest.approx(20.05)
    real.click("[data-piece='2']")
    real.run(
        "const select = document.querySelector('.tool [name=gaze]'); select.value = '0';"
        "select.dispatchEvent(new Event('input', { bubbles: true }))"
    )
    real.click("[data-do=save]")
    real.until("the window closed", lambda: not real.visible("#viewer"))
    with planned.store.reading() as connection:
        spans = [segment.span for segment in segments.of_job(connection, "job")]
    assert [(span["first"], span["frames"]) for span in spans if span] == [(0, 601), (601, 899), (1500, 300)]


def test_two_hundred_parts_are_drawn_where_they_are_seen(page: Browser, api: StandIn) -> None:
    edit(page, api, 200)
    assert page.run("return document.querySelectorAll('.track *').length") < 60
    page.run("document.querySelector('.track').scrollLeft = 1e6")
    page.until("the last part", lambda: "200 · 50.0 s" in pieces(page))
    assert "1 · 50.0 s" not in pieces(page)
