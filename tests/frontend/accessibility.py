"""Runs the rules of axe-core in a page; axe-core is an npm package and no part of the product."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.frontend.browser import Browser

PACKAGE = Path(__file__).parent / "axe"
WCAG_22_AA = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]  # axe-core's tags of the criteria
RUN = """
  const [source, options] = arguments;
  document.getAnimations().forEach((one) => one instanceof CSSTransition && one.finish());
  if (!window.axe) new Function(source).call(window);
  const say = ({ id, nodes }) => nodes.map(({ target, failureSummary }) => `${id}: ${target}: ${failureSummary}`);
  const found = window.axe.run(document, { ...options, resultTypes: ['violations'] });
  return found.then(({ violations }) => violations.flatMap(say));
"""


@dataclass(frozen=True)
class Axe:
    """The source of axe-core, or the reason for which it is missing."""

    source: str
    missing: str = ""


def load_axe(directory: Path) -> Axe:
    """Install axe-core into a directory and read it; under continuous integration it must not be missing."""
    found = _install(directory)
    if found.missing and os.environ.get("CI") == "true":
        pytest.fail(found.missing)
    return found


def _install(directory: Path) -> Axe:
    if shutil.which("npm") is None:
        return Axe("", missing="npm is not installed (Debian: apt-get install npm)")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(PACKAGE / name, directory)
    command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline"]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=180, check=False)
    if done.returncode:
        return Axe("", missing=f"npm cannot reach a registry: {done.stderr[-200:]}")
    return Axe((directory / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8"))


def violations(page: Browser, axe: Axe, rule: str | None = None) -> list[str]:
    """Return what the page shows that violates WCAG 2.2 A or AA, or one rule only; nothing without axe-core.

    Transitions of style are ended first: a colour between two states is none that the page rests in.
    """
    if axe.missing:
        return []
    chosen: dict[str, Any] = {"type": "rule", "values": [rule]} if rule else {"type": "tag", "values": WCAG_22_AA}
    options = {"runOnly": chosen, "preload": {"assets": ["media"]}}  # style sheets: only for experimental rules
    source = "" if page.run("return 'axe' in window") else axe.source  # its 650 kB are sent once a page
    return [str(found) for found in page.run(RUN, source, options)]
