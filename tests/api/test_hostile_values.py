"""Every route with values that overflow or cannot be written: no 5xx."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest
import requests
from falcon.testing import Result, TestClient
from hypothesis import given
from hypothesis import strategies as st

import settings
from actors.disk import Disk
from api.app import create_app
from api.context import Context
from api.http import json_values
from api.http.numbers import MAX_INTEGER, parse_integer
from api.resources import openapi
from store import accounts, jobs, segments
from tests.api.conftest import AUTH, KEY, VIDEO, with_settings
from tests.api.test_server import answer, connection, head
from tests.store import rows
from tests.support.dead_letters import make_dead_letter

DEFAULTS = settings.read({})

# As they stand in an address: each is one step of a path or one value of a query.
TEXTS = (
    "0", "-1", "-0", "+1", "1.0", "1_0", "%201", "1%20", "0x10", "1e400", "nan", "inf", "true", "null", "[]",
    *(str(2**bits + more) for bits in (31, 32, 63, 64) for more in (-1, 0, 1)), "1" * 4300, "1" * 4301, "0" * 30 + "1",
    quote("١٢"), quote("１"), quote("²"), "%00", "%0A", "%FF", "%ED%A0%80", "%F0%9F%92%A9", "%25", "%2e%2e", "a" * 9000,
    "'", "%22", "1;2", "1,2", "%5C", "-9223372036854775809", "0001-01-01T00:00:00Z",
    "MDAwMS0wMS0wMVQwMDowMDowMCswMDowMCB4",
)  # fmt: skip

HEADERS = {
    "Range": ("bytes=9223372036854775808-", "bytes=-0", "bytes=0-" + "9" * 5000, "bytes=١-", "bytes=-" + "9" * 30),
    "If-None-Match": ('"', "W/", "\xff", '"a', "*,*"),
    "If-Range": ('"\xff"', "Mon, 01 Jan 0000 00:00:00 GMT"),
    "Cookie": ("vidprod_session=\xff", "vidprod_session=" + "1" * 5000, 'vidprod_session="', "=;;="),
    "Authorization": ("Bearer \xff", "Bearer", "Basic " + "9" * 5000),
    "Fly-Client-IP": ("\xb2.1.1.1", "1" * 5000, "::ffff:999.1.1.1"),
    "Idempotency-Key": ("", "\xff", "9" * 5000, '"'),
    "Content-Type": ("multipart/form-data; boundary=\xff", "application/json; charset=\xff", ""),
    "Accept": ("\xff", ";q=1e400", "*/*;q=nan"),
}

# As they stand in a JSON body.
JSON_VALUES = (
    "NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1e-400", "-0", "-0.0", "true", "null", "[]", "{}", '""',
    *(str(sign * 2**bits) for bits in (31, 63, 64, 1100) for sign in (1, -1)), "1" * 4300, "1" * 4301,
    '"\\ud800"', '"\\u0000"', '"١٢"', '"1_0"', '"' + "a" * 60_000 + '"', "[" * 900 + "]" * 900, "[" * 20_000,
    '{"a":1,"a":2}', '"0000-01-01T00:00:00Z"', '"10000-01-01T00:00:00Z"', '"9999-12-31T23:59:59-23:59"',
    '[["00:00","24:00"]]', '[["١٢:٠٠","13:00"]]', '[["08:00","08:00"]]', '[["08:00"]]', '"../../etc/passwd"',
    '"Europe"', '"UTC\\u0000"', '"http://x:99999999/"', '"http://[::1"', '"https://x:١٢/"', '"https://\\u0000/"',
    '"https://' + "1" * 400 + '/"',
)  # fmt: skip

# As they stand in a field of the upload form.
FORM_VALUES = (
    "NaN", "Infinity", "1e400", "1e-400", "-0", "0_1", "3_0", "١٢", "0.٥", "0x1p-1", "1" * 5000, "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+23:59", "0000-01-01T00:00:00Z", "10000-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59",
    "2026-11-22T12:00:60Z", '{"a":1e400}', '{"a":NaN}', '{"\\ud800":1}', '{"a":"\\u0000"}', '{"a":' + "1" * 4300 + "}",
    '{"a":' + "1" * 4301 + "}",
    *('{"a":' + "[" * depth + "]" * depth + "}" for depth in (60, 70, 300, 600, 900, 960, 975, 990)),
    "\ud800", "\x00", "http://[::1", "http://x:99999999/",
)  # fmt: skip


@pytest.fixture
def client(context: Context) -> TestClient:
    return TestClient(create_app(with_settings(context, upload_rate_limit=10**6)), headers=AUTH)


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield each method, path and description of the API."""
    for path, methods in openapi.document(DEFAULTS)["paths"].items():
        for method, described in methods.items():
            yield method.upper(), path, described


