"""The WSGI application: routes, authentication, security headers, error handlers."""

from __future__ import annotations

from typing import Any

import falcon
from falcon.routing import CompiledRouter

from api.context import Context
from api.http import problem_page, problems
from api.http.auth import AuthMiddleware
from api.http.data_page import DataPages
from api.http.numbers import Int64Converter
from api.http.ownership import Ownership, check_parameters
from api.http.page_paths import PageNavigation
from api.http.rate_limit import RateLimiter, UploadLimits
from api.http.request_ids import RequestIds
from api.http.security_headers import SecurityHeaders
from api.resources.accounts import AccountResource, AccountsResource
from api.resources.api_keys import ApiKeyResource, ApiKeysResource
from api.resources.archives import VideosResource
from api.resources.calendar import CalendarResource
from api.resources.connecting import ConnectCallbackResource, ConnectResource, ConnectTicketResource
from api.resources.creators import CreatorResource
from api.resources.dead_letters import DeadLetterRetryResource, DeadLettersResource, DeadLettersRetryResource
from api.resources.descriptions import OpenApiResource, ReferenceResource
from api.resources.files import FileResource, FilesResource, TusHeaders
from api.resources.forecasts import ForecastResource
from api.resources.health import OF_REQUESTS, HealthResource
from api.resources.jobs import (
    ApproveResource,
    ApproveRestoredResource,
    CancelResource,
    JobResource,
    JobsResource,
    RetryResource,
    StatusResource,
)
from api.resources.limits import LimitsResource
from api.resources.metrics import MetricsResource
from api.resources.needs import NeedsResource
from api.resources.notices import NoticesResource, NoticeTestResource, SubscriptionResource, SubscriptionsResource
from api.resources.pages import PageFileResource, PagesResource
from api.resources.parts import OriginalResource, PartFileResource, SignedPartResource
from api.resources.payloads import PayloadsResource
from api.resources.plans import PlanResource
from api.resources.publications import (
    HistoryResource,
    PublicationResource,
    PublicationRetryResource,
    ResolveResource,
    SkipResource,
)
from api.resources.schedules import AccountScheduleResource, ScheduleResource
from api.resources.server_settings import SettingsResource
from api.resources.session import LoginResource
from api.resources.sharing import PATH as SHARE_PATH
from api.resources.sharing import ShareResource
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

CONTINUED_PER_MINUTE = 1200
"""Requests for existing resumable uploads a minute and address: 8 MB chunks at 1 Gbit/s are 940."""

App = falcon.App[falcon.Request, falcon.Response]


def create_app(context: Context, limits: UploadLimits | None = None, router: CompiledRouter | None = None) -> App:
    """Return the WSGI application.

    Args:
        limits: of uploads; shared with a server that checks them before it receives a body. Default: new ones.
        router: gets the routes; shared with a server that checks paths before it receives a body. Default: a new one.
    """
    headers = SecurityHeaders(https=context.settings.root_url.startswith("https://"))
    app: App = falcon.App(
        middleware=[
            RequestIds(),
            headers,
            PageNavigation(),
            DataPages(),
            TusHeaders(),
            AuthMiddleware(context.keys, behind_fly=context.behind_fly),
            Ownership(context.store),
        ],
        router=router,
    )
    app.req_options.strip_url_path_trailing_slash = True  # clients of tus send /files/
    app.router_options.converters["int"] = Int64Converter
    app.resp_options.secure_cookies_by_default = False  # set for each cookie
    problems.install(app)
    app.set_error_serializer(problem_page.serialize)
    for path, resource in routes(context, limits or upload_limits(context)).items():
        check_parameters(path)
        app.add_route(path, resource)
    return app


def create_metrics_app(context: Context) -> App:
    """Return the application of the private port: metrics without authentication."""
    app: App = falcon.App()
    problems.install(app)
    app.add_route("/metrics", MetricsResource(context, public=True))
    return app


def upload_limits(context: Context) -> UploadLimits:
    """Return the rate limits of uploads."""
    return UploadLimits(
        uploads=RateLimiter(context.settings.upload_rate_limit, noun="upload", now_s=context.now_s),
        continued=RateLimiter(CONTINUED_PER_MINUTE, noun="request", now_s=context.now_s),
    )


