"""The reasons for which publications wait, in words for people."""

from __future__ import annotations

from platforms.registry import PLATFORMS
from store.states import WaitsFor

_SENTENCES = {
    WaitsFor.NEXT: "It is next on this account",
    WaitsFor.GAP: "The schedule leaves a pause after the post before it",
    WaitsFor.DAY_LIMIT: "The schedule's limit of posts a day is reached before",
    WaitsFor.WINDOW: "It waits for the next upload window",
    WaitsFor.OWN_TIME: "This time was chosen for it",
    WaitsFor.EARLIER_PART: "It goes out after the part before it",
    WaitsFor.RENDERING: "The part is still being prepared",
    WaitsFor.APPROVAL: "It waits for your approval",
    WaitsFor.HOLD: "You hold it",
    WaitsFor.ACCOUNT: "It waits until the account can be used again",
    WaitsFor.PLATFORM_LIMIT: "{platform} takes no more posts of the account before",
    WaitsFor.PLATFORM_OUTAGE: "It waits until {platform} works again",
}


def sentence(waits_for: WaitsFor, platform: str) -> str:
    """Return why a publication on a platform waits, without a full stop."""
    return _SENTENCES[waits_for].format(platform=PLATFORMS[platform].display_name)
