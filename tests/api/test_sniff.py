"""The first bytes of a file."""

from __future__ import annotations

import pytest

from api.uploads import sniff


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00", id="mp4"),
        pytest.param(b"\x00\x00\x00\x14ftypqt  \x00\x00\x02\x00", id="QuickTime"),
        pytest.param(b"\x00\x00\x00\x1cftyp3gp4\x00\x00\x00\x00", id="3gp"),
        pytest.param(b"\x00\x00\x00\x08wide\x00\x00\x00\x00mdat", id="old QuickTime"),
        pytest.param(b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81", id="WebM"),
    ],
)
def test_a_video_container_passes(head: bytes) -> None:
    sniff.check(head)


@pytest.mark.parametrize(
    ("head", "word"),
    [
        pytest.param(b"hello, this is just a text with the name of a video", "MP4", id="text"),
        pytest.param(b"", "MP4", id="nothing"),
        pytest.param(b"\x00\x00\x00", "MP4", id="three bytes"),
        pytest.param(b"#EXTM3U\n#EXTINF:1,\nfile:///data/other.mp4\n", "playlist", id="HLS"),
        pytest.param(b"\xef\xbb\xbf#EXTM3U\n", "playlist", id="HLS behind a byte order mark"),
        pytest.param(b"  \r\n#EXTM3U\n", "playlist", id="HLS behind blanks"),
        pytest.param(b"ffconcat version 1.0\nfile other.mp4\n", "playlist", id="ffconcat"),
        pytest.param(b'<?xml version="1.0"?><MPD>', "playlist", id="DASH"),
        pytest.param(b"\x00\x00\x00\x18ftypM4A \x00\x00\x00\x00", "sound", id="audio only"),
        pytest.param(b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00", "picture", id="HEIC"),
        pytest.param(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "MP4", id="PNG"),
        pytest.param(b"RIFF\x00\x00\x00\x00WAVEfmt ", "MP4", id="WAV"),
    ],
)
def test_what_is_no_video_is_named(head: bytes, word: str) -> None:
    with pytest.raises(sniff.NotAVideo, match=word):
        sniff.check(head)
