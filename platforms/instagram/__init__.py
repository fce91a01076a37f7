"""Instagram: the definition of the platform, with Meta's two logins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from platforms.contract import Publisher
from platforms.definition import DocumentedLimit, LoginDefinition, PlatformDefinition, PublishingOptions
from platforms.dry_run import DryAnswers
from platforms.http.hosts import Roots
from platforms.instagram.hosts import MetaHosts
from platforms.instagram.options import InstagramOptions
from platforms.instagram.step_texts import STEP_TEXTS
from platforms.instagram.wording import LIMITS, compose

if TYPE_CHECKING:
    from platforms.oauth import OAuthFlow


def _publisher(roots: Roots, options: PublishingOptions) -> Publisher:
    from platforms.instagram.publisher import Instagram

    return Instagram(roots, disclosure=options.disclosure, pace=options.pace, clock=options.clock)


def _instagram_login(roots: Roots, options: PublishingOptions) -> OAuthFlow:
    from platforms.instagram.oauth import InstagramFlow

    del options
    return InstagramFlow(roots)


def _facebook_login(roots: Roots, options: PublishingOptions) -> OAuthFlow:
    from platforms.instagram.facebook_oauth import FacebookFlow

    del options
    return FacebookFlow(roots)


def _dry_answers(roots: Roots) -> DryAnswers:
    from platforms.instagram.dry_run import answers

    return answers(roots)


DEFINITION = PlatformDefinition(
    name="instagram",
    display_name="Instagram",
    hosts=MetaHosts,
    logins=(
        LoginDefinition("instagram_login", "instagram", _instagram_login),
        LoginDefinition("facebook_login", "facebook", _facebook_login),
    ),
    compose=compose,
    limits=LIMITS,
    options=InstagramOptions,
    make_publisher=_publisher,
    step_texts=STEP_TEXTS,
    dry_answers=_dry_answers,
    max_posts_per_day=8,
    # 50 or 100 in any 24 hours; its documents disagree (content publishing guide, read 2026-11-22).
    post_limit=DocumentedLimit(posts=50),
)
