"""`api.uploads.sniff` and `media.container.signature` accept the same files by their first bytes."""

import random
from pathlib import Path

import pytest

from api.uploads import sniff
from media.container import signature
from media.errors import Refused
from tests.media.container import container_cases

LENGTHS = (0, 1, 8, 20, 0x00FF_FFFF, 0x0100_0000, 0x4142_4344)
BRANDS = sorted(signature.PICTURE_BRANDS | signature.SOUND_BRANDS | {b"isom", b"qt  ", b"mp42", b"M4V ", b"3gp4"})
KINDS = sorted(
    signature.FIRST_BOXES | {b"meta", b"prft", b"emsg", b"beam", b"\xa9abc", b"\0\0\0\0", b"\xff\xff\xff\xff", b"#EXT"}
)
HEADS = [length.to_bytes(4) + kind + brand for length in LENGTHS for kind in KINDS for brand in BRANDS]
HEADS += [signature.EBML, signature.EBML[:3], b"", b"\0", b"GIF89a", b"#EXTM3U\n#EXT", b"\xff\xd8\xff\xe0\0\x10JFIF"]
HEADS += [prefix for prefix in container_cases.PREFIXES.values() if prefix]


def is_accepted_by_the_api(head: bytes) -> bool:
    try:
        sniff.check(head)
    except sniff.NotAVideo:
        return False
    return True


def test_the_api_accepts_what_the_media_code_accepts() -> None:
    chance = random.Random(20_261_128)
    noise = [chance.randbytes(chance.randrange(70)) for _ in range(2000)]
    noise += [b"\0" + chance.randbytes(3) + bytes(chance.choices(range(0x20, 0xAA), k=8)) for _ in range(500)]
    for head in [*HEADS, *noise]:
        assert is_accepted_by_the_api(head) == (signature.container_of(head) is not None), head
    assert sniff.HEAD_BYTES == signature.HEAD_BYTES


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\xff\xd8\xff\xe1" + bytes(100), "still picture"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "still picture"),
        (b"\0\0\0\x18ftypM4A " + bytes(100), "sound file"),
        (b"RIFF\x10\0\0\0AVI LIST", "neither MP4"),
    ],
)
def test_what_is_no_video_is_named(data: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "innocent.mp4"
    path.write_bytes(data)
    with pytest.raises(Refused, match=says) as refusal:
        signature.check(path)
    assert refusal.value.code == "not_a_video"
