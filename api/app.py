"""The WSGI application: routes, authentication, security headers, error handlers."""

from __future__ import annotations

from typing import Any

import falcon
from falcon.routing import CompiledRouter

from api.context import Context
from api.http import problems
from api.http.auth import AuthMiddleware
from api.http.numbers import Int64Converter
from api.http.rate_limit import RateLimiter
from api.http.security_headers import SecurityHeaders
from api.resources.accounts import AccountResource, AccountsResource
from api.resources.connecting import ConnectCallbackResource, ConnectResource, ConnectTicketResource
from api.resources.dead_letters import DeadLetterRetryResource, DeadLettersResource, DeadLettersRetryResource
from api.resources.health import HealthResource
from api.resources.jobs import ApproveResource, CancelResource, JobResource, JobsResource, RetryResource, StatusResource
from api.resources.metrics import MetricsResource
from api.resources.openapi import OpenApiResource
from api.resources.pages import PagesResource
from api.resources.parts import PartFileResource, SignedPartResource
from api.resources.publications import PublicationRetryResource, ResolveResource, SkipResource
from api.resources.schedules import ScheduleResource
from api.resources.session import LoginResource
from api.resources.uploads import UploadResource
from api.resources.webhooks import (
    DeliveriesResource,
    EndpointResource,
    EndpointsResource,
    PingResource,
    RedeliverResource,
    ReplayResource,
    RotateResource,
    SecretResource,
)

App = falcon.App[falcon.Request, falcon.Response]


def create_app(context: Context, limiter: RateLimiter | None = None, router: CompiledRouter | None = None) -> App:
    """Return the WSGI application.

    Args:
        limiter: of uploads; shared with a server that checks it before it receives a body. Default: a new one.
        router: gets the routes; shared with a server that checks paths before it receives a body. Default: a new one.
    """
    headers = SecurityHeaders(https=context.settings.root_url.startswith("https://"))
    app: App = falcon.App(
        middleware=[headers, AuthMiddleware(context.keys, behind_fly=context.behind_fly)], router=router
    )
    app.router_options.converters["int"] = Int64Converter
    app.resp_options.secure_cookies_by_default = False  # set for each cookie
    problems.install(app)
    for path, resource in routes(context, limiter or upload_limiter(context)).items():
        app.add_route(path, resource)
    return app


def create_metrics_app(context: Context) -> App:
    """Return the application of the private port: metrics without authentication."""
    app: App = falcon.App()
    problems.install(app)
    app.add_route("/metrics", MetricsResource(context, public=True))
    return app


def upload_limiter(context: Context) -> RateLimiter:
    """Return the rate limiter of uploads."""
    return RateLimiter(context.settings.upload_rate_limit, noun="upload", now_s=context.now_s)


def routes(context: Context, limiter: RateLimiter) -> dict[str, Any]:  # Any: resources have no common type
    """Return the resource of each route."""
    pages = PagesResource(context.pages)
    part = "/jobs/{job_id}/segments/{number:int(min=1)}"
    return {
        "/upload": UploadResource(context, limiter),
        "/status/{job_id}": StatusResource(context),
        "/jobs": JobsResource(context),
        "/jobs/{job_id}": JobResource(context),
        "/jobs/{job_id}/cancel": CancelResource(context),
        "/jobs/{job_id}/retry": RetryResource(context),
        "/jobs/{job_id}/approve": ApproveResource(context),
        f"{part}/video": PartFileResource(context, "video"),
        f"{part}/cover": PartFileResource(context, "cover"),
        f"{part}/preview": PartFileResource(context, "preview"),
        "/media/{token}": SignedPartResource(context),
        "/accounts": AccountsResource(context),
        "/accounts/{account_id}": AccountResource(context),
        "/connect/{platform}": ConnectResource(context),
        "/connect/{platform}/begin": ConnectTicketResource(context),
        "/connect/{platform}/callback": ConnectCallbackResource(context),
        "/schedule": ScheduleResource(context),
        "/webhooks": EndpointsResource(context),
        "/webhooks/{endpoint_id}": EndpointResource(context),
        "/webhooks/{endpoint_id}/secret": SecretResource(context),
        "/webhooks/{endpoint_id}/rotate": RotateResource(context),
        "/webhooks/{endpoint_id}/ping": PingResource(context),
        "/webhooks/{endpoint_id}/replay": ReplayResource(context),
        "/webhooks/{endpoint_id}/deliveries": DeliveriesResource(context),
        "/webhooks/{endpoint_id}/deliveries/{delivery_id}/redeliver": RedeliverResource(context),
        "/dead-letters": DeadLettersResource(context),
        "/dead-letters/retry": DeadLettersRetryResource(context),
        "/dead-letters/{letter_id:int(min=1)}/retry": DeadLetterRetryResource(context),
        "/publications/{publication_id}/retry": PublicationRetryResource(context),
        "/publications/{publication_id}/skip": SkipResource(context),
        "/publications/{publication_id}/resolve": ResolveResource(context),
        "/health": HealthResource(context),
        "/metrics": MetricsResource(context),
        "/login": LoginResource(context),
        "/openapi.json": OpenApiResource(context),
        "/": pages,
        "/static/{name}": pages,
    }
