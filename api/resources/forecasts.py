"""GET /forecast: when the waiting publications of all accounts go out."""

from __future__ import annotations

from datetime import datetime, timedelta

import falcon

from actors.flow.forecast import Prediction
from actors.flow.forecast_cache import Forecast
from api.http import time_cursor
from api.http.auth import owner_of
from api.http.numbers import parse_integer, query_limit
from api.http.problems import Problem
from api.http.time_cursor import Position
from api.resources import documents
from api.resources.base import Resource
from api.resources.status_document import timestamp
from store import predicted_posts
from store.predicted_posts import PredictedPost

DEFAULT_DAYS = 7
MAX_DAYS = 60
"""After this time an open publication expires."""

DEFAULT_LIMIT = 100
MAX_LIMIT = 500


class ForecastResource(Resource):
    """GET /forecast."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """List the expected starts of the next days, the earliest first, in pages."""
        limit = query_limit(request, default=DEFAULT_LIMIT, maximum=MAX_LIMIT)
        days = _query_days(request)
        after = time_cursor.query(request)
        owner_id = owner_of(request)
        forecast = self._context.forecasts.get(self._context).of_owner(owner_id)
        page = _entries(forecast, forecast.made_at + timedelta(days=days), after)[: limit + 1]
        with self._context.store.reading() as connection:
            facts = predicted_posts.fetch(connection, owner_id, [name for _, name in page])
        response.cache_control = ["private", "no-cache"]
        document: documents.ForecastDocument = {
            "made_at": timestamp(forecast.made_at),
            "posts": [_document(facts[name], forecast.posts[name]) for _, name in page[:limit] if name in facts],
            "next": time_cursor.next_page(page, limit),
        }
        response.media = document


def _entries(forecast: Forecast, until: datetime, after: Position | None) -> list[Position]:
    """Return the expected starts up to a time and after a position, in order."""
    found = [(one.at, name) for name, one in forecast.posts.items() if one.at is not None and one.at < until]
    return sorted(entry for entry in found if after is None or entry > after)


def _document(post: PredictedPost, prediction: Prediction) -> documents.ExpectedPostDocument:
    return {
        "expected_at": timestamp(prediction.at),
        "waits_for": prediction.waits_for,
        "publication_id": post.id,
        "job_id": post.job_id,
        "title": post.title,
        "number": post.segment_number,
        "of": post.segment_count,
        "platform": post.platform,
        "account_id": post.account_id,
        "account": post.account,
    }


def _query_days(request: falcon.Request) -> int:
    text = request.get_param("days")
    if text is None:
        return DEFAULT_DAYS
    number = parse_integer(text)
    if number is None or not 1 <= number <= MAX_DAYS:
        raise Problem(400, "bad_days", f"days: must be a whole number from 1 to {MAX_DAYS}", field="days")
    return number