def names(described: dict[str, Any], place: str) -> list[str]:
    return [parameter["name"] for parameter in described.get("parameters", []) if parameter["in"] == place]


def filled(path: str, value: str = "1") -> str:
    return re.sub(r"\{\w+\}", lambda _: value, path)


def check(found: Result, described: dict[str, Any], what: str) -> None:
    known = {"404", "405", *described["responses"]}
    assert str(found.status_code) in known, f"{what[:200]}: {found.status_code} {found.text[:300]}"
    assert found.status_code != 500
    if found.text and "json" in found.headers["content-type"]:
        json_values.read(found.text)


def cases(*, json_body: bool = False) -> list[Any]:
    """Return the operations as parameters; if asked, only those that take a JSON body."""
    return [
        pytest.param(method, path, described, id=f"{method} {path}")
        for method, path, described in operations()
        if not json_body or "application/json" in described.get("requestBody", {}).get("content", {})
    ]


@pytest.mark.parametrize(("method", "path", "described"), cases())
def test_no_address_header_or_query_is_an_error_of_ours(
    client: TestClient, method: str, path: str, described: dict[str, Any]
) -> None:
    for text in TEXTS if "{" in path else ():
        found = client.simulate_request(method, filled(path, text))
        check(found, described, f"{method} {filled(path, text)}")
    for name in names(described, "query"):
        for text in TEXTS:
            query = f"{name}={text}"
            found = client.simulate_request(method, filled(path), query_string=query)
            check(found, described, f"{method} {path}?{query}")
    for header, values in HEADERS.items():
        for value in values:
            found = client.simulate_request(method, filled(path), headers=AUTH | {header: value})
            check(found, described, f"{method} {path} {header}: {value}")


@pytest.mark.parametrize(("method", "path", "described"), cases(json_body=True))
def test_no_json_body_is_an_error_of_ours(
    client: TestClient, method: str, path: str, described: dict[str, Any]
) -> None:
    fields = _fields(described["requestBody"]["content"]["application/json"]["schema"])
    for value in JSON_VALUES:
        for inner in (value, *(f'{{"{field}": {value}}}' for field in fields)):
            body = f'{{"tiktok": {inner}}}' if path == "/schedule" else inner
            found = client.simulate_request(method, filled(path), body=body.encode(), headers=AUTH)
            check(found, described, f"{method} {path} {body}")
            check(client.simulate_get(filled(path)), {"responses": ["200", "405"]}, "afterwards")


