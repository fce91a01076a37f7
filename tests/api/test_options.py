"""Untrusted input in the fields of an upload and in its body."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from falcon.testing import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.app import create_app
from api.context import Context
from api.http.problems import Problem
from api.uploads import options
from tests.api.conftest import AUTH, VIDEO, with_settings
from tests.store.rows import NOON

FORM = (
    b'--B\r\nContent-Disposition: form-data; name="title"\r\n\r\nA talk\r\n'
    b'--B\r\nContent-Disposition: form-data; name="metadata"\r\n\r\n{"a": 1}\r\n'
    b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n' + VIDEO[:80] + b"\r\n--B--\r\n"
)


@given(st.dictionaries(st.sampled_from([*options.UploadOptions.model_fields, "other"]), st.text(max_size=40)))
def test_any_fields_are_taken_or_refused_by_name(fields: dict[str, str]) -> None:
    found = _read(fields)

    if isinstance(found, Problem):
        assert found.status_code == 422
        assert found.extensions["field"].split(".")[0] in {*fields, "other"}
    else:
        found.model_dump_json().encode()


def _read(fields: dict[str, str]) -> options.UploadOptions | Problem:
    try:
        return options.parse_options(fields, NOON)
    except Problem as refused:
        return refused


@given(st.text(max_size=400))
def test_a_shown_name_is_short_and_has_no_path_and_no_control_characters(name: str) -> None:
    shown = options.display_name(name)

    assert len(shown) <= options.MAX_NAME_CHARS
    assert not set(shown) & set("/\\\x00\n\r\u202e")
    assert shown == options.display_name(shown)


def test_empty_fields_count_as_not_given() -> None:
    empty = dict.fromkeys(options.UploadOptions.model_fields, " ")

    assert options.parse_options(empty, NOON) == options.UploadOptions()


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    at=st.integers(0, len(FORM)),
    cut=st.integers(0, 40),
    put=st.binary(max_size=20) | st.sampled_from([b"\r\n--B", b"--B--", b"\r\n\r\n", b'"', b"\xff", b"\x00"]),
)
def test_no_damage_to_a_form_causes_an_error_or_leaves_a_file(
    context: Context, left: Callable[[], list[Path]], at: int, cut: int, put: bytes
) -> None:
    client = TestClient(create_app(with_settings(context, upload_rate_limit=10**6)), headers=AUTH)
    before = len(left())

    answer = client.simulate_post(
        "/upload",
        body=FORM[:at] + put + FORM[at + cut :],
        headers={"Content-Type": "multipart/form-data; boundary=B"},
    )

    assert answer.status_code < 500
    assert len(left()) == before + (answer.status_code == 202)


def test_a_number_too_large_for_json_is_no_metadata() -> None:
    """It would come back as Infinity, in every webhook."""
    found = _read({"metadata": '{"a": 1e999}'})

    assert isinstance(found, Problem)
