"""Whether a post is declared as altered by AI: the operator's policy, applied the same way on all platforms.

All three ask for the label on realistic content that was significantly altered; corrected gaze is a border case
(their pages, read 2026-11-22), so the operator decides.
"""

from __future__ import annotations

from platforms.contract import Disclosure, Post


def declares(post: Post, policy: Disclosure) -> bool:
    """Return the value of `is_aigc`, `is_ai_generated` or `containsSyntheticMedia`."""
    return policy == "always" or (policy == "gaze" and post.gaze_corrected)
