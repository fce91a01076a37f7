"""The minifier of the page's files: it removes white space and comments, and nothing that has a meaning."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from api.http.minification import minify, tokens

FRONTEND = Path(__file__).parents[2] / "frontend"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("const a = 1; // one\nconst b = 2;", "const a=1;const b=2;"),
        ("/** Says `this`. */\nexport const a = 'b // c';", "export const a='b // c';"),
        ("const a = `x  ${ b + ` (${ c } )` }  /* kept */ y`;", "const a=`x  ${b+` (${c} )`}  /* kept */ y`;"),
        ("const a = `${ { b: `}` }[c] } d`;", "const a=`${{b:`}`}[c]} d`;"),
        ("const a = b.replace(/['\"`]  \\//g, '');", "const a=b.replace(/['\"`]  \\//g,'');"),
        ("return / x[/] /.test(a) / 2 / 3;", "return/ x[/] /.test(a)/2/3;"),
        ("a = b\n++c;", "a=b\n++c;"),
        ("a = b + +c - -d;", "a=b+ +c- -d;"),
        ("const a = function () {}\n(b)", "const a=function(){}\n(b)"),
        ("if (#a in b) return  1 .b;", "if(#a in b)return 1 .b;"),
        ("const a = '\\'  \\\\'; const b  = \"é  ü\";", "const a='\\'  \\\\';const b=\"é  ü\";"),
    ],
)
def test_javascript(source: str, expected: str) -> None:
    assert minify(source, ".js") == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("/* a */ .b > c , .d :hover { e : f ; }", ".b>c,.d :hover{e : f;}"),
        ('.a::after { content: "›  /* } */"; }', '.a::after{content: "›  /* } */";}'),
        (
            "@media (width > 9px) and (x) { .a { b: rgb(0 0 0 / 5%); } }",
            "@media (width>9px) and (x){.a{b: rgb(0 0 0 / 5%);}}",
        ),
    ],
)
def test_style_sheets(source: str, expected: str) -> None:
    assert minify(source, ".css") == expected


@pytest.mark.parametrize("path", sorted(FRONTEND.glob("*.js")), ids=lambda path: path.name)
def test_every_module_keeps_its_tokens(path: Path) -> None:
    source = path.read_text()
    small = minify(source, ".js")
    assert tokens(source) == tokens(small)
    assert len(small) < len(source)


@pytest.mark.parametrize("path", sorted(FRONTEND.glob("*.js")), ids=lambda path: path.name)
def test_lines_only_end_after_a_block(path: Path) -> None:
    """Elsewhere a statement without its semicolon would depend on the rules of line breaks."""
    assert re.findall(r".*[^}]\n", minify(path.read_text(), ".js")) == []


def test_pages_and_other_files() -> None:
    assert minify("<!-- A\nb -->\n<p>\n  c <!-- d -->\n\n</p>\n", ".html") == "<p>\nc <!-- d -->\n</p>\n"
    assert minify("  // as it is\n", ".svg") == "  // as it is\n"


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_every_module_is_a_script_still(tmp_path: Path) -> None:
    for path in FRONTEND.glob("*.js"):
        (tmp_path / path.with_suffix(".mjs").name).write_text(minify(path.read_text(), ".js"))
    for path in tmp_path.iterdir():
        checked = subprocess.run(["node", "--check", str(path)], capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stderr
