"""Text in pictures: chooses a font that has all letters of a text, breaks the text into lines, and draws them.

Pillow draws with the libraries Raqm, HarfBuzz and FriBidi, which join Arabic letters, order right-to-left text and
place the marks of Indic scripts. The fonts are Kurinto Sans (SIL Open Font Licence) of the package weblate-fonts: one
file for most scripts, and four with the characters of Chinese, Japanese and Korean.

No font with colours is installed, so pictographs are left out. A text with a letter that no single font has is not
drawn at all: a reader would see boxes. The same holds for right-to-left and combining scripts without FriBidi.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, features

from media import packaged_file

PACKAGE = "weblate-fonts"
# In the order in which they are tried. Japanese and Korean titles contain letters that the Chinese fonts do not have.
FILES = (
    "KurintoSans-Bd.ttf",
    "KurintoSansSC-Bd.ttf",
    "KurintoSansTC-Bd.ttf",
    "KurintoSansJP-Bd.ttf",
    "KurintoSansKR-Bd.ttf",
)
MISSING = "\U0010ffff"  # never assigned, so every font draws its glyph for missing letters
PICTOGRAPHS = 0x1F000  # first code point of the planes' emoji; dingbats below it are drawn if a font has them
EMOJI_ONLY = frozenset("\ufe0e\ufe0f\u20e3")  # variation selectors and the keycap
JOINERS = frozenset("\u200c\u200d")  # they change the shapes of Persian and Indic letters
MARKS = frozenset({"Mn", "Mc", "Me"})  # categories of signs that belong to the letter before them
VIRAMA = 9  # combining class of the sign that joins two Indic consonants
DOTTED_CIRCLE = "\u25cc"
RIGHT_TO_LEFT = frozenset({"R", "AL"})  # bidirectional classes
LINE_HEIGHT = 1.3  # in font sizes
NOT_FIRST = frozenset("、。,.!?:;)」』】〉》”’…ー々ぁぃぅぇぉっゃゅょァィゥェォッャュョ")


@dataclass(frozen=True)
class Lettering:
    """A text that one font can draw, in one size."""

    text: str
    font: ImageFont.FreeTypeFont
    size: int  # px

    @cached_property
    def direction(self) -> str | None:
        """Return the direction of the first letter that has one; None where Raqm, which would need it, is missing."""
        if not is_shaped():
            return None
        strong = (unicodedata.bidirectional(letter) for letter in self.text)
        first = next((found for found in strong if found == "L" or found in RIGHT_TO_LEFT), "L")
        return "rtl" if first in RIGHT_TO_LEFT else "ltr"

    def width(self, text: str) -> int:
        """Return the width of a line in pixels."""
        return round(self.font.getlength(text, direction=self.direction))

    def lines(self, width: int) -> list[str]:
        """Break the text into lines of a width in pixels; a word that is wider than a line is broken inside."""
        lines: list[str] = []
        rest = self.text
        while rest:
            ends = _ends(rest)
            fitting = ends[max(0, bisect_right(ends, width, key=lambda end: self.width(rest[:end].rstrip())) - 1)]
            space = rest.rfind(" ", 0, fitting + 1) if fitting < len(rest) else -1
            end = space if space > 0 else fitting
            lines.append(rest[:end].strip())
            rest = rest[end:].strip()
        return lines

    def height(self, lines: list[str]) -> int:
        """Return the height of lines in pixels."""
        return round(self.size * LINE_HEIGHT) * len(lines)

    def draw(self, rgb: NDArray[np.uint8], lines: list[str], *, middle: int, top: int) -> None:
        """Draw lines in white into an RGB picture of shape (height, width, 3), each centred on a column."""
        picture = Image.fromarray(rgb)
        drawing = ImageDraw.Draw(picture)
        for number, line in enumerate(lines):
            place = (middle - self.width(line) // 2, top + round(self.size * LINE_HEIGHT) * number)
            drawing.text(place, line, font=self.font, fill=(255, 255, 255), direction=self.direction)
        rgb[:] = np.asarray(picture)


def prepare(text: str, size: int) -> Lettering | None:
    """Return a text with the font that has its letters; None if there is nothing to draw, or no such font.

    Args:
        text: of a person; whitespace is collapsed, pictographs are left out.
        size: of the font, in pixels.
    """
    composed = unicodedata.normalize("NFC", text)
    words = " ".join("".join(letter for letter in composed if not _is_left_out(letter)).split())
    if not words.strip("".join(JOINERS)) or (not is_shaped() and any(map(_needs_shaping, words))):
        return None
    for file_name in FILES:
        font = _font(file_name, size)
        if all(map(_Glyphs(font).has, words)):
            return Lettering(words, font, size)
    return None


def is_shaped() -> bool:
    """Return whether Pillow finds FriBidi, which it needs for scripts other than Latin, Greek, Cyrillic and Han."""
    return bool(features.check("raqm"))


def _font(file_name: str, size: int) -> ImageFont.FreeTypeFont:
    layout = ImageFont.Layout.RAQM if is_shaped() else ImageFont.Layout.BASIC
    return ImageFont.truetype(str(packaged_file.locate(PACKAGE, file_name)), size, layout_engine=layout)


class _Glyphs:
    """The letters of a font. Pillow does not list them, so a letter's picture is compared with a missing one's."""

    def __init__(self, font: ImageFont.FreeTypeFont) -> None:
        self._font = font
        # HarfBuzz sets a mark without a letter on a dotted circle.
        self._missing = {self._picture(MISSING), self._picture(DOTTED_CIRCLE + MISSING)}

    def has(self, letter: str) -> bool:
        return letter == " " or letter in JOINERS or self._picture(letter) not in self._missing

    def _picture(self, text: str) -> bytes:
        return bytes(self._font.getmask(text))


def _is_left_out(letter: str) -> bool:
    """Return whether a letter is a pictograph, or a control character other than a joiner or whitespace."""
    category = unicodedata.category(letter)
    if letter in EMOJI_ONLY or (category == "Cf" and letter not in JOINERS):
        return True
    return (category == "Cc" and not letter.isspace()) or (
        ord(letter) >= PICTOGRAPHS and category in {"So", "Sk", "Cn"}
    )


def _needs_shaping(letter: str) -> bool:
    return unicodedata.bidirectional(letter) in RIGHT_TO_LEFT or unicodedata.category(letter) in MARKS


def _ends(text: str) -> list[int]:
    """Return the places at which a line may end, in order."""
    return [end for end in range(1, len(text)) if _may_break(text[end - 1], text[end])] + [len(text)]


def _may_break(before: str, after: str) -> bool:
    """Return whether a line may end between two letters: not inside a syllable, not before closing punctuation."""
    within = unicodedata.category(after) in MARKS or after in JOINERS or before in JOINERS
    return not (within or unicodedata.combining(before) == VIRAMA or after in NOT_FIRST)
