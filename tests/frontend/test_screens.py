"""Each state of each page: its pictures in build/screens, and what must hold wherever a person is.

Pictures, for developers who ask for them with SCREENS=true: 390×844 and 1440×900, light and dark. They take a third of
the time. Asserted: nothing scrolls sideways at 320, 390 and 1440 pixels, each target has 24 pixels, axe-core finds no
violation of WCAG 2.2 AA, and the console has no error.
"""

import os
from pathlib import Path

import pytest

from tests.frontend.accessibility import Axe, load_axe, violations
from tests.frontend.browser import Browser, Screen
from tests.frontend.stand_in import StandIn
from tests.frontend.states import State, states

SCREENS = Path(__file__).parents[2] / "build/screens"
NARROW = Screen(320, 640, touch=True)
PHONE = Screen(390, 844, touch=True, density=1)
WIDE = Screen(1440, 900, touch=False)
MAX_HEIGHT_PX = 2000  # of a picture
MIN_TARGET_PX = 24  # WCAG 2.2, 2.5.8

SMALL_TARGETS = """
  const kinds = 'a, button, summary, input, textarea, select, label.button, label.choice, label.account-setting';
  const shown = [...document.querySelectorAll(kinds)].filter((node) => node.checkVisibility());
  const targets = shown.filter((node) => !node.matches('.visually-hidden, label input'));
  const isSmall = ({ width, height }) => width < arguments[0] || height < arguments[0];
  return targets.filter((node) => isSmall(node.getBoundingClientRect())).map((node) => node.outerHTML);
"""
WIDER = "return Math.max(0, document.documentElement.scrollWidth - innerWidth)"


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> Axe:
    return load_axe(tmp_path_factory.mktemp("axe"))


@pytest.mark.parametrize("state", list(states()), ids=lambda state: state.name)
def test_state(window: Browser, api: StandIn, clip: Path, axe: Axe, state: State) -> None:
    page = window.reset().show_on(PHONE).colour_scheme("light")
    state.set_up(api)
    script = page.devtools("Page.addScriptToEvaluateOnNewDocument", source=state.script)["identifier"]
    try:
        page.open(api.url + state.at)
        state.do(page, api, clip)
        page.run("document.activeElement?.blur?.()")
        found = _faults(page, axe, state.name)
    finally:
        complaints = page.complaints()  # before the page is online again, and asks for more
        page.offline(False)
        page.upload_at(-1)
        page.devtools("Page.removeScriptToEvaluateOnNewDocument", identifier=script)
        page.leave()
    assert found == []
    assert [said for said in complaints if not _is_expected(said, state)] == []
    if axe.missing:
        pytest.skip(f"all but the rules of axe-core was checked: {axe.missing}")


def _faults(page: Browser, axe: Axe, name: str) -> list[str]:
    """Take the pictures of a state, and return all that is wrong with it."""
    found = violations(page, axe)
    found += [f"small target: {markup}" for markup in page.run(SMALL_TARGETS, MIN_TARGET_PX)]
    found += _scrolls_sideways(page)
    _take(page, name, "phone-light")
    page.show_on(WIDE)
    found += _scrolls_sideways(page)
    _take(page, name, "wide-light")
    page.colour_scheme("dark")
    _take(page, name, "wide-dark")
    page.show_on(NARROW)
    found += _scrolls_sideways(page)
    page.show_on(PHONE)
    found += [f"dark: {fault}" for fault in violations(page, axe, "color-contrast")]
    _take(page, name, "phone-dark")
    return found


def _scrolls_sideways(page: Browser) -> list[str]:
    wider = page.run(WIDER)
    return [f"{wider} px wider than a screen of {page.run('return innerWidth')} px"] if wider else []


def _take(page: Browser, name: str, look: str) -> None:
    if os.environ.get("SCREENS") == "true":
        page.whole_page(SCREENS / f"{name}.{look}.jpg", MAX_HEIGHT_PX)


def _is_expected(complaint: str, state: State) -> bool:
    if "beforeunload" in complaint:  # Chromium has no gesture of a person here, so that it does not ask
        return True
    if state.is_cut_off and "ERR_INTERNET_DISCONNECTED" in complaint:
        return True
    return any(
        (f"{path} - " in complaint or f"{path}?" in complaint) and f"status of {status}" in complaint
        for path, status in map(str.split, state.refused)
    )
