"""The steps of a YouTube publication for people, and the facts by which its video is found."""

from __future__ import annotations

from platforms.step_texts import StepTexts

STEP_TEXTS = StepTexts(
    steps={
        "session": "Ask for an upload session, which publishes nothing by itself",
        "upload": "Send the video; its last byte makes it exist",
        "locate": "Ask how many bytes of the video have arrived",
        "search": "Search the channel for the video",
        "processing": "Ask whether the video is processed",
        "duplicate": "Search the channel for the video that this one repeats",
        "done": "Read the stored outcome",
    },
    identifiers=("video_id",),
    fingerprints=("session",),
)
