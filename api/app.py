"""The application: every route with its resource, behind the key and with safe headers."""

from __future__ import annotations

from typing import Any

import falcon

from api.context import Context
from api.http import problems
from api.http.auth import Gate
from api.http.numbers import WholeNumber
from api.http.rate_limit import RateLimit
from api.http.security_headers import SecurityHeaders
from api.resources import openapi
from api.resources.accounts import Accounts, Connect, ConnectCallback, OneAccount
from api.resources.dead_letters import DeadLetterRetry, DeadLetters
from api.resources.health import Health
from api.resources.jobs import Approval, Cancellation, Jobs, OneJob, Retry, Status
from api.resources.metrics import Metrics
from api.resources.pages import Pages
from api.resources.parts import Part, SignedPart
from api.resources.publications import Resolve
from api.resources.schedules import ScheduleOfAll
from api.resources.session import Login
from api.resources.uploads import Uploads
from api.resources.webhooks import Deliveries, Endpoints, OneEndpoint, Redelivery

App = falcon.App[falcon.Request, falcon.Response]


def create_app(context: Context, limit: RateLimit | None = None) -> App:
    """Return the WSGI application.

    Args:
        limit: of uploads, shared with a server that checks it before it takes a body in; None makes one.
    """
    app: App = falcon.App(
        middleware=[SecurityHeaders(https=context.settings.root_url.startswith("https://")), Gate(context.keys)]
    )
    app.router_options.converters["int"] = WholeNumber
    app.resp_options.secure_cookies_by_default = False  # said at each cookie
    problems.install(app)
    uploads = RateLimit(context.settings.upload_rate_limit, what="upload", now=context.now)
    for path, resource in routes(context, limit or uploads).items():
        app.add_route(path, resource)
    return app


def create_metrics_app(context: Context) -> App:
    """Return the application of the private port: the metrics, without a key."""
    app: App = falcon.App()
    problems.install(app)
    app.add_route("/metrics", Metrics(context, public=True))
    return app


def routes(context: Context, limit: RateLimit) -> dict[str, Any]:  # Any: resources have no common type
    """Return every route and who answers it."""
    pages = Pages(context.pages)
    part = "/jobs/{job_id}/segments/{number:int(min=1)}"
    return {
        "/upload": Uploads(context, limit),
        "/status/{job_id}": Status(context),
        "/jobs": Jobs(context),
        "/jobs/{job_id}": OneJob(context),
        "/jobs/{job_id}/cancel": Cancellation(context),
        "/jobs/{job_id}/retry": Retry(context),
        "/jobs/{job_id}/approve": Approval(context),
        f"{part}/video": Part(context, "video"),
        f"{part}/cover": Part(context, "cover"),
        f"{part}/preview": Part(context, "preview"),
        "/media/{token}": SignedPart(context),
        "/accounts": Accounts(context),
        "/accounts/{account_id}": OneAccount(context),
        "/connect/{platform}": Connect(context),
        "/connect/{platform}/callback": ConnectCallback(context),
        "/schedule": ScheduleOfAll(context),
        "/webhooks": Endpoints(context),
        "/webhooks/{endpoint_id}": OneEndpoint(context),
        "/webhooks/{endpoint_id}/deliveries": Deliveries(context),
        "/webhooks/{endpoint_id}/deliveries/{delivery_id}/redeliver": Redelivery(context),
        "/dead-letters": DeadLetters(context),
        "/dead-letters/{letter_id:int(min=1)}/retry": DeadLetterRetry(context),
        "/publications/{publication_id}/resolve": Resolve(context),
        "/health": Health(context),
        "/metrics": Metrics(context),
        "/login": Login(context),
        "/openapi.json": openapi.Description(context),
        "/": pages,
        "/static/{name}": pages,
    }
