"""YouTube: the definition of the platform, with Google's login."""

from __future__ import annotations

from typing import TYPE_CHECKING

from platforms.contract import Publisher
from platforms.definition import DocumentedLimit, LoginDefinition, PlatformDefinition, PublishingOptions
from platforms.dry_run import DryAnswers
from platforms.http.hosts import Roots
from platforms.youtube.hosts import GoogleHosts
from platforms.youtube.options import YouTubeOptions
from platforms.youtube.step_texts import STEP_TEXTS
from platforms.youtube.wording import LIMITS, compose

if TYPE_CHECKING:
    from platforms.oauth import OAuthFlow


def _publisher(roots: Roots, options: PublishingOptions) -> Publisher:
    from platforms.youtube.publisher import YouTube

    return YouTube(roots, disclosure=options.disclosure, pace=options.pace, clock=options.clock)


def _login(roots: Roots, options: PublishingOptions) -> OAuthFlow:
    from platforms.youtube.oauth import GoogleFlow

    del options
    return GoogleFlow(roots)


def _dry_answers(roots: Roots) -> DryAnswers:
    from platforms.youtube.dry_run import answers

    return answers(roots)


DEFINITION = PlatformDefinition(
    name="youtube",
    display_name="YouTube",
    hosts=GoogleHosts,
    logins=(LoginDefinition("google", "google", _login),),
    compose=compose,
    limits=LIMITS,
    options=YouTubeOptions,
    make_publisher=_publisher,
    step_texts=STEP_TEXTS,
    dry_answers=_dry_answers,
    max_posts_per_day=10,
    # 100 uploads a project and day, from midnight Pacific time (quota page, 2026-09).
    post_limit=DocumentedLimit(posts=100, day_zone="America/Los_Angeles"),
    needs_title=True,
)