def _fields(schema: dict[str, Any]) -> list[str]:
    if "$ref" in schema:
        schema = openapi.document(DEFAULTS)["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return list(schema["properties"]) if "properties" in schema else _fields(schema["additionalProperties"])


def form(field: str, value: str) -> bytes:
    part = b'--B\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
    wish = part % (field.encode(), b"", value.encode(errors="surrogatepass"))
    return wish + part % (b"file", b'; filename="a.mp4"', VIDEO) + b"--B--\r\n"


@pytest.mark.parametrize("field", ["title", "caption", "platforms", "webhook_url", "gaze_intensity", "segment_seconds",
                                   "publish_after", "metadata", "review", "\x00", "١"])  # fmt: skip
def test_no_form_field_is_an_error_of_ours_and_what_is_taken_can_be_shown(client: TestClient, field: str) -> None:
    headers = AUTH | {"Content-Type": "multipart/form-data; boundary=B"}
    for value in FORM_VALUES:
        found = client.simulate_post("/upload", body=form(field, value), headers=headers)
        assert found.status_code in {202, 400, 409, 422}, f"{field}={value[:100]}: {found.text}"
        if found.status_code == 202:
            for path in (found.json["status_url"], "/jobs"):
                shown = client.simulate_get(path)
                assert shown.status_code == 200
                json_values.read(shown.text)


@pytest.mark.parametrize("value", ["0_1", "١", "0x1p-1", "1e400", "nan", "--1", ""])
def test_a_number_of_the_form_is_a_plain_decimal(client: TestClient, value: str) -> None:
    """Python's `float` and pydantic read 0_1 as 1: a typing error would change what is done to the eyes."""
    headers = AUTH | {"Content-Type": "multipart/form-data; boundary=B"}
    found = client.simulate_post("/upload", body=form("gaze_intensity", value or " - "), headers=headers)
    assert found.status_code == 422


@pytest.mark.parametrize(
    "length", ["9223372036854775808", "1" * 30, "1" * 5000, "-1", "+5", "1_0", "0x10", "\xb2", "1e3", "", "NaN", "5, 6"]
)
@pytest.mark.parametrize("path", ["/login", "/upload"])
def test_no_content_length_is_an_error_of_ours(serve: Callable[..., str], path: str, length: str) -> None:
    request = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Length: {length}\r\n\r\n"
    with connection(serve()) as sock:
        sock.sendall(request.encode("latin-1"))
        assert answer(sock).split(b" ")[1] in {b"400", b"413", b"415"}


@pytest.mark.parametrize("letter_id", [MAX_INTEGER, MAX_INTEGER + 1, 2**64, 10**4000])
def test_a_dead_letter_beyond_all_numbers_is_not_there(client: TestClient, context: Context, letter_id: int) -> None:
    assert client.simulate_post(f"/dead-letters/{letter_id}/retry").status_code == 404
    assert not context.broker.admin.retry_dead_letter(letter_id)
    assert context.broker.admin.dead_letters(limit=letter_id, before_id=letter_id) == []
    assert context.broker.admin.dead_letters(limit=letter_id, before_id=-letter_id) == []
    assert context.broker.admin.peek("media", limit=letter_id) == []


@pytest.mark.parametrize("argument", ["\ud800", 2**70, float("nan"), None, ["nested", "\ud800"], "\x00"])
@pytest.mark.parametrize("actor", ["split", "gaze", "delete_files"])
def test_a_dead_letter_with_any_argument_is_listed_and_can_be_tried_again(
    client: TestClient, context: Context, actor: str, argument: Any
) -> None:
    """Messages of older versions, or of a program gone wrong, lie in the same table as ours."""
    make_dead_letter(context, "network", actor, argument)

    [letter] = client.simulate_get("/dead-letters").json["dead_letters"]
    assert client.simulate_post(f"/dead-letters/{letter['id']}/retry").status_code in {202, 409}


def test_a_name_cut_in_the_middle_of_a_sign_is_stored_and_shown(client: TestClient, context: Context) -> None:
    """Platforms cut names at so many UTF-16 units, which may leave half an emoji."""
    with context.store.writing(scope="everything") as opened:
        accounts.connect(opened, rows.account("a\ud83d", "tiktok"))
        jobs.create(opened, replace(rows.job("job"), facts={"warnings": ["\ud83d", float("inf")]}))

    assert client.simulate_get("/accounts").status_code == 200
    status = client.simulate_get("/status/job")
    assert status.status_code == 200
    assert ["\ud83d", None] == json.loads(status.text)["warnings"]


def test_sizes_beyond_32_bits_are_taken_and_shown(
    serve: Callable[..., str], context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Disk, "room_bytes", 2**50)
    monkeypatch.setattr(Disk, "capacity_bytes", 2**50)
    with context.store.writing(scope="everything") as opened:
        jobs.create(opened, replace(rows.job("job"), size_bytes=2**40))
        segments.create(opened, [replace(rows.segment(1), size_bytes=2**33)])
    root = serve(max_upload_size=2**42)

    status = requests.get(f"{root}/status/job", headers=AUTH, timeout=30).json()
    assert (2**40, 2**33) == (status["size_bytes"], status["segments"][0]["size_bytes"])
    assert requests.get(f"{root}/accounts", headers=AUTH, timeout=30).json()["max_upload_bytes"] == 2**42
    with connection(root) as sock:
        sock.sendall(head(2**41, more="Expect: 100-continue\r\n"))
        assert answer(sock).startswith(b"HTTP/1.1 100")


@given(st.text(alphabet=st.sampled_from("0123456789١²_+- .ex\x00"), max_size=25) | st.integers().map(str))
def test_a_whole_number_is_what_sqlite_can_hold(text: str) -> None:
    number = parse_integer(text)
    if number is None:
        assert not re.fullmatch(r"[0-9]{1,18}", text)
    else:
        assert 0 <= number <= MAX_INTEGER
        assert re.fullmatch(r"0*" + str(number), text) or text == "0" * len(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters()), inner, max_size=3),
)


@given(JSON)
def test_what_is_written_can_be_read_by_everybody(value: Any) -> None:
    text = json_values.write(value).decode()
    assert json.dumps(json.loads(text, parse_constant=pytest.fail), allow_nan=False)


@given(JSON)
def test_what_is_read_can_be_written(value: Any) -> None:
    try:
        found = json_values.read(json.dumps(value))
    except ValueError:
        return
    assert json.dumps(found, ensure_ascii=False, allow_nan=False).encode()


@pytest.mark.parametrize("depth", [json_values.MAX_DEPTH + 1, 500, 990, 100_000])
def test_nesting_is_bounded(depth: int) -> None:
    with pytest.raises(ValueError, match="nested"):
        json_values.read("[" * depth + "]" * depth)
    assert json_values.read("[" * json_values.MAX_DEPTH + "]" * json_values.MAX_DEPTH)
