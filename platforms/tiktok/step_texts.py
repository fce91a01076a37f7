"""The steps of a TikTok publication for people, and the facts by which TikTok's support finds it."""

from __future__ import annotations

from platforms.step_texts import StepTexts

STEP_TEXTS = StepTexts(
    steps={
        "creator": "Ask which privacy and which interactions the account offers",
        "init": "Ask for an upload address",
        "upload": "Send the video; its last byte begins the post",
        "locate": "Ask how many bytes of the video have arrived",
        "stalled": "Ask about the upload whose address has expired",
        "poll": "Ask whether the video is posted",
        "draft": "Ask whether the owner has posted the draft",
        "link": "Ask for the address of the post",
        "search": "Search the account for the post",
        "done": "Read the stored outcome",
    },
    identifiers=("publish_id", "post_id"),
)
