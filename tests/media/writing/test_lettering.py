"""Text in pictures is drawn as its readers write it, or not at all."""

import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import features

from media.writing import lettering
from media.writing.lettering import Lettering, prepare

SIZE = 40
shaped = pytest.mark.skipif(not features.check("raqm"), reason="libfribidi0 is not installed")


def prepared(text: str) -> Lettering:
    found = prepare(text, SIZE)
    assert found is not None, text
    return found


def drawn(text: Lettering, line: str) -> NDArray[np.uint8]:
    """Return the columns' and rows' ink of one line, without the empty margin."""
    rgb = np.zeros((3 * SIZE, 1600, 3), np.uint8)
    text.draw(rgb, [line], middle=800, top=SIZE // 2)
    ink = rgb[..., 0]
    rows, columns = np.nonzero(ink)
    return ink[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


@pytest.mark.parametrize(
    "text",
    [
        "Größe ÄÖÜ façade",
        "Привет мир",
        "Ελληνικά",
        "Tiếng Việt",
        "你好,世界",
        "這是一個標題",
        "こんにちは世界",
        "안녕하세요",
        "★ “x” … — €",
    ],
)
def test_letters_of_many_scripts_have_a_font(text: str) -> None:
    assert prepared(text).text == unicodedata.normalize("NFC", text)


@shaped
@pytest.mark.parametrize(
    "text", ["مرحبا بالعالم", "سلام دنیا", "שלום עולם", "नमस्ते दुनिया", "สวัสดีชาวโลก", "বাংলা", "வணக்கம்"]
)
def test_scripts_that_are_shaped_have_a_font(text: str) -> None:
    assert prepared(text).text == text


@shaped
def test_arabic_letters_are_joined_and_run_from_right_to_left() -> None:
    word = prepared("سلام")
    separate = sum(word.width(letter) for letter in word.text)
    assert word.width(word.text) < 0.9 * separate  # isolated forms are wider
    # The first letter of the sentence is at the right.
    sentence = prepared("ا سسسس")
    ink: NDArray[np.bool_] = np.any(drawn(sentence, sentence.text), axis=0)
    gap = np.flatnonzero(~ink)
    assert len(gap)
    assert gap.mean() > len(ink) / 2


@shaped
def test_a_line_of_a_right_to_left_title_that_begins_with_a_name_keeps_the_direction() -> None:
    title = prepared("هذا حديث عن VidProd 2026")
    assert title.direction == "rtl"
    assert prepared("VidProd تجربة").direction == "ltr"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Hello 😀 again", "Hello again"),
        ("👍🏽 yes", "yes"),
        ("🇩🇪 Berlin", "Berlin"),
        ("1️⃣ first", "1 first"),
        ("👨‍👩‍👧 family", "family"),
        ("a\u202eb\x07c", "abc"),
    ],
)
def test_pictographs_are_left_out(text: str, left: str) -> None:
    assert prepared(text).text.strip("\u200d ") == left


@pytest.mark.parametrize("text", ["", " \n", "😀", "👨‍👩‍👧", "\u200d", "བོད་ཡིག", "မြန်မာ", "नमस्ते 世界", "\x00\u202e"])
def test_what_no_font_can_draw_is_not_drawn(text: str) -> None:
    assert prepare(text, SIZE) is None


def test_without_fribidi_what_needs_it_is_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lettering, "is_shaped", lambda: False)
    assert prepare("سلام", SIZE) is None
    assert prepare("नमस्ते", SIZE) is None
    plain = prepared("Größe")
    assert plain.direction is None
    assert drawn(plain, plain.text).any()


def test_lines_break_between_words() -> None:
    words = prepared("one two three")
    assert words.lines(words.width("one two")) == ["one two", "three"]
    letters = prepared("abcdefghijklmnopqrstuvwxyz")
    assert "".join(letters.lines(150)) == letters.text
    assert all(letters.width(line) <= 150 for line in letters.lines(150))


@shaped
def test_lines_do_not_break_inside_a_syllable() -> None:
    text = prepared("क्ष" * 10)
    assert all(line.startswith("क") and line.endswith("ष") for line in text.lines(text.width("क्ष") + 1))


@settings(max_examples=30)
@given(st.text(max_size=60), st.integers(1, 900))
def test_any_text_is_broken_into_lines_without_loss(text: str, width: int) -> None:
    found = prepare(text, SIZE)
    if found is not None:
        lines = found.lines(width)
        assert "".join(lines).replace(" ", "") == found.text.replace(" ", "")
        assert all(lines)
