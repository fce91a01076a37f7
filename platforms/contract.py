"""The protocol of all publishers: a publication is a state machine of short steps.

The caller stores the handle that a step returned before it runs the next one. So whatever identifies something on
the platform's side (an upload address, a publish id, a container) is on disk before the first byte is sent, and a
process that dies at any instruction leaves a handle from which the next one can ask what happened.

    handle = publisher.begin(post, account)          # no network
    while True:
        store(handle)
        outcome = publisher.advance(post, account, handle, interrupted=was_begun_before)
        ...
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

Fact = str | int
Privacy = Literal["public", "unlisted", "private", "friends", "followers"]
PRIVACIES: tuple[Privacy, ...] = get_args(Privacy)
Disclosure = Literal["never", "gaze", "always"]
"""When a post is declared as altered by AI: never, only when its gaze was corrected, always. All platforms ask for the
label on realistic content that was significantly altered; corrected gaze is a border case (their pages, read
2026-11-22), so the operator decides."""


@dataclass(frozen=True)
class Post:
    """One part of one video, ready for one platform.

    Attributes:
        publication_id: ours, unique; letters, digits, `-` and `_`. Sent along where a platform can return it.
        video: the whole file, whose size is `size_bytes` (> 0).
        duration_s: measured after encoding.
        title: as it is sent, with its number; may be empty.
        caption: the text below the title, as it is sent; may be empty.
        media_url: where the platform itself may fetch the video (Instagram Login only); a bearer secret.
        gaze_corrected: whether the eyes were altered; decides the disclosure flag under "gaze".
        options: of the platform's model (`PlatformDefinition.options`).
    """

    publication_id: str
    video: Path
    size_bytes: int
    duration_s: float
    title: str
    caption: str
    media_url: str | None = field(default=None, repr=False)
    gaze_corrected: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)  # Any: JSON

    def is_declared_as_ai(self, disclosure: Disclosure) -> bool:
        """Return the value of `is_aigc`, `is_ai_generated` or `containsSyntheticMedia`."""
        return disclosure == "always" or (disclosure == "gaze" and self.gaze_corrected)


@dataclass(frozen=True)
class AuthorizedAccount:
    """A connected account with an access token that is valid now.

    Attributes:
        id: ours.
        platform: its name in `platforms.registry`.
        variant: of the login, e.g. "instagram_login" or "facebook_login".
        remote_id: TikTok open_id, Instagram user id, YouTube channel id.
        name: the name that its owner knows, e.g. "@creator".
    """

    id: str
    platform: str
    variant: str
    remote_id: str
    name: str
    access_token: str = field(repr=False)


@dataclass(frozen=True)
class Handle:
    """The state of a publication: the next step, and what identifies the post on the platform's side.

    Attributes:
        step: the step that `advance` will run.
        facts: JSON-able; may hold bearer secrets (upload addresses), so store them encrypted and never log them.
    """

    step: str
    facts: Mapping[str, Fact] = field(default_factory=dict, repr=False)

    def then(self, step: str, **facts: Fact) -> Handle:
        """Return a handle for another step, with the facts of this one and the given ones."""
        return Handle(step, {**self.facts, **facts})

    def without(self, *names: str) -> Handle:
        """Return this handle without some facts."""
        return Handle(self.step, {name: fact for name, fact in self.facts.items() if name not in names})

    def text(self, name: str) -> str:
        """Return a fact as text; empty when it is not known."""
        return str(self.facts.get(name, ""))

    def number(self, name: str) -> int:
        """Return a fact as a whole number; 0 when it is not known."""
        return int(self.facts.get(name, 0))


@dataclass(frozen=True)
class QuotaAnswer:
    """A platform's answer to the question how many posts of an account it takes in 24 hours.

    Attributes:
        total: None if it did not say.
        used: those of the last 24 hours, also of other apps.
        reason: why there is no answer, a sentence for people; None if there is one.
    """

    total: int | None = None
    used: int = 0
    reason: str | None = None


@dataclass(frozen=True)
class Advanced:
    """The step is done; store the handle and run its step after `again_after_s`.

    Attributes:
        quota: what the platform said about its limit; None: it was not asked.
    """

    handle: Handle
    again_after_s: float = 0.0
    quota: QuotaAnswer | None = None


@dataclass(frozen=True)
class Published:
    """The post is live, or will be without any further action.

    Attributes:
        remote_id: the platform's id of the post; of the publish job while the post's own id is still withheld.
        link: the post's public address; None while the platform withholds it.
        again_after_s: None: nothing more can be learnt. Otherwise this handle may be advanced later, only to learn the
            link; that step reads, and never publishes.
    """

    handle: Handle
    remote_id: str
    link: str | None
    again_after_s: float | None = None


@dataclass(frozen=True)
class ActionNeeded:
    """The platform has the video, and its owner has to act.

    Attributes:
        note: stable code: "draft_in_inbox" (finish it in the TikTok app), "locked_private" (YouTube locked the video
            because the project is not audited).
        again_after_s: None: nothing more can be learnt. Otherwise this handle may be advanced later, to see whether the
            owner has acted; that step reads, and never publishes.
    """

    handle: Handle
    remote_id: str
    note: str
    again_after_s: float | None = None


Outcome = Advanced | Published | ActionNeeded


class Publisher(Protocol):
    """The publisher of one platform."""

    @property
    def platform(self) -> str:
        """The platform's name in `platforms.registry`."""

    @property
    def irreversible_steps(self) -> frozenset[str]:
        """The steps that can make a post public.

        After any error at one of them the caller runs the step with `interrupted=True`: it asks before it acts.
        """

    def begin(self, post: Post, account: AuthorizedAccount) -> Handle:
        """Check all that needs no network and return the first handle.

        Raises:
            Rejected: this platform cannot accept the title, caption, size or privacy.
        """

    def may_stop(self, handle: Handle) -> bool:
        """Return whether nothing is or becomes public if this handle's step is not run. Without network.

        The answer holds for a step that has not begun; for an interrupted step nothing is certain.
        """

    def advance(self, post: Post, account: AuthorizedAccount, handle: Handle, *, interrupted: bool) -> Outcome:
        """Run exactly one short step.

        Args:
            handle: as `begin` or the step before returned it, and as it is stored.
            interrupted: this very step was begun before and its result is not known (a crash, a cut connection, an
                `Unclear`). The step then asks before it repeats anything irreversible.

        Raises:
            PlatformError: see `platforms.errors`; each class says what to do next.
        """


@dataclass(frozen=True)
class StepContext:
    """The arguments of one call of `Publisher.advance`, as the steps of a publisher take them."""

    post: Post
    account: AuthorizedAccount
    handle: Handle
    interrupted: bool

    @property
    def token(self) -> str:
        """The account's access token."""
        return self.account.access_token
