"""The OpenAPI document: valid, complete, and true of the application that it describes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import cache
from typing import Any

import pytest
import schemathesis
from falcon import inspect
from falcon.testing import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis.specs.openapi import checks

import settings as environment
from actors.flow import endpoint_commands, job_commands, tokens
from api.app import create_app, routes, upload_limits
from api.context import Context
from api.resources import openapi
from api.resources.examples import REQUESTS
from api.resources.operations import OPERATIONS
from media.gaze import curve
from media.gaze.reasons import Reason
from media.gaze.report import FrameResult
from platforms.mock.roots import mock_hosts
from platforms.oauth import Tokens
from store import accounts, history, jobs, platform_states, publications, segments, webhooks
from store.attempts import MediaAttempt, MediaOutcome, PublishingAttempt, encode_attempts
from store.history import HistoryEntry
from store.owners import DEFAULT_OWNER
from store.platform_states import PlatformState
from store.states import DeliveryStatus, HistoryKind, JobStatus, PublicationStatus, SegmentStatus
from store.webhooks import Attempt
from tests.api.conftest import AUTH, KEY, VIDEO, with_settings
from tests.store import rows
from tests.support.dead_letters import make_dead_letter

Json = dict[str, Any]  # Any: JSON
EXAMPLES = 12
"""Random requests for each operation; `scripts/test` takes 30 s for all of them."""


@cache
def document() -> Json:
    """Return the document with default settings."""
    return openapi.document(environment.read({}))


def operations() -> Iterator[tuple[str, str, Json]]:
    """Yield method, path and description of each operation."""
    for path, methods in document()["paths"].items():
        for method, described in methods.items():
            yield method, path, described


def resolved(schema: Json) -> Json:
    """Return a schema that can be validated on its own."""
    return {**schema, "components": document()["components"]}


def bodies() -> Iterator[tuple[str, str, Json]]:
    """Yield operation, media type and content of each request and response body."""
    for _, _, described in operations():
        for kind, content in described.get("requestBody", {}).get("content", {}).items():
            yield f"{described['operationId']} request", kind, content
        for status, response in described["responses"].items():
            for kind, content in response.get("content", {}).items():
                yield f"{described['operationId']} {status}", kind, content
    for name, response in document()["components"]["responses"].items():
        for kind, content in response["content"].items():
            yield name, kind, content


def test_the_document_is_valid() -> None:
    assert [str(error) for error in OpenAPIV31SpecValidator(document()).iter_errors()] == []
    assert (document()["openapi"], document()["jsonSchemaDialect"]) == ("3.1.0", openapi.DIALECT)


def test_the_document_has_nothing_that_client_generators_do_not_know(client: TestClient) -> None:
    """They look for the keywords of OpenAPI 3.0, take a title for the name of a class, and need `format: binary`."""
    text = client.simulate_get("/openapi.json").text
    assert not re.search(r'"(prefixItems|\$defs|const": null|if|then|not|patternProperties)"', text)
    assert not re.search(r'"type": \[', text)
    form = document()["paths"]["/upload"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form["properties"]["file"]["format"] == "binary"
    assert "null" not in str(form)


def served(context: Context) -> set[tuple[str, str]]:
    """Return method and path of each responder of the router, except GET's for HEAD and Falcon's own for OPTIONS."""
    found = set()
    for route in inspect.inspect_routes(create_app(context)):
        resource = routes(context, upload_limits(context))[route.path]
        for method in route.methods:
            own = getattr(type(resource), f"on_{method.method.lower()}", None)
            if own is not None and not (method.method == "HEAD" and own is getattr(type(resource), "on_get", None)):
                found.add((method.method.lower(), re.sub(r":int\([^)]*\)", "", route.path)))
    return found


def test_the_document_and_the_router_have_the_same_operations(context: Context) -> None:
    assert {(method, path) for method, path, _ in operations()} == served(context)
    assert len(OPERATIONS) == len(served(context))


def test_the_document_says_which_operations_need_no_key(context: Context) -> None:
    public, operated = set(), served(context)  # each call makes an application
    for path, resource in routes(context, upload_limits(context)).items():
        methods = {method for method, one in operated if one == re.sub(r":int\([^)]*\)", "", path)}
        of_all = methods if getattr(resource, "public", False) else set()
        of_some = {name.lower() for name in getattr(resource, "public_methods", ())} & methods
        public |= {(method, re.sub(r":int\([^)]*\)", "", path)) for method in of_all | of_some}
    assert public == {(method, path) for method, path, described in operations() if described.get("security") == []}


def test_each_operation_has_a_name_a_tag_and_a_summary() -> None:
    found = [described for _, _, described in operations()]
    names = [one["operationId"] for one in found]
    assert len(set(names)) == len(names)
    assert [name for name in names if not re.fullmatch(r"[a-z]+(_[a-z]+)+", name)] == []
    tags = {tag["name"] for tag in document()["tags"]}
    assert {tag for one in found for tag in one["tags"]} == tags
    summaries = [one["summary"] for one in found]
    assert [summary for summary in summaries if not 1 <= len(summary.split()) <= 8] == []
    assert len(set(summaries)) == len(summaries)


def test_each_parameter_and_field_is_described() -> None:
    parameters = [parameter for _, _, one in operations() for parameter in one.get("parameters", [])]
    assert [one["name"] for one in parameters if not one["description"].endswith(".")] == []
    schemas = document()["components"]["schemas"]
    requests = [content["schema"] for what, _, content in bodies() if what.endswith("request")]
    models = [schemas[one["$ref"].rpartition("/")[2]] if "$ref" in one else one for one in requests]
    fields = [field for model in [*models, schemas["ScheduleChange"]] for field in model.get("properties", {}).items()]
    assert len(fields) > 15
    assert [name for name, field in fields if not field["description"].endswith(".")] == []


def test_each_body_has_a_schema_with_members() -> None:
    """A bare object tells nothing; a client's own JSON is one, and says so."""
    assert len(list(bodies())) > 60
    assert [what for what, _, content in bodies() if content["schema"] in ({}, {"type": "object"})] == []
    bare = []

    def walk(schema: Any, path: str) -> None:  # Any: JSON
        if isinstance(schema, dict):
            if schema.get("type") == "object" and not schema.keys() & {"properties", "additionalProperties", "$ref"}:
                bare.append(path)
            for name, inner in schema.items():
                walk(inner, f"{path}.{name}")
        for index, inner in enumerate(schema if isinstance(schema, list) else ()):
            walk(inner, f"{path}.{index}")

    walk(document()["components"]["schemas"], "")
    assert bare == []


