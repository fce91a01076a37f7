"""The creator of an account, as a platform wants to have it shown where its posts are made."""

from __future__ import annotations

from dataclasses import dataclass

from platforms.contract import Privacy


@dataclass(frozen=True)
class Creator:
    """The creator of an account, and what a post of it may choose now.

    Attributes:
        username: unique at the platform, without "@".
        name: for people; may be empty.
        avatar_url: of the platform; valid for some hours, may be empty.
        privacies: those that the account offers.
        comment_allowed: False: the account has switched comments off for all posts; likewise the next two.
        max_duration_s: of a video; None while the platform names no limit.
    """

    username: str
    name: str
    avatar_url: str
    privacies: tuple[Privacy, ...]
    comment_allowed: bool
    duet_allowed: bool
    stitch_allowed: bool
    max_duration_s: int | None
