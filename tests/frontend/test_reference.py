"""The API reference in a browser, made by the real application: accessible, and with commands to copy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from api.context import Context
from api.resources.operations import OPERATIONS
from tests.api.conftest import clock, context, serving
from tests.frontend.accessibility import Axe, load_axe, violations
from tests.frontend.browser import DESKTOP, PHONE, Browser, Screen

__all__ = ["clock", "context"]  # fixtures


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> Axe:
    return load_axe(tmp_path_factory.mktemp("axe"))


@pytest.fixture
def reference(page: Browser, context: Context) -> Iterator[Browser]:
    with serving(context) as root:
        yield page.open(f"{root}/docs")
        page.open("about:blank")


def test_each_operation_has_its_command_and_can_be_linked_to(reference: Browser) -> None:
    ids = reference.run("return [...document.querySelectorAll('article')].map(({ id }) => id)")
    assert sorted(ids) == sorted(operation.name for operation in OPERATIONS)
    commands = reference.run(
        "return [...document.querySelectorAll('article pre:first-of-type')].map((one) => one.textContent)"
    )
    assert len(commands) == len(OPERATIONS)
    assert [command for command in commands if not command.startswith("curl")] == []
    links = reference.run("return [...document.querySelectorAll('nav a')].map((one) => one.hash.slice(1))")
    assert set(ids) <= set(links)
    assert "`" not in reference.run(
        "return [...document.querySelectorAll('main > p')].map((one) => one.textContent).join()"
    )


def test_a_command_can_be_copied_or_is_selected(reference: Browser) -> None:
    """Over plain HTTP, or without permission, browsers give no access to the clipboard."""
    reference.run("navigator.clipboard.writeText = () => Promise.reject(new Error('no permission'))")
    reference.click("#list_jobs .copy")
    reference.until("the selection", lambda: "/jobs" in reference.run("return String(getSelection())"))
    reference.run("navigator.clipboard.writeText = (text) => { window.copied = text; return Promise.resolve(); }")
    reference.click("#upload_video .copy")
    reference.until("the copy", lambda: "file=@talk.mp4" in reference.run("return window.copied ?? ''"))


@pytest.mark.parametrize("screen", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_it_is_accessible_and_fits_its_screen(reference: Browser, axe: Axe, screen: Screen) -> None:
    reference.show_on(screen)
    assert violations(reference, axe) == []
    assert reference.run("return document.documentElement.scrollWidth <= innerWidth")