def test_each_operation_has_an_example_and_all_examples_are_valid() -> None:
    for method, path, described in operations():
        parameters = [one for one in described.get("parameters", []) if "examples" in one["schema"]]
        contents = [*described.get("requestBody", {}).get("content", {}).values()]
        contents += [content for one in described["responses"].values() for content in one.get("content", {}).values()]
        has_example = bool(parameters) or any("example" in content for content in contents)
        assert has_example or not (described.get("parameters") or contents), f"{method} {path}"
        for one in parameters:
            for example in one["schema"]["examples"]:
                Draft202012Validator(one["schema"]).validate(example)
    for what, kind, content in bodies():
        if kind in {"application/json", "application/problem+json", "multipart/form-data"}:
            assert "example" in content, what
            Draft202012Validator(resolved(content["schema"])).validate(content["example"])


def test_each_operation_has_the_errors_that_any_request_can_get() -> None:
    for method, path, described in operations():
        expected = {"400", "413", "500", "503"}
        if described.get("security") != []:
            expected |= {"401", "429"} | ({"403"} if method not in {"get"} else set())
        if "requestBody" in described:
            expected |= {"411", "415", "422"}
        assert expected <= described["responses"].keys(), f"{method} {path}"


def test_waiting_is_documented_for_each_answer_that_asks_for_it() -> None:
    responses = document()["components"]["responses"]
    assert all("Retry-After" in responses[name]["headers"] for name in ("TooManyRequests", "ServiceUnavailable"))
    assert "Retry-After" in document()["paths"]["/health"]["get"]["responses"]["503"]["headers"]
    assert {"application/json", "application/problem+json"} == set(
        document()["paths"]["/health"]["get"]["responses"]["503"]["content"]
    )


