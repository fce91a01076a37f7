"""The one contract behind which every platform stands: a publication as a state machine of short steps.

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
from typing import Literal, Protocol

Fact = str | int
Platform = Literal["tiktok", "instagram", "youtube"]
Privacy = Literal["public", "unlisted", "private", "friends", "followers"]
Disclosure = Literal["never", "gaze", "always"]
"""When a post is declared as altered by AI: never, only when its gaze was corrected, always."""


@dataclass(frozen=True)
class Post:
    """One part of one video, ready for one platform.

    Attributes:
        publication_id: ours, unique; letters, digits, `-` and `_`. Sent along where a platform can hand it back.
        video: the whole file, whose size is `size_bytes` (> 0).
        duration_s: measured after encoding.
        title: without numbering; `platforms.wording` adds "— Part 2/5".
        caption: what stands below the title; may be empty.
        part: 1 … parts.
        media_url: where the platform itself may fetch the video (Instagram Login only); a bearer secret.
        gaze_corrected: whether the eyes were altered; decides the disclosure flag under "gaze".
        privacy: who may see it; a platform that lacks the choice rejects the post.
    """

    publication_id: str
    video: Path
    size_bytes: int
    duration_s: float
    title: str
    caption: str
    part: int
    parts: int
    media_url: str | None = field(default=None, repr=False)
    gaze_corrected: bool = False
    privacy: Privacy = "public"


@dataclass(frozen=True)
class Account:
    """A connected account with a token that is good now.

    Attributes:
        id: ours.
        variant: "tiktok"; "instagram_login" or "facebook_login"; "google".
        remote_id: TikTok open_id, Instagram user id, YouTube channel id.
        name: what its owner calls it, e.g. "@creator".
    """

    id: str
    platform: str
    variant: str
    remote_id: str
    name: str
    access_token: str = field(repr=False)


@dataclass(frozen=True)
class Handle:
    """Where a publication stands: the next step, and what identifies it on the platform's side.

    Attributes:
        step: the step that `advance` will run.
        facts: JSON-able; may hold bearer secrets (upload addresses), so store it encrypted and never log it.
    """

    step: str
    facts: Mapping[str, Fact] = field(default_factory=dict, repr=False)

    def then(self, step: str, **facts: Fact) -> Handle:
        """Return a handle for another step that knows all that this one knows, and these facts."""
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
class Advanced:
    """The step is done; store the handle and run its step after `again_after_s`."""

    handle: Handle
    again_after_s: float = 0.0


@dataclass(frozen=True)
class Published:
    """The post is live (or will be without anyone's help).

    Attributes:
        remote_id: the platform's id of the post; of the publish job while the post's own id is still withheld.
        link: where people see it; None while the platform withholds it.
        again_after_s: None: nothing more to learn. Otherwise one may advance this handle later, only to learn the
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
        again_after_s: None: nothing more to learn. Otherwise one may advance this handle later, to see whether the
            person has acted; that step reads, and never publishes.
    """

    handle: Handle
    remote_id: str
    note: str
    again_after_s: float | None = None


Outcome = Advanced | Published | ActionNeeded


class Publisher(Protocol):
    """One platform."""

    @property
    def platform(self) -> str:
        """Say which platform: "tiktok", "instagram" or "youtube"."""

    def begin(self, post: Post, account: Account) -> Handle:
        """Check what can be checked without the network and return the first handle.

        Raises:
            Rejected: title, caption, size or privacy cannot be taken by this platform.
        """

    def may_stop(self, handle: Handle) -> bool:
        """Say whether nothing is public, nor ever will be, if this handle's step is not run. Without network.

        It holds for a step that has not been begun; of one that was interrupted nobody can say.
        """

    def advance(self, post: Post, account: Account, handle: Handle, *, interrupted: bool) -> Outcome:
        """Run exactly one short step.

        Args:
            handle: as `begin` or the step before returned it, and as it is stored.
            interrupted: this very step was begun before and its answer is not known (a crash, a cut connection, an
                `Unclear`). The step then asks before it repeats anything irreversible.

        Raises:
            PlatformError: see `platforms.errors`; each class says what to do next.
        """
