"""Minifies the page's scripts, style sheets and HTML: comments and needless white space go, names stay.

Each statement of the scripts has its semicolon, which `tests/api/test_minification.py` checks. Minifiers from the
package index were tried: rjsmin 1.3.0 takes the text of a nested template literal for code and removes its spaces, and
those that rename variables load a compiler into the process.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

_TOKEN = re.compile(
    r"""
    (?P<comment>//[^\n]*|/\*.*?\*/)
  | (?P<string>'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*")
  | (?P<space>\s+)
  | (?P<word>[\w$]+)
  | (?P<sign>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_REGULAR_EXPRESSION = re.compile(r"/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n\[])+/[a-z]*")
_TEMPLATE = re.compile(r"(?:\\.|\$(?!\{)|[^`\\$])*(?:`|\$\{)", re.DOTALL)
"""A piece of a template literal, up to its end or to the next expression in it."""

_BEFORE_EXPRESSION = frozenset("(,=:[!&|?{};+-*%~^<>") | {
    *("return", "typeof", "case", "in", "of", "void", "delete", "instanceof", "new", "throw", "else", "do", "await"),
}
"""Tokens after which a slash begins a regular expression; after the others it divides."""

_NO_BREAK_AFTER = frozenset(";{,(:?=&|[<>!")
_NO_BREAK_BEFORE = frozenset(")},;.:?&|=]")

_STYLE = re.compile(r"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|/\*.*?\*/|\s*([{};,>])\s*|(\s+)""", re.DOTALL)


def _javascript(source: str) -> str:
    """Return a module without comments and needless white space."""
    kept: list[str] = []
    space = ""
    for token, is_space in _tokens(source):
        if is_space:
            space = "\n" if "\n" in space + token else " "
            continue
        if space and kept:
            kept.append(_between(kept[-1][-1], token[0], space))
        kept.append(token)
        space = ""
    return "".join(kept)


def _style_sheet(source: str) -> str:
    """Return a style sheet without comments and needless white space."""
    return _STYLE.sub(lambda found: found[1] or found[2] or (" " if found[3] else ""), source).strip()


def _tokens(source: str) -> Iterator[tuple[str, bool]]:
    """Yield each token, and whether it is white space or a comment."""
    braces: list[int] = [0]  # open ones in the module, and in the expression of each open template literal
    at, last = 0, "("
    while at < len(source):
        char = source[at]
        ends_expression = char == "}" and len(braces) > 1 and braces[-1] == 0
        if char == "`" or ends_expression:
            found = _match(_TEMPLATE, source, at + 1)
            text, kind = char + found, "template"
            if ends_expression:
                braces.pop()
            if text.endswith("${"):
                braces.append(0)
            last = "(" if text.endswith("${") else "`"
        elif char == "/" and last in _BEFORE_EXPRESSION and _REGULAR_EXPRESSION.match(source, at):
            text, kind = _match(_REGULAR_EXPRESSION, source, at), "expression"
            last = "`"
        else:
            text, kind = _plain(source, at)
            braces[-1] += (text == "{") - (text == "}")
            last = last if kind in {"space", "comment"} else text
        at += len(text)
        yield text, kind in {"space", "comment"}


def _plain(source: str, at: int) -> tuple[str, str]:
    found = _TOKEN.match(source, at)
    if found is None or found.lastgroup is None:
        raise ValueError(f"no token at {at}")
    return found[0], found.lastgroup


def _match(pattern: re.Pattern[str], source: str, at: int) -> str:
    found = pattern.match(source, at)
    if found is None:
        raise ValueError(f"nothing ends what begins at {at}")
    return found[0]


def _between(before: str, after: str, space: str) -> str:
    """Return the white space that has to stay between two tokens, given their adjacent characters."""
    if space == "\n":
        # A line break may end a statement; the rules for that need more context than two characters.
        return "" if before in _NO_BREAK_AFTER or after in _NO_BREAK_BEFORE else "\n"
    is_one_word = _is_word(before) and _is_word(after)
    is_one_sign = before == after and after in "+-/"
    return " " if is_one_word or is_one_sign or (before.isdigit() and after == ".") else ""


def _is_word(char: str) -> bool:
    return char.isalnum() or char in "_$#"


_MARKUP = re.compile(r"^[ \t]*<!--.*?-->[ \t]*\n|^[ \t]+|\n(?=\n)", re.MULTILINE | re.DOTALL)


def _markup(source: str) -> str:
    """Return a page without comments of their own lines and indentation."""
    return _MARKUP.sub("", source).lstrip("\n")


MINIFIERS: dict[str, Callable[[str], str]] = {".js": _javascript, ".css": _style_sheet, ".html": _markup}
"""By the suffix of a file's name."""


def minify(text: str, suffix: str) -> str:
    """Return a script, style sheet or page without comments and white space; another file as it is."""
    return MINIFIERS[suffix](text) if suffix in MINIFIERS else text


def tokens(source: str) -> list[str]:
    """Return the tokens of a script, without comments and white space."""
    return [token for token, is_space in _tokens(source) if not is_space]