def test_limits_and_defaults_are_those_of_the_settings(context: Context) -> None:
    client = TestClient(create_app(with_settings(context, gaze_intensity=0.3, max_upload_size=12_345, review=True)))

    form = client.simulate_get("/openapi.json").json["paths"]["/upload"]["post"]["requestBody"]["content"]
    properties = form["multipart/form-data"]["schema"]["properties"]

    assert (properties["gaze_intensity"]["default"], "12345 bytes" in properties["file"]["description"]) == (0.3, True)
    assert (properties["review"]["type"], properties["review"]["default"]) == ("boolean", True)
    assert (properties["segment_seconds"]["minimum"], properties["segment_seconds"]["maximum"]) == (6, 60)


def test_every_reference_leads_somewhere(client: TestClient) -> None:
    answer = client.simulate_get("/openapi.json")
    for kind in ("schemas", "responses"):
        names = set(re.findall(rf'"#/components/{kind}/(\w+)"', answer.text))
        assert names
        assert names <= set(answer.json["components"][kind])
    assert set(re.findall(r'"#/components/responses/(\w+)"', answer.text)) <= set(
        answer.json["components"]["responses"]
    )


@pytest.fixture
def filled(context: Context) -> dict[str, str]:
    """Fill the database with a row of each kind; return ids by the name of the path parameter."""
    moment = context.now()
    attempt = MediaAttempt(
        began_at=moment,
        ended_at=moment,
        settings="full",
        outcome=MediaOutcome.OUT_OF_MEMORY,
        held_bytes=5,
        limit_bytes=4,
    )
    failure = PublishingAttempt(at=moment, step="create", code="spam", detail="refused", platform_code="spam_risk")
    part = replace(
        rows.segment(1, status=SegmentStatus.FAILED), attempts=encode_attempts([attempt]), reason="memory",
        gaze={"corrected": True, "share": 0.9, "reason": None, "frames": 30}, stage_seconds={"render": 1.5},
        rendering={"picture": "encoded"}, size_bytes=77,
    )  # fmt: skip
    post = replace(
        rows.publication(part, rows.account(), status=PublicationStatus.FAILED), code="spam", reason="refused",
        attempts=[failure.to_json()], due_at=moment, ended_at=moment,
    )  # fmt: skip
    outage = PlatformState(platform="tiktok", failures_in_a_row=3, since=moment, paused_until=moment, code="x")
    with context.store.writing(scope="everything") as connection:
        facts = {"warnings": ["no sound"]}
        job = replace(rows.job(status=JobStatus.PUBLISHING, parts=1), review_reasons=["sound_unreadable"], facts=facts)
        jobs.create(connection, replace(job, attempts=encode_attempts([attempt]), metadata={"a": [1]}))
        segments.create(connection, [part])
        sealed = tokens.encrypt(context, Tokens("access"))
        accounts.connect(connection, replace(rows.account(), tokens=sealed))
        publications.create(connection, [post])
        evidence = HistoryEntry(
            at=moment, kind=HistoryKind.EVIDENCE, text="online", method="POST", ids={"post_id": "7"}
        )
        history.append(connection, post.id, [evidence])
        platform_states.put(connection, outage)
        endpoint = job_commands.add_endpoint(
            context, connection, DEFAULT_OWNER, "https://hooks.example.com/", scope="all", events=[]
        )
    delivery = endpoint_commands.ping(context, endpoint.id)
    assert delivery is not None
    with context.store.writing(scope="everything") as connection:
        made = Attempt(delivery_id=delivery, at=moment, duration_ms=84, http_status=500, error=None, excerpt="sorry")
        webhooks.record_attempt(connection, made, status=DeliveryStatus.FAILED, next_at=None, tries=1)
    return {
        "job_id": "job", "account_id": "tiktok-1", "publication_id": post.id, "endpoint_id": endpoint.id,
        "delivery_id": delivery, "letter_id": str(dead_letter(context)), "number": "1", "platform": "tiktok",
    }  # fmt: skip


def dead_letter(context: Context) -> int:
    """Return the id of a new dead letter."""
    return make_dead_letter(context, "network", "gaze", "job-1")


