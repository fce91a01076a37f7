"""GET /limits: what each platform accepts, for counters while words are typed."""

from __future__ import annotations

import falcon

from actors.flow.word_commands import WIDEST_PART
from api.resources import documents
from api.resources.base import Resource
from platforms.definition import PlatformDefinition, PublishingOptions
from platforms.registry import PLATFORMS
from platforms.wording import numbered_title


class LimitsResource(Resource):
    """GET /limits."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Show the limits of words and the options of each platform."""
        del request
        response.media = limits_document(self._context.publishing_options)


def limits_document(publishing: PublishingOptions) -> documents.LimitsDocument:
    """Return what each platform accepts."""
    return {
        "platforms": {name: _platform(definition, publishing) for name, definition in PLATFORMS.items()},
        "widest_numbering": numbered_title("x", WIDEST_PART, WIDEST_PART).removeprefix("x"),
        "placeholders": ["{title}", "{n}", "{m}"],
    }


def _platform(definition: PlatformDefinition, publishing: PublishingOptions) -> documents.PlatformLimitsDocument:
    return {
        "name": definition.display_name,
        "needs_title": definition.needs_title,
        "limits": [{"of": one.of, "unit": one.unit, "maximum": one.maximum} for one in definition.limits],
        "required_options": list(definition.required_options(publishing)),
        "options": definition.options.model_json_schema(),
    }
