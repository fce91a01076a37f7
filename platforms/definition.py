"""The declaration of a platform: everything that the rest of the program needs to know about it.

Each platform's package has a `DEFINITION` in its `__init__`. Definitions are light: publishers and logins are imported
when they are made, since `requests-oauthlib` alone costs 8 MB that the API, which only sends messages, need not carry.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from platforms.contract import Disclosure, Publisher
from platforms.creator import Creator
from platforms.dry_run import DryAnswers
from platforms.http.hosts import PlatformHosts, Roots
from platforms.post_options import PostOptions
from platforms.step_texts import StepTexts
from platforms.wording import TextLimit, Wording

if TYPE_CHECKING:
    from platforms.oauth import OAuthFlow

Compose = Callable[[str, str], Wording]
"""(title, caption) → the checked words of a post; raises Rejected when they do not fit."""


@dataclass(frozen=True)
class PublishingOptions:
    """The options of publishing; each publisher uses its own ones.

    Attributes:
        tiktok_mode: "inbox" (a draft that its owner finishes in the app) or "direct".
        requires_choice: options that a platform allows no default for must be chosen by a person. False for mocks only.
        disclosure: the posts that are declared as altered by AI.
        pace: factor on the pauses between requests for a state: 1 for the real platforms, small for the mock.
        clock: Unix seconds.
    """

    tiktok_mode: Literal["inbox", "direct"] = "inbox"
    requires_choice: bool = True
    disclosure: Disclosure = "gaze"
    pace: float = 1.0
    clock: Callable[[], float] = time.time


@dataclass(frozen=True)
class LoginDefinition:
    """One way to connect an account of a platform.

    Attributes:
        variant: the login's name, unique over all platforms and stored with each account, e.g. "facebook_login".
        client_name: of our registration: its secret is the variable {CLIENT_NAME}_CLIENT_SECRET.
        make: returns the login.
        client_id_suffix: the variable of its id is {CLIENT_NAME}_{suffix}.
    """

    variant: str
    client_name: str
    make: Callable[[Roots, PublishingOptions], OAuthFlow]
    client_id_suffix: str = "CLIENT_ID"

    @property
    def client_id_variable(self) -> str:
        """The environment variable of the client's id."""
        return f"{self.client_name.upper()}_{self.client_id_suffix}"

    @property
    def client_secret_variable(self) -> str:
        """The environment variable of the client's secret."""
        return f"{self.client_name.upper()}_CLIENT_SECRET"


@dataclass(frozen=True)
class DocumentedLimit:
    """The limit of posts that a platform documents.

    Attributes:
        posts: in a day.
        day_zone: zone whose calendar days count, for all accounts of this app together; None: any 24 hours of an
            account.
    """

    posts: int
    day_zone: str | None = None


@dataclass(frozen=True)
class PlatformDefinition:
    """One platform.

    Attributes:
        name: in the API, the database and the settings; also of its package.
        display_name: in texts for people, as the platform spells it.
        hosts: the roots of its hosts.
        logins: the first one that has credentials is the default.
        compose: composes and checks the words of a post.
        limits: of its words, as `compose` checks them.
        options: model of the options of its posts.
        required_options: the names of those that a post must have.
        make_publisher: returns the publisher.
        step_texts: words for the publisher's steps.
        dry_answers: returns the stand-in answers for dry runs.
        needs_title: each video has a title, besides its caption or description.
        creator: asks for the creator of an account, whose token is given; None: the platform does not offer that.
        max_posts_per_day: default limit of an account; our own choice, well below what the platform allows.
        min_gap_s: default gap between two posts of an account.
        post_limit: of the platform; it counts whatever a schedule allows. None: it documents none that is certain.
    """

    name: str
    display_name: str
    hosts: type[PlatformHosts]
    logins: tuple[LoginDefinition, ...]
    compose: Compose
    limits: tuple[TextLimit, ...]
    options: type[PostOptions]
    make_publisher: Callable[[Roots, PublishingOptions], Publisher]
    step_texts: StepTexts
    dry_answers: Callable[[Roots], DryAnswers]
    max_posts_per_day: int
    min_gap_s: int = 1_800
    post_limit: DocumentedLimit | None = None
    needs_title: bool = False
    creator: Callable[[Roots, str], Creator] | None = None
    required_options: Callable[[PublishingOptions], tuple[str, ...]] = lambda _: ()

    @property
    def variants(self) -> tuple[str, ...]:
        """The names of its logins."""
        return tuple(login.variant for login in self.logins)