def test_answers_with_rows_of_each_kind_have_the_documented_members(context: Context, filled: dict[str, str]) -> None:
    """Members of ours that are missing in the document would be found by nobody else: objects may have more."""
    client = TestClient(create_app(context), headers=AUTH)
    _write_gaze(context, filled["job_id"])
    checked = 0
    for method, path, described in operations():
        content = described["responses"].get("200", {}).get("content", {}).get("application/json")
        if method != "get" or content is None or path in {"/openapi.json", "/accounts/{account_id}/creator"}:
            continue  # the platform is not there
        answer = client.simulate_get(path.format(**{**filled, "name": "x", "version": "x"}))
        schema = closed(resolved(content["schema"]))
        status = "503" if path == "/health" else "200"
        assert str(answer.status_code) == status, path
        Draft202012Validator(schema).validate(answer.json)
        checked += 1
    assert checked >= 9


def _write_gaze(context: Context, job_id: str) -> None:
    """Write the gaze over time of a job's parts, as the media child does."""
    result = FrameResult(0, 0.0, 0, (9.0, 0.0), None, 0.0, Reason.BLINK, (1.0, 0.0))
    with context.store.reading() as connection:
        parts = segments.of_job(connection, job_id)
    for part in parts:
        path = context.in_data(part.file_path).with_suffix(".gaze.json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(curve.of_rows([result], Fraction(30), 0.4)))


def test_commands_get_the_documented_answers(context: Context, filled: dict[str, str]) -> None:
    """Each is sent with the document's own example as its body, and succeeds."""
    client = TestClient(create_app(with_settings(context, webhook_allow_private=True)), headers=AUTH)
    own = {"add_endpoint": {"url": "http://127.0.0.1:9/"}}  # there is no name server in a test
    commands = (
        "change_account", "change_schedules", "change_endpoint", "add_endpoint", "ping_endpoint", "replay_events",
        "redeliver_event", "rotate_endpoint_secret", "approve_job", "retry_dead_letters", "cancel_job",
    )  # fmt: skip
    found = {described["operationId"]: (method, path, described) for method, path, described in operations()}
    for name in commands:
        method, path, described = found[name]
        body = own.get(name) or REQUESTS.get(name)
        answer = client.simulate_request(method.upper(), path.format(**filled), json=body or None)
        assert answer.status_code in {200, 201, 202}, f"{name}: {answer.text}"
        content = described["responses"][str(answer.status_code)]["content"]["application/json"]
        Draft202012Validator(closed(resolved(content["schema"]))).validate(answer.json)


def test_an_upload_gets_the_documented_answer(client: TestClient) -> None:
    form = b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n' + VIDEO + b"\r\n--B--\r\n"
    headers = AUTH | {"Content-Type": "multipart/form-data; boundary=B"}
    answer = client.simulate_post("/upload", body=form, headers=headers)
    response = document()["paths"]["/upload"]["post"]["responses"]["202"]
    Draft202012Validator(closed(resolved(response["content"]["application/json"]["schema"]))).validate(answer.json)


OPEN = {"Gaze", "HealthCheck", "Problem", "OpenApi"}  # have more members, and say so


def closed(schema: Any, name: str = "") -> Any:  # Any: JSON
    """Return a schema that allows no undocumented members."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: closed(value, key) for key, value in schema.items()}
    if "properties" in found and found.get("type") == "object" and name not in OPEN:
        found.setdefault("additionalProperties", False)
    return found


CHECKS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


@pytest.mark.parametrize("operation_id", [operation.name for operation in OPERATIONS])
def test_random_requests_get_documented_answers(operation_id: str, context: Context, filled: dict[str, str]) -> None:
    """Statuses, media types, headers and bodies; no internal error. Half of the ids exist."""
    unreachable = replace(with_settings(context, upload_rate_limit=10**6), hosts=mock_hosts("http://127.0.0.1:9"))
    app = create_app(unreachable)
    schema = schemathesis.openapi.from_dict(document())
    schema.app = app
    operation = schema.find_operation_by_id(operation_id)

    @settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, database=None,
        phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.data())
    def run(data: st.DataObject) -> None:
        case = data.draw(operation.as_strategy())
        if data.draw(st.booleans()):
            for name in case.path_parameters or {}:
                case.path_parameters[name] = filled.get(name, case.path_parameters[name])
        answer = case.call(headers={"Authorization": f"Bearer {KEY}", "Accept-Encoding": "identity"})
        assert answer.status_code < 500 or operation_id in {"get_health", "get_creator"}, answer.text
        assert answer.status_code != 500
        case.validate_response(answer, checks=CHECKS)

    run()
