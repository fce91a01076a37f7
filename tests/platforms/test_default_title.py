"""The title of a post whose creator gave none."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platforms.default_title import MAX_UNITS, default_title, public_title, readable_name
from platforms.registry import PLATFORMS
from platforms.wording import numbered_title, utf16_units

DAY = date(2026, 11, 29)
ON_DATE = "Talk of 29 November 2026"


@pytest.mark.parametrize(
    "name",
    [
        "IMG_4711.MOV",
        "IMG_E4711.mov",
        "VID_20261129_101530.mp4",
        "VID-20261129-WA0003.mp4",
        "PXL_20261129_101530123.TS.mp4",
        "20261129_101530.mp4",
        "DSC_0001.MOV",
        "MVI_0042.AVI",
        "GX010123.MP4",
        "GOPR0001.MP4",
        "DJI_0007.MP4",
        "C0001.MP4",
        "00012.MTS",
        "trim.8C5B1F1E-9D3A-4E0F-8B7A-0D8E2F3A4B5C.MOV",
        "5f2c1d0e-9b8a-47c6-a3d2-e1f00b9c8d7e.mp4",
        "5f2c1d0e9b8a47c6a3d2e1f00b9c8d7e",
        "deadbeefcafe.mp4",
        "RPReplay_Final1700000000.mp4",
        "Screen Recording 2026-11-29 at 10.00.00.mov",
        "ScreenRecording_11-29-2026 10-00-00_1.MP4",
        "Screen_Recording_20261129_101530_Chrome.mp4",
        "Bildschirmaufnahme 2026-11-29 um 10.00.00.mov",
        "WhatsApp Video 2026-11-29 at 10.00.00.mp4",
        "video.mp4",
        "video (3).mp4",
        "original.mov",
        "source",
        "blob",
        "final_final_v3 (2).mp4",
        "Untitled Project.mp4",
        "lv_0_20261129101530.mp4",
        "InShot_20261129_101530.mp4",
        "GMT20261129-101500_Recording_1920x1080.mp4",
        "FB_VID_1234567890.mp4",
        "v12044gd0000abcdefg.mp4",
        "1080p.mp4",
        "動画.mp4",
        "",
        "...",
    ],
)
def test_the_name_that_a_machine_made_is_no_title(name: str) -> None:
    """Such a name would be public, and says nothing."""
    assert default_title("", name, DAY) == ON_DATE


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("How I learned to cook.mp4", "How I learned to cook"),
        ("my_first_talk.mov", "my first talk"),
        ("Kubernetes.mp4", "Kubernetes"),
        ("Q3 results final.mp4", "Q3 results final"),
        ("Screen printing for beginners.mp4", "Screen printing for beginners"),
        ("می‌خواهم.mp4", "می‌خواهم"),
        ("料理の基本.mp4", "料理の基本"),
        ("👨‍👩‍👧 family talk.mp4", "👨‍👩‍👧 family talk"),
        ("a <b> talk.mp4", "a b talk"),
        ("version 2.0 of our plan", "version 2.0 of our plan"),
    ],
)
def test_the_name_that_a_person_wrote_is_a_title(name: str, expected: str) -> None:
    """Without its suffix, with blanks for underscores."""
    assert readable_name(name) == expected


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("Why I left my job. And what came next.\n#work", "Why I left my job"),
        ("\n\n#fyp #talk\nThree mistakes!\nMore", "Three mistakes!"),
        ("Come with me #travel #asia", "Come with me"),
        ("#only #hashtags", ON_DATE),
        ("https://example.com", ON_DATE),
        ("@friend", ON_DATE),
        ("word " * 40, ("word " * 14).strip()),
        ("a <b> c talk", "a b c talk"),
        ("今日の話。明日の話。", "今日の話。"),
    ],
)
def test_the_caption_comes_before_the_name(caption: str, expected: str) -> None:
    """Its words are meant for the public."""
    assert default_title(caption, "IMG_4711.MOV", DAY) == expected


def test_a_caption_is_not_repeated_where_there_are_no_titles() -> None:
    """TikTok and Instagram have one text: number and caption suffice."""
    said = ("", "Why I left my job", "IMG_4711.MOV", DAY)
    needs = {name: platform.needs_title for name, platform in PLATFORMS.items()}
    assert {name: public_title(*said, needs_title=flag) for name, flag in needs.items()} == {
        "tiktok": "",
        "instagram": "",
        "youtube": "Why I left my job",
    }
    assert public_title("", "", "IMG_4711.MOV", DAY, needs_title=False) == ON_DATE
    assert public_title(" Mine ", "Other", "a.mp4", DAY, needs_title=True) == "Mine"


@given(
    caption=st.text(max_size=300).filter(lambda text: not any("\ud800" <= c <= "\udfff" for c in text)),
    name=st.text(max_size=100),
)
def test_a_default_title_fits_every_platform(caption: str, name: str) -> None:
    """With the widest numbering; an upload is never refused for a title that nobody wrote."""
    shown = "".join(sign for sign in name if sign.isprintable())
    title = default_title("".join(sign for sign in caption if sign.isprintable() or sign == "\n"), shown, DAY)
    assert 0 < utf16_units(title) <= MAX_UNITS
    for platform in PLATFORMS.values():
        platform.compose(numbered_title(title, 999, 999), "")
