"""The OpenAPI document as a page for people, with a curl command for each operation.

It needs no script to be read or searched, and cannot differ from the document.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from typing import Any

from api.http import page_frame

Json = dict[str, Any]  # Any: JSON
MAX_EXAMPLE_CHARS = 2000
_REF = "#/components/schemas/"
_HEAD = """<link rel="stylesheet" href="/static/docs.css">
<script type="module" src="/static/docs.js"></script>
"""
_KEY = '-H "Authorization: Bearer $KEY"'


def page(document: Json, root_url: str) -> str:
    """Return the page of an OpenAPI document.

    Args:
        document: of OpenAPI 3.1.
        root_url: of the server, for the commands.
    """
    tags = {tag["name"]: tag["description"] for tag in document["tags"]}
    content = [
        f'<p class="lead">{_marked(document["info"]["description"])}</p>',
        _beginning(root_url),
        _contents(document, tags),
    ]
    for name, description in tags.items():
        content.append(f'<h2 id="{_anchor(name)}">{escape(name)}</h2><p>{_marked(description)}</p>')
        content += [_article(document, *one) for one in _operations(document) if one[2]["tags"] == [name]]
    return page_frame.page("API", "\n".join(content), style="docs", head=_HEAD)


def _beginning(root_url: str) -> str:
    commands = f'KEY="an API key of this server"\nROOT="{root_url}"'
    return (
        "<p>Each command below is for a shell in which these two are set. Programs find the same in "
        '<a href="/openapi.json">openapi.json</a>; the web page is at <a href="/">VidProd</a>.</p>'
        f"{_code(commands, 'the two variables')}"
    )


def _contents(document: Json, tags: Json) -> str:
    entries = []
    for name in tags:
        links = [
            f'<li><a href="#{operation["operationId"]}">{escape(operation["summary"])}</a></li>'
            for _, _, operation in _operations(document)
            if operation["tags"] == [name]
        ]
        entries.append(f'<li><a href="#{_anchor(name)}">{escape(name)}</a><ul>{"".join(links)}</ul></li>')
    return f'<nav aria-label="Operations"><ul class="docs-contents">{"".join(entries)}</ul></nav>'


def _operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def _anchor(name: str) -> str:
    return f"tag-{name.lower().replace(' ', '-')}"


def _article(document: Json, method: str, path: str, operation: Json) -> str:
    name = operation["operationId"]
    parts = [
        f"<h3>{escape(operation['summary'])}</h3>",
        f'<p class="docs-path"><b>{method.upper()}</b> <code>{escape(path)}</code></p>',
        f"<p>{_marked(operation['description'])}</p>" if "description" in operation else "",
        _code(_curl(method, path, operation), f"curl: {operation['summary']}"),
        _parameters(operation),
        _body(document, operation),
        _answers(operation),
    ]
    return f'<article id="{name}">{"".join(parts)}</article>'


def _code(text: str, name: str) -> str:
    return f'<pre tabindex="0" role="region" aria-label="{escape(name)}"><code>{escape(text)}</code></pre>'


def _marked(text: str) -> str:
    """Return a text as HTML; what is in backticks is code."""
    return "".join(
        f"<code>{escape(part)}</code>" if is_code else escape(part)
        for is_code, part in ((index % 2, part) for index, part in enumerate(text.split("`")))
    )


def _curl(method: str, path: str, operation: Json) -> str:
    parameters = operation.get("parameters", [])
    for parameter in (one for one in parameters if one["in"] == "path"):
        path = path.replace(f"{{{parameter['name']}}}", str(_example(parameter["schema"])))
    words = ["curl", "" if method == "get" else "-I" if method == "head" else f"-X {method.upper()}"]
    words += [] if operation.get("security") == [] else [_KEY]
    given = [one for one in parameters if one["in"] == "header" and "examples" in one["schema"]]
    words += ["-H " + _quoted(f"{one['name']}: {one['schema']['examples'][0]}") for one in given]
    words += [*_curl_body(operation), f'"$ROOT{path}"']
    return " \\\n  ".join(_lines([word for word in words if word]))


def _lines(words: list[str]) -> list[str]:
    """Return the words of a command as lines: its beginning stands on one."""
    count = 2 if len(words) > 1 and words[1].startswith("-") and words[1] != _KEY else 1
    return [" ".join(words[:count]), *words[count:]]


def _curl_body(operation: Json) -> list[str]:
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        example = content["example"]
        if kind == "multipart/form-data":
            fields = ["-F " + _quoted(f"{name}={value}") for name, value in example.items() if name != "file"]
            return [*fields, "-F file=@talk.mp4"]
        return ["-H 'Content-Type: application/json'", f"-d {_quoted(json.dumps(example, ensure_ascii=False))}"]
    return []


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _example(schema: Json) -> object:
    return schema["examples"][0] if "examples" in schema else schema.get("default", "…")


def _parameters(operation: Json) -> str:
    rows = [
        _row(one["name"], one["schema"], one["description"], "" if one["in"] == "query" else one["in"])
        for one in operation.get("parameters", [])
    ]
    return f"<h4>Parameters</h4><dl>{''.join(rows)}</dl>" if rows else ""


def _body(document: Json, operation: Json) -> str:
    for content in operation.get("requestBody", {}).get("content", {}).values():
        schema = _resolved(document, content["schema"])
        rows = [_row(name, one, one.get("description", "")) for name, one in schema.get("properties", {}).items()]
        return f"<h4>Body</h4><dl>{''.join(rows)}</dl>" if rows else ""
    return ""


def _row(name: str, schema: Json, description: str, place: str = "") -> str:
    kind = " ".join(word for word in (_kind(schema), place) if word)
    return f"<dt><code>{escape(name)}</code> <span>{escape(kind)}</span></dt><dd>{_marked(description)}</dd>"


def _kind(schema: Json) -> str:
    """Return the type of a value in words, with the values that it may have."""
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    if "$ref" in schema:
        return str(schema["$ref"].removeprefix(_REF))
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return str(schema.get("format", schema.get("type", "")))


def _resolved(document: Json, schema: Json) -> Json:
    if "$ref" not in schema:
        return schema
    found: Json = document["components"]["schemas"][schema["$ref"].removeprefix(_REF)]
    return found


def _answers(operation: Json) -> str:
    rows, example = [], ""
    for status, response in operation["responses"].items():
        if "$ref" in response:
            continue  # errors, which are the same everywhere
        rows.append(f"<dt>{status}</dt><dd>{escape(response['description'])}</dd>")
        content = response.get("content", {}).get("application/json", {})
        if "example" in content:
            text = json.dumps(content["example"], indent=2, ensure_ascii=False)
            example = _code(text[:MAX_EXAMPLE_CHARS], f"Example: {operation['summary']}")
    errors = ", ".join(status for status, response in operation["responses"].items() if "$ref" in response)
    return f"<h4>Answers</h4><dl>{''.join(rows)}<dt>Errors</dt><dd>{errors}</dd></dl>{example}"
