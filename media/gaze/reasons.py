"""Reasons for which a frame, or a whole part, keeps its own eyes.

The values are part of the status document, the webhooks and the metrics: add new ones, never rename one.
"""

from enum import StrEnum


class Reason(StrEnum):
    """Reason for not correcting a frame or a part."""

    DETECTOR_FAILED = "detector_failed"  # the landmark engine did not start or failed on this frame
    TIME_SHORT = "time_short"  # the deadline is near: the rest of the part is finished without correction
    NO_FACE = "no_face"
    MEMORY_SHORT = "memory_short"  # the process is close to its memory limit: the rest is finished without correction
    TOO_DARK = "too_dark"  # the landmarks are unreliable
    SUNGLASSES = "sunglasses"  # or anything else dark in front of the eyes
    EYES_TOO_SMALL = "eyes_too_small"  # in pixels: the landmarks are unsteady
    HEAD_TURNED = "head_turned"  # too far for a natural look into the lens
    LOOKS_FAR_AWAY = "looks_far_away"  # a deliberate look away is kept
    BLINK = "blink"  # the lids are shut or moving, or something passes over both eyes
    INTO_LENS = "into_lens"  # nothing to correct
    TURNED_OFF = "turned_off"  # intensity 0
