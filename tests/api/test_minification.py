"""The page's files without comments and indentation: what is removed, what stays, and the conventions that allow it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from api.http.minification import COMMENTS, minify

FRONTEND = Path(__file__).parents[2] / "frontend"
FILES = sorted(path for path in FRONTEND.iterdir() if path.suffix in COMMENTS)

SCRIPT = """\
/**
 * Says where a part goes; `//` and \"\"\" in it do no harm.
 */

import { el } from './dom.js'; // of this page

// A comment of its own,
// of two lines.
export function note(place, why) {
  const address = `https://example.com/${place}`; // its end
  return el('a', { href: address }, `in ${place}${why ? `  (${why})` : ''} // and on`); /* kept */
}
"""
MINIFIED = """\
import { el } from './dom.js';
export function note(place, why) {
const address = `https://example.com/${place}`;
return el('a', { href: address }, `in ${place}${why ? `  (${why})` : ''} // and on`); /* kept */
}
"""


def test_comments_and_indentation_go_and_texts_stay() -> None:
    assert minify(SCRIPT, ".js") == MINIFIED
    assert (
        minify("/* One */\n\na { /* two */ }\n  b { c: d; } /* three */\n", ".css") == "a { /* two */ }\nb { c: d; }\n"
    )
    assert minify("<!-- A\nb -->\n<p>\n  c <!-- d -->\n</p>\n", ".html") == "<p>\nc <!-- d -->\n</p>\n"
    assert minify("  // as it is\n", ".svg") == "  // as it is\n"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file_keeps_the_conventions(path: Path) -> None:
    """Else a text of the page would lose its spaces, or a line."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        assert line.count("`") % 2 == 0 or path.suffix != ".js" or re.match(r"\s*(/?\*|//)", line), (
            f"{path.name}:{number}: a template literal over several lines"
        )


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_every_module_is_a_script_still(tmp_path: Path) -> None:
    for path in FILES:
        if path.suffix == ".js":
            (tmp_path / path.with_suffix(".mjs").name).write_text(minify(path.read_text(), ".js"))
    for path in tmp_path.iterdir():
        checked = subprocess.run(["node", "--check", str(path)], capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stderr
