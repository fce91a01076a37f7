"""The title of a post whose creator gave none: from the caption, the file's name or the date.

A title is the most public text of a post. So the name of a file becomes one only if a person seems to have written it:
the names that cameras, phones and programs make never do.
"""

from __future__ import annotations

import re
from datetime import date

from platforms.wording import utf16_units

MAX_UNITS = 70
"""Maximum length of a default title, in UTF-16 units: with the widest numbering it fits every platform."""

_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September", "October"),
    *("November", "December"),
)
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,5}$")
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|(?<=[。！？])")
_NOT_A_WORD = re.compile(r"^([#＃@]|https?:|www\.)")
# Beginnings of names that programs make from words: recordings of a screen, of a meeting, of messengers and editors.
_MADE_BY_PROGRAM = re.compile(
    r"^(screen[ _-]?record|screen[ _-]?cast|bildschirm(aufnahme|aufzeichnung)|enregistrement|grabaci[oó]n|registrazione"
    r"|grava[cç][aã]o|rpreplay|fullsizerender|whatsapp|telegram|signal[ _-]|snapchat|fb[ _-]vid|received[ _-]|inshot"
    r"|capcut|new recording|neue aufnahme|untitled|unbenannt|sin t[ií]tulo|sans titre|my movie|mein film"
    r"|gmt\d{8}|zoom[ _-]?\d|屏幕录制|画面収録|화면 ?기록|запись экрана)",
    re.IGNORECASE,
)
# Words that name no topic: of cameras, formats, folders and stages of editing.
_WITHOUT_TOPIC = frozenset(
    re.findall(
        r"\w+",
        "img vid video videos videoclip mov movie film clip dsc dscn dscf dcim mvi pxl gopr gopro dji mah rec record "
        "recording recorded trim trimmed original copy kopie copia copie final edit edited export exported output out "
        "render rendered draft test temp tmp upload uploaded file source master version take camera cam phone iphone "
        "android media image document download downloads untitled sequence timeline project new item blob am pm at um "
        "à resized compressed converted portrait landscape vertical short shorts reel reels tiktok instagram youtube "
        "wa fb lv ts lrv mvimg vn mp mts cimg sam hpim pict photo aufnahme vídeo vidéo видео 動画 视频 視頻 동영상",
    )
)
_TOKEN = re.compile(r"[^\s_\-.,()\[\]+~]+")
_LETTERS = re.compile(r"[^\W\d_]{2,}")
_HEXADECIMAL = re.compile(r"[0-9a-f]{8,}", re.IGNORECASE)


def public_title(title: str, caption: str, file_name: str, day: date, *, needs_title: bool) -> str:
    """Return the title of a post, without its numbering.

    Args:
        title: as the creator gave it; may be empty.
        caption: of the post.
        file_name: of the upload.
        day: of the upload.
        needs_title: the platform has titles beside captions. Elsewhere the caption stands alone, and is not repeated.
    """
    if title.strip() or (caption.strip() and not needs_title):
        return title.strip()
    return default_title(caption, file_name, day)


def default_title(caption: str, file_name: str, day: date) -> str:
    """Return the first words of the caption; else a name that a person wrote; else the date."""
    return first_words(caption) or readable_name(file_name) or f"Talk of {day.day} {_MONTHS[day.month - 1]} {day.year}"


def first_words(caption: str) -> str:
    """Return the first sentence of a caption, cut between words; empty if it has only hashtags, names and links."""
    for line in caption.splitlines():
        words = _one_line(_SENTENCE_END.split(line.strip())[0]).split(" ")
        while words and (_NOT_A_WORD.match(words[-1]) or not words[-1]):
            words.pop()
        if any(_LETTERS.search(word) for word in words if not _NOT_A_WORD.match(word)):
            return _cut(words)
    return ""


def readable_name(file_name: str) -> str:
    """Return the name of a file without its suffix, if a person seems to have written it; else an empty text."""
    name = _SUFFIX.sub("", file_name.strip())
    if _MADE_BY_PROGRAM.match(name) or not any(_names_topic(token) for token in _TOKEN.findall(name)):
        return ""
    return _cut(_one_line(name.replace("_", " ")).split(" "))


def _names_topic(token: str) -> bool:
    word = token.casefold()
    is_code = any(sign.isdigit() for sign in word) or _HEXADECIMAL.fullmatch(word)
    return not is_code and word not in _WITHOUT_TOPIC and bool(_LETTERS.search(word))


def _one_line(text: str) -> str:
    # Of all platforms YouTube alone refuses < and >.
    return re.sub(r"[\s<>]+", " ", text).strip()


def _cut(words: list[str]) -> str:
    """Return as many words as a default title may have; empty if not even the first fits."""
    kept = ""
    for word in words:
        longer = f"{kept} {word}".strip()
        if utf16_units(longer) > MAX_UNITS:
            break
        kept = longer
    return kept.rstrip(" ,;:–—-").removesuffix(".")
