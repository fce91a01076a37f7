"""The steps of an Instagram publication for people, and the facts by which Meta's support finds it."""

from __future__ import annotations

from platforms.step_texts import StepTexts

STEP_TEXTS = StepTexts(
    steps={
        "container": "Ask for a container, which publishes nothing by itself",
        "upload": "Send the video into the container",
        "locate": "Ask how many bytes of the video have arrived",
        "processing": "Ask whether the container is ready",
        "publish": "Publish the container",
        "confirm": "Ask whether the container was published",
        "refused": "Read the stored refusal",
        "find": "Search the account for the post",
        "link": "Ask for the address of the post",
        "done": "Read the stored outcome",
    },
    identifiers=("container", "media_id"),
)
