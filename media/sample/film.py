"""Renders the sample clip: portrait, acting and voice in one MP4, as a phone records it."""

import argparse
from collections.abc import Callable
from fractions import Fraction
from math import cos, radians, sin
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from media.process.files import atomic_write
from media.sample import acting, voice
from media.sample.portrait import SCALE, Portrait

FRAME_RATE = 30
WIDE_PX = 212  # width of the portrait that the widest framing shows
MIDDLE = (224.0, 188.0)  # of the framing, in pixels of the portrait
GRAIN = 0.9  # standard deviation of the sensor noise, in luma codes
GRAINS = 8
BT601 = 6  # SMPTE 170M in ITU-T H.273: what OpenCV converts to
AAC_FRAME = 1024


def film(options: argparse.Namespace, progress: Callable[[float], None]) -> dict[str, Any]:  # Any: JSON
    """Do the work of `python -m media.sample`.

    Raises:
        Refused: the portrait is not installed.
    """
    frames = round(options.seconds * FRAME_RATE)
    size = (options.width, options.width * 16 // 9 // 2 * 2)
    portrait = Portrait()
    with atomic_write(options.target) as temporary:
        _write(temporary, portrait, frames, size, progress)
    into_lens = sum(acting.is_into_lens(index / FRAME_RATE) for index in range(frames))
    return {
        "frames": frames,
        "duration_s": frames / FRAME_RATE,
        "width": size[0],
        "height": size[1],
        "into_lens_share": round(into_lens / frames, 3),
    }


def _write(
    path: Path, portrait: Portrait, frames: int, size: tuple[int, int], progress: Callable[[float], None]
) -> None:
    sound = voice.speak(frames / FRAME_RATE)
    grains = _grains(size)
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart", "fflags": "+bitexact"}) as container:
        video, audio = _streams(container, size)
        written = 0
        for index in range(frames):
            picture = picture_at(portrait, index / FRAME_RATE, size)
            container.mux(video.encode(_frame(picture, grains[index % GRAINS], index)))
            until = len(sound) if index == frames - 1 else round((index + 1) / FRAME_RATE * voice.RATE)
            while written < until and (written + AAC_FRAME <= until or index == frames - 1):
                container.mux(audio.encode(_block(sound[written : written + AAC_FRAME], written)))
                written += AAC_FRAME
            progress((index + 1) / frames)
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


def picture_at(portrait: Portrait, time_s: float, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Draw the camera picture of one moment.

    Args:
        portrait: posed by this call.
        time_s: since the clip's beginning.
        size: width and height.

    Returns:
        (H, W, 3), blue green red.
    """
    posed = portrait.pose(acting.gaze_deg(time_s), acting.closed(time_s))
    return np.asarray(
        cv2.warpAffine(
            posed,
            _framing(time_s, size),
            size,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT_101,
        ),
        np.uint8,
    )


def _framing(time_s: float, size: tuple[int, int]) -> NDArray[np.float64]:
    """Map a pixel of the clip to its place in the enlarged portrait."""
    held = acting.camera(time_s)
    step = WIDE_PX / size[0] / held.zoom * SCALE
    along, across = step * cos(radians(held.roll_deg)), step * sin(radians(held.roll_deg))
    x, y = (MIDDLE[0] + held.right) * SCALE, (MIDDLE[1] + held.down) * SCALE
    middle = (size[0] / 2, size[1] / 2)
    return np.array(
        [
            [along, -across, x - along * middle[0] + across * middle[1]],
            [across, along, y - across * middle[0] - along * middle[1]],
        ]
    )


def _grains(size: tuple[int, int]) -> list[NDArray[np.int16]]:
    rng = np.random.default_rng(2)
    return [rng.normal(0, GRAIN, (size[1], size[0])).round().astype(np.int16) for _ in range(GRAINS)]


def _frame(picture: NDArray[np.uint8], grain: NDArray[np.int16], index: int) -> av.VideoFrame:
    height = grain.shape[0]
    planes = cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420)
    planes[:height] = cv2.add(planes[:height], grain, dtype=cv2.CV_8U)
    frame = av.VideoFrame.from_ndarray(np.asarray(planes, np.uint8), format="yuv420p")
    frame.pts, frame.time_base = index, Fraction(1, FRAME_RATE)
    frame.colorspace = BT601
    return frame


def _block(sound: voice.Sound, start: int) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(sound[None, :], format="fltp", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = voice.RATE, start, Fraction(1, voice.RATE)
    return frame


def _streams(container: OutputContainer, size: tuple[int, int]) -> tuple[VideoStream, AudioStream]:
    # One thread, so that the same clip comes out on every machine.
    video = container.add_stream(
        "libx264", rate=FRAME_RATE, options={"preset": "superfast", "crf": "22", "threads": "1"}
    )
    video.width, video.height = size
    video.pix_fmt = "yuv420p"
    video.codec_context.colorspace = BT601
    video.codec_context.gop_size = FRAME_RATE
    audio = container.add_stream("aac", rate=voice.RATE, layout="mono")
    audio.bit_rate = 96_000
    return video, audio
