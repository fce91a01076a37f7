"""The words for the steps of a platform's publisher, and the facts of a handle that may be shown."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from platforms.contract import Handle

FINGERPRINT_CHARS = 12


@dataclass(frozen=True)
class StepTexts:
    """The words for the steps of a publisher.

    Attributes:
        steps: what each step does, by its name, for people.
        identifiers: names of the facts of a handle that identify the post or its upload, and are no secrets.
        fingerprints: names of facts that identify it but are secrets; the beginning of their hash is shown.
    """

    steps: Mapping[str, str]
    identifiers: tuple[str, ...]
    fingerprints: tuple[str, ...] = ()

    def of(self, step: str) -> str:
        """Return the words for a step; its name for one of a later version."""
        return self.steps.get(step, step)

    def shown_facts(self, handle: Handle) -> dict[str, str]:
        """Return the facts of a handle that identify the post and may be shown."""
        shown = {name: handle.text(name) for name in self.identifiers if handle.text(name)}
        return shown | {name: _fingerprint(handle.text(name)) for name in self.fingerprints if handle.text(name)}


def _fingerprint(secret: str) -> str:
    return f"sha256:{hashlib.sha256(secret.encode()).hexdigest()[:FINGERPRINT_CHARS]}"
