"""TikTok: the definition of the platform."""

from __future__ import annotations

from typing import TYPE_CHECKING

from platforms.contract import Publisher
from platforms.creator import Creator
from platforms.definition import LoginDefinition, PlatformDefinition, PublishingOptions
from platforms.dry_run import DryAnswers
from platforms.http.hosts import Roots
from platforms.tiktok.hosts import TikTokHosts
from platforms.tiktok.options import TikTokOptions, required_options
from platforms.tiktok.step_texts import STEP_TEXTS
from platforms.tiktok.wording import LIMITS, compose

if TYPE_CHECKING:
    from platforms.oauth import OAuthFlow


def _publisher(roots: Roots, options: PublishingOptions) -> Publisher:
    from platforms.tiktok.publisher import TikTok

    return TikTok(
        roots,
        mode=options.tiktok_mode,
        required=required_options(options),
        disclosure=options.disclosure,
        pace=options.pace,
        clock=options.clock,
    )


def _login(roots: Roots, options: PublishingOptions) -> OAuthFlow:
    from platforms.tiktok.oauth import TikTokFlow

    return TikTokFlow(roots, mode=options.tiktok_mode)


def _dry_answers(roots: Roots) -> DryAnswers:
    from platforms.tiktok.dry_run import answers

    return answers(roots)


def _creator(roots: Roots, token: str) -> Creator:
    from platforms.tiktok.creator import creator

    return creator(roots, token)


DEFINITION = PlatformDefinition(
    name="tiktok",
    display_name="TikTok",
    hosts=TikTokHosts,
    logins=(LoginDefinition("tiktok", "tiktok", _login, client_id_suffix="CLIENT_KEY"),),
    compose=compose,
    limits=LIMITS,
    options=TikTokOptions,
    required_options=required_options,
    make_publisher=_publisher,
    step_texts=STEP_TEXTS,
    dry_answers=_dry_answers,
    creator=_creator,
    # TikTok allows a creator about 15 posts in any 24 hours, shared by all apps (content-sharing rules, read
    # 2026-08-04).
    max_posts_per_day=6,
)
