"""The push parser of multipart forms."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.uploads.multipart import MAX_HEADER_BYTES, MAX_PARTS, MultipartError, MultipartParser, parse_boundary


@dataclass
class Recorder:
    """Part handler that records the parts."""

    parts: list[tuple[str, str | None, bytes]] = field(default_factory=list)
    open: bool = False

    def begin_part(self, name: str, file_name: str | None) -> None:
        assert not self.open
        self.open = True
        self.parts.append((name, file_name, b""))

    def write_part(self, data: bytes) -> None:
        assert self.open
        name, file_name, content = self.parts[-1]
        self.parts[-1] = (name, file_name, content + data)

    def end_part(self) -> None:
        assert self.open
        self.open = False


def read(body: bytes, *, boundary: bytes = b"B", sizes: list[int] | None = None) -> list[tuple[str, str | None, bytes]]:
    recorder = Recorder()
    parser = MultipartParser(boundary, recorder)
    for size in sizes or []:
        parser.feed(body[:size])
        body = body[size:]
    parser.feed(body)
    parser.finish()
    assert not recorder.open
    return recorder.parts


def part(name: str, content: bytes, extra: str = "") -> bytes:
    head = f'--B\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n'
    return head.encode() + content + b"\r\n"


@given(
    contents=st.lists(st.binary(max_size=80) | st.sampled_from([b"\r\n--", b"\r\n--A", b"\r", b"--B", b"\r\n\r\n"])),
    sizes=st.lists(st.integers(1, 40), max_size=60),
)
def test_parts_come_out_as_they_went_in_however_the_body_is_cut_into_pieces(
    contents: list[bytes], sizes: list[int]
) -> None:
    contents = [content for content in contents[:MAX_PARTS] if b"\r\n--B" not in b"\r\n" + content + b"\r\n"]
    body = b"".join(part(f"f{number}", content) for number, content in enumerate(contents)) + b"--B--\r\n"

    assert [(f"f{n}", None, content) for n, content in enumerate(contents)] == read(body, sizes=sizes)


def test_what_stands_before_the_first_and_after_the_last_boundary_is_ignored() -> None:
    body = b"preamble\r\n" + part("a", b"1") + b"--B--\r\nepilogue --B\r\n"

    assert read(body) == [("a", None, b"1")]


def test_a_part_without_a_body_is_empty() -> None:
    body = b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n--B--'

    assert read(body) == [("a", None, b"")]


@pytest.mark.parametrize("length", range(1, 60))
def test_a_body_that_is_cut_off_is_noticed_wherever_it_is_cut(length: int) -> None:
    whole = part("a", b"12") + b"--B--"
    with pytest.raises(MultipartError):
        read(whole[: len(whole) - length])


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"--B\r\n\r\nno headers\r\n--B--", id="no headers"),
        pytest.param(b"--B\r\nContent-Type: text/plain\r\n\r\nx\r\n--B--", id="no name"),
        pytest.param(b'--B\r\nContent-Disposition: attachment; name="a"\r\n\r\nx\r\n--B--', id="no form-data"),
        pytest.param(b"--Bxyz\r\n", id="boundary goes on"),
        pytest.param(b"--B" + b" " * 100 + b"\r\n", id="endless padding"),
        pytest.param(b"--B\r\nX: " + b"y" * (MAX_HEADER_BYTES + 1), id="endless header"),
        pytest.param(part("a", b"1") * (MAX_PARTS + 1), id="too many parts"),
        pytest.param(
            b'--B\r\nContent-Disposition: form-data; name="a"\r\nContent-Transfer-Encoding: base64\r\n\r\nx\r\n--B--',
            id="base64",
        ),
    ],
)
def test_a_broken_form_is_refused(body: bytes) -> None:
    with pytest.raises(MultipartError):
        read(body)


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ('; filename="a.mp4"', "a.mp4"),
        ("; filename=a.mp4", "a.mp4"),
        ('; filename="../../etc/passwd"', "../../etc/passwd"),
        ('; filename="with \\"quotes\\" and C:\\dir"', 'with "quotes" and C:\\dir'),
        ('; filename="видео.mp4"', "видео.mp4"),
        ("; filename*=UTF-8''%D0%B2%D0%B8.mp4", "ви.mp4"),
        ('; filename="semi;colon.mp4"', "semi;colon.mp4"),
        ('; filename=""', ""),
    ],
)
def test_a_file_name_is_handed_on_as_it_came(extra: str, expected: str) -> None:
    assert [("a", expected, b"x")] == read(part("a", b"x", extra) + b"--B--")


def test_a_file_name_in_latin_1_is_no_reason_to_lose_a_video() -> None:
    body = b'--B\r\nContent-Disposition: form-data; name="file"; filename="caf\xe9.mp4"\r\n\r\nx\r\n--B--'

    assert read(body) == [("file", "café.mp4", b"x")]


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("multipart/form-data; boundary=abc", b"abc"),
        ('multipart/form-data; charset=utf-8; boundary="a b"', b"a b"),
        ("Multipart/Form-Data;BOUNDARY=abc", b"abc"),
    ],
)
def test_the_boundary_is_found(content_type: str, expected: bytes) -> None:
    assert expected == parse_boundary(content_type)


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data", "text/plain; boundary=a", "multipart/form-data; boundary="]
)
def test_a_form_without_a_boundary_is_refused(content_type: str) -> None:
    with pytest.raises(MultipartError):
        parse_boundary(content_type)
