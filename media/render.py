"""One span of a video becomes one platform master: one decode, one encode, a frame stage in between."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from media.frames import FrameStage
from media.spans import Span


@dataclass(frozen=True, slots=True)
class Rendered:
    """What was written, and what it cost."""

    frames: int
    duration_s: float
    size_bytes: int
    width: int
    height: int
    sha256: str
    frames_held: int  # pictures shown again because the source had none for that time
    stages_s: dict[str, float]  # CPU seconds of this process: "decode", "stage", "encode", "audio"


def render(
    source: Path,
    target: Path,
    *,
    span: Span | None = None,
    stage: FrameStage | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> Rendered:
    """Write the span of the source as a platform master under the target's name, whole or not at all.

    Args:
        source: the upload, as it came.
        target: an MP4 file; written beside it under a temporary name, synced, renamed.
        span: which part; None for the whole video.
        stage: changes frames on their way; None leaves them alone.
        on_progress: told the share of frames done, 0 to 1.

    Raises:
        Refused: the source cannot be played.
    """
    raise NotImplementedError(source, target, span, stage, on_progress)
