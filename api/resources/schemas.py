"""The JSON schemas of the OpenAPI document, generated from the types of bodies and answers."""

from __future__ import annotations

from typing import Any, get_args, get_origin

from pydantic import BaseModel, TypeAdapter

from api.resources import server_documents
from api.resources.operation import Json
from api.resources.operations import OPERATIONS
from api.uploads.options import UploadOptions
from platforms import webhook_events
from settings import Settings

REF = "#/components/schemas/{model}"
_SUFFIX = "Document"


def reference(kind: Any) -> Json:  # Any: a pydantic model, a TypedDict, or a dictionary of them
    """Return the schema that refers to the one of a type."""
    if get_origin(kind) is dict:
        return {"type": "object", "additionalProperties": reference(get_args(kind)[1])}
    return {"$ref": REF.format(model=kind.__name__.removesuffix(_SUFFIX))}


def component_schemas() -> Json:
    """Return all schemas by name."""
    kinds: list[Any] = [server_documents.ProblemDocument]  # Any: as above
    kinds += [one.body for one in OPERATIONS if one.body not in {None, UploadOptions}]
    kinds += [one.content for one in OPERATIONS if not isinstance(one.content, str | None)]
    inputs = [(index, _mode(kind), TypeAdapter(kind)) for index, kind in enumerate(kinds)]
    generated = TypeAdapter.json_schemas(inputs, ref_template=REF)[1]["$defs"]
    own = {name.removesuffix(_SUFFIX): _tidied(schema) for name, schema in generated.items()}
    return own | {name: _tidied(schema) for name, schema in webhook_events.data_schemas(REF).items()}


def upload_form(settings: Settings) -> Json:
    """Return the schema of the upload form; all options are text there."""
    fields: Json = _tidied(UploadOptions.model_json_schema(ref_template=REF))["properties"]
    as_text = {
        "platforms": {"type": "string"},
        "accounts": {"type": "string"},
        "options": {"type": "string", "contentMediaType": "application/json"},
        "metadata": {"type": "string", "contentMediaType": "application/json"},
        "publish_after": {"type": "string", "format": "date-time"},
    }
    properties = {
        **{name: _without_null(schema) for name, schema in fields.items()},
        **{name: {**schema, "description": fields[name]["description"]} for name, schema in as_text.items()},
        "file": {
            "type": "string",
            "format": "binary",  # of OpenAPI 3.0, which client generators look for
            "contentMediaType": "application/octet-stream",
            "description": f"The video: MP4, MOV, MKV or WebM, at most {settings.max_upload_size} bytes.",
        },
    }
    for name in ("gaze_intensity", "segment_seconds", "review", "dry_run"):
        properties[name]["default"] = getattr(settings, name)
    return {"type": "object", "properties": properties, "required": ["file"], "additionalProperties": False}


def _without_null(schema: Json) -> Json:
    """Return the schema of a form's field, which is left out instead of null."""
    kept = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    rest = {name: value for name, value in schema.items() if name != "anyOf" and (name, value) != ("default", None)}
    return {**(kept[0] if kept else {}), **rest}


def _mode(kind: Any) -> Any:  # Any: as above, and pydantic's literal
    return "validation" if isinstance(kind, type) and issubclass(kind, BaseModel) else "serialization"


def _tidied(schema: Any) -> Any:  # Any: JSON
    """Return a schema without generated titles and without the suffix in its references."""
    if isinstance(schema, list):
        return [_tidied(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: _tidied(value) for name, value in schema.items() if name != "title" or not isinstance(value, str)}
    if isinstance(found.get("$ref"), str):
        found["$ref"] = found["$ref"].removesuffix(_SUFFIX)
    return found