def routes(context: Context, limits: UploadLimits) -> dict[str, Any]:  # Any: resources have no common type
    """Return the resource of each route."""
    pages = PagesResource(context.pages)
    part = "/jobs/{job_id}/segments/{number:int(min=1)}"
    return {
        "/upload": UploadResource(context, limits.uploads),
        "/files": FilesResource(context, limits.uploads),
        "/files/{upload_id}": FileResource(context, limits.continued),
        "/status/{job_id}": StatusResource(context),
        "/jobs": JobsResource(context),
        "/jobs/{job_id}": JobResource(context),
        "/jobs/{job_id}/cancel": CancelResource(context),
        "/jobs/{job_id}/retry": RetryResource(context),
        "/jobs/{job_id}/approve": ApproveResource(context),
        "/jobs/{job_id}/payloads": PayloadsResource(context),
        "/jobs/{job_id}/videos.zip": VideosResource(context),
        "/jobs/{job_id}/plan": PlanResource(context),
        "/jobs/approve-restored": ApproveRestoredResource(context),
        f"{part}/video": PartFileResource(context, "video"),
        f"{part}/cover": PartFileResource(context, "cover"),
        f"{part}/preview": PartFileResource(context, "preview"),
        f"{part}/gaze": PartFileResource(context, "gaze"),
        f"{part}/original": OriginalResource(context),
        "/media/{token}": SignedPartResource(context),
        "/accounts": AccountsResource(context),
        "/accounts/{account_id}": AccountResource(context),
        "/accounts/{account_id}/creator": CreatorResource(context),
        "/accounts/{account_id}/schedule": AccountScheduleResource(context),
        "/connect/{platform}": ConnectResource(context),
        "/connect/{platform}/begin": ConnectTicketResource(context),
        "/connect/{platform}/callback": ConnectCallbackResource(context),
        "/forecast": ForecastResource(context),
        "/calendar": CalendarResource(context),
        "/schedule": ScheduleResource(context),
        "/webhooks": EndpointsResource(context),
        "/webhooks/{endpoint_id}": EndpointResource(context),
        "/webhooks/{endpoint_id}/secret": SecretResource(context),
        "/webhooks/{endpoint_id}/rotate": RotateResource(context),
        "/webhooks/{endpoint_id}/ping": PingResource(context),
        "/webhooks/{endpoint_id}/replay": ReplayResource(context),
        "/webhooks/{endpoint_id}/deliveries": DeliveriesResource(context),
        "/webhooks/{endpoint_id}/deliveries/{delivery_id}/redeliver": RedeliverResource(context),
        "/notices": NoticesResource(context),
        "/notices/subscriptions": SubscriptionsResource(context),
        "/notices/subscriptions/{subscription_id}": SubscriptionResource(context),
        "/notices/test": NoticeTestResource(context),
        "/dead-letters": DeadLettersResource(context),
        "/dead-letters/retry": DeadLettersRetryResource(context),
        "/dead-letters/{letter_id:int(min=1)}/retry": DeadLetterRetryResource(context),
        "/limits": LimitsResource(context),
        "/needs-you": NeedsResource(context),
        "/keys": ApiKeysResource(context),
        "/keys/{key_id}": ApiKeyResource(context),
        "/settings": SettingsResource(context),
        "/publications/{publication_id}": PublicationResource(context),
        "/publications/{publication_id}/history": HistoryResource(context),
        "/publications/{publication_id}/retry": PublicationRetryResource(context),
        "/publications/{publication_id}/skip": SkipResource(context),
        "/publications/{publication_id}/resolve": ResolveResource(context),
        "/health": HealthResource(context),
        "/health/ready": HealthResource(context, OF_REQUESTS),
        "/metrics": MetricsResource(context),
        "/login": LoginResource(context),
        "/openapi.json": OpenApiResource(context),
        "/docs": ReferenceResource(context),
        "/": pages,
        "/manifest.webmanifest": PageFileResource(pages, "manifest.webmanifest"),
        "/service-worker.js": PageFileResource(pages, "service-worker.js"),
        SHARE_PATH: ShareResource(),
        "/static/{name}": pages,
        "/assets/{version}/{name}": pages,
    }
