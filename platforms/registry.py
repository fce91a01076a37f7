"""The platforms and their logins, by name. A new platform adds one line to `NAMES`.

Everything that is particular to a platform is found through this module, also the actors that publish. The only other
list is `PLATFORMS` in `frontend/words.js` (names for people).
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, create_model

from platforms.contract import Publisher
from platforms.definition import LoginDefinition, PlatformDefinition, PublishingOptions
from platforms.http.hosts import Roots

if TYPE_CHECKING:
    from platforms.oauth import OAuthFlow

# Each name has a package `platforms.<name>` with a DEFINITION, and one `platforms.mock.<name>` with its mock.
NAMES = (
    "tiktok",
    "instagram",
    "youtube",
)

PLATFORMS: Mapping[str, PlatformDefinition] = {name: import_module(f"platforms.{name}").DEFINITION for name in NAMES}
LOGINS: Mapping[str, LoginDefinition] = {
    login.variant: login for platform in PLATFORMS.values() for login in platform.logins
}
OptionsByPlatform: type[BaseModel] = create_model(
    "OptionsByPlatform",
    __config__=ConfigDict(frozen=True, extra="forbid"),
    __doc__="The options of posts by platform; the names of its fields are those of the platforms.",
    **{name: (platform.options | None, None) for name, platform in PLATFORMS.items()},  # type: ignore[call-overload]  # fields by name
)
ROOT_NAMES = tuple(name for platform in PLATFORMS.values() for name in platform.hosts.names())


def display_name(platform: str) -> str:
    """Return the name of a platform for people; that of one that is no longer supported is the name itself."""
    return PLATFORMS[platform].display_name if platform in PLATFORMS else platform


def publisher(platform: str, roots: Roots, options: PublishingOptions | None = None) -> Publisher:
    """Return the publisher of a platform.

    Args:
        roots: hosts that replace the real ones.

    Raises:
        ValueError: no platform has this name.
    """
    if platform not in PLATFORMS:
        raise ValueError(f"no platform {platform!r}")
    return PLATFORMS[platform].make_publisher(roots, options or PublishingOptions())


def flow(variant: str, roots: Roots, options: PublishingOptions | None = None) -> OAuthFlow:
    """Return a login.

    Args:
        roots: hosts that replace the real ones.

    Raises:
        ValueError: no login has this name.
    """
    if variant not in LOGINS:
        raise ValueError(f"no login {variant!r}")
    return LOGINS[variant].make(roots, options or PublishingOptions())
